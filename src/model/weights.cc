#include "src/model/weights.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "compression/codec.h"
#include "compression/pack.h"
#include "src/formats/status_macros.h"
#include "src/model/canonicalize.h"
#include "src/model/tensor_names.h"

namespace gemma {
namespace {

using Shape = std::vector<size_t>;

// Loads tensors by role, counting what is done. Without workers, it checks all
// that it would load, and counts the memory.
class Loader {
 public:
  Loader(const Checkpoint& checkpoint, const ModelConfig& config,
         Workers* workers,
         const std::function<bool(const LoadProgress&)>& progress)
      : checkpoint_(checkpoint),
        config_(config),
        names_(checkpoint, config),
        workers_(workers),
        progress_(progress) {
    for (const auto& [name, tensor] : checkpoint.tensors) {
      total_bytes_ += tensor.bytes;
    }
  }

  // Tells that all is loaded: tensors without a role are not waited for.
  absl::Status Finish() {
    done_bytes_ = total_bytes_;
    return Report();
  }

  uint64_t memory() const { return memory_; }
  const TensorNames& names() const { return names_; }

  // The tensor of the role, or an error naming the file if it is missing.
  absl::StatusOr<const Tensor*> Find(WeightRole role, size_t layer) const {
    const std::string name = names_.Name(role, layer);
    const auto found = checkpoint_.tensors.find(name);
    if (found == checkpoint_.tensors.end()) {
      return absl::NotFoundError(
          absl::StrFormat("%s: no tensor '%s', which the configuration needs",
                          checkpoint_.path, name));
    }
    return &found->second;
  }

  // As Find, and checks the shape. Sizes of one may be left out or added, but
  // not in the rows, whose blocks were checked by their size.
  absl::StatusOr<const Tensor*> Find(WeightRole role, size_t layer,
                                     const Shape& want) const {
    GEMMA_ASSIGN_OR_RETURN(const Tensor* tensor, Find(role, layer));
    if (!tensor->shape.empty() && tensor->shape.back() == want.back() &&
        WithoutOnes(tensor->shape) == WithoutOnes(want)) {
      return tensor;
    }
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: tensor '%s' is [%s], the configuration needs [%s]", tensor->file,
        names_.Name(role, layer), absl::StrJoin(tensor->shape, ", "),
        absl::StrJoin(want, ", ")));
  }

  // A vector in float32, of shape `want` flattened.
  absl::Status Vector(WeightRole role, size_t layer, const Shape& want,
                      std::vector<float>& out) {
    GEMMA_ASSIGN_OR_RETURN(const Tensor* tensor, Find(role, layer, want));
    const size_t size = tensor->NumValues();
    memory_ += size * sizeof(float);
    if (workers_ == nullptr) return absl::OkStatus();
    out.resize(size);
    // Rows hold whole blocks; a tensor's innermost size is the row.
    const size_t cols = tensor->shape.back();
    const WeightView view = {tensor->format, size / cols, cols, tensor->data};
    for (size_t row = 0; row < view.rows; ++row) {
      DecodeRow(view, row, out.data() + row * cols);
    }
    return Done(*tensor);
  }

  absl::Status Norm(WeightRole role, size_t layer, size_t size,
                    std::vector<float>& out) {
    GEMMA_RETURN_IF_ERROR(Vector(role, layer, {size}, out));
    CanonicalizeNorm(checkpoint_.kind, out);
    return absl::OkStatus();
  }

  absl::Status Packed(WeightRole role, size_t layer, size_t rows, size_t cols,
                      Matrix& out) {
    GEMMA_ASSIGN_OR_RETURN(const Tensor* tensor,
                           Find(role, layer, {rows, cols}));
    const WeightView view = {tensor->format, rows, cols, tensor->data};
    // Of the logits, mostly the largest are wanted.
    const bool is_head =
        role == WeightRole::kEmbedding || role == WeightRole::kHead;
    GEMMA_RETURN_IF_ERROR(Allocate(
        view, is_head ? TopLayoutOf(view.format) : LayoutOf(view.format), out));
    if (workers_ == nullptr) return absl::OkStatus();
    // A task packs about a megabyte and gives its source back, so that source
    // and packed matrix are never in memory together.
    const size_t panel_bytes = view.RowBytes() * kPanelRows;
    const size_t panels = out.view.NumPanels();
    const size_t step = std::max<size_t>(1, (size_t{1} << 20) / panel_bytes);
    workers_->ForEach((panels + step - 1) / step, [&](size_t task, size_t) {
      const size_t begin = task * step;
      const size_t end = std::min(begin + step, panels);
      PackPanels(view, out.view.layout, begin, end, out.memory.data());
      Tensor part = *tensor;
      part.data = view.Row(begin * kPanelRows);
      part.bytes = (std::min(end * kPanelRows, rows) - begin * kPanelRows) *
                   view.RowBytes();
      checkpoint_.Release(part);
    });
    return Done(*tensor);
  }

  // The square matrices of a gate, [strips, strip, strip] as (strip, in, out).
  absl::Status Gates(WeightRole role, size_t layer, std::vector<Matrix>& out) {
    const size_t strips = config_.num_heads;
    const size_t width = config_.lru_width / strips;
    GEMMA_ASSIGN_OR_RETURN(const Tensor* tensor,
                           Find(role, layer, {strips, width, width}));
    out.resize(strips);
    for (size_t s = 0; s < strips; ++s) {
      WeightView stored = {tensor->format, width, width, tensor->data};
      stored.data += s * width * stored.RowBytes();
      WeightView view = {Format::kF32, width, width, nullptr};
      GEMMA_RETURN_IF_ERROR(Allocate(view, LayoutOf(view.format), out[s]));
      if (workers_ == nullptr) continue;
      const std::vector<float> values = TransposeGate(stored);
      view.data = reinterpret_cast<const uint8_t*>(values.data());
      PackPanels(view, out[s].view.layout, 0, out[s].view.NumPanels(),
                 out[s].memory.data());
    }
    return Done(*tensor);
  }

 private:
  static Shape WithoutOnes(const Shape& shape) {
    Shape out;
    for (size_t size : shape) {
      if (size != 1) out.push_back(size);
    }
    return out;
  }

  absl::Status Allocate(const WeightView& view, Layout layout, Matrix& out) {
    const size_t bytes = PackedBytes(view.format, view.rows, view.cols);
    memory_ += bytes;
    if (workers_ != nullptr) {
      out.memory = AlignedBuffer::AllocateWhole(bytes);
      if (out.memory.data() == nullptr) {
        return absl::ResourceExhaustedError(absl::StrFormat(
            "%s: no memory for %u bytes of weights", checkpoint_.path, bytes));
      }
    }
    out.view = {layout, view.rows, view.cols, out.memory.data()};
    return absl::OkStatus();
  }

  absl::Status Done(const Tensor& tensor) {
    done_bytes_ += tensor.bytes;
    return Report();
  }

  absl::Status Report() const {
    if (progress_ && !progress_({done_bytes_, total_bytes_})) {
      return absl::CancelledError("loading was cancelled");
    }
    return absl::OkStatus();
  }

  const Checkpoint& checkpoint_;
  const ModelConfig& config_;
  TensorNames names_;
  Workers* workers_;  // null: only plans
  const std::function<bool(const LoadProgress&)>& progress_;
  uint64_t done_bytes_ = 0;
  uint64_t total_bytes_ = 0;
  uint64_t memory_ = 0;
};

using R = WeightRole;

absl::Status LoadAttention(Loader& load, const ModelConfig& c, size_t layer,
                           LayerWeights& w) {
  const size_t q_dim = c.num_heads * c.head_dim;
  const size_t kv_dim = c.num_kv_heads * c.head_dim;
  GEMMA_RETURN_IF_ERROR(
      load.Packed(R::kQProj, layer, q_dim, c.model_dim, w.q_proj));
  GEMMA_RETURN_IF_ERROR(
      load.Packed(R::kKProj, layer, kv_dim, c.model_dim, w.k_proj));
  GEMMA_RETURN_IF_ERROR(
      load.Packed(R::kVProj, layer, kv_dim, c.model_dim, w.v_proj));
  GEMMA_RETURN_IF_ERROR(
      load.Packed(R::kOProj, layer, c.model_dim, q_dim, w.o_proj));
  if (c.biases) {
    GEMMA_RETURN_IF_ERROR(
        load.Vector(R::kOBias, layer, {c.model_dim}, w.o_bias));
  }
  if (c.qk_norm) {
    GEMMA_RETURN_IF_ERROR(load.Norm(R::kQNorm, layer, c.head_dim, w.q_norm));
    GEMMA_RETURN_IF_ERROR(load.Norm(R::kKNorm, layer, c.head_dim, w.k_norm));
  }
  return absl::OkStatus();
}

absl::Status LoadRecurrence(Loader& load, const ModelConfig& c, size_t layer,
                            LayerWeights& w) {
  const size_t width = c.lru_width;
  const Shape by_strip = {c.num_heads, width / c.num_heads};
  GEMMA_RETURN_IF_ERROR(
      load.Packed(R::kLinearX, layer, width, c.model_dim, w.linear_x));
  GEMMA_RETURN_IF_ERROR(
      load.Vector(R::kLinearXBias, layer, {width}, w.linear_x_bias));
  GEMMA_RETURN_IF_ERROR(
      load.Packed(R::kLinearY, layer, width, c.model_dim, w.linear_y));
  GEMMA_RETURN_IF_ERROR(
      load.Vector(R::kLinearYBias, layer, {width}, w.linear_y_bias));
  GEMMA_RETURN_IF_ERROR(
      load.Packed(R::kLinearOut, layer, c.model_dim, width, w.linear_out));
  GEMMA_RETURN_IF_ERROR(
      load.Vector(R::kLinearOutBias, layer, {c.model_dim}, w.linear_out_bias));
  std::vector<float> conv;
  GEMMA_RETURN_IF_ERROR(
      load.Vector(R::kConv, layer, {width, c.conv_width}, conv));
  w.conv = TransposeConv(conv, c.conv_width);
  GEMMA_RETURN_IF_ERROR(load.Vector(R::kConvBias, layer, {width}, w.conv_bias));
  GEMMA_RETURN_IF_ERROR(load.Gates(R::kInputGate, layer, w.input_gate));
  GEMMA_RETURN_IF_ERROR(load.Gates(R::kRecurrentGate, layer, w.recurrent_gate));
  GEMMA_RETURN_IF_ERROR(
      load.Vector(R::kInputGateBias, layer, by_strip, w.input_gate_bias));
  GEMMA_RETURN_IF_ERROR(load.Vector(R::kRecurrentGateBias, layer, by_strip,
                                    w.recurrent_gate_bias));
  GEMMA_RETURN_IF_ERROR(
      load.Vector(R::kRecurrentParam, layer, {width}, w.log_a_scale));
  CanonicalizeRecurrentParam(w.log_a_scale);
  return absl::OkStatus();
}

absl::Status LoadFfw(Loader& load, const ModelConfig& c, size_t layer,
                     LayerWeights& w) {
  GEMMA_RETURN_IF_ERROR(
      load.Packed(R::kGateProj, layer, c.ffw_dim, c.model_dim, w.gate_proj));
  GEMMA_RETURN_IF_ERROR(
      load.Packed(R::kUpProj, layer, c.ffw_dim, c.model_dim, w.up_proj));
  GEMMA_RETURN_IF_ERROR(
      load.Packed(R::kDownProj, layer, c.model_dim, c.ffw_dim, w.down_proj));
  if (!c.biases) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(
      load.Vector(R::kGateBias, layer, {c.ffw_dim}, w.gate_bias));
  GEMMA_RETURN_IF_ERROR(load.Vector(R::kUpBias, layer, {c.ffw_dim}, w.up_bias));
  return load.Vector(R::kDownBias, layer, {c.model_dim}, w.down_bias);
}

absl::Status LoadLayer(Loader& load, const ModelConfig& c, size_t layer,
                       LayerWeights& w) {
  GEMMA_RETURN_IF_ERROR(
      load.Norm(R::kPreMixNorm, layer, c.model_dim, w.pre_mix_norm));
  GEMMA_RETURN_IF_ERROR(
      load.Norm(R::kPreFfwNorm, layer, c.model_dim, w.pre_ffw_norm));
  if (c.post_norms) {
    GEMMA_RETURN_IF_ERROR(
        load.Norm(R::kPostMixNorm, layer, c.model_dim, w.post_mix_norm));
    GEMMA_RETURN_IF_ERROR(
        load.Norm(R::kPostFfwNorm, layer, c.model_dim, w.post_ffw_norm));
  }
  if (c.blocks[layer] == BlockType::kRecurrent) {
    GEMMA_RETURN_IF_ERROR(LoadRecurrence(load, c, layer, w));
  } else {
    GEMMA_RETURN_IF_ERROR(LoadAttention(load, c, layer, w));
  }
  return LoadFfw(load, c, layer, w);
}

// Whether the head is a matrix of its own. Directories say so, and may carry a
// copy of the embedding under the head's name all the same; GGUF files have the
// tensor or not.
absl::StatusOr<bool> HasOwnHead(const Checkpoint& checkpoint,
                                const TensorNames& names) {
  if (checkpoint.kind == CheckpointKind::kGguf) {
    return checkpoint.tensors.contains(names.Name(R::kHead));
  }
  bool tied = true;
  GEMMA_RETURN_IF_ERROR(checkpoint.config->Read("tie_word_embeddings", tied));
  return !tied;
}

absl::StatusOr<Weights> Load(
    const Checkpoint& checkpoint, ModelConfig& config, Workers* workers,
    const std::function<bool(const LoadProgress&)>& progress) {
  Loader load(checkpoint, config, workers, progress);
  GEMMA_ASSIGN_OR_RETURN(const Tensor* table, load.Find(R::kEmbedding, 0));
  if (checkpoint.kind == CheckpointKind::kGguf && table->shape.size() == 2) {
    config.vocab_size = table->shape[0];
  }
  config.embedding_scale = EmbeddingScale(config, table->format);
  if (absl::Status status = Validate(config); !status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %s", checkpoint.path, status.message()));
  }

  Weights weights;
  GEMMA_RETURN_IF_ERROR(load.Packed(R::kEmbedding, 0, config.vocab_size,
                                    config.model_dim, weights.embedding));
  GEMMA_ASSIGN_OR_RETURN(const bool own_head,
                         HasOwnHead(checkpoint, load.names()));
  if (own_head) {
    GEMMA_RETURN_IF_ERROR(load.Packed(R::kHead, 0, config.vocab_size,
                                      config.model_dim, weights.head));
  }
  GEMMA_RETURN_IF_ERROR(
      load.Norm(R::kFinalNorm, 0, config.model_dim, weights.final_norm));
  weights.layers.resize(config.num_layers());
  for (size_t layer = 0; layer < config.num_layers(); ++layer) {
    GEMMA_RETURN_IF_ERROR(
        LoadLayer(load, config, layer, weights.layers[layer]));
  }
  weights.bytes = load.memory();
  GEMMA_RETURN_IF_ERROR(load.Finish());
  return weights;
}

}  // namespace

absl::StatusOr<Weights> PlanWeights(const Checkpoint& checkpoint,
                                    ModelConfig& config) {
  return Load(checkpoint, config, /*workers=*/nullptr, /*progress=*/nullptr);
}

absl::StatusOr<Weights> LoadWeights(
    const Checkpoint& checkpoint, ModelConfig& config, Workers& workers,
    const std::function<bool(const LoadProgress&)>& progress) {
  return Load(checkpoint, config, &workers, progress);
}

}  // namespace gemma
