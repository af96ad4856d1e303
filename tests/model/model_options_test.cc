// The effects of options on tokens, threads, caches and bytes, and the reasons
// why loading fails.

#include <filesystem>
#include <fstream>
#include <string>

#include "gemma/gemma.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

namespace fs = std::filesystem;

TEST(CheckTokens, NamesTheFirstUnknown) {
  ModelConfig config;
  config.vocab_size = 256;
  EXPECT_EQ(ErrorOf(CheckTokens({}, config, "F")), "OK");
  EXPECT_EQ(ErrorOf(CheckTokens({0, 255}, config, "F")), "OK");
  EXPECT_EQ(ErrorOf(CheckTokens({0, 256, -1}, config, "F")),
            "token 1 of F is 256, wanted 0 to 255");
  EXPECT_EQ(ErrorOf(CheckTokens({-1}, config, "F")),
            "token 0 of F is -1, wanted 0 to 255");
}

TEST(ThreadsFor, WhatAModelHas) {
  const ThreadCounts all = ThreadsFor({});
  EXPECT_GE(all.prefill, 1u);
  EXPECT_EQ(all.decode, all.prefill);
  EXPECT_EQ(ThreadsFor({.num_threads = 3}).decode, 3u);
  EXPECT_EQ(ThreadsFor({.num_threads = 3, .num_decode_threads = 2}).decode, 2u);
  EXPECT_EQ(ThreadsFor({.num_threads = 3, .num_decode_threads = 5}).decode, 3u);
  const Model model = LoadOrDie(ToyPath("gemma"), {.num_threads = 3});
  EXPECT_EQ(model.num_threads(), 3u);
}

TEST(CacheFormatFor, AutoFollowsWeights) {
  const Model float32 = LoadOrDie(ToyPath("gemma"), {.num_threads = 1});
  EXPECT_EQ(CacheFormatFor(float32, CacheFormat::kAuto), CacheFormat::kFloat32);
  // The type of the packed weights decides, not that of the file.
  const Model bfloat16 = LoadOrDie(
      ToyPath("gemma"), {.num_threads = 1, .quantize = WeightType::kBF16});
  EXPECT_EQ(CacheFormatFor(bfloat16, CacheFormat::kAuto),
            CacheFormat::kBFloat16);
  for (const CacheFormat format :
       {CacheFormat::kFloat32, CacheFormat::kBFloat16, CacheFormat::kInt8}) {
    EXPECT_EQ(CacheFormatFor(float32, format), format);
  }
}

TEST(MemoryFor, CountsSessions) {
  const Model model = LoadOrDie(ToyPath("gemma2"), {.num_threads = 1});
  const SessionOptions options = {.max_tokens = 1000};
  const MemoryUse one = model.MemoryFor(options);
  const MemoryUse eight = model.MemoryFor(options, 8);
  const uint64_t logits = model.config().vocab_size * sizeof(float);
  EXPECT_EQ(eight.weights, one.weights);
  EXPECT_EQ(eight.cache, 8 * one.cache);
  EXPECT_EQ(eight.scratch, one.scratch + 7 * logits);
}

TEST(MemoryFor, WhatATokenReads) {
  const auto use = [](const std::string& toy, LoadOptions options = {}) {
    options.num_threads = 1;
    return LoadOrDie(ToyPath(toy), options).MemoryFor({.max_tokens = 1});
  };
  const MemoryUse all = use("gemma2");
  EXPECT_EQ(all.weights_per_token, all.weights);
  // A row of the table of per-layer embeddings, 4 values for each of 5 layers.
  const MemoryUse table = use("gemma4_e2b");
  EXPECT_EQ(table.weights_per_token, table.weights + 5 * 4 * sizeof(float));
  // In each of 2 layers, 3 of 5 experts are not used. An expert has 3 matrices
  // of 32 * 32 values.
  const MemoryUse experts = use("gemma4_moe");
  EXPECT_EQ(experts.weights_per_token,
            experts.weights - 2 * 3 * 3 * 32 * 32 * sizeof(float));
  EXPECT_EQ(use("embedding_gemma").weights_per_token, 0u);
}

TEST(MemoryFor, SkipsBitsOfHeads) {
  LoadOptions options = {.num_threads = 1, .quantize = WeightType::kQ8};
  const auto use = [&] {
    return LoadOrDie(ToyPath("gemma2"), options).MemoryFor({.max_tokens = 1});
  };
  // The lower 2 of 8 bits of 256 * 64 values.
  const MemoryUse quantized = use();
  EXPECT_EQ(quantized.weights_per_token, quantized.weights - 256 * 64 / 4);
  options.activations = Activations::kFloat32;
  EXPECT_EQ(use().weights_per_token, quantized.weights);
}

TEST(MemoryFor, EngineCountsItsSequences) {
  const Model model = LoadOrDie(ToyPath("gemma2"), {.num_threads = 1});
  EngineOptions options;
  options.max_tokens = 1000;
  options.max_sequences = 64;
  const MemoryUse use = Engine::MemoryFor(model, options);
  const MemoryUse sessions = model.MemoryFor({.max_tokens = 1000}, 64);
  EXPECT_EQ(use.weights, sessions.weights);
  EXPECT_EQ(use.cache, sessions.cache);
  // The logits of 64 answers, and of 64 tokens of a scored prompt.
  EXPECT_EQ(use.scratch,
            sessions.scratch + 128 * model.config().vocab_size * sizeof(float));
}

TEST(MemoryFor, EmbedderCountsAPass) {
  const Model model = LoadOrDie(ToyPath("embedding_gemma"),
                                {.num_threads = 1, .prefill_chunk = 2});
  const auto cache = [](const Model& of, size_t max_tokens) {
    return Embedder::MemoryFor(of, {.max_tokens = max_tokens}).cache;
  };
  // Caches have whole tiles of positions.
  const uint64_t tile = cache(model, 2);
  EXPECT_EQ(cache(model, kCacheTile), tile);
  EXPECT_EQ(cache(model, kCacheTile + 1), 2 * tile);
  EXPECT_EQ(Embedder::MemoryFor(model).cache,
            cache(model, model.config().max_context));
  const Model chunks =
      LoadOrDie(ToyPath("embedding_gemma"),
                {.num_threads = 1, .prefill_chunk = kCacheTile + 1});
  EXPECT_EQ(cache(chunks, 2), 2 * tile);
}

// A copy of a toy that a test damages.
class LoadReason : public ::testing::Test {
 protected:
  fs::path Copy(const std::string& toy) const {
    fs::copy(ToyPath(toy), root_ / toy, fs::copy_options::recursive);
    return root_ / toy;
  }
  fs::path Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(root_ / name, std::ios::binary) << bytes;
    return root_ / name;
  }
  static ErrorReason Of(const fs::path& path) {
    const auto model = Model::Load(path.string());
    EXPECT_FALSE(model.ok());
    return ReasonOf(model.status());
  }

 private:
  const fs::path root_ = TestDirectory();
};

TEST_F(LoadReason, NotAModel) {
  EXPECT_EQ(Of(Write("notes.txt", "Once upon a time")),
            ErrorReason::kNotAModel);
  EXPECT_EQ(Of(Write("notes.txt", "").parent_path()), ErrorReason::kNotAModel);
}

TEST_F(LoadReason, IncompleteFile) {
  EXPECT_EQ(Of(Write("m.gguf", "")), ErrorReason::kIncompleteFile);
  EXPECT_EQ(Of(Write("m.gguf", "GGUF\3")), ErrorReason::kIncompleteFile);
  EXPECT_EQ(Of(Write("m.sbs", "SBS\n")), ErrorReason::kIncompleteFile);
  const fs::path toy = Copy("gemma2");
  const fs::path weights = toy / "model.safetensors";
  fs::resize_file(weights, fs::file_size(weights) - 1);
  EXPECT_EQ(Of(toy), ErrorReason::kIncompleteFile);
  fs::resize_file(weights, 20);
  EXPECT_EQ(Of(toy), ErrorReason::kIncompleteFile);
  fs::resize_file(weights, 7);
  EXPECT_EQ(Of(toy), ErrorReason::kIncompleteFile);
}

TEST_F(LoadReason, MissingFile) {
  const fs::path toy = Copy("gemma2");
  fs::remove(toy / "config.json");
  EXPECT_EQ(Of(toy), ErrorReason::kMissingFile);
  const fs::path shards = Copy("gemma2_sharded");
  for (const auto& entry : fs::directory_iterator(shards)) {
    if (entry.path().extension() != ".safetensors") continue;
    fs::remove(entry.path());
    break;
  }
  EXPECT_EQ(Of(shards), ErrorReason::kMissingFile);
}

TEST_F(LoadReason, NoTokenizer) {
  const Model model = LoadOrDie(ToyPath("gemma2"), {.num_threads = 1});
  EXPECT_EQ(ReasonOf(model.tokenizer().status()), ErrorReason::kNoTokenizer);
}

TEST_F(LoadReason, OfTheOutput) {
  const std::string source = ToyPath("gemma2");
  const fs::path mine = Write("mine.gguf", "mine");
  const auto reason = [&](const std::string& from, const std::string& to) {
    return ReasonOf(Quantize(from, to, {}));
  };
  EXPECT_EQ(reason(source, mine.string()), ErrorReason::kOutputFile);
  EXPECT_EQ(reason(source, (mine.parent_path() / "no" / "m.gguf").string()),
            ErrorReason::kOutputFile);
  EXPECT_EQ(reason(mine.string(), mine.string() + "2"),
            ErrorReason::kNotAModel);
}

}  // namespace
}  // namespace gemma::internal
