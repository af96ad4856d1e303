// Features that are strengthened or taken away while a model answers.

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

// A feature of an autoencoder, and how much of it.
struct FeatureName {
  std::string autoencoder;  // FILE[:SITE]
  size_t feature = 0;
  float strength = 0.0f;
};

// SAE:FEATURE=STRENGTH, or SAE:FEATURE, else a usage error that begins with the
// option.
absl::StatusOr<FeatureName> ParseSteer(std::string_view text);
absl::StatusOr<FeatureName> ParseAblate(std::string_view text);

// The autoencoders and changes that options name.
class Steering {
 public:
  // Loads the autoencoders, each once.
  static absl::StatusOr<Steering> Load(const SteeringOptions& options);

  // Makes the changes in all that the session computes from now on; no others
  // if the options named none. This and the session's model must outlive it. An
  // error names the option whose autoencoder or feature the model or the
  // autoencoder has not.
  absl::Status Attach(Session& session) const;

 private:
  struct Change {
    std::string text;  // of the option
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
