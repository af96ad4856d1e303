#include "src/formats/gguf_types.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/checked_reader.h"

namespace gemma::internal {
namespace {

constexpr uint64_t kMaxPackedCols = uint64_t{1} << 32;

struct RowType {
  int number;
  Format format;
};
constexpr RowType kRowTypes[] = {
#define GEMMA_ROW_TYPE(name, codec, text, values, bytes, layout, number) \
  {number, Format::name},
    GEMMA_FORMATS(GEMMA_ROW_TYPE)
#undef GEMMA_ROW_TYPE
};

// Numbers never change meaning: a changed layout gets a new number.
struct PackedType {
  uint32_t number;
  Format format;
  Layout layout;
};
constexpr PackedType kPackedTypes[] = {
    {0x6E00, Format::kF32, Layout::kF32},
    {0x6E01, Format::kF16, Layout::kF16},
    {0x6E02, Format::kBF16, Layout::kBF16},
    {0x6E03, Format::kQ8_0, Layout::kU8},
    {0x6E04, Format::kQ8_0, Layout::kU8Split},
    {0x6E05, Format::kQ4_0, Layout::kU4},
    {0x6E06, Format::kQ4_1, Layout::kU4Offset},
    {0x6E07, Format::kQ5_0, Layout::kU5},
    {0x6E08, Format::kQ5_1, Layout::kU5Offset},
    {0x6E09, Format::kQ2_K, Layout::kU4SuperOffset16},
    {0x6E0A, Format::kQ3_K, Layout::kU4Super16},
    {0x6E0B, Format::kQ4_K, Layout::kU4SuperOffset},
    {0x6E0C, Format::kQ5_K, Layout::kU5SuperOffset},
    {0x6E0D, Format::kQ6_K, Layout::kU6Super16},
    {0x6E0E, Format::kIQ4_NL, Layout::kU4Table},
    {0x6E0F, Format::kIQ4_XS, Layout::kU4SuperTable},
    {0x6E10, Format::kN4_32, Layout::kN4Row},
    {0x6E11, Format::kN4_16, Layout::kN4Row16},
    {0x6E12, Format::kN6_16, Layout::kU6Row16},
    {0x6E13, Format::kN5_16, Layout::kU5Row16},
    {0x6E14, Format::kIQ2_XXS, Layout::kIQ2Super},
    {0x6E15, Format::kIQ2_XS, Layout::kIQ2Super16},
    {0x6E16, Format::kIQ2_S, Layout::kIQ2Super16},
    {0x6E17, Format::kIQ3_XXS, Layout::kIQ3XXSSuper},
    {0x6E18, Format::kIQ3_S, Layout::kIQ3SSuper},
    {0x6E19, Format::kMXFP4, Layout::kE2M1Scaled},
    {0x6E1A, Format::kNVFP4, Layout::kE2M1Scaled16},
};

// ggml's names and numbers (ggml.h, enum ggml_type).
constexpr NamedGgufType kUnreadTypes[] = {
    {4, "Q4_2"},        {5, "Q4_3"},        {9, "Q8_1"},
    {15, "Q8_K"},       {19, "IQ1_S"},      {24, "I8"},
    {25, "I16"},        {26, "I32"},        {27, "I64"},
    {29, "IQ1_M"},      {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},
    {33, "Q4_0_8_8"},   {34, "TQ1_0"},      {35, "TQ2_0"},
    {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"},
    {41, "Q1_0"},
};

// Returns the bytes of a tensor whose rows are whole blocks, or nothing on
// overflow.
std::optional<uint64_t> RowBytesOf(const Tensor& tensor) {
  std::optional<uint64_t> values = 1;
  for (size_t size : tensor.shape) {
    if (values.has_value()) values = CheckedMul(*values, size);
  }
  if (!values.has_value()) return std::nullopt;
  return CheckedMul(*values / BlockValues(tensor.format),
                    BlockBytes(tensor.format));
}

// The same for packed matrices, one after the other. A vector counts as one
// row.
std::optional<uint64_t> PackedBytesOf(const Tensor& tensor) {
  const size_t dims = tensor.shape.size();
  const uint64_t rows = dims < 2 ? 1 : tensor.shape[dims - 2];
  if (tensor.shape.back() > kMaxPackedCols) return std::nullopt;
  std::optional<uint64_t> bytes =
      CheckedMul(rows / kPanelRows + (rows % kPanelRows != 0),
                 PanelBytes(*tensor.packed, tensor.shape.back()));
  for (size_t i = 0; i + 2 < dims; ++i) {
    if (bytes.has_value()) bytes = CheckedMul(*bytes, tensor.shape[i]);
  }
  return bytes;
}

}  // namespace

std::optional<GgufTensorType> GgufTypeOf(uint32_t number) {
  for (const RowType& type : kRowTypes) {
    if (type.number != kNoNumber &&
        static_cast<uint32_t>(type.number) == number) {
      return GgufTensorType{type.format, std::nullopt};
    }
  }
  for (const PackedType& type : kPackedTypes) {
    if (type.number == number) return GgufTensorType{type.format, type.layout};
  }
  return std::nullopt;
}

std::optional<uint32_t> GgufTypeNumber(Format format) {
  for (const RowType& type : kRowTypes) {
    if (type.format == format && type.number != kNoNumber) {
      return static_cast<uint32_t>(type.number);
    }
  }
  return std::nullopt;
}

uint32_t GgufTypeNumber(Format format, Layout packed) {
  for (const PackedType& type : kPackedTypes) {
    if (type.format == format && type.layout == packed) return type.number;
  }
  return 0;
}

std::optional<uint64_t> GgufTensorBytes(const Tensor& tensor) {
  return tensor.packed.has_value() ? PackedBytesOf(tensor) : RowBytesOf(tensor);
}

std::vector<NamedGgufType> ReadGgufTypes() {
  std::vector<NamedGgufType> types;
  for (const RowType& type : kRowTypes) {
    if (type.number == kNoNumber) continue;
    types.push_back(
        {static_cast<uint32_t>(type.number), FormatName(type.format)});
  }
  return types;
}

absl::Span<const NamedGgufType> UnreadGgufTypes() { return kUnreadTypes; }

std::string KnownGgufTypes() {
  return absl::StrJoin(
      ReadGgufTypes(), ", ", [](std::string* out, const NamedGgufType& type) {
        absl::StrAppend(out, type.name, " (", type.number, ")");
      });
}

}  // namespace gemma::internal
