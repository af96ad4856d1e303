// Operations on vectors of activations, on one thread. The vectors lie in the
// L1 or L2 cache, as they do between two products.

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "benchmark/benchmark.h"
#include "benchmarks/support.h"
#include "ops/ops.h"

namespace gemma::internal {
namespace {

// The tolerance of the tests of these operations.
constexpr double kRelative = 1e-6;

size_t Size(const benchmark::State& state) {
  return static_cast<size_t>(state.range(0));
}

// Returns the bytes of `vectors` vectors of `size` floats.
Work Bytes(size_t vectors, size_t size) {
  return {.bytes = static_cast<double>(vectors * size * sizeof(float))};
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

void BM_RmsNorm(benchmark::State& state) {
  const size_t size = Size(state);
  const std::vector<float> x = RandomVector(size, 1);
  const std::vector<float> weight = RandomVector(size, 2);
  std::vector<float> out(size);
  RmsNorm(x, weight, 1e-6f, out);
  double squares = 0;
  for (const float v : x) squares += static_cast<double>(v) * v;
  const double scale =
      1 / std::sqrt(squares / static_cast<double>(size) + 1e-6);
  std::vector<double> expected(size);
  for (size_t i = 0; i < size; ++i) expected[i] = x[i] * scale * weight[i];
  if (!CheckNear(state, out, expected, kRelative)) return;
  const double seconds =
      Time(state, [&](size_t) { RmsNorm(x, weight, 1e-6f, out); });
  Report(state, seconds, Bytes(3, size));
}

void BM_AddTo(benchmark::State& state) {
  const size_t size = Size(state);
  const std::vector<float> y = RandomVector(size, 1);
  std::vector<float> x = RandomVector(size, 2);
  std::vector<double> expected(x.begin(), x.end());
  for (size_t i = 0; i < size; ++i) expected[i] += y[i];
  AddTo(y, x);
  if (!CheckNear(state, x, expected, kRelative)) return;
  const double seconds = Time(state, [&](size_t) { AddTo(y, x); });
  Report(state, seconds, Bytes(3, size));
}

void BM_SoftCap(benchmark::State& state) {
  constexpr float kCap = 30.0f;
  const size_t size = Size(state);
  std::vector<float> x = RandomVector(size, 1);
  for (float& v : x) v *= 100.0f;
  std::vector<double> expected(x.begin(), x.end());
  for (double& v : expected) v = kCap * std::tanh(v / kCap);
  SoftCap(kCap, x);
  if (!CheckNear(state, x, expected, kRelative)) return;
  const double seconds = Time(state, [&](size_t) { SoftCap(kCap, x); });
  Report(state, seconds, Bytes(2, size));
}

void BM_GatedGelu(benchmark::State& state) {
  const size_t size = Size(state);
  const std::vector<float> from = RandomVector(size, 1);
  const std::vector<float> up = RandomVector(size, 2);
  std::vector<float> gate = from;
  GatedGelu(gate, up);
  std::vector<double> expected(size);
  for (size_t i = 0; i < size; ++i) {
    const double z = from[i];
    const double inner = std::sqrt(2 / M_PI) * (z + 0.044715 * z * z * z);
    expected[i] = 0.5 * z * (1 + std::tanh(inner)) * up[i];
  }
  if (!CheckNear(state, gate, expected, kRelative)) return;
  // Copies the input each time, because results fed back would tend to zero.
  const double seconds = Time(state, [&](size_t) {
    gate = from;
    GatedGelu(gate, up);
  });
  Report(state, seconds, Bytes(3, size));
}

// state.range(0): values that are rotated.
void BM_Rope(benchmark::State& state) {
  const size_t half = Size(state) / 2;
  std::vector<float> frequency(half), cos(half), sin(half);
  RopeFrequencies(10000.0f, 1.0f, frequency);
  RopeAngles(1234, frequency, cos, sin);
  std::vector<float> head = RandomVector(256, 1);
  std::vector<double> expected(head.begin(), head.end());
  for (size_t i = 0; i < half; ++i) {
    const double a = head[i];
    const double b = head[half + i];
    expected[i] = a * cos[i] - b * sin[i];
    expected[half + i] = b * cos[i] + a * sin[i];
  }
  Rope(cos, sin, head);
  if (!CheckNear(state, head, expected, kRelative)) return;
  const double seconds = Time(state, [&](size_t) { Rope(cos, sin, head); });
  Report(state, seconds, Bytes(3, 2 * half));
}

// state.range(0): values that are rotated.
void BM_RopeAngles(benchmark::State& state) {
  const size_t half = Size(state) / 2;
  std::vector<float> frequency(half), cos(half), sin(half);
  RopeFrequencies(10000.0f, 1.0f, frequency);
  RopeAngles(1234, frequency, cos, sin);
  std::vector<double> expected(half);
  for (size_t i = 0; i < half; ++i) {
    expected[i] = std::cos(static_cast<double>(1234.0f * frequency[i]));
  }
  if (!CheckNear(state, cos, expected, kRelative)) return;
  const double seconds =
      Time(state, [&](size_t i) { RopeAngles(i % 8192, frequency, cos, sin); });
  Report(state, seconds, Bytes(3, half));
}

void BM_Conv1d(benchmark::State& state) {
  constexpr size_t kTaps = 4;
  const size_t size = Size(state);
  const std::vector<float> input = RandomVector(kTaps * size, 1);
  const std::vector<float> weight = RandomVector(kTaps * size, 2);
  const std::vector<float> bias = RandomVector(size, 3);
  std::array<const float*, kTaps> taps;
  for (size_t t = 0; t < kTaps; ++t) taps[t] = input.data() + t * size;
  const MatrixView<const float> weights(weight.data(), kTaps, size);
  std::vector<float> out(size);
  Conv1d(taps, weights, bias, out);
  std::vector<double> expected(bias.begin(), bias.end());
  for (size_t i = 0; i < kTaps * size; ++i) {
    expected[i % size] += static_cast<double>(weight[i]) * input[i];
  }
  if (!CheckNear(state, out, expected, kRelative)) return;
  const double seconds =
      Time(state, [&](size_t) { Conv1d(taps, weights, bias, out); });
  Work work = Bytes(2 * kTaps + 2, size);
  work.flops = static_cast<double>(2 * kTaps * size);
  Report(state, seconds, work);
}

void BM_RgLru(benchmark::State& state) {
  const size_t size = Size(state);
  const std::vector<float> x = RandomVector(size, 1);
  const std::vector<float> input_gate = RandomVector(size, 2);
  const std::vector<float> recurrent_gate = RandomVector(size, 3);
  const std::vector<float> before = RandomVector(size, 4);
  std::vector<float> log_a_scale = RandomVector(size, 5);
  for (float& v : log_a_scale) v = -0.1f - v * v;
  std::vector<float> after(size);
  const RgLruJob job = {x,           input_gate, recurrent_gate,
                        log_a_scale, before,     after};
  RgLru(job);
  std::vector<double> expected(size);
  for (size_t i = 0; i < size; ++i) {
    const double log_a = Sigmoid(recurrent_gate[i]) * log_a_scale[i];
    expected[i] =
        std::exp(log_a) * before[i] +
        std::sqrt(-std::expm1(2 * log_a)) * Sigmoid(input_gate[i]) * x[i];
  }
  if (!CheckNear(state, after, expected, kRelative)) return;
  const double seconds = Time(state, [&](size_t) { RgLru(job); });
  Report(state, seconds, Bytes(6, size));
}

// Widths of the residual stream of Gemma 3 270M, Gemma 2 2B and
// RecurrentGemma 2B; their feed-forward layers; a head; a vocabulary.
BENCHMARK(BM_RmsNorm)
    ->Name("RmsNorm")
    ->Arg(256)
    ->Arg(640)
    ->Arg(2304)
    ->Arg(2560);
BENCHMARK(BM_AddTo)->Name("AddTo")->Arg(640)->Arg(2304)->Arg(2560);
BENCHMARK(BM_GatedGelu)->Name("GatedGelu")->Arg(2048)->Arg(9216)->Arg(7680);
BENCHMARK(BM_SoftCap)->Name("SoftCap")->Arg(256000);
BENCHMARK(BM_Rope)->Name("Rope")->Arg(128)->Arg(256);
BENCHMARK(BM_RopeAngles)->Name("RopeAngles")->Arg(128)->Arg(256);
BENCHMARK(BM_Conv1d)->Name("Conv1d")->Arg(256)->Arg(2560);
BENCHMARK(BM_RgLru)->Name("RgLru")->Arg(256)->Arg(2560);

}  // namespace
}  // namespace gemma::internal

int main(int argc, char** argv) {
  return gemma::internal::RunBenchmarks(argc, argv, [] {});
}
