// Adds cures to the errors of models.

#ifndef GEMMA_TOOLS_GEMMA_MACHINE_MODEL_ERROR_H_
#define GEMMA_TOOLS_GEMMA_MACHINE_MODEL_ERROR_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/gemma.h"

namespace gemma::tools {

// Returns `status`, the error of loading `path`, with a cure if the error or
// the first bytes of the file suggest one.
absl::Status ExplainModelError(absl::Status status, const std::string& path);

// Call Model::tokenizer and Model::chat_template, and add a cure to an error.
absl::StatusOr<const Tokenizer*> TokenizerOf(const Model& model);
absl::StatusOr<ChatTemplate> ChatTurns(const Model& model);

// Returns whether the vocabulary has the markers of Gemma's own turns.
bool HasGemmaTurns(const Model& model);

// Calls Classifier::Create, and adds a cure to an error.
absl::StatusOr<Classifier> NewClassifier(const Model& model,
                                         ClassifierOptions options);

// Returns OK if the model, named `name`, suits the command: if `embeds`, it
// must embed texts, else it must continue them.
absl::Status CheckPurpose(const Model& model, bool embeds,
                          std::string_view name);

// Returns the error for a base model named `model` that is asked to chat.
// `in_chat`: by a chat that has a model already.
absl::Status NotTunedToChat(std::string_view model, bool in_chat);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MACHINE_MODEL_ERROR_H_
