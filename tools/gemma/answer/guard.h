// --guard: a ShieldGemma model scores what goes into another model, and what
// comes out before anybody sees it.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_GUARD_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_GUARD_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/gemma.h"
#include "tools/gemma/answer/answer.h"
#include "tools/gemma/answer/answer_options.h"
#include "tools/gemma/answer/verdict.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/policy_options.h"

namespace gemma::tools {

struct GuardOptions {
  std::string model;       // empty: no guard
  float threshold = 0.5f;  // texts with a higher probability are refused
  PolicyOptions policy = {.prefix = "--guard-"};
};

// What --help says of it.
extern const char kGuardHelp[];

// Adds --guard, --guard-threshold and the options of AddPolicyOptions.
void AddGuardOptions(CLI::App& app, GuardOptions* options);

// OK, or an error that names the option.
absl::Status Validate(const GuardOptions& options);

// Must not move: the classifier points into it.
class Guard {
 public:
  // Null if there shall be none. Loads the shield model with the threads of the
  // one that answers, which is loaded before; each is refused where there is no
  // memory for it.
  static absl::StatusOr<std::unique_ptr<Guard>> Load(
      const GuardOptions& options, const ModelOptions& answering);

  // Scores a text by each policy that has a rule for it. Fails, as well, if it
  // has more tokens than the model reads: nothing passes unread.
  absl::StatusOr<Verdict> JudgePrompt(std::string_view prompt);
  absl::StatusOr<Verdict> JudgeAnswer(std::string_view prompt,
                                      std::string_view answer);

  // As GatherAnswer, of a session that will read `prompt` as `tokens`: judges
  // the prompt, answers unless it is refused, and judges the answer. Both
  // verdicts are in the answer; what is refused is not. An interrupt is always
  // an InterruptedError.
  absl::StatusOr<Answer> AnswerTo(std::string_view prompt, Session& session,
                                  absl::Span<const TokenId> tokens,
                                  const AnswerOptions& options,
                                  const WantedScores& wanted);

 private:
  Guard(Model model, double threshold, const std::vector<Policy>& policies);

  absl::StatusOr<Verdict> Judge(std::string_view text,
                                const ClassifierInput& input,
                                absl::Span<const Policy> policies);

  const Model model_;
  const double threshold_;
  std::vector<Policy> prompt_policies_;
  std::vector<Policy> answer_policies_;
  std::optional<Classifier> classifier_;  // set by Load
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_GUARD_H_
