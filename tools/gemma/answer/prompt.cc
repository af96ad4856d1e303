#include "tools/gemma/answer/prompt.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/machine/model_error.h"

namespace gemma::tools {
namespace {

// The error of the model's turns if they have no words for the options.
absl::Status CheckTurns(const Model& model, const ChatOptions& options) {
  const absl::StatusOr<ChatTemplate> turns = model.chat_template();
  if (!turns.ok()) return absl::OkStatus();
  const Message message = {Role::kUser, "x"};
  return turns->Render({&message, 1}, options).status();
}

}  // namespace

void AddParseControl(CLI::App& app, bool* parse_control) {
  app.add_flag("--parse-control", *parse_control,
               "Read names of control tokens, such as\n"
               "<start_of_turn>, as those tokens instead of as text");
}

bool IsChat(const Model& model, const ModelOptions& options, bool chat,
            bool raw) {
  if (raw || options.chat_template == kNoTemplate) return false;
  return chat || !options.chat_template.empty() || model.is_instruction_tuned();
}

absl::Status CheckChatTemplate(const ModelOptions& options, bool chat, bool raw,
                               bool system) {
  if (options.chat_template.empty()) return absl::OkStatus();
  if (options.chat_template != kNoTemplate) {
    return raw ? Exclude("--raw", "--chat-template") : absl::OkStatus();
  }
  const std::string given = absl::StrCat("--chat-template ", kNoTemplate);
  if (!chat && !system) return absl::OkStatus();
  return OptionError(
      {"--chat-template", chat ? "--chat" : "--system"},
      absl::StrCat(chat ? "--chat" : "--system", " needs chat turns, but ",
                   given, " turns them off"));
}

void NoteTurns(const Model& model, const ChatTemplate& turns, bool in_chat) {
  if (turns.is_gemma()) return;
  const std::string reason =
      turns.reason().empty() ? "" : absl::StrCat(", because ", turns.reason());
  Note(absl::StrCat("the turns are those of ", turns.source(), reason,
                    HasGemmaTurns(model) && !in_chat
                        ? " (--chat-template gemma: Gemma's own)"
                        : ""));
}

absl::Status CheckParseControl(const PromptOptions& options) {
  if (!options.chat || !options.parse_control) return absl::OkStatus();
  return OptionError({"--parse-control", "--raw"},
                     "--parse-control needs --raw: the text of a chat turn "
                     "never becomes a control token");
}

bool NoteControlTokens(const Tokenizer& tokenizer, std::string_view prompt) {
  const auto tokens = tokenizer.Encode(prompt, ControlTokens::kParse);
  if (!tokens.ok()) return false;
  const auto control =
      std::find_if(tokens->begin(), tokens->end(), [&](TokenId token) {
        return tokenizer.IsControl(token) &&
               prompt.find(tokenizer.Piece(token)) != std::string_view::npos;
      });
  if (control == tokens->end()) return false;
  Note(absl::StrCat("the prompt contains ", Quoted(tokenizer.Piece(*control)),
                    ", which stays text (--parse-control: the control token)"));
  return true;
}

absl::StatusOr<std::vector<TokenId>> PromptTokens(
    const Model& model, std::string_view prompt, std::string_view system,
    const PromptOptions& options) {
  if (options.chat) {
    GEMMA_RETURN_IF_ERROR(CheckParseControl(options));
    if (absl::StripAsciiWhitespace(prompt).empty()) {
      return UsageError("the prompt is empty, wanted a text for the chat turn");
    }
    GEMMA_ASSIGN_OR_RETURN(const ChatTemplate turns, ChatTurns(model));
    std::vector<Message> messages;
    if (!system.empty())
      messages.push_back({Role::kSystem, std::string(system)});
    messages.push_back({Role::kUser, std::string(prompt)});
    return turns.Render(messages, options.turns);
  }
  const bool thinks = options.turns.thinking.value_or(false);
  if (thinks || !options.turns.tools.empty()) {
    const std::string_view option = thinks ? "think" : "tools";
    // Adding --chat would not help if the turns have no words for it.
    if (const absl::Status turns = CheckTurns(model, options.turns);
        !turns.ok()) {
      return OptionError(
          {FlagLabel(option)},
          absl::StrCat(options.label(option), ": ", turns.message()));
    }
    return OptionError({FlagLabel(option)},
                       absl::StrCat(options.label(option),
                                    " needs a chat; with a base model, "
                                    "add --chat"));
  }
  if (!system.empty()) {
    return OptionError({"--system"},
                       "--system needs a chat; with a base model, add --chat");
  }
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, TokenizerOf(model));
  GEMMA_ASSIGN_OR_RETURN(
      std::vector<TokenId> tokens,
      tokenizer->Encode(prompt, options.parse_control
                                    ? ControlTokens::kParse
                                    : ControlTokens::kAsText));
  const TokenId bos = model.config().bos_token;
  // A prompt may write BOS itself, as the texts of templates do.
  const bool has_bos =
      options.parse_control && !tokens.empty() && tokens.front() == bos;
  if (!has_bos) tokens.insert(tokens.begin(), bos);
  return tokens;
}

}  // namespace gemma::tools
