// The autoencoders of `gemma serve --sae`.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_SERVED_AUTOENCODERS_H_
#define GEMMA_TOOLS_GEMMA_SERVE_SERVED_AUTOENCODERS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/serve.h"
#include "tools/gemma/serve/serve_options.h"

namespace gemma::tools {

// An autoencoder, and the models that it fits.
struct NamedAutoencoder {
  std::string text;  // the value of the option
  ServedAutoencoder served;
  bool is_used = false;
};

// Loads those of options.autoencoders: [NAME=]FILE[:SITE]. Without a name, an
// autoencoder has that of its site (res@12). A name that occurs twice is an
// error.
absl::StatusOr<std::vector<NamedAutoencoder>> LoadAutoencoders(
    const ServeOptions& options);

// Returns those that fit a model, and notes that they are used.
std::vector<ServedAutoencoder> FittingAutoencoders(
    const Model& model, std::vector<NamedAutoencoder>* all);

// An error if one fits no model. `model`: any of them, for the reason.
absl::Status CheckAllUsed(const Model& model, const std::string& name,
                          const std::vector<NamedAutoencoder>& all);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_SERVED_AUTOENCODERS_H_
