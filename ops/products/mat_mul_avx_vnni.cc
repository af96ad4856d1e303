#include <bit>

#include "hwy/base.h"
#include "ops/products/unpacked_panels.h"

#if HWY_ARCH_X86

#include <immintrin.h>

HWY_PUSH_ATTRIBUTES("avx2,fma,avxvnni")

namespace gemma::internal {
namespace avx_vnni {

#include "ops/products/unpacked_dots-inl.h"

// Products of the code vectors of one group of columns with kRows rows of x:
// acc[r][p] for part p of the rows of w.
template <Layout kLayout, size_t kRows>
struct Dots {
  static constexpr size_t kCodeBytes = 1;
  static constexpr bool kScales = false;

  static HWY_INLINE void Sum(const uint8_t* HWY_RESTRICT codes,
                             const Int8Block* const (&x)[kRows],
                             const int16_t* /*widened_x*/,
                             const int32_t* /*steps*/, size_t group,
                             __m256i (&acc)[kRows][kParts]) {
    constexpr size_t kVectors = kGroupVectors<kLayout>;
    constexpr unsigned kZero = TraitsOf(kLayout).zero;
    HWY_UNROLL(4)
    for (size_t r = 0; r < kRows; ++r) {
      __m256i less_zero = _mm256_setzero_si256();
      if constexpr (kZero != 0) {
        less_zero = _mm256_slli_epi32(MinusSum<kLayout>(*x[r], group),
                                      std::countr_zero(kZero));
      }
      acc[r][0] = acc[r][1] = less_zero;
    }
    HWY_UNROLL(8)
    for (size_t i = 0; i < kVectors; ++i) {
      const __m256i w0 = LoadCodes(codes, i, 0);
      const __m256i w1 = LoadCodes(codes, i, 1);
      HWY_UNROLL(4)
      for (size_t r = 0; r < kRows; ++r) {
        const __m256i xs = BroadcastCodes(*x[r], group * kVectors + i);
        acc[r][0] = _mm256_dpbusd_avx_epi32(acc[r][0], w0, xs);
        acc[r][1] = _mm256_dpbusd_avx_epi32(acc[r][1], w1, xs);
      }
    }
  }
};

#include "ops/products/unpacked_rows-inl.h"

}  // namespace avx_vnni

void AvxVnniRows(const UnpackedJob& job) { avx_vnni::RowsOfJob(job); }

}  // namespace gemma::internal

HWY_POP_ATTRIBUTES

#else

namespace gemma::internal {

void AvxVnniRows(const UnpackedJob&) {}

}  // namespace gemma::internal

#endif
