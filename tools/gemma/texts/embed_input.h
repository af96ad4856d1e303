// Reads the texts that `gemma embed` embeds.

#ifndef GEMMA_TOOLS_GEMMA_TEXTS_EMBED_INPUT_H_
#define GEMMA_TOOLS_GEMMA_TEXTS_EMBED_INPUT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/embedder.h"

namespace gemma::tools {

// The source of the texts, and the words in front of them.
struct EmbedInputOptions {
  std::vector<std::string> texts;  // of the command line
  std::string file;                // one text per line; stdin if both are empty
  bool jsonl = false;              // lines are JSON
  std::string prompt;              // see Embedder::Prefix
  std::string title;
  std::string prefix;      // instead of prompt and title
  bool no_prompt = false;  // nor the model's default prompt
};

struct EmbedInput {
  std::string text;  // including the words in front of it
  std::string id;    // a JSON string or number; empty: no id
};

// OK, or a usage error that names the option.
absl::Status Check(const EmbedInputOptions& options);

// Reads all texts and puts the embedder's words in front of them. An error
// names the bad line or option.
absl::StatusOr<std::vector<EmbedInput>> ReadInputs(
    const EmbedInputOptions& options, const Embedder& embedder);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_TEXTS_EMBED_INPUT_H_
