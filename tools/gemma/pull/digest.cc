#include "tools/gemma/pull/digest.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/system_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/signals.h"

namespace gemma::tools {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

class Hash {
 public:
  explicit Hash(DigestKind kind) : context_(EVP_MD_CTX_new()) {
    const EVP_MD* algorithm =
        kind == DigestKind::kSha256 ? EVP_sha256() : EVP_sha1();
    valid_ = context_ != nullptr &&
             EVP_DigestInit_ex(context_.get(), algorithm, nullptr) == 1;
  }

  void Append(std::string_view bytes) {
    valid_ = valid_ &&
             EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
  }

  absl::StatusOr<std::string> Finish() {
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    valid_ = valid_ && EVP_DigestFinal_ex(context_.get(), value, &size) == 1;
    if (!valid_) return absl::InternalError("OpenSSL cannot compute a digest");
    return absl::BytesToHexString({reinterpret_cast<const char*>(value), size});
  }

 private:
  std::unique_ptr<EVP_MD_CTX, FreeContext> context_;
  bool valid_ = false;
};

absl::StatusOr<Digest> DigestOfDescriptor(
    int fd, const std::string& path, DigestKind kind,
    const std::function<void(uint64_t, uint64_t)>& progress) {
  struct stat info = {};
  if (fstat(fd, &info) != 0) return SystemError(path, errno);
  const auto size = static_cast<uint64_t>(info.st_size);
  Hash hash(kind);
  if (kind == DigestKind::kGitBlob) {
    hash.Append(absl::StrCat("blob ", size, std::string_view("\0", 1)));
  }
  std::string buffer(size_t{1} << 20, '\0');
  for (uint64_t done = 0;;) {
    if (Interrupted()) return InterruptedError();
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError(path, errno);
    if (got == 0) break;
    hash.Append({buffer.data(), static_cast<size_t>(got)});
    done += static_cast<uint64_t>(got);
    progress(done, size);
  }
  Digest digest{.kind = kind, .hex = ""};
  GEMMA_ASSIGN_OR_RETURN(digest.hex, hash.Finish());
  return digest;
}

}  // namespace

std::string_view Name(DigestKind kind) {
  return kind == DigestKind::kSha256 ? "SHA-256" : "git's SHA-1";
}

bool IsDigest(DigestKind kind, std::string_view hex) {
  const size_t digits = kind == DigestKind::kSha256 ? 64 : 40;
  return hex.size() == digits &&
         std::all_of(hex.begin(), hex.end(), [](char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

absl::StatusOr<Digest> DigestOfFile(
    const std::string& path, DigestKind kind,
    const std::function<void(uint64_t, uint64_t)>& progress) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(path, errno);
  absl::StatusOr<Digest> digest = DigestOfDescriptor(fd, path, kind, progress);
  close(fd);
  return digest;
}

std::string DigestVersion() { return OpenSSL_version(OPENSSL_VERSION_STRING); }

}  // namespace gemma::tools
