// Reads packed panels into vectors whose lanes are rows. Kernels include this
// file once per SIMD target.

#include <cstddef>
#include <cstdint>
#include <utility>

#include "compression/weight_view.h"
#include "ops/products/panel_reads.h"

#if defined(GEMMA_OPS_PRODUCTS_PACKED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GEMMA_OPS_PRODUCTS_PACKED_INL_H_
#undef GEMMA_OPS_PRODUCTS_PACKED_INL_H_
#else
#define GEMMA_OPS_PRODUCTS_PACKED_INL_H_
#endif

#include "hwy/cache_control.h"
#include "hwy/highway.h"

// Attributes of every lambda between a kernel and its vectors, which must stay
// in registers.
#ifndef GEMMA_LAMBDA
#define GEMMA_LAMBDA HWY_ATTR __attribute__((always_inline))
#endif

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most as many lanes as a panel has rows, so that a vector never spans two
// columns.
using DF = hn::CappedTag<float, kPanelRows>;
using DI32 = hn::RebindToSigned<DF>;
using DU32 = hn::RebindToUnsigned<DF>;
using DU8 = hn::Repartition<uint8_t, DF>;
using DI8 = hn::Repartition<int8_t, DF>;
using VF = hn::Vec<DF>;
using VI32 = hn::Vec<DI32>;
using VU32 = hn::Vec<DU32>;
using VU8 = hn::Vec<DU8>;

HWY_INLINE constexpr size_t LanesF() { return HWY_MAX_LANES_D(DF); }
// The vectors that hold a column of a panel.
inline constexpr size_t kColVectors = kPanelRows / HWY_MAX_LANES_D(DF);

// Calls body(std::integral_constant<size_t, i>()) for i = 0..kSize - 1.
template <class Body, size_t... kIndex>
HWY_INLINE void UnrollIndices(Body body, std::index_sequence<kIndex...>) {
  (body(std::integral_constant<size_t, kIndex>()), ...);
}
template <size_t kSize, class Body>
HWY_INLINE void Unroll(Body body) {
  UnrollIndices(body, std::make_index_sequence<kSize>());
}

// v << kBits, or v >> -kBits.
template <int kBits>
HWY_INLINE VU32 Shift(VU32 v) {
  if constexpr (kBits > 0) {
    return hn::ShiftLeft<kBits>(v);
  } else if constexpr (kBits < 0) {
    return hn::ShiftRight<-kBits>(v);
  } else {
    return v;
  }
}

// The levels of a layout with a table, shifted to be unsigned.
template <Layout kLayout>
struct UnsignedLevels {
  alignas(16) uint8_t values[16];

  constexpr UnsignedLevels() : values() {
    constexpr LayoutTraits kTraits = TraitsOf(kLayout);
    for (size_t i = 0; i < 16; ++i) {
      values[i] = static_cast<uint8_t>(kTraits.levels[i] + kTraits.zero);
    }
  }
};
template <Layout kLayout>
inline constexpr UnsignedLevels<kLayout> kUnsignedLevels;

// The code that stands for 0 in Codes().
template <Layout kLayout>
inline constexpr int kZero = TraitsOf(kLayout).zero;

// The codes of kTileCols columns of a panel.
struct Tile {
  const uint8_t* HWY_RESTRICT planes;  // in their block
  const uint8_t* HWY_RESTRICT rest;    // after the blocks, or null

  // Returns the tile of the same columns, `offset` bytes further.
  HWY_INLINE Tile At(size_t offset) const {
    return {planes + offset, rest == nullptr ? nullptr : rest + offset};
  }
};

// Loads vector `plane` of `planes`, part v of the rows.
HWY_INLINE VU32 LoadPlane(const uint8_t* HWY_RESTRICT planes, size_t plane,
                          size_t v) {
  return hn::LoadU(DU32(), reinterpret_cast<const uint32_t*>(
                               planes + plane * kCodeVectorBytes) +
                               v * LanesF());
}

// Returns the upper half of each byte, on ARM, which shifts bytes.
HWY_INLINE VU32 UpperHalves(VU32 v) {
  return hn::BitCast(DU32(), hn::ShiftRight<4>(hn::BitCast(DU8(), v)));
}

// As Codes, with only the bits that lie in the block.
template <Layout kLayout, size_t g>
HWY_INLINE VU32 BlockCodes(const Tile& tile, size_t v) {
  const DU32 d;
  const auto plane = [&](size_t i)
                         GEMMA_LAMBDA { return LoadPlane(tile.planes, i, v); };
  constexpr LayoutTraits kTraits = TraitsOf(kLayout);
  if constexpr (PlaneBits(kLayout) == 8) {
    return plane(g);
  } else {
    const VU32 low = HWY_ARCH_ARM && g >= 4
                         ? UpperHalves(plane(g % 4))
                         : hn::And(Shift<(g < 4 ? 0 : -4)>(plane(g % 4)),
                                   hn::Set(d, 0x0F0F0F0Fu));
    if constexpr (kTraits.levels != nullptr) {
      const DU8 d8;
      const auto table = hn::LoadDup128(d8, kUnsignedLevels<kLayout>.values);
      return hn::BitCast(d, hn::TableLookupBytes(table, hn::BitCast(d8, low)));
    } else if constexpr (PlaneBits(kLayout) == 5) {
      const VU32 high = Shift<4 - static_cast<int>(g)>(plane(4));
      return hn::OrAnd(low, high, hn::Set(d, 0x10101010u));
    } else if constexpr (PlaneBits(kLayout) == 6) {
      const VU32 high =
          Shift<4 - 2 * static_cast<int>(g % 4)>(plane(4 + g / 4));
      return hn::OrAnd(low, high, hn::Set(d, 0x30303030u));
    } else {
      return low;
    }
  }
}

// Returns code vector g of a tile, part v of the rows: lane r has the codes of
// row r at columns 4 * g to 4 * g + 3, lowest byte first. For a layout with a
// table, looks the codes up in it. See Layout.
template <Layout kLayout, size_t g>
HWY_INLINE VU32 Codes(const Tile& tile, size_t v) {
  const VU32 codes = BlockCodes<kLayout, g>(tile, v);
  if constexpr (RestBytes(kLayout) == 0) {
    return codes;
  } else {
    const VU32 lower =
        Shift<-2 * static_cast<int>(g % 4)>(LoadPlane(tile.rest, g / 4, v));
    return hn::OrAnd(Shift<2>(codes), lower, hn::Set(DU32(), 0x03030303u));
  }
}

// Fetches kBytes into the cache. They may lie beyond the matrix: a fetch never
// fails.
template <size_t kBytes>
HWY_INLINE void Fetch(const uint8_t* from) {
  for (size_t line = 0; line < kBytes; line += 64) {
#if HWY_ARCH_X86
    hwy::Prefetch(from + line);
#else  // where it does nothing
    __builtin_prefetch(from + line);
#endif
  }
}

// The bytes of a tile and its share of the header.
template <Layout kLayout>
inline constexpr size_t kTileStride = PanelBlockBytes(kLayout) /
                                      HWY_MAX(1, TraitsOf(kLayout).block_cols /
                                                     kTileCols);

// How far ahead of each tile of a panel to fetch: `ahead_bytes`, or a little
// more. A panel has `num_tiles` tiles, kBytes apart; `num_panels` panels,
// `stride` apart, are read side by side. After its last tile, the fetch goes on
// in the next panels.
template <size_t kBytes>
class Ahead {
 public:
  HWY_INLINE Ahead(size_t ahead_bytes, size_t num_tiles, size_t num_panels,
                   size_t stride) {
    const size_t tiles = hwy::DivCeil(ahead_bytes, kBytes);
    in_panel_ = tiles * kBytes;
    behind_ = in_panel_ + num_panels * stride - num_tiles * kBytes;
    num_in_panel_ = num_tiles - HWY_MIN(tiles, num_tiles);
  }

  HWY_INLINE size_t Of(size_t tile) const {
    return tile < num_in_panel_ ? in_panel_ : behind_;
  }

 private:
  size_t in_panel_;
  size_t behind_;
  size_t num_in_panel_;  // tiles whose fetch stays in the panel
};

HWY_INLINE VF LoadHalves(const uint8_t* HWY_RESTRICT from, size_t v) {
  const DF df;
  const hn::Rebind<hwy::float16_t, DF> d16;
  return hn::PromoteTo(
      df, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(from) +
                             v * LanesF()));
}

HWY_INLINE VF LoadBF16(const uint8_t* HWY_RESTRICT from, size_t v) {
  const hn::Rebind<hwy::bfloat16_t, DF> d16;
  return hn::PromoteTo(
      DF(), hn::LoadU(d16, reinterpret_cast<const hwy::bfloat16_t*>(from) +
                               v * LanesF()));
}

HWY_INLINE VF LoadSteps(const uint8_t* HWY_RESTRICT from, size_t v) {
  const hn::Rebind<int8_t, DF> d8;
  const auto steps =
      hn::LoadU(d8, reinterpret_cast<const int8_t*>(from) + v * LanesF());
  return hn::ConvertTo(DF(), hn::PromoteTo(DI32(), steps));
}

// As w.Panel and w.Rest, for whole blocks of codes. The traits of a layout that
// is a variable take longer to find than a few tiles take to read.
template <Layout kLayout>
HWY_INLINE const uint8_t* PanelOf(const PackedView& w, size_t panel) {
  constexpr size_t kBlockBytes = PanelBlockBytes(kLayout) + RestBytes(kLayout);
  constexpr size_t kUnitBytes = UnitBytes(kLayout);
  const size_t blocks = w.cols / TraitsOf(kLayout).block_cols;
  return w.data + panel * (blocks * kBlockBytes + kUnitBytes);
}
template <Layout kLayout>
HWY_INLINE const uint8_t* RestOf(const PackedView& w, size_t panel) {
  constexpr size_t kBlockBytes = PanelBlockBytes(kLayout);
  const size_t blocks = w.cols / TraitsOf(kLayout).block_cols;
  return PanelOf<kLayout>(w, panel) + blocks * kBlockBytes;
}

// Loads the units of part v of a panel's rows, for layouts that have them.
template <Layout kLayout>
HWY_INLINE VF LoadUnits(const PackedView& w, size_t panel, size_t v) {
  return LoadBF16(RestOf<kLayout>(w, panel), v);
}

// Loads the scale and offset of each row, part v, for a group of columns of a
// block. Leaves the offset unset if the layout has none. If rows have units,
// the scale is that of a unit of 1.
template <Layout kLayout>
HWY_INLINE void LoadScale(const uint8_t* HWY_RESTRICT header, size_t group,
                          size_t v, VF& scale, VF& offset) {
  constexpr LayoutTraits kTraits = TraitsOf(kLayout);
  constexpr size_t kParts = kTraits.has_offset ? 2 : 1;
  constexpr size_t kHalves = kPanelRows * sizeof(uint16_t);
  if constexpr (kTraits.has_row_units) {
    scale = LoadSteps(header + group * kPanelRows, v);
    return;
  }
  if constexpr (kTraits.has_bf16_scales) {
    scale = LoadBF16(header + group * kHalves, v);
    return;
  }
  scale = LoadHalves(header, v);
  if constexpr (kTraits.has_offset) offset = LoadHalves(header + kHalves, v);
  if constexpr (kTraits.IsSuper()) {
    const uint8_t* steps = header + kParts * (kHalves + group * kPanelRows);
    scale = hn::Mul(scale, LoadSteps(steps, v));
    if constexpr (kTraits.factor != 1.0f) {
      scale = hn::Mul(scale, hn::Set(DF(), kTraits.factor));
    }
    if constexpr (kTraits.has_offset) {
      offset = hn::Neg(hn::Mul(offset, LoadSteps(steps + kPanelRows, v)));
    }
  }
}

// The groups of columns of a tile that have scales of their own.
template <Layout kLayout>
inline constexpr size_t kTileGroups = kTileCols / TraitsOf(kLayout).scale_cols;

// Calls body(header, first_group, tile) for each tile of columns [begin, end)
// of a panel of w, multiples of kTileCols. The tile's groups are first_group +
// 0..kTileGroups - 1 of the header.
template <Layout kLayout, class Body>
HWY_INLINE void ForEachTile(const PackedView& w, size_t panel, size_t begin,
                            size_t end, Body body) {
  constexpr size_t kBlockCols = TraitsOf(kLayout).block_cols;
  constexpr size_t kTiles = kBlockCols / kTileCols;
  const uint8_t* block = PanelOf<kLayout>(w, panel) +
                         begin / kBlockCols * PanelBlockBytes(kLayout);
  const uint8_t* rest = nullptr;
  if constexpr (RestBytes(kLayout) != 0) {
    rest = RestOf<kLayout>(w, panel) + begin / kTileCols * RestBytes(kLayout);
  }
  size_t tile = begin % kBlockCols / kTileCols;
  for (size_t col = begin; col < end; col += kTileCols) {
    body(block, tile * kTileGroups<kLayout>,
         Tile{block + HeaderBytes(kLayout) + tile * TileBytes(kLayout), rest});
    if constexpr (RestBytes(kLayout) != 0) rest += RestBytes(kLayout);
    if (++tile == kTiles) {
      tile = 0;
      block += PanelBlockBytes(kLayout);
    }
  }
}

// Returns the sums of part v of a panel, plus the bias, which begins at its
// first row. `rows` is the number of the matrix's rows from this panel on.
HWY_INLINE VF AddBias(VF sum, size_t v, const float* bias, size_t rows) {
  const size_t first = HWY_MIN(rows, v * LanesF());
  return hn::Add(sum, hn::LoadN(DF(), bias + first, rows - first));
}

// Writes the sums of part v of a panel, plus the bias if it is not null, to the
// panel's row of out. `rows` is the number of the matrix's rows from this panel
// on.
HWY_INLINE void StorePart(VF sum, size_t v, const float* bias, size_t rows,
                          float* HWY_RESTRICT out) {
  const DF df;
  if (rows <= v * LanesF()) return;
  const size_t count = rows - v * LanesF();
  if (bias != nullptr) sum = AddBias(sum, v, bias, rows);
  if (count >= LanesF()) {
    hn::StoreU(sum, df, out + v * LanesF());
  } else {
    hn::StoreN(sum, df, out + v * LanesF(), count);
  }
}

// Calls StorePart for all parts.
HWY_INLINE void StoreSums(const VF* HWY_RESTRICT sums, const float* bias,
                          size_t rows, float* HWY_RESTRICT out) {
  for (size_t v = 0; v < kColVectors; ++v) {
    StorePart(sums[v], v, bias, rows, out);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#endif  // GEMMA_OPS_PRODUCTS_PACKED_INL_H_
