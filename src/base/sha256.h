// SHA-256, as FIPS 180-4 describes it.

#ifndef GEMMA_SRC_BASE_SHA256_H_
#define GEMMA_SRC_BASE_SHA256_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace gemma::internal {

// Computes the digest of bytes that arrive in pieces of any size.
class Sha256 {
 public:
  using Digest = std::array<uint8_t, 32>;

  void Append(std::span<const uint8_t> bytes);

  // Call this once, after all bytes.
  Digest Finish();

 private:
  static constexpr size_t kBlock = 64;

  void AddBlock(const uint8_t* block);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
                                    0xa54ff53a, 0x510e527f, 0x9b05688c,
                                    0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, kBlock> rest_ = {};  // the incomplete block
  uint64_t size_ = 0;                      // bytes so far
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_SHA256_H_
