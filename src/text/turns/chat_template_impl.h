// The two kinds of ChatTemplate.

#ifndef GEMMA_SRC_TEXT_TURNS_CHAT_TEMPLATE_IMPL_H_
#define GEMMA_SRC_TEXT_TURNS_CHAT_TEMPLATE_IMPL_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/chat_template.h"
#include "gemma/tokenizer.h"
#include "src/base/internal.h"

namespace gemma {

class ChatTemplate::Impl {
 public:
  virtual ~Impl() = default;

  // As the functions of ChatTemplate, but may throw if memory runs out. The
  // first `num_read` messages end in an answer, and more follow.
  virtual absl::StatusOr<std::vector<TokenId>> Render(
      absl::Span<const Message> messages, const ChatOptions& options) const = 0;
  virtual absl::StatusOr<ChatPrompt> Continue(
      absl::Span<const Message> messages, size_t num_read,
      const ChatOptions& options) const = 0;

  // As Render, for short chats: costs little, whatever the template does.
  virtual absl::StatusOr<std::vector<TokenId>> Try(
      absl::Span<const Message> messages, const ChatOptions& options) const {
    return Render(messages, options);
  }

  TokenId end_of_turn = -1;
  bool is_gemma = false;
  ToolDialect tool_dialect = ToolDialect::kNone;
  // Whether declarations, calls and results can be given to the functions
  // above. Otherwise, ChatTemplate writes those of kJson as text.
  bool takes_tools = false;
  std::string source;
  std::string reason;
  // What a template writes like a control token, though the vocabulary has no
  // such piece: "<|im_start|>".
  std::vector<std::string> missing_markers;
};

}  // namespace gemma

namespace gemma::internal {

using ChatTemplateImpl = std::unique_ptr<ChatTemplate::Impl>;

// Texts that a template may write, each with the name of its variable, such as
// bos_token. All become control tokens if they name some.
using TemplateTokens = std::vector<std::pair<std::string, std::string>>;

// Gemma's own turns: those of Gemma 4 or FunctionGemma if the vocabulary has
// their markers, or else those of Gemma 1 to 3. Fails if it lacks them all.
// `empty_thought` is only for Gemma 4: whether an empty thought comes before an
// answer without thinking, as in the templates of 12B and larger models, but
// not in those of E2B and E4B.
absl::StatusOr<ChatTemplateImpl> MakeGemmaTurns(const Tokenizer& tokenizer,
                                                bool empty_thought = true);

// The dialect whose markers the vocabulary has, or kNone.
ToolDialect ToolDialectOf(const Tokenizer& tokenizer);

// Turns of Gemma 4 or FunctionGemma; null if the vocabulary lacks their
// markers.
ChatTemplateImpl MakeToolTurns(const Tokenizer& tokenizer, bool empty_thought);

// The turns of a template in Jinja; see ChatTemplate::FromJinja.
absl::StatusOr<ChatTemplateImpl> MakeJinjaTurns(const Tokenizer& tokenizer,
                                                std::string_view source,
                                                std::string_view name,
                                                const TemplateTokens& special);

// The variables bos_token, eos_token, unk_token and pad_token, as far as the
// vocabulary has these tokens.
TemplateTokens SpecialTokensOf(const Tokenizer& tokenizer);

// Returns the word for the role in Gemma's own turns.
std::string_view TurnRole(Role role);

// Removes what Python's str.strip removes. Jinja's trim, which the published
// templates call, uses it.
std::string_view Strip(std::string_view text);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TURNS_CHAT_TEMPLATE_IMPL_H_
