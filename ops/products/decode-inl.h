// Decodes packed panels to float32, column by column. Kernels include this file
// once per SIMD target.

#include <cstddef>
#include <cstdint>

#include "compression/weight_view.h"

#if defined(GEMMA_OPS_PRODUCTS_DECODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GEMMA_OPS_PRODUCTS_DECODE_INL_H_
#undef GEMMA_OPS_PRODUCTS_DECODE_INL_H_
#else
#define GEMMA_OPS_PRODUCTS_DECODE_INL_H_
#endif

#include "hwy/highway.h"
#include "ops/products/packed-inl.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A Decoder<layout> calls use(col, v, values) for each column of one unit of a
// panel (a few columns whose values lie together) and each of its kColVectors
// vectors, in ascending order of columns.
template <Layout kLayout>
struct Decoder;

template <>
struct Decoder<Layout::kF32> {
  static constexpr size_t kCols = 1;
  template <class Use>
  static HWY_INLINE void Unit(const uint8_t* HWY_RESTRICT at, Use use) {
    const float* from = reinterpret_cast<const float*>(at);
    for (size_t v = 0; v < kColVectors; ++v) {
      use(0, v, hn::Load(DF(), from + v * LanesF()));
    }
  }
};

template <>
struct Decoder<Layout::kF16> {
  static constexpr size_t kCols = 1;
  template <class Use>
  static HWY_INLINE void Unit(const uint8_t* HWY_RESTRICT at, Use use) {
    for (size_t v = 0; v < kColVectors; ++v) use(0, v, LoadHalves(at, v));
  }
};

template <>
struct Decoder<Layout::kBF16> {
  static constexpr size_t kCols = 2;
  template <class Use>
  static HWY_INLINE void Unit(const uint8_t* HWY_RESTRICT at, Use use) {
    const DU32 d;
    const auto* from = reinterpret_cast<const uint32_t*>(at);
    VU32 pairs[kColVectors];
    for (size_t v = 0; v < kColVectors; ++v) {
      pairs[v] = hn::Load(d, from + v * LanesF());
      use(0, v, hn::BitCast(DF(), hn::ShiftLeft<16>(pairs[v])));
    }
    for (size_t v = 0; v < kColVectors; ++v) {
      use(1, v, hn::BitCast(DF(), hn::And(pairs[v], hn::Set(d, 0xFFFF0000u))));
    }
  }
};

// Decodes a tile as the file format defines: scale * level + offset. The
// product is exact in float32, so fusing it changes nothing. `units` holds
// LoadUnits of all parts, if rows have units.
template <Layout kLayout, class Use>
HWY_INLINE void DecodeTile(const uint8_t* HWY_RESTRICT header, size_t group,
                           const Tile& tile, const VF* HWY_RESTRICT units,
                           Use use) {
  const DF df;
  const DU32 du32;
  const DI32 di32;
  constexpr size_t kGroups = kTileGroups<kLayout>;
  VF scale[kGroups * kColVectors];
  VF offset[kGroups * kColVectors];
  for (size_t i = 0; i < kGroups; ++i) {
    for (size_t v = 0; v < kColVectors; ++v) {
      LoadScale<kLayout>(header, group + i, v, scale[i * kColVectors + v],
                         offset[i * kColVectors + v]);
      if constexpr (TraitsOf(kLayout).has_row_units) {
        VF& of_row = scale[i * kColVectors + v];
        of_row = hn::Mul(of_row, units[v]);
      }
    }
  }
  Unroll<kCodeVectors>([&](auto g) GEMMA_LAMBDA {
    constexpr size_t kGroup = g * kGroups / kCodeVectors;
    VU32 codes[kColVectors];
    for (size_t v = 0; v < kColVectors; ++v)
      codes[v] = Codes<kLayout, g>(tile, v);
    for (size_t c = 0; c < 4; ++c) {
      for (size_t v = 0; v < kColVectors; ++v) {
        const VU32 code = hn::And(codes[v], hn::Set(du32, 0xFFu));
        codes[v] = hn::ShiftRight<8>(codes[v]);
        const VF level = hn::ConvertTo(
            df,
            hn::Sub(hn::BitCast(di32, code), hn::Set(di32, kZero<kLayout>)));
        const size_t at = kGroup * kColVectors + v;
        use(4 * g + c, v,
            TraitsOf(kLayout).has_offset
                ? hn::MulAdd(scale[at], level, offset[at])
                : hn::Mul(scale[at], level));
      }
    }
  });
}

// Calls use(col, v, values) for columns [begin, end) of a panel of w, with col
// counted from begin. begin is the first column of a unit or tile.
template <Layout kLayout, class Use>
HWY_INLINE void DecodeCols(const PackedView& w, size_t panel, size_t begin,
                           size_t end, Use use) {
  if constexpr (TraitsOf(kLayout).code_bits != 0) {
    size_t col = 0;
    VF units[kColVectors];
    if constexpr (TraitsOf(kLayout).has_row_units) {
      for (size_t v = 0; v < kColVectors; ++v) {
        units[v] = LoadUnits<kLayout>(w, panel, v);
      }
    }
    ForEachTile<kLayout>(w, panel, begin, end,
                         [&](const uint8_t* header, size_t group,
                             const Tile& tile) GEMMA_LAMBDA {
                           DecodeTile<kLayout>(
                               header, group, tile, units,
                               [&](size_t c, size_t v, VF values)
                                   GEMMA_LAMBDA { use(col + c, v, values); });
                           col += kTileCols;
                         });
  } else {
    using D = Decoder<kLayout>;
    const size_t size = end - begin;
    const uint8_t* at =
        w.Panel(panel) + begin / D::kCols * PanelBlockBytes(kLayout);
    size_t col = 0;
    for (; col + D::kCols <= size; col += D::kCols) {
      D::Unit(at, [&](size_t c, size_t v, VF values)
                      GEMMA_LAMBDA { use(col + c, v, values); });
      at += PanelBlockBytes(kLayout);
    }
    if (col == size) return;
    // The columns of the last unit, which may be partial.
    D::Unit(at, [&](size_t c, size_t v, VF values) GEMMA_LAMBDA {
      if (col + c < size) use(col + c, v, values);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#endif  // GEMMA_OPS_PRODUCTS_DECODE_INL_H_
