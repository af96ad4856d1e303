// How a prompt is cut into passes.

#ifndef GEMMA_SRC_GENERATE_PROMPT_PIECES_H_
#define GEMMA_SRC_GENERATE_PROMPT_PIECES_H_

#include <algorithm>
#include <cstddef>
#include <vector>

#include "gemma/words.h"
#include "ops/ops.h"

namespace gemma::internal {

// The most rows of a prompt's pass that Generate makes, if the prompt is
// scored. Each row then needs logits: with a vocabulary of 262,144, a megabyte.
inline constexpr size_t kScoredRows = 32;
inline size_t PromptRows(bool scored, size_t max_rows) {
  return scored ? std::min(kScoredRows, max_rows) : max_rows;
}

// The passes that Generate makes of a prompt in a new session. They matter
// where passes of more than few_rows rows give other bits than smaller passes
// (Transformer::few_rows). Code that computes the prompt together with others
// must then put each token into a pass of the same kind.
class PromptPieces {
 public:
  // `few_rows` and `max_rows` are the executor's; max_rows is
  // LoadOptions::prefill_chunk.
  PromptPieces(const Words& prompt, bool scored, size_t few_rows,
               size_t max_rows);

  // Whether there are two kinds of passes.
  bool matter() const { return matter_; }

  size_t size() const { return size_; }  // of the prompt

  // Returns the end of the token's pass. Each token after the prompt is a pass
  // of its own.
  size_t End(size_t token) const;

  // Whether the token's pass has more than few_rows rows.
  bool Many(size_t token) const;

  // Returns the farthest position up to `position` where its pass can be
  // divided: the rest of a pass of more than few_rows rows also has more than
  // few_rows rows, and no bidirectional rows are divided.
  size_t Resumable(size_t position) const;

  // Whether a pass that begins at `begin` may end early, at `end`.
  bool MayCut(size_t begin, size_t end) const;

  // Another sequence begins with the same `common` tokens. Returns how many of
  // them have the same bits there and can be copied from it.
  size_t Shared(const PromptPieces& other, size_t common) const;

 private:
  // Consecutive passes. All have `rows` rows; the last may have fewer.
  struct Stretch {
    size_t begin = 0;
    size_t rows = 0;
  };

  void AddUndivided(const MutualRange& range);
  // The next two take a token of the prompt.
  std::vector<Stretch>::const_iterator StretchOf(size_t token) const;
  size_t Begin(size_t token) const;
  // As Words::Whole.
  size_t Whole(size_t position) const;

  size_t size_;
  size_t rows_;  // of a pass
  std::vector<Stretch> stretches_;
  std::vector<MutualRange> undivided_;  // bidirectional rows
  size_t few_rows_;
  bool matter_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_PROMPT_PIECES_H_
