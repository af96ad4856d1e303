#include "src/model/tensors/weights.h"

#include <algorithm>
#include <optional>

#include "compression/pack.h"
#include "compression/quantize.h"
#include "ops/first_found.h"
#include "src/base/format_text.h"
#include "src/base/sizes.h"
#include "src/base/status_macros.h"
#include "src/formats/tensor_values.h"
#include "src/model/tensors/canonicalize.h"
#include "src/model/tensors/low_rank.h"
#include "src/model/tensors/outline.h"
#include "src/model/tensors/wanted_format.h"

namespace gemma::internal {
namespace {

constexpr size_t kAlignment = 64;  // of PackedView::data

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
        return Packed(weight, MatrixSlot(spec, out));
      case WeightKind::kVector:
      case WeightKind::kNorm:
      case WeightKind::kConv:
      case WeightKind::kRecurrentParam:
        return Vector(weight, SlotOf<std::vector<float>>(spec, out));
      case WeightKind::kGates:
        return Gates(weight, SlotOf<std::vector<Matrix>>(spec, out));
      case WeightKind::kExactMatrix:
        return Exact(weight, SlotOf<Matrix>(spec, out));
      case WeightKind::kStack:
        return Stack(weight, SlotOf<std::vector<Matrix>>(spec, out));
      case WeightKind::kExperts:
        return Experts(weight, SlotOf<std::vector<Matrix>>(spec, out));
      case WeightKind::kTable:
        return Table(weight,
                     out.*std::get<RowTable Weights::*>(RowOf(spec.role).slot));
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
  uint64_t mapped_bytes() const { return mapped_bytes_; }
  uint64_t table_bytes() const { return table_bytes_; }

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
    return Done(tensor.bytes);
  }

  absl::Status Packed(const BoundWeight& weight, Matrix& out) {
    const Tensor& tensor = *weight.tensor;
    const size_t rows = weight.spec.shape[0];
    GEMMA_RETURN_IF_ERROR(CheckStays(weight, quantize_));
    const bool is_merged = !weight.low_ranks.empty();
    if (tensor.packed.has_value() && !is_merged) {
      UseInPlace(tensor, rows, weight.spec.shape[1], /*index=*/0, out);
      return Done(tensor.bytes);
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
    if (is_merged) {
      GEMMA_ASSIGN_OR_RETURN(const std::optional<size_t> bad,
                             PackMerged(weight, format, *workers_, out));
      checkpoint_.Release(tensor);
      return bad.has_value() ? NotFinite(weight, *bad) : Done(tensor.bytes);
    }
    GEMMA_ASSIGN_OR_RETURN(const TensorValues values,
                           TensorValues::Read(tensor));
    view.data = values.data();
    if (tensor.arrangement.has_value()) checkpoint_.Release(tensor);
    FirstFound bad_row;
    const size_t panels = out.view.NumPanels();
    const size_t step = PanelsPerTask(view);
    workers_->ForEach(DivideUp(panels, step), [&](size_t task, size_t) {
      const size_t begin = task * step;
      Pack(tensor, view, format, out.view.layout, begin,
           std::min(begin + step, panels), out.memory.data(), /*row=*/0,
           bad_row);
    });
    if (const auto row = bad_row.Get()) return NotFinite(weight, *row);
    return Done(tensor.bytes);
  }

  // A task packs about a megabyte and then releases its source, so that source
  // and packed matrix are never both in memory as a whole.
  static size_t PanelsPerTask(const WeightView& view) {
    return std::max<size_t>(1,
                            (size_t{1} << 20) / (view.RowBytes() * kPanelRows));
  }

  // Packs panels [begin, end) of a matrix of `tensor` into `out`, the start of
  // the packed matrix. Rows that are not finite are counted from `row`.
  void Pack(const Tensor& tensor, const WeightView& view, Format format,
            Layout layout, size_t begin, size_t end, uint8_t* out, size_t row,
            FirstFound& bad_row) const {
    if (format == view.format) {
      PackPanels(view, layout, begin, end, out);
    } else if (const auto bad = QuantizePanels(
                   view, format, layout, /*importance=*/{}, begin, end, out)) {
      bad_row.Add(row + *bad);
    }
    Tensor part = tensor;
    part.data = view.Row(begin * kPanelRows);
    part.bytes = (std::min(end * kPanelRows, view.rows) - begin * kPanelRows) *
                 view.RowBytes();
    checkpoint_.Release(part);
  }

  // Packs a small matrix that is never quantized: one in BF16 or F32 as it is,
  // others as float32.
  absl::Status Exact(const BoundWeight& weight, Matrix& out) {
    const Tensor& tensor = *weight.tensor;
    const size_t rows = weight.spec.shape[0];
    WeightView view = {tensor.format, rows, weight.spec.shape[1], nullptr};
    if (tensor.packed.has_value()) {
      UseInPlace(tensor, rows, view.cols, /*index=*/0, out);
      return Done(tensor.bytes);
    }
    const bool is_kept =
        !tensor.arrangement.has_value() &&
        (tensor.format == Format::kBF16 || tensor.format == Format::kF32);
    if (!is_kept) view.format = Format::kF32;
    GEMMA_RETURN_IF_ERROR(Allocate(view, LayoutOf(view.format), out));
    if (workers_ == nullptr) return absl::OkStatus();
    std::vector<float> values;
    if (is_kept) {
      view.data = tensor.data;
    } else {
      GEMMA_ASSIGN_OR_RETURN(values, Decode(tensor));
      view.data = reinterpret_cast<const uint8_t*>(values.data());
    }
    PackPanels(view, out.view.layout, 0, out.view.NumPanels(),
               out.memory.data());
    return Done(tensor.bytes);
  }

  // Loads the matrices of experts. The first one owns the memory of all, which
  // follow each other.
  absl::Status Experts(const BoundWeight& weight, std::vector<Matrix>& out) {
    const Tensor& tensor = *weight.tensor;
    const size_t count = weight.spec.shape[0];
    const size_t rows = weight.spec.shape[1];
    const size_t cols = weight.spec.shape[2];
    GEMMA_RETURN_IF_ERROR(CheckStays(weight, quantize_));
    out.resize(count);
    if (tensor.packed.has_value()) {
      for (size_t e = 0; e < count; ++e) {
        UseInPlace(tensor, rows, cols, e, out[e]);
      }
      return Done(tensor.bytes);
    }
    const Format format = WantedFormat(quantize_, RowsOf(tensor));
    const Layout layout = LayoutOf(format);
    const size_t each = RoundUp(PackedBytes(format, rows, cols), kAlignment);
    GEMMA_ASSIGN_OR_RETURN(out[0].memory, Buffer(count * each));
    for (size_t e = 0; e < count; ++e) {
      out[e].view = {layout, rows, cols, nullptr};
      if (workers_ != nullptr) {
        out[e].view.data = out[0].memory.data() + e * each;
      }
    }
    if (workers_ == nullptr) return absl::OkStatus();
    GEMMA_ASSIGN_OR_RETURN(const TensorValues values,
                           TensorValues::Read(tensor));
    if (tensor.arrangement.has_value()) checkpoint_.Release(tensor);
    FirstFound bad_row;
    const size_t panels = out[0].view.NumPanels();
    const size_t step = PanelsPerTask(ExpertOf(weight, nullptr, 0));
    const size_t tasks = DivideUp(panels, step);  // for each expert
    workers_->ForEach(count * tasks, [&](size_t task, size_t) {
      const size_t e = task / tasks;
      const size_t begin = task % tasks * step;
      Pack(tensor, ExpertOf(weight, values.data(), e), format, layout, begin,
           std::min(begin + step, panels), out[0].memory.data() + e * each,
           weight.first_row + e * weight.row_step, bad_row);
    });
    if (const auto row = bad_row.Get()) return NotFinite(weight, *row);
    return Done(count * rows * RowsOf(tensor).RowBytes());
  }

  absl::Status Stack(const BoundWeight& weight, std::vector<Matrix>& out) {
    out.resize(weight.spec.shape[0]);
    for (size_t i = 0; i < out.size(); ++i) {
      Tensor storage;
      GEMMA_RETURN_IF_ERROR(Packed(MatrixOf(weight, i, storage), out[i]));
    }
    return absl::OkStatus();
  }

  // Leaves a table of rows in its file. Only values that the file does not
  // store in order, or with scales of their own, are decoded into memory.
  absl::Status Table(const BoundWeight& weight, RowTable& out) {
    const Tensor& tensor = *weight.tensor;
    out.view = RowsOf(tensor);
    if (!tensor.arrangement.has_value()) {
      table_bytes_ += tensor.bytes;
      if (workers_ == nullptr) {
        out.view.data = nullptr;
      } else {
        checkpoint_.ExpectRandomReads(tensor);
      }
      return Done(tensor.bytes);
    }
    const size_t bytes = out.view.rows * out.view.RowBytes();
    GEMMA_ASSIGN_OR_RETURN(out.memory, Buffer(bytes));
    if (workers_ == nullptr) return absl::OkStatus();
    GEMMA_ASSIGN_OR_RETURN(const TensorValues values,
                           TensorValues::Read(tensor));
    std::copy_n(values.data(), bytes, out.memory.data());
    out.view.data = out.memory.data();
    checkpoint_.Release(tensor);
    return Done(tensor.bytes);
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
    return Done(tensor.bytes);
  }

  // Uses matrix `index` of a packed tensor, whose matrices follow each other,
  // where it is in the file.
  void UseInPlace(const Tensor& tensor, size_t rows, size_t cols, size_t index,
                  Matrix& out) {
    out.view = {*tensor.packed, rows, cols, tensor.data};
    out.view.data += index * out.view.Bytes();
    memory_ += out.view.Bytes();
    mapped_bytes_ += out.view.Bytes();
  }

  // Returns memory for weights, and counts it; an empty buffer if it only
  // counts.
  absl::StatusOr<AlignedBuffer> Buffer(size_t bytes) {
    memory_ += bytes;
    if (workers_ == nullptr) return AlignedBuffer();
    AlignedBuffer buffer = AlignedBuffer::AllocateWhole(bytes);
    if (buffer.data() != nullptr) return buffer;
    return absl::ResourceExhaustedError(FormatText(
        "%s: no memory for %u bytes of weights", checkpoint_.path, bytes));
  }

  absl::Status Allocate(const WeightView& view, Layout layout, Matrix& out) {
    GEMMA_ASSIGN_OR_RETURN(
        out.memory, Buffer(PackedBytes(view.format, view.rows, view.cols)));
    out.view = {layout, view.rows, view.cols, out.memory.data()};
    return absl::OkStatus();
  }

  // Counts the bytes of a file that are done.
  absl::Status Done(uint64_t bytes) {
    done_bytes_ += bytes;
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
  uint64_t mapped_bytes_ = 0;
  uint64_t table_bytes_ = 0;
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
  weights.mapped_bytes = load.mapped_bytes();
  weights.table_bytes = load.table_bytes();
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
