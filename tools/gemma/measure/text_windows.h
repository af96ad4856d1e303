// A text, as models read it that score each of its tokens.

#ifndef GEMMA_TOOLS_GEMMA_MEASURE_TEXT_WINDOWS_H_
#define GEMMA_TOOLS_GEMMA_MEASURE_TEXT_WINDOWS_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/gemma.h"
#include "tools/gemma/cli/options.h"

namespace gemma::tools {

// What --help says of --context, where it is the size of a window.
inline constexpr char kDefaultWindowText[] = "2048";

// Adds -f,--file, the text.
CLI::Option* AddTextFile(CLI::App& app, std::string* file);

// The text of a file, or of standard input ("-"); an error if it is not UTF-8.
absl::StatusOr<std::string> ReadTextFile(const std::string& file);

// Tokens of the text of `file`, at least one.
absl::StatusOr<std::vector<TokenId>> TokensOf(const Model& model,
                                              std::string_view text,
                                              const std::string& file);

// OK, or a usage error if a window has no room for a token behind BOS.
absl::Status CheckWindow(const ModelOptions& options);

// Positions of a window: --context, or 2048, or what the model was made for if
// that is less.
size_t WindowSize(const ModelOptions& options, const ModelConfig& config);

// What a window gives to a model, and what is then scored: the logits of
// inputs[i] are those in front of targets[i].
struct TextWindow {
  size_t first = 0;             // of the targets, in the text
  std::vector<TokenId> inputs;  // BOS and all targets but the last
  absl::Span<const TokenId> targets;
};

// Calls `body` for each window of `size` positions, two or more, in order;
// stops at its first error. Returns the number of windows.
absl::StatusOr<size_t> ForEachWindow(
    absl::Span<const TokenId> tokens, TokenId bos, size_t size,
    const std::function<absl::Status(const TextWindow&)>& body);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MEASURE_TEXT_WINDOWS_H_
