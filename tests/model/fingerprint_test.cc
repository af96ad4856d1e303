#include "src/model/describe/fingerprint.h"

#include <functional>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

ModelConfig TwoLayers() {
  ModelConfig config;
  config.architecture = "gemma4";
  config.model_dim = 8;
  config.layers.resize(2);
  return config;
}

// Each field that changes what a model computes changes the number.
TEST(Fingerprint, CoversTheConfiguration) {
  const std::function<void(ModelConfig&)> changes[] = {
      [](ModelConfig&) {},
      [](ModelConfig& c) { c.model_dim = 9; },
      [](ModelConfig& c) { c.qk_norm = true; },
      [](ModelConfig& c) { c.value_norm = true; },
      [](ModelConfig& c) { c.layer_scales = true; },
      [](ModelConfig& c) { c.per_layer_dim = 4; },
      [](ModelConfig& c) { c.per_layer_dim = 4, c.per_layer_vocab = 4; },
      [](ModelConfig& c) { c.per_layer_dim = 4, c.per_layer_scale = 2; },
      [](ModelConfig& c) { c.layers[0].k_eq_v = true; },
      [](ModelConfig& c) { c.layers[1].k_eq_v = true; },
      [](ModelConfig& c) { c.layers[1].kv_source = 0; },
      [](ModelConfig& c) { c.layers[0].rope.num_rotating = 1; },
      [](ModelConfig& c) { c.layers[0].num_experts = 2; },
      [](ModelConfig& c) {
        c.layers[0].num_experts = 2, c.layers[0].experts_used = 1;
      },
      [](ModelConfig& c) {
        c.layers[0].num_experts = 2, c.layers[0].expert_dim = 1;
      },
      [](ModelConfig& c) { c.layers.resize(3); }};
  Weights weights;
  weights.layers.resize(2);
  std::set<uint64_t> found;
  for (const auto& change : changes) {
    ModelConfig config = TwoLayers();
    change(config);
    EXPECT_TRUE(
        found.insert(Fingerprint(config, {}, /*tokenizer=*/nullptr, weights))
            .second);
  }
}

}  // namespace
}  // namespace gemma::internal
