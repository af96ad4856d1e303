// Derives the configuration from old files of gemma.cpp with the shapes of
// published models, but without values.

#include "src/model/config/sbs_sizes.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/sbs_files.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

struct PublishedSizes {
  const char* name;
  size_t layers, width, ffw, heads, kv_heads, head_dim, vocab, window, context;
  bool qk_norm, post_norms;
  float rope_factor;
  double query_scalar;
};

// From their config.json.
constexpr PublishedSizes kPublished[] = {
    {"gemma 2b", 18, 2048, 16384, 8, 1, 256, 256000, 0, 8192, false, false, 1,
     256},
    {"gemma 7b", 28, 3072, 24576, 16, 16, 256, 256000, 0, 8192, false, false, 1,
     256},
    {"gemma2 2b", 26, 2304, 9216, 8, 4, 256, 256000, 4096, 8192, false, true, 1,
     256},
    {"gemma2 9b", 42, 3584, 14336, 16, 8, 256, 256000, 4096, 8192, false, true,
     1, 256},
    {"gemma2 27b", 46, 4608, 36864, 32, 16, 128, 256000, 4096, 8192, false,
     true, 1, 144},
    {"gemma3 270m", 18, 640, 2048, 4, 1, 256, 262144, 512, 32768, true, true, 1,
     256},
    {"gemma3 1b", 26, 1152, 6912, 4, 1, 256, 262144, 512, 32768, true, true, 1,
     256},
    {"gemma3 4b", 34, 2560, 10240, 8, 4, 256, 262144, 1024, 131072, true, true,
     8, 256},
    {"gemma3 12b", 48, 3840, 15360, 16, 8, 256, 262144, 1024, 131072, true,
     true, 8, 256},
    {"gemma3 27b", 62, 5376, 21504, 32, 16, 128, 262144, 1024, 131072, true,
     true, 8, 168},
};

// The model's blobs in SFP, with norms and table in bfloat16.
std::vector<std::pair<std::string, uint64_t>> BlobsOf(const PublishedSizes& p) {
  std::vector<std::pair<std::string, uint64_t>> blobs = {
      {"Bc_embedding", 2 * p.vocab * p.width}, {"Bc_final_norm", 2 * p.width}};
  for (size_t i = 0; i < p.layers; ++i) {
    const auto add = [&](const char* name, uint64_t bytes) {
      blobs.emplace_back(name + std::to_string(i), bytes);
    };
    add("$att_ein_", p.heads * p.head_dim * p.width);
    add("$qkv_ein_", (p.heads + 2 * p.kv_heads) * p.head_dim * p.width);
    add("$gating_ein_", 2 * p.ffw * p.width);
    add("$linear_w_", p.ffw * p.width);
    add("Bpre_att_ns_", 2 * p.width);
    add("Bpre_ff_ns_", 2 * p.width);
    if (p.post_norms) add("Bpost_att_ns_", 2 * p.width);
    if (p.post_norms) add("Bpost_ff_ns_", 2 * p.width);
    if (p.qk_norm) add("Bquery_norm_", 2 * p.head_dim);
    if (p.qk_norm) add("Bkey_norm_", 2 * p.head_dim);
  }
  return blobs;
}

TEST(SbsSizes, PublishedModelsAreKnown) {
  const std::string path = TestDirectory() + "/m.sbs";
  LoadOptions options;
  options.skip_weights = true;
  for (const PublishedSizes& p : kPublished) {
    SCOPED_TRACE(p.name);
    WriteSparseSbs(path, BlobsOf(p));
    const Model model = LoadOrDie(path, options);
    const ModelConfig& c = model.config();
    EXPECT_EQ(c.num_layers(), p.layers);
    EXPECT_EQ(c.model_dim, p.width);
    EXPECT_EQ(c.vocab_size, p.vocab);
    EXPECT_EQ(c.max_context, p.context);
    EXPECT_EQ(c.post_norms, p.post_norms);
    EXPECT_FLOAT_EQ(c.query_scale, 1.0 / std::sqrt(p.query_scalar));
    const bool gemma2 = p.post_norms && !p.qk_norm;
    EXPECT_EQ(c.attn_logits_soft_cap, gemma2 ? 50.0f : 0.0f);
    EXPECT_EQ(c.final_logits_soft_cap, gemma2 ? 30.0f : 0.0f);
    const size_t period = p.qk_norm ? 6 : 2;
    for (size_t i = 0; i < p.layers; ++i) {
      const bool global = p.window == 0 || (i + 1) % period == 0;
      const LayerConfig& layer = c.layers[i];
      EXPECT_EQ(layer.type, global ? BlockType::kGlobalAttention
                                   : BlockType::kLocalAttention);
      EXPECT_EQ(layer.ffw_dim, p.ffw);
      EXPECT_EQ(layer.num_heads, p.heads);
      EXPECT_EQ(layer.num_kv_heads, p.kv_heads);
      EXPECT_EQ(layer.head_dim, p.head_dim);
      EXPECT_EQ(layer.sliding_window, global ? 0 : p.window);
      EXPECT_EQ(layer.rope.factor, global ? p.rope_factor : 1.0f);
      EXPECT_EQ(layer.rope.base, global && p.qk_norm ? 1e6f : 1e4f);
    }
  }
}

TEST(SbsSizes, RecurrentGemmaIsKnown) {
  constexpr size_t kWidth = 2560;
  constexpr size_t kFfw = 7680;
  std::vector<std::pair<std::string, uint64_t>> blobs = {
      {"Bc_embedding", 2 * 256000 * kWidth}, {"Bc_final_norm", 2 * kWidth}};
  for (size_t i = 0; i < 26; ++i) {
    const auto add = [&](const char* name, uint64_t bytes) {
      blobs.emplace_back(name + std::to_string(i), bytes);
    };
    add("$gating_ein_", 2 * kFfw * kWidth);
    add("$linear_w_", kFfw * kWidth);
    add("Fffw_gat_b_", 4 * 2 * kFfw);
    add("Fffw_out_b_", 4 * kWidth);
    add("Bpre_att_ns_", 2 * kWidth);
    add("Bpre_ff_ns_", 2 * kWidth);
    if (i % 3 == 2) {
      add("$att_ein_", kWidth * kWidth);
      add("$qkv_ein_", 12 * 256 * kWidth);
      add("Fattn_ob_", 4 * kWidth);
      continue;
    }
    for (const char* name : {"x", "y", "out"}) {
      add((std::string("$gr_lin_") + name + "_w_").c_str(), kWidth * kWidth);
      add((std::string("Fgr_lin_") + name + "_b_").c_str(), 4 * kWidth);
    }
    add("Fgr_conv_w_", 4 * 4 * kWidth);
    add("Fgr_conv_b_", 4 * kWidth);
    add("$gr_gate_w_", 2 * 10 * 256 * 256);
    add("Fgr_gate_b_", 4 * 2 * kWidth);
    add("Fgr_a_", 4 * kWidth);
  }
  const std::string path = TestDirectory() + "/m.sbs";
  WriteSparseSbs(path, blobs);
  LoadOptions options;
  options.skip_weights = true;
  const Model model = LoadOrDie(path, options);
  const ModelConfig& c = model.config();
  EXPECT_EQ(c.architecture, "recurrentgemma");
  EXPECT_EQ(c.lru_width, kWidth);
  EXPECT_EQ(c.conv_width, 4u);
  EXPECT_EQ(c.final_logits_soft_cap, 30.0f);
  for (const LayerConfig& layer : c.layers) {
    EXPECT_EQ(layer.num_heads, 10u);
    EXPECT_EQ(layer.num_kv_heads, 1u);
    EXPECT_EQ(layer.head_dim, 256u);
    EXPECT_EQ(layer.rope.rotary_dim, 128u);
    EXPECT_EQ(layer.ffw_dim, kFfw);
  }
  EXPECT_EQ(c.layers[2].type, BlockType::kLocalAttention);
  EXPECT_EQ(c.layers[2].sliding_window, 2049u);
  EXPECT_EQ(c.layers[25].type, BlockType::kRecurrent);
}

}  // namespace
}  // namespace gemma::internal
