#include "tests/support/hostile_gemma4.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/model/tensors/tensor_names.h"
#include "src/model/tensors/weight_table.h"

namespace gemma::internal {
namespace {

constexpr uint64_t kExperts = 3;
constexpr uint64_t kExpertWidth = 4;
constexpr uint64_t kPerLayerWidth = 2;
constexpr uint64_t kEmbeddingWidth = 5;
constexpr uint64_t kStreams = 2;
constexpr uint64_t kRank = 2;

bool HasExperts(std::string_view form) { return form == "gemma4_moe"; }
bool Pools(std::string_view form) { return form == "embedding2"; }
bool HasStreams(std::string_view form) { return form == "gemma3n"; }
bool HasSharedLayer(std::string_view form) {
  return form == "gemma4" || HasStreams(form);
}
uint32_t NumLayers(std::string_view form) {
  return HasSharedLayer(form) ? 3 : 2;
}

const char* ArchitectureOf(std::string_view form) {
  if (HasStreams(form)) return "gemma3n";
  return Pools(form) ? "gemma-embedding2" : "gemma4";
}

const char* TypeOf(std::string_view form) {
  if (HasStreams(form)) return "gemma3n_text";
  return Pools(form) ? "embedding_gemma2_text" : "gemma4_text";
}

void AddGemma4Layer(std::string_view form, uint32_t index, TinyTensors& out) {
  const std::string layer = absl::StrCat("blk.", index, ".");
  const bool shared = index == 2;
  const uint64_t ffw = shared && !HasStreams(form) ? 12 : 6;
  AddAll(layer,
         {{"attn_norm.weight", {8}},
          {"ffn_norm.weight", {8}},
          {"post_attention_norm.weight", {8}},
          {"post_ffw_norm.weight", {8}},
          {"attn_q.weight", {8, 8}},
          {"attn_q_norm.weight", {4}},
          {"attn_output.weight", {8, 8}},
          {"ffn_gate.weight", {ffw, 8}},
          {"ffn_up.weight", {ffw, 8}},
          {"ffn_down.weight", {8, ffw}}},
         out);
  if (HasStreams(form)) {
    AddAll(layer,
           {{"altup_router.weight", {kStreams, 8}},
            {"altup_router_norm.weight", {8}},
            {"altup_predict_coef.weight", {kStreams * kStreams, kStreams}},
            {"altup_correct_coef.weight", {kStreams, kStreams}},
            {"altup_correct_scale.weight", {8}},
            {"laurel_l.weight", {kRank, 8}},
            {"laurel_r.weight", {8, kRank}},
            {"laurel_post_norm.weight", {8}}},
           out);
  } else {
    AddAll(layer, {{"layer_output_scale.weight", {1}}}, out);
  }
  if (!shared) {
    AddAll(layer, {{"attn_k.weight", {4, 8}}, {"attn_k_norm.weight", {4}}},
           out);
    const bool values_are_keys = HasExperts(form) && index == 1;
    if (!values_are_keys) AddAll(layer, {{"attn_v.weight", {4, 8}}}, out);
  }
  if (!HasExperts(form)) {
    AddAll(layer,
           {{"inp_gate.weight", {kPerLayerWidth, 8}},
            {"proj.weight", {8, kPerLayerWidth}},
            {"post_norm.weight", {8}}},
           out);
    return;
  }
  AddAll(layer,
         {{"post_ffw_norm_1.weight", {8}},
          {"pre_ffw_norm_2.weight", {8}},
          {"post_ffw_norm_2.weight", {8}},
          {"ffn_gate_inp.weight", {kExperts, 8}},
          {"ffn_gate_inp.scale", {8}},
          {"ffn_down_exps.scale", {kExperts}},
          {"ffn_gate_up_exps.weight", {kExperts, 2 * kExpertWidth, 8}},
          {"ffn_down_exps.weight", {kExperts, 8, kExpertWidth}}},
         out);
}

// The Hugging Face name of a weight, without prefix. Empty: it has none. Stacks
// have one matrix.
std::string HfNameOf(const std::string& gguf, std::string_view form) {
  if (gguf == "output.weight") return "embedding_projection.weight";
  if (absl::EndsWith(gguf, "ffn_gate_up_exps.weight")) {
    return absl::StrCat("layers.", gguf.substr(4, 2), "experts.gate_up_proj");
  }
  const bool in_layer = gguf.starts_with("blk.");
  const std::string name = in_layer ? gguf.substr(6) : gguf;
  const auto rows = WeightTable();
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& r) {
    return r.names.gguf == name;
  });
  if (row == rows.end()) return "";
  const std::string_view folder =
      Pools(form) ? FolderOf(row->role, Naming::kHfEmbedding2) : "";
  return absl::StrReplaceAll(
      absl::StrCat(in_layer ? "layers." : "", in_layer ? gguf.substr(4, 2) : "",
                   folder, row->names.hf),
      {{"*", "0"}});
}

}  // namespace

GgufWriter Gemma4GgufKeys(const std::string& form) {
  GgufWriter gguf;
  const auto key = [&](const char* name) {
    return absl::StrCat(ArchitectureOf(form), ".", name);
  };
  gguf.String("general.architecture", ArchitectureOf(form))
      .Uint32(key("embedding_length"), 8)
      .Uint32(key("block_count"), NumLayers(form))
      .Uint32(key("attention.head_count"), 2)
      .Uint32(key("attention.head_count_kv"), 1)
      .Uint32(key("attention.key_length"), 4)
      .Uint32(key("attention.value_length"), 4)
      .Uint32(key("attention.sliding_window"), Pools(form) ? 4 : 2)
      .Uint32(key("embedding_length_per_layer_input"),
              HasExperts(form) ? 0 : kPerLayerWidth);
  std::vector<uint8_t> is_local(NumLayers(form));
  is_local[0] = 1;
  gguf.Array<uint8_t>(key("attention.sliding_window_pattern"), 7, is_local);
  if (HasStreams(form)) {
    const float none = -std::numeric_limits<float>::infinity();
    gguf.Uint32(key("feed_forward_length"), 6)
        .Uint32(key("attention.shared_kv_layers"), 1)
        .Uint32(key("altup.num_inputs"), kStreams)
        .Uint32(key("altup.active_idx"), 0)
        .Array<float>(key("activation_sparsity_scale"), 6, {0.5f, none, none});
    return gguf;
  }
  if (HasSharedLayer(form)) {
    gguf.Array<int32_t>(key("feed_forward_length"), 5, {6, 6, 12})
        .Uint32(key("attention.shared_kv_layers"), 1);
    return gguf;
  }
  gguf.Uint32(key("feed_forward_length"), 6);
  if (Pools(form)) gguf.Uint32(key("embedding_length_out"), kEmbeddingWidth);
  if (HasExperts(form)) {
    gguf.Uint32(key("expert_count"), kExperts)
        .Uint32(key("expert_used_count"), 2)
        .Uint32(key("expert_feed_forward_length"), kExpertWidth);
  }
  return gguf;
}

TinyTensors Gemma4GgufTensors(const std::string& form) {
  TinyTensors out;
  AddAll("", {{"token_embd.weight", {8, 8}}, {"output_norm.weight", {8}}}, out);
  const uint64_t all = NumLayers(form) * kPerLayerWidth;
  if (!HasExperts(form)) {
    AddAll("",
           {{"per_layer_model_proj.weight", {all, 8}},
            {"per_layer_proj_norm.weight", {kPerLayerWidth}}},
           out);
  }
  if (Pools(form)) {
    AddAll("", {{"output.weight", {kEmbeddingWidth, 8}}}, out);
  } else if (HasStreams(form)) {
    constexpr uint64_t kOthers = kStreams - 1;
    AddAll("",
           {{"altup_proj.weight", {kOthers, 8, 8}},
            {"altup_unembd_proj.weight", {kOthers, 8, 8}}},
           out);
  } else {
    // The first of two pairs rotates.
    out.push_back(MakeTensor("rope_freqs.weight", {2}));
    out.back().values = {1.0f, 1e30f};
  }
  if (HasSharedLayer(form)) {
    AddAll("", {{"per_layer_token_embd.weight", {8, all}}}, out);
  }
  for (uint32_t i = 0; i < NumLayers(form); ++i) AddGemma4Layer(form, i, out);
  return out;
}

Bytes Gemma4GgufModel(const std::string& form) {
  GgufWriter gguf = Gemma4GgufKeys(form);
  AddTensors(Gemma4GgufTensors(form), gguf);
  return gguf.Finish();
}

nlohmann::json Gemma4Config(const std::string& form) {
  nlohmann::json types = {"sliding_attention"};
  while (types.size() < NumLayers(form)) types.push_back("full_attention");
  nlohmann::json config = {
      {"model_type", TypeOf(form)},
      {"vocab_size", 8},
      {"hidden_size", 8},
      {"intermediate_size", 6},
      {"num_hidden_layers", NumLayers(form)},
      {"num_attention_heads", 2},
      {"num_key_value_heads", 1},
      {"head_dim", 4},
      {"layer_types", std::move(types)},
      {"sliding_window", 2},
      {"hidden_size_per_layer_input", HasExperts(form) ? 0 : kPerLayerWidth}};
  if (HasStreams(form)) {
    config["altup_num_inputs"] = kStreams;
    config["laurel_rank"] = kRank;
    config["activation_sparsity_pattern"] = {0.7, 0.0, 0.0};
    config["num_kv_shared_layers"] = 1;
    config["vocab_size_per_layer_input"] = 7;
    return config;
  }
  config["per_layer_config"] = nlohmann::json::object();
  if (Pools(form)) {
    config["embedding_dim"] = kEmbeddingWidth;
    return config;
  }
  config["rope_parameters"] = {
      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 1e4}}},
      {"full_attention",
       {{"rope_type", "proportional"},
        {"rope_theta", 1e6},
        {"partial_rotary_factor", 0.5}}}};
  config["final_logit_softcapping"] = 30.0;
  if (HasSharedLayer(form)) {
    config["num_kv_shared_layers"] = 1;
    config["use_double_wide_mlp"] = true;
    config["vocab_size_per_layer_input"] = 8;
    return config;
  }
  config["attention_k_eq_v"] = true;
  config["enable_moe_block"] = true;
  config["num_experts"] = kExperts;
  config["top_k_experts"] = 2;
  config["moe_intermediate_size"] = kExpertWidth;
  return config;
}

TinyTensors Gemma4HfTensors(const std::string& form) {
  TinyTensors out;
  for (TinyTensor& tensor : Gemma4GgufTensors(form)) {
    const std::string name = HfNameOf(tensor.name, form);
    if (name.empty()) continue;
    tensor.name = absl::StrCat("model.", name);
    if (HasStreams(form)) {
      if (tensor.shape.size() == 3) tensor.shape.erase(tensor.shape.begin());
      if (name.starts_with("embed_tokens_per_layer")) {
        tensor.shape[0] = 7;
        tensor.values.resize(7 * tensor.shape[1]);
      }
    }
    out.push_back(std::move(tensor));
  }
  return out;
}

}  // namespace gemma::internal
