#include "src/formats/tensor_values.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compression/codec.h"
#include "compression/codec_bytes.h"
#include "compression/codec_nuq.h"
#include "compression/half.h"
#include "src/base/checked_reader.h"
#include "src/base/sizes.h"

namespace gemma::internal {
namespace {

constexpr size_t kTablesAlignment = 64;

size_t NumTables(size_t values) { return DivideUp(values, NUQ::kBlockValues); }

// Returns the offset of the codes if all tables come first.
size_t TablesFirstBytes(size_t values) {
  const size_t tables = NumTables(values) * NUQ::kTableBytes;
  return RoundUp(tables, kTablesAlignment);
}

// Reads the values of a NUQ stream as SFP.
class NuqStream {
 public:
  NuqStream(const uint8_t* data, const Arrangement& arrangement)
      : data_(data),
        tables_first_(arrangement.tables_first),
        codes_(data + TablesFirstBytes(arrangement.stored_values)) {}

  uint8_t operator[](size_t i) const {
    const size_t block = i / NUQ::kBlockValues;
    const size_t within = i % NUQ::kBlockValues;
    if (tables_first_) {
      return NUQ::ToSfp(data_ + block * NUQ::kTableBytes,
                        codes_ + block * NUQ::kBlockValues / 2, within);
    }
    const uint8_t* table = data_ + block * NUQ::kBlockBytes;
    return NUQ::ToSfp(table, table + NUQ::kTableBytes, within);
  }

 private:
  const uint8_t* data_;
  bool tables_first_;
  const uint8_t* codes_;  // used only if tables_first_
};

// Calls row(first, out) for each innermost row of the arrangement. `first` and
// `out` are the indices of its first value in the file and in the result.
template <class Row>
void ForEachRow(const Arrangement& a, Row row) {
  size_t out = 0;
  for (size_t i = 0; i < a.sizes[0]; ++i) {
    for (size_t j = 0; j < a.sizes[1]; ++j) {
      row(a.begin + i * a.steps[0] + j * a.steps[1], out);
      out += a.sizes[2];
    }
  }
}

void ArrangeNuq(const Tensor& tensor, uint8_t* out) {
  const Arrangement& a = *tensor.arrangement;
  const NuqStream stream(tensor.data, a);
  ForEachRow(a, [&](size_t first, size_t to) {
    for (size_t k = 0; k < a.sizes[2]; ++k) {
      out[to + k] = stream[first + k * a.steps[2]];
    }
  });
}

// Moves the bytes of formats whose values are stored one by one.
void ArrangeBytes(const Tensor& tensor, uint8_t* out) {
  const Arrangement& a = *tensor.arrangement;
  const size_t size = BlockBytes(a.stored);
  ForEachRow(a, [&](size_t first, size_t to) {
    if (a.steps[2] == 1) {
      std::memcpy(out + to * size, tensor.data + first * size,
                  a.sizes[2] * size);
      return;
    }
    for (size_t k = 0; k < a.sizes[2]; ++k) {
      std::memcpy(out + (to + k) * size,
                  tensor.data + (first + k * a.steps[2]) * size, size);
    }
  });
}

// Decodes values, multiplies them and stores them as floats, in place. Works
// from the end of `bytes` to its beginning, so that no float overwrites a value
// that is still needed. Values have at least one byte each.
void MultiplyInPlace(Format format, size_t values, float scale,
                     uint8_t* bytes) {
  for (size_t i = values; i-- > 0;) {
    float value = 0;
    DecodeRow({format, 1, 1, bytes + i * BlockBytes(format)}, 0, &value);
    value *= scale;
    std::memcpy(bytes + i * sizeof(value), &value, sizeof(value));
  }
}

float Rounded(Format format, float value) {
  switch (format) {
    case Format::kF16:
      return HalfToFloat(FloatToHalf(value));
    case Format::kBF16:
      return BF16ToFloat(FloatToBF16(value));
    default:
      return value;
  }
}

// Writes values in F32, F16 or BF16. Unlike the codecs' Encode, this leaves
// what is not finite.
void WriteFloats(const std::vector<float>& values, Format format,
                 uint8_t* out) {
  if (format == Format::kF32) {
    std::memcpy(out, values.data(), values.size() * sizeof(float));
    return;
  }
  for (const float value : values) {
    WriteU16(format == Format::kF16 ? FloatToHalf(value) : FloatToBF16(value),
             out);
    out += sizeof(uint16_t);
  }
}

// Multiplies all rows with their scales.
void MultiplyByGrid(const Tensor& tensor, uint8_t* out) {
  const ScaleGrid& grid = *tensor.arrangement->grid;
  const size_t cols = tensor.shape.back();
  const WeightView stored = {tensor.arrangement->stored,
                             tensor.NumValues() / cols, cols, tensor.data};
  const WeightView scales = {grid.format,
                             DivideUp(stored.rows, grid.block_rows), grid.cols,
                             grid.data};
  std::vector<float> values(cols);
  std::vector<float> factors(grid.cols);
  for (size_t row = 0; row < stored.rows; ++row) {
    DecodeRow(stored, row, values.data());
    if (row % grid.block_rows == 0) {
      DecodeRow(scales, row / grid.block_rows, factors.data());
    }
    for (size_t begin = 0, block = 0; begin < cols;
         begin += grid.block_cols, ++block) {
      const size_t end = std::min(begin + grid.block_cols, cols);
      for (size_t i = begin; i < end; ++i) values[i] *= factors[block];
    }
    if (grid.rounds_products) {
      for (float& value : values) value = Rounded(grid.format, value);
    }
    WriteFloats(values, tensor.format, out);
    out += cols * BlockBytes(tensor.format);
  }
}

// Whether 16 SFP codes may be a table: zeros for unused entries, then values in
// ascending order.
bool IsTable(const uint8_t* table) {
  size_t i = 0;
  while (i < NUQ::kTableBytes && table[i] == 0) ++i;
  for (++i; i < NUQ::kTableBytes; ++i) {
    if (SFP::ToFloat(table[i]) < SFP::ToFloat(table[i - 1])) return false;
  }
  return true;
}

}  // namespace

void TensorValues::Free::operator()(void* p) const { std::free(p); }

absl::StatusOr<TensorValues> TensorValues::Read(const Tensor& tensor) {
  if (!tensor.arrangement.has_value()) return TensorValues(tensor.data);
  const Arrangement& a = *tensor.arrangement;
  const size_t values = tensor.NumValues();
  const size_t bytes = values * BlockBytes(tensor.format);
  Memory memory(static_cast<uint8_t*>(std::malloc(bytes)));
  if (memory == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat(tensor.file, ": no memory for ", bytes,
                     " bytes of a tensor that is to be arranged"));
  }
  if (a.grid.has_value()) {
    MultiplyByGrid(tensor, memory.get());
    return TensorValues(std::move(memory));
  }
  Format arranged = a.stored;
  if (a.stored == Format::kNUQ) {
    ArrangeNuq(tensor, memory.get());
    arranged = Format::kSFP;
  } else {
    ArrangeBytes(tensor, memory.get());
  }
  if (a.scale != 1.0f) {
    MultiplyInPlace(arranged, values, a.scale, memory.get());
  }
  return TensorValues(std::move(memory));
}

Format ArrangedFormat(const Arrangement& arrangement) {
  if (arrangement.scale != 1.0f) return Format::kF32;
  return arrangement.stored == Format::kNUQ ? Format::kSFP : arrangement.stored;
}

std::optional<uint64_t> StoredBytes(Format format, uint64_t values) {
  if (format != Format::kNUQ) return CheckedMul(values, BlockBytes(format));
  const uint64_t tables =
      values / NUQ::kBlockValues + (values % NUQ::kBlockValues != 0 ? 1 : 0);
  return CheckedAdd(tables * NUQ::kTableBytes, values / 2 + values % 2);
}

bool FitsNuq(size_t bytes, size_t values) {
  return StoredBytes(Format::kNUQ, values) == bytes ||
         TablesFirstBytes(values) + (values + 1) / 2 == bytes;
}

bool NuqTablesFirst(absl::Span<const uint8_t> bytes, size_t values) {
  constexpr size_t kSamples = 64;
  if (StoredBytes(Format::kNUQ, values) != bytes.size()) return true;
  const size_t tables = NumTables(values);
  const size_t step = std::max<size_t>(1, tables / kSamples);
  size_t first = 0;
  size_t inside = 0;
  for (size_t i = 0; i < tables; i += step) {
    first += IsTable(bytes.data() + i * NUQ::kTableBytes);
    inside += IsTable(bytes.data() + i * NUQ::kBlockBytes);
  }
  return first > inside;
}

}  // namespace gemma::internal
