#include "src/serve/request/feature_fields.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/listing.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

constexpr size_t kMaxChanges = 64;

std::string WantedNames(const Served& served) {
  return Listing(served.autoencoders,
                 [](const auto& one) { return Quoted(one.name); });
}

absl::StatusOr<FeatureChange> ReadChange(const Served& served,
                                         const Json& json) {
  GEMMA_ASSIGN_OR_RETURN(Fields fields, Fields::Of(json));
  const std::optional<Json> name = fields.Take("autoencoder");
  size_t index = 0;
  if (name.has_value()) {
    GEMMA_ASSIGN_OR_RETURN(index, AutoencoderOf(served, *name));
  } else if (served.autoencoders.size() > 1) {
    const absl::Status missing = fields.Missing("autoencoder");
    return AtField(
        absl::InvalidArgumentError(absl::StrCat(
            missing.message(), ", wanted one of ", WantedNames(served))),
        json);
  }
  FeatureChange change = {&served.autoencoders[index].autoencoder};
  const std::optional<Json> feature = fields.Take("feature");
  if (!feature.has_value()) return fields.Missing("feature");
  GEMMA_RETURN_IF_ERROR(AtField(feature->Get(change.feature), *feature));
  const size_t count = change.autoencoder->num_features();
  if (change.feature >= count) {
    return FieldError(*feature, FormatText("is %u, wanted 0 to %u",
                                           change.feature, count - 1));
  }
  GEMMA_RETURN_IF_ERROR(fields.Read("ablate", change.ablate));
  const std::optional<Json> strength = fields.Take("strength");
  if (strength.has_value()) {
    GEMMA_RETURN_IF_ERROR(AtField(strength->Get(change.strength), *strength));
    if (!(std::abs(change.strength) <= kMaxFeatureStrength)) {
      return FieldError(*strength,
                        FormatText("is %g, wanted %g to %g", change.strength,
                                   -kMaxFeatureStrength, kMaxFeatureStrength));
    }
  } else if (!change.ablate) {
    return fields.Missing("strength");
  }
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  // Some sites allow no ablation.
  const absl::Status fits =
      FeatureTap(served.model, {.changes = {change}}).status();
  if (!fits.ok()) return AtField(fits, json);
  return change;
}

}  // namespace

absl::StatusOr<size_t> AutoencoderOf(const Served& served, const Json& name) {
  std::string wanted;
  GEMMA_RETURN_IF_ERROR(AtField(name.Get(wanted), name));
  for (size_t i = 0; i < served.autoencoders.size(); ++i) {
    if (served.autoencoders[i].name == wanted) return i;
  }
  return FieldError(name,
                    absl::StrCat("is ", Quoted(wanted), ", wanted one of ",
                                 WantedNames(served)));
}

absl::StatusOr<std::vector<FeatureChange>> ReadSteer(const Served& served,
                                                     Fields& fields) {
  std::vector<FeatureChange> changes;
  const std::optional<Json> json = fields.Take("steer");
  if (!json.has_value()) return changes;
  if (!json->is_array()) {
    return AtField(json->Unexpected("a list of changes"), *json);
  }
  if (json->size() > kMaxChanges) {
    return FieldError(*json, FormatText("has %u changes, wanted at most %u",
                                        json->size(), kMaxChanges));
  }
  if (json->size() != 0 && served.autoencoders.empty()) {
    return FieldError(*json,
                      absl::StrCat("needs an autoencoder, which the server "
                                   "does not have for the model ",
                                   Quoted(served.name)));
  }
  for (const Json& element : json->Elements()) {
    GEMMA_ASSIGN_OR_RETURN(changes.emplace_back(), ReadChange(served, element));
  }
  return changes;
}

absl::StatusOr<TapFunction> ReadSteering(const Served& served, Fields& fields) {
  GEMMA_ASSIGN_OR_RETURN(std::vector<FeatureChange> changes,
                         ReadSteer(served, fields));
  if (changes.empty()) return TapFunction();
  return FeatureTap(served.model, {.changes = std::move(changes)});
}

void WriteAutoencoder(const ServedAutoencoder& served, JsonWriter& json) {
  const FeatureSite& site = served.autoencoder.site();
  json.Member("name", served.name).Member("site", FeatureSiteText(site));
  json.Member("layer", site.layer);
  json.Member("features", served.autoencoder.num_features());
}

}  // namespace gemma::internal
