// Products with packed weights: most of the time of every forward pass.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "benchmarks/support.h"
#include "benchmarks/weights.h"
#include "compression/codec.h"
#include "ops/ops.h"

namespace gemma::internal {
namespace {

constexpr MatrixShape kLayerMatrices[] = {
    {"gemma3_270m.q", 1024, 640},
    {"gemma3_270m.ffw_up", 2048, 640},
    {"gemma3_270m.ffw_down", 640, 2048},
    {"gemma2_2b.q", 2048, 2304},
    {"gemma2_2b.ffw_up", 9216, 2304},
    {"gemma2_2b.ffw_down", 2304, 9216},
    {"recurrentgemma_2b.linear_x", 2560, 2560},
    {"recurrentgemma_2b.ffw_up", 7680, 2560},
};
constexpr MatrixShape kGatedMatrices[] = {
    {"gemma3_270m", 2048, 640},
    {"gemma2_2b", 9216, 2304},
    {"recurrentgemma_2b", 7680, 2560},
};
constexpr MatrixShape kHeads[] = {
    {"gemma3_270m", 262144, 640},
    {"gemma2_2b", 256000, 2304},
    {"recurrentgemma_2b", 256000, 2560},
};
// One block of a recurrent layer's gates, in float32.
constexpr MatrixShape kRecurrentGate = {"recurrentgemma_2b", 256, 256};
constexpr size_t kRecurrentGates = 10;

// Leaves out float32 matrices of a vocabulary: they take 5 GB here, and no
// model has one.
constexpr size_t kMaxHeadBits = 16;

// Returns the largest error of a product. Sums of `cols` products are off by at
// most cols * 2^-24 times the sum of the products' magnitudes, in any order;
// twice that leaves room for scales applied to sums. Rounding to int8 changes
// an activation by at most 1/254 of the largest of its block, here about three
// times the mean; rounding to bfloat16 changes both factors by 2^-9.
double Tolerance(const WeightView& w) {
  const Layout layout = LayoutOf(w.format);
  const bool rounds =
      TraitsOf(layout).code_bits != 0 || layout == Layout::kBF16;
  return rounds ? 0x1p-6 : 2 * static_cast<double>(w.cols) * 0x1p-24;
}

MatMulContext NewContext(size_t rows, size_t cols) {
  return MatMulContext(Arithmetic::kFastest, rows, cols, BenchmarkWorkers());
}

// The product of row `row` of the weights and x in double precision.
struct Dot {
  Dot(const WeightView& w, size_t row, std::span<const float> x) {
    std::vector<float> values(w.cols);
    DecodeRow(w, row, values.data());
    for (size_t i = 0; i < w.cols; ++i) {
      const double term = static_cast<double>(x[i]) * values[i];
      sum += term;
      magnitude += std::abs(term);
    }
  }

  double sum = 0;
  double magnitude = 0;
};

// Returns some of the rows, including the first and the last.
std::vector<size_t> Sample(size_t rows) {
  constexpr size_t kSamples = 33;
  std::vector<size_t> sample;
  for (size_t i = 0; i < std::min(kSamples, rows); ++i) {
    sample.push_back(i * (rows - 1) / (std::min(kSamples, rows) - 1));
  }
  return sample;
}

// Activations in, results out.
struct Activations {
  Activations(size_t rows, size_t in, size_t out)
      : x(RandomVector(rows * in, /*seed=*/2)),
        y(rows * out),
        x_view(x.data(), rows, in),
        y_view(y.data(), rows, out) {}
  Activations(const Activations&) = delete;
  Activations& operator=(const Activations&) = delete;

  std::vector<float> x, y;
  MatrixView<const float> x_view;
  MatrixView<float> y_view;
};

// Compares a sample of y = x w^T.
bool CheckProduct(benchmark::State& state, const WeightView& w,
                  const Activations& a) {
  for (const size_t t : {size_t{0}, a.x_view.rows - 1}) {
    std::vector<float> actual;
    std::vector<double> expected, tolerance;
    for (const size_t row : Sample(w.rows)) {
      const Dot dot(w, row, a.x_view.Row(t));
      actual.push_back(a.y_view.Row(t)[row]);
      expected.push_back(dot.sum);
      tolerance.push_back(Tolerance(w) * dot.magnitude);
    }
    if (!CheckNear(state, actual, expected, tolerance)) return false;
  }
  return true;
}

Work ProductWork(size_t rows, const WeightCopies& w) {
  const double macs = static_cast<double>(rows) *
                      static_cast<double>(w.file().rows) *
                      static_cast<double>(w.file().cols);
  const bool has_codes = TraitsOf(LayoutOf(w.file().format)).code_bits != 0;
  return {static_cast<double>(w.bytes()), 2 * macs, has_codes ? macs : 0};
}

// state.range(0): rows of activations.
void BM_MatMul(benchmark::State& state, Format format,
               const MatrixShape& shape) {
  const auto rows = static_cast<size_t>(state.range(0));
  const WeightCopies& weights = GetWeights(format, shape.rows, shape.cols);
  const Activations a(rows, shape.cols, shape.rows);
  MatMulContext context = NewContext(rows, shape.cols);
  const auto run = [&](size_t i) {
    const MatMulJob job = {a.x_view, weights[i], {}, a.y_view};
    MatMul({&job, 1}, context);
  };
  run(0);
  if (!CheckProduct(state, weights.file(), a)) return;
  Report(state, Time(state, run), ProductWork(rows, weights));
}

double Gelu(double z) {
  return 0.5 * z *
         (1 + std::tanh(std::sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)));
}

// Compares a sample of y = gelu(x w^T) * (x w^T), where gate and up are copies
// of one matrix. gelu's slope is below 1.13, so an error d in the product z
// changes the result by at most (1.13 |z| + |gelu(z)|) d, and d^2.
bool CheckGatedProduct(benchmark::State& state, const WeightView& w,
                       const Activations& a) {
  std::vector<float> actual;
  std::vector<double> expected, tolerance;
  for (const size_t row : Sample(w.rows)) {
    const Dot dot(w, row, a.x_view.Row(0));
    const double d = Tolerance(w) * dot.magnitude;
    const double gelu = Gelu(dot.sum);
    actual.push_back(a.y_view.Row(0)[row]);
    expected.push_back(gelu * dot.sum);
    tolerance.push_back((1.13 * std::abs(dot.sum) + std::abs(gelu) + 2 * d) *
                            d +
                        1e-6 * std::abs(expected.back()));
  }
  return CheckNear(state, actual, expected, tolerance);
}

// state.range(0): rows of activations.
void BM_GatedMatMul(benchmark::State& state, Format format,
                    const MatrixShape& shape) {
  const auto rows = static_cast<size_t>(state.range(0));
  const WeightCopies& weights = GetWeights(format, shape.rows, shape.cols);
  const Activations a(rows, shape.cols, shape.rows);
  std::vector<float> scratch(rows * shape.rows);
  MatMulContext context = NewContext(rows, shape.cols);
  const auto run = [&](size_t i) {
    GatedMatMul({a.x_view,
                 weights[2 * i],
                 weights[2 * i + 1],
                 {},
                 {},
                 {scratch.data(), rows, shape.rows},
                 a.y_view},
                context);
  };
  run(0);
  if (!CheckGatedProduct(state, weights.file(), a)) return;
  Work work = ProductWork(rows, weights);
  work.bytes *= 2;
  work.flops *= 2;
  work.byte_macs *= 2;
  Report(state, Time(state, run), work);
}

// One gate of a recurrent layer: a block for each head, each on one thread.
// state.range(0): rows of activations.
void BM_RecurrentGate(benchmark::State& state) {
  const auto rows = static_cast<size_t>(state.range(0));
  const MatrixShape& shape = kRecurrentGate;
  const WeightCopies& weights =
      GetWeights(Format::kF32, shape.rows, shape.cols);
  const Activations a(rows, shape.cols, shape.rows);
  std::vector<float> outs(kRecurrentGates * rows * shape.rows);
  const auto run = [&](size_t i) {
    BenchmarkWorkers().ForEach(kRecurrentGates, [&](size_t gate, size_t) {
      float* out = outs.data() + gate * rows * shape.rows;
      MatMulInline({a.x_view,
                    weights[i * kRecurrentGates + gate],
                    {},
                    {out, rows, shape.rows}});
    });
  };
  run(0);
  std::copy_n(outs.begin(), a.y.size(), a.y_view.data);
  if (!CheckProduct(state, weights.file(), a)) return;
  Work work = ProductWork(rows, weights);
  work.bytes *= kRecurrentGates;
  work.flops *= kRecurrentGates;
  Report(state, Time(state, run), work);
}

// Reads random rows of a table far larger than caches.
void BM_Embed(benchmark::State& state, Format format,
              const MatrixShape& shape) {
  constexpr float kScale = 1.5f;
  const WeightCopies& weights = GetWeights(format, shape.rows, shape.cols);
  std::vector<float> out(shape.cols), expected(shape.cols);
  Embed(weights[0], shape.rows - 1, kScale, out);
  DecodeRow(weights.file(), shape.rows - 1, expected.data());
  std::vector<double> scaled(expected.begin(), expected.end());
  for (double& value : scaled) value *= kScale;
  if (!CheckNear(state, out, scaled, 0x1p-23)) return;
  std::minstd_rand random(/*seed=*/1);
  const double seconds = Time(state, [&](size_t i) {
    Embed(weights[i], random() % shape.rows, kScale, out);
  });
  Report(state, seconds,
         {.bytes = static_cast<double>(weights.bytes()) /
                   static_cast<double>(shape.rows)});
}

std::string Name(std::string_view op, Format format, const MatrixShape& shape) {
  return absl::StrCat(op, "/", FormatName(format), "/", shape.name);
}

// Registers `function` for each shape that the format allows.
template <class Function>
void Add(std::string_view op, Function function, Format format,
         std::span<const MatrixShape> shapes,
         const std::vector<int64_t>& rows) {
  for (const MatrixShape& shape : shapes) {
    if (!Fits(format, shape)) continue;
    auto* added = benchmark::RegisterBenchmark(Name(op, format, shape).c_str(),
                                               function, format, shape);
    added->UseRealTime()->Unit(benchmark::kMicrosecond);
    if (rows.empty()) continue;
    added->ArgName("rows");
    for (const int64_t count : rows) added->Arg(count);
  }
}

void AddBenchmarks() {
  for (const Format format : kAllFormats) {
    Add("MatMul", BM_MatMul, format, kLayerMatrices, {1, 2, 4, 8, 64, 256});
    Add("GatedMatMul", BM_GatedMatMul, format, kGatedMatrices,
        {1, 2, 4, 8, 64, 256});
  }
  for (const Format format : kAllFormats) {
    if (8 * BlockBytes(format) > kMaxHeadBits * BlockValues(format)) continue;
    Add("Head", BM_MatMul, format, kHeads, {1, 2, 4, 8});
    Add("Embed", BM_Embed, format, kHeads, {});
  }
  auto* gate = benchmark::RegisterBenchmark(
      "RecurrentGate/F32/recurrentgemma_2b", BM_RecurrentGate);
  gate->UseRealTime()->Unit(benchmark::kMicrosecond)->ArgName("rows");
  for (const int64_t rows : {1, 8, 64, 256}) gate->Arg(rows);
}

}  // namespace
}  // namespace gemma::internal

int main(int argc, char** argv) {
  return gemma::internal::RunBenchmarks(argc, argv,
                                        gemma::internal::AddBenchmarks);
}
