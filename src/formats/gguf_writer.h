// Writes GGUF files, version 3, little-endian.

#ifndef GEMMA_SRC_FORMATS_GGUF_WRITER_H_
#define GEMMA_SRC_FORMATS_GGUF_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "src/base/hash_table.h"
#include "src/formats/gguf_metadata.h"
#include "src/os/atomic_file.h"

namespace gemma::internal {

// The keys of a file's checksums (CRC-32C). The first is an array of uint32:
// one checksum for the data of each tensor, in order. The second is a uint32
// for all bytes before the data, computed with its own value set to zero.
inline constexpr std::string_view kTensorChecksumsKey = "gemma.tensor_crc32c";
inline constexpr std::string_view kHeaderChecksumKey = "gemma.header_crc32c";

// Call order: first set keys and declare tensors, in any order; then Begin;
// then Write the bytes of the tensors in the declared order; then Commit, which
// makes the file visible. The same calls write the same bytes. A call out of
// order, or with more or fewer bytes than declared, is an error of code
// Internal. Errors of the file system name the path.
class GgufFileWriter {
 public:
  // `alignment` of each tensor's first byte in the file: a power of two.
  explicit GgufFileWriter(uint32_t alignment) : alignment_(alignment) {}

  // Keys keep the order of the calls. A second call with the same key replaces
  // the value and keeps the position.
  void SetUint32(std::string_view key, uint32_t value);
  void SetFloat32(std::string_view key, float value);
  void SetBool(std::string_view key, bool value);
  void SetString(std::string_view key, std::string_view value);
  void SetUint32s(std::string_view key, absl::Span<const uint32_t> values);
  void SetInt32s(std::string_view key, absl::Span<const int32_t> values);
  void SetFloat32s(std::string_view key, absl::Span<const float> values);
  void SetBools(std::string_view key, const std::vector<bool>& values);
  void SetStrings(std::string_view key,
                  absl::Span<const std::string_view> values);

  // Copies a key's value byte by byte from `metadata`. Does nothing if the key
  // is missing.
  void Copy(const GgufMetadata& metadata, std::string_view key);

  // Declares a tensor. `type`: its number in GGUF files. `shape`: outermost
  // first. `bytes`: the size of its data.
  void Declare(std::string_view name, uint32_t type,
               absl::Span<const size_t> shape, uint64_t bytes);

  // Reserves disk space for the file, which other users may read.
  absl::Status Begin(std::string path);

  // Writes the next bytes of the tensor `name`. It must be the first declared
  // tensor whose bytes are not all written.
  absl::Status Write(std::string_view name, absl::Span<const uint8_t> bytes);

  // Writes the keys, the list of tensors and the checksums, and gives the file
  // its name.
  absl::Status Commit(AtomicFile::Existing existing);

 private:
  struct Key {
    std::string name;
    std::vector<uint8_t> value;  // after its type
  };
  struct DeclaredTensor {
    std::string name;
    uint32_t type;
    std::vector<size_t> shape;
    uint64_t bytes;
    uint64_t offset;  // from the start of the data
    uint32_t checksum = 0;
  };

  void Set(std::string_view key, std::vector<uint8_t> value);
  // Returns the bytes before the data.
  std::vector<uint8_t> Header() const;
  // Sets the keys of the checksums.
  void SetChecksums(uint32_t header);

  uint32_t alignment_;
  std::vector<Key> keys_;
  HashMap<std::string, size_t> places_;  // in keys_
  std::vector<DeclaredTensor> tensors_;
  uint64_t data_bytes_ = 0;
  std::optional<AtomicFile> file_;
  uint64_t header_bytes_ = 0;
  size_t current_ = 0;    // the tensor being written
  uint64_t written_ = 0;  // bytes of it so far
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_GGUF_WRITER_H_
