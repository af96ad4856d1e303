// Guesses tokens from earlier occurrences of the sequence's last tokens.

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

// A sequence of tokens, and, for a few values of n, a hash table of the last
// places of its n-grams. An n-gram overwrites the content of its slot, so that
// memory is bounded and the time of a step does not depend on the sequence's
// length. Each place is compared with the sequence: it may be missed, but is
// never wrong.
class NgramIndex {
 public:
  static constexpr size_t kMinMatch = 2;
  static constexpr size_t kMaxMatch = 32;

  // An earlier occurrence of the sequence's last tokens.
  struct Match {
    size_t length = 0;  // in tokens: 2 to kMaxMatch, or 0 without a match
    size_t next = 0;    // position of the token that followed them
  };

  // Sizes the tables for a sequence of `expected_tokens`. In a longer sequence,
  // old places are missed.
  explicit NgramIndex(size_t expected_tokens);

  size_t size() const { return tokens_.size(); }

  void Append(TokenId token);

  // Returns the latest place of the longest n-gram that occurred before. The
  // match's length counts all tokens that agree, up to kMaxMatch.
  Match FindEnd() const;

  // Predicts the token `ahead` positions after the next one, if the sequence
  // goes on as it did at the match. After the last known token, the prediction
  // starts again at the match.
  TokenId Foretold(const Match& match, size_t ahead = 0) const {
    return tokens_[match.next + ahead % (tokens_.size() - match.next)];
  }

 private:
  static constexpr std::array<size_t, 4> kSizes = {8, 5, 3, kMinMatch};

  // Returns the slot of the sequence's last n tokens.
  size_t Slot(size_t n) const;

  // Returns how many tokens before `next` equal the sequence's last tokens, at
  // most kMaxMatch.
  size_t LengthOfMatch(size_t next) const;

  std::vector<TokenId> tokens_;
  int shift_;  // shifts a hash of 64 bits to a slot
  // Positions of the tokens that follow the n-grams; 0 in an empty slot.
  std::array<std::vector<uint32_t>, kSizes.size()> tables_;
};

// Drafts the tokens that followed the last occurrence of the sequence's last
// tokens.
class NgramDrafter : public Drafter {
 public:
  // The session must outlive the drafter. Each of `stop_tokens`, which must be
  // ascending, ends the sequence.
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
