// Windows of a text, for commands that score each of its tokens.

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
#include "tools/gemma/cli/model_options.h"

namespace gemma::tools {

// The default that --help shows for --context if it is the size of a window.
inline constexpr char kDefaultWindowText[] = "2048";

// Adds the file of the text: the argument FILE, or -f,--file.
void AddTextFile(CLI::App& app, std::string* file,
                 const std::string& description =
                     "The text; \"-\", or nothing: standard input. It is read\n"
                     "in windows of BOS and --context - 1 tokens; every\n"
                     "token after BOS is scored");

// If no file was given, sets `file` to standard input, or returns a usage error
// if that is a terminal or /dev/null. `command`: "perplexity MODEL".
absl::Status FindTextFile(std::string_view command, std::string* file);

// Tokenizes the text. Fails if it has no tokens; the error names `file`.
absl::StatusOr<std::vector<TokenId>> TokensOf(const Model& model,
                                              std::string_view text,
                                              const std::string& file);

// Fails with a usage error if a window has no room for a token after BOS.
absl::Status CheckWindow(const ModelOptions& options);

// Number of positions in a window: --context, or by default 2048 or the model's
// max_context, whichever is less.
size_t WindowSize(const ModelOptions& options, const ModelConfig& config);

// A model, a text for it, and a session with room for a window of the text.
struct WindowedText {
  Model model;
  std::vector<TokenId> tokens;
  size_t window;  // WindowSize
  Session session;
};

// Loads the model, and reads the text of a file.
absl::StatusOr<WindowedText> LoadWindowedText(const ModelOptions& options,
                                              const std::string& file);

// The tokens that a model reads in a window, and the tokens to score: the
// logits after inputs[i] predict targets[i].
struct TextWindow {
  size_t first = 0;             // position of targets[0] in the text
  std::vector<TokenId> inputs;  // BOS and all targets except the last
  absl::Span<const TokenId> targets;
};

// Calls `body` for each window of `size` positions, at least two, in order.
// Stops at the first error. Returns the number of windows.
absl::StatusOr<size_t> ForEachWindow(
    absl::Span<const TokenId> tokens, TokenId bos, size_t size,
    const std::function<absl::Status(const TextWindow&)>& body);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MEASURE_TEXT_WINDOWS_H_
