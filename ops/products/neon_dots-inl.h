// What kernels with ARM's FEAT_DotProd for packed panels share. Their
// attributes hold for what is defined here: included in a namespace of each.
// Highway's functions and those of packed-inl.h, which are always inlined, need
// less.

namespace base = HWY_NAMESPACE;

// The vectors that hold a column of a panel.
inline constexpr size_t kParts = 4;
static_assert(base::kColVectors == kParts);

template <Layout kLayout>
inline constexpr size_t kGroups = base::kTileGroups<kLayout>;
template <Layout kLayout>
inline constexpr size_t kGroupVectors = kCodeVectors / kGroups<kLayout>;

// How far ahead of its use a panel is fetched.
inline constexpr size_t kAheadBytes = 4096;

// Keeps g++ from mixing what comes before and after it, which needs more
// registers than there are. The CPU mixes both.
HWY_INLINE void KeepInOrder() { __asm__ volatile(""); }

// Adds the products of code vector g of a tile, part v of its rows, and each
// row of x: 32 columns.
template <Layout kLayout, size_t g, base::CodeBits kPart, size_t kRows>
HWY_INLINE void AddCodes(const base::Tile& tile, size_t v,
                         const int8x16_t (&x)[kRows][2],
                         int32x4_t (&acc)[kRows]) {
  using D = base::Dot<kLayout, kPart>;
  const auto operand =
      D::Prepare(D::kIsPart ? base::BlockCodes<kLayout, g>(tile, v)
                            : base::Codes<kLayout, g>(tile, v));
  const int8x16_t w = D::kIsSigned ? operand.sign.raw
                                   : vreinterpretq_s8_u8(operand.magnitude.raw);
  HWY_UNROLL(2)
  for (size_t r = 0; r < kRows; ++r) {
    acc[r] = vdotq_laneq_s32(acc[r], w, x[r][g / 4], g % 4);
  }
}

// Computes acc[r], the products of group kGroup of a tile and row r of x, whose
// block and codes are given.
template <Layout kLayout, size_t kGroup, base::CodeBits kPart, size_t kRows,
          size_t... kVectors>
HWY_INLINE void GroupDots(const base::Tile& tile, size_t v,
                          const Int8Block* const (&blocks)[kRows],
                          const int8x16_t (&x)[kRows][2],
                          int32x4_t (&acc)[kRows],
                          std::index_sequence<kVectors...>) {
  HWY_UNROLL(2)
  for (size_t r = 0; r < kRows; ++r) {
    acc[r] = base::LessZero<kLayout, kGroup, kPart>(*blocks[r]).raw;
  }
  constexpr size_t kFirst = kGroup * kGroupVectors<kLayout>;
  (AddCodes<kLayout, kFirst + kVectors, kPart>(tile, v, x, acc), ...);
}
