// Turns that are first written as text.

#ifndef GEMMA_SRC_TEXT_TURNS_MARKED_TURNS_H_
#define GEMMA_SRC_TEXT_TURNS_MARKED_TURNS_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/chat_template.h"
#include "gemma/tokenizer.h"
#include "src/base/internal.h"
#include "src/jinja/values/marked_text.h"
#include "src/text/turns/chat_template_impl.h"

namespace gemma::internal {

// A template that writes a text which knows the bytes of the template from
// those of messages. Only the former become control tokens. All text between
// two control tokens is encoded together, as transformers encodes it.
class MarkedTurns : public ChatTemplate::Impl {
 public:
  absl::StatusOr<std::vector<TokenId>> Render(
      absl::Span<const Message> messages,
      const ChatOptions& options) const override {
    return Encoded(Text(messages, options));
  }

  absl::StatusOr<ChatPrompt> Continue(
      absl::Span<const Message> messages, size_t num_read,
      const ChatOptions& options) const override;

 protected:
  // The text of a chat and the opening of the model's next turn.
  virtual absl::StatusOr<MarkedText> Text(absl::Span<const Message> messages,
                                          const ChatOptions& options) const = 0;
  // The same for the first messages of a chat that has a text.
  virtual absl::StatusOr<MarkedText> Beginning(
      absl::Span<const Message> messages, const ChatOptions& options) const {
    return Text(messages, options);
  }

  explicit MarkedTurns(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  const Tokenizer& tokenizer() const { return tokenizer_; }

  absl::StatusOr<std::vector<TokenId>> Encoded(
      const absl::StatusOr<MarkedText>& text) const;

 private:
  // Where a text has an answer.
  struct Place {
    size_t end = 0;  // offset in the text
    bool is_unchanged = false;
  };

  // Finds messages[i], an answer, in the text of all messages: it follows the
  // text of the messages before it, which opens the model's turn. Returns
  // nothing if the template has changed that text.
  std::optional<Place> Find(const MarkedText& text,
                            absl::Span<const Message> messages, size_t i,
                            const ChatOptions& options) const;

  const Tokenizer tokenizer_;
};

// The run of a text that the offset `at` is in, or the end.
std::vector<MarkedText::Run>::const_iterator RunAt(const MarkedText& text,
                                                   size_t at);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TURNS_MARKED_TURNS_H_
