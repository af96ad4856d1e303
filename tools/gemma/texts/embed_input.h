// Reads the texts that `gemma embed` embeds.

#ifndef GEMMA_TOOLS_GEMMA_TEXTS_EMBED_INPUT_H_
#define GEMMA_TOOLS_GEMMA_TEXTS_EMBED_INPUT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

// The source of the texts, and the words in front of them.
struct EmbedInputOptions {
  std::vector<std::string> texts;  // of the command line
  std::string file;                // one text per line; stdin if both are empty
  bool jsonl = false;              // lines are JSON
  std::string prompt;              // see EmbedPrefix
  std::string title;
  std::string prefix;  // instead of prompt and title
};

struct EmbedInput {
  std::string text;  // including the words in front of it
  std::string id;    // a JSON string or number; empty: no id
};

// OK, or a usage error that names the option.
absl::Status Check(const EmbedInputOptions& options);

// Reads all texts. An error names the bad line.
absl::StatusOr<std::vector<EmbedInput>> ReadInputs(
    const EmbedInputOptions& options);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_TEXTS_EMBED_INPUT_H_
