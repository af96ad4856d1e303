#include "tests/support/hostile_model.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace gemma::internal {
namespace {

using Shape = std::vector<uint64_t>;

bool HasPostNorms(std::string_view model) {
  return model == "gemma2" || model == "gemma3" || model == "gemma3_text";
}

bool HasQkNorms(std::string_view model) {
  return model == "gemma3" || model == "gemma3_text";
}

void AddHfAttention(const std::string& model_type, const std::string& layer,
                    TinyTensors& out) {
  AddAll(layer,
         {{"self_attn.q_proj.weight", {8, 8}},
          {"self_attn.k_proj.weight", {4, 8}},
          {"self_attn.v_proj.weight", {4, 8}},
          {"self_attn.o_proj.weight", {8, 8}},
          {"mlp.gate_proj.weight", {6, 8}},
          {"mlp.up_proj.weight", {6, 8}},
          {"mlp.down_proj.weight", {8, 6}},
          {"input_layernorm.weight", {8}},
          {model_type == "vaultgemma" ? "pre_feedforward_layernorm.weight"
                                      : "post_attention_layernorm.weight",
           {8}}},
         out);
  if (HasPostNorms(model_type)) {
    AddAll(layer,
           {{"pre_feedforward_layernorm.weight", {8}},
            {"post_feedforward_layernorm.weight", {8}}},
           out);
  }
  if (HasQkNorms(model_type)) {
    AddAll(layer,
           {{"self_attn.q_norm.weight", {4}}, {"self_attn.k_norm.weight", {4}}},
           out);
  }
}

// Layer 0 is recurrent, layer 1 has attention.
void AddHfGriffin(size_t index, const std::string& layer, TinyTensors& out) {
  AddAll(layer,
         {{"temporal_pre_norm.weight", {8}},
          {"channel_pre_norm.weight", {8}},
          {"mlp_block.gate_proj.weight", {6, 8}},
          {"mlp_block.gate_proj.bias", {6}},
          {"mlp_block.up_proj.weight", {6, 8}},
          {"mlp_block.up_proj.bias", {6}},
          {"mlp_block.down_proj.weight", {8, 6}},
          {"mlp_block.down_proj.bias", {8}}},
         out);
  const std::string block = absl::StrCat(layer, "temporal_block.");
  if (index == 1) {
    AddAll(block,
           {{"q_proj.weight", {8, 8}},
            {"k_proj.weight", {4, 8}},
            {"v_proj.weight", {4, 8}},
            {"o_proj.weight", {8, 8}},
            {"o_proj.bias", {8}}},
           out);
    return;
  }
  AddAll(block,
         {{"linear_x.weight", {8, 8}},
          {"linear_x.bias", {8}},
          {"linear_y.weight", {8, 8}},
          {"linear_y.bias", {8}},
          {"linear_out.weight", {8, 8}},
          {"linear_out.bias", {8}},
          {"conv_1d.weight", {8, 1, 4}},
          {"conv_1d.bias", {8}},
          {"rg_lru.input_gate_weight", {2, 4, 4}},
          {"rg_lru.input_gate_bias", {2, 4}},
          {"rg_lru.recurrent_gate_weight", {2, 4, 4}},
          {"rg_lru.recurrent_gate_bias", {2, 4}},
          {"rg_lru.recurrent_param", {8}}},
         out);
}

void AddGgufRecurrence(const std::string& layer, TinyTensors& out) {
  AddAll(layer,
         {{"rec_x.weight", {8, 8}},
          {"rec_x.bias", {8}},
          {"rec_y.weight", {8, 8}},
          {"rec_y.bias", {8}},
          {"rec_out.weight", {8, 8}},
          {"rec_out.bias", {8}},
          {"rec_conv.weight", {8, 4}},
          {"rec_conv.bias", {8}},
          {"rec_gate_in.weight", {2, 4, 4}},
          {"rec_gate_in.bias", {2, 4}},
          {"rec_gate_a.weight", {2, 4, 4}},
          {"rec_gate_a.bias", {2, 4}},
          {"rec_a_param.weight", {8}}},
         out);
}

}  // namespace

Bytes TinyTensor::bytes() const {
  const auto* begin = reinterpret_cast<const uint8_t*>(values.data());
  return {begin, begin + values.size() * sizeof(float)};
}

TinyTensor MakeTensor(std::string name, std::vector<uint64_t> shape) {
  size_t size = 1;
  for (const uint64_t n : shape) size *= n;
  TinyTensor out{std::move(name), std::move(shape), std::vector<float>(size)};
  for (size_t i = 0; i < size; ++i) {
    const size_t mixed = (i + 1) * (out.name.size() + 5) * 37 % 101;
    out.values[i] = static_cast<float>(mixed) / 50.0f - 1.0f;
  }
  return out;
}

void AddAll(std::string_view prefix, const std::vector<NamedShape>& shapes,
            TinyTensors& out) {
  for (const auto& [name, shape] : shapes) {
    out.push_back(MakeTensor(absl::StrCat(prefix, name), shape));
  }
}

TinyTensor& Find(TinyTensors& tensors, const std::string& name) {
  const auto it =
      std::find_if(tensors.begin(), tensors.end(),
                   [&](const TinyTensor& t) { return t.name == name; });
  if (it == tensors.end()) std::abort();
  return *it;
}

nlohmann::json TinyConfig(const std::string& model_type) {
  nlohmann::json config = {
      {"model_type", model_type}, {"vocab_size", 8},
      {"hidden_size", 8},         {"intermediate_size", 6},
      {"num_hidden_layers", 2},   {"num_attention_heads", 2},
      {"num_key_value_heads", 1}, {"head_dim", 4}};
  if (model_type == "gemma2" || model_type == "gemma3_text" ||
      model_type == "vaultgemma") {
    config["sliding_window"] = 2;
    config["query_pre_attn_scalar"] = 4;
  }
  if (model_type == "gemma3_text") config["sliding_window_pattern"] = 2;
  if (model_type == "recurrent_gemma") {
    config["intermediate_size"] = 12;
    config["attention_window_size"] = 2;
    config["lru_width"] = 8;
    config["conv1d_width"] = 4;
    config["block_types"] = {"recurrent", "attention"};
  }
  return config;
}

TinyTensors TinyHfTensors(const std::string& model_type) {
  TinyTensors out;
  const bool griffin = model_type == "recurrent_gemma";
  AddAll("model.",
         {{"embed_tokens.weight", {8, 8}},
          {griffin ? "final_norm.weight" : "norm.weight", {8}}},
         out);
  for (size_t i = 0; i < 2; ++i) {
    const std::string layer = absl::StrFormat("model.layers.%d.", i);
    if (griffin) {
      AddHfGriffin(i, layer, out);
    } else {
      AddHfAttention(model_type, layer, out);
    }
  }
  return out;
}

void WriteTinyDirectory(const std::string& directory,
                        const nlohmann::json& config,
                        const TinyTensors& tensors) {
  SafetensorsWriter weights;
  for (const TinyTensor& tensor : tensors) {
    weights.Tensor(tensor.name, "F32", tensor.shape, tensor.bytes());
  }
  std::filesystem::create_directories(directory);
  WriteFile(directory + "/config.json", config.dump());
  WriteFile(directory + "/model.safetensors", weights.Finish());
}

GgufWriter TinyGgufKeys(const std::string& architecture) {
  GgufWriter gguf;
  const auto key = [&](const char* name) {
    return absl::StrCat(architecture, ".", name);
  };
  gguf.String("general.architecture", architecture)
      .Uint32(key("embedding_length"), 8)
      .Uint32(key("block_count"), 2)
      .Uint32(key("feed_forward_length"), 6)
      .Uint32(key("attention.head_count"), 2)
      .Uint32(key("attention.head_count_kv"), 1)
      .Uint32(key("attention.key_length"), 4)
      .Uint32(key("attention.value_length"), 4);
  if (architecture == "gemma") return gguf;
  gguf.Uint32(key("attention.sliding_window"), 2);
  if (architecture == "gemma3") {
    gguf.Uint32(key("attention.sliding_window_pattern"), 2);
  }
  if (architecture == "recurrentgemma") {
    gguf.Uint32(key("recurrent.lru_width"), 8)
        .Uint32(key("recurrent.conv_width"), 4)
        .Strings(key("recurrent.block_types"), {"recurrent", "attention"});
  }
  return gguf;
}

TinyTensors TinyGgufTensors(const std::string& architecture) {
  TinyTensors out;
  const bool griffin = architecture == "recurrentgemma";
  AddAll("", {{"token_embd.weight", {8, 8}}, {"output_norm.weight", {8}}}, out);
  for (size_t i = 0; i < 2; ++i) {
    const std::string layer = absl::StrFormat("blk.%d.", i);
    AddAll(layer,
           {{"attn_norm.weight", {8}},
            {"ffn_norm.weight", {8}},
            {"ffn_gate.weight", {6, 8}},
            {"ffn_up.weight", {6, 8}},
            {"ffn_down.weight", {8, 6}}},
           out);
    if (griffin) {
      AddAll(layer,
             {{"ffn_gate.bias", {6}},
              {"ffn_up.bias", {6}},
              {"ffn_down.bias", {8}}},
             out);
    }
    if (griffin && i == 0) {
      AddGgufRecurrence(layer, out);
      continue;
    }
    AddAll(layer,
           {{"attn_q.weight", {8, 8}},
            {"attn_k.weight", {4, 8}},
            {"attn_v.weight", {4, 8}},
            {"attn_output.weight", {8, 8}}},
           out);
    if (griffin) AddAll(layer, {{"attn_output.bias", {8}}}, out);
    if (HasPostNorms(architecture)) {
      AddAll(
          layer,
          {{"post_attention_norm.weight", {8}}, {"post_ffw_norm.weight", {8}}},
          out);
    }
    if (HasQkNorms(architecture)) {
      AddAll(layer, {{"attn_q_norm.weight", {4}}, {"attn_k_norm.weight", {4}}},
             out);
    }
  }
  return out;
}

void AddTensors(const TinyTensors& tensors, GgufWriter& gguf) {
  for (const TinyTensor& tensor : tensors) {
    const Shape sizes(tensor.shape.rbegin(), tensor.shape.rend());
    gguf.Tensor(tensor.name, sizes, /*type=*/0, tensor.bytes());
  }
}

Bytes TinyGgufModel(const std::string& architecture) {
  GgufWriter gguf = TinyGgufKeys(architecture);
  AddTensors(TinyGgufTensors(architecture), gguf);
  return gguf.Finish();
}

void AddTokenizer(const std::vector<std::string>& pieces, GgufWriter& gguf,
                  std::optional<bool> add_space_prefix) {
  std::vector<std::string> tokens = {"<pad>", "<eos>", "<bos>", "<unk>"};
  std::vector<int32_t> types = {3, 3, 3, 2};
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(absl::StrFormat("<0x%02X>", byte));
    types.push_back(6);
  }
  for (const std::string& piece : pieces) {
    tokens.push_back(piece);
    const bool is_mark = piece.find("_function_") != piece.npos ||
                         piece == "<escape>" || piece.starts_with("<|") ||
                         piece.ends_with("|>");
    types.push_back(is_mark ? 3 : 1);
  }
  std::vector<float> scores(tokens.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    scores[i] = -static_cast<float>(i);
  }
  gguf.String("tokenizer.ggml.model", "llama")
      .Strings("tokenizer.ggml.tokens", tokens)
      .Array<float>("tokenizer.ggml.scores", 6, scores)
      .Array<int32_t>("tokenizer.ggml.token_type", 5, types)
      .Uint32("tokenizer.ggml.bos_token_id", 2)
      .Uint32("tokenizer.ggml.eos_token_id", 1)
      .Uint32("tokenizer.ggml.unknown_token_id", 3)
      .Uint32("tokenizer.ggml.padding_token_id", 0);
  if (add_space_prefix.has_value()) {
    gguf.Bool("tokenizer.ggml.add_space_prefix", *add_space_prefix);
  }
}

Bytes ScriptedModel(const std::vector<std::string>& pieces,
                    const std::map<TokenId, TokenId>& next) {
  const size_t size = kFirstPiece + pieces.size();  // vocabulary and width
  GgufWriter gguf;
  gguf.String("general.architecture", "gemma")
      .Uint32("gemma.embedding_length", static_cast<uint32_t>(size))
      .Uint32("gemma.block_count", 1)
      .Uint32("gemma.feed_forward_length", 1)
      .Uint32("gemma.attention.head_count", 1)
      .Uint32("gemma.attention.key_length", 2);
  AddTokenizer(pieces, gguf);
  // The embedding of each token is a unit vector, the layer adds zero, and the
  // head maps the unit vector of a token to the logit of its successor.
  TinyTensors tensors;
  AddAll("",
         {{"token_embd.weight", {size, size}},
          {"output.weight", {size, size}},
          {"output_norm.weight", {size}},
          {"blk.0.attn_norm.weight", {size}},
          {"blk.0.ffn_norm.weight", {size}},
          {"blk.0.attn_q.weight", {2, size}},
          {"blk.0.attn_k.weight", {2, size}},
          {"blk.0.attn_v.weight", {2, size}},
          {"blk.0.attn_output.weight", {size, 2}},
          {"blk.0.ffn_gate.weight", {1, size}},
          {"blk.0.ffn_up.weight", {1, size}},
          {"blk.0.ffn_down.weight", {size, 1}}},
         tensors);
  for (TinyTensor& tensor : tensors) {
    const bool norm = tensor.name.ends_with("norm.weight");
    std::fill(tensor.values.begin(), tensor.values.end(), norm ? 1.0f : 0.0f);
  }
  for (size_t token = 0; token < size; ++token) {
    const auto found = next.find(static_cast<TokenId>(token));
    const size_t follower = found == next.end() ? 1 : found->second;
    Find(tensors, "token_embd.weight").values[token * size + token] = 1.0f;
    Find(tensors, "output.weight").values[follower * size + token] = 10.0f;
  }
  AddTensors(tensors, gguf);
  return gguf.Finish();
}

Bytes ToolCallingModel() {
  const std::vector<std::string> pieces = {
      "<|channel>",       "thought\n",        "Hm.",        "\n\n",
      "<channel|>",       "<|tool_call>",     "call:now{}", "<tool_call|>",
      "<|tool_response>", "<tool_response|>", "Noon.",      "<|turn>",
      "<turn|>",          "<|tool>",          "<tool|>",    "<|\"|>",
      "<|think|>"};
  const auto piece = [](size_t i) {
    return static_cast<TokenId>(kFirstPiece + i);
  };
  std::map<TokenId, TokenId> next = {{kFirstByte + '\n', piece(0)},
                                     {piece(9), piece(10)}};
  for (size_t i = 0; i < 8; ++i) next[piece(i)] = piece(i + 1);
  return ScriptedModel(pieces, next);
}

}  // namespace gemma::internal
