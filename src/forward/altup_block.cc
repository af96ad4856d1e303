#include "src/forward/altup_block.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "src/model/config/limits.h"

namespace gemma::internal {
namespace {

// Columns that are mixed at a time, so that copies of all streams fit in the L1
// cache.
constexpr size_t kMixColumns = 512;

// The mean of squares, summed in several lanes, in an order that depends only
// on the size.
float MeanSquare(std::span<const float> x) {
  constexpr size_t kLanes = 16;
  std::array<float, kLanes> sums = {};
  const size_t whole = x.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) sums[j] += x[i + j] * x[i + j];
  }
  double sum = 0.0;
  for (const float lane : sums) sum += double{lane};
  for (size_t i = whole; i < x.size(); ++i) sum += double{x[i]} * double{x[i]};
  return static_cast<float>(sum / static_cast<double>(x.size()));
}

// Scales x to the root mean square of `like`.
void ScaleLike(std::span<const float> like, std::span<float> x) {
  // The least mean square, as in transformers.
  constexpr float kLeast = 1e-5f;
  const float factor =
      std::sqrt(MeanSquare(like)) / std::sqrt(std::max(MeanSquare(x), kLeast));
  for (float& value : x) value *= factor;
}

// Writes m of the header's formulas for each row of x.
void Modalities(const ModelConfig& config, const LayerWeights& weights,
                MatrixView<const float> x, Scratch& scratch, Workers& workers) {
  const MatrixView<float> normed = scratch.normed.Rows(0, x.rows);
  const MatrixView<float> out = scratch.modalities.Rows(0, x.rows);
  ForEachRow(workers, x.rows, [&](size_t r) {
    RmsNorm(x.Row(r), weights.altup_router_norm, config.rms_norm_eps,
            normed.Row(r));
  });
  // In float32 in any pass, because all streams follow from it.
  ExactMatMul({normed, weights.altup_router.view, {}, out}, workers);
  const float scale = 1.0f / static_cast<float>(config.model_dim);
  for (size_t r = 0; r < out.rows; ++r) {
    // Where the product is infinite, tanh would hide it: the difference is NaN.
    for (float& value : out.Row(r)) {
      value = std::tanh(value * scale) + (value - value);
    }
  }
}

// Row `row` of a matrix of coefficients, times m.
float Coefficient(std::span<const float> matrix, size_t row,
                  std::span<const float> m) {
  float sum = 0.0f;
  for (size_t p = 0; p < m.size(); ++p)
    sum += matrix[row * m.size() + p] * m[p];
  return sum;
}

}  // namespace

MatrixView<float> StreamOf(const Scratch& scratch, size_t stream, size_t rows) {
  if (stream == 0) return scratch.x.Rows(0, rows);
  return scratch.streams.Rows((stream - 1) * scratch.x.rows, rows);
}

void SplitStreams(const ModelConfig& config, const Weights& weights,
                  size_t rows, Scratch& scratch, MatMulContext& context) {
  const MatrixView<float> x = scratch.x.Rows(0, rows);
  std::array<MatMulJob, kMaxStreams> jobs;
  const size_t others = config.altup_streams - 1;
  for (size_t i = 0; i < others; ++i) {
    jobs[i] = {
        x, weights.altup_proj[i].view, {}, StreamOf(scratch, i + 1, rows)};
  }
  MatMul({jobs.data(), others}, context);
  ForEachRow(context.workers(), rows, [&](size_t r) {
    for (size_t i = 0; i < others; ++i) {
      ScaleLike(x.Row(r), jobs[i].out.Row(r));
    }
  });
}

void PredictStreams(const ModelConfig& config, const LayerWeights& weights,
                    size_t rows, Scratch& scratch, Workers& workers) {
  const MatrixView<float> x = scratch.x.Rows(0, rows);
  Modalities(config, weights, x, scratch, workers);
  const size_t n = config.altup_streams;
  ForEachRow(workers, rows, [&](size_t r) {
    const std::span<const float> m = scratch.modalities.Row(r);
    std::array<std::span<float>, kMaxStreams> streams;
    std::array<float, kMaxStreams * kMaxStreams> c;
    for (size_t i = 0; i < n; ++i)
      streams[i] = StreamOf(scratch, i, rows).Row(r);
    for (size_t i = 0; i < n * n; ++i) {
      c[i] = Coefficient(weights.altup_predict, i, m);
    }
    std::array<std::array<float, kMixColumns>, kMaxStreams> before;
    for (size_t begin = 0; begin < x.cols; begin += kMixColumns) {
      const size_t size = std::min(kMixColumns, x.cols - begin);
      for (size_t k = 0; k < n; ++k) {
        std::ranges::copy(streams[k].subspan(begin, size), before[k].begin());
      }
      for (size_t i = 0; i < n; ++i) {
        const std::span<float> out = streams[i].subspan(begin, size);
        for (size_t k = 0; k < n; ++k) {
          AddScaledTo(c[n * i + k], {before[k].data(), size}, out);
        }
      }
    }
    std::ranges::copy(x.Row(r), scratch.predicted.Row(r).begin());
  });
}

void LaurelBlock(const ModelConfig& config, const LayerWeights& weights,
                 MatrixView<const float> normed, Scratch& scratch,
                 MatMulContext& context) {
  const MatrixView<float> x = scratch.x.Rows(0, normed.rows);
  const MatrixView<float> low = scratch.laurel.Rows(0, normed.rows);
  const MatrixView<float> high = scratch.update.Rows(0, normed.rows);
  const MatMulJob left = {normed, weights.laurel_left.view, {}, low};
  MatMul({&left, 1}, context);
  const MatMulJob right = {low, weights.laurel_right.view, {}, high};
  MatMul({&right, 1}, context);
  ForEachRow(context.workers(), normed.rows, [&](size_t r) {
    const std::span<float> row = high.Row(r);
    RmsNorm(row, weights.post_laurel_norm, config.rms_norm_eps, row);
    AddTo(normed.Row(r), row);
    constexpr float kHalfRoot = 0.70710678118654752f;  // 1 / sqrt(2)
    const std::span<float> sum = x.Row(r);
    for (size_t i = 0; i < sum.size(); ++i) {
      sum[i] = (sum[i] + row[i]) * kHalfRoot;
    }
  });
}

void CorrectStreams(const ModelConfig& config, const LayerWeights& weights,
                    size_t rows, Scratch& scratch, Workers& workers) {
  const MatrixView<float> x = scratch.x.Rows(0, rows);
  Modalities(config, weights, x, scratch, workers);
  ForEachRow(workers, rows, [&](size_t r) {
    const std::span<const float> m = scratch.modalities.Row(r);
    const std::span<const float> predicted = scratch.predicted.Row(r);
    const std::span<float> first = x.Row(r);
    const std::span<float> change = scratch.update.Row(r);
    std::ranges::copy(first, change.begin());
    AddScaledTo(-1.0f, predicted, change);
    std::ranges::copy(predicted, first.begin());
    for (size_t i = 0; i < config.altup_streams; ++i) {
      const float factor = 1.0f + Coefficient(weights.altup_correct, i, m);
      AddScaledTo(factor, change, StreamOf(scratch, i, rows).Row(r));
    }
  });
}

void MergeStreams(const ModelConfig& config, const Weights& weights,
                  size_t rows, Scratch& scratch, MatMulContext& context) {
  const MatrixView<float> x = scratch.x.Rows(0, rows);
  const MatrixView<float> sum = scratch.predicted.Rows(0, rows);
  const MatrixView<float> product = scratch.update.Rows(0, rows);
  ForEachRow(context.workers(), rows, [&](size_t r) {
    std::ranges::copy(x.Row(r), sum.Row(r).begin());
  });
  for (size_t i = 1; i < config.altup_streams; ++i) {
    const MatMulJob job = {StreamOf(scratch, i, rows),
                           weights.altup_unembed[i - 1].view,
                           {},
                           product};
    MatMul({&job, 1}, context);
    ForEachRow(context.workers(), rows, [&](size_t r) {
      ScaleLike(x.Row(r), product.Row(r));
      AddTo(product.Row(r), sum.Row(r));
    });
  }
  const float share = 1.0f / static_cast<float>(config.altup_streams);
  ForEachRow(context.workers(), rows, [&](size_t r) {
    const std::span<const float> from = sum.Row(r);
    const std::span<float> to = x.Row(r);
    for (size_t i = 0; i < to.size(); ++i) to[i] = from[i] * share;
  });
}

}  // namespace gemma::internal
