// The metadata of a GGUF file.

#ifndef GEMMA_SRC_FORMATS_GGUF_METADATA_H_
#define GEMMA_SRC_FORMATS_GGUF_METADATA_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "src/base/hash_table.h"

namespace gemma::internal {

// The types of metadata values, with their numbers in files.
enum class GgufType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// Returns "uint8", "string" and so on.
std::string_view TypeName(GgufType type);

// The keys and values of a file. Strings are not copied: this object and the
// views that it returns point into the parsed bytes.
class GgufMetadata {
 public:
  // Reads the value of `key`. If the key is missing, returns OK and leaves
  // `value` unchanged. A wrong type or a value out of range is an error.
  // Integers accept any width and sign. Floats accept integers too and must be
  // finite. A bool accepts only a bool. Messages name the file, the key, the
  // value found and the value wanted.
  absl::Status Read(std::string_view key, bool& value) const;
  absl::Status Read(std::string_view key, int32_t& value) const;
  absl::Status Read(std::string_view key, int64_t& value) const;
  absl::Status Read(std::string_view key, uint32_t& value) const;
  absl::Status Read(std::string_view key, size_t& value) const;
  absl::Status Read(std::string_view key, float& value) const;
  absl::Status Read(std::string_view key, std::string& value) const;
  absl::Status Read(std::string_view key, std::string_view& value) const;
  // Reads an array. Every element must fit.
  absl::Status Read(std::string_view key, std::vector<bool>& value) const;
  absl::Status Read(std::string_view key, std::vector<int32_t>& value) const;
  absl::Status Read(std::string_view key, std::vector<int64_t>& value) const;
  absl::Status Read(std::string_view key, std::vector<size_t>& value) const;
  absl::Status Read(std::string_view key, std::vector<float>& value) const;
  absl::Status Read(std::string_view key,
                    std::vector<std::string_view>& value) const;
  // Also reads numbers that are not finite.
  absl::Status Read(std::string_view key, std::vector<double>& value) const;

  // The same, but a missing key is an error.
  template <class T>
  absl::Status ReadRequired(std::string_view key, T& value) const {
    if (!Has(key)) return Missing(key);
    return Read(key, value);
  }

  bool Has(std::string_view key) const { return values_.contains(key); }
  // Whether the key exists and its value is an array.
  bool IsArray(std::string_view key) const;
  // Returns the type of the value or of an array's elements, or nothing if the
  // key is missing.
  std::optional<GgufType> TypeOf(std::string_view key) const;
  // Returns the type and bytes of the value as they are in the file, or an
  // empty span if the key is missing.
  absl::Span<const uint8_t> RawValue(std::string_view key) const;
  // Returns the keys, sorted.
  std::vector<std::string_view> Keys() const;

  size_t size() const { return values_.size(); }
  // The file's path, for messages.
  const std::string& path() const { return path_; }

 private:
  friend class GgufParser;

  struct Value {
    GgufType type;  // of the elements if is_array
    bool is_array;
    uint64_t count;                   // elements; 1 if not is_array
    absl::Span<const uint8_t> bytes;  // `count` values, all inside the file
    absl::Span<const uint8_t> raw;    // type, count and `bytes`
  };

  const Value* Find(std::string_view key) const;
  absl::Status Missing(std::string_view key) const;
  absl::Status Unexpected(std::string_view key, const Value& value,
                          std::string_view wanted) const;
  template <class T>
  absl::Status ReadValue(std::string_view key, T& value) const;
  template <class T>
  absl::Status ReadArray(std::string_view key, std::vector<T>& value) const;

  std::string path_;
  HashMap<std::string_view, Value> values_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_GGUF_METADATA_H_
