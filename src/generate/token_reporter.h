// Reports the probability of each token to the caller of Generate.

#ifndef GEMMA_SRC_GENERATE_TOKEN_REPORTER_H_
#define GEMMA_SRC_GENERATE_TOKEN_REPORTER_H_

#include <vector>

#include "absl/types/span.h"
#include "gemma/generate.h"
#include "gemma/tokenizer.h"

namespace gemma::internal {

// Does nothing if GenerateOptions::on_token is not set.
class TokenReporter {
 public:
  // Both must outlive the reporter.
  TokenReporter(const GenerateOptions& options, const Tokenizer& tokenizer)
      : options_(options), tokenizer_(tokenizer) {}

  bool wanted() const { return options_.on_token != nullptr; }

  // Takes the logits [vocab_size] of the token that is reported next. Copies
  // them, because sampling overwrites them.
  void Expect(absl::Span<const float> logits);

  // Reports the next token of the sequence. Without an earlier call of Expect,
  // it has no probability.
  void Report(TokenId token);

 private:
  const GenerateOptions& options_;
  const Tokenizer& tokenizer_;
  std::vector<float> logits_;    // empty before Expect
  std::vector<TokenLogit> top_;  // reused from call to call
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_TOKEN_REPORTER_H_
