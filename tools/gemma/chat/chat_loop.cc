#include "tools/gemma/chat/chat_loop.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/chat/chat_completion.h"
#include "tools/gemma/chat/chat_settings.h"
#include "tools/gemma/chat/saved_chat.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/logit_rows.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/terminal_text.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

// Bytes of a message that a list of turns shows.
constexpr size_t kShownBytes = 48;

std::string Counted(size_t count, std::string_view one) {
  return absl::StrCat(count, " ", one, count == 1 ? "" : "s");
}

std::string Rate(size_t tokens, double seconds) {
  return absl::StrFormat(
      "%s, %.1f tok/s", Counted(tokens, "token"),
      seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0);
}

// The beginning of the text, on one line.
std::string Shortened(std::string_view text) {
  std::string line(text.substr(0, text.find('\n')));
  const bool is_whole = line.size() == text.size();
  if (is_whole && line.size() <= kShownBytes) return line;
  line.resize(std::min(line.size(), kShownBytes));
  // Drop an incomplete character at the end.
  while (!line.empty() && !CheckUtf8(line, "").ok()) line.pop_back();
  return line + "...";
}

std::string ContextLine(const ContextUse& use) {
  if (!use.is_limited) return Counted(use.used, "token");
  return absl::StrCat(use.used, " of ", Counted(use.capacity, "token"), " (",
                      use.left(), " left)");
}

void Add(const GenerateStats& stats, ChatTotals* totals) {
  ++totals->answers;
  totals->last = stats;
  GenerateStats& sum = totals->sum;
  sum.prompt_tokens += stats.prompt_tokens;
  sum.new_tokens += stats.new_tokens;
  sum.prefill_seconds += stats.prefill_seconds;
  sum.decode_seconds += stats.decode_seconds;
  sum.drafted_tokens += stats.drafted_tokens;
  sum.accepted_tokens += stats.accepted_tokens;
}

}  // namespace

std::string TotalsLine(const ChatTotals& totals) {
  const GenerateStats& sum = totals.sum;
  std::string line =
      absl::StrCat(Counted(totals.answers, "answer"),
                   "; prompts: ", Rate(sum.prompt_tokens, sum.prefill_seconds),
                   "; answers: ", Rate(sum.new_tokens, sum.decode_seconds));
  if (sum.drafted_tokens > 0) {
    absl::StrAppendFormat(&line, ", %d of %d guessed right",
                          sum.accepted_tokens, sum.drafted_tokens);
  }
  return line;
}

std::string UseText(const ContextUse& use, const std::vector<Turn>& turns) {
  std::string text = absl::StrCat("context: ", ContextLine(use), "\n");
  if (use.unread > 0) {
    absl::StrAppend(&text, "  ", Counted(use.unread, "token"),
                    " still to be read with the next message\n");
  }
  for (size_t i = 0; i < use.turns.size() && i < turns.size(); ++i) {
    absl::StrAppend(&text, "  turn ", i + 1, ": ",
                    Counted(use.turns[i], "token"), ": ",
                    Shortened(turns[i].message), "\n");
  }
  return text;
}

ChatLoop::ChatLoop(Conversation conversation,
                   std::unique_ptr<ChatReader> reader,
                   NewChatSession new_session, const AnswerOptions& settings,
                   bool verbose, bool quiet)
    : conversation_(std::move(conversation)),
      reader_(std::move(reader)),
      new_session_(std::move(new_session)),
      first_settings_(settings),
      settings_(settings),
      verbose_(verbose),
      quiet_(quiet) {}

absl::Status ChatLoop::Run() {
  const bool is_interactive = reader_->is_interactive();
  if (is_interactive)
    Remark("/help lists commands; /exit or Ctrl-D ends the chat");
  while (!leaves_) {
    GEMMA_ASSIGN_OR_RETURN(const std::optional<ChatInput> input,
                           reader_->Next());
    if (!input.has_value()) return absl::OkStatus();
    const absl::Status status = Handle(*input);
    if (Interrupted() && InterruptSignal() != SIGINT) return InterruptedError();
    if (absl::IsCancelled(status)) {
      if (is_interactive) Remark("\nstopped before the answer began");
    } else if (IsRefused(status) ||
               (is_interactive && !absl::IsAborted(status))) {
      if (!status.ok()) NoteError(status);
    } else {
      GEMMA_RETURN_IF_ERROR(status);
    }
    ClearInterrupt();
  }
  return absl::OkStatus();
}

absl::Status ChatLoop::Handle(const ChatInput& input) {
  GEMMA_RETURN_IF_ERROR(CheckUtf8(input.text, "the message"));
  if (input.is_block) return Answer(input.text);
  GEMMA_ASSIGN_OR_RETURN(const ChatLine line, ParseChatLine(input.text));
  return Do(line);
}

absl::Status ChatLoop::Do(const ChatLine& line) {
  switch (line.command) {
    case ChatCommand::kMessage:
      return Answer(line.argument);
    case ChatCommand::kHelp:
      Tell(ChatHelp());
      return absl::OkStatus();
    case ChatCommand::kSystem:
      return System(line.argument);
    case ChatCommand::kSet:
      return Set(line.argument);
    case ChatCommand::kThink:
      return Think(line.argument);
    case ChatCommand::kResult:
      return GiveResult(line.argument);
    case ChatCommand::kRegen:
      return Regenerate();
    case ChatCommand::kUndo:
      return Undo();
    case ChatCommand::kRead:
      return Read(ExpandHome(line.argument));
    case ChatCommand::kSave:
      return Save(ExpandHome(line.argument));
    case ChatCommand::kLoad:
      return Load(ExpandHome(line.argument));
    case ChatCommand::kTokens:
      return ShowTokens();
    case ChatCommand::kStats:
      ShowStats();
      return absl::OkStatus();
    case ChatCommand::kClear:
      Clear();
      return absl::OkStatus();
    case ChatCommand::kExit:
      leaves_ = true;
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status ChatLoop::Answer(const std::string& message) {
  const std::string whole =
      read_text_.empty() ? message : absl::StrCat(read_text_, "\n\n", message);
  const absl::StatusOr<Reply> reply = conversation_.Ask(whole, settings_);
  if (reply.ok()) read_text_.clear();
  return Finish(reply);
}

absl::Status ChatLoop::GiveResult(const std::string& argument) {
  const size_t blank = argument.find_first_of(" \t\n");
  if (blank == std::string::npos) {
    return absl::InvalidArgumentError("/result: has no text, wanted NAME TEXT");
  }
  const std::string_view text = absl::StripLeadingAsciiWhitespace(
      std::string_view(argument).substr(blank));
  GEMMA_ASSIGN_OR_RETURN(
      const std::optional<Reply> reply,
      conversation_.GiveResult(argument.substr(0, blank), text, settings_));
  if (reply.has_value()) return Finish(*reply);
  const ToolCall* next = conversation_.turns().back().Waiting();
  Remark(absl::StrCat("the model also waits for the result of the tool ",
                      next->name));
  return absl::OkStatus();
}

absl::Status ChatLoop::Think(const std::string& argument) {
  if (!argument.empty() && argument != "on" && argument != "off") {
    return absl::InvalidArgumentError(
        absl::StrCat("/think: found '", argument, "', wanted on or off"));
  }
  if (argument.empty()) {
    Tell(conversation_.thinks() ? "thinking is on" : "thinking is off");
    return absl::OkStatus();
  }
  GEMMA_RETURN_IF_ERROR(conversation_.SetThinking(argument == "on"));
  Remark(absl::StrCat("thinking is ", argument));
  return absl::OkStatus();
}

absl::Status ChatLoop::Regenerate() {
  return Finish(conversation_.AskAgain(settings_));
}

absl::Status ChatLoop::Finish(const absl::StatusOr<Reply>& reply) {
  GEMMA_RETURN_IF_ERROR(reply.status());
  const GenerateStats& stats = reply->stats;
  Add(stats, &totals_);
  if (reply->dropped_turns > 0 && !quiet_) {
    Note(absl::StrCat("the context is full: forgot the oldest ",
                      reply->dropped_turns == 1
                          ? "turn"
                          : Counted(reply->dropped_turns, "turn")));
  }
  if (stats.stop_reason == StopReason::kCancelled &&
      reader_->is_interactive()) {
    Remark("stopped; the part already shown stays (/undo removes it)");
  }
  const ToolCall* waiting = conversation_.turns().back().Waiting();
  if (waiting != nullptr && reader_->is_interactive()) {
    Remark(absl::StrCat("the model waits for a result: /result ", waiting->name,
                        " TEXT"));
  }
  if (verbose_) {
    GEMMA_ASSIGN_OR_RETURN(const ContextUse use, conversation_.Use());
    Note(absl::StrCat(StatsLine(stats), SeedNote(reply->sampling),
                      "; context: ", ContextLine(use)));
  }
  return conversation_.CheckRoom();
}

absl::Status ChatLoop::System(const std::string& text) {
  const std::string& system = conversation_.system();
  if (text.empty()) {
    Tell(system.empty() ? "there is no system message" : system);
    return absl::OkStatus();
  }
  conversation_.SetSystem(text);
  const size_t turns = conversation_.turns().size();
  if (turns == 0) {
    Remark("the system message is set");
    return absl::OkStatus();
  }
  const std::string what =
      turns == 1 ? "the turn" : absl::StrCat("all ", turns, " turns");
  Remark(absl::StrCat("the system message is set; the model reads ", what,
                      " again with the next message"));
  return absl::OkStatus();
}

absl::Status ChatLoop::Undo() {
  GEMMA_ASSIGN_OR_RETURN(const Turn turn, conversation_.Undo());
  Remark(absl::StrCat("removed: ", Shortened(turn.message)));
  return absl::OkStatus();
}

absl::Status ChatLoop::Read(const std::string& path) {
  GEMMA_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  GEMMA_RETURN_IF_ERROR(CheckUtf8(text, path));
  const std::string all =
      read_text_.empty() ? text : absl::StrCat(read_text_, "\n\n", text);
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer,
                         conversation_.session().model().tokenizer());
  GEMMA_ASSIGN_OR_RETURN(const std::vector<TokenId> tokens,
                         tokenizer->Encode(all));
  GEMMA_RETURN_IF_ERROR(CheckRoomFor(path, tokens.size()));
  const bool is_first = read_text_.empty();
  read_text_ = all;
  Remark(absl::StrCat(path, is_first ? ": " : " and the files read before: ",
                      Counted(tokens.size(), "token"),
                      " in front of the next message"));
  return absl::OkStatus();
}

absl::Status ChatLoop::CheckRoomFor(const std::string& what,
                                    size_t num_tokens) const {
  GEMMA_ASSIGN_OR_RETURN(const ContextUse use, conversation_.Use());
  if (num_tokens < use.left()) return absl::OkStatus();
  return WithCure(
      absl::OutOfRangeError(absl::StrCat(
          what, ": ", Counted(num_tokens, "token"), ", fewer than ", use.left(),
          " of the context's ", use.capacity, " fit")),
      absl::StrCat("/set context ", RoomyContext(use.used + num_tokens),
                   " or /clear makes room"));
}

absl::Status ChatLoop::Save(const std::string& path) {
  const std::vector<Turn>& turns = conversation_.turns();
  GEMMA_RETURN_IF_ERROR(
      SaveChat(path, {conversation_.system(), turns, settings_}));
  Remark(absl::StrCat(path, ": saved ", Counted(turns.size(), "turn")));
  return absl::OkStatus();
}

absl::Status ChatLoop::Load(const std::string& path) {
  GEMMA_ASSIGN_OR_RETURN(SavedChat chat, LoadChat(path, settings_));
  const size_t num_turns = chat.turns.size();
  GEMMA_RETURN_IF_ERROR(
      conversation_.Replace(chat.system, std::move(chat.turns)));
  settings_ = std::move(chat.settings);
  read_text_.clear();
  GEMMA_ASSIGN_OR_RETURN(const ContextUse use, conversation_.Use());
  Remark(absl::StrCat(path, ": loaded ", Counted(num_turns, "turn"),
                      "; context: ", ContextLine(use)));
  return absl::OkStatus();
}

absl::Status ChatLoop::ShowTokens() {
  GEMMA_ASSIGN_OR_RETURN(const ContextUse use, conversation_.Use());
  Tell(UseText(use, conversation_.turns()));
  return absl::OkStatus();
}

void ChatLoop::ShowStats() {
  if (!totals_.last.has_value()) {
    Tell("there is no answer yet");
    return;
  }
  Tell(absl::StrCat("last answer: ", StatsLine(*totals_.last),
                    "\nall: ", TotalsLine(totals_)));
}

void ChatLoop::Clear() {
  conversation_.Clear();
  read_text_.clear();
  Remark("forgot everything except the system message");
}

void ChatLoop::Remark(const std::string& text) const {
  if (!quiet_) Tell(text);
}

}  // namespace gemma::tools
