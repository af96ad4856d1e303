// Guesses the tokens that follow, for checking them in one pass.

#ifndef GEMMA_SRC_ENGINE_DRAFTER_H_
#define GEMMA_SRC_ENGINE_DRAFTER_H_

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "gemma/session.h"
#include "src/engine/draft_policy.h"
#include "src/engine/ngram_index.h"

namespace gemma {

class Drafter {
 public:
  virtual ~Drafter() = default;

  // The sequence begins with `tokens`, of which kRowToken stands for a row.
  virtual void Begin(absl::Span<const TokenId> tokens) = 0;

  // It goes on with `token`.
  virtual void Append(TokenId token) = 0;

  // Tokens of the vocabulary that may follow, at most `most`. They stay valid
  // until the next call.
  virtual absl::Span<const TokenId> Draft(size_t most) = 0;

  // A pass over the last token and its draft, `rows` in all, took this long.
  virtual void PassTook(size_t rows, double seconds) = 0;
};

// Drafts what followed the sequence's last tokens when they last occurred.
class NgramDrafter : public Drafter {
 public:
  // For a sequence in `session`, which must outlive the drafter. Each of
  // `stop_tokens`, ascending, would end it.
  NgramDrafter(Session& session, std::vector<TokenId> stop_tokens);

  void Begin(absl::Span<const TokenId> tokens) override;
  void Append(TokenId token) override;
  absl::Span<const TokenId> Draft(size_t most) override;
  void PassTook(size_t rows, double seconds) override {
    policy_.PassTook(rows, seconds);
  }

 private:
  const std::vector<TokenId> stop_tokens_;
  DraftPolicy& policy_;
  NgramIndex index_;
  NgramIndex::Match match_;  // of the sequence's end
  std::vector<TokenId> draft_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_ENGINE_DRAFTER_H_
