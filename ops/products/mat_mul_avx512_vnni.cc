// Products of many rows of x with quantized panels whose codes are unpacked
// first, on AVX-512 VNNI.
//
// A block of 32 columns of one row of x and of one panel takes eight dot
// products of bytes, a convert, a product and a fused multiply-add. Where all
// of these share two units, as on Intel's CPUs, at most 8/11 of the units' time
// are dot products. So everything else is kept off these units, or is done once
// for several rows or panels.

#include <cstring>

#include "hwy/base.h"
#include "ops/products/outliers.h"
#include "ops/products/unpacked_panels.h"

#if HWY_ARCH_X86

#include <immintrin.h>

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")

namespace gemma::internal {
namespace avx512_vnni {

// A register block: the sums and the products of 3 rows of x with 4 panels are
// 24 of 32 registers.
constexpr size_t kBlockRows = 3;
constexpr size_t kBlockPanels = 4;
static_assert(kTaskPanels % kBlockPanels == 0);

// The columns that are unpacked at a time. Those of four panels take half an L1
// cache of 32 KiB.
constexpr size_t kCols = 256;
// The rows whose sums wait for the next columns, in the L2 cache: as many as
// share the columns of their outliers, to which products are cut anyway.
constexpr size_t kPieceRows = kOutlierRows;

// What a task needs while it runs.
struct Scratch {
  alignas(64) float sums[kPieceRows][kBlockPanels][kPanelRows];
  UnpackedCols<kCols> w[kBlockPanels];
  const Int8Block* x[kPieceRows];
};
static_assert(sizeof(Scratch) <= kKernelStackBytes);

// Codes have either an offset or a zero that is a power of two.
constexpr bool HasOneOfThem(Layout layout) {
  const LayoutTraits traits = TraitsOf(layout);
  return traits.code_bits == 0 || traits.has_offset
             ? traits.zero == 0
             : traits.zero > 0 && (traits.zero & (traits.zero - 1)) == 0;
}
#define GEMMA_CHECK_LAYOUT(layout) static_assert(HasOneOfThem(Layout::layout));
GEMMA_LAYOUTS(GEMMA_CHECK_LAYOUT)
#undef GEMMA_CHECK_LAYOUT

// Some columns of kBlockPanels panels and of rows of x.
struct Columns {
  const UnpackedCols<kCols>* w;  // [kBlockPanels]
  const Int8Block* const* x;     // [num_rows]: the first of the columns' blocks
  size_t num_rows;
  float* sums;         // [num_rows, kBlockPanels, kPanelRows]
  unsigned zero_bits;  // the zero of the codes is 1 << zero_bits
  bool is_first;       // sums are unset
  // The columns that come next arrive in the cache while these are multiplied,
  // some lines of a panel with each register block.
  const uint8_t* next;
  size_t next_stride;  // from panel to panel
  size_t next_bytes;   // of a panel for each register block of rows
};

// Keeps compilers from moving sums between registers.
HWY_INLINE void KeepInPlace(__m512i& sum) { __asm__("" : "+v"(sum)); }

// Returns minus the sum of the codes of x in a group of its columns.
template <size_t kGroups>
HWY_INLINE int32_t MinusSum(const Int8Block& x, size_t group) {
  return kGroups == 2 ? x.minus_sums[group] : x.minus_sum;
}

// Adds the products of rows [row, row + kRows).
template <size_t kGroups, bool kHasOffset, size_t kRows>
HWY_INLINE void Rows(const Columns& c, size_t row) {
  constexpr size_t kVectors = kCodeVectors / kGroups;
  const UnpackedCols<kCols>* HWY_RESTRICT w = c.w;
  const size_t num_blocks = w->num_blocks;
  const __m512i zero_bits = _mm512_set1_epi32(static_cast<int>(c.zero_bits));
  float* HWY_RESTRICT out = c.sums + row * kBlockPanels * kPanelRows;
  const Int8Block* x[kRows];
  __m512 sums[kRows][kBlockPanels];
  HWY_UNROLL(3)
  for (size_t r = 0; r < kRows; ++r) {
    x[r] = c.x[row + r];
    HWY_UNROLL(4)
    for (size_t p = 0; p < kBlockPanels; ++p) {
      sums[r][p] =
          c.is_first
              ? _mm512_setzero_ps()
              : _mm512_load_ps(out + (r * kBlockPanels + p) * kPanelRows);
    }
  }
  size_t group = 0;  // of the columns
  for (size_t block = 0; block < num_blocks; ++block) {
    HWY_UNROLL(2)
    for (size_t g = 0; g < kGroups; ++g, ++group) {
      __m512i acc[kRows][kBlockPanels];
      HWY_UNROLL(3)
      for (size_t r = 0; r < kRows; ++r) {
        __m512i less_zero = _mm512_setzero_si512();
        if constexpr (!kHasOffset) {
          less_zero = _mm512_sllv_epi32(
              _mm512_set1_epi32(MinusSum<kGroups>(x[r][block], g)), zero_bits);
        }
        HWY_UNROLL(4)
        for (size_t p = 0; p < kBlockPanels; ++p) acc[r][p] = less_zero;
      }
      HWY_UNROLL(8)
      for (size_t i = 0; i < kVectors; ++i) {
        __m512i codes[kBlockPanels];
        HWY_UNROLL(4)
        for (size_t p = 0; p < kBlockPanels; ++p) {
          codes[p] = _mm512_load_si512(w[p].codes + (group * kVectors + i) *
                                                        kCodeVectorBytes);
          KeepInPlace(codes[p]);
        }
        HWY_UNROLL(3)
        for (size_t r = 0; r < kRows; ++r) {
          int32_t four;
          hwy::CopyBytes<sizeof(four)>(
              x[r][block].codes + 4 * (g * kVectors + i), &four);
          const __m512i xs = _mm512_set1_epi32(four);
          HWY_UNROLL(4)
          for (size_t p = 0; p < kBlockPanels; ++p) {
            acc[r][p] = _mm512_dpbusd_epi32(acc[r][p], codes[p], xs);
            KeepInPlace(acc[r][p]);
          }
        }
      }
      HWY_UNROLL(3)
      for (size_t r = 0; r < kRows; ++r) {
        const __m512 x_scale = _mm512_set1_ps(x[r][block].scale);
        [[maybe_unused]] __m512 minus_x;
        if constexpr (kHasOffset) {
          minus_x =
              _mm512_mul_ps(x_scale, _mm512_cvtepi32_ps(_mm512_set1_epi32(
                                         MinusSum<kGroups>(x[r][block], g))));
        }
        HWY_UNROLL(4)
        for (size_t p = 0; p < kBlockPanels; ++p) {
          const size_t at = group * kPanelRows;
          sums[r][p] = _mm512_fmadd_ps(
              _mm512_mul_ps(_mm512_load_ps(w[p].scales + at), x_scale),
              _mm512_cvtepi32_ps(acc[r][p]), sums[r][p]);
          if constexpr (kHasOffset) {
            sums[r][p] = _mm512_fnmadd_ps(_mm512_load_ps(w[p].offsets + at),
                                          minus_x, sums[r][p]);
          }
        }
      }
    }
  }
  HWY_UNROLL(3)
  for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(4)
    for (size_t p = 0; p < kBlockPanels; ++p) {
      _mm512_store_ps(out + (r * kBlockPanels + p) * kPanelRows, sums[r][p]);
    }
  }
}

template <size_t kGroups, bool kHasOffset>
HWY_NOINLINE void AllRows(const Columns& c) {
  size_t row = 0;
  for (size_t i = 0; row < c.num_rows; ++i) {
    const uint8_t* next = c.next + i % kBlockPanels * c.next_stride +
                          i / kBlockPanels * c.next_bytes;
    for (size_t line = 0; line < c.next_bytes; line += 64) {
      _mm_prefetch(next + line, _MM_HINT_T0);
    }
    const size_t rest = c.num_rows - row;
    if (rest > 4 || rest == 3) {
      Rows<kGroups, kHasOffset, 3>(c, row);
      row += 3;
    } else if (rest > 1) {
      Rows<kGroups, kHasOffset, 2>(c, row);
      row += 2;
    } else {
      Rows<kGroups, kHasOffset, 1>(c, row);
      row += 1;
    }
  }
}

void Multiply(const LayoutTraits& traits, const Columns& c) {
  const bool has_two = traits.scale_cols == 16;
  if (traits.has_offset) {
    return has_two ? AllRows<2, true>(c) : AllRows<1, true>(c);
  }
  return has_two ? AllRows<2, false>(c) : AllRows<1, false>(c);
}

// Fetches into the cache what Store will write.
void FetchOut(const float* out) {
  for (size_t p = 0; p < kBlockPanels; ++p) {
    _mm_prefetch(out + p * kPanelRows, _MM_HINT_T1);
  }
}

// Writes the sums of a row of x, times the units, plus the bias, to out.
// `w_rows` is the number of the matrix's rows from the first panel on.
void Store(const float* sums, const UnpackedCols<kCols>* w, const float* bias,
           size_t w_rows, float* out) {
  for (size_t p = 0; p < kBlockPanels; ++p) {
    const size_t begin = p * kPanelRows;
    const size_t count = HWY_MIN(w_rows - begin, kPanelRows);
    const auto mask = static_cast<__mmask16>((1u << count) - 1);
    __m512 sum =
        _mm512_mul_ps(_mm512_load_ps(sums + begin), _mm512_load_ps(w[p].units));
    if (bias != nullptr) {
      sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, bias + begin));
    }
    if (count == kPanelRows) {
      _mm512_storeu_ps(out + begin, sum);
    } else {
      _mm512_mask_storeu_ps(out + begin, mask, sum);
    }
  }
}

// Computes kBlockPanels panels for rows [first, first + count), at most
// kPieceRows.
void Piece(const MatMulJob& job, const Int8Block* x, RowIndex index,
           size_t panel, size_t first, size_t count, Scratch& scratch) {
  const LayoutTraits traits = TraitsOf(job.w.layout);
  const size_t begin = panel * kPanelRows;
  const size_t row_blocks = job.w.cols / kTileCols;
  const size_t num_blocks = hwy::DivCeil(count, kBlockRows);
  const size_t step_bytes =
      kCols / traits.block_cols * PanelBlockBytes(job.w.layout);
  for (size_t r = 0; r < count; ++r) {
    scratch.x[r] = x + RowOfX(index, first + r) * row_blocks;
  }
  Columns c = {scratch.w, scratch.x, count, scratch.sums[0][0]};
  for (unsigned zero = traits.zero; zero > 1; zero /= 2) ++c.zero_bits;
  c.next_stride = PanelBytes(job.w.layout, job.w.cols);
  if (first == 0) {
    c.next_bytes =
        hwy::DivCeil(step_bytes, hwy::DivCeil(num_blocks, kBlockPanels));
  }
  c.next = job.w.Panel(panel);
  for (size_t col = 0; col < job.w.cols; col += kCols) {
    const size_t col_end = HWY_MIN(col + kCols, job.w.cols);
    for (size_t p = 0; p < kBlockPanels; ++p) {
      Unpack(job.w, panel + p, col, col_end, CodeForm::kCodes, nullptr,
             scratch.w[p]);
    }
    c.is_first = col == 0;
    c.next += step_bytes;
    if (col_end == job.w.cols) {
      c.next = job.w.Panel(panel) + kBlockPanels * c.next_stride;
      for (size_t r = 0; r < count; ++r) {
        FetchOut(job.out.Row(first + r).data() + begin);
      }
    }
    Multiply(traits, c);
    for (size_t r = 0; r < count; ++r) {
      scratch.x[r] += (col_end - col) / kTileCols;
    }
  }
  for (size_t r = 0; r < count; ++r) {
    Store(scratch.sums[r][0], scratch.w,
          job.bias.empty() ? nullptr : job.bias.data() + begin,
          job.w.rows - begin, job.out.Row(first + r).data() + begin);
  }
}

}  // namespace avx512_vnni

void Avx512VnniPanels(const MatMulJob& job, const Int8Block* x, size_t begin,
                      size_t end, RowIndex index) {
  avx512_vnni::Scratch scratch;
  size_t panel = begin;
  for (; panel + avx512_vnni::kBlockPanels <= end;
       panel += avx512_vnni::kBlockPanels) {
    for (size_t row = 0; row < job.out.rows; row += avx512_vnni::kPieceRows) {
      avx512_vnni::Piece(job, x, index, panel, row,
                         HWY_MIN(avx512_vnni::kPieceRows, job.out.rows - row),
                         scratch);
    }
  }
  if (panel < end) Int8Panels(job, x, panel, end, index);
}

}  // namespace gemma::internal

HWY_POP_ATTRIBUTES

#else

namespace gemma::internal {

void Avx512VnniPanels(const MatMulJob&, const Int8Block*, size_t, size_t,
                      RowIndex) {}

}  // namespace gemma::internal

#endif
