#include <cstring>

#include "hwy/base.h"
#include "ops/products/int8_tiles.h"

namespace gemma::internal {
namespace {

// The rows of x that are packed at a time, in the L2 cache, for the panels of a
// task, and their columns.
constexpr size_t kTilePieceRows = 128;
constexpr size_t kTilePieceCols = 512;
constexpr size_t kTilePiecePanels = kTaskPanels / 2;
constexpr size_t kTilePieceBlocks = kTilePieceCols / kTileCols;
static_assert(kTilePieceCols <= kUnpackedCols);

// What a task needs while it runs.
struct TileScratch {
  alignas(64) float sums[kTilePiecePanels][kTilePieceRows][kPanelRows];
  UnpackedPanel unpacked;
  // As in Int8TilesJob.
  alignas(64) int8_t x[kTilePieceBlocks * kTilePieceRows * kTileCols];
  alignas(64) float x_scales[kTilePieceBlocks * kTilePieceRows];
  alignas(64) float x_sums[kTilePieceBlocks * kTilePieceRows * 2];
};
static_assert(sizeof(TileScratch) <= kKernelStackBytes);

// Packs `num_blocks` blocks of a row of x as row `r` of a tile; null: a row of
// zeros.
void PackRow(const Int8Block* x, size_t num_blocks, size_t r,
             const LayoutTraits& traits, int8_t* codes, float* scales,
             float* sums) {
  const size_t groups = kTileCols / traits.scale_cols;
  static constexpr Int8Block kZeros = {};
  for (size_t b = 0; b < num_blocks; ++b) {
    const Int8Block& block = x == nullptr ? kZeros : x[b];
    hwy::CopyBytes<kTileCols>(block.codes,
                              codes + (b * kInt8TileRows + r) * kTileCols);
    scales[b * kInt8TileRows + r] = block.scale;
    if (!traits.has_offset) continue;
    for (size_t g = 0; g < groups; ++g) {
      const int32_t sum =
          -(groups == 2 ? block.minus_sums[g] : block.minus_sum);
      sums[(b * groups + g) * kInt8TileRows + r] =
          block.scale * static_cast<float>(sum);
    }
  }
}

// Computes panels [begin, end), at most kTilePiecePanels, for rows [first,
// first + count), at most kTilePieceRows.
void TilePiece(const MatMulJob& job, const Int8Block* x, RowIndex index,
               size_t begin, size_t end, size_t first, size_t count,
               TileScratch& scratch) {
  const LayoutTraits traits = TraitsOf(job.w.layout);
  const size_t num_tiles = hwy::DivCeil(count, kInt8TileRows);
  const size_t row_blocks = job.w.cols / kTileCols;
  UnpackedPanel& w = scratch.unpacked;
  std::memset(scratch.sums, 0, (end - begin) * sizeof(scratch.sums[0]));
  for (size_t col = 0; col < job.w.cols; col += kTilePieceCols) {
    const size_t col_end = HWY_MIN(col + kTilePieceCols, job.w.cols);
    const size_t num_blocks = (col_end - col) / kTileCols;
    const size_t tile_blocks = num_blocks * kInt8TileRows;
    const size_t tile_sums = tile_blocks * kTileCols / traits.scale_cols;
    for (size_t r = 0; r < num_tiles * kInt8TileRows; ++r) {
      const size_t tile = r / kInt8TileRows;
      const Int8Block* from =
          r < count
              ? x + RowOfX(index, first + r) * row_blocks + col / kTileCols
              : nullptr;
      PackRow(from, num_blocks, r % kInt8TileRows, traits,
              scratch.x + tile * tile_blocks * kTileCols,
              scratch.x_scales + tile * tile_blocks,
              scratch.x_sums + tile * tile_sums);
    }
    for (size_t panel = begin; panel < end; ++panel) {
      float(*sums)[kPanelRows] = scratch.sums[panel - begin];
      // What comes next arrives in the cache while this is multiplied.
      const uint8_t* next = nullptr;
      if (first == 0) {
        const bool is_last = panel + 1 == end;
        next = job.w.Panel(is_last ? begin : panel + 1) +
               (is_last ? col_end : col) / traits.block_cols *
                   PanelBlockBytes(job.w.layout);
      }
      Unpack(job.w, panel, col, col_end, CodeForm::kLevels, next, w);
      AmxInt8Tiles({&w, job.w.layout, scratch.x, scratch.x_scales,
                    scratch.x_sums, num_tiles, sums[0]});
      if (col_end == job.w.cols) {
        StoreUnpacked(sums, w.units, job, panel, first, count);
      }
    }
  }
}

}  // namespace

void AmxInt8Panels(const MatMulJob& job, const Int8Block* x, size_t begin,
                   size_t end, RowIndex index) {
  TileScratch scratch;
  AmxInt8Begin(job.w.layout);
  for (size_t panel = begin; panel < end; panel += kTilePiecePanels) {
    const size_t panel_end = HWY_MIN(panel + kTilePiecePanels, end);
    for (size_t row = 0; row < job.out.rows; row += kTilePieceRows) {
      TilePiece(job, x, index, panel, panel_end, row,
                HWY_MIN(kTilePieceRows, job.out.rows - row), scratch);
    }
  }
  AmxInt8End();
}

}  // namespace gemma::internal
