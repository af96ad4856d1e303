// The texts for sites of autoencoders, such as "res@12".

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gemma/sparse_autoencoder.h"
#include "src/base/internal.h"

namespace gemma {
namespace {

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

}  // namespace

std::string FeatureSiteText(const FeatureSite& site) {
  for (const auto& [word, known] : kSites) {
    if (site.input == known.input && site.output == known.output &&
        site.normalize == known.normalize) {
      return HasLayer(site) ? absl::StrCat(word, "@", site.layer)
                            : std::string(word);
    }
  }
  return absl::StrCat("layer ", site.layer);
}

std::optional<FeatureSite> ParseFeatureSite(std::string_view text) {
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

}  // namespace gemma
