// Writes whole models as files of gemma.cpp; see sbs_files.h.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/sbs_files.h"

namespace gemma::internal {
namespace {

using Values = std::vector<float>;

// Returns rows [begin, begin + count) of a matrix.
Values Rows(const TinyTensor& tensor, size_t begin, size_t count) {
  const size_t cols = tensor.values.size() / tensor.shape[0];
  const auto first =
      tensor.values.begin() + static_cast<std::ptrdiff_t>(begin * cols);
  return {first, first + static_cast<std::ptrdiff_t>(count * cols)};
}

void Append(const Values& values, Values& out) {
  out.insert(out.end(), values.begin(), values.end());
}

// Returns whether gemma.cpp compresses the tensor. It may also scale it.
bool IsMatrix(const std::string& name) {
  return absl::EndsWith(name, "proj.weight") ||
         (absl::StrContains(name, "linear_") &&
          absl::EndsWith(name, "weight")) ||
         absl::EndsWith(name, "gate_weight");
}

bool IsBias(const std::string& name) {
  return absl::EndsWith(name, "bias") || absl::StrContains(name, "conv_1d") ||
         absl::EndsWith(name, "recurrent_param");
}

// Returns the type in which the form stores one of our tensors.
SbsType TypeOf(const std::string& name, const SbsForm& form) {
  if (IsBias(name)) return SbsType::kF32;
  if (IsMatrix(name)) return form.type;
  // Norms and embeddings are stored as float32 or bfloat16.
  return form.type == SbsType::kF32 ? SbsType::kF32 : SbsType::kBF16;
}

// Returns the scale of a tensor in the form. `name` is ours or gemma.cpp's.
float ScaleOf(std::string_view name, const SbsForm& form) {
  if (form.scale == 1.0f) return 1.0f;
  struct Kind {
    std::string_view part;
    float factor;
  };
  constexpr Kind kKinds[] = {
      {"o_proj", 1.0f},    {"att_", 1.0f},     {"q_proj", 2.0f},
      {"k_proj", 2.0f},    {"v_proj", 2.0f},   {"qkv", 2.0f},
      {"gate_proj", 4.0f}, {"up_proj", 4.0f},  {"gating", 4.0f},
      {"down_proj", 0.5f}, {"linear_x", 8.0f}, {"lin_x", 8.0f},
      {"linear_y", 0.25f}, {"lin_y", 0.25f},   {"linear_out", 16.0f},
      {"lin_out", 16.0f},  {"gate_w", 0.125f}, {"linear_w", 0.5f},
  };
  for (const Kind& kind : kKinds) {
    if (absl::StrContains(name, kind.part)) return form.scale * kind.factor;
  }
  std::abort();
}

class Builder {
 public:
  Builder(const ModelConfig& config, const TinyTensors& tensors,
          const SbsForm& form)
      : c_(config), tensors_(tensors), form_(form) {}

  Bytes Build();

 private:
  // Returns the tensor of a layer with this name.
  const TinyTensor& At(size_t layer, const std::string& name) {
    return Find(tensors_, absl::StrCat("model.layers.", layer, ".", name));
  }

  void Add(const std::string& name, SbsType type, size_t rows, size_t cols,
           const Values& values, float scale = 1.0f);
  // Adds a matrix of the form's type, and its scale.
  void Matrix(const std::string& base, size_t layer, size_t rows, size_t cols,
              const Values& values) {
    const float scale = ScaleOf(base, form_);
    Add(absl::StrCat(base, "_", layer), form_.type, rows, cols, values, scale);
    if (form_.scale != 1.0f) scales_.push_back(scale);
  }
  void Vector(const std::string& base, size_t layer, const std::string& name) {
    const TinyTensor& tensor = At(layer, name);
    Add(absl::StrCat(base, "_", layer), TypeOf(name, form_), 1,
        tensor.values.size(), tensor.values);
  }
  void Floats(const std::string& base, size_t layer, size_t rows,
              const Values& values) {
    Add(absl::StrCat(base, "_", layer), SbsType::kF32, rows,
        values.size() / rows, values);
  }

  void Norms(size_t layer);
  void Qkv(size_t layer, const std::string& block);
  void Attention(size_t layer);
  void Recurrence(size_t layer);
  void Ffw(size_t layer);
  SbsRecord LayerRecord(size_t layer) const;
  Bytes Config() const;

  const ModelConfig& c_;
  TinyTensors tensors_;
  const SbsForm& form_;
  SbsWriter file_;
  Bytes toc_;
  Values scales_;
};

void Builder::Add(const std::string& name, SbsType type, size_t rows,
                  size_t cols, const Values& values, float scale) {
  if (values.size() != rows * cols) std::abort();
  Bytes data = EncodeSbs(type, values, scale, form_.tables_first);
  if (!form_.has_toc) {
    file_.Blob(std::string(1, SbsLetter(type)) + name, std::move(data));
    return;
  }
  const Bytes record = SbsRecord()
                           .Text(name)
                           .Number(static_cast<uint32_t>(type))
                           .Number(1)  // bytes of an element; then their number
                           .Number(static_cast<uint32_t>(values.size()))
                           .Number(static_cast<uint32_t>(rows))
                           .Number(static_cast<uint32_t>(cols))
                           .Float(scale)
                           .Number(static_cast<uint32_t>(cols))  // stride
                           .Finish();
  toc_.insert(toc_.end(), record.begin(), record.end());
  file_.Blob(name, std::move(data));
}

void Builder::Norms(size_t layer) {
  if (c_.biases) {
    Vector("pre_att_ns", layer, "temporal_pre_norm.weight");
    Vector("pre_ff_ns", layer, "channel_pre_norm.weight");
    return;
  }
  Vector("pre_att_ns", layer, "input_layernorm.weight");
  if (!c_.post_norms) {
    Vector("pre_ff_ns", layer, "post_attention_layernorm.weight");
    return;
  }
  Vector("pre_ff_ns", layer, "pre_feedforward_layernorm.weight");
  Vector("post_att_ns", layer, "post_attention_layernorm.weight");
  Vector("post_ff_ns", layer, "post_feedforward_layernorm.weight");
}

void Builder::Qkv(size_t layer, const std::string& block) {
  const LayerConfig& l = c_.layers[layer];
  const size_t size = l.head_dim;
  const TinyTensor& q = At(layer, block + "q_proj.weight");
  const TinyTensor& k = At(layer, block + "k_proj.weight");
  const TinyTensor& v = At(layer, block + "v_proj.weight");
  Values queries;
  Values others;
  for (size_t head = 0; head < l.num_heads; ++head) {
    Append(Rows(q, head * size, size), queries);
    // If there are equally many key heads and query heads, queries, keys and
    // values alternate.
    if (l.num_heads != l.num_kv_heads || form_.split) continue;
    Append(Rows(k, head * size, size), queries);
    Append(Rows(v, head * size, size), queries);
  }
  if (l.num_heads != l.num_kv_heads || form_.split) {
    for (size_t head = 0; head < l.num_kv_heads; ++head) {
      Append(Rows(k, head * size, size), others);
      Append(Rows(v, head * size, size), others);
    }
  }
  const size_t q_rows = l.num_heads * size;
  const size_t kv_rows = 2 * l.num_kv_heads * size;
  if (form_.split) {
    Matrix("qkv1_w", layer, q_rows, c_.model_dim, queries);
    Matrix("qkv2_w", layer, kv_rows, c_.model_dim, others);
    return;
  }
  Append(others, queries);
  Matrix("qkv_ein", layer, q_rows + kv_rows, c_.model_dim, queries);
}

void Builder::Attention(size_t layer) {
  const LayerConfig& l = c_.layers[layer];
  const std::string block = c_.biases ? "temporal_block." : "self_attn.";
  const TinyTensor& o = At(layer, block + "o_proj.weight");
  const size_t q_rows = l.num_heads * l.head_dim;
  if (form_.split) {
    Matrix("att_w", layer, c_.model_dim, q_rows, o.values);
  } else {
    Values by_head;
    for (size_t head = 0; head < l.num_heads; ++head) {
      for (size_t row = 0; row < c_.model_dim; ++row) {
        for (size_t i = 0; i < l.head_dim; ++i) {
          by_head.push_back(o.values[row * q_rows + head * l.head_dim + i]);
        }
      }
    }
    Matrix("att_ein", layer, l.num_heads * c_.model_dim, l.head_dim, by_head);
  }
  Qkv(layer, block);
  if (c_.qk_norm) {
    Vector("query_norm", layer, "self_attn.q_norm.weight");
    Vector("key_norm", layer, "self_attn.k_norm.weight");
  }
  if (c_.biases) Vector("attn_ob", layer, "temporal_block.o_proj.bias");
}

void Builder::Recurrence(size_t layer) {
  const LayerConfig& l = c_.layers[layer];
  const std::string block = "temporal_block.";
  const size_t width = c_.lru_width;
  const size_t strip = width / l.num_heads;
  const auto matrix = [&](const std::string& base, const std::string& name,
                          size_t rows, size_t cols) {
    Matrix(base + "_w", layer, rows, cols,
           At(layer, block + name + ".weight").values);
    Vector(base + "_b", layer, block + name + ".bias");
  };
  matrix("gr_lin_x", "linear_x", width, c_.model_dim);
  matrix("gr_lin_y", "linear_y", width, c_.model_dim);
  matrix("gr_lin_out", "linear_out", c_.model_dim, width);
  const Values& conv = At(layer, block + "conv_1d.weight").values;
  Values taps(conv.size());
  for (size_t i = 0; i < conv.size(); ++i) {
    taps[i % c_.conv_width * width + i / c_.conv_width] = conv[i];
  }
  Floats("gr_conv_w", layer, c_.conv_width, taps);
  Vector("gr_conv_b", layer, block + "conv_1d.bias");
  Values gates;
  Values biases;
  for (const char* gate : {"input", "recurrent"}) {
    const std::string name = absl::StrCat(block, "rg_lru.", gate, "_gate_");
    const Values& stored = At(layer, name + "weight").values;
    for (size_t i = 0; i < stored.size(); ++i) {
      const size_t out = i / strip % strip;
      const size_t in = i % strip;
      gates.push_back(
          stored[i / strip / strip * strip * strip + in * strip + out]);
    }
    Append(At(layer, name + "bias").values, biases);
  }
  Matrix("gr_gate_w", layer, 2 * width, strip, gates);
  Floats("gr_gate_b", layer, 1, biases);
  Values a = At(layer, block + "rg_lru.recurrent_param").values;
  for (float& value : a) {
    const double x = value;
    value = static_cast<float>(-8.0 * (x > 0 ? x + std::log1p(std::exp(-x))
                                             : std::log1p(std::exp(x))));
  }
  Floats("gr_a", layer, 1, a);
}

void Builder::Ffw(size_t layer) {
  const LayerConfig& l = c_.layers[layer];
  const std::string block = c_.biases ? "mlp_block." : "mlp.";
  Values gate = At(layer, block + "gate_proj.weight").values;
  const Values& up = At(layer, block + "up_proj.weight").values;
  if (form_.split) {
    Matrix("gating1_w", layer, l.ffw_dim, c_.model_dim, gate);
    Matrix("gating2_w", layer, l.ffw_dim, c_.model_dim, up);
  } else {
    Append(up, gate);
    Matrix("gating_ein", layer, 2 * l.ffw_dim, c_.model_dim, gate);
  }
  Matrix("linear_w", layer, c_.model_dim, l.ffw_dim,
         At(layer, block + "down_proj.weight").values);
  if (!c_.biases) return;
  Values biases = At(layer, block + "gate_proj.bias").values;
  Append(At(layer, block + "up_proj.bias").values, biases);
  Floats("ffw_gat_b", layer, 1, biases);
  Vector("ffw_out_b", layer, block + "down_proj.bias");
}

SbsRecord Builder::LayerRecord(size_t layer) const {
  const LayerConfig& l = c_.layers[layer];
  const bool recurrent = l.type == BlockType::kRecurrent;
  const auto number = [](size_t n) { return static_cast<uint32_t>(n); };
  return SbsRecord()
      .Number(number(c_.model_dim))
      .Number(number(recurrent ? c_.lru_width : 0))
      .Number(number(l.ffw_dim))
      .Number(number(l.num_heads))
      .Number(number(l.num_kv_heads))
      .Number(number(l.head_dim))
      .Number(number(c_.conv_width))
      .Number(c_.biases)
      .Number(c_.biases)
      .Number(1)  // optimized_gating
      .Number(c_.post_norms)
      .Number(recurrent)  // type
      .Number(0)          // activation
      .Number(c_.biases)  // post_qk: half of the head is rotated
      .Number(c_.qk_norm);
}

Bytes Builder::Config() const {
  const auto layers = static_cast<uint32_t>(c_.num_layers());
  size_t window = 0;
  for (const LayerConfig& layer : c_.layers) {
    window = std::max(window, layer.sliding_window);
  }
  // For Griffin, the field "context" contains the window.
  const auto context =
      static_cast<uint32_t>(c_.biases ? window : c_.max_context);
  SbsRecord out;
  out.Number(1)
      .Text(c_.architecture)
      .Number(7)  // the model
      .Number(form_.wrapping)
      .Number(static_cast<uint32_t>(form_.type))
      .Number(layers)
      .Number(static_cast<uint32_t>(c_.model_dim))
      .Number(static_cast<uint32_t>(c_.vocab_size))
      .Number(context)
      .Number(0)
      .Float(c_.attn_logits_soft_cap)
      .Float(c_.biases ? 0.0f : c_.final_logits_soft_cap)
      .Number(0)
      .Number(c_.biases)
      .Number(0)  // query_scale
      .Number(layers);
  for (size_t i = 0; i < layers; ++i) out.Record(LayerRecord(i));
  out.Number(layers);
  for (const LayerConfig& layer : c_.layers) {
    out.Number(layer.type == BlockType::kLocalAttention
                   ? static_cast<uint32_t>(layer.sliding_window)
                   : context);
  }
  return out
      .Number(1)  // norm_num_groups
      .Record(SbsRecord()
                  .Number(0)
                  .Number(0)
                  .Number(0)
                  .Number(14)
                  .Number(224)
                  .Number(0)
                  .Number(1))
      .Number(1)    // pool_dim
      .Number(1)    // eos_id
      .Number(107)  // secondary_eos_id
      .Number(1)    // scale_base_names
      .Text("att_ein")
      .Number(12345)  // an unknown field of a later version
      .Finish();
}

Bytes Builder::Build() {
  const TinyTensor& table = Find(tensors_, "model.embed_tokens.weight");
  const SbsType type = TypeOf(table.name, form_);
  Add("c_embedding", type, c_.vocab_size, c_.model_dim, table.values);
  Add("c_final_norm", type, 1, c_.model_dim,
      Find(tensors_,
           c_.biases ? "model.final_norm.weight" : "model.norm.weight")
          .values);
  for (size_t layer = 0; layer < c_.num_layers(); ++layer) {
    Norms(layer);
    if (c_.layers[layer].type == BlockType::kRecurrent) {
      Recurrence(layer);
    } else {
      Attention(layer);
    }
    Ffw(layer);
  }
  if (form_.has_toc) {
    file_.Blob("config", Config()).Blob("toc", toc_);
  } else if (!scales_.empty()) {
    file_.Blob("Fscales", EncodeSbs(SbsType::kF32, scales_));
  }
  if (!form_.tokenizer.empty()) {
    file_.Blob("tokenizer", {form_.tokenizer.begin(), form_.tokenizer.end()});
  }
  return file_.Finish(form_.directory_at_end);
}

}  // namespace

TinyTensors RoundedTensors(TinyTensors tensors, const SbsForm& form) {
  for (TinyTensor& tensor : tensors) {
    const float scale =
        IsMatrix(tensor.name) ? ScaleOf(tensor.name, form) : 1.0f;
    tensor.values = RoundToSbs(TypeOf(tensor.name, form), tensor.values, scale);
  }
  return tensors;
}

Bytes SbsModel(const ModelConfig& config, const TinyTensors& tensors,
               const SbsForm& form) {
  return Builder(config, tensors, form).Build();
}

bool IsStoredAsBF16(const std::string& name, const SbsForm& form) {
  const bool scaled = form.scale != 1.0f && IsMatrix(name);
  return TypeOf(name, form) == SbsType::kBF16 && !scaled;
}

}  // namespace gemma::internal
