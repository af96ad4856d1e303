#include "benchmarks/support.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "benchmarks/command_line.h"

namespace gemma::internal {
namespace {

constexpr size_t kMinBytesBeyondCaches = size_t{256} << 20;

struct Context {
  explicit Context(size_t threads)
      : workers(threads), ceilings(MeasureCeilings(workers)) {}

  Workers workers;
  Ceilings ceilings;
  bool failed = false;
};

std::unique_ptr<Context> context;

void PrintHelp() {
  std::puts("Benchmarks of operations at the shapes of real models.\n");
  std::puts("  [--threads=<number>]   default: all the CPUs");
  std::puts("  [--simd=<name>]        as gemma --simd, such as avx2");
  benchmark::PrintDefaultHelp();
}

void AddContext(const Ceilings& ceilings) {
  std::fprintf(stderr, "%s\n", ToText(ceilings).c_str());
  benchmark::AddCustomContext("threads", absl::StrCat(ceilings.threads));
  benchmark::AddCustomContext("simd_target", ceilings.simd_target);
  benchmark::AddCustomContext(
      "read_bytes_per_second",
      absl::StrFormat("%.0f", ceilings.read_bytes_per_second));
  benchmark::AddCustomContext(
      "fma_flops_per_second",
      absl::StrFormat("%.0f", ceilings.fma_flops_per_second));
  benchmark::AddCustomContext(
      "byte_macs_per_second",
      absl::StrFormat("%.0f", ceilings.byte_macs_per_second));
}

}  // namespace

int RunBenchmarks(int argc, char** argv, void (*add_benchmarks)()) {
  const size_t threads = TakeThreads(&argc, argv);
  if (threads == 0 || !TakeSimd(&argc, argv)) return 2;
  benchmark::Initialize(&argc, argv, PrintHelp);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  context = std::make_unique<Context>(threads);
  AddContext(context->ceilings);
  add_benchmarks();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return context->failed ? 1 : 0;
}

Workers& BenchmarkWorkers() { return context->workers; }

const Ceilings& BenchmarkCeilings() { return context->ceilings; }

size_t BytesBeyondCaches() {
  size_t largest = 0;
  for (const auto& cache : benchmark::CPUInfo::Get().caches) {
    largest = std::max(largest, static_cast<size_t>(cache.size));
  }
  return std::max(kMinBytesBeyondCaches, 4 * largest);
}

std::vector<float> RandomVector(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> out(size);
  for (float& value : out) {
    value = std::ldexp(static_cast<float>(random() >> 40), -23) - 1.0f;
  }
  return out;
}

bool CheckNear(benchmark::State& state, std::span<const float> actual,
               std::span<const double> expected,
               std::span<const double> tolerance) {
  for (size_t i = 0; i < expected.size(); ++i) {
    // A NaN fails this comparison, so it counts as wrong.
    if (std::abs(actual[i] - expected[i]) <= tolerance[i]) continue;
    const std::string message =
        absl::StrFormat("wrong result: value %d is %g, expected %g +- %g", i,
                        actual[i], expected[i], tolerance[i]);
    context->failed = true;
    state.SkipWithError(message.c_str());
    return false;
  }
  return true;
}

bool CheckNear(benchmark::State& state, std::span<const float> actual,
               std::span<const double> expected, double relative) {
  double largest = 0;
  for (const double value : expected) {
    largest = std::max(largest, std::abs(value));
  }
  const std::vector<double> tolerance(expected.size(), relative * largest);
  return CheckNear(state, actual, expected, tolerance);
}

void Report(benchmark::State& state, double seconds, const Work& work) {
  const Ceilings& ceilings = BenchmarkCeilings();
  if (work.bytes > 0) {
    const double rate = work.bytes / seconds;
    state.counters["GB/s"] = rate / 1e9;
    state.counters["read%"] = 100 * rate / ceilings.read_bytes_per_second;
  }
  if (work.flops > 0) {
    const double rate = work.flops / seconds;
    state.counters["GFLOP/s"] = rate / 1e9;
    state.counters["fma%"] = 100 * rate / ceilings.fma_flops_per_second;
  }
  if (work.byte_macs > 0 && ceilings.byte_macs_per_second > 0) {
    const double rate = work.byte_macs / seconds;
    state.counters["dot%"] = 100 * rate / ceilings.byte_macs_per_second;
  }
}

}  // namespace gemma::internal
