// Options of `gemma run` that have a model fill in what is missing in a text.

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
#include "tools/gemma/cli/options.h"

namespace gemma::tools {

struct FillOptions {
  std::string prefix;  // of a file, as suffix and files; empty: none
  std::string suffix;
  std::string path;  // that the model reads; empty: none
  std::vector<std::string> files;

  // The option that asks for it, for messages; empty: none does.
  std::string_view asked_by() const {
    if (!prefix.empty()) return "--fill-prefix";
    return suffix.empty() ? "" : "--fill-suffix";
  }
};

// What --help says of them.
extern const char kFillHelp[];

// Adds --fill-prefix, --fill-suffix, --fill-path and --fill-file.
void AddFillOptions(CLI::App& app, FillOptions* options);

// OK, or a usage error that names the options.
absl::Status Validate(const FillOptions& options);

// The texts of the files.
struct FillTexts {
  std::string prefix;
  std::string suffix;
  std::vector<std::string> files;  // of options.files
};
absl::StatusOr<FillTexts> ReadFill(const FillOptions& options);

// The prompt of the texts. Makes the answer end where the model ends what it
// fills in, and keeps it as it is. An error that names the model if that was
// not made for it.
absl::StatusOr<std::vector<TokenId>> FillTokens(const Model& model,
                                                std::string_view model_name,
                                                const FillOptions& options,
                                                const FillTexts& texts,
                                                AnswerOptions* answer);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_FILL_H_
