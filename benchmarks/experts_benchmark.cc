// The mixture of experts of a layer: the router, the experts that it chooses,
// and their norms.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "benchmarks/support.h"
#include "benchmarks/weights.h"
#include "compression/codec.h"
#include "compression/pack.h"
#include "src/forward/expert_block.h"

namespace gemma::internal {
namespace {

// Gemma 4 26B-A4B.
constexpr size_t kDim = 2816;
constexpr size_t kExperts = 128;
constexpr size_t kUsed = 8;
constexpr size_t kHidden = 704;

// A layer whose experts have the same random values, each in memory of its own,
// so that any choice gives the same result.
struct ExpertLayer {
  explicit ExpertLayer(Format format)
      : gate(format, kHidden, kDim), down(format, kDim, kHidden) {
    config.model_dim = kDim;
    config.rms_norm_eps = 1e-6f;
    config.layers.resize(1);
    config.layers[0].num_experts = kExperts;
    config.layers[0].experts_used = kUsed;
    config.layers[0].expert_dim = kHidden;
    weights.router_scale.assign(kDim, 1.0f);
    weights.pre_expert_norm.assign(kDim, 1.0f);
    weights.post_dense_norm.assign(kDim, 1.0f);
    weights.post_expert_norm.assign(kDim, 1.0f);
    weights.expert_scale.assign(kExperts, 1.0f);
    const std::vector<float> router = RandomVector(kExperts * kDim, 1);
    const WeightView view = {Format::kF32, kExperts, kDim,
                             reinterpret_cast<const uint8_t*>(router.data())};
    weights.router = NewMatrix(view.format, kExperts, kDim);
    PackPanels(view, weights.router.view.layout, 0,
               weights.router.view.NumPanels(), weights.router.memory.data());
    for (size_t e = 0; e < kExperts; ++e) {
      weights.expert_gate.push_back(Copy(gate));
      weights.expert_up.push_back(Copy(gate));
      weights.expert_down.push_back(Copy(down));
    }
  }

  static Matrix NewMatrix(Format format, size_t rows, size_t cols) {
    Matrix matrix;
    matrix.memory = AlignedBuffer::Allocate(PackedBytes(format, rows, cols));
    matrix.view = {LayoutOf(format), rows, cols, matrix.memory.data()};
    return matrix;
  }
  static Matrix Copy(const WeightCopies& w) {
    Matrix matrix = NewMatrix(w.file().format, w.file().rows, w.file().cols);
    std::copy_n(w[0].data, w.bytes(), matrix.memory.data());
    return matrix;
  }

  double ExpertBytes() const {
    return static_cast<double>(2 * gate.bytes() + down.bytes());
  }

  ModelConfig config;
  LayerWeights weights;
  WeightCopies gate, down;
};

const ExpertLayer& GetLayer(Format format) {
  static std::unique_ptr<ExpertLayer> kept;
  if (kept == nullptr || kept->gate.file().format != format) {
    kept.reset();
    kept = std::make_unique<ExpertLayer>(format);
  }
  return *kept;
}

std::vector<double> Product(const WeightView& w, std::span<const double> x) {
  std::vector<double> out;
  std::vector<float> values(w.cols);
  for (size_t row = 0; row < w.rows; ++row) {
    DecodeRow(w, row, values.data());
    double sum = 0;
    for (size_t i = 0; i < w.cols; ++i) sum += x[i] * values[i];
    out.push_back(sum);
  }
  return out;
}

template <class T>
std::vector<double> Normalized(std::span<const T> x) {
  double squares = 0;
  for (const T value : x) squares += double{value} * double{value};
  const double scale = 1 / std::sqrt(squares / static_cast<double>(x.size()));
  std::vector<double> out;
  for (const T value : x) out.push_back(value * scale);
  return out;
}

// The block's result for a row. The norm hides the sum of the experts' weights.
std::vector<double> ExpectedRow(const ExpertLayer& layer,
                                std::span<const float> x,
                                std::span<const float> dense) {
  std::vector<double> hidden = Product(layer.gate.file(), Normalized(x));
  for (double& z : hidden) {
    z = 0.5 * z * z *
        (1 + std::tanh(std::sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)));
  }
  const std::vector<double> down = Product(layer.down.file(), hidden);
  std::vector<double> out = Normalized(dense);
  const std::vector<double> normed = Normalized<double>(down);
  for (size_t i = 0; i < out.size(); ++i) out[i] += normed[i];
  return out;
}

// state.range(0): rows of the pass.
void BM_Experts(benchmark::State& state, Format format) {
  const auto rows = static_cast<size_t>(state.range(0));
  const ExpertLayer& layer = GetLayer(format);
  // Different rows in each iteration, so that experts come from memory.
  constexpr size_t kPasses = 16;
  const std::vector<float> x = RandomVector(kPasses * rows * kDim, 2);
  std::vector<float> update = RandomVector(rows * kDim, 3);
  const std::vector<float> dense = update;
  ExpertScratch scratch(layer.config, rows);
  MatMulContext context(Arithmetic::kFastest,
                        ExpertScratch::ContextBytes(layer.config, rows),
                        BenchmarkWorkers());
  context.SetPassRows(rows);
  const auto run = [&](size_t i) {
    const float* pass = x.data() + i % kPasses * rows * kDim;
    ExpertBlock(layer.config, layer.weights, /*layer=*/0, {},
                {pass, rows, kDim}, scratch, {update.data(), rows, kDim},
                context);
  };
  run(0);
  const std::vector<double> expected =
      ExpectedRow(layer, {x.data(), kDim}, {dense.data(), kDim});
  if (!CheckNear(state, {update.data(), kDim}, expected, 0x1p-5)) return;
  const auto experts = static_cast<double>(scratch.experts.size());
  constexpr double kMacs = kUsed * 3.0 * kDim * kHidden + kExperts * kDim;
  Report(
      state, Time(state, run),
      {.bytes = experts * layer.ExpertBytes() + kExperts * kDim * sizeof(float),
       .flops = 2 * kMacs * static_cast<double>(rows)});
}

void AddBenchmarks() {
  for (const Format format : {Format::kQ4_0, Format::kQ8_0, Format::kBF16}) {
    auto* added = benchmark::RegisterBenchmark(
        absl::StrCat("Experts/", FormatName(format), "/gemma4_26b").c_str(),
        BM_Experts, format);
    added->UseRealTime()->Unit(benchmark::kMicrosecond)->ArgName("rows");
    for (const int64_t count : {1, 2, 8, 64, 512}) added->Arg(count);
  }
}

}  // namespace
}  // namespace gemma::internal

int main(int argc, char** argv) {
  return gemma::internal::RunBenchmarks(argc, argv,
                                        gemma::internal::AddBenchmarks);
}
