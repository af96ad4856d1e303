// The toy autoencoders of tests/testdata/scope and the results of transformers
// and NumPy; see tools/reference/scope_sites.py.

#ifndef GEMMA_TESTS_SCOPE_TOY_AUTOENCODERS_H_
#define GEMMA_TESTS_SCOPE_TOY_AUTOENCODERS_H_

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {

inline std::string ScopePath(const std::string& name) {
  return absl::StrCat(GEMMA_TESTDATA_DIR, "/scope/", name);
}

// An autoencoder of a toy model, and the site in its files.
struct ToySite {
  std::string toy;
  std::string name;  // in the arrays of the toy's reference
  std::string file;
  FeatureSite site;

  std::string Reference() const { return ScopePath(toy + ".npz"); }
  std::vector<float> Floats(const std::string& array) const {
    return ReadFloats(Reference(), name + "_" + array);
  }
  std::vector<TokenId> Tokens() const { return ReadTokens(Reference(), "ids"); }
  size_t Feature() const {
    return ReadTokens(Reference(), name + "_feature")[0];
  }
  float Strength() const { return Floats("strength")[0]; }
};

inline std::ostream& operator<<(std::ostream& out, const ToySite& site) {
  return out << site.toy << " " << site.name;
}

inline std::vector<ToySite> AllToySites() {
  using enum TapPoint;
  const std::string of_1 = "gemma-scope-toy-pt-";
  const std::string layer = "/layer_1/width_24/average_l0_6/params.npz";
  const std::string of_2 = "gemma-scope-2-toy-pt/";
  const std::string file = "/layer_3_width_24_l0_small/params.safetensors";
  const std::string of_4 = "gemma-scope-2-e2b-pt/";
  const std::string of_3n = "gemma-scope-2-3n-pt/";
  const std::string of_experts = "gemma-scope-2-moe-pt/";
  const std::string file_1 = "/layer_1_width_24_l0_small/params.safetensors";
  return {
      {"gemma2_odd",
       "res",
       of_1 + "res" + layer,
       {kBlockOutput, kBlockOutput, 1}},
      {"gemma2_odd", "att", of_1 + "att" + layer, {kMixHidden, kMixHidden, 1}},
      {"gemma2_odd", "mlp", of_1 + "mlp" + layer, {kFfwOutput, kFfwOutput, 1}},
      {"gemma2_odd",
       "transcoder",
       of_1 + "transcoders" + layer,
       {kMixedStream, kFfwOutput, 1, /*normalize=*/true}},
      {"gemma2_odd",
       "embedding",
       of_1 + "res/embedding/width_24/average_l0_6/params.npz",
       {kEmbedding, kEmbedding, 0}},
      {"gemma3_noscale",
       "resid_post",
       of_2 + "resid_post" + file,
       {kBlockOutput, kBlockOutput, 3}},
      {"gemma3_noscale",
       "attn_out",
       of_2 + "attn_out" + file,
       {kMixHidden, kMixHidden, 3}},
      {"gemma3_noscale",
       "mlp_out",
       of_2 + "mlp_out" + file,
       {kFfwOutput, kFfwOutput, 3}},
      {"gemma3_noscale",
       "transcoder",
       of_2 + "transcoder" + file,
       {kFfwInput, kFfwOutput, 3}},
      {"gemma4_e2b",
       "resid_post",
       of_4 + "resid_post" + file,
       {kBlockOutput, kBlockOutput, 3}},
      {"gemma4_e2b",
       "attn_out",
       of_4 + "attn_out" + file,
       {kMixHidden, kMixHidden, 3}},
      {"gemma4_e2b",
       "mlp_out",
       of_4 + "mlp_out" + file,
       {kFfwOutput, kFfwOutput, 3}},
      {"gemma4_e2b",
       "transcoder",
       of_4 + "transcoder" + file,
       {kFfwInput, kFfwOutput, 3}},
      {"gemma3n",
       "resid_post",
       of_3n + "resid_post" + file,
       {kBlockOutput, kBlockOutput, 3}},
      {"gemma3n",
       "attn_out",
       of_3n + "attn_out" + file,
       {kMixHidden, kMixHidden, 3}},
      {"gemma3n",
       "mlp_out",
       of_3n + "mlp_out" + file,
       {kFfwOutput, kFfwOutput, 3}},
      {"gemma3n",
       "transcoder",
       of_3n + "transcoder" + file,
       {kFfwInput, kFfwOutput, 3}},
      {"gemma4_moe",
       "mlp_out",
       of_experts + "mlp_out" + file_1,
       {kFfwOutput, kFfwOutput, 1}},
      {"gemma4_moe",
       "transcoder",
       of_experts + "transcoder" + file_1,
       {kFfwInput, kFfwOutput, 1}},
  };
}

// Loads an autoencoder. Failure fails the test.
inline SparseAutoencoder LoadToyAutoencoder(
    const std::string& file,
    FeatureWeights weights = FeatureWeights::kFloat32) {
  SparseAutoencoderOptions options;
  options.weights = weights;
  auto autoencoder = SparseAutoencoder::Load(ScopePath(file), options);
  EXPECT_EQ(ErrorOf(autoencoder), "OK");
  return *std::move(autoencoder);
}

// Sets a tap. Failure fails the test.
inline void Attach(FeatureTapOptions options, Session& session) {
  auto tap = FeatureTap(session.model(), std::move(options));
  EXPECT_EQ(ErrorOf(tap), "OK");
  if (tap.ok()) session.SetTap(*std::move(tap));
}

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SCOPE_TOY_AUTOENCODERS_H_
