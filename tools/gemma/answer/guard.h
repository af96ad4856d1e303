// --guard: a ShieldGemma model scores the prompts of another model, and its
// answers before they are shown.

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
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/policy_options.h"

namespace gemma::tools {

struct GuardOptions {
  std::string model;       // empty: no guard
  float threshold = 0.5f;  // texts with a higher probability are refused
  PolicyOptions policy = {.prefix = "--guard-"};
};

// The part of --help that describes --guard.
extern const char kGuardHelp[];

// Adds --guard, --guard-threshold and the options of AddPolicyOptions.
void AddGuardOptions(CLI::App& app, GuardOptions* options);

// OK, or an error that names the option.
absl::Status Validate(const GuardOptions& options);

// Not movable, because the classifier points into it.
class Guard {
 public:
  // Loads the shield model, or returns null if the options name none. The model
  // uses the thread counts of `answering`. Load the answering model before, so
  // that the memory check counts both: a model that does not fit is refused,
  // and so is a model that is not a ShieldGemma.
  static absl::StatusOr<std::unique_ptr<Guard>> Load(
      const GuardOptions& options, const ModelOptions& answering);

  // Scores a text by each policy that has a rule for such texts. Also fails if
  // the text is longer than the model can read: no text passes unread.
  absl::StatusOr<Verdict> JudgePrompt(std::string_view prompt);
  absl::StatusOr<Verdict> JudgeAnswer(std::string_view prompt,
                                      std::string_view answer);

  // Judges the prompt, answers it like GatherAnswer, and judges the answer.
  // `tokens` is what the session reads for `prompt`. A refused prompt is not
  // answered. The result has the verdicts, and nothing of a refused answer. An
  // interrupt at any time is an InterruptedError.
  absl::StatusOr<Answer> AnswerTo(std::string_view prompt, Session& session,
                                  absl::Span<const TokenId> tokens,
                                  const AnswerOptions& options,
                                  const WantedScores& wanted);

 private:
  Guard(Model model, double threshold, const std::vector<Policy>& policies);

  // Asks about a short text. An error if the model hardly answers Yes or No, so
  // that its verdicts would mean nothing. `name`: that of the model.
  absl::Status CheckAnswers(std::string_view name);

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
