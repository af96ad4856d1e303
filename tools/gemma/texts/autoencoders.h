// Reads and loads autoencoders of the command line: FILE[:SITE].

#ifndef GEMMA_TOOLS_GEMMA_TEXTS_AUTOENCODERS_H_
#define GEMMA_TOOLS_GEMMA_TEXTS_AUTOENCODERS_H_

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/gemma.h"

namespace gemma::tools {

// The part of --help that describes FILE[:SITE].
inline constexpr char kAutoencoderHelp[] =
    R"(--sae names an autoencoder (SAE): FILE or FILE:SITE. FILE is params.npz
(Gemma Scope), params.safetensors in the folder of its config.json (Gemma
Scope 2), or the folder of either. SITE is its place in the model. Give it
if neither config.json nor the names of the folders do:
  res@12                 the residual stream after layer 12, counted from 0
  att@12                 the heads' values, before the output matrix
  mlp@12                 the output that the feed-forward layer adds
  transcoder@12          from the input of the feed-forward layer, without
                         the gain of its norm, to the output that it adds
  transcoder2@12         the same with the gain, as in Gemma Scope 2
  embedding              the scaled embeddings

)";

// An autoencoder that an option names.
struct AutoencoderName {
  std::string path;
  std::optional<FeatureSite> site;  // nullopt: given by its files
};

// Splits `text` at the last colon into a path and a site, unless all of `text`
// is a path that exists. If the text after the colon is not a site, all of
// `text` is the path; if the part before the colon exists, this is a usage
// error that begins with `option`.
absl::StatusOr<AutoencoderName> ParseAutoencoder(std::string_view option,
                                                 const std::string& text);

// Adds --sae-type.
CLI::Option* AddFeatureWeights(CLI::App& app, std::string* type);

// Loads autoencoders, each once.
class Autoencoders {
 public:
  // `type`: a value of --sae-type.
  explicit Autoencoders(const std::string& type);

  // The pointer stays valid as long as this object, even if that is moved.
  absl::StatusOr<const SparseAutoencoder*> Load(const AutoencoderName& name);

 private:
  FeatureWeights weights_;
  // By path and site.
  std::map<std::pair<std::string, std::string>,
           std::unique_ptr<SparseAutoencoder>>
      loaded_;
};

// OK, or an error if the autoencoder does not fit the model. The error begins
// with `text`, which names the autoencoder.
absl::Status CheckFits(const Model& model, const SparseAutoencoder& autoencoder,
                       std::string_view text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_TEXTS_AUTOENCODERS_H_
