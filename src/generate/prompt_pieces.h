// How a prompt is cut into passes.

#ifndef GEMMA_SRC_GENERATE_PROMPT_PIECES_H_
#define GEMMA_SRC_GENERATE_PROMPT_PIECES_H_

#include <algorithm>
#include <cstddef>
#include <vector>

#include "gemma/words.h"
#include "ops/ops.h"

namespace gemma::internal {

// Rows of a pass of a prompt that Generate makes, at most; of those, with
// logits. A row of a vocabulary of 262,144 takes a megabyte.
inline constexpr size_t kScoredRows = 32;
inline size_t PromptRows(bool scored, size_t max_rows) {
  return scored ? std::min(kScoredRows, max_rows) : max_rows;
}

// The passes that Generate makes of a prompt in a new session. They matter
// where passes of more than few_rows rows give other bits than those of fewer
// (Transformer::few_rows): who computes the prompt in other company must put
// each token into a pass of the same kind.
class PromptPieces {
 public:
  // few_rows, max_rows: of the executor, whose passes take
  // LoadOptions::prefill_chunk tokens.
  PromptPieces(const Words& prompt, bool scored, size_t few_rows,
               size_t max_rows);

  // Whether there are two kinds of passes.
  bool matter() const { return matter_; }

  size_t size() const { return size_; }  // of the prompt

  // The end of the pass that the token is in; behind the prompt each has its
  // own.
  size_t End(size_t token) const;

  // Whether that pass has more than few_rows rows.
  bool Many(size_t token) const;

  // The farthest position, `position` at most, where its pass can be divided:
  // what is left has as many rows as matter, and no bidirectional rows are cut.
  size_t Resumable(size_t position) const;

  // Whether a pass that begins at `begin` may end at `end`, before its time.
  bool MayCut(size_t begin, size_t end) const;

  // How many of the first `common` tokens, which another sequence has too, have
  // the same bits there, and can be taken from it.
  size_t Shared(const PromptPieces& other, size_t common) const;

 private:
  // Passes that follow each other, all of `rows` rows but the last.
  struct Stretch {
    size_t begin = 0;
    size_t rows = 0;
  };

  void AddUndivided(const MutualRange& range);
  // Of a token of the prompt.
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
