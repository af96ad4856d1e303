// How `run` and `chat` choose tokens and end answers: one table for the command
// line, /set, saved chats and the lines of a batch.

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

struct AnswerOptions {
  SamplingOptions sampling;
  std::vector<std::string> logit_bias;  // TOKEN=BIAS, see FindTokens
  size_t max_tokens = 0;                // 0: the command decides
  std::vector<std::string> stop;
  std::vector<TokenId> stop_tokens;  // beside the model's
  std::string speculate = "auto";
  float timeout = 0.0f;              // seconds; 0: none
  const Grammar* grammar = nullptr;  // what the answer shall be; null: any text
  std::vector<size_t> checkpoints;   // as GenerateOptions has them
  bool as_is = false;  // a file gets no line end that the model did not write
};

// One of them.
class AnswerOption {
 public:
  // Where its value is.
  struct Place {
    float* number = nullptr;
    size_t* count = nullptr;
    std::string* choice = nullptr;
    std::vector<std::string>* texts = nullptr;  // of an option that is repeated
  };
  struct Row {
    std::string_view flags;  // "-n,--max-tokens"
    Place (*place)(AnswerOptions& options);
    size_t least, most;      // of a count
    std::string_view words;  // "a|b" of a choice, else what a text is
    std::string_view description;
  };

  explicit constexpr AnswerOption(const Row& row) : row_(row) {}

  // "max-tokens".
  std::string_view name() const;
  // Whether it takes several values.
  bool is_repeated() const;

  // Sets the value, or adds it to those that there are. InvalidArgument names
  // the flag, what was found and what was wanted.
  absl::Status Set(std::string_view text, AnswerOptions* options) const;
  // The value as Set takes it, of an option that is not repeated.
  std::string Get(const AnswerOptions& options) const;
  // Gives it the value that it has in `from`.
  void Copy(const AnswerOptions& from, AnswerOptions* options) const;
  // Forgets the values of an option that is repeated.
  void Clear(AnswerOptions* options) const;

  // Adds it to the command line, with its value in `options` as default.
  void AddTo(CLI::App& app, AnswerOptions* options,
             const std::string& default_text) const;

 private:
  Row row_;
};

// All that the command line has.
absl::Span<const AnswerOption> AllAnswerOptions();
// The one of that name, or null.
const AnswerOption* FindAnswerOption(std::string_view name);

void AddAnswerOptions(CLI::App& app, AnswerOptions* options,
                      const std::string& default_max_tokens);

// OK, or a usage error that names the option.
absl::Status Validate(const AnswerOptions& options);

// Looks the tokens of valid options up in the model, or returns a usage error
// that names one which it has not.
absl::Status FindTokens(const Model& model, AnswerOptions* options);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_OPTIONS_H_
