// Adapters that are merged into weights. The logits are those of peft's
// merge_and_unload; see tools/reference/lora_toys.py.

#include <cstring>
#include <filesystem>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/near.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string LoraPath(const std::string& name) {
  return std::string(GEMMA_TESTDATA_DIR) + "/lora/" + name;
}
std::string GgufPath(const std::string& name) {
  return std::string(GEMMA_TESTDATA_DIR) + "/gguf/" + name;
}

constexpr size_t kNumTokens = 16;

// A model with adapters, and what its logits must equal.
struct Case {
  std::string name;  // of the test
  std::string model;
  std::vector<Adapter> adapters;
  std::string logits;  // an array of lora/reference.npz
  std::string prompt;  // the toy whose prompt it is; empty: untied_ids

  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

std::vector<Case> Cases() {
  const auto toy = [](std::string adapter, const std::string& model) {
    return Case{adapter, ToyPath(model), {{LoraPath(adapter)}}, adapter, model};
  };
  std::vector<Case> cases = {
      toy("plain", "gemma2"),          toy("layers", "gemma2"),
      toy("patterns", "gemma2"),       toy("rslora", "gemma3"),
      toy("nested", "gemma3_nested"),  toy("recurrent", "recurrent_gemma_48"),
      toy("embed", "gemma_mha"),       toy("head", "gemma_mha"),
      toy("gemma4", "gemma4_e2b"),     toy("gemma4_keys", "gemma4_31b"),
      toy("gemma4_moe", "gemma4_moe"), toy("sharded", "gemma2_sharded")};
  cases.back().adapters = {{LoraPath("plain")}};
  cases.back().logits = "plain";
  cases.back().prompt = "gemma2";
  cases.push_back({"untied",
                   LoraPath("untied_base"),
                   {{LoraPath("untied")}},
                   "untied",
                   ""});
  cases.push_back({"scaled",
                   ToyPath("gemma2"),
                   {{LoraPath("plain"), 0.5f}},
                   "scaled",
                   "gemma2"});
  cases.push_back({"both",
                   ToyPath("gemma2"),
                   {{LoraPath("plain"), 0.5f}, {LoraPath("layers"), -1.25f}},
                   "both",
                   "gemma2"});
  cases.push_back({"gguf_adapter",
                   ToyPath("gemma2"),
                   {{LoraPath("plain.gguf")}},
                   "plain",
                   "gemma2"});
  cases.push_back({"gguf_embedding",
                   ToyPath("gemma_mha"),
                   {{LoraPath("embed.gguf")}},
                   "embed",
                   "gemma_mha"});
  cases.push_back({"gguf_model",
                   GgufPath("gemma2.gguf"),
                   {{LoraPath("plain")}},
                   "plain",
                   "gemma2"});
  cases.push_back({"gguf_gemma4",
                   GgufPath("gemma4_e2b.gguf"),
                   {{LoraPath("gemma4.gguf")}},
                   "gemma4",
                   "gemma4_e2b"});
  cases.push_back({"gguf_parts",
                   GgufPath("gemma_mha-00001-of-00003.gguf"),
                   {{LoraPath("embed.gguf")}},
                   "embed",
                   "gemma_mha"});
  return cases;
}

LoadOptions Exact(std::vector<Adapter> adapters) {
  LoadOptions options;
  options.num_threads = 2;
  options.activations = Activations::kFloat32;
  options.recurrent_window = RecurrentWindow::kTransformers;
  options.adapters = std::move(adapters);
  return options;
}

std::vector<TokenId> Prompt(const std::string& toy) {
  std::vector<TokenId> ids =
      toy.empty() ? ReadTokens(LoraPath("reference.npz"), "untied_ids")
                  : ReadTokens(ToyPath(toy) + "/reference.npz", "ids");
  ids.resize(kNumTokens);
  return ids;
}

std::vector<float> PeftLogits(const std::string& name) {
  return ReadFloats(LoraPath("reference.npz"), name);
}

class AdapterGolden : public ::testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Cases, AdapterGolden, ::testing::ValuesIn(Cases()),
                         [](const auto& c) { return c.param.name; });

TEST_P(AdapterGolden, LogitsEqualPeft) {
  const Case& c = GetParam();
  const Model model = LoadOrDie(c.model, Exact(c.adapters));
  const std::vector<float> logits = AllLogits(model, Prompt(c.prompt));
  EXPECT_LE(RelativeError(logits, PeftLogits(c.logits)), 1e-4);
  // The comparison would notice a scale that is wrong by a hundredth.
  std::vector<Adapter> wrong = c.adapters;
  wrong[0].scale *= 1.01f;
  const Model other = LoadOrDie(c.model, Exact(wrong));
  EXPECT_GT(
      RelativeError(AllLogits(other, Prompt(c.prompt)), PeftLogits(c.logits)),
      1e-4);
}

TEST_P(AdapterGolden, OutlinePredictsMemory) {
  const Case& c = GetParam();
  for (const WeightType type : {WeightType::kKeep, WeightType::kQ8}) {
    LoadOptions options = Exact(c.adapters);
    options.quantize = type;
    const Model loaded = LoadOrDie(c.model, options);
    options.skip_weights = true;
    const Model outline = LoadOrDie(c.model, options);
    EXPECT_EQ(outline.MemoryFor({.max_tokens = 8}).total(),
              loaded.MemoryFor({.max_tokens = 8}).total());
  }
}

// As peft, which adds in float32 and rounds to the model's own type.
TEST(AdapterMerge, HalvesStayHalves) {
  const std::string model = ToyPath("gemma2_bf16");
  LoadOptions options = Exact({{LoraPath("half")}});
  const Model merged = LoadOrDie(model, options);
  SessionOptions session;
  session.cache_format = CacheFormat::kFloat32;
  Session exact = NewSession(merged, session);
  EXPECT_LE(RelativeError(AllLogits(exact, Prompt("gemma2_bf16")),
                          PeftLogits("merged_bf16")),
            1e-4);
  options.adapters.clear();
  const Model plain = LoadOrDie(model, options);
  EXPECT_EQ(merged.MemoryFor(session).weights,
            plain.MemoryFor(session).weights);
}

// The matrices of blocks become F32, the exact sums: writing them first and
// merging then gives the same bits.
TEST(AdapterMerge, BlocksBecomeFloat32) {
  const std::string folder = TestDirectory();
  for (const WeightType type : {WeightType::kQ8, WeightType::kQ4}) {
    const std::string small =
        folder + "/" + std::string(WeightTypeName(type)) + ".gguf";
    QuantizeOptions quantize;
    quantize.type = type;
    quantize.overwrite = true;
    ASSERT_EQ(ErrorOf(Quantize(ToyPath("gemma2"), small, quantize)), "OK");
    const Model merged = LoadOrDie(small, Exact({{LoraPath("plain")}}));
    EXPECT_THAT(merged.notes(),
                ElementsAre(HasSubstr(": 28 quantized matrices become "
                                      "float32, because adapters change")));
    const Model plain = LoadOrDie(small, Exact({}));
    EXPECT_GT(merged.MemoryFor({.max_tokens = 8}).weights,
              2 * plain.MemoryFor({.max_tokens = 8}).weights);
    EXPECT_NE(AllLogits(merged, Prompt("gemma2")),
              AllLogits(plain, Prompt("gemma2")));
    // An adapter whose products are zero keeps the values.
    const Model same = LoadOrDie(small, Exact({{LoraPath("plain"), 0.0f}}));
    SessionOptions session;
    session.cache_format = CacheFormat::kFloat32;
    Session one = NewSession(same, session);
    Session two = NewSession(plain, session);
    EXPECT_LE(RelativeError(AllLogits(one, Prompt("gemma2")),
                            AllLogits(two, Prompt("gemma2"))),
              1e-5);
  }
}

// Converting while loading, and writing a file, both merge first.
TEST(AdapterMerge, QuantizesTheSums) {
  const std::string folder = TestDirectory();
  for (const FileLayout layout : {FileLayout::kPacked, FileLayout::kGguf}) {
    for (const WeightType type : {WeightType::kKeep, WeightType::kQ8}) {
      const std::string file = folder + "/m.gguf";
      QuantizeOptions quantize;
      quantize.type = type;
      quantize.layout = layout;
      quantize.overwrite = true;
      quantize.adapters = {{LoraPath("plain"), 0.5f},
                           {LoraPath("layers"), -1.25f}};
      ASSERT_EQ(ErrorOf(Quantize(ToyPath("gemma2"), file, quantize)), "OK");
      LoadOptions options = Exact(quantize.adapters);
      options.quantize = type;
      const Model merged = LoadOrDie(ToyPath("gemma2"), options);
      const Model written = LoadOrDie(file, Exact({}));
      EXPECT_EQ(AllLogits(written, Prompt("gemma2")),
                AllLogits(merged, Prompt("gemma2")));
      EXPECT_LE(RelativeError(AllLogits(written, Prompt("gemma2")),
                              PeftLogits("both")),
                type == WeightType::kKeep ? 1e-4 : 0.1);
    }
  }
}

TEST(AdapterMerge, BitsMixTypes) {
  const std::string file = TestDirectory() + "/m.gguf";
  QuantizeOptions quantize;
  quantize.bits = 16.5;
  quantize.adapters = {{LoraPath("plain")}};
  ASSERT_EQ(ErrorOf(Quantize(ToyPath("gemma2"), file, quantize)), "OK");
  const Model written = LoadOrDie(file, Exact({}));
  EXPECT_LE(
      RelativeError(AllLogits(written, Prompt("gemma2")), PeftLogits("plain")),
      0.1);
}

// An output may not replace the adapter that it is made from.
TEST(AdapterMerge, AdapterIsNoTarget) {
  const std::string folder = TestDirectory();
  std::filesystem::copy(LoraPath("plain"), folder + "/plain");
  QuantizeOptions quantize;
  quantize.overwrite = true;
  quantize.adapters = {{folder + "/plain"}};
  const std::string target = folder + "/plain/adapter_model.safetensors";
  const absl::Status status = Quantize(ToyPath("gemma2"), target, quantize);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_EQ(ReasonOf(status), ErrorReason::kOutputFile);
}

// Any number of threads gives the same bits.
TEST(AdapterMerge, ThreadsDoNotMatter) {
  std::vector<std::vector<float>> logits;
  for (const size_t threads : {1, 3}) {
    LoadOptions options = Exact({{LoraPath("patterns")}});
    options.num_threads = threads;
    logits.push_back(
        AllLogits(LoadOrDie(ToyPath("gemma2"), options), Prompt("gemma2")));
  }
  EXPECT_EQ(logits[0], logits[1]);
}

// A saved session belongs to the model and its adapters, even where these
// change weights too little to show.
TEST(AdapterMerge, SessionsKnowTheirAdapters) {
  const std::string file = TestDirectory() + "/session";
  const auto load = [](std::vector<Adapter> adapters) {
    return LoadOrDie(ToyPath("gemma2_bf16"), Exact(std::move(adapters)));
  };
  const Adapter tiny = {LoraPath("half"), 1e-9f};
  const Model with = load({tiny});
  Session session = NewSession(with);
  AllLogits(session, Prompt("gemma2_bf16"));
  ASSERT_EQ(ErrorOf(session.Save(file)), "OK");
  EXPECT_EQ(ErrorOf(Session::Restore(load({tiny}), file).status()), "OK");
  EXPECT_NE(ErrorOf(Session::Restore(load({}), file).status()), "OK");
  EXPECT_NE(
      ErrorOf(Session::Restore(load({{tiny.path, 2e-9f}}), file).status()),
      "OK");
}

// peft's merged model has one matrix for both; before the merge, it does not
// change the head.
TEST(AdapterMerge, TiedHeadIsNoted) {
  const Model model =
      LoadOrDie(ToyPath("gemma_mha"), Exact({{LoraPath("embed")}}));
  EXPECT_THAT(model.notes(),
              ElementsAre(LoraPath("embed") +
                          "/adapter_model.safetensors: changes the embedding "
                          "and the head, which are one matrix here"));
  EXPECT_GT(RelativeError(AllLogits(model, Prompt("gemma_mha")),
                          PeftLogits("unmerged_embed")),
            1e-2);
  EXPECT_THAT(
      LoadOrDie(ToyPath("gemma2"), Exact({{LoraPath("plain")}})).notes(),
      IsEmpty());
}

TEST(AdapterMerge, AdapterBesideIsNoted) {
  const std::string folder = TestDirectory();
  std::filesystem::copy(ToyPath("gemma2"), folder,
                        std::filesystem::copy_options::recursive);
  EXPECT_THAT(LoadOrDie(folder, Exact({})).notes(), IsEmpty());
  for (const char* file :
       {"adapter_config.json", "adapter_model.safetensors"}) {
    std::filesystem::copy(LoraPath("plain/") + file, folder + "/" + file);
  }
  const Model plain = LoadOrDie(folder, Exact({}));
  EXPECT_THAT(
      plain.notes(),
      ElementsAre(folder + "/adapter_config.json: the adapter beside the "
                           "model's weights is not merged into them"));
  const Model merged = LoadOrDie(folder, Exact({{folder}}));
  EXPECT_THAT(merged.notes(), IsEmpty());
  EXPECT_LE(
      RelativeError(AllLogits(merged, Prompt("gemma2")), PeftLogits("plain")),
      1e-4);
}

}  // namespace
}  // namespace gemma::internal
