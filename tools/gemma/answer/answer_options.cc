#include "tools/gemma/answer/answer_options.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/logit_bias.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

using Place = AnswerOption::Place;

constexpr float kMaxTimeout = 1e9f;  // seconds

constexpr AnswerOption kOptions[] = {
    AnswerOption({"--temperature",
                  [](AnswerOptions& o) -> Place {
                    return {.number = &o.sampling.temperature};
                  },
                  0, 0, "", "0: always the most probable token"}),
    AnswerOption(
        {"--top-k",
         [](AnswerOptions& o) -> Place { return {.count = &o.sampling.top_k}; },
         0, kMaxSessionTokens, "", "Choose among the N most probable; 0: all"}),
    AnswerOption({"--top-p",
                  [](AnswerOptions& o) -> Place {
                    return {.number = &o.sampling.top_p};
                  },
                  0, 0, "",
                  "Choose among the fewest whose probability\n"
                  "reaches X; 1: all"}),
    AnswerOption({"--min-p",
                  [](AnswerOptions& o) -> Place {
                    return {.number = &o.sampling.min_p};
                  },
                  0, 0, "", "Choose among those above X times the highest"}),
    AnswerOption({"--typical-p",
                  [](AnswerOptions& o) -> Place {
                    return {.number = &o.sampling.typical_p};
                  },
                  0, 0, "",
                  "Choose among those of about average surprise, the\n"
                  "fewest whose probability reaches X; 1: all"}),
    AnswerOption({"--repetition-penalty",
                  [](AnswerOptions& o) -> Place {
                    return {.number = &o.sampling.repetition_penalty};
                  },
                  0, 0, "",
                  "Divides positive logits of tokens that occurred,\n"
                  "multiplies negative ones; 1: off"}),
    AnswerOption({"--frequency-penalty",
                  [](AnswerOptions& o) -> Place {
                    return {.number = &o.sampling.frequency_penalty};
                  },
                  0, 0, "",
                  "Is subtracted for each time a token occurred; 0: off"}),
    AnswerOption({"--presence-penalty",
                  [](AnswerOptions& o) -> Place {
                    return {.number = &o.sampling.presence_penalty};
                  },
                  0, 0, "", "Is subtracted once if a token occurred; 0: off"}),
    AnswerOption({"--penalty-window",
                  [](AnswerOptions& o) -> Place {
                    return {.count = &o.sampling.penalty_window};
                  },
                  0, kMaxSessionTokens, "",
                  "Penalties count the last N tokens, the prompt's too;\n"
                  "0: all"}),
    AnswerOption(
        {"--logit-bias",
         [](AnswerOptions& o) -> Place { return {.texts = &o.logit_bias}; }, 0,
         0, "TOKEN=BIAS",
         "Add BIAS to the logit of TOKEN, an id or a piece in\n"
         "double quotes; -inf: never choose it; may be repeated"}),
    AnswerOption(
        {"--seed",
         [](AnswerOptions& o) -> Place { return {.count = &o.sampling.seed}; },
         0, SIZE_MAX, "", "The same seed gives the same answer"}),
    AnswerOption(
        {"-n,--max-tokens",
         [](AnswerOptions& o) -> Place { return {.count = &o.max_tokens}; }, 1,
         kMaxSessionTokens, "", "Tokens of an answer, at most"}),
    AnswerOption({"--stop",
                  [](AnswerOptions& o) -> Place { return {.texts = &o.stop}; },
                  0, 0, "TEXT", "End the answer before TEXT; may be repeated"}),
    AnswerOption(
        {"--speculate",
         [](AnswerOptions& o) -> Place { return {.choice = &o.speculate}; }, 0,
         0, "off|auto",
         "Guess tokens from what the text repeats, and check\n"
         "several at once where that is measured to be\n"
         "faster; the answer is the same"}),
    AnswerOption(
        {"--timeout",
         [](AnswerOptions& o) -> Place { return {.number = &o.timeout}; }, 0, 0,
         "",
         "Seconds that an answer may take, its prompt included;\n"
         "0: any"}),
};

// The flags that `options` would be refused for without all the others.
std::vector<std::string> Culprits(const AnswerOptions& options) {
  std::vector<std::string> flags;
  for (const AnswerOption& option : kOptions) {
    AnswerOptions alone;
    option.Copy(options, &alone);
    if (!gemma::Validate(alone.sampling).ok()) {
      flags.push_back(absl::StrCat("--", option.name()));
    }
  }
  SamplingOptions biases;
  biases.logit_bias = options.sampling.logit_bias;
  if (!gemma::Validate(biases).ok()) flags.emplace_back("--logit-bias");
  return flags;
}

absl::Status CheckSampling(const AnswerOptions& options) {
  const absl::Status status = gemma::Validate(options.sampling);
  if (status.ok()) return status;
  return WithOptions(AsUsageError(status), Culprits(options));
}

}  // namespace

std::string_view AnswerOption::name() const {
  return row_.flags.substr(row_.flags.find("--") + 2);
}

bool AnswerOption::is_repeated() const {
  AnswerOptions any;
  return row_.place(any).texts != nullptr;
}

absl::Status AnswerOption::Set(std::string_view text,
                               AnswerOptions* options) const {
  const Place place = row_.place(*options);
  if (place.texts != nullptr) {
    place.texts->emplace_back(text);
    return absl::OkStatus();
  }
  const std::string wanted =
      place.number != nullptr ? ParseReal(text, place.number)
      : place.count != nullptr
          ? ParseCount(text, row_.least, row_.most, place.count)
          : ParseChoice(text, absl::StrSplit(row_.words, '|'), place.choice);
  if (wanted.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", name(), ": '", text, "' is not ", wanted));
}

std::string AnswerOption::Get(const AnswerOptions& options) const {
  AnswerOptions copy = options;
  const Place place = row_.place(copy);
  if (place.number != nullptr) return absl::StrCat(*place.number);
  if (place.count != nullptr) return absl::StrCat(*place.count);
  return place.choice != nullptr ? *place.choice : "";
}

void AnswerOption::Copy(const AnswerOptions& from,
                        AnswerOptions* options) const {
  AnswerOptions copy = from;
  const Place source = row_.place(copy);
  const Place place = row_.place(*options);
  if (place.number != nullptr) *place.number = *source.number;
  if (place.count != nullptr) *place.count = *source.count;
  if (place.choice != nullptr) *place.choice = std::move(*source.choice);
  if (place.texts != nullptr) *place.texts = std::move(*source.texts);
}

void AnswerOption::Clear(AnswerOptions* options) const {
  row_.place(*options).texts->clear();
}

void AnswerOption::AddTo(CLI::App& app, AnswerOptions* options,
                         const std::string& default_text) const {
  const std::string flags(row_.flags);
  const std::string description(row_.description);
  const Place place = row_.place(*options);
  if (place.number != nullptr) {
    AddNumber(app, flags, place.number, description);
  } else if (place.count != nullptr) {
    AddNumber(app, flags, place.count, row_.least, row_.most, description,
              default_text);
  } else if (place.choice != nullptr) {
    AddChoice(app, flags, place.choice, absl::StrSplit(row_.words, '|'),
              description);
  } else {
    AddTexts(app, flags, std::string(row_.words), place.texts, description);
  }
}

absl::Span<const AnswerOption> AllAnswerOptions() { return kOptions; }

const AnswerOption* FindAnswerOption(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kOptions), std::end(kOptions),
                   [&](const AnswerOption& at) { return at.name() == name; });
  return found == std::end(kOptions) ? nullptr : found;
}

void AddAnswerOptions(CLI::App& app, AnswerOptions* options,
                      const std::string& default_max_tokens) {
  for (const AnswerOption& option : kOptions) {
    option.AddTo(app, options,
                 option.name() == "max-tokens" ? default_max_tokens : "");
  }
}

absl::Status Validate(const AnswerOptions& options) {
  if (options.timeout < 0 || options.timeout > kMaxTimeout) {
    return OptionError(
        {"--timeout"},
        absl::StrCat("--timeout: ", options.timeout,
                     " is not a number from 0 to ", kMaxTimeout));
  }
  for (const std::string& stop : options.stop) {
    if (stop.empty()) {
      return OptionError({"--stop"}, "--stop: the text is empty");
    }
  }
  for (const std::string& bias : options.logit_bias) {
    GEMMA_RETURN_IF_ERROR(ParseLogitBias(bias).status());
  }
  return CheckSampling(options);
}

absl::Status FindTokens(const Model& model, AnswerOptions* options) {
  GEMMA_ASSIGN_OR_RETURN(options->sampling.logit_bias,
                         FindLogitBiases(options->logit_bias, model));
  // A token may be named twice, by its id and by its piece.
  return CheckSampling(*options);
}

}  // namespace gemma::tools
