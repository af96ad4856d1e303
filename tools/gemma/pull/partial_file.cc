#include "tools/gemma/pull/partial_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/json.h"
#include "src/base/status_macros.h"
#include "src/os/atomic_file.h"
#include "src/os/system_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

// The note holds two short strings.
constexpr Json::Limits kNoteLimits = {
    .max_bytes = size_t{64} << 10, .max_depth = 2, .max_values = 16};

}  // namespace

absl::StatusOr<PartialFile> PartialFile::Open(const std::string& target) {
  const std::string path = absl::StrCat(target, kSuffix);
  // O_NOFOLLOW: a link could make this write to a file elsewhere.
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
  GEMMA_RETURN_IF_ERROR(RenameDurably(path_, target_));
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
  const absl::StatusOr<std::string> text = ReadFile(NotePath());
  if (!text.ok()) return;
  const absl::StatusOr<Json> json = Json::Parse(*text, NotePath(), kNoteLimits);
  FileVersion version;
  if (json.ok() && json->Read("etag", version.etag).ok() &&
      json->Read("digest", version.digest).ok()) {
    version_ = std::move(version);
  }
}

absl::Status PartialFile::WriteNote() const {
  GEMMA_ASSIGN_OR_RETURN(
      AtomicFile file,
      AtomicFile::Create(NotePath(), AtomicFile::Access::kAll));
  GEMMA_RETURN_IF_ERROR(file.Write(
      ToText({{"etag", version_.etag}, {"digest", version_.digest}})));
  return file.Commit();
}

}  // namespace gemma::tools
