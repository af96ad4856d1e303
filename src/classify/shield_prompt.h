// What ShieldGemma is asked.

#ifndef GEMMA_SRC_CLASSIFY_SHIELD_PROMPT_H_
#define GEMMA_SRC_CLASSIFY_SHIELD_PROMPT_H_

#include <vector>

#include "absl/status/statusor.h"
#include "gemma/classifier.h"
#include "gemma/tokenizer.h"

namespace gemma {

// The prompt after which ShieldGemma says Yes or No.
class ShieldPrompt {
 public:
  // FailedPrecondition if the vocabulary has no markers of turns.
  static absl::StatusOr<ShieldPrompt> Create(const Tokenizer& tokenizer,
                                             ShieldWording wording);

  // Its tokens, BOS first. Nothing in input and policy becomes a control token.
  // InvalidArgument if the policy has no rule for what is classified.
  absl::StatusOr<std::vector<TokenId>> Tokens(const ClassifierInput& input,
                                              const Policy& policy) const;

 private:
  ShieldPrompt(const Tokenizer& tokenizer, TokenId start, TokenId end,
               ShieldWording wording)
      : tokenizer_(tokenizer),
        start_of_turn_(start),
        end_of_turn_(end),
        wording_(wording) {}

  Tokenizer tokenizer_;
  TokenId start_of_turn_;
  TokenId end_of_turn_;
  ShieldWording wording_;
};

// The token of `piece`, or FailedPrecondition that tells the `purpose` which
// the vocabulary misses it for.
absl::StatusOr<TokenId> RequireToken(const Tokenizer& tokenizer,
                                     std::string_view piece,
                                     std::string_view purpose);

}  // namespace gemma

#endif  // GEMMA_SRC_CLASSIFY_SHIELD_PROMPT_H_
