// Adds a few weighted rows of a matrix: the decoder of a sparse autoencoder.
#include "compression/half.h"
#include "ops/ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/add_rows.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// out[i] += factor * load(df, i, count) for vectors of `count` values; the last
// may be shorter.
template <class DF, class Load>
HWY_INLINE void AddScaled(DF df, float factor, Load load, size_t size,
                          float* HWY_RESTRICT out) {
  const auto factors = hn::Set(df, factor);
  for (size_t i = 0; i < size; i += hn::Lanes(df)) {
    const size_t count = HWY_MIN(hn::Lanes(df), size - i);
    const auto sum =
        hn::MulAdd(factors, load(i, count), hn::LoadN(df, out + i, count));
    hn::StoreN(sum, df, out + i, count);
  }
}

void AddF32(const uint8_t* HWY_RESTRICT row, float factor, size_t size,
            float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> df;
  const auto* from = reinterpret_cast<const float*>(row);
  AddScaled(
      df, factor,
      [&](size_t i, size_t count)
          HWY_ATTR { return hn::LoadN(df, from + i, count); },
      size, out);
}

void AddBF16(const uint8_t* HWY_RESTRICT row, float factor, size_t size,
             float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<hwy::bfloat16_t, decltype(df)> d16;
  const auto* from = reinterpret_cast<const hwy::bfloat16_t*>(row);
  AddScaled(
      df, factor,
      [&](size_t i, size_t count) HWY_ATTR {
        return hn::PromoteTo(df, hn::LoadN(d16, from + i, count));
      },
      size, out);
}

// The product of scale and code is exact in float32.
void AddQ8_0(const uint8_t* HWY_RESTRICT row, float factor, size_t size,
             float* HWY_RESTRICT out) {
  constexpr size_t kCols = BlockValues(Format::kQ8_0);
  const hn::CappedTag<float, kCols> df;
  const hn::RebindToSigned<decltype(df)> d32;
  const hn::Rebind<int8_t, decltype(df)> d8;
  for (size_t col = 0; col < size; col += kCols) {
    uint16_t half;
    hwy::CopyBytes<sizeof(half)>(row, &half);
    const auto scale = hn::Set(df, HalfToFloat(half));
    const auto* codes = reinterpret_cast<const int8_t*>(row + sizeof(half));
    AddScaled(
        df, factor,
        [&](size_t i, size_t) HWY_ATTR {
          // Blocks are whole, though out may end within one.
          const auto code = hn::PromoteTo(d32, hn::LoadU(d8, codes + i));
          return hn::Mul(scale, hn::ConvertTo(df, code));
        },
        HWY_MIN(kCols, size - col), out + col);
    row += BlockBytes(Format::kQ8_0);
  }
}

void AddRow(Format format, const uint8_t* HWY_RESTRICT row, float factor,
            size_t size, float* HWY_RESTRICT out) {
  if (format == Format::kF32) return AddF32(row, factor, size, out);
  if (format == Format::kBF16) return AddBF16(row, factor, size, out);
  AddQ8_0(row, factor, size, out);
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(AddRow);

void AddRows(const WeightView& w, std::span<const SparseValue> rows,
             std::span<float> out) {
  HWY_ASSERT(w.format == Format::kF32 || w.format == Format::kBF16 ||
             w.format == Format::kQ8_0);
  HWY_ASSERT(out.size() <= w.cols);
  for (const SparseValue& row : rows) {
    HWY_ASSERT(row.index < w.rows);
    HWY_DYNAMIC_DISPATCH(AddRow)
    (w.format, w.Row(row.index), row.value, out.size(), out.data());
  }
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
