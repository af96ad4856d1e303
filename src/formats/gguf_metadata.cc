#include "src/formats/gguf_metadata.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "src/base/checked_reader.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

using Scalar = std::variant<uint64_t, int64_t, double, bool, std::string_view>;

template <class Stored, class Wide>
bool ReadWide(CheckedReader& reader, Scalar& scalar) {
  Stored stored{};
  if (!reader.Read(stored)) return false;
  scalar = static_cast<Wide>(stored);
  return true;
}

// Reads one value of `type`, which is not an array type.
bool ReadScalar(CheckedReader& reader, GgufType type, Scalar& scalar) {
  switch (type) {
    case GgufType::kUint8:
      return ReadWide<uint8_t, uint64_t>(reader, scalar);
    case GgufType::kInt8:
      return ReadWide<int8_t, int64_t>(reader, scalar);
    case GgufType::kUint16:
      return ReadWide<uint16_t, uint64_t>(reader, scalar);
    case GgufType::kInt16:
      return ReadWide<int16_t, int64_t>(reader, scalar);
    case GgufType::kUint32:
      return ReadWide<uint32_t, uint64_t>(reader, scalar);
    case GgufType::kInt32:
      return ReadWide<int32_t, int64_t>(reader, scalar);
    case GgufType::kFloat32:
      return ReadWide<float, double>(reader, scalar);
    case GgufType::kBool:
      return ReadWide<uint8_t, bool>(reader, scalar);
    case GgufType::kUint64:
      return ReadWide<uint64_t, uint64_t>(reader, scalar);
    case GgufType::kInt64:
      return ReadWide<int64_t, int64_t>(reader, scalar);
    case GgufType::kFloat64:
      return ReadWide<double, double>(reader, scalar);
    case GgufType::kString: {
      std::string_view text;
      if (!reader.ReadString(std::numeric_limits<uint64_t>::max(), text)) {
        return false;
      }
      scalar = text;
      return true;
    }
    case GgufType::kArray:
      return false;
  }
  return false;
}

std::string Describe(const Scalar& scalar) {
  if (const auto* text = std::get_if<std::string_view>(&scalar)) {
    return Quoted(*text);
  }
  if (const auto* flag = std::get_if<bool>(&scalar)) {
    return *flag ? "true" : "false";
  }
  return std::visit(
      [](const auto& value) -> std::string {
        if constexpr (std::is_arithmetic_v<std::decay_t<decltype(value)>>) {
          return absl::StrCat(value);
        }
        return "";
      },
      scalar);
}

// Each Convert stores the scalar in `value` if it fits, and returns whether it
// does.

template <class T>
bool Convert(const Scalar& scalar, T& value) {
  static_assert(std::is_integral_v<T>);
  if (const auto* natural = std::get_if<uint64_t>(&scalar)) {
    if (!std::in_range<T>(*natural)) return false;
    value = static_cast<T>(*natural);
    return true;
  }
  if (const auto* integer = std::get_if<int64_t>(&scalar)) {
    if (!std::in_range<T>(*integer)) return false;
    value = static_cast<T>(*integer);
    return true;
  }
  return false;
}

bool Convert(const Scalar& scalar, bool& value) {
  const auto* flag = std::get_if<bool>(&scalar);
  if (flag == nullptr) return false;
  value = *flag;
  return true;
}

bool Convert(const Scalar& scalar, double& value) {
  if (const auto* real = std::get_if<double>(&scalar)) {
    value = *real;
  } else if (const auto* natural = std::get_if<uint64_t>(&scalar)) {
    value = static_cast<double>(*natural);
  } else if (const auto* integer = std::get_if<int64_t>(&scalar)) {
    value = static_cast<double>(*integer);
  } else {
    return false;
  }
  return true;
}

bool Convert(const Scalar& scalar, float& value) {
  double wide = 0.0;
  if (!Convert(scalar, wide)) return false;
  // NaN fails this comparison too.
  if (!(std::abs(wide) <= std::numeric_limits<float>::max())) return false;
  value = static_cast<float>(wide);
  return true;
}

bool Convert(const Scalar& scalar, std::string_view& value) {
  const auto* text = std::get_if<std::string_view>(&scalar);
  if (text == nullptr) return false;
  value = *text;
  return true;
}

template <class T>
std::string Wanted() {
  if constexpr (std::is_same_v<T, bool>) {
    return "a bool";
  } else if constexpr (std::is_same_v<T, float>) {
    return "a finite number";
  } else if constexpr (std::is_same_v<T, double>) {
    return "a number";
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    return "a string";
  } else {
    return IntegerWanted<T>();
  }
}

}  // namespace

std::string_view TypeName(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
      return "uint8";
    case GgufType::kInt8:
      return "int8";
    case GgufType::kUint16:
      return "uint16";
    case GgufType::kInt16:
      return "int16";
    case GgufType::kUint32:
      return "uint32";
    case GgufType::kInt32:
      return "int32";
    case GgufType::kFloat32:
      return "float32";
    case GgufType::kBool:
      return "bool";
    case GgufType::kString:
      return "string";
    case GgufType::kArray:
      return "array";
    case GgufType::kUint64:
      return "uint64";
    case GgufType::kInt64:
      return "int64";
    case GgufType::kFloat64:
      return "float64";
  }
  return "";
}

const GgufMetadata::Value* GgufMetadata::Find(std::string_view key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

bool GgufMetadata::IsArray(std::string_view key) const {
  const Value* value = Find(key);
  return value != nullptr && value->is_array;
}

std::optional<GgufType> GgufMetadata::TypeOf(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return std::nullopt;
  return value->type;
}

absl::Span<const uint8_t> GgufMetadata::RawValue(std::string_view key) const {
  const Value* value = Find(key);
  return value == nullptr ? absl::Span<const uint8_t>() : value->raw;
}

std::vector<std::string_view> GgufMetadata::Keys() const {
  std::vector<std::string_view> keys;
  keys.reserve(values_.size());
  for (const auto& [key, value] : values_) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

absl::Status GgufMetadata::Missing(std::string_view key) const {
  return absl::InvalidArgumentError(
      absl::StrCat(path_, ": no key ", Quoted(key)));
}

absl::Status GgufMetadata::Unexpected(std::string_view key, const Value& value,
                                      std::string_view wanted) const {
  std::string found;
  if (value.is_array) {
    found = absl::StrCat("an array of ", value.count, " values of type ",
                         TypeName(value.type));
  } else {
    CheckedReader reader(value.bytes);
    Scalar scalar;
    if (ReadScalar(reader, value.type, scalar)) found = Describe(scalar);
    absl::StrAppend(&found, " of type ", TypeName(value.type));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      path_, ": key ", Quoted(key), " is ", found, ", wanted ", wanted));
}

template <class T>
absl::Status GgufMetadata::ReadValue(std::string_view key, T& value) const {
  const Value* found = Find(key);
  if (found == nullptr) return absl::OkStatus();
  CheckedReader reader(found->bytes);
  Scalar scalar;
  if (found->is_array || !ReadScalar(reader, found->type, scalar) ||
      !Convert(scalar, value)) {
    return Unexpected(key, *found, Wanted<T>());
  }
  return absl::OkStatus();
}

template <class T>
absl::Status GgufMetadata::ReadArray(std::string_view key,
                                     std::vector<T>& value) const {
  const Value* found = Find(key);
  if (found == nullptr) return absl::OkStatus();
  if (!found->is_array) {
    return Unexpected(key, *found,
                      absl::StrCat("an array, each ", Wanted<T>()));
  }
  std::vector<T> elements;
  elements.reserve(static_cast<size_t>(found->count));
  CheckedReader reader(found->bytes);
  for (uint64_t i = 0; i < found->count; ++i) {
    Scalar scalar;
    T element{};
    if (!ReadScalar(reader, found->type, scalar) || !Convert(scalar, element)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path_, ": key ", Quoted(key), ": element ", i, " is ",
                       Describe(scalar), " of type ", TypeName(found->type),
                       ", wanted ", Wanted<T>()));
    }
    elements.push_back(element);
  }
  value = std::move(elements);
  return absl::OkStatus();
}

absl::Status GgufMetadata::Read(std::string_view key, bool& value) const {
  return ReadValue(key, value);
}
absl::Status GgufMetadata::Read(std::string_view key, int32_t& value) const {
  return ReadValue(key, value);
}
absl::Status GgufMetadata::Read(std::string_view key, int64_t& value) const {
  return ReadValue(key, value);
}
absl::Status GgufMetadata::Read(std::string_view key, uint32_t& value) const {
  return ReadValue(key, value);
}
absl::Status GgufMetadata::Read(std::string_view key, size_t& value) const {
  return ReadValue(key, value);
}
absl::Status GgufMetadata::Read(std::string_view key, float& value) const {
  return ReadValue(key, value);
}
absl::Status GgufMetadata::Read(std::string_view key,
                                std::string_view& value) const {
  return ReadValue(key, value);
}
absl::Status GgufMetadata::Read(std::string_view key,
                                std::string& value) const {
  std::string_view text = value;
  GEMMA_RETURN_IF_ERROR(ReadValue(key, text));
  value = std::string(text);
  return absl::OkStatus();
}
absl::Status GgufMetadata::Read(std::string_view key,
                                std::vector<bool>& value) const {
  return ReadArray(key, value);
}
absl::Status GgufMetadata::Read(std::string_view key,
                                std::vector<int32_t>& value) const {
  return ReadArray(key, value);
}
absl::Status GgufMetadata::Read(std::string_view key,
                                std::vector<int64_t>& value) const {
  return ReadArray(key, value);
}
absl::Status GgufMetadata::Read(std::string_view key,
                                std::vector<size_t>& value) const {
  return ReadArray(key, value);
}
absl::Status GgufMetadata::Read(std::string_view key,
                                std::vector<float>& value) const {
  return ReadArray(key, value);
}
absl::Status GgufMetadata::Read(std::string_view key,
                                std::vector<double>& value) const {
  return ReadArray(key, value);
}
absl::Status GgufMetadata::Read(std::string_view key,
                                std::vector<std::string_view>& value) const {
  return ReadArray(key, value);
}

}  // namespace gemma::internal
