// The model of a chat, which /model changes.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_MODEL_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_MODEL_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "gemma/gemma.h"
#include "tools/gemma/answer/steering.h"
#include "tools/gemma/cli/model_options.h"

namespace gemma::tools {

class ChatModel {
 public:
  // Loads options.path, and prints notes about its turns unless options.quiet.
  // Fails for a base model, unless `chat`. `steering` must outlive the result;
  // its sessions follow it.
  static absl::StatusOr<std::unique_ptr<ChatModel>> Load(
      const ModelOptions& options, bool chat, const Steering* steering);

  const Model& model() const { return model_; }
  const ChatTemplate& turns() const { return turns_; }
  const std::string& name() const { return options_.path; }

  // Creates an empty session of `context` tokens; 0: the number of the last
  // one, or at first that of the options.
  absl::StatusOr<Session> NewSession(size_t context);

  // The context that was asked for last; 0: none, so that the model decides.
  size_t context() const { return options_.context; }

  // "gemma-3-1b-it: Q4_K - Medium, context of 4096 tokens, 2 threads", and what
  // changes its answers beyond its files: adapters, --chat-template, --steer
  // and --ablate.
  std::string Description() const;

 private:
  ChatModel(const ModelOptions& options, Model model, ChatTemplate turns,
            const Steering* steering);

  ModelOptions options_;
  const Model model_;
  const ChatTemplate turns_;
  const Steering& steering_;
};

// Loads the model with this name or path for a chat that has a model already,
// as its first one was loaded, but with another context (0: the model decides).
using LoadChatModel = std::function<absl::StatusOr<std::unique_ptr<ChatModel>>(
    std::string name, size_t context)>;

// Returns the error of changing to the model `name`, with a cure for a chat
// that goes on with `old_name`.
absl::Status NotChanged(const absl::Status& status, const std::string& name,
                        const std::string& old_name);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_MODEL_H_
