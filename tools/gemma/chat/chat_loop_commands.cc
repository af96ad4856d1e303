// Commands of a chat on the conversation, its model and its files.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/answer/answer.h"
#include "tools/gemma/chat/chat_completion.h"
#include "tools/gemma/chat/chat_loop.h"
#include "tools/gemma/chat/saved_chat.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/output_file.h"
#include "tools/gemma/io/terminal_text.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/pull/resolve.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kForce = " --force";

// Bytes in base64 that common terminals accept for their clipboard.
constexpr size_t kMaxClipboard = 74'992;

}  // namespace

absl::Status ChatLoop::Undo() {
  GEMMA_ASSIGN_OR_RETURN(const Turn turn, conversation_.Undo());
  Remark(absl::StrCat("removed: ", Shortened(turn.message)));
  return absl::OkStatus();
}

absl::Status ChatLoop::ChangeModel(const std::string& name) {
  if (name.empty()) {
    Tell(absl::StrCat(model_->Description(), "\n", ModelsAtHand()));
    return absl::OkStatus();
  }
  const absl::Status status = ChangeTo(name);
  if (status.ok()) return status;
  if (!absl::IsCancelled(status)) {
    return NotChanged(status, name, model_->name());
  }
  const std::string goes_on =
      absl::StrCat("stopped; the chat goes on with ", model_->name());
  Remark(reader_->is_interactive() ? absl::StrCat("\n", goes_on) : goes_on);
  return absl::OkStatus();
}

absl::Status ChatLoop::ChangeTo(const std::string& name) {
  GEMMA_ASSIGN_OR_RETURN(std::unique_ptr<ChatModel> model,
                         load_model_(ExpandHome(name), model_->context()));
  // The same text may be another token there.
  AnswerOptions first_settings = first_settings_;
  AnswerOptions settings = settings_;
  for (AnswerOptions* options : {&first_settings, &settings}) {
    GEMMA_RETURN_IF_ERROR(FindTokens(model->model(), options, FlagLabel));
  }
  GEMMA_ASSIGN_OR_RETURN(Session session, model->NewSession(0));
  GEMMA_RETURN_IF_ERROR(
      conversation_.ReplaceModel(std::move(session), model->turns()));
  model_ = std::move(model);
  first_settings_ = std::move(first_settings);
  settings_ = std::move(settings);
  const size_t turns = conversation_.turns().size();
  Remark(absl::StrCat(
      model_->Description(),
      turns == 0 ? ""
                 : absl::StrCat("; it reads ", turns == 1 ? "the turn" : "the ",
                                turns == 1 ? "" : Counted(turns, "turn"),
                                " with the next message")));
  return absl::OkStatus();
}

absl::Status ChatLoop::Copy() {
  const std::vector<Turn>& turns = conversation_.turns();
  if (turns.empty() || turns.back().answer.empty()) {
    return absl::FailedPreconditionError("there is no answer yet");
  }
  if (!TerminalCanMove()) {
    return absl::FailedPreconditionError(
        "/copy needs a terminal: it asks the terminal to fill its clipboard");
  }
  const std::string& answer = turns.back().answer;
  const std::string encoded = absl::Base64Escape(answer);
  if (encoded.size() > kMaxClipboard) {
    return WithCure(
        absl::OutOfRangeError(absl::StrCat("the answer has ", answer.size(),
                                           " bytes, and terminals copy ",
                                           kMaxClipboard / 4 * 3, " at most")),
        "/save FILE writes the chat to a file");
  }
  // OSC 52 of xterm. Terminals do not say whether they follow it.
  ShowPrompt(absl::StrCat("\x1b]52;c;", encoded, "\x07"));
  Remark(absl::StrCat("sent ", Counted(answer.size(), "byte"),
                      " to the terminal's clipboard; some terminals must be "
                      "told to accept them"));
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
  GEMMA_RETURN_IF_ERROR(conversation_.CheckRoomFor(path, tokens.size()));
  const bool is_first = read_text_.empty();
  read_text_ = all;
  Remark(absl::StrCat(path, is_first ? ": " : " and the files read before: ",
                      Counted(tokens.size(), "token"),
                      " in front of the next message"));
  return absl::OkStatus();
}

absl::Status ChatLoop::Save(const std::string& argument) {
  std::string_view file = argument;
  const bool replaces = absl::ConsumeSuffix(&file, kForce);
  const std::string path = ExpandHome(absl::StripAsciiWhitespace(file));
  // The chat's own file may be written again.
  const absl::Status may_write =
      CheckReplaces(path, replaces || path == saved_);
  if (absl::IsAlreadyExists(may_write)) {
    return WithCure(may_write,
                    absl::StrCat("/save ", path, kForce, " replaces it"));
  }
  GEMMA_RETURN_IF_ERROR(may_write);
  const std::vector<Turn>& turns = conversation_.turns();
  GEMMA_RETURN_IF_ERROR(
      SaveChat(path, {conversation_.system(), turns, settings_}));
  saved_ = path;
  Remark(absl::StrCat(path, ": saved ", Counted(turns.size(), "turn")));
  return absl::OkStatus();
}

absl::Status ChatLoop::Load(const std::string& path) {
  absl::StatusOr<SavedChat> loaded = LoadChat(path, settings_);
  if (absl::IsNotFound(loaded.status())) {
    return WithCure(loaded.status(),
                    "/load FILE goes on with a chat that /save wrote; /model "
                    "NAME changes the model");
  }
  GEMMA_ASSIGN_OR_RETURN(SavedChat chat, std::move(loaded));
  const size_t num_turns = chat.turns.size();
  GEMMA_RETURN_IF_ERROR(
      conversation_.Replace(chat.system, std::move(chat.turns)));
  settings_ = std::move(chat.settings);
  read_text_.clear();
  GEMMA_ASSIGN_OR_RETURN(const ContextUse use, conversation_.Use());
  Remark(absl::StrCat(
      path, ": loaded ", Counted(num_turns, "turn"),
      "; context: ", ContextLine(use),
      use.left() > 0 ? "" : "; the next message drops the oldest turns"));
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
  Tell(absl::StrCat("last answer: ", StatsLine(*totals_.last, settings_.label),
                    "\nall: ", TotalsLine(totals_)));
}

void ChatLoop::Clear() {
  conversation_.Clear();
  read_text_.clear();
  Remark("forgot everything except the system message");
}

}  // namespace gemma::tools
