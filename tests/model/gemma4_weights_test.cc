// Loads the weights that only Gemma 4 has: experts in the two forms of files,
// tables whose rows stay in the file, and fused tensors.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compression/codec.h"
#include "compression/layout.h"
#include "compression/packed_row.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/formats/checkpoint.h"
#include "src/model/tensors/outline.h"
#include "src/model/tensors/weights.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string GgufToyPath(const std::string& name) {
  return absl::StrCat(GEMMA_TESTDATA_DIR, "/gguf/", name, ".gguf");
}

// A checkpoint with its weights, which point into it.
struct LoadedWeights {
  Checkpoint checkpoint;
  Outline outline;
  Weights weights;
};

absl::StatusOr<LoadedWeights> LoadWith(const std::string& path,
                                       WeightType type = WeightType::kKeep) {
  LoadedWeights out;
  absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(path);
  if (!checkpoint.ok()) return checkpoint.status();
  out.checkpoint = *std::move(checkpoint);
  absl::StatusOr<Outline> outline =
      ReadOutline(out.checkpoint, RecurrentWindow::kDeepMind);
  if (!outline.ok()) return outline.status();
  out.outline = *std::move(outline);
  Workers workers(2);
  absl::StatusOr<Weights> weights = LoadWeights(
      out.checkpoint, out.outline, type, workers, /*progress=*/nullptr);
  if (!weights.ok()) return weights.status();
  out.weights = *std::move(weights);
  return out;
}

LoadedWeights LoadOk(const std::string& path,
                     WeightType type = WeightType::kKeep) {
  absl::StatusOr<LoadedWeights> loaded = LoadWith(path, type);
  EXPECT_EQ(ErrorOf(loaded), "OK") << path;
  return loaded.ok() ? *std::move(loaded) : LoadedWeights();
}

// Returns all values of a matrix.
std::vector<float> MatrixValues(const Matrix& matrix) {
  const PackedView& view = matrix.view;
  std::vector<float> values(view.rows * view.cols);
  for (size_t row = 0; row < view.rows; ++row) {
    DecodePackedRow(view, row, values.data() + row * view.cols);
  }
  return values;
}

// Returns the values of a tensor.
std::vector<float> StoredValues(const LoadedWeights& loaded,
                                const std::string& name) {
  return *Decode(loaded.checkpoint.tensors.at(name));
}

std::vector<float> Slice(const std::vector<float>& values, size_t begin,
                         size_t size) {
  const auto first = values.begin() + static_cast<std::ptrdiff_t>(begin);
  return {first, first + static_cast<std::ptrdiff_t>(size)};
}

// The first half of each expert's rows is the gate.
TEST(Gemma4Weights, FusedExpertsAreSplit) {
  const LoadedWeights loaded = LoadOk(ToyPath("gemma4_moe"));
  const std::string prefix = "model.layers.1.experts.";
  const std::vector<float> fused =
      StoredValues(loaded, prefix + "gate_up_proj");
  const std::vector<float> down = StoredValues(loaded, prefix + "down_proj");
  const LayerWeights& layer = loaded.weights.layers[1];
  constexpr size_t kEach = 32 * 32;
  ASSERT_EQ(layer.expert_gate.size(), 5);
  ASSERT_EQ(layer.expert_up.size(), 5);
  ASSERT_EQ(layer.expert_down.size(), 5);
  for (size_t e = 0; e < 5; ++e) {
    EXPECT_EQ(MatrixValues(layer.expert_gate[e]),
              Slice(fused, 2 * e * kEach, kEach));
    EXPECT_EQ(MatrixValues(layer.expert_up[e]),
              Slice(fused, (2 * e + 1) * kEach, kEach));
    EXPECT_EQ(MatrixValues(layer.expert_down[e]),
              Slice(down, e * kEach, kEach));
  }
}

void ExpectSameMatrix(const Matrix& a, const Matrix& b) {
  EXPECT_EQ(MatrixValues(a), MatrixValues(b));
}

// The GGUF files have fused and split tensors, and dead keys and values.
TEST(Gemma4Weights, GgufEqualsSafetensors) {
  for (const char* name : {"gemma4_e2b", "gemma4_moe", "gemma4_31b"}) {
    SCOPED_TRACE(name);
    const LoadedWeights hf = LoadOk(ToyPath(name));
    const LoadedWeights gguf = LoadOk(GgufToyPath(name));
    ASSERT_EQ(hf.weights.layers.size(), gguf.weights.layers.size());
    EXPECT_EQ(hf.outline.config.layers, gguf.outline.config.layers);
    for (size_t i = 0; i < hf.weights.layers.size(); ++i) {
      const LayerWeights& a = hf.weights.layers[i];
      const LayerWeights& b = gguf.weights.layers[i];
      ExpectSameMatrix(a.q_proj, b.q_proj);
      ExpectSameMatrix(a.k_proj, b.k_proj);
      ExpectSameMatrix(a.v_proj, b.v_proj);
      ExpectSameMatrix(a.router, b.router);
      EXPECT_EQ(a.q_norm, b.q_norm);
      EXPECT_EQ(a.router_scale, b.router_scale);
      EXPECT_EQ(a.expert_scale, b.expert_scale);
      EXPECT_EQ(a.layer_scale, b.layer_scale);
      ASSERT_EQ(a.expert_gate.size(), b.expert_gate.size());
      for (size_t e = 0; e < a.expert_gate.size(); ++e) {
        ExpectSameMatrix(a.expert_gate[e], b.expert_gate[e]);
        ExpectSameMatrix(a.expert_up[e], b.expert_up[e]);
        ExpectSameMatrix(a.expert_down[e], b.expert_down[e]);
      }
    }
  }
}

// EmbeddingGemma 2 keeps some weights in folders, and its projection has names
// of its own.
TEST(Gemma4Weights, EmbeddingGemma2IsRead) {
  const std::string directory = ToyPath("embedding_gemma2");
  const LoadedWeights hf = LoadOk(directory);
  const LoadedWeights gguf = LoadOk(GgufToyPath("gemma_embedding2"));
  EXPECT_THAT(hf.outline.notes,
              ElementsAre(HasSubstr("skips towers for images or sound (")));
  EXPECT_THAT(gguf.outline.notes, IsEmpty());
  for (const ModelConfig& c : {hf.outline.config, gguf.outline.config}) {
    EXPECT_EQ(c.architecture, "gemma-embedding2");
    EXPECT_TRUE(c.bidirectional);
    EXPECT_EQ(c.pooling, Pooling::kMean);
    EXPECT_THAT(c.dense_dims, ElementsAre(40));
    EXPECT_EQ(c.per_layer_dim, 8);
    EXPECT_EQ(c.per_layer_vocab, 0);
    EXPECT_EQ(c.layers[0].sliding_window, 4);  // 3 to each side, and itself
    EXPECT_EQ(c.layers[2].rope.rotary_dim, 16);
    EXPECT_EQ(c.layers[2].rope.num_rotating, 0);
    EXPECT_FALSE(c.layers[2].k_eq_v);
  }
  EXPECT_EQ(hf.outline.config.layers, gguf.outline.config.layers);
  ExpectSameMatrix(hf.weights.dense[0], gguf.weights.dense[0]);
  ExpectSameMatrix(hf.weights.per_layer_context,
                   gguf.weights.per_layer_context);
  EXPECT_EQ(hf.weights.per_layer_norm, gguf.weights.per_layer_norm);
  EXPECT_EQ(hf.weights.table_bytes, 0);
  for (size_t i = 0; i < 5; ++i) {
    const LayerWeights& a = hf.weights.layers[i];
    const LayerWeights& b = gguf.weights.layers[i];
    ExpectSameMatrix(a.per_layer_gate, b.per_layer_gate);
    ExpectSameMatrix(a.per_layer_proj, b.per_layer_proj);
    EXPECT_EQ(a.post_per_layer_norm, b.post_per_layer_norm);
    EXPECT_EQ(a.layer_scale, b.layer_scale);
  }
  ASSERT_TRUE(hf.outline.prompts.has_value());
  EXPECT_EQ(hf.outline.prompts->all.size(), 3);
}

// A norm of Gemma 4 is the factor itself, one of VaultGemma the factor minus
// one.
TEST(Gemma4Weights, NormsByFamily) {
  const std::string name = "model.layers.0.input_layernorm.weight";
  const LoadedWeights gemma4 = LoadOk(ToyPath("gemma4_31b"));
  EXPECT_EQ(gemma4.weights.layers[0].pre_mix_norm, StoredValues(gemma4, name));
  const LoadedWeights vault = LoadOk(ToyPath("vaultgemma"));
  std::vector<float> factors = StoredValues(vault, name);
  for (float& factor : factors) factor += 1.0f;
  EXPECT_EQ(vault.weights.layers[0].pre_mix_norm, factors);
  EXPECT_THAT(vault.weights.layers[0].post_mix_norm, IsEmpty());
}

// The 12B's text_config has no keys of per-layer embeddings and experts.
TEST(Gemma4Weights, UnifiedIsRead) {
  const LoadedWeights loaded = LoadOk(ToyPath("gemma4_unified"));
  EXPECT_EQ(loaded.outline.config.per_layer_dim, 0);
  EXPECT_EQ(loaded.outline.config.layers[0].num_experts, 0);
  EXPECT_THAT(loaded.outline.notes,
              ElementsAre(HasSubstr("skips towers for images or sound (")));
}

TEST(Gemma4Weights, KeysAreValues) {
  const LoadedWeights loaded = LoadOk(ToyPath("gemma4_31b"));
  for (size_t i = 0; i < 3; ++i) {
    const bool global = i == 2;
    EXPECT_EQ(loaded.outline.config.layers[i].k_eq_v, global);
    EXPECT_EQ(loaded.weights.layers[i].v_proj.view.rows, global ? 0 : 16);
  }
}

TEST(Gemma4Weights, SkippedTensorsAreNoted) {
  const std::string nested = ToyPath("gemma4_nested");
  const LoadedWeights hf = LoadOk(nested);
  ASSERT_EQ(hf.outline.notes.size(), 1);
  EXPECT_THAT(hf.outline.notes[0],
              HasSubstr(nested + ": skips towers for images or sound ("));
  EXPECT_THAT(hf.outline.notes[0],
              HasSubstr(", and keys and values of layers that use those of "
                        "others (6 tensors)"));
  const std::string gguf = GgufToyPath("gemma4_e2b");
  EXPECT_THAT(LoadOk(gguf).outline.notes,
              ElementsAre(gguf + ": skips keys and values of layers that use "
                                 "those of others (4 tensors)"));
  EXPECT_THAT(LoadOk(ToyPath("gemma4_moe")).outline.notes, IsEmpty());
}

// The per-layer table is used where it is in the mapped file, in its own type.
TEST(Gemma4Weights, TableStaysInFile) {
  for (const std::string& path :
       {ToyPath("gemma4_e2b"), GgufToyPath("gemma4_e2b")}) {
    const LoadedWeights loaded = LoadOk(path, WeightType::kQ8);
    const RowTable& table = loaded.weights.per_layer_table;
    const absl::Span<const uint8_t> file = loaded.checkpoint.files[0].bytes();
    EXPECT_EQ(table.memory.data(), nullptr);
    EXPECT_EQ(table.view.format, Format::kF32);
    EXPECT_EQ(table.view.rows, 256);
    EXPECT_EQ(table.view.cols, 5 * 4);
    EXPECT_GE(table.view.data, file.data());
    EXPECT_LE(table.view.data + 256 * 80, file.data() + file.size());
    EXPECT_EQ(loaded.weights.table_bytes, 256 * 80);
  }
}

// Without weights, the same numbers are predicted.
TEST(Gemma4Weights, PlanCountsSameBytes) {
  for (const char* name : {"gemma4_e2b", "gemma4_moe", "gemma4_31b"}) {
    const LoadedWeights loaded = LoadOk(ToyPath(name), WeightType::kQ8);
    const absl::StatusOr<Weights> plan =
        PlanWeights(loaded.checkpoint, loaded.outline, WeightType::kQ8);
    ASSERT_EQ(ErrorOf(plan), "OK");
    EXPECT_EQ(plan->bytes, loaded.weights.bytes);
    EXPECT_EQ(plan->table_bytes, loaded.weights.table_bytes);
    EXPECT_EQ(plan->per_layer_table.view.data, nullptr);
  }
}

// Experts are quantized like other matrices, and the router is not.
TEST(Gemma4Weights, RouterStaysExact) {
  const LoadedWeights exact = LoadOk(ToyPath("gemma4_moe"));
  const LoadedWeights quantized =
      LoadOk(ToyPath("gemma4_moe"), WeightType::kQ4_0);
  const LayerWeights& a = exact.weights.layers[0];
  const LayerWeights& b = quantized.weights.layers[0];
  ExpectSameMatrix(a.router, b.router);
  EXPECT_EQ(b.expert_up[4].view.layout, LayoutOf(Format::kQ4_0));
  EXPECT_NE(MatrixValues(a.expert_up[4]), MatrixValues(b.expert_up[4]));
}

// sqrt(24) is rounded to the type of the weights, as is sqrt(4).
TEST(Gemma4Weights, ScalesAreRounded) {
  const LoadedWeights loaded = LoadOk(ToyPath("gemma4_bf16"));
  EXPECT_EQ(loaded.outline.config.embedding_scale, 4.90625f);
  EXPECT_EQ(loaded.outline.config.per_layer_scale, 2.0f);
  const LoadedWeights shared = LoadOk(ToyPath("gemma4_shared"));
  EXPECT_FLOAT_EQ(shared.outline.config.per_layer_scale, 2.8284271f);
}

// Returns the pages of this process that a file fills, in KiB.
size_t ResidentKib(const std::string& path) {
  std::ifstream maps("/proc/self/smaps");
  size_t sum = 0;
  bool is_file = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') < line.find(' ')) {
      is_file = line.ends_with(path);
    } else if (is_file && line.starts_with("Rss:")) {
      sum += std::stoul(line.substr(4));
    }
  }
  return sum;
}

// The tensors of a toy with per-layer embeddings, in a safetensors file whose
// last tensor is a different table. Without bytes, the file ends where it
// begins.
Bytes WithTable(const LoadedWeights& toy, const char* type, size_t rows,
                size_t bytes, const Bytes& table, const nlohmann::json& more) {
  constexpr char kName[] = "model.embed_tokens_per_layer.weight";
  nlohmann::json header = more;
  Bytes data;
  for (const auto& [name, tensor] : toy.checkpoint.tensors) {
    if (name == kName) continue;
    header[name] = {
        {"dtype", "F32"},
        {"shape", tensor.shape},
        {"data_offsets", {data.size(), data.size() + tensor.bytes}}};
    data.insert(data.end(), tensor.data, tensor.data + tensor.bytes);
  }
  for (auto& [name, tensor] : header.items()) {
    if (!more.contains(name)) continue;  // four bytes at the end
    tensor["data_offsets"] = {data.size(), data.size() + 4};
    data.insert(data.end(), {0, 0, 0x40, 0x40});  // 3.0f
  }
  header[kName] = {{"dtype", type},
                   {"shape", {rows, 20}},
                   {"data_offsets", {data.size(), data.size() + bytes}}};
  data.insert(data.end(), table.begin(), table.end());
  return RawSafetensors(header.dump(), data);
}

nlohmann::json ConfigJson(const std::string& directory) {
  std::ifstream file(directory + "/config.json");
  return nlohmann::json::parse(file);
}

// A table of 256 MiB, of which loading reads nothing.
TEST(Gemma4Weights, TableIsNotRead) {
  const std::string from = ToyPath("gemma4_e2b");
  const std::string directory = TestDirectory();
  constexpr size_t kRows = size_t{256 << 20} / (5 * 4 * sizeof(float));
  constexpr size_t kBytes = kRows * 20 * sizeof(float);
  nlohmann::json config = ConfigJson(from);
  config["vocab_size_per_layer_input"] = kRows;
  WriteFile(directory + "/config.json", config.dump());
  const Bytes file = WithTable(LoadOk(from), "F32", kRows, kBytes, {}, {});
  const std::string path = directory + "/model.safetensors";
  WriteFile(path, file);
  fs::resize_file(path, file.size() + kBytes);  // a hole in the file
  const LoadedWeights loaded = LoadOk(directory, WeightType::kQ8);
  EXPECT_EQ(loaded.weights.per_layer_table.view.rows, kRows);
  EXPECT_LT(ResidentKib(path), 1024);
}

// A table with scales of its own is multiplied in memory.
TEST(Gemma4Weights, ScaledTableIsDecoded) {
  const std::string from = ToyPath("gemma4_e2b");
  const std::string directory = TestDirectory();
  nlohmann::json config = ConfigJson(from);
  config["quantization_config"] = {
      {"quant_method", "compressed-tensors"},
      {"format", "float-quantized"},
      {"config_groups",
       {{"group_0", {{"weights", {{"type", "float"}, {"num_bits", 8}}}}}}}};
  WriteFile(directory + "/config.json", config.dump());
  const Bytes ones(256 * 20, 0x38);  // in F8_E4M3
  WriteFile(directory + "/model.safetensors",
            WithTable(LoadOk(from), "F8_E4M3", 256, ones.size(), ones,
                      {{"model.embed_tokens_per_layer.weight_scale",
                        {{"dtype", "F32"}, {"shape", {1}}}}}));
  const LoadedWeights loaded = LoadOk(directory);
  const RowTable& table = loaded.weights.per_layer_table;
  ASSERT_NE(table.memory.data(), nullptr);
  EXPECT_EQ(loaded.weights.table_bytes, 0);
  EXPECT_EQ(table.view.format, Format::kF32);
  std::vector<float> row(20);
  DecodeRow(table.view, 255, row.data());
  EXPECT_EQ(row, std::vector<float>(20, 3.0f));
}

// Copies a file with a name in it replaced by one of the same length.
void CopyRenamed(const std::string& path, std::string_view from,
                 std::string_view to, const std::string& copy) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const size_t at = bytes.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  bytes.replace(at, to.size(), to);
  WriteFile(copy, Bytes(bytes.begin(), bytes.end()));
}

// Returns the error of loading the toy's GGUF file with a tensor renamed.
std::string RenamedError(const std::string& toy, std::string_view from,
                         std::string_view to) {
  const std::string path = TestDirectory() + "/m.gguf";
  CopyRenamed(GgufToyPath(toy), from, to, path);
  return ErrorOf(LoadWith(path));
}

TEST(Gemma4Weights, SingleExpertsAreRefused) {
  const std::string from = ToyPath("gemma4_moe");
  const std::string directory = TestDirectory();
  fs::copy_file(from + "/config.json", directory + "/config.json");
  CopyRenamed(from + "/model.safetensors", "layers.1.experts.down_proj",
              "layers.1.experts.0.dn_proj", directory + "/model.safetensors");
  EXPECT_THAT(ErrorOf(LoadWith(directory)),
              HasSubstr("tensor 'model.layers.1.experts.0.dn_proj' is of one "
                        "expert, wanted 'model.layers.1.experts.down_proj', "
                        "which holds those of all"));
  EXPECT_THAT(RenamedError("gemma4_moe", "blk.0.ffn_down_exps.weight",
                           "blk.0.ffn_down.0.weight_of"),
              HasSubstr("is of one expert, wanted 'blk.0.ffn_down_exps"));
}

TEST(Gemma4Weights, MissingTensorsAreNamed) {
  const auto error = RenamedError;
  EXPECT_THAT(error("gemma4_moe", "blk.0.ffn_gate_up_exps.weight",
                    "blk.0.ffn_gate_up_expt.weight"),
              HasSubstr("no tensor 'blk.0.ffn_gate_exps.weight'"));
  EXPECT_THAT(error("gemma4_moe", "blk.1.ffn_gate_inp.scale",
                    "blk.1.ffn_gate_inp.scalf"),
              HasSubstr("no tensor 'blk.1.ffn_gate_inp.scale'"));
  EXPECT_THAT(error("gemma4_e2b", "per_layer_token_embd.weight",
                    "per_layer_token_embe.weight"),
              HasSubstr("no tensor 'per_layer_token_embd.weight'"));
  EXPECT_THAT(error("gemma4_e2b", "rope_freqs.weight", "rope_freqt.weight"),
              HasSubstr("no tensor 'rope_freqs.weight', which says how many "
                        "pairs of a head rotate"));
  EXPECT_THAT(
      error("gemma4_31b", "blk.0.attn_norm.weight", "blk.0.attn_qorm.weight"),
      HasSubstr("no tensor 'blk.0.attn_norm.weight'"));
  // Keys do not stand for missing values, nor 1 for a missing scale.
  EXPECT_THAT(error("gemma4_e2b", "blk.0.attn_v.weight", "blk.0.attn_w.weight"),
              HasSubstr("no tensor 'blk.0.attn_v.weight'"));
  EXPECT_THAT(error("gemma4_e2b", "blk.0.layer_output_scale.weight",
                    "blk.0.layer_output_scalf.weight"),
              HasSubstr("no tensor 'blk.0.layer_output_scale.weight'"));
}

}  // namespace
}  // namespace gemma::internal
