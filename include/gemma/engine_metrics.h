// What an engine does, and when the parts of a request happened.

#ifndef GEMMA_ENGINE_METRICS_H_
#define GEMMA_ENGINE_METRICS_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "gemma/generate.h"

namespace gemma {

// When the parts of a request happened, on a clock that never goes back. What
// has not happened yet, or never will, has no value.
struct RequestTimes {
  // A moment.
  using TimePoint = std::chrono::steady_clock::time_point;

  TimePoint queued;                  // Engine::Submit took the request
  std::optional<TimePoint> started;  // the engine began to read the prompt
  // The engine had the logits by which it chose the first and the last token,
  // stop tokens not included. The time to the first token is first_token -
  // queued; the mean time between tokens is (last_token - first_token) /
  // (num_tokens - 1).
  std::optional<TimePoint> first_token;
  std::optional<TimePoint> last_token;  // see first_token
  size_t num_tokens = 0;                // so far, without a stop token
  std::optional<TimePoint> ended;       // the answer is complete, or an error
};

// The state of an engine at one moment. All fields belong to the same moment.
// Counts of what has happened start with the engine and never decrease.
struct EngineSnapshot {
  // Requests that Engine::Submit took. Each of them is queued, running or
  // ended, so `submitted` equals queued + running + failed + the sum of
  // `ended`. A request counts as ended before its ticket is done.
  uint64_t submitted = 0;
  size_t queued = 0;         // without a place yet
  size_t queued_tokens = 0;  // in their prompts
  size_t running = 0;        // at most max_sequences
  size_t max_sequences = 0;  // EngineOptions::max_sequences
  // Ended with an answer. Indexed by StopReason.
  std::array<uint64_t, kNumStopReasons> ended = {};
  uint64_t failed = 0;  // ended with an error
  // Requests that Engine::Submit refused because the queue was full.
  uint64_t refused = 0;
  // Those of `ended` that were cancelled or late (kCancelled, kDeadline):
  // before they started, while the prompt was read, and after that.
  uint64_t interrupted_in_queue = 0;
  uint64_t interrupted_in_prompt = 0;  // while the prompt was read
  uint64_t interrupted_in_answer = 0;  // after that

  // Passes of the model, each with a row for each token.
  uint64_t passes = 0;
  uint64_t rows = 0;        // of all passes
  size_t last_rows = 0;     // of the last pass; 0 before the first
  double pass_seconds = 0;  // that all passes took together
  // Passes by their rows: of passes_by_rows[i], more than row_bounds[i - 1] and
  // at most row_bounds[i], the last without a bound. Bounds as in vLLM.
  static constexpr std::array<size_t, 13> row_bounds = {
      1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
  std::array<uint64_t, 14> passes_by_rows = {};  // see row_bounds
  // Tokens of prompts: computed, and taken from caches.
  uint64_t computed_tokens = 0;
  uint64_t reused_tokens = 0;  // taken from caches
  uint64_t new_tokens = 0;     // of answers, without stop tokens

  // Sequences of running requests: their tokens, and their bytes without
  // checkpoints.
  uint64_t running_tokens = 0;
  uint64_t running_bytes = 0;  // of these sequences
  // Sequences of ended requests that are kept for reuse, and their tokens.
  size_t kept_sequences = 0;
  uint64_t kept_tokens = 0;  // of these sequences
  // Grammars that Engine::Compile keeps, and their bytes; how many of its calls
  // found a kept grammar, and how many compiled one.
  size_t grammars = 0;
  uint64_t grammar_bytes = 0;   // of these grammars
  uint64_t grammar_hits = 0;    // calls that found one
  uint64_t grammar_misses = 0;  // calls that compiled one, or failed
  // Bytes that EngineOptions::reuse_bytes limits: kept sequences, checkpoints
  // of running ones, and kept grammars; and this limit.
  uint64_t reuse_bytes = 0;
  uint64_t max_reuse_bytes = 0;  // EngineOptions::reuse_bytes
  // Memory for the logits of passes.
  uint64_t logits_bytes = 0;
  // Bytes that EngineOptions::max_bytes limits, which are running_bytes +
  // reuse_bytes + logits_bytes; and this limit, or 0.
  uint64_t bytes = 0;
  uint64_t max_bytes = 0;  // EngineOptions::max_bytes

  // Returns the number of ended requests with this reason.
  uint64_t ended_by(StopReason reason) const {
    return ended[static_cast<size_t>(reason)];
  }
};

}  // namespace gemma

#endif  // GEMMA_ENGINE_METRICS_H_
