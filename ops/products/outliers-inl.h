// Decodes single columns of packed panels, for the products of outliers.
// Kernels include this file once per SIMD target.

#include <cstddef>
#include <cstdint>
#include <span>

#if defined(GEMMA_OPS_PRODUCTS_OUTLIERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GEMMA_OPS_PRODUCTS_OUTLIERS_INL_H_
#undef GEMMA_OPS_PRODUCTS_OUTLIERS_INL_H_
#else
#define GEMMA_OPS_PRODUCTS_OUTLIERS_INL_H_
#endif

#include "hwy/highway.h"
#include "ops/products/int8_dot-inl.h"
#include "ops/products/packed-inl.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Where a column of a panel lies.
struct ColPlace {
  const uint8_t* HWY_RESTRICT header;
  size_t group;  // of the header
  Tile tile;
  size_t col;                         // of the tile
  const uint8_t* HWY_RESTRICT after;  // the blocks of the panel

  // Returns the place of the same column, `offset` bytes further.
  HWY_INLINE ColPlace At(size_t offset) const {
    return {header + offset, group, tile.At(offset), col, after + offset};
  }
};

// Finds columns in the panels of a matrix.
template <Layout kLayout>
class PanelPlaces {
 public:
  HWY_INLINE explicit PanelPlaces(const PackedView& w)
      : data_(w.data),
        blocks_(static_cast<size_t>(RestOf<kLayout>(w, 0) - w.data)),
        stride_(static_cast<size_t>(PanelOf<kLayout>(w, 1) - w.data)) {}

  HWY_INLINE size_t stride() const { return stride_; }

  HWY_INLINE ColPlace PlaceOf(size_t panel, size_t col) const {
    constexpr size_t kBlockCols = TraitsOf(kLayout).block_cols;
    constexpr size_t kScaleCols = TraitsOf(kLayout).scale_cols;
    constexpr size_t kBlockBytes = PanelBlockBytes(kLayout);
    constexpr size_t kHeaderBytes = HeaderBytes(kLayout);
    constexpr size_t kTileBytes = TileBytes(kLayout);
    constexpr size_t kRestBytes = RestBytes(kLayout);
    const uint8_t* const begin = data_ + panel * stride_;
    const uint8_t* const after = begin + blocks_;
    const uint8_t* const block = begin + col / kBlockCols * kBlockBytes;
    const size_t tile = col % kBlockCols / kTileCols;
    return {block,
            col % kBlockCols / kScaleCols,
            {block + kHeaderBytes + tile * kTileBytes,
             kRestBytes == 0 ? nullptr : after + col / kTileCols * kRestBytes},
            col % kTileCols,
            after};
  }

 private:
  const uint8_t* data_;
  size_t blocks_;  // bytes of a panel's blocks
  size_t stride_;
};

// Returns the codes of a column, part v of the rows, as Codes or BlockCodes
// returns those of four columns.
template <Layout kLayout, CodeBits kPart>
HWY_INLINE VI32 ColCodes(const ColPlace& place, size_t v) {
  const DU32 d;
  const size_t g = place.col / 4;
  const size_t first = place.col % 4 * 8;  // bit of the column's byte
  const auto bits = [&](const uint8_t* planes, size_t plane, size_t bit,
                        uint32_t mask) GEMMA_LAMBDA {
    return hn::And(hn::ShiftRightSame(LoadPlane(planes, plane, v),
                                      static_cast<int>(first + bit)),
                   hn::Set(d, mask));
  };
  VU32 codes;
  if constexpr (PlaneBits(kLayout) == 8) {
    codes = bits(place.tile.planes, g, 0, 0xFF);
  } else {
    codes = bits(place.tile.planes, g % 4, g / 4 * 4, 0xF);
    if constexpr (TraitsOf(kLayout).levels != nullptr) {
      const DU8 d8;
      const auto table = hn::LoadDup128(d8, kUnsignedLevels<kLayout>.values);
      codes = hn::And(
          hn::BitCast(d, hn::TableLookupBytes(table, hn::BitCast(d8, codes))),
          hn::Set(d, 0xFF));
    } else if constexpr (PlaneBits(kLayout) == 5) {
      codes = hn::Or(codes, hn::ShiftLeft<4>(bits(place.tile.planes, 4, g, 1)));
    } else if constexpr (PlaneBits(kLayout) == 6) {
      codes = hn::Or(codes, hn::ShiftLeft<4>(bits(place.tile.planes, 4 + g / 4,
                                                  g % 4 * 2, 3)));
    }
  }
  if constexpr (RestBytes(kLayout) != 0 && kPart == CodeBits::kAll) {
    codes = hn::Or(hn::ShiftLeft<2>(codes),
                   bits(place.tile.rest, g / 4, g % 4 * 2, 3));
  }
  return hn::BitCast(DI32(), codes);
}

// Returns the values of a column, part v of the rows, as DecodeTile does.
template <Layout kLayout>
HWY_INLINE VF ColValues(const ColPlace& place, size_t v) {
  VF scale;
  VF offset;
  LoadScale<kLayout>(place.header, place.group, v, scale, offset);
  if constexpr (TraitsOf(kLayout).has_row_units) {
    scale = hn::Mul(scale, LoadBF16(place.after, v));
  }
  const VF level =
      hn::ConvertTo(DF(), hn::Sub(ColCodes<kLayout, CodeBits::kAll>(place, v),
                                  hn::Set(DI32(), kZero<kLayout>)));
  if constexpr (TraitsOf(kLayout).has_offset) {
    return hn::MulAdd(scale, level, offset);
  } else {
    return hn::Mul(scale, level);
  }
}

// Adds the products of a row's outliers with a panel to part v of their sums.
template <Layout kLayout>
HWY_INLINE VF AddOutliers(const PanelPlaces<kLayout>& places,
                          std::span<const Outlier> outliers, size_t panel,
                          size_t v, VF sum) {
  for (const Outlier& outlier : outliers) {
    sum = hn::MulAdd(hn::Set(DF(), outlier.value),
                     ColValues<kLayout>(places.PlaceOf(panel, outlier.at), v),
                     sum);
  }
  return sum;
}

// As ColValues, for kU8Split: the lower bits of all codes count as `lower`.
template <Layout kLayout>
HWY_INLINE VF UpperColValues(const ColPlace& place, size_t v, float lower) {
  static_assert(RestBytes(kLayout) != 0);
  const DF df;
  VF scale;
  VF unused;
  LoadScale<kLayout>(place.header, place.group, v, scale, unused);
  const VF upper =
      hn::ConvertTo(df, ColCodes<kLayout, CodeBits::kInBlock>(place, v));
  const VF level =
      hn::MulAdd(hn::Set(df, 4.0f), upper, hn::Set(df, lower - kZero<kLayout>));
  return hn::Mul(scale, level);
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#endif  // GEMMA_OPS_PRODUCTS_OUTLIERS_INL_H_
