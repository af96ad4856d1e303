// Guesses tokens by what followed in a sequence when its last ones occurred
// before.

#ifndef GEMMA_SRC_GENERATE_NGRAM_DRAFTER_H_
#define GEMMA_SRC_GENERATE_NGRAM_DRAFTER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "gemma/session.h"
#include "src/generate/speculator.h"
#include "src/session/draft_policy.h"

namespace gemma::internal {

// A sequence of tokens, and for a few n a table of the last places of its
// n-grams. An n-gram overwrites what is in its slot, so that memory is bounded
// and a step takes the same time however long the sequence. What a slot says is
// compared with the sequence: a place may be missed, but is never wrong.
class NgramIndex {
 public:
  static constexpr size_t kMinMatch = 2;
  static constexpr size_t kMaxMatch = 32;

  // An earlier place of the sequence's last tokens.
  struct Match {
    size_t length = 0;  // tokens: 0 if there is none, else 2 to kMaxMatch
    size_t next = 0;    // position of the token that followed them
  };

  // For a sequence of that many tokens; of a longer one, old places are missed.
  explicit NgramIndex(size_t expected_tokens);

  size_t size() const { return tokens_.size(); }

  void Append(TokenId token);

  // The latest place of the longest n-gram that has one. Its length counts all
  // tokens that agree.
  Match FindEnd() const;

  // What follows the sequence, `ahead` tokens further, if it goes on as it did
  // at the match: after the last token that is known, all over again.
  TokenId Foretold(const Match& match, size_t ahead = 0) const {
    return tokens_[match.next + ahead % (tokens_.size() - match.next)];
  }

 private:
  static constexpr std::array<size_t, 4> kSizes = {8, 5, 3, kMinMatch};

  // The slot of the sequence's last n tokens.
  size_t Slot(size_t n) const;

  // How many tokens before `next` are the sequence's last, at most kMaxMatch.
  size_t LengthOfMatch(size_t next) const;

  std::vector<TokenId> tokens_;
  int shift_;  // from a hash of 64 bits to a slot
  // Positions of the tokens that follow; 0: none.
  std::array<std::vector<uint32_t>, kSizes.size()> tables_;
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

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_NGRAM_DRAFTER_H_
