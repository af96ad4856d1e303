// What to do about a model that does not load.

#ifndef GEMMA_TOOLS_GEMMA_MACHINE_MODEL_ERROR_H_
#define GEMMA_TOOLS_GEMMA_MACHINE_MODEL_ERROR_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/gemma.h"

namespace gemma::tools {

// The error that loading `path` gave, with a cure where one is known from it or
// from what the file begins with.
absl::Status ExplainModelError(absl::Status status, const std::string& path);

// Model::tokenizer and Model::chat_template, whose errors get a cure.
absl::StatusOr<const Tokenizer*> TokenizerOf(const Model& model);
absl::StatusOr<ChatTemplate> ChatTurns(const Model& model);

// Classifier::Create, whose errors get a cure.
absl::StatusOr<Classifier> NewClassifier(const Model& model,
                                         ClassifierOptions options);

// OK if the model, named `name`, is for what a command does with it: to embed
// texts, or else to go on with them.
absl::Status CheckPurpose(const Model& model, bool embeds,
                          std::string_view name);

// The error of a base model named `model` that was asked to chat.
absl::Status NotTunedToChat(std::string_view model);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MACHINE_MODEL_ERROR_H_
