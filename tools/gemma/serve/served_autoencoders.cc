#include "tools/gemma/serve/served_autoencoders.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/texts/autoencoders.h"

namespace gemma::tools {
namespace {

// A path with "=" in it has no name before it if the file exists.
bool IsPath(const std::string& text) {
  std::error_code error;
  return std::filesystem::exists(text, error) ||
         std::filesystem::exists(text.substr(0, text.rfind(':')), error);
}

}  // namespace

absl::StatusOr<std::vector<NamedAutoencoder>> LoadAutoencoders(
    const ServeOptions& options) {
  std::vector<NamedAutoencoder> all;
  Autoencoders loader(options.sae_type);
  for (const std::string& text : options.autoencoders) {
    const size_t equals = IsPath(text) ? std::string::npos : text.find('=');
    const bool is_named = equals != std::string::npos;
    std::string name = is_named ? text.substr(0, equals) : "";
    if (is_named && (name.empty() || !IsPrintable(name))) {
      return OptionError(
          {"--sae"}, absl::StrCat("--sae ", text, ": ", Quoted(name),
                                  " is not a name of printable characters"));
    }
    GEMMA_ASSIGN_OR_RETURN(
        const AutoencoderName file,
        ParseAutoencoder("--sae", is_named ? text.substr(equals + 1) : text));
    GEMMA_ASSIGN_OR_RETURN(const SparseAutoencoder* autoencoder,
                           loader.Load(file));
    if (!is_named) name = FeatureSiteText(autoencoder->site());
    for (const NamedAutoencoder& other : all) {
      if (other.served.name != name) continue;
      return WithCure(
          OptionError(
              {"--sae"},
              absl::StrCat("--sae ", text, ": two autoencoders have the name ",
                           Quoted(name))),
          "--sae NAME=FILE gives an autoencoder another name");
    }
    all.push_back({text, {std::move(name), *autoencoder}});
  }
  return all;
}

std::vector<ServedAutoencoder> FittingAutoencoders(
    const Model& model, std::vector<NamedAutoencoder>* all) {
  std::vector<ServedAutoencoder> fitting;
  for (NamedAutoencoder& one : *all) {
    if (!gemma::CheckFits(model, one.served.autoencoder).ok()) continue;
    one.is_used = true;
    fitting.push_back(one.served);
  }
  return fitting;
}

absl::Status CheckAllUsed(const Model& model, const std::string& name,
                          const std::vector<NamedAutoencoder>& all) {
  for (const NamedAutoencoder& one : all) {
    if (one.is_used) continue;
    absl::Status status =
        CheckFits(model, one.served.autoencoder,
                  absl::StrCat("--sae ", one.text, ": ", name));
    if (status.ok()) {  // the model embeds texts
      status = absl::InvalidArgumentError(
          absl::StrCat("--sae ", one.text, ": ", name, " embeds texts"));
    }
    return WithCure(std::move(status),
                    "give an autoencoder that was trained on a model of this "
                    "server, at one of its layers");
  }
  return absl::OkStatus();
}

}  // namespace gemma::tools
