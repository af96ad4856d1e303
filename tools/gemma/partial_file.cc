#include "tools/gemma/partial_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "tools/gemma/errors.h"
#include "tools/gemma/files.h"
#include "tools/gemma/text.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kDiskCure =
    "make room, or let GEMMA_MODELS name a directory that has some, then run "
    "the same command again: it goes on where this one stopped";

// Returns 0 or the system's error number.
int Sync(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error_number = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return error_number;
}

std::string StringOr(const nlohmann::json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

}  // namespace

absl::Status WriteError(const std::string& path, int error_number) {
  absl::Status status =
      SystemError(absl::StrCat("cannot write to ", path), error_number);
  const bool is_full =
      error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  return is_full ? WithCure(std::move(status), kDiskCure) : status;
}

absl::Status MoveIntoPlace(const std::string& path, const std::string& target) {
  int error_number = Sync(path);
  if (error_number != 0) return WriteError(path, error_number);
  if (rename(path.c_str(), target.c_str()) != 0) {
    return WriteError(target, errno);
  }
  const std::string folder =
      std::filesystem::path(target).parent_path().string();
  error_number = Sync(folder);
  return error_number == 0 ? absl::OkStatus()
                           : WriteError(folder, error_number);
}

absl::StatusOr<PartialFile> PartialFile::Open(const std::string& target) {
  const std::string path = absl::StrCat(target, kSuffix);
  // A link would let bytes appear elsewhere.
  const int fd =
      open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
           0666);
  if (fd < 0) return WriteError(path, errno);
  PartialFile file(fd, target);
  struct stat info = {};
  if (fstat(fd, &info) != 0) return SystemError(path, errno);
  file.bytes_ = static_cast<uint64_t>(info.st_size);
  if (file.bytes_ > 0) file.ReadNote();
  return file;
}

PartialFile::PartialFile(int fd, std::string target)
    : fd_(fd),
      target_(std::move(target)),
      path_(absl::StrCat(target_, kSuffix)) {}

PartialFile::~PartialFile() {
  if (fd_ >= 0) close(fd_);
}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      target_(std::move(other.target_)),
      path_(std::move(other.path_)),
      bytes_(other.bytes_),
      version_(std::move(other.version_)) {}

absl::Status PartialFile::Restart(const FileVersion& version) {
  if (ftruncate(fd_, 0) != 0) return WriteError(path_, errno);
  bytes_ = 0;
  version_ = version;
  return WriteNote();
}

absl::Status PartialFile::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return WriteError(path_, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
    bytes_ += static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

absl::Status PartialFile::Commit() {
  GEMMA_RETURN_IF_ERROR(MoveIntoPlace(path_, target_));
  unlink(NotePath().c_str());
  return absl::OkStatus();
}

void PartialFile::Discard() {
  unlink(path_.c_str());
  unlink(NotePath().c_str());
}

std::string PartialFile::NotePath() const {
  return absl::StrCat(target_, ".note", kSuffix);
}

void PartialFile::ReadNote() {
  const absl::StatusOr<std::string> text = ReadText(NotePath());
  if (!text.ok()) return;
  const auto json = nlohmann::json::parse(*text, /*cb=*/nullptr,
                                          /*allow_exceptions=*/false);
  if (!json.is_object()) return;
  version_ = {.etag = StringOr(json, "etag"),
              .digest = StringOr(json, "digest")};
}

absl::Status PartialFile::WriteNote() const {
  GEMMA_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(NotePath()));
  GEMMA_RETURN_IF_ERROR(file.Write(
      ToText({{"etag", version_.etag}, {"digest", version_.digest}})));
  return file.Commit();
}

}  // namespace gemma::tools
