// Hashes that tell whether a file is the one that was meant.

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
  kGitBlob,  // the SHA-1 that git gives a file
};

struct Digest {
  DigestKind kind = DigestKind::kSha256;
  std::string hex;  // in lower case

  bool operator==(const Digest&) const = default;
};

// "SHA-256", "git's SHA-1".
std::string_view Name(DigestKind kind);

// OK if `hex` has the digits of such a digest, in lower case.
bool IsDigest(DigestKind kind, std::string_view hex);

// The digest of a file's contents. `progress` receives the bytes read so far
// and the file's size; an interrupt ends it.
absl::StatusOr<Digest> DigestOfFile(
    const std::string& path, DigestKind kind,
    const std::function<void(uint64_t, uint64_t)>& progress);

// Of OpenSSL.
std::string DigestVersion();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_DIGEST_H_
