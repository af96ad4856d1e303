#include "tools/gemma/answer/steering.h"

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kSteer = "--steer";
constexpr std::string_view kAblate = "--ablate";

absl::Status Refuse(std::string_view option, std::string_view text,
                    std::string_view found, std::string_view wanted) {
  return OptionError(
      {std::string(option)},
      absl::StrCat(option, " ", text, ": '", found, "' is ", wanted));
}

// Parses `text` as SAE:FEATURE. For errors, `whole` is the value of the option
// and `form` the form it should have.
absl::StatusOr<FeatureName> ParseFeature(std::string_view option,
                                         std::string_view whole,
                                         std::string_view text,
                                         std::string_view form) {
  const size_t colon = text.rfind(':');
  if (colon == 0 || colon == text.npos) {
    return Refuse(option, whole, whole, absl::StrCat("not ", form));
  }
  FeatureName name;
  name.autoencoder = text.substr(0, colon);
  const std::string_view feature = text.substr(colon + 1);
  // SimpleAtoi would accept blanks and signs.
  if (feature.empty() || !absl::ascii_isdigit(feature.front()) ||
      !absl::ascii_isdigit(feature.back()) ||
      !absl::SimpleAtoi(feature, &name.feature)) {
    return Refuse(option, whole, feature, "not the number of a feature");
  }
  return name;
}

}  // namespace

void AddSteeringOptions(CLI::App& app, SteeringOptions* options) {
  AddTexts(app, std::string(kSteer), "SAE:FEATURE=X", &options->steer,
           "Add X times a feature's direction while the model\n"
           "reads and writes; may be repeated. SAE is FILE[:SITE],\n"
           "see gemma scope --help-all");
  AddTexts(app, std::string(kAblate), "SAE:FEATURE", &options->ablate,
           "Remove a feature's contribution; may be repeated");
  AddFeatureWeights(app, &options->sae_type);
}

absl::Status Validate(const SteeringOptions& options) {
  if (!options.empty() || options.sae_type == SteeringOptions().sae_type) {
    return absl::OkStatus();
  }
  return Needs("--sae-type", "--steer or --ablate");
}

absl::StatusOr<FeatureName> ParseSteer(std::string_view text) {
  constexpr std::string_view kForm = "SAE:FEATURE=STRENGTH";
  // The last '=', because a path may contain one.
  const size_t equals = text.rfind('=');
  if (equals == text.npos) {
    return Refuse(kSteer, text, text, absl::StrCat("not ", kForm));
  }
  GEMMA_ASSIGN_OR_RETURN(
      FeatureName name,
      ParseFeature(kSteer, text, text.substr(0, equals), kForm));
  const std::string_view strength = text.substr(equals + 1);
  if (!absl::SimpleAtof(strength, &name.strength) ||
      !std::isfinite(name.strength)) {
    return Refuse(kSteer, text, strength, "not a number");
  }
  return name;
}

absl::StatusOr<FeatureName> ParseAblate(std::string_view text) {
  return ParseFeature(kAblate, text, text, "SAE:FEATURE");
}

absl::StatusOr<Steering> Steering::Load(const SteeringOptions& options) {
  Steering steering((Autoencoders(options.sae_type)));
  for (const std::string& text : options.steer) {
    GEMMA_ASSIGN_OR_RETURN(const FeatureName name, ParseSteer(text));
    GEMMA_RETURN_IF_ERROR(steering.Add(kSteer, text, name, /*ablate=*/false));
  }
  for (const std::string& text : options.ablate) {
    GEMMA_ASSIGN_OR_RETURN(const FeatureName name, ParseAblate(text));
    GEMMA_RETURN_IF_ERROR(steering.Add(kAblate, text, name, /*ablate=*/true));
  }
  return steering;
}

absl::Status Steering::Add(std::string_view option, const std::string& text,
                           const FeatureName& name, bool ablate) {
  GEMMA_ASSIGN_OR_RETURN(const AutoencoderName file,
                         ParseAutoencoder(option, name.autoencoder));
  GEMMA_ASSIGN_OR_RETURN(const SparseAutoencoder* autoencoder,
                         autoencoders_.Load(file));
  if (name.feature >= autoencoder->num_features()) {
    return OptionError(
        {std::string(option)},
        absl::StrCat(option, " ", text, ": feature ", name.feature,
                     " is not from 0 to ", autoencoder->num_features() - 1));
  }
  changes_.push_back({absl::StrCat(option, " ", text),
                      {autoencoder, name.feature, name.strength, ablate}});
  return absl::OkStatus();
}

std::vector<std::string> Steering::Names() const {
  std::vector<std::string> names;
  for (const Change& change : changes_) names.push_back(change.text);
  return names;
}

absl::Status Steering::Attach(Session& session) const {
  if (changes_.empty()) return absl::OkStatus();
  FeatureTapOptions options;
  for (const Change& change : changes_) {
    GEMMA_RETURN_IF_ERROR(
        CheckFits(session.model(), *change.what.autoencoder, change.text));
    options.changes.push_back(change.what);
  }
  GEMMA_ASSIGN_OR_RETURN(TapFunction tap,
                         FeatureTap(session.model(), std::move(options)));
  session.SetTap(std::move(tap));
  return absl::OkStatus();
}

}  // namespace gemma::tools
