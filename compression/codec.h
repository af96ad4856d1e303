// The definition of a codec, and decoding of rows by format.
//
// A codec of a block format is a struct with
//   kBlockValues, kBlockBytes   as in the table of format.h
//   kScaleValues                consecutive values that share a scale: 16 or 32
//   kHasOffset                  whether values have an offset besides the scale
//   static void Unpack(const uint8_t* block, int8_t* codes, float* scales,
//                      float* offsets);
// Unpack writes kBlockValues codes and kBlockValues / kScaleValues scales and
// offsets (zeros where kHasOffset is false) such that
//   value[i] = scales[i / kScaleValues] * codes[i] + offsets[i / kScaleValues]
// equals, bit for bit, the value that the Python package `gguf` dequantises.
// The product is exact in float32 in every format, so it may also be fused.
// (Without kHasOffset nothing is added, because -0 + 0 would be +0.) Where rows
// have a unit (RowUnitBytes), scales are those of a unit of 1. A codec of
// blocks of 256 values also has
//   static SuperScales Scales(const uint8_t* block);
// which returns the same scales before multiplication by their units and the
// layout's factor. A codec with a bfloat16 for each scale also has
//   static uint16_t ScaleBF16(uint8_t byte);
// which returns the scale that a byte stands for. Blocks begin with these.
//
// F64, F32, F16 and BF16 have `static float Decode(const uint8_t* value)`
// instead.
//
// A codec whose values are all bfloat16, and are packed as such, has
//   static void UnpackBF16(const uint8_t* block, uint16_t* values);
// instead, which writes kBlockValues values.

#ifndef GEMMA_COMPRESSION_CODEC_H_
#define GEMMA_COMPRESSION_CODEC_H_

#include "compression/weight_view.h"

namespace gemma::internal {

// Decodes row `row` of w into out[0..w.cols).
void DecodeRow(const WeightView& w, size_t row, float* out);

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_H_
