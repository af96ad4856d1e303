// Builds small model files in memory, both valid and broken.

#ifndef GEMMA_TESTS_SUPPORT_TINY_FILES_H_
#define GEMMA_TESTS_SUPPORT_TINY_FILES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace gemma::internal {

using Bytes = std::vector<uint8_t>;

// Appends little-endian values.
class ByteWriter {
 public:
  template <class T>
  ByteWriter& Number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    return Raw({reinterpret_cast<const char*>(&value), sizeof(value)});
  }
  ByteWriter& Raw(std::string_view bytes);
  // Appends a uint64 length, then the bytes, as in GGUF.
  ByteWriter& String(std::string_view text);
  // Appends zeros up to a multiple of `alignment`.
  ByteWriter& AlignTo(size_t alignment);

  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

// Returns `size` bytes in a pattern.
Bytes Pattern(size_t size);

// Writes a GGUF file: keys in the order of the calls, then tensors.
class GgufWriter {
 public:
  explicit GgufWriter(uint32_t version = 3) : version_(version) {}

  // Adds keys of plain values. `type` is the number of T's type in files.
  GgufWriter& Uint32(std::string_view key, uint32_t value);
  GgufWriter& Float32(std::string_view key, float value);
  GgufWriter& Bool(std::string_view key, bool value);
  GgufWriter& String(std::string_view key, std::string_view value);
  GgufWriter& Strings(std::string_view key,
                      const std::vector<std::string>& values);
  template <class T>
  GgufWriter& Value(std::string_view key, uint32_t type, T value) {
    return RawKey(key, type, ByteWriter().Number(value).bytes());
  }
  template <class T>
  GgufWriter& Array(std::string_view key, uint32_t type,
                    const std::vector<T>& values) {
    ByteWriter bytes;
    bytes.Number(type).Number(uint64_t{values.size()});
    for (T value : values) bytes.Number(value);
    return RawKey(key, 9, bytes.bytes());
  }
  // Adds a key with the given bytes as its value.
  GgufWriter& RawKey(std::string_view key, uint32_t type, const Bytes& value);

  // Adds a tensor. Sizes are innermost first, as in files. `type` is ggml's
  // number.
  GgufWriter& Tensor(std::string_view name, const std::vector<uint64_t>& sizes,
                     uint32_t type, const Bytes& data);
  // Adds a tensor that claims an offset and has no data of its own.
  GgufWriter& TensorAt(std::string_view name,
                       const std::vector<uint64_t>& sizes, uint32_t type,
                       uint64_t offset);

  // Sets the alignment of the file, and writes its key.
  GgufWriter& Alignment(uint32_t alignment);
  // Make the header state this count, which may be wrong.
  GgufWriter& ClaimTensors(uint64_t count);
  GgufWriter& ClaimKeys(uint64_t count);

  Bytes Finish() const;
  // Returns the file up to the data, without the padding.
  Bytes Header() const;

 private:
  uint32_t version_;
  size_t alignment_ = 32;
  uint64_t num_keys_ = 0;
  uint64_t num_tensors_ = 0;
  std::optional<uint64_t> claimed_keys_;
  std::optional<uint64_t> claimed_tensors_;
  ByteWriter keys_;
  ByteWriter tensors_;
  ByteWriter data_;
};

// Returns a safetensors file with the given header and data.
Bytes RawSafetensors(std::string_view header, const Bytes& data);

// Writes a safetensors file.
class SafetensorsWriter {
 public:
  SafetensorsWriter& Tensor(std::string_view name, std::string_view dtype,
                            const std::vector<uint64_t>& shape,
                            const Bytes& data);
  Bytes Finish() const;
  std::string Header() const { return "{" + header_ + "}"; }

 private:
  std::string header_;  // without the outer braces
  Bytes data_;
};

// Return small valid files with keys and tensors of several types.
Bytes TinyGguf(uint32_t version = 3);
Bytes TinySafetensors();

// Writes bytes to a new file and replaces any old file of this name.
void WriteFile(const std::string& path, const Bytes& bytes);
void WriteFile(const std::string& path, std::string_view text);

// Makes an empty directory for the running test and returns its path. The next
// call in the same test empties it again. The end of the test removes it. The
// name holds the process id, so that runs at the same time do not collide.
std::string TestDirectory();

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_TINY_FILES_H_
