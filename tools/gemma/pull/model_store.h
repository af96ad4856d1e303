// The models that `gemma pull` downloaded. Each has a folder with a record of
// its files. A folder without a record does not belong to gemma.

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
  std::string etag;    // a strong ETag, or ""
};

struct StoredModel {
  std::string name;
  std::string source;     // as ModelSource::text
  std::string revision;   // the commit of a repository, or ""
  std::string main_file;  // the file to load, or "" to load the folder
  std::string pulled_at;  // UTC, as "2026-01-31T12:00:00Z"
  bool complete = false;
  std::vector<StoredFile> files;

  // "GGUF" or "safetensors".
  std::string_view kind() const {
    return main_file.empty() ? "safetensors" : "GGUF";
  }
  uint64_t bytes() const;
};

// Whether `name` may be a model's name: a letter or digit, then up to 127
// letters, digits, dots, dashes and underscores. So it is always a plain file
// name.
bool IsModelName(std::string_view name);

// A lock on a model: other processes cannot change it. The destructor releases
// it.
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
  // The store in $GEMMA_MODELS, or else in gemma/models in $XDG_CACHE_HOME or
  // ~/.cache. The directory need not exist.
  static absl::StatusOr<ModelStore> Open();

  const std::string& directory() const { return directory_; }
  std::string FolderOf(std::string_view name) const;

  // The path that commands load for this model.
  std::string PathOf(const StoredModel& model) const;

  // The record of a model, or nullopt if the model was not pulled.
  absl::StatusOr<std::optional<StoredModel>> Find(std::string_view name) const;

  // All records, sorted by name, without broken ones and without downloads of
  // which nothing is here, as a pull leaves that is killed at its start.
  std::vector<StoredModel> List() const;

  // The bytes of the model's files that are here, also in parts.
  uint64_t BytesHere(const StoredModel& model) const;

  // Locks a model. If another process has the lock, waits for it if `wait` is
  // true, else fails. `quiet`: prints no note about the wait.
  absl::StatusOr<ModelLock> Lock(const std::string& name, bool wait,
                                 bool quiet) const;

  // Writes the record, and creates the folder if it does not exist.
  absl::Status Save(const StoredModel& model) const;

  // Removes the temporary files of killed processes. Partial files stay, so
  // that a download can continue.
  absl::Status RemoveTemporaries(std::string_view name) const;

  // Whether the model's folder holds only partial and temporary files, or does
  // not exist. A pull leaves such a folder if it is killed before it writes the
  // record.
  bool HasOnlyLeftovers(std::string_view name) const;

  // Removes such a folder. Returns false if the folder does not exist or holds
  // other files.
  absl::StatusOr<bool> RemoveLeftovers(std::string_view name) const;

  // Removes the record and the folders of an incomplete model of which no file
  // is here, not even a part of one. Does nothing for other models.
  void RemoveUnbegun(const StoredModel& model) const;

  // Creates the folder for a model's file, which may be a module folder. Fails
  // if a link or a file has that path.
  absl::Status MakeFolderFor(std::string_view model,
                             std::string_view file) const;

  // Removes the model's files, its partial files and its record, and then the
  // folder if it is empty. Returns true if other files remain in the folder.
  absl::StatusOr<bool> Remove(const StoredModel& model) const;

 private:
  explicit ModelStore(std::string directory)
      : directory_(std::move(directory)) {}

  std::string directory_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_MODEL_STORE_H_
