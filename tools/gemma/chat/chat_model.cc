#include "tools/gemma/chat/chat_model.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "tools/gemma/answer/prompt.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/file_type.h"
#include "tools/gemma/machine/model_error.h"

namespace gemma::tools {

absl::StatusOr<std::unique_ptr<ChatModel>> ChatModel::Load(
    const ModelOptions& options, bool chat, const Steering* steering,
    bool in_chat) {
  GEMMA_ASSIGN_OR_RETURN(Model model, LoadModel(options));
  if (!IsChat(model, options, chat, /*raw=*/false)) {
    return NotTunedToChat(options.path, in_chat);
  }
  GEMMA_ASSIGN_OR_RETURN(ChatTemplate turns, ChatTurns(model));
  if (!options.quiet) NoteTurns(model, turns);
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
  resized.in_chat = context != 0;
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
  return text;
}

}  // namespace gemma::tools
