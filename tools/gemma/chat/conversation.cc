#include "tools/gemma/chat/conversation.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "tools/gemma/answer/turn_options.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

absl::Status NothingSaid() {
  return absl::FailedPreconditionError("there is no answer yet");
}

// Appends the messages of a turn, and an element of `ends_turn` for each that
// the model wrote.
void AddTurn(const Turn& turn, bool has_answer, std::vector<Message>& messages,
             std::vector<bool>& ends_turn) {
  messages.push_back({Role::kUser, turn.message});
  for (const ToolStep& step : turn.steps) {
    messages.push_back({.role = Role::kModel,
                        .thoughts = step.thoughts,
                        .tool_calls = step.calls});
    ends_turn.push_back(false);
    for (size_t i = 0; i < step.results.size(); ++i) {
      if (!step.results[i].has_value()) continue;
      Message result = {.tool_name = step.calls[i].name};
      SetResult(*step.results[i], &result);
      messages.push_back(std::move(result));
    }
  }
  if (!has_answer) return;
  messages.push_back({Role::kModel, turn.answer});
  ends_turn.push_back(false);
}

}  // namespace

const ToolCall* ToolStep::Waiting() const {
  for (size_t i = 0; i < calls.size(); ++i) {
    if (i >= results.size() || !results[i].has_value()) return &calls[i];
  }
  return nullptr;
}

absl::StatusOr<Conversation> Conversation::Create(Session session,
                                                  ChatTemplate chat_template,
                                                  ContextPolicy policy,
                                                  Answerer answerer,
                                                  const ChatOptions& options) {
  Conversation conversation(std::move(session), std::move(chat_template),
                            policy, std::move(answerer), options);
  GEMMA_RETURN_IF_ERROR(conversation.CheckTurns(options));
  return conversation;
}

Conversation::Conversation(Session session, ChatTemplate chat_template,
                           ContextPolicy policy, Answerer answerer,
                           const ChatOptions& options)
    : session_(std::move(session)),
      chat_template_(std::move(chat_template)),
      policy_(policy),
      answerer_(std::move(answerer)),
      options_(options) {}

absl::Status Conversation::CheckTurns(const ChatOptions& options) const {
  const std::vector<Message> turns = {{Role::kUser, "question"},
                                      {Role::kModel, "answer"},
                                      {Role::kUser, "question"}};
  return chat_template_.Render(turns, options).status();
}

absl::StatusOr<Reply> Conversation::Ask(std::string_view message,
                                        const AnswerOptions& options) {
  if (!turns_.empty() && turns_.back().Waiting() != nullptr) {
    const std::string& tool = turns_.back().Waiting()->name;
    return WithCure(absl::FailedPreconditionError(absl::StrCat(
                        "the model waits for the result of the tool ", tool)),
                    absl::StrCat("/result ", tool,
                                 " TEXT gives it, /undo removes the "
                                 "message"));
  }
  return Continue({std::string(message), ""}, message, options);
}

absl::StatusOr<std::optional<Reply>> Conversation::GiveResult(
    std::string_view tool, std::string_view result,
    const AnswerOptions& options) {
  if (turns_.empty() || turns_.back().Waiting() == nullptr) {
    return absl::FailedPreconditionError(
        "the model waits for no result of a tool");
  }
  Turn next = turns_.back();
  ToolStep& step = next.steps.back();
  step.results.resize(step.calls.size());
  size_t i = 0;
  while (i < step.calls.size() &&
         (step.calls[i].name != tool || step.results[i].has_value())) {
    ++i;
  }
  if (i == step.calls.size()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the model waits for the result of the tool ",
                     next.Waiting()->name, ", not of ", tool));
  }
  step.results[i] = std::string(result);
  if (next.Waiting() != nullptr) {
    turns_.back() = std::move(next);
    return std::nullopt;
  }
  const Turn old = turns_.back();
  turns_.pop_back();
  ends_.resize(std::min(ends_.size(), turns_.size()));
  has_changes_ = true;  // the session has read a part of the turn
  absl::StatusOr<Reply> reply = Continue(std::move(next), result, options);
  if (!reply.ok()) {
    turns_.push_back(old);
    return reply.status();
  }
  return *reply;
}

absl::StatusOr<Reply> Conversation::Continue(Turn next,
                                             std::string_view last_text,
                                             const AnswerOptions& options) {
  std::vector<Turn> dropped;
  GEMMA_ASSIGN_OR_RETURN(const Prompt prompt,
                         MakeRoom(next, options, &dropped));
  absl::StatusOr<Reply> reply =
      AnswerTo(std::move(next), last_text, prompt, options);
  if (reply.ok()) {
    reply->dropped_turns = dropped.size();
  } else if (!dropped.empty()) {
    turns_.insert(turns_.begin(), std::make_move_iterator(dropped.begin()),
                  std::make_move_iterator(dropped.end()));
    ends_.clear();  // the session has read only the later turns
  }
  return reply;
}

absl::StatusOr<Reply> Conversation::AnswerTo(Turn next,
                                             std::string_view last_text,
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
      answerer_(session_, prompt.tokens, last_text, dice);
  ends_.clear();
  for (const size_t end : prompt.ends) {
    if (end <= session_.position()) ends_.push_back(end);
  }
  GEMMA_RETURN_IF_ERROR(answer.status());
  // The next prompt has neither thoughts nor calls as the session read them.
  has_changes_ |= answer->has_markers;
  if (answer->tool_calls.empty()) {
    next.answer = std::move(answer->text);
  } else {
    // Templates put the text of a message after the results of its calls, where
    // it would end the turn; so text before calls is shown, but not kept.
    next.steps.push_back(
        {std::move(answer->tool_calls), {}, std::move(answer->thoughts)});
  }
  turns_.push_back(std::move(next));
  ends_.push_back(session_.position());
  // Without memory for a checkpoint, going back takes longer.
  session_.Checkpoint().IgnoreError();
  ++num_answers_;
  return Reply{.stats = answer->stats, .sampling = dice.sampling};
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

absl::Status Conversation::SetThinking(bool thinking) {
  ChatOptions options = options_;
  options.thinking = thinking;
  GEMMA_RETURN_IF_ERROR(CheckTurns(options));
  options_ = std::move(options);
  ends_.clear();
  return absl::OkStatus();
}

absl::Status Conversation::Replace(std::string_view system,
                                   std::vector<Turn> turns) {
  const std::string old_system = std::exchange(system_, std::string(system));
  std::vector<Turn> old_turns = std::exchange(turns_, std::move(turns));
  std::vector<size_t> old_ends = std::exchange(ends_, {});
  absl::Status status = CheckTurnsFit(/*are_new=*/true);
  if (status.ok()) return status;
  system_ = old_system;
  turns_ = std::move(old_turns);
  ends_ = std::move(old_ends);
  return status;
}

void Conversation::ReplaceSession(Session session) {
  session_ = std::move(session);
  ends_.clear();
}

absl::Status Conversation::ReplaceModel(Session session,
                                        ChatTemplate chat_template) {
  std::swap(session_, session);
  std::swap(chat_template_, chat_template);
  std::vector<size_t> old_ends = std::exchange(ends_, {});
  absl::Status status = CheckTurns(options_);
  if (status.ok()) status = CheckTurnsFit(/*are_new=*/false);
  if (status.ok()) {
    has_changes_ = false;
    return status;
  }
  std::swap(session_, session);
  std::swap(chat_template_, chat_template);
  ends_ = std::move(old_ends);
  return status;
}

absl::StatusOr<Conversation::Prompt> Conversation::Render(
    size_t first, size_t num_read, const Turn& next) const {
  std::vector<Message> messages;
  if (!system_.empty()) messages.push_back({Role::kSystem, system_});
  size_t read_messages = 0;
  std::vector<bool> ends_turn;  // for each message of the model
  for (size_t i = first; i < turns_.size(); ++i) {
    AddTurn(turns_[i], /*has_answer=*/turns_[i].Waiting() == nullptr, messages,
            ends_turn);
    ends_turn.back() = true;
    // After a change, the session's turns may differ from those of a chat that
    // ends here.
    if (i + 1 == num_read && !has_changes_) read_messages = messages.size();
  }
  AddTurn(next, /*has_answer=*/false, messages, ends_turn);
  GEMMA_ASSIGN_OR_RETURN(
      ChatPrompt chat,
      chat_template_.Continue(messages, read_messages, options_));
  // Only the last message of the model in a turn ends it.
  ends_turn.erase(
      ends_turn.begin(),
      ends_turn.end() - static_cast<ptrdiff_t>(std::min(
                            ends_turn.size(), chat.answer_ends.size())));
  std::vector<size_t> turn_ends;
  for (size_t i = 0; i < ends_turn.size(); ++i) {
    if (ends_turn[i]) turn_ends.push_back(chat.answer_ends[i]);
  }
  Prompt prompt;
  prompt.tokens = std::move(chat.tokens);
  if (chat.whole) {
    prompt.ends = std::move(turn_ends);
    prompt.has_changes = num_read > 0;
    if (prompt.has_changes || has_changes_) KeepCommonTokens(prompt);
    return prompt;
  }
  prompt.begin = read_position();
  prompt.ends = ends_;
  for (const size_t end : turn_ends) {
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
    const Turn& next) const {
  return Render(/*first=*/0, /*num_read=*/ends_.size(), next);
}

}  // namespace gemma::tools
