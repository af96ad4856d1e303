// The kernels of MatMul for quantized weights and activations rounded to int8.
// Four products of bytes are summed by one instruction where the CPU has it,
// else by two or three.

#include "ops/mat_mul_kernels.h"

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/mat_mul_int8.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"
#include "ops/packed-inl.h"

// ---- 2. Vectors, no threads.
HWY_BEFORE_NAMESPACE();
namespace gemma {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void QuantizeOnTarget(std::span<const float> x, Int8Block* HWY_RESTRICT out) {
  const hn::CappedTag<float, kTileCols> df;
  const hn::RebindToSigned<decltype(df)> di32;
  const hn::Rebind<int8_t, decltype(df)> d8;
  const size_t N = hn::Lanes(df);
  for (size_t begin = 0; begin < x.size(); begin += kTileCols, ++out) {
    const float* HWY_RESTRICT from = x.data() + begin;
    auto largest = hn::Zero(df);
    for (size_t i = 0; i < kTileCols; i += N) {
      largest = hn::Max(largest, hn::Abs(hn::LoadU(df, from + i)));
    }
    const float scale = hn::ReduceMax(df, largest) / 127.0f;
    const auto inverse = hn::Set(df, scale > 0.0f ? 1.0f / scale : 0.0f);
    // In case 1 / scale is infinite.
    const auto limit = hn::Set(df, 127.0f);
    int32_t sums[2] = {};
    for (size_t i = 0; i < kTileCols; i += N) {
      const auto scaled = hn::Mul(hn::LoadU(df, from + i), inverse);
      const auto codes =
          hn::NearestInt(hn::Clamp(scaled, hn::Neg(limit), limit));
      sums[2 * i / kTileCols] += hn::ReduceSum(di32, codes);
      hn::StoreU(hn::DemoteTo(d8, codes), d8, out->codes + i);
    }
    if (N == kTileCols) {  // one vector spans both halves
      sums[0] = sums[1] = 0;
      for (size_t i = 0; i < kTileCols; ++i) {
        sums[2 * i / kTileCols] += out->codes[i];
      }
    }
    out->scale = scale;
    out->sums[0] = sums[0];
    out->sums[1] = sums[1];
  }
}

#ifdef HWY_NATIVE_U8_I8_SUMOFMULQUADACCUMULATE
inline constexpr bool kHasQuadDot = HWY_TARGET <= HWY_AVX3_DL;
#else
inline constexpr bool kHasQuadDot = false;
#endif

// Dot products of code vectors with the same columns of x, for kX pairs of a
// vector of rows of w and a row of x. Codes whose products' sums fit int16 are
// summed there, kFlush vectors at most.
template <Layout kLayout>
struct Dot {
  static constexpr size_t kBits =
      TraitsOf(kLayout).has_table ? 8 : TraitsOf(kLayout).code_bits;
  // Without a four-byte dot, pairs are summed with saturation to int16. Codes
  // of 8 bits would saturate: there codes are made signed, and their signs
  // given to x.
  static constexpr bool kIsSigned = !kHasQuadDot && kBits == 8;
  static constexpr bool kUses16 = !kHasQuadDot;
  // Of 2 * (2^kBits - 1) * 127 to a sum in int16.
  static constexpr size_t kFlush = kBits == 4   ? 8
                                   : kBits == 5 ? 4
                                   : kBits == 6 ? 2
                                                : 1;
  // What remains to be subtracted, times the sum of x.
  static constexpr int kDotZero = kIsSigned ? 0 : kZero<kLayout>;

  using DI16 = hn::Repartition<int16_t, DF>;

  // Of one code vector: what multiplies x, and what gives x its sign.
  struct Operand {
    VU8 magnitude;
    hn::Vec<DI8> sign;
  };
  static HWY_INLINE Operand Prepare(VU32 codes) {
    const DU8 du8;
    const DI8 di8;
    if constexpr (kIsSigned) {
      const auto level = hn::BitCast(
          di8, hn::Xor(hn::BitCast(du8, codes), hn::Set(du8, 0x80)));
      return {hn::BitCast(du8, hn::Abs(level)), level};
    } else {
      return {hn::BitCast(du8, codes), hn::Zero(di8)};
    }
  }

  static HWY_INLINE hn::Vec<DI16> Pairs(const Operand& w, hn::Vec<DI8> x) {
    if constexpr (kIsSigned) x = hn::IfNegativeThenNegOrUndefIfZero(w.sign, x);
    return hn::SatWidenMulPairwiseAdd(DI16(), w.magnitude, x);
  }

  static HWY_INLINE VI32 Quads(hn::Vec<DI16> pairs) {
    return hn::WidenMulPairwiseAdd(DI32(), pairs, hn::Set(DI16(), 1));
  }
};

// Four columns of x in every lane.
HWY_INLINE hn::Vec<DI8> Broadcast(const int8_t* HWY_RESTRICT codes) {
  int32_t four;
  hwy::CopyBytes<sizeof(four)>(codes, &four);
  return hn::BitCast(DI8(), hn::Set(DI32(), four));
}

// acc[group][r] = dot products of kRows rows of x with a tile, part v of its
// rows, one for each group of columns.
template <Layout kLayout, size_t kRows>
HWY_INLINE void TileDots(const uint8_t* HWY_RESTRICT tile, size_t v,
                         const Int8Block* const HWY_RESTRICT* x, size_t block,
                         VI32 (&acc)[kTileGroups<kLayout>][kRows]) {
  using D = Dot<kLayout>;
  constexpr size_t kGroupVectors = kCodeVectors / kTileGroups<kLayout>;
  constexpr size_t kFlush = HWY_MIN(D::kFlush, kGroupVectors);
  const DI32 di32;
  for (size_t i = 0; i < kTileGroups<kLayout>; ++i) {
    for (size_t r = 0; r < kRows; ++r) {
      const int zero = -D::kDotZero;
      acc[i][r] = hn::Set(
          di32, zero * (kTileGroups<kLayout> == 2
                            ? x[r][block].sums[i]
                            : x[r][block].sums[0] + x[r][block].sums[1]));
    }
  }
  [[maybe_unused]] hn::Vec<typename D::DI16> pairs[kRows];
  Unroll<kCodeVectors>([&](auto g) GEMMA_LAMBDA {
    constexpr size_t kGroup = g / kGroupVectors;
    const typename D::Operand w = D::Prepare(Codes<kLayout, g>(tile, v));
    for (size_t r = 0; r < kRows; ++r) {
      const auto xs = Broadcast(x[r][block].codes + 4 * g);
#ifdef HWY_NATIVE_U8_I8_SUMOFMULQUADACCUMULATE
      if constexpr (!D::kUses16) {
        acc[kGroup][r] =
            hn::SumOfMulQuadAccumulate(di32, w.magnitude, xs, acc[kGroup][r]);
        continue;
      }
#endif
      const auto products = D::Pairs(w, xs);
      pairs[r] = g % kFlush == 0 ? products : hn::Add(pairs[r], products);
      if (g % kFlush == kFlush - 1) {
        acc[kGroup][r] = hn::Add(acc[kGroup][r], D::Quads(pairs[r]));
      }
    }
  });
}

// kRows rows of x, from row `first` on, with parts [v_begin, v_begin + kParts)
// of a panel's rows.
template <Layout kLayout, size_t kRows, size_t kParts>
HWY_NOINLINE void Rows(const MatMulJob& job, const Int8Block* x, size_t first,
                       size_t panel, size_t v_begin) {
  constexpr LayoutTraits kTraits = TraitsOf(kLayout);
  const DF df;
  const Int8Block* rows[kRows];
  for (size_t r = 0; r < kRows; ++r) {
    rows[r] = x + (first + r) * (job.w.cols / kTileCols);
  }
  VF sums[kRows][kParts];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t p = 0; p < kParts; ++p) sums[r][p] = hn::Zero(df);
  }
  size_t block = 0;
  ForEachTile<kLayout>(
      job.w.Panel(panel), 0, job.w.cols,
      [&](const uint8_t* header, size_t group,
          const uint8_t* tile) GEMMA_LAMBDA {
        for (size_t p = 0; p < kParts; ++p) {
          VI32 acc[kTileGroups<kLayout>][kRows];
          TileDots<kLayout, kRows>(tile, v_begin + p, rows, block, acc);
          for (size_t i = 0; i < kTileGroups<kLayout>; ++i) {
            VF scale;
            VF offset;
            LoadScale<kLayout>(header, group + i, v_begin + p, scale, offset);
            for (size_t r = 0; r < kRows; ++r) {
              const Int8Block& xb = rows[r][block];
              sums[r][p] = hn::MulAdd(hn::Mul(scale, hn::Set(df, xb.scale)),
                                      hn::ConvertTo(df, acc[i][r]), sums[r][p]);
              if constexpr (kTraits.has_offset) {
                const int32_t sum = kTileGroups<kLayout> == 2
                                        ? xb.sums[i]
                                        : xb.sums[0] + xb.sums[1];
                sums[r][p] = hn::MulAdd(
                    offset, hn::Set(df, xb.scale * static_cast<float>(sum)),
                    sums[r][p]);
              }
            }
          }
        }
        ++block;
      });
  for (size_t r = 0; r < kRows; ++r) {
    const size_t row = panel * kPanelRows;
    for (size_t p = 0; p < kParts; ++p) {
      StorePart(sums[r][p], v_begin + p,
                job.bias.empty() ? nullptr : job.bias.data() + row,
                job.w.rows - row, job.out.Row(first + r).data() + row);
    }
  }
}

template <Layout kLayout, size_t kRows>
void PanelRows(const MatMulJob& job, const Int8Block* x, size_t first,
               size_t panel) {
  // Where a panel takes more than one vector, many rows are computed for one
  // after the other: the sums stay in registers.
  if constexpr (kRows > 2) {
    for (size_t v = 0; v < kColVectors; ++v) {
      Rows<kLayout, kRows, 1>(job, x, first, panel, v);
    }
  } else {
    Rows<kLayout, kRows, kColVectors>(job, x, first, panel, 0);
  }
}

template <Layout kLayout>
void Panels(const MatMulJob& job, const Int8Block* x, size_t begin,
            size_t end) {
  if constexpr (TraitsOf(kLayout).code_bits != 0) {
    // Few rows at a time stay in the L1 cache while all panels pass.
    size_t row = 0;
    const auto rows = [&](auto count) GEMMA_LAMBDA {
      constexpr size_t kRows = decltype(count)::value;
      for (; row + kRows <= job.x.rows; row += kRows) {
        for (size_t panel = begin; panel < end; ++panel) {
          PanelRows<kLayout, kRows>(job, x, row, panel);
        }
      }
    };
    // Without vectors, rows together are no faster, only slow to compile.
    if constexpr (HWY_TARGET != HWY_EMU128) {
      rows(std::integral_constant<size_t, 8>());
      rows(std::integral_constant<size_t, 4>());
      rows(std::integral_constant<size_t, 2>());
    }
    rows(std::integral_constant<size_t, 1>());
  }
}

// Chooses the layout once per call, so the loops above do not branch on it.
void Int8PanelsOnTarget(const MatMulJob& job, const Int8Block* x, size_t begin,
                        size_t end) {
  switch (job.w.layout) {
#define GEMMA_LAYOUT_CASE(layout) \
  case Layout::layout:            \
    return Panels<Layout::layout>(job, x, begin, end);
    GEMMA_LAYOUTS(GEMMA_LAYOUT_CASE)
#undef GEMMA_LAYOUT_CASE
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma
HWY_AFTER_NAMESPACE();

// ---- 3. Dispatch.
#if HWY_ONCE
namespace gemma {
HWY_EXPORT(QuantizeOnTarget);
HWY_EXPORT(Int8PanelsOnTarget);

void QuantizeRow(std::span<const float> x, Int8Block* out) {
  HWY_ASSERT(x.size() % kTileCols == 0);
  HWY_DYNAMIC_DISPATCH(QuantizeOnTarget)(x, out);
}

void Int8Panels(const MatMulJob& job, const Int8Block* x, size_t begin,
                size_t end) {
  HWY_ASSERT(TraitsOf(job.w.layout).code_bits != 0);
  HWY_DYNAMIC_DISPATCH(Int8PanelsOnTarget)(job, x, begin, end);
}

}  // namespace gemma
#endif  // HWY_ONCE
