// Autoencoders from the command line: FILE[:SITE].

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

// What --help says of FILE[:SITE].
inline constexpr char kAutoencoderHelp[] =
    R"(An autoencoder (SAE) is FILE or FILE:SITE. FILE is params.npz, as Gemma
Scope has it, params.safetensors beside a config.json, as Gemma Scope 2
has it, or the folder of either. SITE tells where it belongs, if neither
config.json nor the folders' names do:
  res@12                 the residual stream behind layer 12, counted from 0
  att@12                 the heads' values, before the output matrix
  mlp@12                 what the feed-forward layer adds
  transcoder@12          from what the feed-forward layer reads, without
                         the gain of its norm, to what it adds
  transcoder2@12         the same with the gain, as Gemma Scope 2 has it
  embedding              the scaled embeddings

)";

// The site that such words name, or nothing.
std::optional<FeatureSite> ParseSite(std::string_view text);

// The words for a site; of one that has none, "layer 12".
std::string SiteText(const FeatureSite& site);

// An autoencoder that an option names.
struct AutoencoderName {
  std::string path;
  std::optional<FeatureSite> site;  // none: as its files say
};

// What is behind the last colon is a site if it is written as one and the whole
// is no path that exists. A usage error if it looks like a site and is none.
// `option` begins it.
absl::StatusOr<AutoencoderName> ParseAutoencoder(std::string_view option,
                                                 const std::string& text);

// Adds --sae-type.
void AddFeatureWeights(CLI::App& app, std::string* type);

// Autoencoders that are loaded, each once.
class Autoencoders {
 public:
  // `type`: as --sae-type has it.
  explicit Autoencoders(const std::string& type);

  // The pointer is good as long as this is, also when it is moved.
  absl::StatusOr<const SparseAutoencoder*> Load(const AutoencoderName& name);

 private:
  FeatureWeights weights_;
  // By path and site.
  std::map<std::pair<std::string, std::string>,
           std::unique_ptr<SparseAutoencoder>>
      loaded_;
};

// OK, or an error that begins with `text`, which names the autoencoder: it does
// not fit the model.
absl::Status CheckFits(const Model& model, const SparseAutoencoder& autoencoder,
                       std::string_view text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_TEXTS_AUTOENCODERS_H_
