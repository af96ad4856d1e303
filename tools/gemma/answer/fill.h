// Options of `gemma run` that let a model fill the gap between two texts.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_FILL_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_FILL_H_

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/gemma.h"
#include "tools/gemma/answer/answer_options.h"

namespace gemma::tools {

struct FillOptions {
  std::string prefix;  // path of a file; empty: no text before the gap
  std::string suffix;  // path of a file; empty: no text after the gap
  std::string path;    // of the file with the gap, for the model; may be empty
  std::vector<std::string> files;  // paths of other files for the model

  // The option that asks to fill a gap, for messages, or empty.
  std::string_view asked_by() const {
    if (!prefix.empty()) return "--fill-prefix";
    return suffix.empty() ? "" : "--fill-suffix";
  }
};

// The part of --help that describes these options.
extern const char kFillHelp[];

// Adds --fill-prefix, --fill-suffix, --fill-path and --fill-file.
void AddFillOptions(CLI::App& app, FillOptions* options);

// OK, or a usage error that names the options.
absl::Status Validate(const FillOptions& options);

// The contents of the files.
struct FillTexts {
  std::string prefix;
  std::string suffix;
  std::vector<std::string> files;  // in the order of FillOptions::files
};
absl::StatusOr<FillTexts> ReadFill(const FillOptions& options);

// The prompt for the texts. Sets the stop tokens of `answer` to the model's
// markers, and sets as_is. If the model was not made to fill gaps, the error
// names it by `model_name`.
absl::StatusOr<std::vector<TokenId>> FillTokens(const Model& model,
                                                std::string_view model_name,
                                                const FillOptions& options,
                                                const FillTexts& texts,
                                                AnswerOptions* answer);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_FILL_H_
