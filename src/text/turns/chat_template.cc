#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gemma/chat_template.h"
#include "gemma/tokenizer.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/text/turns/chat_template_impl.h"
#include "src/text/turns/text_calls.h"

namespace gemma {
namespace {

// Checks that a session can have read the first `num_read` messages.
absl::Status CheckRead(absl::Span<const Message> messages, size_t num_read) {
  if (num_read == 0) return absl::OkStatus();
  if (num_read < messages.size() &&
      messages[num_read - 1].role == Role::kModel) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      FormatText("num_read is %u of %u messages, wanted 0, or the number of "
                 "those up to an answer that others follow",
                 num_read, messages.size()));
}

// Whether the tools of a chat become text, because the turns have no other
// place for them.
bool WritesToolsAsText(const ChatTemplate::Impl& impl,
                       absl::Span<const Message> messages,
                       const ChatOptions& options) {
  return impl.tool_dialect == ToolDialect::kJson && !impl.takes_tools &&
         HasTools(messages, options);
}

ChatOptions WithoutTools(const ChatOptions& options) {
  return {.tools = "", .thinking = options.thinking};
}

absl::StatusOr<ChatTemplate> Wrapped(absl::StatusOr<ChatTemplateImpl> impl) {
  if (!impl.ok()) return impl.status();
  return ChatTemplate(*std::move(impl));
}

}  // namespace

std::string_view ToolDialectName(ToolDialect dialect) {
  switch (dialect) {
    case ToolDialect::kNone:
      return "none";
    case ToolDialect::kJson:
      return "json";
    case ToolDialect::kFunctionGemma:
      return "functiongemma";
    case ToolDialect::kGemma4:
      return "gemma4";
  }
  return "none";
}

absl::StatusOr<ChatTemplate> ChatTemplate::Create(const Tokenizer& tokenizer) {
  return NoThrow([&] { return Wrapped(MakeGemmaTurns(tokenizer)); });
}

absl::StatusOr<ChatTemplate> ChatTemplate::FromJinja(const Tokenizer& tokenizer,
                                                     std::string_view source,
                                                     std::string_view name) {
  return NoThrow([&] {
    return Wrapped(
        MakeJinjaTurns(tokenizer, source, name, SpecialTokensOf(tokenizer)));
  });
}

ChatTemplate::ChatTemplate(std::shared_ptr<const Impl> impl)
    : impl_(std::move(impl)) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(const ChatTemplate&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(const ChatTemplate&) noexcept = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

absl::StatusOr<std::vector<TokenId>> ChatTemplate::Render(
    absl::Span<const Message> messages, const ChatOptions& options) const {
  return NoThrow([&]() -> absl::StatusOr<std::vector<TokenId>> {
    if (!WritesToolsAsText(*impl_, messages, options)) {
      return impl_->Render(messages, options);
    }
    GEMMA_ASSIGN_OR_RETURN(const TextChat chat,
                           WithToolsAsText(messages, 0, options));
    return impl_->Render(chat.messages, WithoutTools(options));
  });
}

absl::StatusOr<ChatPrompt> ChatTemplate::Continue(
    absl::Span<const Message> messages, size_t num_read,
    const ChatOptions& options) const {
  return NoThrow([&]() -> absl::StatusOr<ChatPrompt> {
    const absl::Status status = CheckRead(messages, num_read);
    if (!status.ok()) return status;
    if (!WritesToolsAsText(*impl_, messages, options)) {
      return impl_->Continue(messages, num_read, options);
    }
    GEMMA_ASSIGN_OR_RETURN(const TextChat chat,
                           WithToolsAsText(messages, num_read, options));
    return impl_->Continue(chat.messages, chat.num_read, WithoutTools(options));
  });
}

absl::StatusOr<std::vector<TokenId>> ChatTemplate::UserTurn(
    std::string_view text, std::string_view system) const {
  return NoThrow([&]() -> absl::StatusOr<std::vector<TokenId>> {
    std::vector<Message> messages;
    if (!system.empty())
      messages.push_back({Role::kSystem, std::string(system)});
    messages.push_back({Role::kUser, std::string(text)});
    return impl_->Render(messages, {});
  });
}

absl::StatusOr<std::vector<TokenId>> ChatTemplate::NextUserTurn(
    std::string_view text) const {
  return NoThrow([&]() -> absl::StatusOr<std::vector<TokenId>> {
    const std::vector<Message> messages = {{Role::kUser, "question"},
                                           {Role::kModel, "answer"},
                                           {Role::kUser, std::string(text)}};
    absl::StatusOr<ChatPrompt> prompt = impl_->Continue(messages, 2, {});
    if (!prompt.ok()) return prompt.status();
    if (prompt->whole) {
      return absl::FailedPreconditionError(FormatText(
          "%s changes earlier turns when others follow, so a turn alone has "
          "no tokens: give the whole chat to Continue",
          impl_->source));
    }
    return std::move(prompt->tokens);
  });
}

TokenId ChatTemplate::end_of_turn() const { return impl_->end_of_turn; }
ToolDialect ChatTemplate::tool_dialect() const { return impl_->tool_dialect; }
bool ChatTemplate::is_gemma() const { return impl_->is_gemma; }
const std::string& ChatTemplate::source() const { return impl_->source; }
const std::string& ChatTemplate::reason() const { return impl_->reason; }

}  // namespace gemma
