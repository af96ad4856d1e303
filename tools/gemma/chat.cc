// gemma chat: many turns in one session.

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "tools/gemma/answer.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/errors.h"
#include "tools/gemma/line_reader.h"
#include "tools/gemma/logit_rows.h"
#include "tools/gemma/options.h"
#include "tools/gemma/progress.h"
#include "tools/gemma/signals.h"
#include "tools/gemma/text.h"

namespace gemma::tools {
namespace {

struct ChatOptions {
  ModelOptions model;
  AnswerOptions answer;
  std::string system;
  std::string context_policy = "error";
  bool chat = false;
  bool quiet = false;
  bool verbose = false;
};

// A session and what was said in it. The session holds either the messages or,
// at position 0, nothing.
class Conversation {
 public:
  Conversation(Session session, ChatTemplate turns, const ChatOptions& options)
      : session_(std::move(session)), turns_(turns), options_(options) {
    if (!options.system.empty()) {
      messages_.push_back({Role::kSystem, options.system});
      num_kept_ = 1;
    }
  }

  // Answers `text` on standard output. If that fails, the turn has not
  // happened.
  absl::Status Turn(const std::string& text);

 private:
  // Positions of the session in all.
  size_t capacity() const;

  // Tokens that an answer shall have room for.
  size_t Reserve() const;

  // The tokens to append for the last message. May empty the session.
  absl::StatusOr<std::vector<TokenId>> NextTokens();

  // Forgets the oldest turns, at least one if there are any, until the rest
  // fits, and empties the session.
  absl::StatusOr<std::vector<TokenId>> DropOldestTurns();

  absl::Status Answer(absl::Span<const TokenId> tokens);

  Session session_;
  ChatTemplate turns_;
  ChatOptions options_;
  std::vector<Message> messages_;
  size_t num_kept_ = 0;  // messages that are never dropped
  size_t num_turns_ = 0;
};

absl::Status Conversation::Turn(const std::string& text) {
  messages_.push_back({Role::kUser, text});
  absl::StatusOr<std::vector<TokenId>> tokens = NextTokens();
  absl::Status status = tokens.status();
  if (status.ok()) {
    const size_t position = session_.position();
    status = Answer(*tokens);
    if (!status.ok()) GEMMA_TOOLS_RETURN_IF_ERROR(session_.Rewind(position));
  }
  if (!status.ok()) {
    messages_.pop_back();
    return status;
  }
  ++num_turns_;
  session_.Checkpoint();
  if (session_.remaining() > 0 || options_.context_policy != "error") {
    return absl::OkStatus();
  }
  return absl::OutOfRangeError(
      absl::StrCat("the context of ", capacity(),
                   " tokens is full (--context, or --context-policy "
                   "drop-oldest-turns)"));
}

absl::Status Conversation::Answer(absl::Span<const TokenId> tokens) {
  AnswerOptions options = options_.answer;
  // Else every answer would throw the same dice.
  options.sampling.seed += num_turns_;
  GEMMA_TOOLS_ASSIGN_OR_RETURN(tools::Answer answer,
                               StreamAnswer(session_, tokens, options));
  messages_.push_back({Role::kModel, std::move(answer.text)});
  if (options_.verbose || (StderrIsTerminal() && !options_.quiet)) {
    Note(StatsLine(answer.stats));
  }
  return absl::OkStatus();
}

size_t Conversation::capacity() const {
  const size_t left = session_.remaining();
  const size_t most = std::numeric_limits<size_t>::max();
  return left > most - session_.position() ? most : left + session_.position();
}

size_t Conversation::Reserve() const {
  const size_t most = std::max<size_t>(1, capacity() / 4);
  const size_t wanted = options_.answer.max_tokens;
  return wanted == 0 ? most : std::min(wanted, most);
}

absl::StatusOr<std::vector<TokenId>> Conversation::NextTokens() {
  const size_t left = session_.remaining();
  GEMMA_TOOLS_ASSIGN_OR_RETURN(
      std::vector<TokenId> tokens,
      session_.position() == 0 ? turns_.Render(messages_)
                               : turns_.NextUserTurn(messages_.back().text));
  if (options_.context_policy != "error" && tokens.size() + Reserve() > left) {
    return DropOldestTurns();
  }
  if (tokens.size() <= left || session_.position() == 0) {
    GEMMA_TOOLS_RETURN_IF_ERROR(CheckFits(session_, tokens.size()));
    return tokens;
  }
  return absl::OutOfRangeError(
      absl::StrCat("the message needs ", tokens.size(), " tokens, ", left,
                   " of the context's ", capacity(),
                   " are left (--context, or --context-policy "
                   "drop-oldest-turns)"));
}

absl::StatusOr<std::vector<TokenId>> Conversation::DropOldestTurns() {
  const size_t before = messages_.size();
  std::vector<TokenId> tokens;
  do {
    if (messages_.size() > num_kept_ + 1) {
      const auto oldest = messages_.begin() + static_cast<ptrdiff_t>(num_kept_);
      messages_.erase(oldest, oldest + 2);  // a message and its answer
    }
    GEMMA_TOOLS_ASSIGN_OR_RETURN(tokens, turns_.Render(messages_));
  } while (messages_.size() > num_kept_ + 1 &&
           tokens.size() + Reserve() > capacity());
  GEMMA_TOOLS_RETURN_IF_ERROR(session_.Rewind(0));
  GEMMA_TOOLS_RETURN_IF_ERROR(CheckFits(session_, tokens.size()));
  const size_t dropped = (before - messages_.size()) / 2;
  if (dropped > 0 && !options_.quiet) {
    Note(absl::StrCat("the context is full: forgot the oldest ",
                      dropped == 1 ? "turn" : absl::StrCat(dropped, " turns")));
  }
  return tokens;
}

// Answers the lines of standard input until they end, or say so.
absl::Status Talk(Conversation& conversation) {
  const bool interactive = isatty(STDIN_FILENO) == 1;
  LineReader lines;
  for (;;) {
    if (interactive) ShowPrompt("> ");
    absl::StatusOr<std::optional<std::string>> line = lines.Next();
    if (interactive && (!line.ok() || !line->has_value())) ShowPrompt("\n");
    GEMMA_TOOLS_RETURN_IF_ERROR(line.status());
    if (!line->has_value()) return absl::OkStatus();
    const std::string_view text = absl::StripAsciiWhitespace(**line);
    if (text.empty()) continue;
    if (text == "/exit" || text == "/quit") return absl::OkStatus();

    absl::Status status = CheckUtf8(text, "the message");
    if (status.ok()) status = conversation.Turn(std::string(text));
    if (Interrupted() && InterruptSignal() != SIGINT) return InterruptedError();
    if (absl::IsCancelled(status)) {
      if (interactive) ShowPrompt("\n");
    } else if (interactive && absl::IsInvalidArgument(status)) {
      Note(status.message());
    } else {
      GEMMA_TOOLS_RETURN_IF_ERROR(status);
    }
    ClearInterrupt();
  }
}

absl::Status Chat(ChatOptions options) {
  GEMMA_TOOLS_RETURN_IF_ERROR(Validate(options.answer));
  GEMMA_TOOLS_RETURN_IF_ERROR(
      AsUsageError(CheckUtf8(options.system, "--system")));
  GEMMA_TOOLS_ASSIGN_OR_RETURN(const Model model, LoadModel(options.model));
  if (!model.is_instruction_tuned() && !options.chat) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.model.path,
                     ": the model was not tuned to chat; use gemma run, or "
                     "--chat to try"));
  }
  GEMMA_TOOLS_ASSIGN_OR_RETURN(const ChatTemplate turns, model.chat_template());
  GEMMA_TOOLS_RETURN_IF_ERROR(FindTokens(model, &options.answer));
  GEMMA_TOOLS_ASSIGN_OR_RETURN(
      Session session,
      CreateSession(model, options.model, DefaultContext(model)));
  Conversation conversation(std::move(session), turns, options);
  if (isatty(STDIN_FILENO) == 1 && !options.quiet) {
    Note("/exit or Ctrl-D leaves, Ctrl-C stops an answer");
  }
  return Talk(conversation);
}

}  // namespace

void AddChat(CLI::App& app, Action* action) {
  auto options = std::make_shared<ChatOptions>();
  CLI::App* command =
      app.add_subcommand("chat", "Talk with an instruction-tuned model");
  AddModelOptions(*command, &options->model, "4096");
  command->add_flag("--chat", options->chat, "Chat with a base model, too");
  AddText(*command, "--system", "TEXT", &options->system,
          "What the model shall be told before the first message");
  AddAnswerOptions(*command, &options->answer, "what fits in --context");
  AddChoice(*command, "--context-policy", &options->context_policy,
            {"error", "drop-oldest-turns"},
            "What to do when the context is full: leave with\n"
            "an error, or forget the oldest turns");
  command->add_flag("-q,--quiet", options->quiet,
                    "Say nothing on standard error but failures");
  command->add_flag("-v,--verbose", options->verbose,
                    "Tell the speed on standard error, as on terminals");
  command->footer(
      "Each line is a message. /exit, /quit and the end of input leave.\n"
      "Ctrl-C stops an answer; at the prompt it leaves, with exit code 130.\n\n"
      "Example:\n"
      "  gemma chat gemma-3-1b-it.gguf --system \"Be brief.\"\n\n");
  command->callback([=] { *action = [=] { return Chat(*options); }; });
}

}  // namespace gemma::tools
