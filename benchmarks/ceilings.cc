#include "benchmarks/ceilings.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/strings/str_format.h"
#include "benchmarks/command_line.h"
#include "ops/aligned_buffer.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "benchmarks/ceilings.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "ops/products/int8_dot-inl.h"

#ifndef GEMMA_BENCHMARKS_CEILINGS_ONCE
#define GEMMA_BENCHMARKS_CEILINGS_ONCE
namespace gemma::internal {

// Independent sums: more than the latency of a multiply-add times the number
// per cycle, and few enough for 16 registers.
inline constexpr size_t kChains = 12;
inline constexpr size_t kReadTaskBytes = size_t{1} << 20;
// The places of a task that are read in turn. With only one, some CPUs reach
// two thirds of the speed, because the hardware alone prefetches.
inline constexpr size_t kStreams = 8;
inline constexpr size_t kPrefetchBytes = 1024;
inline constexpr size_t kLineBytes = 64;

}  // namespace gemma::internal
#endif  // GEMMA_BENCHMARKS_CEILINGS_ONCE

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

const char* SimdTarget() { return hwy::TargetName(HWY_TARGET); }

// Returns the sum of kReadTaskBytes, so that the compiler keeps every load.
uint64_t SumWords(const uint8_t* HWY_RESTRICT from) {
  const hn::CappedTag<uint64_t, kLineBytes / sizeof(uint64_t)> d;
  constexpr size_t kStreamBytes = kReadTaskBytes / kStreams;
  const size_t step = hn::Lanes(d) * sizeof(uint64_t);
  hn::Vec<decltype(d)> sums[kStreams];
  for (auto& sum : sums) sum = hn::Zero(d);
  for (size_t line = 0; line < kStreamBytes; line += kLineBytes) {
    for (size_t s = 0; s < kStreams; ++s) {
      const uint8_t* HWY_RESTRICT at = from + s * kStreamBytes + line;
      hwy::Prefetch(at + kPrefetchBytes);
      for (size_t i = 0; i < kLineBytes; i += step) {
        const auto* words = reinterpret_cast<const uint64_t*>(at + i);
        sums[s] = hn::Add(sums[s], hn::Load(d, words));
      }
    }
  }
  for (size_t s = 1; s < kStreams; ++s) sums[0] = hn::Add(sums[0], sums[s]);
  return hn::ReduceSum(d, sums[0]);
}

size_t FloatLanes() { return hn::Lanes(hn::ScalableTag<float>()); }

// Runs kChains multiply-adds of FloatLanes() each, `steps` times. The values
// tend to term / (1 - factor), so they stay finite and normal.
float MultiplyAdd(size_t steps, float factor, float term) {
  const hn::ScalableTag<float> df;
  const auto factors = hn::Set(df, factor);
  const auto terms = hn::Set(df, term);
  hn::Vec<decltype(df)> sums[kChains];
  for (size_t c = 0; c < kChains; ++c) {
    sums[c] = hn::Set(df, static_cast<float>(c));
  }
  for (size_t step = 0; step < steps; ++step) {
    for (size_t c = 0; c < kChains; ++c) {
      sums[c] = hn::MulAdd(sums[c], factors, terms);
    }
  }
  for (size_t c = 1; c < kChains; ++c) sums[0] = hn::Add(sums[0], sums[c]);
  return hn::ReduceSum(df, sums[0]);
}

// Returns the multiply-adds of one step of MultiplyBytes, or 0 if the CPU has
// no instruction that sums four products of bytes.
size_t ByteMacs() {
  if (kQuadDot == QuadDot::kNone) return 0;
  return kChains * hn::Lanes(DU8());
}

// Runs kChains dot products of vectors of ones, `steps` times, as products of
// 4-bit weights do. Returns the sum of all products. The chains start at
// different numbers, so that the compiler keeps each.
int64_t MultiplyBytes([[maybe_unused]] size_t steps) {
  int64_t sum = 0;
  if constexpr (kQuadDot != QuadDot::kNone) {
    using D = Dot<Layout::kU4, CodeBits::kAll>;
    const auto w = D::Prepare(hn::Set(DU32(), 0x01010101u));
    const auto x = hn::Set(DI8(), 1);
    VI32 sums[kChains];
    for (size_t c = 0; c < kChains; ++c) {
      const auto start = static_cast<int32_t>(c);
      sums[c] = hn::Set(DI32(), start);
      sum -= start * static_cast<int64_t>(hn::Lanes(DI32()));
    }
    for (size_t step = 0; step < steps; ++step) {
      for (VI32& of_chain : sums) of_chain = D::AddQuads(of_chain, w, x);
    }
    for (const VI32& of_chain : sums) sum += hn::ReduceSum(DI32(), of_chain);
  }
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gemma::internal {
namespace {

HWY_EXPORT(SimdTarget);
HWY_EXPORT(SumWords);
HWY_EXPORT(FloatLanes);
HWY_EXPORT(MultiplyAdd);
HWY_EXPORT(ByteMacs);
HWY_EXPORT(MultiplyBytes);

constexpr int kRuns = 5;
constexpr size_t kSteps = size_t{1} << 21;
// The tasks of a thread that multiplies: several, so that a thread that is slow
// for a while gets fewer.
constexpr size_t kTasks = 8;

// Returns the time of the fastest run, in seconds. The first run, in which the
// CPU finds its clock rate, does not count.
template <class Run>
double Fastest(Run run) {
  double fastest = 0;
  for (int i = 0; i <= kRuns; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> took =
        std::chrono::steady_clock::now() - start;
    if (i == 1 || (i > 1 && took.count() < fastest)) fastest = took.count();
  }
  return fastest;
}

double ReadBytesPerSecond(Workers& workers, size_t bytes) {
  const AlignedBuffer buffer = AlignedBuffer::Allocate(bytes);
  if (buffer.data() == nullptr) {
    Fail(absl::StrFormat("no memory for a buffer of %d bytes", bytes));
  }
  const size_t tasks = bytes / kReadTaskBytes;
  // Writes every page, because unwritten pages may all be the same one.
  workers.ForEach(tasks, [&](size_t task, size_t) {
    std::memset(buffer.data() + task * kReadTaskBytes, 1, kReadTaskBytes);
  });
  std::vector<uint64_t> sums(tasks);
  const double seconds = Fastest([&] {
    workers.ForEach(tasks, [&](size_t task, size_t) {
      sums[task] =
          HWY_DYNAMIC_DISPATCH(SumWords)(buffer.data() + task * kReadTaskBytes);
    });
  });
  const uint64_t expected = kReadTaskBytes / 8 * 0x0101010101010101;
  if (std::ranges::any_of(sums, [&](uint64_t s) { return s != expected; })) {
    Fail("reading memory gave a wrong sum");
  }
  return static_cast<double>(tasks * kReadTaskBytes) / seconds;
}

double FmaFlopsPerSecond(Workers& workers) {
  const size_t tasks = kTasks * workers.num_threads();
  std::vector<float> sums(tasks);
  const double seconds = Fastest([&] {
    workers.ForEach(tasks, [&](size_t task, size_t) {
      sums[task] = HWY_DYNAMIC_DISPATCH(MultiplyAdd)(kSteps, 0.5f, 1.0f);
    });
  });
  const size_t lanes = HWY_DYNAMIC_DISPATCH(FloatLanes)();
  const auto expected = static_cast<float>(2 * kChains * lanes);
  if (std::ranges::any_of(sums, [&](float s) { return s != expected; })) {
    Fail("multiply-adds gave a wrong sum");
  }
  return 2.0 * static_cast<double>(tasks * kSteps * kChains * lanes) / seconds;
}

double ByteMacsPerSecond(Workers& workers) {
  const size_t macs = kSteps * HWY_DYNAMIC_DISPATCH(ByteMacs)();
  if (macs == 0) return 0;
  const size_t tasks = kTasks * workers.num_threads();
  std::vector<int64_t> sums(tasks);
  const double seconds = Fastest([&] {
    workers.ForEach(tasks, [&](size_t task, size_t) {
      sums[task] = HWY_DYNAMIC_DISPATCH(MultiplyBytes)(kSteps);
    });
  });
  const auto expected = static_cast<int64_t>(macs);
  if (std::ranges::any_of(sums, [&](int64_t s) { return s != expected; })) {
    Fail("dot products of bytes gave a wrong sum");
  }
  return static_cast<double>(tasks * macs) / seconds;
}

}  // namespace

Ceilings MeasureCeilings(Workers& workers, size_t read_bytes) {
  Ceilings ceilings;
  ceilings.threads = workers.num_threads();
  ceilings.simd_target = HWY_DYNAMIC_DISPATCH(SimdTarget)();
  ceilings.read_bytes = read_bytes / kReadTaskBytes * kReadTaskBytes;
  ceilings.read_bytes_per_second = ReadBytesPerSecond(workers, read_bytes);
  ceilings.fma_flops_per_second = FmaFlopsPerSecond(workers);
  ceilings.byte_macs_per_second = ByteMacsPerSecond(workers);
  return ceilings;
}

std::string ToText(const Ceilings& ceilings) {
  std::string text = absl::StrFormat(
      "ceilings, %d threads, %s: memory read %.1f GB/s, float32 multiply-add "
      "%.0f GFLOP/s",
      ceilings.threads, ceilings.simd_target,
      ceilings.read_bytes_per_second / 1e9,
      ceilings.fma_flops_per_second / 1e9);
  if (ceilings.byte_macs_per_second != 0) {
    absl::StrAppendFormat(&text, ", byte dot product %.0f GMAC/s",
                          ceilings.byte_macs_per_second / 1e9);
  }
  return text;
}

std::string ToJson(const Ceilings& ceilings) {
  return absl::StrFormat(
      R"({"threads": %d, "simd_target": "%s", "read_bytes": %d, )"
      R"("read_bytes_per_second": %.0f, "fma_flops_per_second": %.0f, )"
      R"("byte_macs_per_second": %.0f})",
      ceilings.threads, ceilings.simd_target, ceilings.read_bytes,
      ceilings.read_bytes_per_second, ceilings.fma_flops_per_second,
      ceilings.byte_macs_per_second);
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
