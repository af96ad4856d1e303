// Unpacks the codes of panels to bytes on AVX2 and AVX-512 VNNI and, as signed
// levels, on the latter and 64-bit ARM. Kernels include this file once per SIMD
// target.

#include <cstddef>
#include <cstdint>

#include "ops/products/unpacked_panels.h"

#if defined(GEMMA_OPS_PRODUCTS_UNPACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GEMMA_OPS_PRODUCTS_UNPACK_INL_H_
#undef GEMMA_OPS_PRODUCTS_UNPACK_INL_H_
#else
#define GEMMA_OPS_PRODUCTS_UNPACK_INL_H_
#endif

#include "hwy/highway.h"
#include "ops/products/packed-inl.h"

// One target of ARM's is enough.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3_DL || \
    (HWY_ARCH_ARM_A64 && HWY_TARGET == HWY_STATIC_TARGET)
HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_ARCH_ARM_A64

// Stores signed levels of code vectors g and g + 1.
template <Layout kLayout, size_t g>
HWY_INLINE void StoreLevels(const Tile& tile, size_t v, bool pairs,
                            uint8_t* HWY_RESTRICT out) {
  const DU8 du8;
  const DU32 du32;
  const auto zero = hn::Set(du8, static_cast<uint8_t>(kZero<kLayout>));
  VU8 a = hn::Sub(hn::BitCast(du8, Codes<kLayout, g>(tile, v)), zero);
  VU8 b = hn::Sub(hn::BitCast(du8, Codes<kLayout, g + 1>(tile, v)), zero);
  size_t step = kCodeVectorBytes;
  out += g * kCodeVectorBytes + v * 4 * LanesF();
  if (pairs) {
    const VU32 a32 = hn::BitCast(du32, a);
    const VU32 b32 = hn::BitCast(du32, b);
    a = hn::BitCast(du8, hn::InterleaveLower(du32, a32, b32));
    b = hn::BitCast(du8, hn::InterleaveUpper(du32, a32, b32));
    step = 4 * LanesF();
    out += v * step;
  }
  hn::Store(a, du8, out);
  hn::Store(b, du8, out + step);
}

template <Layout kLayout>
HWY_INLINE void StoreTile(const Tile& tile, CodeForm form,
                          uint8_t* HWY_RESTRICT out) {
  Unroll<kCodeVectors / 2>([&](auto i) GEMMA_LAMBDA {
    for (size_t v = 0; v < kColVectors; ++v) {
      StoreLevels<kLayout, 2 * i>(tile, v, form == CodeForm::kPairs, out);
    }
  });
}

#else

// Stores a code vector, or its signed levels: on AVX2 in 16 bits, on AVX-512
// VNNI in 8.
template <Layout kLayout>
HWY_INLINE void StoreCodes(VU32 codes, [[maybe_unused]] CodeForm form,
                           size_t vector, size_t v, uint8_t* HWY_RESTRICT out) {
  const DU8 du8;
  VU8 code = hn::BitCast(du8, codes);
  uint8_t* to = out + vector * kCodeVectorBytes + v * 4 * LanesF();
  const VU8 zero = hn::Set(du8, static_cast<uint8_t>(kZero<kLayout>));
  if constexpr (HWY_TARGET == HWY_AVX3_DL) {
    if (form == CodeForm::kLevels) code = hn::Sub(code, zero);
  } else if constexpr (!IsNarrow(kLayout)) {
    if (form == CodeForm::kWide) {
      const hn::Repartition<int16_t, DF> d16;
      const auto level = hn::BitCast(d16, hn::Sub(code, zero));
      to += vector * kCodeVectorBytes;
      hn::Store(hn::BitCast(du8, hn::ShiftRight<8>(hn::ShiftLeft<8>(level))),
                du8, to);
      code = hn::BitCast(du8, hn::ShiftRight<8>(level));
      to += kCodeVectorBytes;
    }
  }
  hn::Store(code, du8, to);
}

template <Layout kLayout>
HWY_INLINE void StoreTile(const Tile& tile, CodeForm form,
                          uint8_t* HWY_RESTRICT out) {
  Unroll<kCodeVectors>([&](auto g) GEMMA_LAMBDA {
    for (size_t v = 0; v < kColVectors; ++v) {
      StoreCodes<kLayout>(Codes<kLayout, g>(tile, v), form, g, v, out);
    }
  });
}

#endif

template <Layout kLayout>
HWY_NOINLINE void UnpackCols(const PackedView& w, size_t panel, size_t begin,
                             size_t end, CodeForm form, const uint8_t* next,
                             const UnpackedMemory& out) {
  if constexpr (TraitsOf(kLayout).code_bits != 0) {
    const DF df;
    form = FormOf(kLayout, form);
    const size_t widths = form == CodeForm::kWide ? 2 : 1;
    const size_t vectors = kCodeVectors * widths;
    HWY_ASSERT(begin < end && end - begin <= out.cols / widths);
    uint8_t* HWY_RESTRICT codes = out.codes;
    float* HWY_RESTRICT scales = out.scales;
    float* HWY_RESTRICT offsets = out.offsets;
    [[maybe_unused]] int32_t* HWY_RESTRICT steps = out.steps;
    ForEachTile<kLayout>(
        w, panel, begin, end,
        [&](const uint8_t* header, size_t group, const Tile& tile)
            GEMMA_LAMBDA {
              if (next != nullptr) {
                Fetch<kTileStride<kLayout>>(next);
                next += kTileStride<kLayout>;
              }
              StoreTile<kLayout>(tile, form, codes);
              codes += vectors * kCodeVectorBytes;
              for (size_t i = 0; i < kTileGroups<kLayout>; ++i) {
                for (size_t v = 0; v < kColVectors; ++v) {
                  VF scale, offset;
                  LoadScale<kLayout>(header, group + i, v, scale, offset);
                  hn::Store(scale, df, scales + v * LanesF());
                  if constexpr (TraitsOf(kLayout).has_offset) {
                    hn::Store(offset, df, offsets + v * LanesF());
                  } else if constexpr (HWY_TARGET == HWY_AVX2 &&
                                       TraitsOf(kLayout).has_row_units) {
                    const DI32 di32;
                    const auto step = hn::ConvertTo(di32, scale);
                    hn::Store(hn::OrAnd(hn::ShiftLeft<16>(step), step,
                                        hn::Set(di32, 0xFFFF)),
                              di32, steps + v * LanesF());
                  }
                }
                scales += kPanelRows;
                offsets += kPanelRows;
                steps += kPanelRows;
              }
            });
    for (size_t v = 0; v < kColVectors; ++v) {
      VF units = hn::Set(df, 1.0f);
      if constexpr (TraitsOf(kLayout).has_row_units) {
        units = LoadUnits<kLayout>(w, panel, v);
      }
      hn::Store(units, df, out.units + v * LanesF());
    }
  } else {
    HWY_ASSERT(false);  // no codes
  }
}

void UnpackOnTarget(const PackedView& w, size_t panel, size_t begin, size_t end,
                    CodeForm form, const uint8_t* next,
                    const UnpackedMemory& out) {
  switch (w.layout) {
#define GEMMA_LAYOUT_CASE(layout) \
  case Layout::layout:            \
    return UnpackCols<Layout::layout>(w, panel, begin, end, form, next, out);
    GEMMA_LAYOUTS(GEMMA_LAYOUT_CASE)
#undef GEMMA_LAYOUT_CASE
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET

#endif  // GEMMA_OPS_PRODUCTS_UNPACK_INL_H_
