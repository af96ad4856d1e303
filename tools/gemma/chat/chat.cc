// gemma chat: many turns in one session.

#include "tools/gemma/chat/chat.h"

#include <memory>
#include <string>
#include <utility>

#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/answer/answer.h"
#include "tools/gemma/answer/answer_options.h"
#include "tools/gemma/answer/guard.h"
#include "tools/gemma/answer/steering.h"
#include "tools/gemma/answer/turn_options.h"
#include "tools/gemma/chat/chat_loop.h"
#include "tools/gemma/chat/chat_model.h"
#include "tools/gemma/chat/chat_reader.h"
#include "tools/gemma/chat/chat_settings.h"
#include "tools/gemma/chat/conversation.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/simd_option.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

// `guard` may be null. It must outlive the result. With a guard, an answer is
// shown only after the guard has judged it.
Conversation::Answerer AnswererWith(Guard* guard, bool verbose) {
  if (guard == nullptr) {
    return [](Session& session, absl::Span<const TokenId> prompt,
              std::string_view, const AnswerOptions& options) {
      return StreamAnswer(session, prompt, options);
    };
  }
  return [=](Session& session, absl::Span<const TokenId> prompt,
             std::string_view message,
             const AnswerOptions& options) -> absl::StatusOr<Answer> {
    GEMMA_ASSIGN_OR_RETURN(
        Answer answer, guard->AnswerTo(message, session, prompt, options, {}));
    if (verbose) Note(VerdictsLine(answer.verdicts));
    GEMMA_RETURN_IF_ERROR(RefusalOf(answer.verdicts));
    GEMMA_RETURN_IF_ERROR(WriteAnswer(answer, options));
    return answer;
  };
}

}  // namespace

absl::Status Chat(ChatRunOptions options) {
  GEMMA_RETURN_IF_ERROR(Validate(options.answer, FlagLabel));
  GEMMA_RETURN_IF_ERROR(Validate(options.guard));
  GEMMA_RETURN_IF_ERROR(Validate(options.steering));
  GEMMA_RETURN_IF_ERROR(WithOptions(
      AsUsageError(CheckUtf8(options.system, "--system")), {"--system"}));
  if (options.model.chat_template == kNoTemplate) {
    return OptionError({"--chat-template"},
                       "a chat needs turns, but --chat-template none turns "
                       "them off; gemma run completes texts");
  }
  GEMMA_ASSIGN_OR_RETURN(const ChatOptions turn_options,
                         ReadTurnOptions(options.turns));
  UnescapeStops(&options.answer, options.model.quiet);
  options.answer.is_turn = true;
  options.answer.has_tools = !turn_options.tools.empty();
  options.answer.label = SetLabel;
  DrawMissingSeed(&options.answer);
  options.answer.hides_thoughts = options.model.quiet;
  // Before autoencoders are loaded.
  GEMMA_RETURN_IF_ERROR(ApplySimd(options.model.simd, options.model.quiet));
  GEMMA_ASSIGN_OR_RETURN(const Steering steering,
                         Steering::Load(options.steering));
  const LoadChatModel load = [&](std::string path, size_t context) {
    ModelOptions model = options.model;
    model.path = std::move(path);
    model.context = context;
    model.in_chat = true;
    return ChatModel::Load(model, options.chat, &steering);
  };
  GEMMA_ASSIGN_OR_RETURN(
      std::unique_ptr<ChatModel> model,
      ChatModel::Load(options.model, options.chat, &steering));
  GEMMA_RETURN_IF_ERROR(FindTokens(model->model(), &options.answer, FlagLabel));
  GEMMA_ASSIGN_OR_RETURN(Session session, model->NewSession(0));
  GEMMA_ASSIGN_OR_RETURN(const std::unique_ptr<Guard> guard,
                         Guard::Load(options.guard, options.model));
  GEMMA_ASSIGN_OR_RETURN(std::unique_ptr<ChatReader> reader,
                         ChatReader::Create(options.model.quiet));
  // On a terminal, a chat does not end because the context is full.
  const ContextPolicy policy =
      ParseContextPolicy(options.context_policy)
          .value_or(reader->is_interactive() ? ContextPolicy::kDropOldestTurns
                                             : ContextPolicy::kError);
  GEMMA_ASSIGN_OR_RETURN(
      Conversation conversation,
      Conversation::Create(std::move(session), model->turns(), policy,
                           AnswererWith(guard.get(), options.verbose),
                           turn_options));
  conversation.SetSystem(options.system);
  ChatLoop loop(std::move(conversation), std::move(reader), std::move(model),
                load, options.answer, options.verbose, options.model.quiet);
  return loop.Run();
}

void AddChat(CLI::App& app, Action* action) {
  auto options = std::make_shared<ChatRunOptions>();
  CLI::App* command =
      app.add_subcommand("chat", "Talk with an instruction-tuned model");
  AddModelOptions(*command, &options->model, "4096");
  command->add_flag("--chat", options->chat, "Chat even with a base model");
  AddChatTemplate(*command, &options->model);
  AddText(*command, "--system", "TEXT", &options->system,
          "Instructions that the model reads before the first\n"
          "message");
  AddTurnOptions(*command, &options->turns);
  AddAnswerOptions(*command, &options->answer, std::string(kChatMaxTokens));
  AddMarkdown(*command, &options->answer);
  AddSteeringOptions(*command, &options->steering);
  AddGuardOptions(*command, &options->guard);
  AddChoice(*command, "--context-policy", &options->context_policy,
            {kAutoPolicy, "error", "drop-oldest-turns"},
            "When the context is full: report an error, or forget\n"
            "the oldest turns; auto: forget them on a terminal");
  command->add_flag("-q,--quiet", options->model.quiet,
                    "Print only failures, and what a command asks for, on\n"
                    "standard error");
  command->add_flag("-v,--verbose", options->verbose,
                    "Print speed and context use after each answer, on\n"
                    "standard error");
  command->footer(
      R"(Each line is a message or a command; /help lists the commands. /exit,
/bye and the end of input end the chat. On a terminal, lines are edited
as in a shell, and a paste, or a block of lines between """ and """, is
one message. Typed lines are saved in $GEMMA_HISTORY, by default
~/.local/state/gemma/history; if GEMMA_HISTORY is set but empty, they are
not saved. NO_COLOR turns colours off.
With --tools, a call of a tool is shown as a line of JSON, {"name",
"arguments"}. /result gives the result, and the model goes on. Thoughts are
left out of the chat when the answer is complete, and are never saved.
On a terminal, lines break between words, and Markdown becomes bold,
italic and coloured text; --markdown off, NO_COLOR and TERM=dumb leave it
as it is. /copy copies an answer as the model wrote it.
Ctrl-C stops an answer; the part already shown stays in the chat. At the
prompt, it clears the line. At an empty prompt it ends the chat with exit
code 130: on a terminal if pressed twice, else at once. After a failure, a
chat on a terminal goes on; any other chat ends.

)" + std::string(kGuardHelp) +
      R"(After a refusal, the chat goes on as if the message had not been sent.

Examples:
  gemma chat gemma-3-1b-it-q4
  gemma chat gemma-3-1b-it-q4 --system "Be brief."

)");
  command->callback([=] { *action = [=] { return Chat(*options); }; });
}

}  // namespace gemma::tools
