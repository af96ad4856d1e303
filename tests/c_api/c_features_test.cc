// Tests that autoencoders and steering are in C what they are in C++.

#include "gemma/c_features.h"

#include <string>
#include <vector>

#include "gemma/c_engine.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_toys.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

std::string ResidualPath() {
  return TestFile(
      "scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4");
}

class CFeatures : public ::testing::Test {
 protected:
  CFeatures() : same_(*SparseAutoencoder::Load(ResidualPath())) {
    EXPECT_EQ(
        gemma_autoencoder_load(ResidualPath().c_str(), nullptr, &autoencoder_),
        GEMMA_OK)
        << gemma_last_error();
  }
  ~CFeatures() override { gemma_autoencoder_free(autoencoder_); }

  // Returns rows [rows, input_dim] of different values.
  std::vector<float> Rows(size_t rows) const {
    std::vector<float> x(rows * same_.input_dim());
    for (size_t i = 0; i < x.size(); ++i) x[i] = float(i * 37 % 101) - 50;
    return x;
  }

  const CToy& toy_ = Gemma3Toy();
  SparseAutoencoder same_;
  gemma_autoencoder* autoencoder_ = nullptr;
};

TEST_F(CFeatures, InfoEqualsAutoencoder) {
  gemma_autoencoder_info info = Initialized(gemma_autoencoder_info_init);
  ASSERT_EQ(gemma_autoencoder_get_info(autoencoder_, &info), GEMMA_OK);
  EXPECT_EQ(info.input_dim, same_.input_dim());
  EXPECT_EQ(info.output_dim, same_.output_dim());
  EXPECT_EQ(info.num_features, same_.num_features());
  EXPECT_EQ(info.memory_bytes, same_.memory_bytes());
  EXPECT_EQ(info.has_affine_skip, same_.has_affine_skip());
  EXPECT_EQ(info.site.layer, 1u);
  EXPECT_EQ(info.site.input, GEMMA_TAP_BLOCK_OUTPUT);
  EXPECT_FALSE(info.site.normalize);
  EXPECT_EQ(gemma_autoencoder_check_fits(autoencoder_, toy_.model), GEMMA_OK);
  const CToy other(TestFile("gguf/gemma4_moe.gguf"));
  EXPECT_EQ(gemma_autoencoder_check_fits(autoencoder_, other.model),
            GEMMA_INVALID_ARGUMENT);
}

TEST_F(CFeatures, OptionsAreHonoured) {
  gemma_autoencoder_options options =
      Initialized(gemma_autoencoder_options_init);
  gemma_feature_site site;
  ASSERT_EQ(gemma_feature_site_parse("mlp@2", &site), GEMMA_OK);
  options.weights = GEMMA_FEATURES_INT8;
  options.site = &site;
  gemma_autoencoder* loaded = nullptr;
  ASSERT_EQ(gemma_autoencoder_load(ResidualPath().c_str(), &options, &loaded),
            GEMMA_OK);
  gemma_autoencoder_info info = Initialized(gemma_autoencoder_info_init);
  ASSERT_EQ(gemma_autoencoder_get_info(loaded, &info), GEMMA_OK);
  EXPECT_LT(info.memory_bytes, same_.memory_bytes());
  std::string text(20, ' ');
  size_t size = 0;
  ASSERT_EQ(
      gemma_feature_site_text(&info.site, text.data(), text.size(), &size),
      GEMMA_OK);
  EXPECT_EQ(text.substr(0, size), "mlp@2");
  gemma_autoencoder_free(loaded);
  for (const char* each :
       {"res@12", "att@3", "transcoder@0", "transcoder2@7", "embedding"}) {
    ASSERT_EQ(gemma_feature_site_parse(each, &site), GEMMA_OK);
    ASSERT_EQ(gemma_feature_site_text(&site, text.data(), text.size(), &size),
              GEMMA_OK);
    EXPECT_EQ(text.substr(0, size), each);
  }
  EXPECT_EQ(gemma_feature_site_parse("res", &site), GEMMA_INVALID_ARGUMENT);
  site.input = static_cast<gemma_tap_point>(16);
  ExpectRefused(gemma_feature_site_text(&site, text.data(), 1, &size),
                "site.input is 16, wanted 0 to 15");
  options.weights = static_cast<gemma_feature_weights>(3);
  ExpectRefused(
      gemma_autoencoder_load(ResidualPath().c_str(), &options, &loaded),
      "weights is 3, wanted 0 to 2");
}

TEST_F(CFeatures, EncodesAndDecodes) {
  const std::vector<float> x = Rows(5);
  for (const size_t top_k : {0, 2}) {
    const auto expected = same_.Encode(x, top_k);
    ASSERT_TRUE(expected.ok());
    std::vector<Feature> flat;
    std::vector<size_t> wanted_sizes;
    for (const auto& row : *expected) {
      flat.insert(flat.end(), row.begin(), row.end());
      wanted_sizes.push_back(row.size());
    }
    ASSERT_FALSE(flat.empty());
    size_t size = 0;
    std::vector<size_t> sizes(5);
    EXPECT_EQ(gemma_autoencoder_encode(autoencoder_, x.data(), 5, top_k,
                                       nullptr, 0, &size, sizes.data()),
              GEMMA_OUT_OF_RANGE);
    ASSERT_EQ(size, flat.size());
    EXPECT_EQ(sizes, std::vector<size_t>(5));
    std::vector<gemma_feature> features(size);
    ASSERT_EQ(
        gemma_autoencoder_encode(autoencoder_, x.data(), 5, top_k,
                                 features.data(), size, &size, sizes.data()),
        GEMMA_OK);
    EXPECT_EQ(sizes, wanted_sizes);
    for (size_t i = 0; i < flat.size(); ++i) {
      EXPECT_EQ(features[i].index, flat[i].index);
      EXPECT_EQ(features[i].value, flat[i].value);
    }
    std::vector<float> want(same_.output_dim()), out(same_.output_dim());
    ASSERT_TRUE(same_.Decode((*expected)[0], {}, absl::MakeSpan(want)).ok());
    ASSERT_EQ(gemma_autoencoder_decode(autoencoder_, features.data(), sizes[0],
                                       nullptr, out.data()),
              GEMMA_OK);
    EXPECT_EQ(out, want);
  }
  std::vector<float> direction(same_.output_dim());
  ASSERT_EQ(gemma_autoencoder_direction(autoencoder_, 3, direction.data()),
            GEMMA_OK);
  EXPECT_EQ(direction, *same_.Direction(3));
  EXPECT_EQ(gemma_autoencoder_direction(autoencoder_, 16, direction.data()),
            GEMMA_INVALID_ARGUMENT);
}

// Numbers of features that were found: reader, position, index, value.
using Found = std::vector<std::vector<double>>;

void FindFeatures(const gemma_token_features* token, void* user) {
  for (size_t i = 0; i < token->num_features; ++i) {
    static_cast<Found*>(user)->push_back(
        {double(token->reader), double(token->position),
         double(token->features[i].index), token->features[i].value});
  }
}

TEST_F(CFeatures, TapsReadAndSteer) {
  const std::vector<int32_t> prompt = HelloPrompt(toy_);
  Found expected_found, found;
  FeatureTapOptions same;
  same.readers = {{&same_, 2}, {&same_, 0, {1, 3}}};
  same.changes = {{&same_, 5, 40.0f, true}};
  same.on_features = [&](const TokenFeatures& token) {
    for (const Feature& feature : token.features) {
      expected_found.push_back({double(token.reader), double(token.position),
                                double(feature.index), feature.value});
    }
  };
  const auto tap_function = FeatureTap(toy_.same, same);
  ASSERT_TRUE(tap_function.ok());
  Session session = NewSession(toy_.same);
  session.SetTap(*tap_function);
  const auto want = session.Forward(prompt);
  ASSERT_TRUE(want.ok());

  const size_t some[] = {1, 3};
  const gemma_feature_reader readers[] = {{autoencoder_, 2, nullptr, 0},
                                          {autoencoder_, 0, some, 2}};
  const gemma_feature_change changes[] = {{autoencoder_, 5, 40.0f, true}};
  gemma_feature_tap_options options =
      Initialized(gemma_feature_tap_options_init);
  options.readers = readers;
  options.num_readers = 2;
  options.changes = changes;
  options.num_changes = 1;
  options.on_features = FindFeatures;
  options.user = &found;
  gemma_feature_tap* tap = nullptr;
  ASSERT_EQ(gemma_feature_tap_create(toy_.model, &options, &tap), GEMMA_OK)
      << gemma_last_error();
  const CSequence made(toy_);
  ASSERT_EQ(gemma_session_set_feature_tap(made.session, tap), GEMMA_OK);
  const float* logits = nullptr;
  ASSERT_EQ(gemma_session_forward(made.session, prompt.data(), prompt.size(),
                                  &logits),
            GEMMA_OK);
  EXPECT_EQ(absl::Span<const float>(logits, want->size()), *want);
  EXPECT_EQ(found, expected_found);
  EXPECT_FALSE(found.empty());

  // The same for a request of an engine.
  Found alone = found;
  found.clear();
  gemma_engine* engine = nullptr;
  ASSERT_EQ(gemma_engine_create(toy_.model, nullptr, &engine), GEMMA_OK);
  gemma_request request = Initialized(gemma_request_init);
  gemma_generate_options answer = Initialized(gemma_generate_options_init);
  answer.prompt_only = true;
  request.prompt = prompt.data();
  request.prompt_size = prompt.size();
  request.options = &answer;
  request.feature_tap = tap;
  gemma_ticket* ticket = nullptr;
  ASSERT_EQ(gemma_engine_submit(engine, &request, &ticket), GEMMA_OK)
      << gemma_last_error();
  gemma_feature_tap_free(tap);  // session and request have copies
  ASSERT_EQ(gemma_ticket_wait(ticket, nullptr), GEMMA_OK);
  EXPECT_EQ(found, alone);
  gemma_ticket_free(ticket);
  gemma_engine_free(engine);
  ASSERT_EQ(gemma_session_set_feature_tap(made.session, nullptr), GEMMA_OK);
  ASSERT_EQ(gemma_session_forward(made.session, &prompt[1], 1, nullptr),
            GEMMA_OK);
  EXPECT_EQ(found, alone);
}

void TapNothing(const gemma_tap_site*, float*, size_t, void*) {}

TEST_F(CFeatures, WrongTapsAreRefused) {
  gemma_feature_tap_options options =
      Initialized(gemma_feature_tap_options_init);
  gemma_feature_tap* tap = nullptr;
  gemma_feature_change change = {autoencoder_, 16, 1.0f, false};
  options.changes = &change;
  options.num_changes = 1;
  EXPECT_EQ(gemma_feature_tap_create(toy_.model, &options, &tap),
            GEMMA_INVALID_ARGUMENT);
  change.autoencoder = nullptr;
  ExpectRefused(gemma_feature_tap_create(toy_.model, &options, &tap),
                "changes[0].autoencoder is null");
  options.changes = nullptr;
  ExpectRefused(gemma_feature_tap_create(toy_.model, &options, &tap),
                "changes is null");
  options.num_changes = 0;
  options.num_readers = 1;
  ExpectRefused(gemma_feature_tap_create(toy_.model, &options, &tap),
                "readers is null");
  gemma_feature_reader reader = {nullptr, 0, nullptr, 0};
  options.readers = &reader;
  ExpectRefused(gemma_feature_tap_create(toy_.model, &options, &tap),
                "readers[0].autoencoder is null");
  reader = {autoencoder_, 0, nullptr, 1};
  ExpectRefused(gemma_feature_tap_create(toy_.model, &options, &tap),
                "readers[0].features is null");
  reader.num_features = 0;
  ASSERT_EQ(gemma_feature_tap_create(toy_.model, &options, &tap), GEMMA_OK);
  // A request has one tap.
  gemma_engine* engine = nullptr;
  ASSERT_EQ(gemma_engine_create(toy_.model, nullptr, &engine), GEMMA_OK);
  gemma_request request = Initialized(gemma_request_init);
  const int32_t token = 2;
  request.prompt = &token;
  request.prompt_size = 1;
  request.feature_tap = tap;
  request.tap = TapNothing;
  gemma_ticket* ticket = nullptr;
  ExpectRefused(gemma_engine_submit(engine, &request, &ticket),
                "tap and feature_tap are set, wanted at most one of them");
  gemma_engine_free(engine);
  gemma_feature_tap_free(tap);
}

TEST_F(CFeatures, TapsOfOtherModels) {
  const gemma_feature_change change = {autoencoder_, 5, 40.0f, false};
  gemma_feature_tap_options options =
      Initialized(gemma_feature_tap_options_init);
  options.changes = &change;
  options.num_changes = 1;
  gemma_feature_tap* tap = nullptr;
  ASSERT_EQ(gemma_feature_tap_create(toy_.model, &options, &tap), GEMMA_OK);
  const char* const message =
      "feature_tap belongs to another model, wanted one that "
      "gemma_feature_tap_create made for this model";
  const CToy other(TestFile("classify/shield.gguf"));
  const CSequence made(other);
  ExpectRefused(gemma_session_set_feature_tap(made.session, tap), message);
  gemma_engine* engine = nullptr;
  ASSERT_EQ(gemma_engine_create(other.model, nullptr, &engine), GEMMA_OK);
  gemma_request request = Initialized(gemma_request_init);
  const int32_t token = 2;
  request.prompt = &token;
  request.prompt_size = 1;
  request.feature_tap = tap;
  gemma_ticket* ticket = nullptr;
  ExpectRefused(gemma_engine_submit(engine, &request, &ticket), message);
  EXPECT_EQ(ticket, nullptr);
  gemma_engine_free(engine);
  gemma_feature_tap_free(tap);
}

TEST_F(CFeatures, ManyRowsAreRefused) {
  const float x = 0;
  gemma_feature feature;
  size_t size = 7, row_size = 7;
  EXPECT_EQ(gemma_autoencoder_encode(autoencoder_, &x, SIZE_MAX / 2, 0,
                                     &feature, 1, &size, &row_size),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("num_rows is"));
  EXPECT_EQ(size, 7u);
  EXPECT_EQ(row_size, 7u);
}

TEST_F(CFeatures, NullPointersAreRefused) {
  gemma_feature_site site;
  gemma_autoencoder* none = nullptr;
  gemma_autoencoder_info info = Initialized(gemma_autoencoder_info_init);
  gemma_feature_tap_options options =
      Initialized(gemma_feature_tap_options_init);
  gemma_feature_tap* tap = nullptr;
  std::vector<float> x = Rows(1);
  gemma_feature feature = {0, 1};
  size_t size = 0, row_size = 0;
  char c = 0;
  ExpectRefused(gemma_feature_site_parse(nullptr, &site), "text is null");
  ExpectRefused(gemma_feature_site_parse("res@1", nullptr), "site is null");
  ExpectRefused(gemma_feature_site_text(nullptr, &c, 1, &size), "site is null");
  ExpectRefused(gemma_autoencoder_load(nullptr, nullptr, &none),
                "path is null");
  ExpectRefused(gemma_autoencoder_load("x", nullptr, nullptr),
                "autoencoder is null");
  ExpectRefused(gemma_autoencoder_get_info(nullptr, &info),
                "autoencoder is null");
  ExpectRefused(gemma_autoencoder_get_info(autoencoder_, nullptr),
                "info is null");
  ExpectRefused(gemma_autoencoder_check_fits(nullptr, toy_.model),
                "autoencoder is null");
  ExpectRefused(gemma_autoencoder_check_fits(autoencoder_, nullptr),
                "model is null");
  ExpectRefused(gemma_autoencoder_encode(nullptr, x.data(), 1, 0, &feature, 1,
                                         &size, &row_size),
                "autoencoder is null");
  ExpectRefused(gemma_autoencoder_encode(autoencoder_, nullptr, 1, 0, &feature,
                                         1, &size, &row_size),
                "x is null");
  ExpectRefused(gemma_autoencoder_encode(autoencoder_, x.data(), 1, 0, &feature,
                                         1, nullptr, &row_size),
                "size is null");
  ExpectRefused(gemma_autoencoder_encode(autoencoder_, x.data(), 1, 0, &feature,
                                         1, &size, nullptr),
                "row_sizes is null");
  ExpectRefused(gemma_autoencoder_encode(autoencoder_, x.data(), 1, 0, nullptr,
                                         99, &size, &row_size),
                "features is null");
  ExpectRefused(
      gemma_autoencoder_decode(nullptr, &feature, 1, nullptr, x.data()),
      "autoencoder is null");
  ExpectRefused(
      gemma_autoencoder_decode(autoencoder_, nullptr, 1, nullptr, x.data()),
      "features is null");
  ExpectRefused(
      gemma_autoencoder_decode(autoencoder_, &feature, 1, nullptr, nullptr),
      "out is null");
  ExpectRefused(gemma_autoencoder_direction(nullptr, 0, x.data()),
                "autoencoder is null");
  ExpectRefused(gemma_autoencoder_direction(autoencoder_, 0, nullptr),
                "out is null");
  ExpectRefused(gemma_feature_tap_create(nullptr, &options, &tap),
                "model is null");
  ExpectRefused(gemma_feature_tap_create(toy_.model, nullptr, &tap),
                "options is null");
  ExpectRefused(gemma_feature_tap_create(toy_.model, &options, nullptr),
                "tap is null");
  ExpectRefused(gemma_session_set_feature_tap(nullptr, nullptr),
                "session is null");
  gemma_autoencoder_free(nullptr);
  gemma_feature_tap_free(nullptr);
  info.struct_size = 0;
  EXPECT_EQ(gemma_autoencoder_get_info(autoencoder_, &info),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("gemma_autoencoder_info_init"));
}

}  // namespace
}  // namespace gemma::internal
