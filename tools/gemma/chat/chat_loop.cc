#include "tools/gemma/chat/chat_loop.h"

#include <csignal>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/chat/chat_completion.h"
#include "tools/gemma/chat/chat_settings.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/terminal_text.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {

ChatLoop::ChatLoop(Conversation conversation,
                   std::unique_ptr<ChatReader> reader,
                   std::unique_ptr<ChatModel> model, LoadChatModel load_model,
                   const AnswerOptions& settings, bool verbose, bool quiet)
    : conversation_(std::move(conversation)),
      reader_(std::move(reader)),
      model_(std::move(model)),
      load_model_(std::move(load_model)),
      first_settings_(settings),
      first_context_(conversation_.session().options().max_tokens),
      first_policy_(conversation_.policy()),
      settings_(settings),
      verbose_(verbose),
      quiet_(quiet) {}

absl::Status ChatLoop::Run() {
  const bool is_interactive = reader_->is_interactive();
  if (is_interactive) {
    Remark(absl::StrCat(model_->Description(),
                        "\n/help lists commands; /exit or Ctrl-D ends the "
                        "chat"));
  }
  while (!leaves_) {
    GEMMA_ASSIGN_OR_RETURN(const std::optional<ChatInput> input,
                           reader_->Next());
    if (!input.has_value()) return absl::OkStatus();
    const absl::Status status = Handle(*input);
    if (Interrupted() && InterruptSignal() != SIGINT) return InterruptedError();
    if (absl::IsCancelled(status)) {
      if (is_interactive) {
        Remark("\nstopped before the answer began; the chat is as it was");
      }
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
    case ChatCommand::kCopy:
      return Copy();
    case ChatCommand::kModel:
      return ChangeModel(line.argument);
    case ChatCommand::kRead:
      return Read(ExpandHome(line.argument));
    case ChatCommand::kSave:
      return Save(line.argument);
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
  AddAnswer(stats, &totals_);
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
  MarkCut(stats);
  const ToolCall* waiting = conversation_.turns().back().Waiting();
  if (waiting != nullptr && reader_->is_interactive()) {
    Remark(absl::StrCat("the model waits for a result: /result ", waiting->name,
                        " TEXT"));
  }
  if (verbose_) {
    GEMMA_ASSIGN_OR_RETURN(const ContextUse use, conversation_.Use());
    Note(absl::StrCat(StatsLine(stats, settings_.label),
                      SeedNote(reply->sampling),
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
      turns == 1 ? "the turn" : absl::StrCat("the ", turns, " turns");
  Remark(absl::StrCat("the system message is set; the model reads ", what,
                      " again with the next message"));
  return absl::OkStatus();
}

void ChatLoop::MarkCut(const GenerateStats& stats) const {
  if (!reader_->is_interactive()) return;
  const std::string mark = CutMark(
      stats, conversation_.session().options().max_tokens, settings_.label);
  if (!mark.empty()) Remark(mark);
}

void ChatLoop::Remark(const std::string& text) const {
  if (!quiet_) Tell(text);
}

}  // namespace gemma::tools
