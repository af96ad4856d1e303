// The models that `gemma pull` downloaded: a folder for each, with a record of
// what is in it. A folder without a record is none of ours.

#ifndef GEMMA_TOOLS_GEMMA_PULL_MODEL_STORE_H_
#define GEMMA_TOOLS_GEMMA_PULL_MODEL_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

struct StoredFile {
  std::string name;
  uint64_t bytes = 0;
  std::string digest;  // in hexadecimal digits, or ""
  std::string etag;    // a strong one, or ""
};

struct StoredModel {
  std::string name;
  std::string source;     // as ModelSource::text
  std::string revision;   // the commit of a repository, or ""
  std::string main_file;  // what to load; "": the folder
  std::string pulled_at;  // UTC, as "2026-01-31T12:00:00Z"
  bool complete = false;
  std::vector<StoredFile> files;

  // "GGUF" or "safetensors".
  std::string_view kind() const {
    return main_file.empty() ? "safetensors" : "GGUF";
  }
  uint64_t bytes() const;
};

// A letter or digit, then up to 127 letters, digits, dots, dashes and
// underscores: a file name that is nothing else.
bool IsModelName(std::string_view name);

// Keeps other processes from changing a model. Released by the destructor.
class ModelLock {
 public:
  ~ModelLock();
  ModelLock(ModelLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ModelLock& operator=(ModelLock&&) = delete;

 private:
  friend class ModelStore;
  explicit ModelLock(int fd) : fd_(fd) {}
  int fd_;
};

class ModelStore {
 public:
  // The directory that GEMMA_MODELS names, else gemma/models in XDG_CACHE_HOME
  // or in ~/.cache. It need not exist.
  static absl::StatusOr<ModelStore> Open();

  const std::string& directory() const { return directory_; }
  std::string FolderOf(std::string_view name) const;

  // What a command loads when it is given the model's name.
  std::string PathOf(const StoredModel& model) const;

  // The record of a model, if there is one.
  absl::StatusOr<std::optional<StoredModel>> Find(std::string_view name) const;

  // All records, by name. Broken ones are left out.
  std::vector<StoredModel> List() const;

  // Waits for other processes, or, unless `wait`, fails if there is one.
  absl::StatusOr<ModelLock> Lock(const std::string& name, bool wait,
                                 bool quiet) const;

  // Writes the record, and makes the folder if there is none.
  absl::Status Save(const StoredModel& model) const;

  // Removes the temporary files of processes that were killed. The partial
  // files stay, to go on with.
  absl::Status RemoveTemporaries(std::string_view name) const;

  // Whether the model's folder, if there is one, holds nothing but partial and
  // temporary files: what a pull leaves that was killed before it wrote the
  // record.
  bool HasOnlyLeftovers(std::string_view name) const;

  // Removes such a folder. False if there is none.
  absl::StatusOr<bool> RemoveLeftovers(std::string_view name) const;

  // Makes the folder of a model's file, if it is in one of its own. A link in
  // its place is refused.
  absl::Status MakeFolderFor(std::string_view model,
                             std::string_view file) const;

  // Removes the model's files and its record, and partial files. Others stay,
  // and with them the folder; the result tells whether there are any.
  absl::StatusOr<bool> Remove(const StoredModel& model) const;

 private:
  explicit ModelStore(std::string directory)
      : directory_(std::move(directory)) {}

  std::string directory_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_MODEL_STORE_H_
