// What `gemma embed` embeds.

#ifndef GEMMA_TOOLS_GEMMA_TEXTS_EMBED_INPUT_H_
#define GEMMA_TOOLS_GEMMA_TEXTS_EMBED_INPUT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

// Where texts come from and what stands in front of them.
struct EmbedInputOptions {
  std::vector<std::string> texts;  // of the command line
  std::string file;                // a text a line; if none of both: stdin
  bool jsonl = false;              // lines are JSON
  std::string prompt;              // see EmbedPrefix
  std::string title;
  std::string prefix;  // instead of both
};

struct EmbedInput {
  std::string text;  // with what stands in front of it
  std::string id;    // JSON: a text or a number; empty: none
};

// OK, or a usage error that names the option.
absl::Status Check(const EmbedInputOptions& options);

// All texts. An error names the line that is wrong.
absl::StatusOr<std::vector<EmbedInput>> ReadInputs(
    const EmbedInputOptions& options);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_TEXTS_EMBED_INPUT_H_
