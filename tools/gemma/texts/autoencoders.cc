#include "tools/gemma/texts/autoencoders.h"

#include <array>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kWantedSite =
    "res@LAYER, att@LAYER, mlp@LAYER, transcoder@LAYER, transcoder2@LAYER or "
    "embedding";

struct SiteWord {
  std::string_view word;
  FeatureSite site;  // with layer 0
};

// The sites of Gemma Scope.
constexpr std::array<SiteWord, 6> kSites = {{
    {"res", {TapPoint::kBlockOutput, TapPoint::kBlockOutput}},
    {"att", {TapPoint::kMixHidden, TapPoint::kMixHidden}},
    {"mlp", {TapPoint::kFfwOutput, TapPoint::kFfwOutput}},
    {"transcoder",
     {TapPoint::kMixedStream, TapPoint::kFfwOutput, 0, /*normalize=*/true}},
    {"transcoder2", {TapPoint::kFfwInput, TapPoint::kFfwOutput}},
    {"embedding", {TapPoint::kEmbedding, TapPoint::kEmbedding}},
}};

bool HasLayer(const FeatureSite& site) {
  return site.input != TapPoint::kEmbedding;
}

bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

}  // namespace

std::optional<FeatureSite> ParseSite(std::string_view text) {
  const size_t at = text.find('@');
  for (const SiteWord& known : kSites) {
    if (text.substr(0, at) != known.word) continue;
    FeatureSite site = known.site;
    if (!HasLayer(site)) {
      return at == text.npos ? std::optional(site) : std::nullopt;
    }
    if (at == text.npos) return std::nullopt;
    const std::string_view layer = text.substr(at + 1);
    // SimpleAtoi would accept blanks and signs.
    if (layer.empty() || !absl::ascii_isdigit(layer.front()) ||
        !absl::ascii_isdigit(layer.back()) ||
        !absl::SimpleAtoi(layer, &site.layer)) {
      return std::nullopt;
    }
    return site;
  }
  return std::nullopt;
}

std::string SiteText(const FeatureSite& site) {
  for (const auto& [word, known] : kSites) {
    if (site.input == known.input && site.output == known.output &&
        site.normalize == known.normalize) {
      return HasLayer(site) ? absl::StrCat(word, "@", site.layer)
                            : std::string(word);
    }
  }
  return absl::StrCat("layer ", site.layer);
}

absl::StatusOr<AutoencoderName> ParseAutoencoder(std::string_view option,
                                                 const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || Exists(text)) {
    return AutoencoderName{text, std::nullopt};
  }
  const std::string path = text.substr(0, colon);
  const std::string_view behind = std::string_view(text).substr(colon + 1);
  const std::optional<FeatureSite> site = ParseSite(behind);
  if (site.has_value()) return AutoencoderName{path, site};
  // Only the site is wrong: an error of loading `text` would not show that.
  if (Exists(path)) {
    return OptionError({std::string(option)},
                       absl::StrCat(option, " ", text, ": '", behind,
                                    "' is not ", kWantedSite));
  }
  return AutoencoderName{text, std::nullopt};
}

void AddFeatureWeights(CLI::App& app, std::string* type) {
  AddChoice(app, "--sae-type", type, {"float32", "bfloat16", "int8"},
            "Type of the autoencoders' weights in memory");
}

Autoencoders::Autoencoders(const std::string& type)
    : weights_(type == "float32" ? FeatureWeights::kFloat32
               : type == "int8"  ? FeatureWeights::kInt8
                                 : FeatureWeights::kBFloat16) {}

absl::StatusOr<const SparseAutoencoder*> Autoencoders::Load(
    const AutoencoderName& name) {
  const std::string site = name.site.has_value() ? SiteText(*name.site) : "";
  std::unique_ptr<SparseAutoencoder>& loaded = loaded_[{name.path, site}];
  if (loaded == nullptr) {
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
