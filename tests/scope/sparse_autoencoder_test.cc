// Compares features and reconstructions with NumPy, PyTorch (see
// tools/reference/scope_arrays.py) and double precision.

#include "gemma/sparse_autoencoder.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "compression/codec.h"
#include "compression/packed_row.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/scope/autoencoder_impl.h"
#include "tests/support/autoencoder_files.h"
#include "tests/support/error_of.h"
#include "tests/support/near.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

const std::string kArrays = GEMMA_TESTDATA_DIR "/scope/arrays/";
constexpr FeatureWeights kAllWeights[] = {
    FeatureWeights::kFloat32, FeatureWeights::kBFloat16, FeatureWeights::kInt8};

SparseAutoencoder LoadOrDie(const std::string& path,
                            const SparseAutoencoderOptions& options) {
  absl::StatusOr<SparseAutoencoder> loaded =
      SparseAutoencoder::Load(path, options);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return *std::move(loaded);
}

SparseAutoencoder FromArrays(const FileArrays& arrays,
                             SparseAutoencoderOptions options) {
  const std::string path = TestDirectory() + "/params.npz";
  WriteFile(path, NpzOf(arrays, Packing::kStored));
  return LoadOrDie(path, options);
}

std::vector<float> Read(const std::string& name) {
  return ReadFloats(kArrays + "reference.npz", name);
}

std::vector<std::vector<Feature>> Encode(const SparseAutoencoder& autoencoder,
                                         absl::Span<const float> x,
                                         size_t top_k = 0) {
  auto features = autoencoder.Encode(x, top_k);
  EXPECT_TRUE(features.ok()) << features.status();
  return *std::move(features);
}

std::vector<float> Dense(const SparseAutoencoder& autoencoder,
                         const std::vector<Feature>& features) {
  std::vector<float> dense(autoencoder.num_features());
  for (const Feature& feature : features) {
    dense[feature.index] = feature.value;
  }
  return dense;
}

// Compares each row of `x` with the reference's result.
void ExpectReference(const SparseAutoencoder& autoencoder,
                     const std::string& prefix, const std::string& ending,
                     double tolerance) {
  const std::vector<float> x = Read(prefix + "x");
  const std::vector<float> expected = Read(prefix + "features" + ending);
  const std::vector<float> outs = Read(prefix + "reconstruction" + ending);
  const size_t n = autoencoder.num_features();
  const size_t width = autoencoder.output_dim();
  const auto features = Encode(autoencoder, x);
  ASSERT_EQ(features.size(), x.size() / autoencoder.input_dim());
  ASSERT_EQ(expected.size(), features.size() * n);
  std::vector<float> out(width);
  double squares = 0;
  for (size_t row = 0; row < features.size(); ++row) {
    const std::vector<float> dense = Dense(autoencoder, features[row]);
    size_t active = 0;
    for (size_t i = 0; i < n; ++i) {
      const float want = expected[row * n + i];
      EXPECT_EQ(dense[i] > 0, want > 0) << "row " << row << ", feature " << i;
      EXPECT_NEAR(dense[i], want, tolerance) << "feature " << i;
      active += want > 0;
    }
    EXPECT_EQ(features[row].size(), active);
    EXPECT_GT(active, 0u);
    const auto row_of_x = absl::MakeConstSpan(x).subspan(
        row * autoencoder.input_dim(), autoencoder.input_dim());
    ASSERT_TRUE(
        autoencoder.Decode(features[row], row_of_x, absl::MakeSpan(out)).ok());
    for (size_t i = 0; i < width; ++i) {
      EXPECT_NEAR(out[i], outs[row * width + i], tolerance) << "column " << i;
      if (prefix.empty()) squares += std::pow(row_of_x[i] - out[i], 2.0);
    }
  }
  if (!prefix.empty()) return;
  // The error of the reconstruction.
  EXPECT_NEAR(squares / static_cast<double>(outs.size()),
              Read("error" + ending)[0], tolerance);
}

TEST(SparseAutoencoder, EqualsTheReference) {
  ExpectReference(LoadOrDie(kArrays + "params.npz", AtLayer1()), "", "", 1e-5);
  ExpectReference(LoadOrDie(kArrays + "stored.npz", AtLayer1()), "", "", 1e-5);
  ExpectReference(LoadOrDie(kArrays + "double.npz", AtLayer1()), "", "", 1e-5);
  ExpectReference(
      LoadOrDie(kArrays + "params.npz", AtLayer1(FeatureWeights::kBFloat16)),
      "", "_bf16", 1e-5);
}

TEST(SparseAutoencoder, AffineTranscoderEqualsReference) {
  ExpectReference(
      LoadOrDie(kArrays + "affine_f32", {.weights = FeatureWeights::kFloat32}),
      "affine_", "", 1e-5);
  ExpectReference(LoadOrDie(kArrays + "affine_f32/params.safetensors", {}),
                  "affine_", "_bf16", 1e-5);
}

TEST(SparseAutoencoder, ReadsOtherFloats) {
  const SparseAutoencoder exact = LoadOrDie(kArrays + "params.npz", AtLayer1());
  const SparseAutoencoder half = LoadOrDie(kArrays + "half.npz", AtLayer1());
  const SparseAutoencoder affine =
      LoadOrDie(kArrays + "affine_f32", {.weights = FeatureWeights::kFloat32});
  for (size_t feature = 0; feature < exact.num_features(); ++feature) {
    const auto compare = [&](const SparseAutoencoder& a,
                             const SparseAutoencoder& b, float relative) {
      const std::vector<float> from = a.Direction(feature).value();
      const std::vector<float> to = b.Direction(feature).value();
      ASSERT_EQ(from.size(), to.size());
      for (size_t i = 0; i < from.size(); ++i) {
        EXPECT_NEAR(to[i], from[i], relative * std::abs(from[i]) + 1e-7f);
      }
    };
    compare(exact, half, 0x1p-11f);
    for (const std::string name : {"affine_f16", "affine_bf16"}) {
      compare(affine,
              LoadOrDie(kArrays + name, {.weights = FeatureWeights::kFloat32}),
              name == "affine_f16" ? 0x1p-11f : 0x1p-8f);
    }
  }
}

TEST(SparseAutoencoder, SaysWhatItIs) {
  const SparseAutoencoder affine = LoadOrDie(kArrays + "affine_f32", {});
  EXPECT_EQ(affine.input_dim(), 37u);
  EXPECT_EQ(affine.output_dim(), 21u);
  EXPECT_EQ(affine.num_features(), 52u);
  EXPECT_TRUE(affine.has_affine_skip());
  EXPECT_EQ(affine.site().input, TapPoint::kFfwInput);
  EXPECT_EQ(affine.site().output, TapPoint::kFfwOutput);
  EXPECT_EQ(affine.site().layer, 3u);
  EXPECT_FALSE(affine.site().normalize);
  const SparseAutoencoder plain = LoadOrDie(kArrays + "params.npz", AtLayer1());
  EXPECT_FALSE(plain.has_affine_skip());
  EXPECT_EQ(plain.site().output, TapPoint::kBlockOutput);
  EXPECT_EQ(plain.site().layer, 1u);
}

// Memory holds each weight once, in the type that the caller chose.
TEST(SparseAutoencoder, HoldsWeightsOnce) {
  const FileArrays arrays = RandomArrays(64, 160, 64, 1);
  const size_t vectors = (160 + 160 + 64) * sizeof(float);
  const auto bytes = [&](FeatureWeights weights) {
    return FromArrays(arrays, AtLayer1(weights)).memory_bytes() - vectors;
  };
  EXPECT_EQ(bytes(FeatureWeights::kFloat32), 2 * 160 * 64 * 4u);
  EXPECT_EQ(bytes(FeatureWeights::kBFloat16), 2 * 160 * 64 * 2u);
  EXPECT_EQ(bytes(FeatureWeights::kInt8), 2 * 160 * 64 / 32 * 34u);
}

// The expected results, computed from the rounded weights.
struct Expected {
  Expected(const SparseAutoencoder& autoencoder, const FileArrays& arrays,
           absl::Span<const float> x)
      : pre(arrays.at("b_enc").values.begin(),
            arrays.at("b_enc").values.end()) {
    const PackedView& w = autoencoder.impl().encoder.view;
    std::vector<float> row(w.cols);
    for (size_t i = 0; i < pre.size(); ++i) {
      DecodePackedRow(w, i, row.data());
      for (size_t c = 0; c < x.size(); ++c) {
        pre[i] += static_cast<double>(x[c]) * row[c];
      }
    }
  }

  std::vector<double> pre;
};

// Returns the share of all listed features that are in both lists.
double Overlap(const std::vector<Feature>& a, const std::vector<Feature>& b) {
  size_t both = 0;
  for (const Feature& feature : a) {
    both += std::any_of(b.begin(), b.end(), [&](const Feature& other) {
      return other.index == feature.index;
    });
  }
  return static_cast<double>(both) /
         static_cast<double>(a.size() + b.size() - both);
}

// The width of Gemma 3 270M's stream and a published number of features.
// Features and values equal those of the rounded weights. The cost of rounding
// the weights is bounded.
TEST(SparseAutoencoder, PublishedShapeEqualsDouble) {
  const FileArrays arrays = RandomArrays(640, 16384, 640, 9);
  const std::vector<float>& threshold = arrays.at("threshold").values;
  const std::vector<float> x = RandomVector(2 * 640, 10);
  const std::string path = TestDirectory() + "/params.safetensors";
  WriteFile(path, SafetensorsOf(arrays));
  std::vector<std::vector<Feature>> exact;
  for (const FeatureWeights weights : kAllWeights) {
    const SparseAutoencoder autoencoder = LoadOrDie(path, AtLayer1(weights));
    const auto features = Encode(autoencoder, x);
    if (exact.empty()) exact = features;
    for (size_t row = 0; row < 2; ++row) {
      const Expected expected(autoencoder, arrays,
                              absl::MakeConstSpan(x).subspan(row * 640, 640));
      const std::vector<float> dense = Dense(autoencoder, features[row]);
      for (size_t i = 0; i < dense.size(); ++i) {
        const double above = expected.pre[i] - threshold[i];
        if (std::abs(above) < 1e-5) continue;  // may round either way
        EXPECT_EQ(dense[i] > 0, above > 0) << "feature " << i;
        // The largest measured error is 7e-6.
        EXPECT_NEAR(dense[i], above > 0 ? expected.pre[i] : 0.0, 2e-5);
      }
      ASSERT_GT(features[row].size(), 500u);
      const double overlap = Overlap(features[row], exact[row]);
      EXPECT_GT(overlap, weights == FeatureWeights::kInt8 ? 0.97 : 0.99);
    }
  }
}

TEST(SparseAutoencoder, Int8StaysClose) {
  const SparseAutoencoderOptions int8 = {.weights = FeatureWeights::kInt8};
  ExpectReference(
      LoadOrDie(kArrays + "params.npz", AtLayer1(FeatureWeights::kInt8)), "",
      "", 0.02);
  ExpectReference(LoadOrDie(kArrays + "affine_f32", int8), "affine_", "", 0.02);
}

TEST(SparseAutoencoder, TopKAreStrongest) {
  const FileArrays arrays = RandomArrays(50, 300, 50, 2);
  const SparseAutoencoder autoencoder = FromArrays(arrays, AtLayer1());
  const std::vector<float> x = RandomVector(50, 3);
  std::vector<Feature> all = Encode(autoencoder, x)[0];
  ASSERT_GT(all.size(), 5u);
  EXPECT_TRUE(std::is_sorted(
      all.begin(), all.end(),
      [](const Feature& a, const Feature& b) { return a.index < b.index; }));
  std::sort(all.begin(), all.end(), [](const Feature& a, const Feature& b) {
    return a.value > b.value;
  });
  for (const size_t top_k : {1, 3, 1000}) {
    const std::vector<Feature> top = Encode(autoencoder, x, top_k)[0];
    ASSERT_EQ(top.size(), std::min(top_k, all.size()));
    for (size_t i = 0; i < top.size(); ++i) {
      EXPECT_EQ(top[i].index, all[i].index);
      EXPECT_EQ(top[i].value, all[i].value);
    }
  }
}

TEST(SparseAutoencoder, NormalizesAsSiteSays) {
  const FileArrays arrays = RandomArrays(40, 200, 24, 4);
  SparseAutoencoderOptions options;
  options.site = {TapPoint::kMixedStream, TapPoint::kFfwOutput, 2, true};
  for (const FeatureWeights weights : kAllWeights) {
    options.weights = weights;
    options.site->normalize = true;
    const SparseAutoencoder normalizing = FromArrays(arrays, options);
    options.site->normalize = false;
    const SparseAutoencoder plain = FromArrays(arrays, options);
    std::vector<float> x = RandomVector(3 * 40, 5);
    for (float& value : x) value *= 30.0f;
    const auto actual = Encode(normalizing, x);
    for (size_t row = 0; row < 3; ++row) {
      double squares = 0;
      for (size_t i = 0; i < 40; ++i) {
        squares += std::pow(x[row * 40 + i], 2.0) / 40;
      }
      for (size_t i = 0; i < 40; ++i) {
        x[row * 40 + i] =
            static_cast<float>(x[row * 40 + i] / std::sqrt(squares + 1e-6));
      }
    }
    const auto expected = Encode(plain, x);
    for (size_t row = 0; row < 3; ++row) {
      EXPECT_GT(expected[row].size(), 0u);
      EXPECT_LT(RelativeError(Dense(normalizing, actual[row]),
                              Dense(plain, expected[row])),
                1e-5);
    }
  }
}

// Some features alone have the same bits as among all.
TEST(SparseAutoencoder, FeatureSubsetSameBits) {
  const FileArrays arrays = RandomArrays(33, 100, 33, 6);
  for (const FeatureWeights weights : kAllWeights) {
    const SparseAutoencoder autoencoder = FromArrays(arrays, AtLayer1(weights));
    std::vector<float> x = RandomVector(20 * 33, 7);
    x[3 * 33] = NAN;
    const auto all = Encode(autoencoder, x);
    const std::vector<size_t> some = {99, 0, 15, 16, 42, 42};
    const std::vector<float> values = autoencoder.impl().EncodeSome(x, some);
    ASSERT_EQ(values.size(), 20 * some.size());
    size_t active = 0;
    for (size_t row = 0; row < 20; ++row) {
      const std::vector<float> dense = Dense(autoencoder, all[row]);
      for (size_t i = 0; i < some.size(); ++i) {
        EXPECT_EQ(values[row * some.size() + i], dense[some[i]]);
        active += dense[some[i]] > 0;
      }
    }
    EXPECT_GT(active, 0u);
  }
}

TEST(SparseAutoencoder, DecodingAddsDirections) {
  const FileArrays arrays = RandomArrays(33, 30, 33, 8);
  for (const FeatureWeights weights : kAllWeights) {
    const SparseAutoencoder autoencoder = FromArrays(arrays, AtLayer1(weights));
    std::vector<float> none(33), one(33);
    ASSERT_TRUE(autoencoder.Decode({}, {}, absl::MakeSpan(none)).ok());
    EXPECT_EQ(none, arrays.at("b_dec").values);
    const Feature feature = {17, 2.0f};
    ASSERT_TRUE(autoencoder.Decode({feature}, {}, absl::MakeSpan(one)).ok());
    const std::vector<float> direction = autoencoder.Direction(17).value();
    for (size_t i = 0; i < 33; ++i) {
      EXPECT_NEAR(one[i], none[i] + 2.0f * direction[i], 1e-6);
      EXPECT_NEAR(direction[i], arrays.at("W_dec").values[17 * 33 + i], 1e-3);
    }
  }
}

// A negative threshold counts as zero: no feature is negative.
TEST(SparseAutoencoder, NegativeThresholdsAreZero) {
  FileArrays arrays = RandomArrays(20, 60, 20, 11);
  std::fill(arrays["threshold"].values.begin(),
            arrays["threshold"].values.end(), -5.0f);
  const SparseAutoencoder negative = FromArrays(arrays, AtLayer1());
  std::fill(arrays["threshold"].values.begin(),
            arrays["threshold"].values.end(), 0.0f);
  const SparseAutoencoder zero = FromArrays(arrays, AtLayer1());
  const std::vector<float> x = RandomVector(20, 12);
  EXPECT_EQ(Dense(negative, Encode(negative, x)[0]),
            Dense(zero, Encode(zero, x)[0]));
  const size_t active = Encode(zero, x)[0].size();
  EXPECT_GT(active, 15u);
  EXPECT_LT(active, 45u);
}

TEST(SparseAutoencoder, RefusesBadArguments) {
  const SparseAutoencoder autoencoder =
      FromArrays(RandomArrays(20, 60, 20, 13), AtLayer1());
  EXPECT_EQ(ErrorOf(autoencoder.Encode(std::vector<float>(21))),
            "x has 21 values, wanted whole rows of 20");
  EXPECT_TRUE(autoencoder.Encode({})->empty());
  EXPECT_EQ(ErrorOf(autoencoder.Direction(60)),
            "feature 60 does not exist, wanted 0 to 59");
  std::vector<float> out(20);
  const std::vector<float> x(19);
  EXPECT_EQ(ErrorOf(autoencoder.Decode({}, x, absl::MakeSpan(out))),
            "x has 19 values, wanted 20");
  EXPECT_EQ(ErrorOf(autoencoder.Decode({}, {}, absl::MakeSpan(out).first(19))),
            "out has 19 values, wanted 20");
  EXPECT_THAT(ErrorOf(autoencoder.Decode({{1, 1.0f}, {60, 1.0f}}, {},
                                         absl::MakeSpan(out))),
              HasSubstr("feature 60 does not exist"));
}

TEST(SparseAutoencoder, MovesAndIsShared) {
  SparseAutoencoder first =
      FromArrays(RandomArrays(64, 500, 64, 14), AtLayer1());
  const std::vector<float> x = RandomVector(3 * 64, 15);
  const auto expected = Encode(first, x);
  const SparseAutoencoder moved = std::move(first);
  std::vector<std::thread> threads;
  std::vector<std::vector<std::vector<Feature>>> results(3);
  for (auto& result : results) {
    threads.emplace_back([&] { result = Encode(moved, x); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) {
    for (size_t row = 0; row < 3; ++row) {
      EXPECT_EQ(Dense(moved, result[row]), Dense(moved, expected[row]));
    }
  }
}

}  // namespace
}  // namespace gemma::internal
