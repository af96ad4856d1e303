// The prompts of ShieldGemma.

#ifndef GEMMA_SRC_CLASSIFY_SHIELD_PROMPT_H_
#define GEMMA_SRC_CLASSIFY_SHIELD_PROMPT_H_

#include <vector>

#include "absl/status/statusor.h"
#include "gemma/classifier.h"
#include "gemma/tokenizer.h"

namespace gemma::internal {

// Makes the prompt after which ShieldGemma answers Yes or No.
class ShieldPrompt {
 public:
  // FailedPrecondition if the vocabulary has no markers of turns.
  static absl::StatusOr<ShieldPrompt> Create(const Tokenizer& tokenizer,
                                             ShieldWording wording);

  // Returns the tokens of the prompt, BOS first. No text of the input or the
  // policy becomes a control token. InvalidArgument if the policy has no rule
  // for this kind of input.
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

// Returns the token of `piece`. FailedPrecondition, with the purpose of the
// piece, if the vocabulary does not have it.
absl::StatusOr<TokenId> RequireToken(const Tokenizer& tokenizer,
                                     std::string_view piece,
                                     std::string_view purpose);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_CLASSIFY_SHIELD_PROMPT_H_
