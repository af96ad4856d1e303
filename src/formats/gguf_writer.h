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

namespace gemma {

// Checksums that a file carries, CRC-32C: an array of uint32, one for the data
// of each tensor, in the order of the tensors; and a uint32 for all that is in
// front of the data, computed with zero in its own place.
inline constexpr std::string_view kTensorChecksumsKey = "gemma.tensor_crc32c";
inline constexpr std::string_view kHeaderChecksumKey = "gemma.header_crc32c";

// First the keys and the list of tensors, in any order of calls; then Begin;
// then the tensors' bytes, in the order of the list; then Commit, before which
// there is no file. The same calls give the same bytes. What the caller does
// against this order, or writes more or less than it listed, is an error of
// code Internal; errors of the file system name the path.
class GgufFileWriter {
 public:
  // `alignment`: of each tensor's first byte in the file; a power of two.
  explicit GgufFileWriter(uint32_t alignment) : alignment_(alignment) {}

  // Keys, in the order of the calls. One that is set again keeps its place and
  // gets the new value.
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

  // Sets the key to what it is in `metadata`, byte by byte; nothing if it is
  // not there.
  void Copy(const GgufMetadata& metadata, std::string_view key);

  // Lists a tensor of a type by its number in GGUF files. `shape`: outermost
  // first. `bytes`: of its data.
  void Declare(std::string_view name, uint32_t type,
               absl::Span<const size_t> shape, uint64_t bytes);

  // Takes the disk space for the file, which others may read.
  absl::Status Begin(std::string path);

  // The next bytes of the tensor `name`: which of the list is next, until all
  // of its bytes were written.
  absl::Status Write(std::string_view name, absl::Span<const uint8_t> bytes);

  // Writes keys, list and checksums, and gives the file its name.
  absl::Status Commit(AtomicFile::Existing existing);

 private:
  struct Key {
    std::string name;
    std::vector<uint8_t> value;  // with its type in front
  };
  struct DeclaredTensor {
    std::string name;
    uint32_t type;
    std::vector<size_t> shape;
    uint64_t bytes;
    uint64_t offset;  // in the data
    uint32_t checksum = 0;
  };

  void Set(std::string_view key, std::vector<uint8_t> value);
  // The file up to the data.
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
  size_t current_ = 0;    // tensor that is being written
  uint64_t written_ = 0;  // of its bytes
};

}  // namespace gemma

#endif  // GEMMA_SRC_FORMATS_GGUF_WRITER_H_
