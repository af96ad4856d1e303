// Keys of GGUF files that other programs write: what they mean, and what is
// said about those that are not followed. The meanings are those of llama.cpp
// and, for its own files, of Ollama.

#include "src/model/config/gguf_keys.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/checkpoint.h"
#include "src/model/config/read_config.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Result {
  absl::StatusOr<ModelConfig> config;
  Notes notes;
};

Result Read(GgufWriter gguf) {
  const std::string path = TestDirectory() + "/m.gguf";
  gguf.Tensor("token_embd.weight", {8, 4}, /*type=*/0, Pattern(128));
  WriteFile(path, gguf.Finish());
  const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(path);
  EXPECT_EQ(ErrorOf(checkpoint), "OK");
  Result result;
  result.config =
      ReadConfig(*checkpoint, RecurrentWindow::kDeepMind, &result.notes);
  return result;
}

// The factors of a local and a global layer.
std::pair<float, float> Factors(GgufWriter gguf) {
  const Result result = Read(std::move(gguf));
  EXPECT_EQ(ErrorOf(result.config), "OK");
  EXPECT_THAT(result.notes, IsEmpty());
  if (!result.config.ok()) return {};
  const std::vector<LayerConfig>& layers = result.config->layers;
  return {layers[0].rope.factor, layers[1].rope.factor};
}

TEST(GgufKeys, FactorAloneIsLinear) {
  using Pair = std::pair<float, float>;
  const auto gemma3 = [] { return TinyGgufKeys("gemma3"); };
  const char* factor = "gemma3.rope.scaling.factor";
  const char* type = "gemma3.rope.scaling.type";
  const char* old = "gemma3.rope.scale_linear";
  EXPECT_EQ(Factors(gemma3().Float32(factor, 8)), Pair(1, 8));
  EXPECT_EQ(Factors(gemma3().Float32(old, 4)), Pair(1, 4));
  EXPECT_EQ(Factors(gemma3().Float32(old, 4).Float32(factor, 8)), Pair(1, 8));
  EXPECT_EQ(Factors(gemma3().String(type, "linear").Float32(old, 4)),
            Pair(1, 4));
  EXPECT_EQ(Factors(gemma3().String(type, "none").Float32(factor, 8)),
            Pair(1, 1));
  EXPECT_EQ(Factors(gemma3().Float32(factor, 0)), Pair(1, 1));
  EXPECT_EQ(
      Factors(TinyGgufKeys("gemma2").Float32("gemma2.rope.scaling.factor", 2)),
      Pair(2, 2));
}

TEST(GgufKeys, OtherScalingIsRefused) {
  for (const char* type : {"yarn", "longrope"}) {
    EXPECT_THAT(ErrorOf(Read(TinyGgufKeys("gemma3").String(
                                 "gemma3.rope.scaling.type", type))
                            .config),
                HasSubstr(absl::StrCat("is '", type, "', wanted 'none' or")));
  }
}

// A Gemma 3 of this many layers in Ollama's words.
GgufWriter OllamaKeys(uint32_t layers) {
  GgufWriter gguf;
  gguf.String("general.architecture", "gemma3")
      .Uint32("gemma3.embedding_length", 8)
      .Uint32("gemma3.block_count", layers)
      .Uint32("gemma3.feed_forward_length", 6)
      .Uint32("gemma3.attention.head_count", 2)
      .Uint32("gemma3.attention.head_count_kv", 1)
      .Uint32("gemma3.attention.key_length", 4)
      .Uint32("gemma3.attention.value_length", 4)
      .Uint32("gemma3.attention.sliding_window", 2);
  return gguf;
}

TEST(GgufKeys, OllamaWordsForBases) {
  const Result result =
      Read(OllamaKeys(6)
               .Float32("gemma3.rope.local.freq_base", 5000)
               .Float32("gemma3.rope.global.freq_base", 300000));
  ASSERT_EQ(ErrorOf(result.config), "OK");
  EXPECT_EQ(result.config->layers[0].rope.base, 5000.0f);
  EXPECT_EQ(result.config->layers[5].rope.base, 300000.0f);
  EXPECT_EQ(result.config->layers[5].rope.factor, 1.0f);
  EXPECT_THAT(result.notes, IsEmpty());
}

TEST(GgufKeys, MissingFactorOfOllama) {
  for (const uint32_t layers : {34u, 48u, 62u}) {
    // The files with a vision tower state no bases.
    Result result =
        Read(OllamaKeys(layers).Uint32("gemma3.vision.block_count", 27));
    ASSERT_EQ(ErrorOf(result.config), "OK");
    EXPECT_EQ(result.config->layers[5].rope.factor, 8.0f);
    EXPECT_EQ(result.config->layers[4].rope.factor, 1.0f);
    EXPECT_THAT(result.notes,
                ElementsAre(HasSubstr("states no factor of RoPE: uses 8")));
    // Stated factors and files of llama.cpp stay as they are.
    result = Read(OllamaKeys(layers)
                      .Uint32("gemma3.mm.tokens_per_image", 256)
                      .Float32("gemma3.rope.scaling.factor", 4));
    EXPECT_EQ(result.config->layers[5].rope.factor, 4.0f);
    EXPECT_THAT(result.notes, IsEmpty());
    result = Read(OllamaKeys(layers));
    EXPECT_EQ(result.config->layers[5].rope.factor, 1.0f);
  }
}

TEST(GgufKeys, WrongCapOfOllama) {
  const auto cap = [](GgufWriter gguf) {
    const Result result =
        Read(gguf.Float32("gemma3.final_logit_softcapping", 30));
    EXPECT_EQ(ErrorOf(result.config), "OK");
    return result.config->final_logits_soft_cap;
  };
  const char* base = "gemma3.rope.local.freq_base";
  EXPECT_EQ(cap(OllamaKeys(26).Float32(base, 10000)), 0.0f);
  EXPECT_EQ(cap(OllamaKeys(18).Float32(base, 10000)), 30.0f);
  EXPECT_EQ(cap(OllamaKeys(26)), 30.0f);
}

TEST(GgufKeys, PartOfHeadRotates) {
  const Result result =
      Read(TinyGgufKeys("gemma2").Uint32("gemma2.rope.dimension_count", 2));
  ASSERT_EQ(ErrorOf(result.config), "OK");
  EXPECT_EQ(result.config->layers[0].rope.rotary_dim, 2u);
}

TEST(GgufKeys, RefusesOtherComputations) {
  const std::pair<GgufWriter, const char*> files[] = {
      {TinyGgufKeys("gemma2").Uint32("gemma2.expert_count", 8),
       "'gemma2.expert_count' is 8, wanted 0"},
      {TinyGgufKeys("gemma2").Float32("gemma2.logit_scale", 0.5f),
       "'gemma2.logit_scale' is 0.5, wanted 1"},
      {TinyGgufKeys("gemma").Float32("gemma.attention.clamp_kqv", 8),
       "'gemma.attention.clamp_kqv' is 8, wanted 0"},
      {TinyGgufKeys("gemma3").Float32("gemma3.rope.scaling.attn_factor", 2),
       "'gemma3.rope.scaling.attn_factor' is 2, wanted 1"},
      {TinyGgufKeys("gemma3").Bool("gemma3.attention.causal", false),
       "'gemma3.attention.causal' is false, wanted true"},
      {TinyGgufKeys("gemma3").Uint32("gemma3.pooling_type", 1),
       "'gemma3.pooling_type' is 1, wanted 0"},
      {TinyGgufKeys("gemma3").Array<uint32_t>("gemma3.context_length", 4,
                                              {4, 4}),
       "'gemma3.context_length'"}};
  for (const auto& [gguf, wanted] : files) {
    EXPECT_THAT(ErrorOf(Read(gguf).config), HasSubstr(wanted));
  }
}

TEST(GgufKeys, NotesKeysWithoutEffect) {
  const auto notes = [](GgufWriter gguf) {
    const Result result = Read(std::move(gguf));
    EXPECT_EQ(ErrorOf(result.config), "OK");
    return result.notes;
  };
  for (const char* architecture : {"gemma", "gemma2", "gemma3"}) {
    EXPECT_THAT(notes(TinyGgufKeys(architecture)), IsEmpty()) << architecture;
  }
  EXPECT_THAT(
      notes(
          TinyGgufKeys("gemma3").Float32("gemma3.attn_logit_softcapping", 50)),
      ElementsAre(HasSubstr("'gemma3.attn_logit_softcapping' is 50, and has "
                            "no effect in the architecture 'gemma3'")));
  EXPECT_THAT(
      notes(TinyGgufKeys("gemma").Float32("gemma.final_logit_softcapping", 30)),
      ElementsAre(HasSubstr("'gemma.final_logit_softcapping' is 30")));
  EXPECT_THAT(notes(TinyGgufKeys("gemma2")
                        .Uint32("gemma2.b", 1)
                        .Uint32("gemma2.a", 1)
                        .Uint32("gemma2.d", 1)
                        .Uint32("gemma2.c", 1)),
              ElementsAre(HasSubstr("states 'gemma2.a', 'gemma2.b', 'gemma2.c' "
                                    "and others, which this library")));
}

// Arrays of equal values, as some converters write them.
TEST(GgufKeys, EqualSizesInArrays) {
  GgufWriter gguf;
  gguf.String("general.architecture", "gemma")
      .Uint32("gemma.embedding_length", 8)
      .Uint32("gemma.block_count", 2)
      .Array<uint32_t>("gemma.feed_forward_length", 4, {6, 6})
      .Array<uint32_t>("gemma.attention.head_count", 4, {2, 2})
      .Array<int32_t>("gemma.attention.head_count_kv", 5, {1, 1});
  const Result result = Read(gguf);
  ASSERT_EQ(ErrorOf(result.config), "OK");
  for (const LayerConfig& layer : result.config->layers) {
    EXPECT_EQ(layer.ffw_dim, 6u);
    EXPECT_EQ(layer.num_heads, 2u);
    EXPECT_EQ(layer.num_kv_heads, 1u);
  }
}

}  // namespace
}  // namespace gemma::internal
