#include "tools/gemma/chat/input_history.h"

#include <histedit.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/atomic_file.h"
#include "src/os/system_error.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

using HistoryPointer = std::unique_ptr<History, void (*)(History*)>;

HistoryPointer NewHistory() {
  HistoryPointer result(history_init(), history_end);
  if (result == nullptr) throw std::bad_alloc();
  HistEvent event;
  history(result.get(), &event, H_SETSIZE, InputHistory::kMaxEntries);
  history(result.get(), &event, H_SETUNIQUE, 1);
  return result;
}

// Creates the folder of `path` and its parents, for the user alone.
absl::Status MakeFolder(const fs::path& path) {
  const fs::path folder = path.parent_path();
  struct stat info = {};
  if (folder.empty() || stat(folder.c_str(), &info) == 0) {
    return absl::OkStatus();
  }
  GEMMA_RETURN_IF_ERROR(MakeFolder(folder));
  if (mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) {
    return absl::OkStatus();
  }
  return SystemError(folder.string(), errno);
}

// Adds the entries of the file to `to`. A missing file counts as empty.
absl::Status Load(const std::string& path, History* to) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus() : SystemError(path, errno);
  }
  if (S_ISREG(info.st_mode) && info.st_size == 0) return absl::OkStatus();
  HistEvent event;
  if (S_ISREG(info.st_mode) && history(to, &event, H_LOAD, path.c_str()) >= 0) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat(path, ": not a history file; typed lines are not saved"));
}

// Opens a file without a name, in memory if the system can do that. Returns
// nullptr and sets errno if it fails.
FILE* OpenUnnamed() {
#ifdef __linux__
  const int fd = memfd_create("gemma history", MFD_CLOEXEC);
  if (fd < 0) return nullptr;
  FILE* file = fdopen(fd, "w+");
  if (file == nullptr) close(fd);
  return file;
#else
  return std::tmpfile();
#endif
}

// The contents of a history file. libedit writes them only to a file, and
// changes its mode.
absl::StatusOr<std::string> ToText(History* from) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(OpenUnnamed(), std::fclose);
  if (file == nullptr) return SystemError("a file in memory", errno);
  HistEvent event;
  if (history(from, &event, H_SAVE_FP, file.get()) < 0) {
    return SystemError("a file in memory", EIO);
  }
  std::string text(static_cast<size_t>(std::max(std::ftell(file.get()), 0L)),
                   '\0');
  std::rewind(file.get());
  if (std::fread(text.data(), 1, text.size(), file.get()) != text.size()) {
    return SystemError("a file in memory", EIO);
  }
  return text;
}

absl::Status Save(const std::string& path, History* from) {
  GEMMA_ASSIGN_OR_RETURN(const std::string text, ToText(from));
  GEMMA_ASSIGN_OR_RETURN(
      AtomicFile file,
      AtomicFile::CreateOutput(path, AtomicFile::Access::kOwner));
  GEMMA_RETURN_IF_ERROR(file.Write(text));
  return file.Commit();
}

}  // namespace

std::string HistoryPath() {
  if (const char* path = std::getenv("GEMMA_HISTORY")) return path;
  const char* state = std::getenv("XDG_STATE_HOME");
  // The XDG standard says to ignore relative paths.
  if (state != nullptr && state[0] == '/') {
    return absl::StrCat(state, "/gemma/history");
  }
  const char* home = std::getenv("HOME");
  if (home == nullptr || home[0] != '/') return "";
  return absl::StrCat(home, "/.local/state/gemma/history");
}

InputHistory::InputHistory() : history_(NewHistory().release()) {}

InputHistory::~InputHistory() { history_end(history_); }

absl::Status InputHistory::Open(const std::string& path) {
  GEMMA_RETURN_IF_ERROR(MakeFolder(path));
  GEMMA_RETURN_IF_ERROR(Load(path, history_));
  path_ = path;
  return absl::OkStatus();
}

absl::Status InputHistory::Add(const std::string& text) {
  if (text.size() > kMaxEntryBytes) return absl::OkStatus();
  HistEvent event;
  const int added = history(history_, &event, H_ENTER, text.c_str());
  if (added == 0 || path_.empty()) return absl::OkStatus();
  const HistoryPointer all = NewHistory();
  absl::Status status = Load(path_, all.get());
  if (status.ok()) {
    history(all.get(), &event, H_ENTER, text.c_str());
    status = Save(path_, all.get());
  }
  if (!status.ok()) path_.clear();
  return status;
}

}  // namespace gemma::tools
