// The toy ShieldGemma of tests/testdata/classify and the results of
// transformers; see tools/reference/shield.py.

#ifndef GEMMA_TESTS_CLASSIFY_SHIELD_TOY_H_
#define GEMMA_TESTS_CLASSIFY_SHIELD_TOY_H_

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "gemma/gemma.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {

inline std::string ShieldFile(const std::string& name) {
  return std::string(GEMMA_TESTDATA_DIR) + "/classify/" + name;
}

// Loads the toy with float32 activations.
inline Model LoadShield(size_t chunk = 256) {
  LoadOptions options;
  options.num_threads = kToyThreads;
  options.activations = Activations::kFloat32;
  options.prefill_chunk = chunk;
  return LoadOrDie(ShieldFile("shield.gguf"), options);
}

// A case of prompts.json.
struct ShieldCase {
  ShieldWording wording = ShieldWording::kHubTemplate;
  Policy policy;
  std::string text;
  std::optional<std::string> response;
  std::string prompt;  // control tokens by name
  size_t num_tokens = 0;
  std::vector<TokenId> ids;  // empty: unknown
  double probability = 0;
  double mass = 0;  // of Yes and No, among all tokens

  ClassifierInput input() const { return {text, response}; }
};

inline const Policy& ShieldPolicy(const std::string& name) {
  for (const Policy& policy : ShieldPolicies()) {
    if (policy.name == name) return policy;
  }
  static const Policy none;
  return none;
}

inline std::vector<ShieldCase> ReadShieldCases() {
  std::ifstream file(ShieldFile("prompts.json"));
  std::vector<ShieldCase> cases;
  for (const nlohmann::json& json : nlohmann::json::parse(file)) {
    ShieldCase added;
    if (json["wording"] == "example") {
      added.wording = ShieldWording::kExampleCode;
    }
    added.policy = ShieldPolicy(json["policy"]);
    added.text = json["text"];
    if (json.contains("response")) added.response = json["response"];
    added.prompt = json["prompt"];
    added.num_tokens = json["num_tokens"];
    if (json.contains("ids")) json["ids"].get_to(added.ids);
    added.probability = json["probability"];
    added.mass = json["mass"];
    cases.push_back(std::move(added));
  }
  return cases;
}

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_CLASSIFY_SHIELD_TOY_H_
