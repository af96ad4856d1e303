// How fast a model may decode: each token reads the weights once, so memory
// sets the limit.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "ops/aligned_buffer.h"
#include "ops/workers.h"
#include "src/base/internal.h"
#include "src/base/stopwatch.h"
#include "src/session/model_impl.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/doctor_findings.h"

namespace gemma::tools {
namespace {

// The most memory that is read: more than caches hold, and soon read.
constexpr uint64_t kMostBytes = uint64_t{256} << 20;
// The best of many passes is hardly slowed by other programs.
constexpr double kMostSeconds = 0.5;
constexpr size_t kMostPasses = 40;

// The words of a task, and the places of it that are read in turn. With one
// place, some CPUs do not reach their full speed.
constexpr size_t kTaskWords = size_t{32} << 10;
constexpr size_t kPlaces = 8;
constexpr size_t kLineWords = 8;

// Returns a sum of kTaskWords words, so that the compiler keeps every load.
uint64_t SumOf(const uint64_t* words) {
  constexpr size_t kPlaceWords = kTaskWords / kPlaces;
  uint64_t sums[kPlaces] = {};
  for (size_t line = 0; line < kPlaceWords; line += kLineWords) {
    for (size_t place = 0; place < kPlaces; ++place) {
      const uint64_t* at = words + place * kPlaceWords + line;
      for (size_t i = 0; i < kLineWords; ++i) sums[place] += at[i];
    }
  }
  uint64_t sum = 0;
  for (const uint64_t of_place : sums) sum += of_place;
  return sum;
}

// Returns the bytes per second that the model's decoding threads read from
// memory: the best of some passes over about `bytes`, or over less. Returns 0
// if memory runs out.
double ReadSpeed(const Model& model, uint64_t bytes) {
  const size_t tasks = static_cast<size_t>(std::max<uint64_t>(
      1, std::min(bytes, kMostBytes) / (kTaskWords * sizeof(uint64_t))));
  const size_t words = tasks * kTaskWords;
  const AlignedBuffer buffer =
      AlignedBuffer::AllocateWhole(words * sizeof(uint64_t));
  if (buffer.data() == nullptr) return 0;
  Workers& workers = *model.impl().workers;
  uint64_t* const data = buffer.As<uint64_t>();
  // Memory that was never written need not exist.
  workers.ForEach(tasks, [&](size_t task, size_t) {
    std::fill_n(data + task * kTaskWords, kTaskWords, task + 1);
  });
  workers.set_max_active(model.impl().num_decode_threads);
  std::atomic<uint64_t> sum = 0;
  double best = HUGE_VAL;
  const Stopwatch all;
  for (size_t i = 0; i < kMostPasses && all.seconds() < kMostSeconds; ++i) {
    const Stopwatch pass;
    workers.ForEach(tasks, [&](size_t task, size_t) {
      sum.fetch_add(SumOf(data + task * kTaskWords), std::memory_order_relaxed);
    });
    best = std::min(best, pass.seconds());
  }
  workers.set_max_active(workers.num_threads());
  // Each pass gave a sum that is not 0, which the compiler cannot know.
  return sum == 0 ? 0 : static_cast<double>(words * sizeof(uint64_t)) / best;
}

// Returns "81", "5.3" or "1200": two digits are known.
std::string TwoDigits(double value) {
  if (value < 10) return absl::StrFormat("%.1f", value);
  const double unit = std::pow(10, std::floor(std::log10(value)) - 1);
  return absl::StrFormat("%.0f", std::round(value / unit) * unit);
}

}  // namespace

std::optional<Finding> FindSpeed(const Model& model, uint64_t weights_per_token,
                                 const Memory& memory) {
  const std::optional<Memory::Room> room = memory.LeastRoom();
  const uint64_t most = room.has_value() ? room->bytes / 4 : kMostBytes;
  const double speed = ReadSpeed(model, std::min(weights_per_token, most));
  if (speed == 0) return std::nullopt;
  const size_t threads = model.impl().num_decode_threads;
  const double tokens = speed / static_cast<double>(weights_per_token);
  Finding finding;
  finding.about = "speed";
  finding.text = absl::StrCat(
      "about ", TwoDigits(tokens), " tokens/s when decoding: a token reads ",
      Bytes(weights_per_token), " of weights, and ", Counted(threads, "thread"),
      threads == 1 ? " reads " : " read ", Bytes(static_cast<uint64_t>(speed)),
      "/s");
  finding.facts = {{"tokens_per_second", tokens},
                   {"weight_bytes_per_token", weights_per_token},
                   {"read_bytes_per_second", speed},
                   {"threads", threads}};
  return finding;
}

}  // namespace gemma::tools
