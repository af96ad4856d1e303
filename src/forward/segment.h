// The work of one forward pass.

#ifndef GEMMA_SRC_FORWARD_SEGMENT_H_
#define GEMMA_SRC_FORWARD_SEGMENT_H_

#include <cstddef>
#include <functional>
#include <span>

#include "gemma/model_config.h"
#include "gemma/taps.h"
#include "ops/matrix_view.h"
#include "ops/ops.h"
#include "src/forward/sequence_state.h"
#include "src/forward/word_view.h"

namespace gemma::internal {

enum class WantedLogits { kNone, kLast, kAll };

// The logits of a row that are needed; the others may be -infinity.
struct NeededLogits {
  size_t top_k = 0;  // how many of the largest; 0: all
  // If not empty, only the logits of these tokens are needed. Ascending.
  std::span<const TokenId> tokens;
  // If set, called at the end of the pass, with the top_k largest logits. If it
  // returns false, all logits are computed.
  std::function<bool(std::span<const float> logits)> enough;
};

// Consecutive words of one sequence, which do not divide bidirectional rows.
// Several segments, each of a different sequence, make a ragged batch: prefill
// of one prompt, decode of many sequences, and verification of a draft are all
// the same call. For a bidirectional model, a segment is a whole text.
struct Segment {
  SequenceState* state = nullptr;
  WordView words;       // not empty, and CheckWords returns OK
  size_t position = 0;  // of the first word
  WantedLogits logits = WantedLogits::kLast;
  const TapFunction* tap = nullptr;      // may be null
  const NeededLogits* needed = nullptr;  // null: all
};

inline size_t NumLogits(const Segment& segment) {
  switch (segment.logits) {
    case WantedLogits::kNone:
      return 0;
    case WantedLogits::kLast:
      return 1;
    case WantedLogits::kAll:
      return segment.words.size();
  }
  return 0;
}

// One word of the batch.
struct BatchRow {
  SequenceState* state = nullptr;
  TokenId token = 0;
  size_t position = 0;
  MutualRange mutual;             // as in AttendJob
  const float* vector = nullptr;  // [model_dim]; null: the token's embedding
};

inline bool HasTap(const Segment& segment) {
  return segment.tap != nullptr && *segment.tap;
}

// Shows each segment's rows of x to its tap, if it has one. x has a row for
// each word of the segments.
void Tap(TapPoint point, size_t layer, std::span<const Segment> segments,
         MatrixView<float> x);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_SEGMENT_H_
