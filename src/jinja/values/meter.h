// Counts what a template costs.

#ifndef GEMMA_SRC_JINJA_VALUES_METER_H_
#define GEMMA_SRC_JINJA_VALUES_METER_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "src/jinja/run/jinja_template.h"

namespace gemma::internal {

// Counts steps, bytes and depth. Each function returns kResourceExhausted if a
// limit would be exceeded.
class Meter {
 public:
  explicit Meter(const JinjaLimits& limits) : limits_(limits) {}

  const JinjaLimits& limits() const { return limits_; }

  absl::Status Spend(uint64_t steps) {
    if (steps > limits_.steps - steps_) {
      return Exceeded("steps", limits_.steps);
    }
    steps_ += steps;
    return absl::OkStatus();
  }

  // Counts memory that is about to be taken, and the steps to fill it.
  absl::Status Allocate(size_t bytes) {
    if (bytes > limits_.memory_bytes - bytes_) {
      return Exceeded("bytes of memory", limits_.memory_bytes);
    }
    bytes_ += bytes;
    return Spend(bytes / 256 + 1);
  }

  // Counts memory for `count` values.
  absl::Status AllocateValues(size_t count) {
    constexpr size_t kBytes = 64;
    if (count > limits_.memory_bytes / kBytes) return Allocate(SIZE_MAX);
    return Allocate(count * kBytes);
  }

  // Counts a search of `bytes` bytes for `wanted` bytes.
  absl::Status SpendSearch(size_t bytes, size_t wanted) {
    return Spend(bytes / 64 * (1 + wanted / 32) + 1);
  }

  absl::Status CheckOutput(size_t bytes) const {
    if (bytes <= limits_.output_bytes) return absl::OkStatus();
    return Exceeded("bytes of output", limits_.output_bytes);
  }

  // Whether lists and dicts may be nested so deep.
  absl::Status CheckNesting(size_t nesting) const {
    if (nesting <= limits_.depth) return absl::OkStatus();
    return Exceeded("levels of values within values", limits_.depth);
  }

  // One more level of blocks, expressions or calls. Each successful call needs
  // one of Leave.
  absl::Status Enter() {
    if (depth_ >= limits_.depth) {
      return Exceeded("levels of blocks, expressions and calls", limits_.depth);
    }
    ++depth_;
    return absl::OkStatus();
  }
  void Leave() { --depth_; }

 private:
  static absl::Status Exceeded(std::string_view what, uint64_t limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the template needs more than ", limit, " ", what));
  }

  JinjaLimits limits_;
  uint64_t steps_ = 0;
  size_t bytes_ = 0;
  size_t depth_ = 0;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_VALUES_METER_H_
