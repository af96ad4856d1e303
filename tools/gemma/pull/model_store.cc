#include "tools/gemma/pull/model_store.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/atomic_file.h"
#include "src/os/system_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/system_text.h"
#include "tools/gemma/pull/model_record.h"
#include "tools/gemma/pull/partial_file.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLocks = ".locks";
constexpr int kLockMilliseconds = 100;

absl::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? WriteError(path, error.value()) : absl::OkStatus();
}

absl::Status RemoveAll(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);  // removes a link, but not its target
  if (!error) return absl::OkStatus();
  return SystemError(absl::StrCat("cannot remove ", path.string()),
                     error.value());
}

// FILE.partial and FILE.note.partial.
bool IsPartial(std::string_view name) {
  return absl::EndsWith(name, PartialFile::kSuffix);
}

// A temporary file of a record or of a note. It is left if the process is
// killed before it renames the file. In earlier versions, a note's temporary
// file ended in ".tmp." and the process's number, and the record's in
// ".partial".
bool IsTemporary(std::string_view name) {
  constexpr std::string_view kOld = ".tmp.";
  const std::string_view path = name.substr(0, name.rfind('.'));
  if (AtomicFile::IsLeftover(name, path)) {
    return path == kRecordFile || IsPartial(path);
  }
  if (IsPartial(name)) return absl::StartsWith(name, kRecordFile);
  const size_t old = name.rfind(kOld);
  return old != std::string_view::npos && IsPartial(name.substr(0, old)) &&
         name.find_first_not_of("0123456789", old + kOld.size()) ==
             std::string_view::npos;
}

std::vector<fs::path> Entries(const fs::path& folder) {
  std::error_code failure;
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder, failure)) {
    paths.push_back(entry.path());
  }
  return paths;
}

// Removes the files of a folder for whose names `is_so` returns true.
absl::Status RemoveFiles(const fs::path& folder,
                         bool (*is_so)(std::string_view)) {
  for (const fs::path& path : Entries(folder)) {
    if (!is_so(path.filename().string())) continue;
    GEMMA_RETURN_IF_ERROR(RemoveAll(path));
  }
  return absl::OkStatus();
}

absl::Status RemovePartialFiles(const fs::path& folder) {
  GEMMA_RETURN_IF_ERROR(RemoveFiles(folder, IsTemporary));
  return RemoveFiles(folder, IsPartial);
}

}  // namespace

uint64_t StoredModel::bytes() const {
  uint64_t sum = 0;
  for (const StoredFile& file : files) sum += file.bytes;
  return sum;
}

bool IsModelName(std::string_view name) {
  constexpr size_t kMaxSize = 128;
  if (name.empty() || name.size() > kMaxSize || !absl::ascii_isalnum(name[0])) {
    return false;
  }
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
  });
}

ModelLock::~ModelLock() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<ModelStore> ModelStore::Open() {
  std::string directory = EnvironmentValue("GEMMA_MODELS");
  if (directory.empty()) {
    std::string cache = EnvironmentValue("XDG_CACHE_HOME");
    const std::string home = EnvironmentValue("HOME");
    if (cache.empty() && !home.empty()) cache = absl::StrCat(home, "/.cache");
    if (cache.empty()) {
      return absl::FailedPreconditionError(
          "HOME is not set: set GEMMA_MODELS to the directory for models");
    }
    directory = absl::StrCat(cache, "/gemma/models");
  }
  std::error_code error;
  const fs::path absolute = fs::absolute(directory, error);
  if (error) return SystemError(directory, error.value());
  return ModelStore(absolute.lexically_normal().string());
}

std::string ModelStore::FolderOf(std::string_view name) const {
  return (fs::path(directory_) / name).string();
}

std::string ModelStore::PathOf(const StoredModel& model) const {
  const std::string folder = FolderOf(model.name);
  if (model.main_file.empty()) return folder;
  return absl::StrCat(folder, "/", model.main_file);
}

absl::StatusOr<std::optional<StoredModel>> ModelStore::Find(
    std::string_view name) const {
  if (!IsModelName(name)) return std::nullopt;
  const std::string path = absl::StrCat(FolderOf(name), "/", kRecordFile);
  if (access(path.c_str(), F_OK) != 0) return std::nullopt;
  GEMMA_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  GEMMA_ASSIGN_OR_RETURN(StoredModel model, ParseRecord(text, name, path));
  return model;
}

std::vector<StoredModel> ModelStore::List() const {
  std::vector<StoredModel> models;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_, error)) {
    absl::StatusOr<std::optional<StoredModel>> model =
        Find(entry.path().filename().string());
    if (!model.ok() || !model->has_value()) continue;
    if ((*model)->complete || BytesHere(**model) > 0) {
      models.push_back(**std::move(model));
    }
  }
  std::sort(models.begin(), models.end(),
            [](const StoredModel& a, const StoredModel& b) {
              return a.name < b.name;
            });
  return models;
}

uint64_t ModelStore::BytesHere(const StoredModel& model) const {
  uint64_t sum = 0;
  for (const StoredFile& file : model.files) {
    const std::string path = absl::StrCat(FolderOf(model.name), "/", file.name);
    for (const std::string& at :
         {path, absl::StrCat(path, PartialFile::kSuffix)}) {
      std::error_code error;
      const uintmax_t bytes = fs::file_size(at, error);
      if (!error) sum += bytes;
    }
  }
  return sum;
}

absl::StatusOr<ModelLock> ModelStore::Lock(const std::string& name, bool wait,
                                           bool quiet) const {
  const std::string folder = absl::StrCat(directory_, "/", kLocks);
  GEMMA_RETURN_IF_ERROR(MakeDirectory(folder));
  // This file is never removed: all processes must lock the same file.
  const std::string path = absl::StrCat(folder, "/", name);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return WriteError(path, errno);
  ModelLock lock(fd);
  for (bool first = true; flock(fd, LOCK_EX | LOCK_NB) != 0; first = false) {
    if (errno != EWOULDBLOCK && errno != EINTR) return SystemError(path, errno);
    if (!wait) {
      return absl::UnavailableError(
          absl::StrCat(name, ": another process is pulling it"));
    }
    if (first && !quiet) {
      Note(absl::StrCat("another process is pulling ", name,
                        ": waiting for it"));
    }
    pollfd interrupt = {InterruptFd(), POLLIN, 0};
    poll(&interrupt, 1, kLockMilliseconds);
    if (Interrupted()) return InterruptedError();
  }
  return lock;
}

absl::Status ModelStore::Save(const StoredModel& model) const {
  const std::string folder = FolderOf(model.name);
  GEMMA_RETURN_IF_ERROR(MakeDirectory(folder));
  GEMMA_ASSIGN_OR_RETURN(
      AtomicFile file,
      AtomicFile::Create(absl::StrCat(folder, "/", kRecordFile),
                         AtomicFile::Access::kAll));
  GEMMA_RETURN_IF_ERROR(file.Write(RecordToText(model)));
  return file.Commit();
}

absl::Status ModelStore::RemoveTemporaries(std::string_view name) const {
  return RemoveFiles(FolderOf(name), IsTemporary);
}

bool ModelStore::HasOnlyLeftovers(std::string_view name) const {
  const std::vector<fs::path> paths = Entries(FolderOf(name));
  return std::all_of(paths.begin(), paths.end(), [](const fs::path& path) {
    const std::string file = path.filename().string();
    return IsPartial(file) || IsTemporary(file);
  });
}

absl::StatusOr<bool> ModelStore::RemoveLeftovers(std::string_view name) const {
  const fs::path folder = FolderOf(name);
  std::error_code error;
  if (!fs::is_directory(folder, error) || !HasOnlyLeftovers(name)) return false;
  GEMMA_RETURN_IF_ERROR(RemovePartialFiles(folder));
  return fs::remove(folder, error);
}

void ModelStore::RemoveUnbegun(const StoredModel& model) const {
  if (model.complete) return;
  std::error_code error;
  fs::recursive_directory_iterator entry(FolderOf(model.name), error);
  for (; !error && entry != fs::recursive_directory_iterator();
       entry.increment(error)) {
    const bool is_folder = fs::is_directory(entry->symlink_status(error));
    if (!is_folder && entry->path().filename() != kRecordFile) return;
  }
  if (!error) Remove(model).IgnoreError();
}

absl::Status ModelStore::MakeFolderFor(std::string_view model,
                                       std::string_view file) const {
  const fs::path folder = (fs::path(FolderOf(model)) / file).parent_path();
  std::error_code error;
  const fs::file_status status = fs::symlink_status(folder, error);
  if (fs::exists(status) && !fs::is_directory(status)) {
    return WriteError(folder.string(), ENOTDIR);
  }
  return MakeDirectory(folder.string());
}

absl::StatusOr<bool> ModelStore::Remove(const StoredModel& model) const {
  const fs::path folder = FolderOf(model.name);
  // The record must not say "complete" while files are being removed. A failure
  // is ignored, because a full disk is a common reason to remove a model.
  StoredModel incomplete = model;
  incomplete.complete = false;
  Save(incomplete).IgnoreError();
  std::error_code failure;
  std::set<fs::path> folders = {folder};
  for (const StoredFile& file : model.files) {
    const fs::path path = folder / file.name;
    // Removes a link to a folder, but not the files in that folder.
    const bool is_link = path.parent_path() != folder &&
                         fs::is_symlink(path.parent_path(), failure);
    if (!is_link) folders.insert(path.parent_path());
    GEMMA_RETURN_IF_ERROR(RemoveAll(is_link ? path.parent_path() : path));
  }
  for (const fs::path& of : folders) {
    GEMMA_RETURN_IF_ERROR(RemovePartialFiles(of));
    if (of != folder) fs::remove(of, failure);  // only if it is empty
  }
  GEMMA_RETURN_IF_ERROR(RemoveAll(folder / kRecordFile));
  return !fs::remove(folder, failure);
}

}  // namespace gemma::tools
