#include <cstring>

#include "hwy/base.h"
#include "hwy/cache_control.h"
#include "ops/products/unpacked_panels.h"
#include "ops/targets.h"

namespace gemma::internal {
namespace {

// The rows of x whose sums wait for the next columns, and the panels.
constexpr size_t kPieceRows = 64;
constexpr size_t kPiecePanels = kTaskPanels;

// The most rows of x that are multiplied with an unpacked panel, if all columns
// are unpacked at once and x is used as it was rounded.
constexpr size_t kMostRows = 2 * kPieceRows;

// What a task needs while it runs.
struct Scratch {
  // [panels, kPieceRows], or [kMostRows] of one panel
  alignas(64) float sums[kPiecePanels * kPieceRows][kPanelRows];
  UnpackedPanel unpacked;
  // x, if the kernel wants it in one of these forms, never in two.
  union {
    alignas(64) int16_t widened_x[kPieceRows][kWidenedCols];
    alignas(64) float minus_x[kMostRows][kUnpackedGroups];
    PairedBlock paired_x[kPieceRows / 2][kWidenedCols / kTileCols];
  };
};
static_assert(sizeof(Scratch) <= kKernelStackBytes);

// Whether a kernel for 256 bits wants x widened or minus its sums, not both.
constexpr bool HasOneForm(Layout layout) {
  const LayoutTraits traits = TraitsOf(layout);
  return traits.code_bits == 0 || !traits.has_offset ||
         FormOf(layout, CodeForm::kWide) != CodeForm::kWide;
}
#define GEMMA_CHECK_LAYOUT(layout) static_assert(HasOneForm(Layout::layout));
GEMMA_LAYOUTS(GEMMA_CHECK_LAYOUT)
#undef GEMMA_CHECK_LAYOUT

// The kernel that multiplies what was unpacked.
struct RowsKernel {
  void (*run)(const UnpackedJob& job);
  CodeForm form;
  // Null if the form is not kWide.
  void (*widen)(const Int8Block* x, size_t num_blocks, int16_t* out);
  // Null if the kernel adds the sums of x itself.
  void (*minus)(const Int8Block* x, size_t num_blocks, bool halves, float* out);
  // Null if it is not kPairs.
  void (*pair)(const Int8Block* x0, const Int8Block* x1, size_t num_blocks,
               bool sums, PairedBlock* out);
};

// How a product is cut.
struct Cut {
  Cut(const RowsKernel& kernel, const PackedView& w)
      : form(FormOf(w.layout, kernel.form)),
        cols(form == CodeForm::kWide || form == CodeForm::kPairs
                 ? kWidenedCols
                 : kUnpackedCols),
        waits(w.cols > cols),
        rows(waits || cols == kWidenedCols ? kPieceRows : kMostRows) {}

  CodeForm form;
  size_t cols;  // that are unpacked at a time
  bool waits;   // whether sums wait for the next columns
  size_t rows;  // the most of a piece
};

// Fetches into the cache what StoreUnpacked will write.
void FetchOut(const MatMulJob& job, size_t panel, size_t first, size_t count) {
  for (size_t r = 0; r < count; ++r) {
    hwy::Prefetch(job.out.Row(first + r).data() + panel * kPanelRows);
  }
}

// Computes panels [begin, end), at most kPiecePanels, for rows [first, first +
// count), at most cut.rows. All columns of a piece that are multiplied with one
// panel are multiplied with the others while they are in the L2 cache.
void Piece(const RowsKernel& kernel, const Cut& cut, const MatMulJob& job,
           const Int8Block* x, RowIndex index, size_t begin, size_t end,
           size_t first, size_t count, Scratch& scratch) {
  const size_t num_tiles = job.w.cols / kTileCols;
  const size_t even = hwy::RoundUpTo(count, size_t{2});
  const bool widens = cut.form == CodeForm::kWide;
  const bool pairs = cut.form == CodeForm::kPairs;
  const LayoutTraits traits = TraitsOf(job.w.layout);
  const bool minus = kernel.minus != nullptr && traits.has_offset;
  const bool halves = traits.scale_cols < kTileCols;
  const Int8Block* rows[kMostRows];
  for (size_t col = 0; col < job.w.cols; col += cut.cols) {
    for (size_t r = 0; r < even; ++r) {
      const size_t row = first + HWY_MIN(r, count - 1);
      rows[r] = x + RowOfX(index, row) * num_tiles + col / kTileCols;
    }
    const size_t col_end = HWY_MIN(col + cut.cols, job.w.cols);
    const size_t num_blocks = (col_end - col) / kTileCols;
    for (size_t r = 0; widens && r < even; ++r) {
      kernel.widen(rows[r], num_blocks, scratch.widened_x[r]);
    }
    for (size_t r = 0; minus && r < even; ++r) {
      kernel.minus(rows[r], num_blocks, halves, scratch.minus_x[r]);
    }
    for (size_t r = 0; pairs && r < even; r += 2) {
      kernel.pair(rows[r], rows[r + 1], num_blocks, traits.has_offset,
                  scratch.paired_x[r / 2]);
    }
    for (size_t panel = begin; panel < end; ++panel) {
      float(*sums)[kPanelRows] =
          scratch.sums + (cut.waits ? (panel - begin) * kPieceRows : 0);
      if (col == 0) std::memset(sums, 0, even * sizeof(sums[0]));
      UnpackedPanel& w = scratch.unpacked;
      // What comes next arrives in the cache while this is multiplied.
      const uint8_t* next = nullptr;
      if (first == 0) {
        const bool is_last = panel + 1 == end;
        next = job.w.Panel(is_last ? begin : panel + 1) +
               (is_last ? col_end : col) / traits.block_cols *
                   PanelBlockBytes(job.w.layout);
      }
      Unpack(job.w, panel, col, col_end, cut.form, next, w);
      const bool is_whole = col_end == job.w.cols;
      if (is_whole) FetchOut(job, panel, first, count);
      kernel.run({&w, job.w.layout, rows, scratch.widened_x[0],
                  scratch.minus_x[0], scratch.paired_x[0], even, sums[0]});
      if (is_whole) StoreUnpacked(sums, w.units, job, panel, first, count);
    }
  }
}

// Writes the products of one row of x with a panel whose rows all exist.
HWY_INLINE void StoreRow(const float* HWY_RESTRICT sums,
                         const float* HWY_RESTRICT units,
                         float* HWY_RESTRICT out) {
  for (size_t i = 0; i < kPanelRows; ++i) out[i] = sums[i] * units[i];
}

void Panels(const RowsKernel& kernel, const MatMulJob& job, const Int8Block* x,
            size_t begin, size_t end, RowIndex index) {
  Scratch scratch;
  const Cut cut(kernel, job.w);
  for (size_t panel = begin; panel < end; panel += kPiecePanels) {
    const size_t panel_end = HWY_MIN(panel + kPiecePanels, end);
    for (size_t row = 0; row < job.out.rows; row += cut.rows) {
      Piece(kernel, cut, job, x, index, panel, panel_end, row,
            HWY_MIN(cut.rows, job.out.rows - row), scratch);
    }
  }
}

}  // namespace

void StoreUnpacked(const float (*sums)[kPanelRows], const float* units,
                   const MatMulJob& job, size_t panel, size_t first,
                   size_t count) {
  const size_t begin = panel * kPanelRows;
  const size_t cols = HWY_MIN(kPanelRows, job.w.rows - begin);
  if (cols == kPanelRows && job.bias.empty()) {
    for (size_t r = 0; r < count; ++r) {
      StoreRow(sums[r], units, job.out.Row(first + r).data() + begin);
    }
    return;
  }
  for (size_t r = 0; r < count; ++r) {
    float* out = job.out.Row(first + r).data() + begin;
    for (size_t i = 0; i < cols; ++i) out[i] = sums[r][i] * units[i];
    if (job.bias.empty()) continue;
    for (size_t i = 0; i < cols; ++i) out[i] += job.bias[begin + i];
  }
}

void Avx2Panels(const MatMulJob& job, const Int8Block* x, size_t begin,
                size_t end, RowIndex index) {
  HWY_DASSERT(ChoseAvx2());  // for `steps`, and the sums of x
  Panels({Avx2Rows, CodeForm::kWide, Avx2Widen, Avx2MinusX, nullptr}, job, x,
         begin, end, index);
}

void AvxVnniPanels(const MatMulJob& job, const Int8Block* x, size_t begin,
                   size_t end, RowIndex index) {
  HWY_DASSERT(ChoseAvx2());  // for the sums of x
  Panels({AvxVnniRows, CodeForm::kCodes, nullptr, Avx2MinusX, nullptr}, job, x,
         begin, end, index);
}

void NeonDotProdPanels(const MatMulJob& job, const Int8Block* x, size_t begin,
                       size_t end, RowIndex index) {
  Panels({NeonDotProdRows, CodeForm::kLevels, nullptr, nullptr, nullptr}, job,
         x, begin, end, index);
}

void NeonI8mmPanels(const MatMulJob& job, const Int8Block* x, size_t begin,
                    size_t end, RowIndex index) {
  Panels({NeonI8mmRows, CodeForm::kPairs, nullptr, nullptr, NeonPairRows}, job,
         x, begin, end, index);
}

}  // namespace gemma::internal
