// Options that choose tokens and end answers. One table serves the command line
// of `run` and `chat`, /set, saved chats and the lines of a batch.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_OPTIONS_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/gemma.h"

namespace gemma::tools {

// Returns what messages call the option with this name.
using OptionLabel = std::string (*)(std::string_view name);
std::string FlagLabel(std::string_view name);   // "--top-k"
std::string FieldLabel(std::string_view name);  // "'top_k'", in a batch's line
// "top-k", in errors about a value that /set was given or a saved chat has.
std::string SettingLabel(std::string_view name);
// "/set top-k", in other messages of a chat: what the user can type.
std::string SetLabel(std::string_view name);

struct AnswerOptions {
  SamplingOptions sampling;
  bool has_seed = false;  // the caller gave sampling.seed, or had it drawn
  std::vector<std::string> logit_bias;  // TOKEN=BIAS, see FindTokens
  size_t max_tokens = 0;                // 0: the command decides
  std::vector<std::string> stop;
  std::vector<TokenId> stop_tokens;  // in addition to the model's
  std::string speculate = "auto";
  float timeout = 0.0f;              // seconds; 0: no limit
  const Grammar* grammar = nullptr;  // form of the answer; null: any text
  bool is_json = false;              // the form is JSON
  std::vector<size_t> checkpoints;   // see GenerateOptions
  bool as_is = false;                // add no newline, except on a terminal
  bool is_turn = false;              // the answer may have thoughts and calls
  bool has_tools = false;            // the chat declares tools
  bool hides_thoughts = false;       // except on a terminal
  std::string markdown = "on";       // of chat turns, on a terminal
  std::string echo;                  // a terminal shows it before the answer
  OptionLabel label = FlagLabel;     // for messages about the answer
};

// A row of the table.
class AnswerOption {
 public:
  // Points to the option's value. Exactly one member is set, or with a count
  // also `is_seed`.
  struct Place {
    float* number = nullptr;
    size_t* count = nullptr;
    bool* is_seed = nullptr;  // of a count that can be drawn: set when given
    std::string* choice = nullptr;
    std::vector<std::string>* texts = nullptr;  // if it may be repeated
  };
  struct Row {
    std::string_view flags;  // "-n,--max-tokens"
    Place (*place)(AnswerOptions& options);
    size_t least, most;      // range of a count
    std::string_view words;  // "a|b" of a choice, "TOKEN=BIAS" of a text
    std::string_view description;
    bool may_be_open = false;  // -1 stands for the largest count
  };

  explicit constexpr AnswerOption(const Row& row) : row_(row) {}

  // The long name without dashes: "max-tokens".
  std::string_view name() const;
  // Whether the option may be repeated.
  bool is_repeated() const;

  // Sets the value. Adds one if the option may be repeated. InvalidArgument
  // names the option, the text found and the value wanted.
  absl::Status Set(std::string_view text, AnswerOptions* options,
                   OptionLabel label) const;
  // The value in the form that Set reads. Empty if the option may be repeated.
  std::string Get(const AnswerOptions& options) const;
  // Returns the values of an option that may be repeated, else none.
  std::vector<std::string> Texts(const AnswerOptions& options) const;
  // Copies the option's value from `from` to `options`.
  void Copy(const AnswerOptions& from, AnswerOptions* options) const;
  // Removes all values. The option must be one that may be repeated.
  void Clear(AnswerOptions* options) const;

  // Adds the option to the command line, with its value in `options` as
  // default. For a count, --help shows `default_text` instead if not empty.
  void AddTo(CLI::App& app, AnswerOptions* options,
             const std::string& default_text) const;

 private:
  Row row_;
};

// All options, in the order of --help.
absl::Span<const AnswerOption> AllAnswerOptions();
// The option with this name, or null.
const AnswerOption* FindAnswerOption(std::string_view name);

void AddAnswerOptions(CLI::App& app, AnswerOptions* options,
                      const std::string& default_max_tokens);

// Adds --markdown.
void AddMarkdown(CLI::App& app, AnswerOptions* options);

// Returns `text` with \n, \t and \\ replaced by a line end, a tab and a
// backslash. Other backslashes stay.
std::string Unescaped(std::string_view text);

// Unescapes the texts of --stop. Prints a note on each text with a backslash,
// unless `quiet`.
void UnescapeStops(AnswerOptions* options, bool quiet);

// OK, or a usage error that names the option.
absl::Status Validate(const AnswerOptions& options, OptionLabel label);

// Draws a seed if the caller gave none.
void DrawMissingSeed(AnswerOptions* options);

// "; seed 7", or "" if the answer has no random choice.
std::string SeedNote(const SamplingOptions& options);

// Looks up the tokens of --logit-bias in the model. `options` must be valid. If
// the model does not have a token, the usage error names it.
absl::Status FindTokens(const Model& model, AnswerOptions* options,
                        OptionLabel label);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_OPTIONS_H_
