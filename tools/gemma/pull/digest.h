// Hashes, which check that a file is the expected one.

#ifndef GEMMA_TOOLS_GEMMA_PULL_DIGEST_H_
#define GEMMA_TOOLS_GEMMA_PULL_DIGEST_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

enum class DigestKind {
  kSha256,   // of the contents
  kGitBlob,  // the SHA-1 of the file as a git blob
};

struct Digest {
  DigestKind kind = DigestKind::kSha256;
  std::string hex;  // in lower case

  bool operator==(const Digest&) const = default;
};

// "SHA-256", "git's SHA-1".
std::string_view Name(DigestKind kind);

// Whether `hex` is a digest of this kind in lower-case hexadecimal.
bool IsDigest(DigestKind kind, std::string_view hex);

// Computes the digest of a file. `progress` receives the number of bytes read
// so far and the file's size. An interrupt ends it with InterruptedError.
absl::StatusOr<Digest> DigestOfFile(
    const std::string& path, DigestKind kind,
    const std::function<void(uint64_t, uint64_t)>& progress);

// The version of OpenSSL.
std::string DigestVersion();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_DIGEST_H_
