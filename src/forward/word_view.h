// Consecutive words of a list.

#ifndef GEMMA_SRC_FORWARD_WORD_VIEW_H_
#define GEMMA_SRC_FORWARD_WORD_VIEW_H_

#include <concepts>
#include <cstddef>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/model_config.h"
#include "gemma/words.h"

namespace gemma::internal {

// The owner of the words must outlive the view.
class WordView {
 public:
  WordView() = default;
  // A view of tokens.
  template <class Tokens>
  requires std::convertible_to<const Tokens&, absl::Span<const TokenId>>
  WordView(const Tokens& tokens) : tokens_(tokens) {}
  WordView(const Words& words) : tokens_(words.tokens()), rows_(words.rows()) {}

  size_t size() const { return tokens_.size(); }
  bool empty() const { return tokens_.empty(); }
  // As Words::tokens.
  absl::Span<const TokenId> tokens() const { return tokens_; }

  // The first `count` words, and those from `begin` on.
  WordView First(size_t count) const;
  WordView From(size_t begin) const;

  // Words [begin, begin + count) of the view are rows [first, first + count).
  struct Run {
    size_t begin = 0;
    size_t count = 0;
    size_t first = 0;
    const InputRows& rows;

    bool bidirectional() const {
      return rows.mask() == RowMask::kBidirectional;
    }
  };
  // Calls `use` with all runs of rows, in order.
  void ForEachRun(absl::FunctionRef<void(const Run&)> use) const;

  // How many words a pass should take that would otherwise end after `wanted`
  // words (1 to max_rows). Fewer if it would divide bidirectional rows; more if
  // these rows come first; 0 if these come first and are more than max_rows.
  size_t PassSize(size_t wanted, size_t max_rows) const;

  // As Words::Whole.
  size_t Whole(size_t size) const;

  // Allocates memory for AppendTo, which then does not throw.
  void ReserveIn(Words& words) const;

  // Appends the words to `words`.
  void AppendTo(Words& words) const;

 private:
  absl::Span<const TokenId> tokens_;
  absl::Span<const PlacedRows> rows_;  // rows with a word in the view
  size_t begin_ = 0;                   // of the view, in the list
};

// OK if a model can read the words in passes of max_rows rows. Otherwise an
// error with the position of the first bad word in `what`; for a token, the
// error of CheckTokens.
absl::Status CheckWords(const WordView& words, const ModelConfig& config,
                        size_t max_rows, std::string_view what);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_WORD_VIEW_H_
