// The largest products of a row of x with the rows of w, from three quarters of
// w's bits. All rows are multiplied with the upper six bits of their codes. For
// each block, the lower two bits can change a product by at most
//   |scale * sum(x * (lower - 1.5))| <= |scale| * 1.5 * sum(|x|)
// Rows that cannot be among the k largest need no more. The panels of the other
// rows (about 20 of Gemma 3 270M's 16384 for k = 1, 670 for 64) are multiplied
// with the whole codes. Without the lower three bits they would be 530 and
// 7,000 panels, without the lower four nearly all.

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "ops/products/kernel_table.h"
#include "ops/products/mat_mul_kernels.h"
#include "ops/products/rounded_x.h"
#include "ops/products/unpacked_panels.h"
#include "ops/top_scan.h"

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/top_products.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"
#include "ops/products/int8_dot-inl.h"
#include "ops/products/outliers-inl.h"
#include "ops/products/packed-inl.h"

// ---- 2. Vectors, no threads.
HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Writes the bounds of `num_panels` panels, at most kSideBySide.streams.
void ScanPanels(const TopScan& scan, size_t panel, size_t num_panels) {
  constexpr Layout kLayout = Layout::kU8Split;
  const DF df;
  const size_t stride = PanelBytes(kLayout, scan.w.cols);
  VF sums[kSideBySide.streams][kColVectors];
  VF errors[kSideBySide.streams][kColVectors];
  for (size_t i = 0; i < kSideBySide.streams; ++i) {
    for (size_t v = 0; v < kColVectors; ++v) {
      sums[i][v] = errors[i][v] = hn::Zero(df);
    }
  }
  const Ahead<kTileStride<kLayout>> ahead(
      kSideBySide.ahead_bytes, scan.w.cols / kTileCols, num_panels, stride);
  size_t block = 0;
  auto outlier = scan.outliers.begin();
  ForEachTile<kLayout>(
      scan.w, panel, 0, scan.w.cols,
      [&](const uint8_t* header, size_t group, const Tile& tile) GEMMA_LAMBDA {
        const Int8Block& x = scan.x[block];
        const auto middle = hn::Set(
            df, kMiddle / 4 * static_cast<float>(-MinusSum(x.minus_sum)));
        const auto x_scale = hn::Set(df, 4 * x.scale);
        const auto slack = hn::Set(df, scan.slack[block]);
        for (size_t i = 0; i < num_panels; ++i) {
          const Tile t = tile.At(i * stride);
          Fetch<kTileStride<kLayout>>(t.planes + ahead.Of(block));
          for (size_t v = 0; v < kColVectors; ++v) {
            VI32 acc[1][1];
            GroupDots<kLayout, 0, 1, 1, CodeBits::kInBlock>({t}, v, &scan.x,
                                                            block, acc);
            VF scale;
            VF unused;
            LoadScale<kLayout>(header + i * stride, group, v, scale, unused);
            sums[i][v] = hn::MulAdd(
                hn::Mul(scale, x_scale),
                hn::Add(hn::ConvertTo(df, acc[0][0]), middle), sums[i][v]);
            errors[i][v] = hn::MulAdd(hn::Abs(scale), slack, errors[i][v]);
          }
        }
        // Outliers that lie in these columns. Later, the CPU would wait for
        // them, and for the next panels after that.
        for (;
             outlier != scan.outliers.end() && outlier->at / kTileCols == block;
             ++outlier) {
          const ColPlace place = {header, group, tile, outlier->at % kTileCols,
                                  nullptr};
          const auto value = hn::Set(df, outlier->value);
          for (size_t i = 0; i < num_panels; ++i) {
            for (size_t v = 0; v < kColVectors; ++v) {
              sums[i][v] = hn::MulAdd(
                  value,
                  UpperColValues<kLayout>(place.At(i * stride), v, kMiddle),
                  sums[i][v]);
            }
          }
        }
        ++block;
      });
  for (size_t i = 0; i < num_panels; ++i) {
    // A row of NaN does not bound other rows, but may be a candidate itself.
    const auto infinity = hn::Inf(df);
    VF lower = hn::Neg(infinity);
    VF upper = lower;
    for (size_t v = 0; v < kColVectors; ++v) {
      const VF least = hn::Sub(sums[i][v], errors[i][v]);
      const VF most = hn::Add(sums[i][v], errors[i][v]);
      const auto is_nan = hn::IsNaN(least);
      lower = hn::Max(lower, hn::IfThenElse(is_nan, hn::Neg(infinity), least));
      upper = hn::Max(upper, hn::IfThenElse(hn::Or(is_nan, hn::IsNaN(most)),
                                            infinity, most));
    }
    scan.lower[panel + i] = hn::ReduceMax(df, lower);
    scan.upper[panel + i] = hn::ReduceMax(df, upper);
  }
}

// Reads panels side by side on every CPU, because one stream would fetch the
// lower bits of codes, too.
void ScanOnTarget(const TopScan& scan, size_t begin, size_t end) {
  for (size_t panel = begin; panel < end; panel += kSideBySide.streams) {
    ScanPanels(scan, panel, HWY_MIN(kSideBySide.streams, end - panel));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

// ---- 3. Dispatch, and the choice of panels.
#if HWY_ONCE
namespace gemma::internal {
namespace {

HWY_EXPORT(ScanOnTarget);

// The panels of a task: it reads as many rows as an L2 cache holds in order.
constexpr size_t kScanPanels = 32;

// The panels of a task that writes results.
constexpr size_t kWrittenPanels = 256;

// Sums of blocks and outliers are rounded, in the scan and in the products
// themselves: a term is at most 128 / kMiddle times its slack, and each block
// and outlier rounds it a few times.
float RoundingFactor(size_t num_terms) {
  return 1.0f + static_cast<float>(num_terms + 1) * 0x1p-14f;
}

void Slack(std::span<const Int8Block> x, std::span<const Outlier> outliers,
           std::span<float> slack) {
  const float factor = RoundingFactor(x.size() + outliers.size());
  for (size_t block = 0; block < x.size(); ++block) {
    int magnitude = 0;
    for (const int8_t code : x[block].codes) magnitude += std::abs(code);
    slack[block] =
        kMiddle * x[block].scale * static_cast<float>(magnitude) * factor;
  }
  for (const Outlier& outlier : outliers) {
    slack[outlier.at / kTileCols] += kMiddle * std::abs(outlier.value) * factor;
  }
}

// Returns a number such that a product below it, soft-capped, never reaches
// `product`, soft-capped: tanh is rounded, and hardly rises where it is near 1.
float BelowCapped(float product, float soft_cap) {
  const double capped = std::tanh(double{product} / soft_cap) - 0x1p-18;
  if (capped <= -1.0) return -std::numeric_limits<float>::infinity();
  return static_cast<float>(soft_cap * std::atanh(capped));
}

// Bounds of panels, and the largest of each task of the scan.
struct Bounds {
  Bounds(std::vector<float>& all, size_t num_panels)
      : of_panel(all.data(), num_panels),
        of_task(std::span(all).subspan(num_panels)) {}

  // Calls body(panel) for each panel whose bound is at least `least`.
  template <class Body>
  void ForEachFrom(float least, Body body) const {
    for (size_t task = 0; task < of_task.size(); ++task) {
      if (of_task[task] < least) continue;
      const size_t end = std::min((task + 1) * kScanPanels, of_panel.size());
      for (size_t panel = task * kScanPanels; panel < end; ++panel) {
        if (of_panel[panel] >= least) body(panel);
      }
    }
  }

  std::span<float> of_panel;
  std::span<float> of_task;
};

// Returns the k-th largest of `values`, and changes their order.
float KthLargest(std::vector<float>& values, size_t k) {
  const auto kth = values.begin() + static_cast<ptrdiff_t>(k - 1);
  std::nth_element(values.begin(), kth, values.end(), std::greater<>());
  return *kth;
}

// Returns the k-th largest bound of a panel. There are at least k panels.
float KthLargest(const Bounds& bounds, size_t k, std::vector<float>& ranked) {
  // k tasks have a panel each that reaches the k-th largest of all tasks.
  float least = -std::numeric_limits<float>::infinity();
  if (k <= bounds.of_task.size()) {
    ranked.assign(bounds.of_task.begin(), bounds.of_task.end());
    least = KthLargest(ranked, k);
  }
  ranked.clear();
  bounds.ForEachFrom(
      least, [&](size_t panel) { ranked.push_back(bounds.of_panel[panel]); });
  return KthLargest(ranked, k);
}

// With more candidates than one panel in kPayingShare, the scan costs more than
// it saves, which is a quarter of the bits.
constexpr size_t kPayingShare = 5;
// Each failed try doubles the pause before the next, up to this many calls, so
// that tries cost little.
constexpr size_t kLongestPause = 128;

}  // namespace

bool TopProducts::Pays() {
  if (left_ == 0) return true;
  --left_;
  return false;
}

bool TopProducts::Supports(const PackedView& w, Arithmetic arithmetic) {
  return w.layout == Layout::kU8Split && arithmetic != Arithmetic::kFloat32;
}

void TopProducts::Reserve(const PackedView& w) {
  const size_t num_whole = w.rows / kPanelRows;
  slack_.reserve(w.cols / kTileCols);
  const size_t num_bounds = num_whole + hwy::DivCeil(num_whole, kScanPanels);
  lower_.reserve(num_bounds);
  upper_.reserve(num_bounds);
  ranked_.reserve(num_whole);
  candidates_.reserve(w.NumPanels());
}

bool TopProducts::Find(std::span<const float> x, const PackedView& w, size_t k,
                       float soft_cap, MatMulContext& context,
                       std::span<float> out) {
  HWY_ASSERT(Supports(w, context.arithmetic()) && out.size() == w.rows);
  HWY_ASSERT(x.size() == w.cols);
  const size_t num_blocks = w.cols / kTileCols;
  // The rows of a last, partial panel have no bounds.
  const size_t num_whole = w.rows / kPanelRows;
  if (k == 0 || k > num_whole) return false;
  auto* blocks = reinterpret_cast<Int8Block*>(context.buffer().data());
  HWY_ASSERT(RoundedX::Bytes(1, 1, x.size()) <= context.buffer().size());
  OutlierRows outliers(1, 1, x.size(),
                       reinterpret_cast<uint8_t*>(blocks + num_blocks));
  outliers.Quantize(x, /*row=*/0, blocks);
  slack_.resize(num_blocks);
  Slack({blocks, num_blocks}, outliers.Row(0), slack_);
  const size_t num_tasks = hwy::DivCeil(num_whole, kScanPanels);
  lower_.resize(num_whole + num_tasks);
  upper_.resize(num_whole + num_tasks);
  const Bounds lower(lower_, num_whole);
  const Bounds upper(upper_, num_whole);
  const TopScan scan = {
      w, blocks, outliers.Row(0), slack_.data(), lower_.data(), upper_.data()};
  const bool has_dots =
      ChooseKernel(w, 1, 1, Arithmetic::kInt8) == Kernel::kNeonFewRows;
  const auto scan_panels =
      has_dots ? NeonTopScan : HWY_DYNAMIC_DISPATCH(ScanOnTarget);
  Int8RowKernel& multiply = has_dots ? NeonRowPanels : Int8RowPanels;
  context.workers().ForEach(num_tasks, [&](size_t task, size_t) {
    const size_t begin = task * kScanPanels;
    const size_t end = std::min(begin + kScanPanels, num_whole);
    scan_panels(scan, begin, end);
    lower.of_task[task] =
        std::ranges::max(lower.of_panel.first(end).subspan(begin));
    upper.of_task[task] =
        std::ranges::max(upper.of_panel.first(end).subspan(begin));
  });

  // At least k products reach this threshold: one in each of k panels.
  float threshold = KthLargest(lower, k, ranked_);
  // Without vectors, a maximum over only NaN is the lowest number.
  constexpr float kLowest = std::numeric_limits<float>::lowest();
  if (!(threshold > kLowest) || std::isinf(threshold)) return false;
  if (soft_cap != 0.0f) threshold = BelowCapped(threshold, soft_cap);
  candidates_.clear();
  upper.ForEachFrom(threshold,
                    [&](size_t panel) { candidates_.push_back(panel); });
  if (num_whole < w.NumPanels()) candidates_.push_back(num_whole);
  const bool paid = candidates_.size() <= w.NumPanels() / kPayingShare;
  pause_ = paid ? 0 : std::clamp(2 * pause_, size_t{1}, kLongestPause);
  left_ = pause_;

  // Each task writes some panels of out, and computes the candidates in them.
  const MatMulJob job = {
      {x.data(), 1, x.size()}, w, {}, {out.data(), 1, w.rows}};
  context.workers().ForEach(
      hwy::DivCeil(w.NumPanels(), kWrittenPanels), [&](size_t task, size_t) {
        const size_t begin = task * kWrittenPanels;
        const size_t end = std::min(begin + kWrittenPanels, w.NumPanels());
        const auto rows = [&](size_t first, size_t last) {
          const size_t row = first * kPanelRows;
          return out.subspan(row, std::min(last * kPanelRows, w.rows) - row);
        };
        std::ranges::fill(rows(begin, end),
                          -std::numeric_limits<float>::infinity());
        for (auto i = std::ranges::lower_bound(candidates_, begin);
             i != candidates_.end() && *i < end; ++i) {
          multiply(job, blocks, outliers.Row(0), *i, *i + 1);
          SoftCap(soft_cap, rows(*i, *i + 1));
        }
      });
  return true;
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
