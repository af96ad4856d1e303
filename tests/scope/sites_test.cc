// Reads and changes at Gemma Scope's sites, compared with transformers' hooks
// and NumPy.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "gtest/gtest.h"
#include "tests/scope/toy_autoencoders.h"
#include "tests/support/near.h"

namespace gemma::internal {
namespace {

constexpr double kTolerance = 1e-4;

class Sites : public ::testing::TestWithParam<ToySite> {
 protected:
  Sites()
      : model_(LoadToy({"", GetParam().toy})),
        autoencoder_(LoadToyAutoencoder(GetParam().file)) {}

  // Returns the logits of the last `count` positions after a change.
  std::vector<float> LastLogits(const FeatureChange& change, size_t count) {
    Session session = NewSession(model_);
    Attach({.changes = {change}}, session);
    const std::vector<float> all = AllLogits(session, GetParam().Tokens());
    return {all.end() - static_cast<std::ptrdiff_t>(count), all.end()};
  }

  Model model_;
  SparseAutoencoder autoencoder_;
};

INSTANTIATE_TEST_SUITE_P(Toys, Sites, ::testing::ValuesIn(AllToySites()),
                         [](const auto& site) {
                           return site.param.toy + "_" + site.param.name;
                         });

TEST_P(Sites, AreReadFromFiles) {
  const FeatureSite& site = autoencoder_.site();
  EXPECT_EQ(site.input, GetParam().site.input);
  EXPECT_EQ(site.output, GetParam().site.output);
  EXPECT_EQ(site.layer, GetParam().site.layer);
  EXPECT_EQ(site.normalize, GetParam().site.normalize);
}

// Divides rows by their root mean square.
void Normalize(size_t columns, std::vector<float>* x) {
  for (size_t begin = 0; begin < x->size(); begin += columns) {
    double squares = 0;
    for (size_t i = 0; i < columns; ++i) {
      squares += double{(*x)[begin + i]} * (*x)[begin + i];
    }
    const double root =
        std::sqrt(squares / static_cast<double>(columns) + 1e-6);
    for (size_t i = 0; i < columns; ++i) {
      (*x)[begin + i] = static_cast<float>((*x)[begin + i] / root);
    }
  }
}

TEST_P(Sites, EqualTransformersHooks) {
  const FeatureSite& site = GetParam().site;
  Session session = NewSession(model_);
  std::vector<float> input;
  std::vector<float> output;
  session.SetTap([&](const TapSite& at, absl::Span<float> x) {
    if (at.layer != site.layer) return;
    if (at.point == site.input) input.insert(input.end(), x.begin(), x.end());
    if (at.point == site.output) {
      output.insert(output.end(), x.begin(), x.end());
    }
  });
  ASSERT_TRUE(session.Append(GetParam().Tokens()).ok());
  if (site.normalize) Normalize(autoencoder_.input_dim(), &input);
  EXPECT_LE(RelativeError(input, GetParam().Floats("in")), kTolerance);
  if (site.input != site.output) {
    EXPECT_LE(RelativeError(output, GetParam().Floats("out")), kTolerance);
  }
}

TEST_P(Sites, FeaturesEqualNumPy) {
  const std::vector<float> expected = GetParam().Floats("features");
  for (const FeatureWeights weights :
       {FeatureWeights::kFloat32, FeatureWeights::kBFloat16}) {
    // The toys' weights are bfloat16 values.
    const SparseAutoencoder autoencoder =
        LoadToyAutoencoder(GetParam().file, weights);
    const size_t num_features = autoencoder.num_features();
    std::vector<float> actual(expected.size());
    Session session = NewSession(model_);
    Attach({.readers = {{&autoencoder}},
            .on_features =
                [&](const TokenFeatures& of) {
                  for (const Feature& feature : of.features) {
                    actual.at(of.position * num_features + feature.index) =
                        feature.value;
                  }
                }},
           session);
    ASSERT_TRUE(session.Append(GetParam().Tokens()).ok());
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(actual[i] > 0, expected[i] > 0) << "value " << i;
      EXPECT_NEAR(actual[i], expected[i],
                  kTolerance * std::max(1.0f, expected[i]));
    }
  }
}

TEST_P(Sites, SteeredLogitsEqualTransformers) {
  const std::vector<float> expected = GetParam().Floats("steered");
  EXPECT_LE(RelativeError(LastLogits({&autoencoder_, GetParam().Feature(),
                                      GetParam().Strength()},
                                     expected.size()),
                          expected),
            kTolerance);
}

TEST_P(Sites, AblatedLogitsEqualTransformers) {
  const std::vector<float> expected = GetParam().Floats("ablated");
  EXPECT_LE(RelativeError(
                LastLogits({&autoencoder_, GetParam().Feature(), 0.0f, true},
                           expected.size()),
                expected),
            kTolerance);
}

// The comparisons above would notice a missing change.
TEST_P(Sites, ChangesShow) {
  const std::vector<float> steered = GetParam().Floats("steered");
  const std::vector<float> ablated = GetParam().Floats("ablated");
  const std::vector<float> plain =
      LastLogits({&autoencoder_, GetParam().Feature()}, steered.size());
  EXPECT_GT(RelativeError(plain, steered), 10 * kTolerance);
  EXPECT_GT(RelativeError(plain, ablated), 10 * kTolerance);
}

}  // namespace
}  // namespace gemma::internal
