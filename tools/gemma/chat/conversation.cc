#include "tools/gemma/chat/conversation.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/logit_rows.h"

namespace gemma::tools {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max() / 4;

absl::Status NothingSaid() {
  return absl::FailedPreconditionError("there is no answer yet");
}

// An error that advises a context with room for `num_tokens` and an answer.
absl::Status ContextFull(std::string_view cause, size_t num_tokens) {
  return WithCure(
      absl::OutOfRangeError(cause),
      absl::StrCat("start with --context ", RoomyContext(num_tokens),
                   ", or with --context-policy drop-oldest-turns"));
}

}  // namespace

absl::StatusOr<Conversation> Conversation::Create(Session session,
                                                  ChatTemplate chat_template,
                                                  ContextPolicy policy,
                                                  Answerer answerer) {
  const std::vector<Message> turns = {{Role::kUser, "question"},
                                      {Role::kModel, "answer"},
                                      {Role::kUser, "question"}};
  GEMMA_RETURN_IF_ERROR(chat_template.Render(turns).status());
  return Conversation(std::move(session), std::move(chat_template), policy,
                      std::move(answerer));
}

Conversation::Conversation(Session session, ChatTemplate chat_template,
                           ContextPolicy policy, Answerer answerer)
    : session_(std::move(session)),
      chat_template_(std::move(chat_template)),
      policy_(policy),
      answerer_(std::move(answerer)) {}

absl::StatusOr<Reply> Conversation::Ask(std::string_view message,
                                        const AnswerOptions& options) {
  std::vector<Turn> dropped;
  GEMMA_ASSIGN_OR_RETURN(const Prompt prompt,
                         MakeRoom(message, options, &dropped));
  absl::StatusOr<Reply> reply = AnswerTo(message, prompt, options);
  if (reply.ok()) {
    reply->dropped_turns = dropped.size();
  } else if (!dropped.empty()) {
    turns_.insert(turns_.begin(), std::make_move_iterator(dropped.begin()),
                  std::make_move_iterator(dropped.end()));
    ends_.clear();  // the session has read only the later turns
  }
  return reply;
}

absl::StatusOr<Reply> Conversation::AnswerTo(std::string_view message,
                                             const Prompt& prompt,
                                             const AnswerOptions& options) {
  has_changes_ |= prompt.has_changes;
  // Later tokens were taken back, belong to a turn that failed, or changed.
  GEMMA_RETURN_IF_ERROR(session_.Rewind(prompt.begin));
  AnswerOptions dice = options;
  dice.sampling.seed += num_answers_;
  for (const size_t end : prompt.ends) {
    // A template may leave out answers, which then end where others do.
    const size_t last = dice.checkpoints.empty() ? 0 : dice.checkpoints.back();
    if (end > prompt.begin + last) {
      dice.checkpoints.push_back(end - prompt.begin);
    }
  }
  absl::StatusOr<Answer> answer =
      answerer_(session_, prompt.tokens, message, dice);
  ends_.clear();
  for (const size_t end : prompt.ends) {
    if (end <= session_.position()) ends_.push_back(end);
  }
  GEMMA_RETURN_IF_ERROR(answer.status());
  turns_.push_back({std::string(message), std::move(answer->text)});
  ends_.push_back(session_.position());
  // Without memory for a checkpoint, going back takes longer.
  session_.Checkpoint().IgnoreError();
  ++num_answers_;
  return Reply{.stats = answer->stats};
}

absl::StatusOr<Reply> Conversation::AskAgain(const AnswerOptions& options) {
  GEMMA_ASSIGN_OR_RETURN(Turn last, Undo());
  absl::StatusOr<Reply> reply = Ask(last.message, options);
  // On failure, the session still has to read the old answer, as text.
  if (!reply.ok()) turns_.push_back(std::move(last));
  return reply;
}

absl::StatusOr<Turn> Conversation::Undo() {
  if (turns_.empty()) return NothingSaid();
  Turn last = std::move(turns_.back());
  turns_.pop_back();
  ends_.resize(std::min(ends_.size(), turns_.size()));
  return last;
}

void Conversation::Clear() {
  turns_.clear();
  ends_.clear();
}

void Conversation::SetSystem(std::string_view text) {
  system_ = std::string(text);
  ends_.clear();
}

absl::Status Conversation::Replace(std::string_view system,
                                   std::vector<Turn> turns) {
  const std::string old_system = std::exchange(system_, std::string(system));
  std::vector<Turn> old_turns = std::exchange(turns_, std::move(turns));
  std::vector<size_t> old_ends = std::exchange(ends_, {});
  const absl::StatusOr<ContextUse> use = Use();
  absl::Status status = use.status();
  if (use.ok() && use->left() == 0 && policy_ == ContextPolicy::kError) {
    status = ContextFull(absl::StrCat(turns_.size(), " turns have ", use->used,
                                      " tokens, fewer than ", use->capacity,
                                      " fit in the context"),
                         use->used);
  }
  if (status.ok()) return status;
  system_ = old_system;
  turns_ = std::move(old_turns);
  ends_ = std::move(old_ends);
  return status;
}

size_t Conversation::capacity() const {
  const size_t left = session_.remaining();
  return left > kNoLimit ? kNoLimit : left + session_.position();
}

size_t Conversation::Reserve(const AnswerOptions& options) const {
  const size_t most = std::max<size_t>(1, capacity() / 4);
  return options.max_tokens == 0 ? most : std::min(options.max_tokens, most);
}

absl::StatusOr<ContextUse> Conversation::Use() const {
  ContextUse use;
  use.capacity = capacity();
  use.is_limited = use.capacity != kNoLimit;
  const auto add = [&use](size_t end) {
    use.turns.push_back(end - use.used);
    use.used = end;
  };
  for (const size_t end : ends_) add(end);
  if (ends_.size() == turns_.size()) return use;
  GEMMA_ASSIGN_OR_RETURN(const Prompt prompt, RenderUnread(""));
  use = {.capacity = use.capacity, .is_limited = use.is_limited};
  for (const size_t end : prompt.ends) add(end);
  use.unread = use.used - std::min(use.used, prompt.begin);
  return use;
}

absl::Status Conversation::CheckRoom() const {
  if (policy_ != ContextPolicy::kError || read_position() < capacity()) {
    return absl::OkStatus();
  }
  return ContextFull(
      absl::StrCat("the context of ", capacity(), " tokens is full"),
      2 * capacity());
}

absl::StatusOr<Conversation::Prompt> Conversation::Render(
    size_t first, size_t num_read, std::string_view message) const {
  std::vector<Message> messages;
  if (!system_.empty()) messages.push_back({Role::kSystem, system_});
  size_t read_messages = 0;
  for (size_t i = first; i < turns_.size(); ++i) {
    messages.push_back({Role::kUser, turns_[i].message});
    messages.push_back({Role::kModel, turns_[i].answer});
    // After a change, the session's turns may differ from those of a chat that
    // ends here.
    if (i + 1 == num_read && !has_changes_) read_messages = messages.size();
  }
  messages.push_back({Role::kUser, std::string(message)});
  GEMMA_ASSIGN_OR_RETURN(ChatPrompt chat,
                         chat_template_.Continue(messages, read_messages));
  Prompt prompt;
  prompt.tokens = std::move(chat.tokens);
  if (chat.whole) {
    prompt.ends = std::move(chat.answer_ends);
    prompt.has_changes = num_read > 0;
    if (prompt.has_changes || has_changes_) KeepCommonTokens(prompt);
    return prompt;
  }
  prompt.begin = read_position();
  prompt.ends = ends_;
  for (const size_t end : chat.answer_ends) {
    prompt.ends.push_back(prompt.begin + end);
  }
  return prompt;
}

void Conversation::KeepCommonTokens(Prompt& prompt) const {
  const absl::Span<const TokenId> read = session_.tokens();
  // At least one token must be read, for its logits.
  const size_t most = std::min(read.size(), prompt.tokens.size() - 1);
  while (prompt.begin < most &&
         read[prompt.begin] == prompt.tokens[prompt.begin]) {
    ++prompt.begin;
  }
  prompt.tokens.erase(
      prompt.tokens.begin(),
      prompt.tokens.begin() + static_cast<ptrdiff_t>(prompt.begin));
}

absl::StatusOr<Conversation::Prompt> Conversation::RenderUnread(
    std::string_view message) const {
  return Render(/*first=*/0, /*num_read=*/ends_.size(), message);
}

absl::StatusOr<Conversation::Prompt> Conversation::MakeRoom(
    std::string_view message, const AnswerOptions& options,
    std::vector<Turn>* dropped) {
  GEMMA_ASSIGN_OR_RETURN(Prompt prompt, RenderUnread(message));
  const size_t left = capacity() - prompt.begin;
  const size_t needed = prompt.tokens.size();
  if (policy_ == ContextPolicy::kDropOldestTurns) {
    const size_t reserve = Reserve(options);
    if (needed + reserve <= left) return prompt;
    return DropOldestTurns(message, reserve, dropped);
  }
  if (needed <= left) return prompt;
  if (turns_.empty()) return PromptTooLong(needed, left);
  return ContextFull(
      absl::StrCat("the message needs ", needed, " tokens, ", left,
                   " of the context's ", capacity(), " are left"),
      capacity() - left + needed);
}

absl::StatusOr<Conversation::Prompt> Conversation::DropOldestTurns(
    std::string_view message, size_t reserve, std::vector<Turn>* dropped) {
  // Drop at least one turn, if any: MakeRoom found that not all of them fit.
  for (size_t first = turns_.empty() ? 0 : 1;; ++first) {
    GEMMA_ASSIGN_OR_RETURN(Prompt prompt,
                           Render(first, /*num_read=*/0, message));
    const size_t needed = prompt.begin + prompt.tokens.size();
    const bool is_last = first == turns_.size();
    if (needed + reserve > capacity() && !is_last) continue;
    if (needed > capacity()) return PromptTooLong(needed, capacity());
    const auto kept = turns_.begin() + static_cast<ptrdiff_t>(first);
    dropped->assign(std::make_move_iterator(turns_.begin()),
                    std::make_move_iterator(kept));
    turns_.erase(turns_.begin(), kept);
    ends_.clear();
    return prompt;
  }
}

}  // namespace gemma::tools
