// --steer and --ablate: strengthen or remove features while a model answers.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_STEERING_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_STEERING_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/gemma.h"
#include "tools/gemma/texts/autoencoders.h"

namespace gemma::tools {

struct SteeringOptions {
  std::vector<std::string> steer;   // SAE:FEATURE=STRENGTH
  std::vector<std::string> ablate;  // SAE:FEATURE
  std::string sae_type = "bfloat16";

  bool empty() const { return steer.empty() && ablate.empty(); }
};

// Adds --steer, --ablate and --sae-type.
void AddSteeringOptions(CLI::App& app, SteeringOptions* options);

// A usage error if --sae-type has no autoencoder to apply to.
absl::Status Validate(const SteeringOptions& options);

// A feature of an autoencoder, and its strength.
struct FeatureName {
  std::string autoencoder;  // FILE[:SITE]
  size_t feature = 0;
  float strength = 0.0f;
};

// Parse SAE:FEATURE=STRENGTH and SAE:FEATURE. Other texts are a usage error
// that begins with the option.
absl::StatusOr<FeatureName> ParseSteer(std::string_view text);
absl::StatusOr<FeatureName> ParseAblate(std::string_view text);

// The changes that the options name, and their autoencoders.
class Steering {
 public:
  // Loads each autoencoder once. If it does not have a feature, the usage error
  // names the option.
  static absl::StatusOr<Steering> Load(const SteeringOptions& options);

  // "--steer FILE:7=2": the options that name the changes, in their order.
  std::vector<std::string> Names() const;

  // Makes the session apply the changes to all that it computes from now on;
  // without changes, does nothing. This object and the session's model must
  // outlive the session. If an autoencoder does not fit the model, the error
  // names the option.
  absl::Status Attach(Session& session) const;

 private:
  struct Change {
    std::string text;  // the option and its value, for errors
    FeatureChange what;
  };

  explicit Steering(Autoencoders autoencoders)
      : autoencoders_(std::move(autoencoders)) {}

  absl::Status Add(std::string_view option, const std::string& text,
                   const FeatureName& name, bool ablate);

  Autoencoders autoencoders_;
  std::vector<Change> changes_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_STEERING_H_
