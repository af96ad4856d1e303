// Written metadata reads back unchanged.

#include "src/model/describe/describe.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/model/config/read_config.h"
#include "src/text/tokenizer/load_tokenizer.h"
#include "src/text/tokenizer/tokenizer_impl.h"
#include "tests/support/config_text.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/model_proto.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_vocab.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr auto kGlobal = BlockType::kGlobalAttention;
constexpr auto kLocal = BlockType::kLocalAttention;
constexpr auto kRecurrent = BlockType::kRecurrent;

// Writes a file that holds only these keys, and reads it.
Checkpoint Written(GgufFileWriter writer,
                   const std::string& path = TestDirectory() + "/m.gguf") {
  EXPECT_EQ(ErrorOf(writer.Begin(path)), "OK");
  EXPECT_EQ(ErrorOf(writer.Commit(AtomicFile::Existing::kKeep)), "OK");
  absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(path);
  EXPECT_EQ(ErrorOf(checkpoint), "OK");
  return *std::move(checkpoint);
}

// Writes the configuration to a file and reads it back.
ModelConfig ThereAndBack(const ModelConfig& config,
                         const Tokenizer* tokenizer = nullptr) {
  GgufFileWriter writer(kDefaultGgufAlignment);
  EXPECT_EQ(ErrorOf(DescribeConfig(config, writer)), "OK");
  DescribeTokenizer(tokenizer, config, writer);
  const Checkpoint checkpoint = Written(std::move(writer));
  absl::StatusOr<ModelConfig> read =
      ReadConfig(checkpoint, RecurrentWindow::kTransformers);
  EXPECT_EQ(ErrorOf(read), "OK");
  // These depend on the embedding table, which the file lacks.
  read->vocab_size = config.vocab_size;
  read->embedding_scale = config.embedding_scale;
  return *read;
}

void ExpectSame(const ConfigDraft& draft) {
  const ModelConfig config = Finished(draft);
  EXPECT_EQ(ConfigText(ThereAndBack(config)), ConfigText(config));
}

// A configuration in which no field has its default.
ConfigDraft Odd(const std::string& architecture) {
  ConfigDraft c;
  c.architecture = architecture;
  c.model_dim = 40;
  c.all.ffw_dim = 11;
  c.all.num_heads = 6;
  c.all.num_kv_heads = 3;
  c.all.head_dim = 14;
  c.vocab_size = 321;
  c.max_context = 777;
  c.all.rope.rotary_dim = 14;
  c.rope_base_local = 10000.0f;
  c.rope_base_global = 12345.5f;
  c.embedding_scale = 6.5f;
  c.query_scale = 0.123f;
  c.rms_norm_eps = 3e-5f;
  c.blocks.assign(7, kGlobal);
  c.bos_token = 5;
  c.stop_tokens = {1, 8};
  return c;
}

ConfigDraft OddGemma2() {
  ConfigDraft c = Odd("gemma2");
  c.post_norms = true;
  c.sliding_window = 9;
  c.attn_logits_soft_cap = 0.0f;
  c.final_logits_soft_cap = 12.5f;
  c.rope_base_local = c.rope_base_global;
  c.blocks = PeriodicBlocks(7, 2);
  return c;
}

ConfigDraft OddGemma3() {
  ConfigDraft c = Odd("gemma3");
  c.post_norms = true;
  c.qk_norm = true;
  c.sliding_window = 9;
  c.rope_base_local = 11111.0f;
  c.rope_factor_global = 8.0f;
  c.blocks = PeriodicBlocks(7, 6);
  return c;
}

ConfigDraft OddRecurrent() {
  ConfigDraft c = Odd("recurrentgemma");
  c.biases = true;
  c.sliding_window = 9;
  c.all.rope.rotary_dim = 6;
  c.lru_width = 36;
  c.conv_width = 3;
  c.final_logits_soft_cap = 25.0f;
  c.rope_base_local = c.rope_base_global;
  c.blocks = {kRecurrent, kLocal, kLocal, kRecurrent, kLocal, kLocal};
  return c;
}

TEST(DescribeConfig, EveryFieldIsKept) {
  ConfigDraft gemma = Odd("gemma");
  gemma.rope_factor_global = 2.0f;
  ExpectSame(gemma);
  ExpectSame(OddGemma2());
  ExpectSame(OddGemma3());
  ExpectSame(OddRecurrent());
}

TEST(DescribeConfig, KeepsBlockPatterns) {
  for (ConfigDraft c : {OddGemma2(), OddGemma3()}) {
    for (const size_t layers : {1, 2, 7}) {
      for (size_t period = 1; period <= layers + 1; ++period) {
        c.blocks = PeriodicBlocks(layers, period);
        ExpectSame(c);
      }
    }
    c.blocks = {kGlobal, kLocal, kLocal, kGlobal, kGlobal};
    ExpectSame(c);
    // Gemma 3 has no cap of attention.
    (c.qk_norm ? c.final_logits_soft_cap : c.attn_logits_soft_cap) = 50.0f;
    ExpectSame(c);
    c.exact_gelu = true;
    ExpectSame(c);
  }
  ConfigDraft c = OddGemma3();
  c.sliding_window = 0;
  c.blocks.assign(4, kGlobal);
  ExpectSame(c);
  c = OddRecurrent();
  c.blocks = {kRecurrent, kRecurrent, kLocal, kRecurrent, kRecurrent};
  ExpectSame(c);
  c.blocks = {kRecurrent};
  ExpectSame(c);
  c.blocks = {kLocal, kRecurrent, kLocal, kLocal};
  ExpectSame(c);
}

TEST(DescribeConfig, KeepsMixedLayers) {
  for (const ConfigDraft& draft : {OddGemma2(), OddGemma3()}) {
    ModelConfig config = Finished(draft);
    size_t size = 3;
    for (LayerConfig& layer : config.layers) {
      layer.ffw_dim = ++size;
      layer.num_kv_heads = size;
      layer.num_heads = size % 3 * size + size;
      if (layer.type == kGlobal) continue;
      layer.head_dim = 30;
      layer.rope.rotary_dim = 22;
    }
    EXPECT_EQ(ConfigText(ThereAndBack(config)), ConfigText(config));
  }
}

// GGUF has one key for each of these, for all layers of a kind.
TEST(DescribeConfig, RefusesLayersWithoutKeys) {
  const std::function<void(LayerConfig&)> changes[] = {
      [](LayerConfig& l) { l.head_dim = 30; },
      [](LayerConfig& l) { ++l.sliding_window; },
      [](LayerConfig& l) { l.rope.rotary_dim = 4; },
      [](LayerConfig& l) { l.rope.num_rotating = 1; },
      [](LayerConfig& l) { l.rope.base = 7.0f; },
      [](LayerConfig& l) { l.rope.factor = 7.0f; },
      [](LayerConfig& l) { l.num_experts = 2; },
      [](LayerConfig& l) { l.kv_source = 1; },
  };
  const auto error = [](const ModelConfig& config) {
    GgufFileWriter writer(kDefaultGgufAlignment);
    return ErrorOf(DescribeConfig(config, writer));
  };
  for (const auto& change : changes) {
    ModelConfig config = Finished(OddGemma3());
    change(config.layers[3]);
    EXPECT_THAT(
        error(config),
        HasSubstr("layer 3 has its own heads, window, RoPE, experts or"));
  }
  ModelConfig config = Finished(OddGemma3());
  config.layers[5].rope.num_rotating = 1;  // the only global layer
  EXPECT_THAT(error(config), HasSubstr("layer 5 has"));
}

// The largest models have their own default, which depends on their depth.
TEST(DescribeConfig, OmitsDefaultQueryScale) {
  ConfigDraft c = OddGemma2();
  c.blocks = PeriodicBlocks(46, 2);
  c.query_scale = GgufQueryScale(Finished(c));
  GgufFileWriter writer(kDefaultGgufAlignment);
  ASSERT_EQ(ErrorOf(DescribeConfig(Finished(c), writer)), "OK");
  EXPECT_FALSE(
      Written(std::move(writer)).metadata->Has("gemma2.attention.scale"));
  ExpectSame(c);
  c.blocks = PeriodicBlocks(45, 2);  // this depth has another default
  ExpectSame(c);
}

TEST(DescribeConfig, KeepsStopTokens) {
  ConfigDraft c = Odd("gemma");
  for (const std::vector<TokenId>& stops : {std::vector<TokenId>{1},
                                            {1, 1},
                                            {1, 7},
                                            {1, 7, 1},
                                            {1, 7, 9, 300},
                                            {7},
                                            {}}) {
    c.stop_tokens = stops;
    ExpectSame(c);
  }
}

// ---------------------------------------------------------------------------
// Tokenizers

Tokenizer LoadedTokenizer(const Checkpoint& checkpoint) {
  absl::StatusOr<Tokenizer> tokenizer = LoadTokenizer(checkpoint);
  EXPECT_EQ(ErrorOf(tokenizer), "OK");
  return *std::move(tokenizer);
}

// Writes the tokenizer to a file, for an embedding table of `rows`, and reads
// it back.
Tokenizer ThereAndBack(const Tokenizer& tokenizer, size_t rows) {
  ConfigDraft c = Odd("gemma");
  c.vocab_size = rows;
  GgufFileWriter writer(kDefaultGgufAlignment);
  EXPECT_EQ(ErrorOf(DescribeConfig(Finished(c), writer)), "OK");
  DescribeTokenizer(&tokenizer, c, writer);
  return LoadedTokenizer(Written(std::move(writer)));
}

Tokenizer Gemma4Tokenizer() {
  return *Tokenizer::Load(std::string(GEMMA_TESTDATA_DIR) +
                          "/models/gemma4_chat");
}

// The toy vocabulary from each kind of file except GGUF.
std::vector<Tokenizer> Tokenizers() {
  const VocabularyForms forms = ToyVocabulary();
  std::vector<Tokenizer> tokenizers;
  for (absl::StatusOr<Vocabulary> vocabulary :
       {VocabularyFromModelProto(
            {reinterpret_cast<const uint8_t*>(forms.model_proto.data()),
             forms.model_proto.size()},
            "tokenizer.model"),
        VocabularyFromHf(forms.hf, "tokenizer.json")}) {
    EXPECT_EQ(ErrorOf(vocabulary), "OK");
    absl::StatusOr<Tokenizer> tokenizer =
        MakeTokenizer(*std::move(vocabulary), "toy");
    EXPECT_EQ(ErrorOf(tokenizer), "OK");
    tokenizers.push_back(*std::move(tokenizer));
  }
  return tokenizers;
}

TEST(DescribeTokenizer, KeepsPiecesAndPads) {
  for (const Tokenizer& tokenizer : Tokenizers()) {
    const Vocabulary& before = tokenizer.impl().vocabulary();
    for (const size_t extra : {0, 1, 70}) {
      const Tokenizer written =
          ThereAndBack(tokenizer, before.pieces.size() + extra);
      const Vocabulary& after = written.impl().vocabulary();
      ASSERT_EQ(after.pieces.size(), before.pieces.size() + extra);
      for (size_t i = 0; i < after.pieces.size(); ++i) {
        if (i >= before.pieces.size()) {
          EXPECT_EQ(after.pieces[i].type, PieceType::kUnused);
          EXPECT_THAT(after.pieces[i].text, StartsWith("[PAD"));
          continue;
        }
        EXPECT_EQ(after.pieces[i], before.pieces[i]) << i;
      }
      EXPECT_EQ(after.bos, before.bos);
      EXPECT_EQ(after.eos, before.eos);
      EXPECT_EQ(after.unk, before.unk);
      EXPECT_EQ(after.pad, before.pad);
      EXPECT_EQ(after.add_space_prefix, before.add_space_prefix);
    }
  }
}

TEST(DescribeTokenizer, EncodesTheSame) {
  std::vector<Tokenizer> tokenizers = Tokenizers();
  tokenizers.push_back(Gemma4Tokenizer());
  for (const Tokenizer& tokenizer : tokenizers) {
    const Tokenizer written =
        ThereAndBack(tokenizer, tokenizer.vocab_size() + 5);
    for (uint64_t seed = 0; seed < 1000; ++seed) {
      const std::string text =
          FuzzedText(seed, 20, {"[PAD", "455", "]", "[PAD455]"});
      for (const auto controls :
           {ControlTokens::kAsText, ControlTokens::kParse}) {
        const auto tokens = tokenizer.Encode(text, controls);
        ASSERT_EQ(ErrorOf(tokens), "OK");
        const auto again = written.Encode(text, controls);
        ASSERT_EQ(ErrorOf(again), "OK");
        ASSERT_EQ(*again, *tokens) << text;
        ASSERT_EQ(written.Decode(*again), tokenizer.Decode(*tokens));
      }
    }
  }
}

// llama.cpp's converter writes these keys. The merges are those of the source.
TEST(DescribeTokenizer, Gemma4HasMerges) {
  const Tokenizer tokenizer = Gemma4Tokenizer();
  ConfigDraft c = Odd("gemma");
  c.vocab_size = tokenizer.vocab_size();
  GgufFileWriter writer(kDefaultGgufAlignment);
  EXPECT_EQ(ErrorOf(DescribeConfig(Finished(c), writer)), "OK");
  DescribeTokenizer(&tokenizer, c, writer);
  const Checkpoint written = Written(std::move(writer));
  const GgufMetadata& keys = *written.metadata;
  std::string_view model;
  std::vector<std::string_view> merges;
  std::vector<float> scores;
  std::vector<int32_t> types;
  EXPECT_EQ(ErrorOf(keys.Read("tokenizer.ggml.model", model)), "OK");
  EXPECT_EQ(ErrorOf(keys.Read("tokenizer.ggml.merges", merges)), "OK");
  EXPECT_EQ(ErrorOf(keys.Read("tokenizer.ggml.scores", scores)), "OK");
  EXPECT_EQ(ErrorOf(keys.Read("tokenizer.ggml.token_type", types)), "OK");
  EXPECT_EQ(model, "gemma4");
  EXPECT_EQ(scores, std::vector<float>(tokenizer.vocab_size(), -1000.0f));
  EXPECT_EQ(types[*tokenizer.Find("<|tool_call>")], 4);
  EXPECT_EQ(types[*tokenizer.Find("<|turn>")], 3);
  EXPECT_EQ(types[*tokenizer.Find("<0x0A>")], 6);
  EXPECT_EQ(types[*tokenizer.Find("\u2581\u2581")], 1);
  const nlohmann::json source = nlohmann::json::parse(std::ifstream(
      std::string(GEMMA_TESTDATA_DIR) + "/models/gemma4_chat/tokenizer.json"));
  std::vector<std::string> wanted;
  for (const nlohmann::json& merge : source["model"]["merges"]) {
    const std::string left = merge[0], right = merge[1];
    wanted.push_back(absl::StrCat(left, " ", right));
  }
  EXPECT_GT(wanted.size(), 100u);
  EXPECT_EQ(merges,
            std::vector<std::string_view>(wanted.begin(), wanted.end()));
  const Tokenizer read = LoadedTokenizer(written);
  EXPECT_EQ(read.impl().vocabulary().pieces,
            tokenizer.impl().vocabulary().pieces);
}

TEST(DescribeTokenizer, KeepsRulesAndExtras) {
  Vocabulary vocabulary = Tokenizers()[0].impl().vocabulary();
  const size_t rows = vocabulary.pieces.size();
  vocabulary.pieces.push_back({"zyzzyva", 0.0f, PieceType::kUserDefined});
  vocabulary.pieces.push_back({"", 0.0f, PieceType::kUnused});
  vocabulary.pieces.push_back({"<|l|>", 0.0f, PieceType::kControl});
  TextRules rules;
  rules.normalizer = {{NormalizerStep::Type::kPrepend, "", "\u2581"},
                      {NormalizerStep::Type::kReplace, " ", "\u2581"}};
  const auto id = static_cast<int64_t>(rows);
  rules.added = {
      {.content = "zyzzyva", .id = id, .single_word = true},
      {.content = "<|l|>", .id = id + 2, .special = true, .lstrip = true}};
  vocabulary.rules = rules;
  const absl::StatusOr<Tokenizer> tokenizer = MakeTokenizer(vocabulary, "toy");
  ASSERT_EQ(ErrorOf(tokenizer), "OK");
  for (const size_t table : {rows, rows + 2, rows + 3}) {
    const Tokenizer written = ThereAndBack(*tokenizer, table);
    EXPECT_EQ(written.impl().vocabulary().pieces, vocabulary.pieces);
    for (uint64_t seed = 0; seed < 200; ++seed) {
      const std::string text =
          FuzzedText(seed, 12, {"zyzzyva", " zyzzyva ", "<|l|>", "  <|l|>"});
      for (const auto controls :
           {ControlTokens::kAsText, ControlTokens::kParse}) {
        ASSERT_EQ(*written.Encode(text, controls),
                  *tokenizer->Encode(text, controls))
            << text;
      }
    }
  }
}

TEST(DescribeTokenizer, KeepsBosAndStops) {
  const Tokenizer tokenizer = std::move(Tokenizers()[0]);
  ConfigDraft c = Odd("gemma");
  c.vocab_size = tokenizer.vocab_size();
  const TokenId turn = *tokenizer.Find("<end_of_turn>");
  for (const std::vector<TokenId>& stops :
       {std::vector<TokenId>{1, turn}, {1}, {1, 9}, {turn}}) {
    c.stop_tokens = stops;
    for (const TokenId bos : {tokenizer.bos(), 9}) {
      c.bos_token = bos;
      const ModelConfig config = Finished(c);
      EXPECT_EQ(ConfigText(ThereAndBack(config, &tokenizer)),
                ConfigText(config));
    }
  }
}

// ---------------------------------------------------------------------------
// Chat templates

// The template that is written for a directory with these files, or "none".
std::string TemplateOf(const std::string& jinja, const std::string& config) {
  const std::string directory = TestDirectory();
  WriteTinyDirectory(directory, TinyConfig("gemma"), TinyHfTensors("gemma"));
  if (!jinja.empty()) WriteFile(directory + "/chat_template.jinja", jinja);
  if (!config.empty()) WriteFile(directory + "/tokenizer_config.json", config);
  const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(directory);
  EXPECT_EQ(ErrorOf(checkpoint), "OK");
  GgufFileWriter writer(kDefaultGgufAlignment);
  const absl::Status status = DescribeChatTemplate(*checkpoint, writer);
  if (!status.ok()) return ErrorOf(status);
  std::string text = "none";
  const Checkpoint written = Written(std::move(writer));
  EXPECT_EQ(written.has_chat_template, checkpoint->has_chat_template);
  EXPECT_EQ(ErrorOf(written.metadata->Read("tokenizer.chat_template", text)),
            "OK");
  return text;
}

TEST(DescribeChatTemplate, FindsFileOrKey) {
  EXPECT_EQ(TemplateOf("", ""), "none");
  EXPECT_EQ(TemplateOf("", "{}"), "none");
  EXPECT_EQ(TemplateOf("", R"({"chat_template": null})"), "none");
  EXPECT_EQ(TemplateOf("{{ file }}", ""), "{{ file }}");
  EXPECT_EQ(TemplateOf("", R"({"chat_template": "{{ key }}"})"), "{{ key }}");
  EXPECT_EQ(TemplateOf("{{ file }}", R"({"chat_template": "{{ key }}"})"),
            "{{ file }}");
  EXPECT_EQ(TemplateOf("", R"({"chat_template": [
                {"name": "rag", "template": "r"},
                {"name": "default", "template": "d"}]})"),
            "d");
  EXPECT_THAT(TemplateOf("", R"({"chat_template": 7})"),
              HasSubstr("'chat_template' is 7, wanted"));
}

// As transformers: chat_template.jinja and its folder, else the tokenizer's
// key, else the file of older processors.
TEST(DescribeChatTemplate, FollowsReadingOrder) {
  const std::string folder = TestDirectory();
  const std::string directory = folder + "/model";
  std::filesystem::create_directory(directory);
  WriteTinyDirectory(directory, TinyConfig("gemma"), TinyHfTensors("gemma"));
  const auto written = [&](std::string_view key) {
    const std::string path = folder + "/m.gguf";
    std::filesystem::remove(path);  // of the call before
    const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(directory);
    EXPECT_EQ(ErrorOf(checkpoint), "OK");
    EXPECT_TRUE(checkpoint->has_chat_template);
    GgufFileWriter writer(kDefaultGgufAlignment);
    EXPECT_EQ(ErrorOf(DescribeChatTemplate(*checkpoint, writer)), "OK");
    std::string text = "none";
    EXPECT_EQ(
        ErrorOf(Written(std::move(writer), path).metadata->Read(key, text)),
        "OK");
    return text;
  };
  constexpr std::string_view kKey = "tokenizer.chat_template";
  constexpr std::string_view kToolKey = "tokenizer.chat_template.tool_use";
  WriteFile(directory + "/chat_template.json", R"({"chat_template": "json"})");
  EXPECT_EQ(written(kKey), "json");
  WriteFile(directory + "/tokenizer_config.json", R"({"chat_template": [
                {"name": "tool_use", "template": "config tool"},
                {"name": "default", "template": "config"}]})");
  EXPECT_EQ(written(kKey), "config");
  EXPECT_EQ(written(kToolKey), "config tool");
  WriteFile(directory + "/chat_template.jinja", "file");
  EXPECT_EQ(written(kKey), "file");
  EXPECT_EQ(written(kToolKey), "none");
  std::filesystem::create_directory(directory + "/additional_chat_templates");
  WriteFile(directory + "/additional_chat_templates/tool_use.jinja", "tool");
  EXPECT_EQ(written(kKey), "file");
  EXPECT_EQ(written(kToolKey), "tool");
}

}  // namespace
}  // namespace gemma::internal
