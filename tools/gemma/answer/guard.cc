#include "tools/gemma/answer/guard.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/machine/memory.h"
#include "tools/gemma/machine/model_error.h"

namespace gemma::tools {
namespace {

// Size of a usual text with a policy, for the memory check. A longer text
// allocates more memory when it comes.
constexpr size_t kUsualTokens = 1024;

// Options to load the shield model next to the answering model.
ModelOptions ShieldOptions(const GuardOptions& options,
                           const ModelOptions& answering) {
  ModelOptions shield;
  shield.path = options.model;
  shield.threads = answering.threads;
  shield.decode_threads = answering.decode_threads;
  shield.activations = answering.activations;
  shield.deterministic = answering.deterministic;
  shield.simd = answering.simd;
  shield.ignore_memory = answering.ignore_memory;
  return shield;
}

}  // namespace

const char kGuardHelp[] =
    R"(With --guard, a ShieldGemma model scores the prompt before it is
answered, and the answer before any of it is shown. In a chat, it scores
each message alone, and each answer together with its message. A text is
refused if it violates a policy with a probability above
--guard-threshold. Standard error then names the refused text (prompt or
answer), the policy and the probability; standard output receives none of
the text. A threshold of 1 refuses nothing. -v prints the highest
probabilities. Both models must fit in memory together. The guard uses the
same number of threads as MODEL; --quantize does not apply to it.

)";

void AddGuardOptions(CLI::App& app, GuardOptions* options) {
  AddText(app, "--guard", "MODEL", &options->model,
          "A ShieldGemma model that scores prompt and answer and\n"
          "refuses texts that violate a policy (gemma help guard\n"
          "explains it)");
  AddNumber(app, "--guard-threshold", &options->threshold,
            "With --guard: refuse texts that violate a policy with\n"
            "a probability above X");
  AddPolicyOptions(app, &options->policy);
}

absl::Status Validate(const GuardOptions& options) {
  if (options.threshold < 0 || options.threshold > 1) {
    return OptionError({"--guard-threshold"},
                       absl::StrCat("--guard-threshold: ", options.threshold,
                                    " is not a number from 0 to 1"));
  }
  if (!options.model.empty()) {
    // Report errors of the file before the answering model is loaded. Standard
    // input can be read only once: leave it to Load.
    if (options.policy.file == kStdinArgument) return absl::OkStatus();
    return ReadPolicies(options.policy).status();
  }
  const GuardOptions defaults;
  const char* option =
      options.threshold != defaults.threshold ? "--guard-threshold"
      : !options.policy.names.empty()         ? "--guard-policy"
      : !options.policy.file.empty()          ? "--guard-policy-file"
      : options.policy.wording != defaults.policy.wording ? "--guard-wording"
                                                          : nullptr;
  if (option == nullptr) return absl::OkStatus();
  return Needs(option, "--guard");
}

Guard::Guard(Model model, double threshold, const std::vector<Policy>& policies)
    : model_(std::move(model)), threshold_(threshold) {
  for (const Policy& policy : policies) {
    if (!policy.prompt_rule.empty()) prompt_policies_.push_back(policy);
    if (!policy.response_rule.empty()) answer_policies_.push_back(policy);
  }
}

absl::StatusOr<std::unique_ptr<Guard>> Guard::Load(
    const GuardOptions& options, const ModelOptions& answering) {
  if (options.model.empty()) return nullptr;
  GEMMA_ASSIGN_OR_RETURN(const std::vector<Policy> policies,
                         ReadPolicies(options.policy));
  const ModelOptions shield = ShieldOptions(options, answering);
  GEMMA_ASSIGN_OR_RETURN(Model model, LoadModel(shield));
  GEMMA_RETURN_IF_ERROR(
      CheckMemory(shield, PlanOf(model, shield, kUsualTokens)));
  std::unique_ptr<Guard> guard(
      new Guard(std::move(model), options.threshold, policies));
  ClassifierOptions classifier;
  classifier.wording = WordingOf(options.policy);
  classifier.max_tokens =
      std::min(classifier.max_tokens, guard->model_.config().max_context);
  classifier.progress = [](size_t, size_t) { return !Interrupted(); };
  GEMMA_ASSIGN_OR_RETURN(Classifier created,
                         NewClassifier(guard->model_, std::move(classifier)));
  guard->classifier_.emplace(std::move(created));
  GEMMA_RETURN_IF_ERROR(guard->CheckAnswers(options.model));
  return guard;
}

absl::Status Guard::CheckAnswers(std::string_view name) {
  constexpr std::string_view kText = "Hello";
  ClassifierInput input = {kText, std::nullopt};
  const std::vector<Policy>* policies = &prompt_policies_;
  if (policies->empty()) {
    input.response = kText;
    policies = &answer_policies_;
  }
  if (policies->empty()) return absl::OkStatus();
  const absl::StatusOr<std::vector<double>> result =
      classifier_->Classify(input, {policies->data(), 1});
  if (Interrupted()) return InterruptedError();
  if (!result.ok()) {
    return absl::Status(result.status().code(),
                        absl::StrCat("--guard: ", result.status().message()));
  }
  const std::string why = WhyNoShield(name, classifier_->stats());
  if (why.empty()) return absl::OkStatus();
  return WithCure(
      absl::FailedPreconditionError(absl::StrCat("--guard: ", why)),
      "give a model of ShieldGemma's family; its probabilities would mean "
      "nothing");
}

absl::StatusOr<Verdict> Guard::Judge(std::string_view text,
                                     const ClassifierInput& input,
                                     absl::Span<const Policy> policies) {
  Verdict verdict = {.text = text, .threshold = threshold_, .scores = {}};
  if (policies.empty()) return verdict;
  const absl::StatusOr<std::vector<double>> probabilities =
      classifier_->Classify(input, policies);
  if (Interrupted()) return InterruptedError();
  if (!probabilities.ok()) {
    return absl::Status(probabilities.status().code(),
                        absl::StrCat("--guard: the ", text, ": ",
                                     probabilities.status().message()));
  }
  for (size_t i = 0; i < policies.size(); ++i) {
    verdict.scores.push_back({policies[i].name, (*probabilities)[i]});
  }
  return verdict;
}

absl::StatusOr<Verdict> Guard::JudgePrompt(std::string_view prompt) {
  if (absl::StripAsciiWhitespace(prompt).empty()) {
    return absl::InvalidArgumentError(
        "--guard: no text to classify: the prompt is empty");
  }
  return Judge("prompt", {prompt, std::nullopt}, prompt_policies_);
}

absl::StatusOr<Verdict> Guard::JudgeAnswer(std::string_view prompt,
                                           std::string_view answer) {
  return Judge("answer", {prompt, answer}, answer_policies_);
}

absl::StatusOr<Answer> Guard::AnswerTo(std::string_view prompt,
                                       Session& session,
                                       absl::Span<const TokenId> tokens,
                                       const AnswerOptions& options,
                                       const WantedScores& wanted) {
  std::vector<Verdict> verdicts;
  GEMMA_ASSIGN_OR_RETURN(verdicts.emplace_back(), JudgePrompt(prompt));
  Answer answer;
  if (!verdicts[0].violated().has_value()) {
    GEMMA_ASSIGN_OR_RETURN(answer,
                           GatherAnswer(session, tokens, options, wanted));
    if (Interrupted()) return InterruptedError();
    GEMMA_ASSIGN_OR_RETURN(
        verdicts.emplace_back(),
        JudgeAnswer(prompt, AllText({answer.text, answer.thoughts,
                                     answer.tool_calls})));
    if (verdicts[1].violated().has_value()) answer = {};
  }
  answer.verdicts = std::move(verdicts);
  return answer;
}

}  // namespace gemma::tools
