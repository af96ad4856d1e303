#include "tools/gemma/chat/chat_model.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "tools/gemma/answer/prompt.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/file_type.h"
#include "tools/gemma/machine/model_error.h"

namespace gemma::tools {

absl::StatusOr<std::unique_ptr<ChatModel>> ChatModel::Load(
    const ModelOptions& options, bool chat, const Steering* steering) {
  GEMMA_ASSIGN_OR_RETURN(Model model, LoadModel(options));
  if (!IsChat(model, options, chat, /*raw=*/false)) {
    return NotTunedToChat(options.path, options.in_chat);
  }
  GEMMA_ASSIGN_OR_RETURN(ChatTemplate turns, ChatTurns(model));
  if (!options.quiet) NoteTurns(model, turns, options.in_chat);
  return std::unique_ptr<ChatModel>(
      new ChatModel(options, std::move(model), std::move(turns), steering));
}

ChatModel::ChatModel(const ModelOptions& options, Model model,
                     ChatTemplate turns, const Steering* steering)
    : options_(options),
      model_(std::move(model)),
      turns_(std::move(turns)),
      steering_(*steering) {}

absl::StatusOr<Session> ChatModel::NewSession(size_t context) {
  ModelOptions resized = options_;
  if (context != 0) resized.context = context;
  resized.in_chat = options_.in_chat || context != 0;
  GEMMA_ASSIGN_OR_RETURN(
      Session session, CreateSession(model_, resized, DefaultContext(model_)));
  GEMMA_RETURN_IF_ERROR(steering_.Attach(session));
  NoteLongContext(model_, resized);
  options_.context = resized.context;
  return session;
}

std::string ChatModel::Description() const {
  const size_t context =
      options_.context != 0 ? options_.context : DefaultContext(model_);
  std::string text = absl::StrCat(
      Printable(name()), ": ", FileType(name(), model_), ", context of ",
      context, " tokens, ", Counted(model_.num_threads(), "thread"));
  for (const Adapter& adapter : options_.adapters) {
    absl::StrAppend(&text, ", adapter ", Printable(adapter.path));
  }
  if (!options_.chat_template.empty()) {
    absl::StrAppend(&text, ", --chat-template ",
                    Printable(options_.chat_template));
  }
  for (const std::string& name : steering_.Names()) {
    absl::StrAppend(&text, ", ", Printable(name, kUncut));
  }
  return text;
}

absl::Status NotChanged(const absl::Status& status, const std::string& name,
                        const std::string& old_name) {
  if (ReasonOf(status) == ErrorReason::kChatTemplate) {
    return WithCure(status, absl::StrCat("/save FILE, then gemma chat ", name,
                                         " --chat-template gemma and /load "
                                         "FILE go on in Gemma's own turns"));
  }
  if (ReasonOf(status) != ErrorReason::kAdapter && !CureOf(status).empty()) {
    return status;
  }
  return WithCure(status,
                  absl::StrCat("the chat goes on with ", Printable(old_name)));
}

}  // namespace gemma::tools
