#include "src/scope/feature_site.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

void ExpectSite(const absl::StatusOr<FeatureSite>& site,
                const FeatureSite& expected) {
  ASSERT_TRUE(site.ok()) << site.status();
  EXPECT_EQ(site->input, expected.input);
  EXPECT_EQ(site->output, expected.output);
  EXPECT_EQ(site->layer, expected.layer);
  EXPECT_EQ(site->normalize, expected.normalize);
}

Json Config(const std::string& text) {
  return Json::Parse(text, "config.json").value();
}

absl::StatusOr<FeatureSite> SiteOfHooks(const std::string& in,
                                        const std::string& out) {
  return SiteOfConfig(
      Config(absl::StrCat("{\"hf_hook_point_in\": \"", in,
                          "\", \"hf_hook_point_out\": \"", out, "\"}")));
}

TEST(SiteOfPath, KnowsGemmaScope1) {
  const std::string end = "/layer_20/width_16k/average_l0_71/params.npz";
  ExpectSite(SiteOfPath("/x/gemma-scope-2b-pt-res" + end),
             {TapPoint::kBlockOutput, TapPoint::kBlockOutput, 20});
  ExpectSite(SiteOfPath("/x/gemma-scope-9b-it-res-canonical" + end),
             {TapPoint::kBlockOutput, TapPoint::kBlockOutput, 20});
  ExpectSite(SiteOfPath("gemma-scope-2b-pt-mlp" + end),
             {TapPoint::kFfwOutput, TapPoint::kFfwOutput, 20});
  ExpectSite(SiteOfPath("gemma-scope-2b-pt-att" + end),
             {TapPoint::kMixHidden, TapPoint::kMixHidden, 20});
  ExpectSite(SiteOfPath("gemma-scope-2b-pt-transcoders" + end),
             {TapPoint::kMixedStream, TapPoint::kFfwOutput, 20, true});
  ExpectSite(
      SiteOfPath("gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6"),
      {TapPoint::kEmbedding, TapPoint::kEmbedding, 0});
  // A path in the hub's cache.
  ExpectSite(SiteOfPath("models--google--gemma-scope-2b-pt-att/snapshots/123abc"
                        "/layer_0/width_65k/average_l0_20/params.npz"),
             {TapPoint::kMixHidden, TapPoint::kMixHidden, 0});
  ExpectSite(SiteOfPath("/a/../gemma-scope-2b-pt-res/x/../layer_3/params.npz"),
             {TapPoint::kBlockOutput, TapPoint::kBlockOutput, 3});
}

TEST(SiteOfPath, SaysHowToTell) {
  for (const std::string path :
       {"params.npz", "layer_20/params.npz", "gemma-scope-2b-pt-res/params.npz",
        "gemma-scope-2b-pt-res/layer_x/params.npz", "embedding/params.npz",
        "gemma-scope-2b-pt-clt/layer_20/params.npz",
        "some-res/layer_20/params.npz",
        "gemma-scope-2b-pt-res/layer_99999999999999999999/params.npz"}) {
    EXPECT_THAT(ErrorOf(SiteOfPath(path)),
                HasSubstr(path + ": does not say what it is attached to; "
                                 "wanted a site"));
  }
}

TEST(SiteOfConfig, KnowsGemmaScope2) {
  const std::string at = "model.layers.12.";
  ExpectSite(SiteOfHooks(at + "output", at + "output"),
             {TapPoint::kBlockOutput, TapPoint::kBlockOutput, 12});
  ExpectSite(
      SiteOfHooks(at + "self_attn.o_proj.input", at + "self_attn.o_proj.input"),
      {TapPoint::kMixHidden, TapPoint::kMixHidden, 12});
  ExpectSite(SiteOfHooks(at + "post_feedforward_layernorm.output",
                         at + "post_feedforward_layernorm.output"),
             {TapPoint::kFfwOutput, TapPoint::kFfwOutput, 12});
  ExpectSite(SiteOfHooks(at + "pre_feedforward_layernorm.output",
                         at + "post_feedforward_layernorm.output"),
             {TapPoint::kFfwInput, TapPoint::kFfwOutput, 12});
  // A model with vision.
  ExpectSite(SiteOfHooks("model.language_model.layers.5.output",
                         "model.language_model.layers.5.output"),
             {TapPoint::kBlockOutput, TapPoint::kBlockOutput, 5});
  // Without an output, the output is the input.
  ExpectSite(
      SiteOfConfig(Config(R"({"hf_hook_point_in": "model.layers.0.output"})")),
      {TapPoint::kBlockOutput, TapPoint::kBlockOutput, 0});
}

TEST(SiteOfConfig, RefusesOthers) {
  for (const std::string hook :
       {"", "model.layers.12", "model.layers.x.output", "layers12.output",
        "model.layers.-1.output", "model.layers.1.mlp.output",
        "model.players.1.output", "model.layers.1.output.input"}) {
    EXPECT_THAT(ErrorOf(SiteOfHooks(hook, "model.layers.1.output")),
                HasSubstr(absl::StrCat(
                    "config.json: 'hf_hook_point_in' is the string '", hook,
                    "', wanted 'model.layers.N.' and one of output")));
  }
  EXPECT_THAT(
      ErrorOf(SiteOfHooks("model.layers.1.output", "model.layers.2.output")),
      HasSubstr("wanted one of layer 1, as hf_hook_point_in is"));
  EXPECT_THAT(ErrorOf(SiteOfConfig(Config("{}"))),
              HasSubstr("no key 'hf_hook_point_in'"));
  EXPECT_THAT(ErrorOf(SiteOfConfig(Config(R"({"hf_hook_point_in": 3})"))),
              HasSubstr("wanted a string"));
}

TEST(CheckConfig, ComparesWithTheArrays) {
  const auto error = [](const std::string& text, bool has_skip = false) {
    return ErrorOf(CheckConfig(Config(text), 16384, has_skip));
  };
  EXPECT_EQ(error(R"({"architecture": "jump_relu", "type": "sae",
                      "width": 16384, "affine_connection": false})"),
            "OK");
  EXPECT_EQ(error(R"({"type": "transcoder", "affine_connection": true})", true),
            "OK");
  EXPECT_EQ(error("{}"), "OK");
  EXPECT_THAT(
      error(R"({"architecture": "topk"})"),
      HasSubstr("'architecture' is the string 'topk', wanted 'jump_relu'"));
  for (const std::string type : {"crosscoder", "clt"}) {
    EXPECT_THAT(error("{\"type\": \"" + type + "\"}"),
                HasSubstr("wanted 'sae' or 'transcoder'"));
  }
  EXPECT_THAT(error(R"({"width": 65536})"),
              HasSubstr("'width' is 65536, wanted 16384, as the arrays have"));
  EXPECT_THAT(error(R"({"affine_connection": true})"),
              HasSubstr("wanted false: there is no"));
  EXPECT_THAT(error(R"({"affine_connection": false})", true),
              HasSubstr("wanted true: there is an"));
  EXPECT_THAT(error(R"({"width": "16k"})"), HasSubstr("wanted an integer"));
}

}  // namespace
}  // namespace gemma::internal
