#include "tools/gemma/texts/autoencoders.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/parts.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kWantedSite =
    "res@LAYER, att@LAYER, mlp@LAYER, transcoder@LAYER, transcoder2@LAYER or "
    "embedding";

bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

}  // namespace

absl::StatusOr<AutoencoderName> ParseAutoencoder(std::string_view option,
                                                 const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || Exists(text)) {
    return AutoencoderName{text, std::nullopt};
  }
  const std::string path = text.substr(0, colon);
  const std::string_view behind = std::string_view(text).substr(colon + 1);
  const std::optional<FeatureSite> site = ParseFeatureSite(behind);
  if (site.has_value()) return AutoencoderName{path, site};
  // Only the site is wrong: an error of loading `text` would not show that.
  if (Exists(path)) {
    return OptionError({std::string(option)},
                       absl::StrCat(option, " ", text, ": '", behind,
                                    "' is not ", kWantedSite));
  }
  return AutoencoderName{text, std::nullopt};
}

CLI::Option* AddFeatureWeights(CLI::App& app, std::string* type) {
  return AddChoice(app, "--sae-type", type, {"float32", "bfloat16", "int8"},
                   "Type of the autoencoders' weights in memory");
}

Autoencoders::Autoencoders(const std::string& type)
    : weights_(type == "float32" ? FeatureWeights::kFloat32
               : type == "int8"  ? FeatureWeights::kInt8
                                 : FeatureWeights::kBFloat16) {}

absl::StatusOr<const SparseAutoencoder*> Autoencoders::Load(
    const AutoencoderName& name) {
  const std::string site =
      name.site.has_value() ? FeatureSiteText(*name.site) : "";
  std::unique_ptr<SparseAutoencoder>& loaded = loaded_[{name.path, site}];
  if (loaded == nullptr) {
    GEMMA_RETURN_IF_ERROR(CheckBuilt("scope"));
    absl::StatusOr<SparseAutoencoder> autoencoder =
        SparseAutoencoder::Load(name.path, {weights_, name.site});
    if (absl::IsFailedPrecondition(autoencoder.status())) {
      return WithCure(autoencoder.status(),
                      absl::StrCat("add the site, for example ", name.path,
                                   ":res@12; gemma scope --help-all lists the "
                                   "sites"));
    }
    if (!autoencoder.ok()) return autoencoder.status();
    loaded = std::make_unique<SparseAutoencoder>(*std::move(autoencoder));
  }
  return loaded.get();
}

absl::Status CheckFits(const Model& model, const SparseAutoencoder& autoencoder,
                       std::string_view text) {
  const absl::Status status = gemma::CheckFits(model, autoencoder);
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(text, ": ", status.message()));
}

}  // namespace gemma::tools
