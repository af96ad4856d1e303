// gemma classify: scores by ShieldGemma how probably a text violates a policy.

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/policy_options.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/model_error.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/texts/classify_lines.h"

namespace gemma::tools {
namespace {

// Size of a usual text with a policy, for the memory check.
constexpr size_t kUsualTokens = 1024;

struct ClassifyOptions {
  ModelOptions model;
  PolicyOptions policy;
  std::string text = std::string(kStdinArgument);
  std::string file;
  std::string response;
  bool has_response = false;
  bool lines = false;
  std::string format = "text";
  bool verbose = false;
};

absl::Status Check(const ClassifyOptions& options) {
  const bool has_text = options.text != kStdinArgument;
  if (has_text && !options.file.empty()) {
    return Exclude("TEXT", "--file");
  }
  if (!options.lines) {
    if (options.has_response && options.response.empty()) {
      return OptionError({"--response"},
                         "--response: no text to classify, it is empty");
    }
    return WithOptions(AsUsageError(CheckUtf8(options.response, "--response")),
                       {"--response"});
  }
  if (has_text) return Exclude("--jsonl", "TEXT");
  if (options.has_response) {
    return OptionError(
        {"--jsonl", "--response"},
        "--jsonl and --response exclude each other: each line has its own "
        "response");
  }
  return absl::OkStatus();
}

// An error if the text is blank: a pipe that failed would look harmless.
absl::Status CheckHasText(std::string_view text, std::string_view name) {
  if (!absl::StripAsciiWhitespace(text).empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("no text to classify: ", name, " is empty"));
}

absl::StatusOr<std::string> ReadInput(const ClassifyOptions& options) {
  if (options.text != kStdinArgument) {
    GEMMA_RETURN_IF_ERROR(AsUsageError(CheckUtf8(options.text, "TEXT")));
    GEMMA_RETURN_IF_ERROR(AsUsageError(CheckHasText(options.text, "TEXT")));
    return options.text;
  }
  const std::string path = options.file.empty() ? options.text : options.file;
  if (path == kStdinArgument && isatty(STDIN_FILENO) == 1 &&
      !options.model.quiet) {
    Note("type the text, then Enter and Ctrl-D");
  }
  GEMMA_ASSIGN_OR_RETURN(std::string text,
                         ReadUtf8(path, options.model.quiet ? "" : kWaiting));
  GEMMA_RETURN_IF_ERROR(CheckHasText(text, InputName(path)));
  // The line end that `echo` adds is not part of the text.
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string TextOf(absl::Span<const Policy> policies,
                   absl::Span<const double> probabilities) {
  size_t width = 0;
  for (const Policy& policy : policies) {
    width = std::max(width, policy.name.size());
  }
  std::string text;
  for (size_t i = 0; i < policies.size(); ++i) {
    absl::StrAppendFormat(&text, "%-*s  %.4f\n", static_cast<int>(width),
                          policies[i].name, probabilities[i]);
  }
  return text;
}

// How each object begins.
nlohmann::ordered_json HeadOf(const Model& model,
                              const ClassifyOptions& options, size_t context) {
  nlohmann::ordered_json json = ReportHead(options.model, model);
  json["options"] = OptionsJson(options.model, model, context);
  if (options.has_response) json["options"]["response"] = options.response;
  json["wording"] = options.policy.wording;
  return json;
}

std::string JsonOf(const Model& model, const ClassifyOptions& options,
                   size_t context, absl::Span<const Policy> policies,
                   absl::Span<const double> probabilities,
                   const ClassifierStats& stats, double seconds) {
  nlohmann::ordered_json json = HeadOf(model, options, context);
  json.update({{"probabilities", ProbabilitiesJson(policies, probabilities)},
               {"prompt_tokens", stats.prompt_tokens},
               {"computed_tokens", stats.computed_tokens},
               {"answer_mass", stats.least_answer_mass},
               {"seconds", seconds}});
  return ToText(json);
}

absl::Status ClassifyText(const Model& model, const ClassifyOptions& options,
                          ClassifierOptions classifier_options,
                          absl::Span<const Policy> policies,
                          std::string_view text) {
  Stopwatch stopwatch;
  std::optional<Progress> progress;
  progress.emplace("classifying");
  classifier_options.progress = [&](size_t done, size_t total) {
    if (!options.model.quiet) progress->Update(done, total);
    return !Interrupted();
  };
  const size_t context = classifier_options.max_tokens;
  GEMMA_ASSIGN_OR_RETURN(Classifier classifier,
                         NewClassifier(model, std::move(classifier_options)));
  ClassifierInput input = {text, std::nullopt};
  if (options.has_response) input.response = options.response;
  const absl::StatusOr<std::vector<double>> probabilities =
      classifier.Classify(input, policies);
  if (Interrupted()) return InterruptedError();
  if (absl::IsOutOfRange(probabilities.status())) {
    return WithCure(probabilities.status(),
                    "use a shorter text or a larger --context; ShieldGemma was "
                    "trained with 8192 tokens");
  }
  if (!probabilities.ok()) return probabilities.status();
  progress.reset();

  const ClassifierStats& stats = classifier.stats();
  const double seconds = stopwatch.seconds();
  GEMMA_RETURN_IF_ERROR(WriteOutput(
      options.format == "json" ? JsonOf(model, options, context, policies,
                                        *probabilities, stats, seconds)
                               : TextOf(policies, *probabilities)));
  if (const std::string why = WhyNoShield(options.model.path, stats);
      !why.empty()) {
    Note(why);
  }
  if (options.verbose) {
    Note(absl::StrFormat("%u prompts of %u tokens, %u of them computed, %.2f s",
                         stats.num_prompts, stats.prompt_tokens,
                         stats.computed_tokens, seconds));
  }
  return absl::OkStatus();
}

// The default of --context.
size_t DefaultTokens(const Model& model) {
  return std::min(ClassifierOptions().max_tokens, model.config().max_context);
}

// About the number of tokens of the longest sequence: the text and the words
// around it. The lengths of --jsonl lines are not known yet; a line that is
// longer than usual allocates more memory when it comes.
absl::StatusOr<size_t> TokensToExpect(const Model& model,
                                      const ClassifyOptions& options,
                                      const std::string& text) {
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, TokenizerOf(model));
  GEMMA_ASSIGN_OR_RETURN(
      const std::vector<TokenId> tokens,
      tokenizer->Encode(absl::StrCat(text, options.response)));
  return std::min(kUsualTokens + tokens.size(), DefaultTokens(model));
}

absl::Status Classify(const ClassifyOptions& options) {
  GEMMA_RETURN_IF_ERROR(Check(options));
  GEMMA_ASSIGN_OR_RETURN(const std::vector<Policy> policies,
                         ReadPolicies(options.policy));
  std::string text;
  if (!options.lines) {
    absl::StatusOr<std::string> read = ReadInput(options);
    if (!read.ok() && !IsUsageError(read.status())) {
      // The text may be where the model belongs.
      GEMMA_RETURN_IF_ERROR(ReadOutline(options.model).status());
    }
    GEMMA_RETURN_IF_ERROR(read.status());
    text = *std::move(read);
  }
  GEMMA_ASSIGN_OR_RETURN(const Model model, LoadModel(options.model));
  GEMMA_ASSIGN_OR_RETURN(const size_t tokens,
                         TokensToExpect(model, options, text));
  GEMMA_RETURN_IF_ERROR(
      CheckMemory(options.model, PlanOf(model, options.model, tokens)));
  ClassifierOptions classifier;
  classifier.wording = WordingOf(options.policy);
  const SessionOptions session =
      SessionOptionsOf(options.model, DefaultTokens(model));
  classifier.max_tokens = session.max_tokens;
  classifier.cache_format = session.cache_format;
  if (!options.lines) {
    return ClassifyText(model, options, std::move(classifier), policies, text);
  }
  const ClassifyLinesOptions lines = {
      options.model.path, HeadOf(model, options, classifier.max_tokens),
      options.file.empty() ? std::string(kStdinArgument) : options.file,
      options.model.quiet, options.verbose};
  return ClassifyLines(model, std::move(classifier), policies, lines);
}

}  // namespace

void AddClassify(CLI::App& app, Action* action) {
  auto options = std::make_shared<ClassifyOptions>();
  CLI::App* command = app.add_subcommand(
      "classify", "Score how probably a text violates a policy (ShieldGemma)");
  AddModelOptions(*command, &options->model, "8192");
  AddText(*command, "TEXT", "", &options->text,
          "The text, a prompt; if missing or \"-\": standard input");
  const CLI::Option* response =
      AddText(*command, "--response", "TEXT", &options->response,
              "A response to the text: classify the response instead\n"
              "of the text");
  AddText(*command, "-f,--file", "FILE", &options->file,
          "Read the text, or with --jsonl the lines, from FILE");
  AddPolicyOptions(*command, &options->policy);
  command->add_flag("--jsonl", options->lines,
                    "Classify each line of the input, which is JSON, and\n"
                    "print one of JSON for it (gemma help jsonl explains it)");
  AddForms(*command, &options->format);
  AddQuiet(*command, &options->model.quiet);
  command->add_flag("-v,--verbose", options->verbose,
                    "Print token counts and time on standard error");
  command->footer(
      R"(Prints a probability for each policy: that of "Yes" against "No" as the
model's next token. You decide which probability is too high; the exit
code does not depend on it. Names of control tokens in the text stay text.
The text that the prompts of several policies share is computed once.

With --json, standard output receives an object with the probabilities, the
options, and answer_mass: the least probability that Yes and No had
together, among all tokens. It is nearly 1 for a ShieldGemma; below 0.5, a
line on standard error says so, too. The page json.md of gemma's sources
describes each field.

)" + std::string(kClassifyLinesHelp) +
      kPolicyFileHelp +
      R"(Examples:
  gemma classify shieldgemma-2b/ "How do I pick a lock?"
  gemma classify shieldgemma-2b/ --policy dangerous \
    --response "Use a tension wrench." "How do I pick a lock?"
  gemma classify shieldgemma-2b/ --jsonl < texts.jsonl > scores.jsonl

)");
  command->callback([=] {
    options->has_response = response->count() > 0;
    *action = [=] { return Classify(*options); };
  });
}

}  // namespace gemma::tools
