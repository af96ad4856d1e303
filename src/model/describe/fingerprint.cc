#include "src/model/describe/fingerprint.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "src/model/tensors/weight_table.h"

namespace gemma::internal {
namespace {

// The 64-bit FNV-1a hash of Fowler, Noll and Vo.
class Hash {
 public:
  void Byte(uint8_t byte) { value_ = (value_ ^ byte) * 0x00000100000001B3; }

  void Number(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) {
      Byte(static_cast<uint8_t>(number >> shift));
    }
  }

  void Number(float number) {
    Number(uint64_t{std::bit_cast<uint32_t>(number)});
  }

  void Text(std::string_view text) {
    Number(text.size());
    for (const char c : text) Byte(static_cast<uint8_t>(c));
  }

  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xCBF29CE484222325;
};

void AddLayerConfig(const LayerConfig& layer, Hash& hash) {
  hash.Byte(static_cast<uint8_t>(layer.type));
  for (const size_t size : {layer.num_heads, layer.num_kv_heads, layer.head_dim,
                            layer.sliding_window, layer.rope.rotary_dim,
                            layer.rope.num_rotating, layer.ffw_dim}) {
    hash.Number(uint64_t{size});
  }
  hash.Number(layer.rope.base);
  hash.Number(layer.rope.factor);
  if (layer.gate_cutoff.has_value()) {
    hash.Text("gate_cutoff");
    hash.Number(*layer.gate_cutoff);
  }
  if (layer.k_eq_v) hash.Text("k_eq_v");
  if (layer.kv_source.has_value()) {
    hash.Text("kv_source");
    hash.Number(uint64_t{*layer.kv_source});
  }
  if (layer.num_experts == 0) return;
  for (const size_t size :
       {layer.num_experts, layer.experts_used, layer.expert_dim}) {
    hash.Number(uint64_t{size});
  }
}

void AddConfig(const ModelConfig& config, Hash& hash) {
  hash.Text(config.architecture);
  for (const size_t size :
       {config.model_dim, config.vocab_size, config.lru_width,
        config.conv_width, config.num_layers()}) {
    hash.Number(uint64_t{size});
  }
  for (const float number :
       {config.embedding_scale, config.query_scale, config.rms_norm_eps,
        config.attn_logits_soft_cap, config.final_logits_soft_cap}) {
    hash.Number(number);
  }
  for (const bool flag : {config.post_norms, config.qk_norm, config.biases}) {
    hash.Byte(flag);
  }
  if (config.exact_gelu) hash.Text("exact_gelu");
  if (config.value_norm) hash.Text("value_norm");
  if (config.layer_scales) hash.Text("layer_scales");
  if (config.per_layer_dim != 0) {
    hash.Number(uint64_t{config.per_layer_dim});
    hash.Number(uint64_t{config.per_layer_vocab});
    hash.Number(config.per_layer_scale);
  }
  if (config.altup_streams != 0) {
    hash.Text("altup_streams");
    hash.Number(uint64_t{config.altup_streams});
    hash.Number(uint64_t{config.laurel_rank});
  }
  for (const LayerConfig& layer : config.layers) AddLayerConfig(layer, hash);
}

constexpr size_t kSamples = 256;

// Adds a few bytes, spread over the data.
void AddSample(const uint8_t* data, size_t size, Hash& hash, size_t samples) {
  hash.Number(uint64_t{size});
  const size_t count = std::min(size, samples);
  for (size_t i = 0; i < count; ++i) hash.Byte(data[size / count * i]);
}

void AddSample(const Matrix& matrix, Hash& hash, size_t samples = kSamples) {
  AddSample(matrix.view.data, matrix.view.Bytes(), hash, samples);
}

void AddNumbers(std::span<const float> numbers, Hash& hash) {
  for (const float number : numbers) hash.Number(number);
}

void AddLayer(const LayerWeights& layer, Hash& hash) {
  ForEachOf<Matrix>(layer, [&](const Matrix& m) { AddSample(m, hash); });
  // A few bytes of each expert, because experts may be in a mapped file that is
  // larger than the memory.
  constexpr size_t kAllSamples = 4096;
  ForEachOf<std::vector<Matrix>>(layer, [&](const std::vector<Matrix>& all) {
    for (const Matrix& each : all) {
      AddSample(each, hash, std::min(kSamples, kAllSamples / all.size()));
    }
  });
  ForEachOf<std::vector<float>>(
      layer, [&](std::span<const float> x) { AddNumbers(x, hash); });
}

void AddTokenizer(const Tokenizer& tokenizer, Hash& hash) {
  for (size_t token = 0; token < tokenizer.vocab_size(); ++token) {
    hash.Text(tokenizer.Piece(static_cast<TokenId>(token)));
  }
}

}  // namespace

uint64_t Fingerprint(const ModelConfig& config,
                     const std::vector<TensorSummary>& tensors,
                     const Tokenizer* tokenizer, const Weights& weights) {
  Hash hash;
  AddConfig(config, hash);
  for (const TensorSummary& tensor : tensors) {
    hash.Text(tensor.name);
    hash.Text(tensor.format);
    hash.Number(tensor.bytes);
  }
  if (tokenizer != nullptr) AddTokenizer(*tokenizer, hash);
  AddSample(weights.embedding, hash);
  AddSample(weights.head, hash);
  AddSample(weights.per_layer_context, hash);
  if (const WeightView& table = weights.per_layer_table.view; table.rows != 0) {
    // Each byte reads a page of the mapped file.
    constexpr size_t kTableSamples = 32;
    AddSample(table.data, table.rows * table.RowBytes(), hash, kTableSamples);
  }
  AddNumbers(weights.per_layer_norm, hash);
  for (const auto* stack : {&weights.altup_proj, &weights.altup_unembed}) {
    for (const Matrix& matrix : *stack) AddSample(matrix, hash);
  }
  for (const LayerWeights& layer : weights.layers) AddLayer(layer, hash);
  AddNumbers(weights.final_norm, hash);
  // Samples of the weights may miss a small change.
  if (weights.adapters_digest != 0) hash.Number(weights.adapters_digest);
  return hash.value();
}

}  // namespace gemma::internal
