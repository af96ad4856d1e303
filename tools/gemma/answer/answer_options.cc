#include "tools/gemma/answer/answer_options.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
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
                  0, 0, "",
                  "Randomness of the choice of tokens; 0: always the\n"
                  "most probable token"}),
    AnswerOption(
        {"--top-k",
         [](AnswerOptions& o) -> Place { return {.count = &o.sampling.top_k}; },
         0, kMaxSessionTokens, "",
         "Choose among the N most probable tokens; 0: all"}),
    AnswerOption({"--top-p",
                  [](AnswerOptions& o) -> Place {
                    return {.number = &o.sampling.top_p};
                  },
                  0, 0, "",
                  "Choose among the most probable tokens, the fewest\n"
                  "that reach a total probability of X; 1: all"}),
    AnswerOption({"--min-p",
                  [](AnswerOptions& o) -> Place {
                    return {.number = &o.sampling.min_p};
                  },
                  0, 0, "",
                  "Choose among tokens with at least X times the\n"
                  "highest probability; 0: all"}),
    AnswerOption({"--typical-p",
                  [](AnswerOptions& o) -> Place {
                    return {.number = &o.sampling.typical_p};
                  },
                  0, 0, "",
                  "Choose among the tokens closest to the average\n"
                  "surprise, the fewest that reach a total probability\n"
                  "of X; 1: all"}),
    AnswerOption({"--repetition-penalty",
                  [](AnswerOptions& o) -> Place {
                    return {.number = &o.sampling.repetition_penalty};
                  },
                  0, 0, "",
                  "If a token occurred before, divide its logit by X if\n"
                  "positive, multiply it by X if negative; 1: off"}),
    AnswerOption({"--frequency-penalty",
                  [](AnswerOptions& o) -> Place {
                    return {.number = &o.sampling.frequency_penalty};
                  },
                  0, 0, "",
                  "Subtract X from a token's logit for each time that\n"
                  "the token occurred; 0: off"}),
    AnswerOption({"--presence-penalty",
                  [](AnswerOptions& o) -> Place {
                    return {.number = &o.sampling.presence_penalty};
                  },
                  0, 0, "",
                  "Subtract X once from a token's logit if the token\n"
                  "occurred; 0: off"}),
    AnswerOption({"--penalty-window",
                  [](AnswerOptions& o) -> Place {
                    return {.count = &o.sampling.penalty_window};
                  },
                  0, kMaxSessionTokens, "",
                  "Penalties count the last N tokens, including those\n"
                  "of the prompt; 0: all tokens"}),
    AnswerOption(
        {"--logit-bias",
         [](AnswerOptions& o) -> Place { return {.texts = &o.logit_bias}; }, 0,
         0, "TOKEN=BIAS",
         "Add BIAS to the logit of TOKEN, an id or a piece in\n"
         "double quotes; -inf: never choose it; may be repeated"}),
    AnswerOption({"--seed",
                  [](AnswerOptions& o) -> Place {
                    return {.count = &o.sampling.seed, .is_seed = &o.has_seed};
                  },
                  0, SIZE_MAX, "",
                  "Seed of the random choice; the same seed gives the\n"
                  "same answer; random: another one each time (-v shows it)"}),
    AnswerOption(
        {"-n,--max-tokens",
         [](AnswerOptions& o) -> Place { return {.count = &o.max_tokens}; }, 1,
         kMaxSessionTokens, "",
         "Maximum number of tokens of an answer; -1: until the\n"
         "context is full",
         /*may_be_open=*/true}),
    AnswerOption({"--stop",
                  [](AnswerOptions& o) -> Place { return {.texts = &o.stop}; },
                  0, 0, "TEXT",
                  "End the answer before TEXT, also in thoughts and\n"
                  "calls of tools; \\n, \\t and \\\\ are a line end, a tab\n"
                  "and a backslash; may be repeated"}),
    AnswerOption(
        {"--speculate",
         [](AnswerOptions& o) -> Place { return {.choice = &o.speculate}; }, 0,
         0, "off|auto",
         "auto: guess tokens where the text repeats itself, and\n"
         "check several guesses at once if that is measured to\n"
         "be faster; the answer is the same"}),
    AnswerOption(
        {"--timeout",
         [](AnswerOptions& o) -> Place { return {.number = &o.timeout}; }, 0, 0,
         "",
         "Time limit in seconds for reading the prompt and\n"
         "answering; 0: no limit"}),
};

// Sets a seed from its text: a number, or "random" or "-1" to draw one. Returns
// "", or what was wanted.
std::string ParseSeed(std::string_view text, const Place& place) {
  if (absl::EqualsIgnoreCase(text, "random") || text == "-1") {
    // 32 bits: easy to type again
    *place.count = std::random_device()();
  } else if (!ParseCount(text, 0, SIZE_MAX, place.count).empty()) {
    return absl::StrCat("a whole number from 0 to ", SIZE_MAX, ", or random");
  }
  *place.is_seed = true;
  return "";
}

constexpr std::string_view kOpen = "-1";  // as llama.cpp and Ollama write it

// All numbers of rows are counts of tokens.
std::string ParseCountOf(const AnswerOption::Row& row, std::string_view text,
                         size_t* count) {
  if (row.may_be_open && text == kOpen) {
    *count = row.most;
    return "";
  }
  const std::string wanted = ParseTokens(text, row.least, row.most, count);
  return wanted.empty() || !row.may_be_open
             ? wanted
             : absl::StrCat(wanted, ", or ", kOpen);
}

// Also reads "5s" as a time.
std::string ParseNumberOf(const AnswerOption::Row& row, std::string_view text,
                          float* number) {
  if (row.flags != "--timeout") return ParseReal(text, number);
  const std::string wanted = ParseReal(absl::StripSuffix(text, "s"), number);
  if (!wanted.empty()) return "a number of seconds";
  return *number >= 0 && *number <= kMaxTimeout
             ? ""
             : absl::StrFormat("a number of seconds from 0 to %.0f",
                               kMaxTimeout);
}

// The flags whose values are invalid on their own.
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

std::string FlagLabel(std::string_view name) {
  return absl::StrCat("--", name);
}

std::string FieldLabel(std::string_view name) {
  return absl::StrCat("'", absl::StrReplaceAll(name, {{"-", "_"}}), "'");
}

std::string SettingLabel(std::string_view name) { return std::string(name); }

std::string SetLabel(std::string_view name) {
  return absl::StrCat("/set ", name);
}

std::string_view AnswerOption::name() const {
  return row_.flags.substr(row_.flags.find("--") + 2);
}

bool AnswerOption::is_repeated() const {
  AnswerOptions any;
  return row_.place(any).texts != nullptr;
}

absl::Status AnswerOption::Set(std::string_view text, AnswerOptions* options,
                               OptionLabel label) const {
  const Place place = row_.place(*options);
  if (place.texts != nullptr) {
    place.texts->emplace_back(text);
    return absl::OkStatus();
  }
  const std::string wanted =
      place.is_seed != nullptr  ? ParseSeed(text, place)
      : place.number != nullptr ? ParseNumberOf(row_, text, place.number)
      : place.count != nullptr
          ? ParseCountOf(row_, text, place.count)
          : ParseChoice(text, absl::StrSplit(row_.words, '|'), place.choice);
  if (wanted.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(label(name()), ": '", text, "' is not ", wanted));
}

std::string AnswerOption::Get(const AnswerOptions& options) const {
  AnswerOptions copy = options;
  const Place place = row_.place(copy);
  if (place.number != nullptr) return absl::StrCat(*place.number);
  if (place.count != nullptr) {
    return row_.may_be_open && *place.count == row_.most
               ? std::string(kOpen)
               : absl::StrCat(*place.count);
  }
  return place.choice != nullptr ? *place.choice : "";
}

std::vector<std::string> AnswerOption::Texts(
    const AnswerOptions& options) const {
  AnswerOptions copy = options;
  const Place place = row_.place(copy);
  return place.texts != nullptr ? *place.texts : std::vector<std::string>();
}

void AnswerOption::Copy(const AnswerOptions& from,
                        AnswerOptions* options) const {
  AnswerOptions copy = from;
  const Place source = row_.place(copy);
  const Place place = row_.place(*options);
  if (place.number != nullptr) *place.number = *source.number;
  if (place.count != nullptr) *place.count = *source.count;
  if (place.is_seed != nullptr) *place.is_seed = *source.is_seed;
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
  if (place.is_seed != nullptr) {
    AddParsed(app, flags, "N", description, [place](const std::string& text) {
      return ParseSeed(text, place);
    })->default_str("random");
  } else if (place.number != nullptr) {
    AddParsed(app, flags, "X", description,
              [place, row = row_](const std::string& text) {
                return ParseNumberOf(row, text, place.number);
              })
        ->default_str(absl::StrCat(*place.number));
  } else if (place.count != nullptr) {
    AddParsed(app, flags, "N", description,
              [place, row = row_](const std::string& text) {
                return ParseCountOf(row, text, place.count);
              })
        ->default_str(default_text.empty() ? absl::StrCat(*place.count)
                                           : default_text);
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

void AddMarkdown(CLI::App& app, AnswerOptions* options) {
  AddChoice(app, "--markdown", &options->markdown, {"on", "off"},
            "Show Markdown of chat turns as bold, italic and\n"
            "coloured text, if a terminal can");
}

std::string Unescaped(std::string_view text) {
  return absl::StrReplaceAll(text,
                             {{"\\\\", "\\"}, {"\\n", "\n"}, {"\\t", "\t"}});
}

void UnescapeStops(AnswerOptions* options, bool quiet) {
  for (std::string& stop : options->stop) {
    if (stop.find('\\') == std::string::npos) continue;
    const std::string typed = std::exchange(stop, Unescaped(stop));
    if (quiet) continue;
    Note(typed == stop
             ? absl::StrCat("--stop '", typed,
                            "': the backslash stays (\\n, \\t and \\\\ are a "
                            "line end, a tab and a backslash)")
             : absl::StrCat("--stop '", typed,
                            "': \\n is a line end, \\t a tab and \\\\ a "
                            "backslash"));
  }
}

absl::Status Validate(const AnswerOptions& options, OptionLabel label) {
  if (options.timeout < 0 || options.timeout > kMaxTimeout) {
    return OptionError(
        {"--timeout"},
        absl::StrFormat("%s: '%g' is not a number of seconds from 0 to %.0f",
                        label("timeout"), options.timeout, kMaxTimeout));
  }
  for (const std::string& stop : options.stop) {
    if (stop.empty()) {
      return OptionError({"--stop"},
                         absl::StrCat(label("stop"), ": the text is empty"));
    }
  }
  for (const std::string& bias : options.logit_bias) {
    GEMMA_RETURN_IF_ERROR(ParseLogitBias(bias, label("logit-bias")).status());
  }
  return CheckSampling(options);
}

void DrawMissingSeed(AnswerOptions* options) {
  if (options->has_seed) return;
  options->sampling.seed = std::random_device()();
  options->has_seed = true;
}

std::string SeedNote(const SamplingOptions& options) {
  return options.temperature == 0 ? "" : absl::StrCat("; seed ", options.seed);
}

absl::Status FindTokens(const Model& model, AnswerOptions* options,
                        OptionLabel label) {
  GEMMA_ASSIGN_OR_RETURN(
      options->sampling.logit_bias,
      FindLogitBiases(options->logit_bias, model, label("logit-bias")));
  // Two biases may name the same token, one by its id and one by its piece.
  return CheckSampling(*options);
}

}  // namespace gemma::tools
