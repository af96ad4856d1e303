// The encoder and decoder of sparse autoencoders of Gemma Scope.

#include <algorithm>
#include <cstddef>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "benchmarks/support.h"
#include "benchmarks/weights.h"
#include "ops/ops.h"

namespace gemma::internal {
namespace {

constexpr MatrixShape kAutoencoders[] = {
    {"gemma3_270m.16k", 16384, 640},
    {"gemma2_2b.16k", 16384, 2304},
    {"gemma2_2b.65k", 65536, 2304},
};
constexpr Format kFormats[] = {Format::kF32, Format::kBF16, Format::kQ8_0};

// About this many of 16,384 features are active in published autoencoders.
constexpr size_t kActive = 80;

// A job whose thresholds let this share of the first row's values pass.
class Encoder {
 public:
  Encoder(const WeightCopies& weights, size_t rows)
      : weights_(weights),
        rows_(rows),
        x_(RandomVector(rows * weights.file().cols, /*seed=*/1)),
        bias_(weights.file().rows),
        out_(rows) {
    products_.resize(weights.file().rows);
    MatMulInline({{x_.data(), 1, weights.file().cols},
                  weights[0],
                  {},
                  {products_.data(), 1, products_.size()}});
    std::vector<float> ranked = products_;
    const size_t kept = ranked.size() / 16384 * kActive;
    std::nth_element(ranked.begin(),
                     ranked.end() - static_cast<ptrdiff_t>(kept), ranked.end());
    threshold_.assign(ranked.size(), ranked[ranked.size() - kept]);
  }

  void Run(size_t i) {
    EncodeSparse({{x_.data(), rows_, weights_.file().cols},
                  weights_[i],
                  bias_,
                  threshold_,
                  /*top_k=*/0,
                  out_},
                 BenchmarkWorkers());
  }

  // Compares the values found for the first row with the products.
  bool Check(benchmark::State& state) const {
    std::vector<float> found(products_.size()), expected(products_.size());
    for (const SparseValue& active : out_[0]) {
      found[active.index] = active.value;
    }
    for (size_t i = 0; i < expected.size(); ++i) {
      if (products_[i] > threshold_[i]) expected[i] = products_[i];
    }
    return CheckNear(state, found,
                     std::vector<double>(expected.begin(), expected.end()),
                     /*relative=*/0.0);
  }

 private:
  const WeightCopies& weights_;
  size_t rows_;
  std::vector<float> x_, bias_, threshold_, products_;
  std::vector<std::vector<SparseValue>> out_;
};

// state.range(0): rows of activations.
void BM_EncodeSparse(benchmark::State& state, Format format,
                     const MatrixShape& shape) {
  const auto rows = static_cast<size_t>(state.range(0));
  const WeightCopies& weights = GetWeights(format, shape.rows, shape.cols);
  Encoder encoder(weights, rows);
  encoder.Run(0);
  if (!encoder.Check(state)) return;
  const double seconds = Time(state, [&](size_t i) { encoder.Run(i); });
  Report(state, seconds,
         {static_cast<double>(weights.bytes()),
          2.0 * static_cast<double>(rows * shape.rows * shape.cols)});
}

// Adds as many random rows of a decoder as a token has features.
void BM_AddRows(benchmark::State& state, Format format,
                const MatrixShape& shape) {
  const WeightCopies& weights = GetWeights(format, shape.rows, shape.cols);
  std::vector<float> out(shape.cols);
  std::minstd_rand random(/*seed=*/1);
  std::vector<SparseValue> rows(kActive);
  const double seconds = Time(state, [&](size_t) {
    for (SparseValue& row : rows) {
      row = {static_cast<uint32_t>(random() % shape.rows), 1.0f};
    }
    AddRows(weights.file(), rows, out);
  });
  Report(
      state, seconds,
      {.bytes = static_cast<double>(
           kActive * WeightView{format, 1, shape.cols, nullptr}.RowBytes())});
}

void AddBenchmarks() {
  for (const Format format : kFormats) {
    for (const MatrixShape& shape : kAutoencoders) {
      const auto name = [&](std::string_view op) {
        return absl::StrCat(op, "/", FormatName(format), "/", shape.name);
      };
      auto* encode = benchmark::RegisterBenchmark(
          name("EncodeSparse").c_str(), BM_EncodeSparse, format, shape);
      encode->UseRealTime()->Unit(benchmark::kMicrosecond)->ArgName("rows");
      for (const int64_t rows : {1, 8, 64, 256}) encode->Arg(rows);
      benchmark::RegisterBenchmark(name("AddRows").c_str(), BM_AddRows, format,
                                   shape)
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace
}  // namespace gemma::internal

int main(int argc, char** argv) {
  return gemma::internal::RunBenchmarks(argc, argv,
                                        gemma::internal::AddBenchmarks);
}
