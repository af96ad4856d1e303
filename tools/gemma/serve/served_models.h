// The models of a server: their names, and what they need.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_SERVED_MODELS_H_
#define GEMMA_TOOLS_GEMMA_SERVE_SERVED_MODELS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/serve.h"
#include "tools/gemma/serve/serve_options.h"

namespace gemma::tools {

// A word of the command line: MODEL or NAME=MODEL.
struct NamedModel {
  std::string name;        // for clients
  std::string model;       // a path, or the name of a pulled model
  bool moderates = false;  // --guard names it
  // What FindServedModels reads of it.
  bool embeds = false;
  std::optional<Model> outline = {};  // without weights
  EngineOptions engine = {};
  std::vector<ServedAutoencoder> autoencoders = {};  // those that fit
};

// Returns the name that clients use and the model. A path with "=" in it is no
// NAME=MODEL if the file exists.
absl::StatusOr<NamedModel> ParseNamedModel(const std::string& word);

// Returns all of options.models and options.guard, or an error about a name
// that occurs twice, a model that cannot be read, or an autoencoder that fits
// no model. Reads no weights of models.
absl::StatusOr<std::vector<NamedModel>> FindServedModels(
    const ServeOptions& options);

// Loads the models, which share their threads. Fails if the guard does not
// answer as a ShieldGemma.
absl::StatusOr<std::vector<ServedModel>> LoadServedModels(
    const ServeOptions& options, std::vector<NamedModel> models);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_SERVED_MODELS_H_
