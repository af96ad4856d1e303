#include "src/model/weights.h"

#include <algorithm>
#include <optional>

#include "compression/pack.h"
#include "compression/quantize.h"
#include "ops/first_found.h"
#include "src/base/format_text.h"
#include "src/base/sizes.h"
#include "src/base/status_macros.h"
#include "src/formats/tensor_values.h"
#include "src/model/canonicalize.h"
#include "src/model/low_rank.h"
#include "src/model/outline.h"
#include "src/model/wanted_format.h"

namespace gemma::internal {
namespace {

Matrix& MatrixSlot(const WeightSpec& spec, Weights& weights) {
  if (RowOf(spec.role).scope != WeightScope::kDense) {
    return SlotOf<Matrix>(spec, weights);
  }
  return SlotOf<std::vector<Matrix>>(spec, weights)[spec.layer];
}

// Loads weights one by one and counts the bytes done. Without workers, it only
// counts the memory.
class Loader {
 public:
  Loader(const Checkpoint& checkpoint, const Conventions& conventions,
         WeightType quantize, Workers* workers,
         const std::function<bool(const LoadProgress&)>& progress)
      : checkpoint_(checkpoint),
        conventions_(conventions),
        quantize_(quantize),
        workers_(workers),
        progress_(progress) {
    for (const auto& [name, tensor] : checkpoint.tensors) {
      total_bytes_ += tensor.bytes;
    }
  }

  absl::Status Load(const BoundWeight& weight, Weights& out) {
    const WeightSpec& spec = weight.spec;
    switch (spec.kind) {
      case WeightKind::kMatrix:
      case WeightKind::kExactMatrix:
        return Packed(weight, MatrixSlot(spec, out));
      case WeightKind::kVector:
      case WeightKind::kNorm:
      case WeightKind::kConv:
      case WeightKind::kRecurrentParam:
        return Vector(weight, SlotOf<std::vector<float>>(spec, out));
      case WeightKind::kGates:
        return Gates(weight, SlotOf<std::vector<Matrix>>(spec, out));
      case WeightKind::kExperts:
      case WeightKind::kTable:
        break;
    }
    return absl::OkStatus();
  }

  // Reports all bytes as done, including those of tensors without a role, which
  // are not loaded.
  absl::Status Finish() {
    done_bytes_ = total_bytes_;
    return Report();
  }

  uint64_t memory() const { return memory_; }

 private:
  // Loads a vector in float32, flattened, as the forward pass uses it.
  absl::Status Vector(const BoundWeight& weight, std::vector<float>& out) {
    const Tensor& tensor = *weight.tensor;
    memory_ += tensor.NumValues() * sizeof(float);
    if (workers_ == nullptr) return absl::OkStatus();
    GEMMA_ASSIGN_OR_RETURN(out, Decode(tensor));
    if (weight.spec.kind == WeightKind::kNorm) {
      CanonicalizeNorm(conventions_, out);
    } else if (weight.spec.kind == WeightKind::kConv) {
      out = TransposeConv(out, weight.spec.shape[1]);
    } else if (weight.spec.kind == WeightKind::kRecurrentParam) {
      CanonicalizeRecurrentParam(conventions_, out);
    }
    return Done(tensor);
  }

  absl::Status Packed(const BoundWeight& weight, Matrix& out) {
    const Tensor& tensor = *weight.tensor;
    const size_t rows = weight.spec.shape[0];
    GEMMA_RETURN_IF_ERROR(CheckStays(weight, quantize_));
    const bool is_merged = !weight.low_ranks.empty();
    if (tensor.packed.has_value() && !is_merged) {
      UseInPlace(tensor, rows, weight.spec.shape[1], /*index=*/0, out);
      return Done(tensor);
    }
    WeightView view = RowsOf(weight);
    // The head has its own layout, because mostly only the largest logits are
    // needed.
    const bool is_head = weight.spec.role == WeightRole::kEmbedding ||
                         weight.spec.role == WeightRole::kHead;
    const Format format = WantedFormat(quantize_, view);
    GEMMA_RETURN_IF_ERROR(
        Allocate({format, rows, view.cols, nullptr},
                 is_head ? TopLayoutOf(format) : LayoutOf(format), out));
    if (workers_ == nullptr) return absl::OkStatus();
    if (is_merged) return Merged(weight, format, out);
    GEMMA_ASSIGN_OR_RETURN(const TensorValues values,
                           TensorValues::Read(tensor));
    view.data = values.data();
    if (tensor.arrangement.has_value()) checkpoint_.Release(tensor);
    FirstFound bad_row;
    // Each task packs about a megabyte and then releases its source, so that
    // source and packed matrix are never both in memory as a whole.
    const size_t panel_bytes = view.RowBytes() * kPanelRows;
    const size_t panels = out.view.NumPanels();
    const size_t step = std::max<size_t>(1, (size_t{1} << 20) / panel_bytes);
    workers_->ForEach(DivideUp(panels, step), [&](size_t task, size_t) {
      const size_t begin = task * step;
      const size_t end = std::min(begin + step, panels);
      if (format == view.format) {
        PackPanels(view, out.view.layout, begin, end, out.memory.data());
      } else if (const auto bad = QuantizePanels(view, format, out.view.layout,
                                                 /*importance=*/{}, begin, end,
                                                 out.memory.data())) {
        bad_row.Add(*bad);
      }
      Tensor part = tensor;
      part.data = view.Row(begin * kPanelRows);
      part.bytes = (std::min(end * kPanelRows, rows) - begin * kPanelRows) *
                   view.RowBytes();
      checkpoint_.Release(part);
    });
    if (const auto row = bad_row.Get()) return NotFinite(weight, *row);
    return Done(tensor);
  }

  // Packs a matrix that adapters change. Each task merges about a megabyte.
  absl::Status Merged(const BoundWeight& weight, Format format, Matrix& out) {
    const Tensor& tensor = *weight.tensor;
    GEMMA_ASSIGN_OR_RETURN(const MergedRows merged, MergedRows::Read(weight));
    const size_t rows = out.view.rows;
    const size_t cols = out.view.cols;
    const size_t step = std::max<size_t>(
        1, (size_t{1} << 20) / (cols * sizeof(float) * kPanelRows));
    const size_t panels = out.view.NumPanels();
    FirstFound bad_row;
    workers_->ForEach(DivideUp(panels, step), [&](size_t task, size_t) {
      const size_t begin = task * step;
      const size_t end = std::min(begin + step, panels);
      const size_t first = begin * kPanelRows;
      const size_t count = std::min(end * kPanelRows, rows) - first;
      std::vector<float> values(count * cols);
      merged.Get(first, first + count, values.data());
      const WeightView part = {Format::kF32, count, cols,
                               reinterpret_cast<uint8_t*>(values.data())};
      uint8_t* to =
          out.memory.data() + begin * PanelBytes(out.view.layout, cols);
      if (format == Format::kF32) {
        PackPanels(part, out.view.layout, 0, end - begin, to);
      } else if (const auto bad =
                     QuantizePanels(part, format, out.view.layout,
                                    /*importance=*/{}, 0, end - begin, to)) {
        bad_row.Add(first + *bad);
      }
    });
    checkpoint_.Release(tensor);
    if (const auto row = bad_row.Get()) return NotFinite(weight, *row);
    return Done(tensor);
  }

  static absl::Status NotFinite(const BoundWeight& weight, size_t row) {
    return absl::DataLossError(FormatText(
        "%s: tensor '%s' has a value in row %u that is not finite, and cannot "
        "be quantized",
        weight.tensor->file, weight.name, row));
  }

  // Loads the square matrices of a gate.
  absl::Status Gates(const BoundWeight& weight, std::vector<Matrix>& out) {
    const Tensor& tensor = *weight.tensor;
    const size_t strips = weight.spec.shape[0];
    const size_t width = weight.spec.shape[1];
    std::optional<TensorValues> values;
    if (workers_ != nullptr) {
      GEMMA_ASSIGN_OR_RETURN(values, TensorValues::Read(tensor));
    }
    out.resize(strips);
    for (size_t s = 0; s < strips; ++s) {
      if (tensor.packed.has_value()) {
        UseInPlace(tensor, width, width, s, out[s]);
        continue;
      }
      WeightView view = {Format::kF32, width, width, nullptr};
      GEMMA_RETURN_IF_ERROR(Allocate(view, LayoutOf(view.format), out[s]));
      if (!values.has_value()) continue;
      WeightView stored = {tensor.format, width, width, values->data()};
      stored.data += s * width * stored.RowBytes();
      const std::vector<float> gate = TransposeGate(stored);
      view.data = reinterpret_cast<const uint8_t*>(gate.data());
      PackPanels(view, out[s].view.layout, 0, out[s].view.NumPanels(),
                 out[s].memory.data());
    }
    return Done(tensor);
  }

  // Uses matrix `index` of a packed tensor, whose matrices follow each other,
  // where it is in the file.
  void UseInPlace(const Tensor& tensor, size_t rows, size_t cols, size_t index,
                  Matrix& out) {
    out.view = {*tensor.packed, rows, cols, tensor.data};
    out.view.data += index * out.view.Bytes();
    memory_ += out.view.Bytes();
  }

  absl::Status Allocate(const WeightView& view, Layout layout, Matrix& out) {
    const size_t bytes = PackedBytes(view.format, view.rows, view.cols);
    memory_ += bytes;
    if (workers_ != nullptr) {
      out.memory = AlignedBuffer::AllocateWhole(bytes);
      if (out.memory.data() == nullptr) {
        return absl::ResourceExhaustedError(FormatText(
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
    // An adapter's tensor may be larger than the one that it replaces.
    const uint64_t done = std::min(done_bytes_, total_bytes_);
    if (progress_ && !progress_({done, total_bytes_})) {
      return absl::CancelledError("loading was cancelled");
    }
    return absl::OkStatus();
  }

  const Checkpoint& checkpoint_;
  const Conventions& conventions_;
  WeightType quantize_;
  Workers* workers_;  // null: only count the memory
  const std::function<bool(const LoadProgress&)>& progress_;
  uint64_t done_bytes_ = 0;
  uint64_t total_bytes_ = 0;
  uint64_t memory_ = 0;
};

absl::StatusOr<Weights> Load(
    const Checkpoint& checkpoint, const Outline& outline, WeightType quantize,
    Workers* workers,
    const std::function<bool(const LoadProgress&)>& progress) {
  Loader load(checkpoint, outline.conventions, quantize, workers, progress);
  Weights weights;
  weights.layers.resize(outline.config.num_layers());
  weights.dense.resize(outline.config.dense_dims.size());
  for (const BoundWeight& weight : outline.weights) {
    GEMMA_RETURN_IF_ERROR(load.Load(weight, weights));
  }
  weights.bytes = load.memory();
  weights.adapters_digest = outline.adapters_digest;
  GEMMA_RETURN_IF_ERROR(load.Finish());
  return weights;
}

}  // namespace

absl::StatusOr<Weights> PlanWeights(const Checkpoint& checkpoint,
                                    const Outline& outline,
                                    WeightType quantize) {
  return Load(checkpoint, outline, quantize, /*workers=*/nullptr,
              /*progress=*/nullptr);
}

absl::StatusOr<Weights> LoadWeights(
    const Checkpoint& checkpoint, const Outline& outline, WeightType quantize,
    Workers& workers,
    const std::function<bool(const LoadProgress&)>& progress) {
  return Load(checkpoint, outline, quantize, &workers, progress);
}

}  // namespace gemma::internal
