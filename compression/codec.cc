#include "compression/codec.h"

#include <cstddef>
#include <cstdint>

#include "compression/codecs.h"

namespace gemma::internal {
namespace {

// Decodes one block of a row with the unit `unit`. Adds an offset only if the
// format has one, so that even the signs of zeros agree: -0 + 0 would be +0.
template <BlockCodec Codec>
void DecodeBlock(const uint8_t* block, float unit, float* out) {
  constexpr size_t kScales = Codec::kBlockValues / Codec::kScaleValues;
  int8_t codes[Codec::kBlockValues];
  float scales[kScales];
  float offsets[kScales];
  Codec::Unpack(block, codes, scales, offsets);
  for (size_t s = 0; s < kScales; ++s) {
    scales[s] *= unit;
    for (size_t i = 0; i < Codec::kScaleValues; ++i) {
      const size_t at = s * Codec::kScaleValues + i;
      out[at] = scales[s] * static_cast<float>(codes[at]);
      if constexpr (Codec::kHasOffset) out[at] += offsets[s];
    }
  }
}

template <class Codec>
void DecodeBlocks(const uint8_t* from, float unit, size_t size, float* out) {
  for (size_t i = 0; i < size; i += Codec::kBlockValues) {
    if constexpr (BlockCodec<Codec>) {
      DecodeBlock<Codec>(from, unit, out + i);
    } else if constexpr (BF16Codec<Codec>) {
      uint16_t values[Codec::kBlockValues];
      Codec::UnpackBF16(from, values);
      for (size_t j = 0; j < Codec::kBlockValues; ++j) {
        out[i + j] = BF16ToFloat(values[j]);
      }
    } else {
      out[i] = Codec::Decode(from);
    }
    from += Codec::kBlockBytes;
  }
}

}  // namespace

void DecodeRow(const WeightView& w, size_t row, float* out) {
  const uint8_t* unit = w.Row(row + 1) - RowUnitBytes(w.format);
  switch (w.format) {
#define GEMMA_DECODE_CASE(name, codec, ...)                                  \
  case Format::name:                                                         \
    return DecodeBlocks<codec>(                                              \
        w.Row(row),                                                          \
        RowUnitBytes(Format::name) != 0 ? BF16ToFloat(ReadU16(unit)) : 1.0f, \
        w.cols, out);
    GEMMA_FORMATS(GEMMA_DECODE_CASE)
#undef GEMMA_DECODE_CASE
  }
}

}  // namespace gemma::internal
