#include "tools/gemma/cli/grammar_options.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"

namespace gemma::tools {
namespace {

// Returns the grammar, or a usage error about `option`, which also names
// `value` if that is not empty.
absl::StatusOr<std::optional<Grammar>> Checked(absl::StatusOr<Grammar> grammar,
                                               const std::string& option,
                                               std::string_view value = "") {
  if (grammar.ok()) return *std::move(grammar);
  return OptionError({option},
                     absl::StrCat(option, value.empty() ? "" : " ", value, ": ",
                                  grammar.status().message()));
}

}  // namespace

void AddGrammarOptions(CLI::App& app, GrammarOptions* options) {
  AddChoice(app, "--format", &options->format, {"text", "json"},
            "What the answer itself must be: any text, or one JSON\n"
            "value (--json: the command's report about it)");
  AddText(app, "--schema", "FILE", &options->schema,
          "With --format json: a JSON schema that the\nvalue must match");
  AddTexts(app, "--regex", "EXPR", &options->regexes,
           "The whole answer must match EXPR");
  AddTexts(app, "--choice", "TEXT", &options->choices,
           "An answer that is allowed; repeat the option\nto allow several");
}

void NoteChoice(const GrammarOptions& options) {
  if (options.choices.size() != 1 ||
      !absl::StrContains(options.choices[0], ',')) {
    return;
  }
  Note(absl::StrCat("--choice ", options.choices[0],
                    " allows one answer, with its commas: repeat --choice for "
                    "several"));
}

absl::StatusOr<std::optional<Grammar>> ReadGrammar(
    const GrammarOptions& options) {
  const bool json = options.format == "json";
  if (!options.schema.empty() && !json) {
    return Needs("--schema", "--format json");
  }
  const bool choices = !options.choices.empty();
  if (options.regexes.size() + (json ? 1 : 0) + (choices ? 1 : 0) > 1) {
    return OptionError(
        {"--format", "--regex", "--choice"},
        "--format json, --regex and --choice: only one may be given, and "
        "--regex only once");
  }
  if (!options.regexes.empty()) {
    return Checked(Grammar::FromRegex(options.regexes[0]), "--regex");
  }
  if (choices)
    return Checked(Grammar::FromChoices(options.choices), "--choice");
  if (!json) return std::nullopt;
  if (options.schema.empty()) return Grammar::AnyJson();
  const absl::StatusOr<std::string> schema = ReadText(options.schema);
  if (!schema.ok()) {
    return WithJsonCure(schema.status(), "--schema", options.schema);
  }
  return Checked(Grammar::FromJsonSchema(*schema), "--schema", options.schema);
}

}  // namespace gemma::tools
