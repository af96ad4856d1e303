#include "src/quantize/write_model.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/sizes.h"
#include "src/base/status_macros.h"
#include "src/formats/gguf_types.h"
#include "src/formats/gguf_writer.h"
#include "src/formats/tensor_values.h"
#include "src/model/adapter/adapter.h"
#include "src/model/describe/describe.h"
#include "src/model/tensors/canonicalize.h"
#include "src/model/tensors/finite.h"
#include "src/model/tensors/low_rank.h"
#include "src/model/tensors/outline.h"
#include "src/quantize/encode.h"
#include "src/quantize/importance.h"
#include "src/quantize/weight_plan.h"

namespace gemma::internal {
namespace {

// Bytes of the source that are read, encoded and written at a time.
constexpr size_t kPieceBytes = size_t{16} << 20;

// File offset alignment of packed tensors: the size of a page.
constexpr uint32_t kPackedFileAlignment = 4096;

// Returns the rows [begin, end) of a tensor.
Tensor Part(const Tensor& tensor, size_t begin, size_t end) {
  const WeightView rows = RowsOf(tensor);
  Tensor part = tensor;
  part.shape = {end - begin, rows.cols};
  part.data = rows.Row(begin);
  part.bytes = (end - begin) * rows.RowBytes();
  return part;
}

class ModelWriter {
 public:
  ModelWriter(Checkpoint& checkpoint, const QuantizeOptions& options,
              Workers& workers)
      : checkpoint_(checkpoint),
        options_(options),
        workers_(workers),
        file_(options.layout == FileLayout::kPacked ? kPackedFileAlignment
                                                    : kDefaultGgufAlignment) {}

  absl::Status Write(std::string target) {
    GEMMA_RETURN_IF_ERROR(MakePlans());
    GEMMA_RETURN_IF_ERROR(SetKeys());
    GEMMA_RETURN_IF_ERROR(OfOutput(file_.Begin(std::move(target))));
    for (const WeightPlan& plan : plans_) {
      GEMMA_RETURN_IF_ERROR(WriteWeight(plan));
    }
    GEMMA_RETURN_IF_ERROR(WriteRopeFactors());
    for (const UnusedTensor& tensor : unused_keys_) {
      const std::vector<uint8_t> zeros(tensor.bytes);
      GEMMA_RETURN_IF_ERROR(OfOutput(file_.Write(tensor.name, zeros)));
    }
    return OfOutput(file_.Commit(options_.overwrite
                                     ? AtomicFile::Existing::kReplace
                                     : AtomicFile::Existing::kKeep));
  }

 private:
  static absl::Status OfOutput(absl::Status status) {
    return WithReason(std::move(status), ErrorReason::kOutputFile);
  }

  // Writes the next bytes of the plan's tensor.
  absl::Status Append(const WeightPlan& plan, absl::Span<const uint8_t> bytes) {
    return OfOutput(file_.Write(plan.name, bytes));
  }

  absl::Status MakePlans() {
    // Keeps the window as the files state it: how many keys it means is chosen
    // when the model is loaded.
    GEMMA_ASSIGN_OR_RETURN(
        outline_, ReadOutline(checkpoint_, RecurrentWindow::kTransformers));
    GEMMA_RETURN_IF_ERROR(
        AddAdapters(options_.adapters, checkpoint_, outline_));
    if (!options_.importance.empty()) {
      GEMMA_ASSIGN_OR_RETURN(importance_,
                             Importance::Load(options_.importance));
    }
    GEMMA_ASSIGN_OR_RETURN(
        plans_, PlanWeightsOf(outline_, checkpoint_.path, options_,
                              importance_.has_value() ? &*importance_ : nullptr,
                              workers_));
    for (const WeightPlan& plan : plans_) {
      total_bytes_ += ProgressBytes(plan.from);
    }
    if (importance_.has_value() && options_.note) {
      for (const std::string& note : importance_->notes()) options_.note(note);
    }
    return absl::OkStatus();
  }

  absl::Status SetKeys() {
    GEMMA_RETURN_IF_ERROR(
        Describe(checkpoint_, outline_.config, plans_[0].to.format, file_));
    DeclareWeights(plans_, file_);
    rope_factors_ = RopeFactors(outline_.config);
    if (!rope_factors_.empty()) {
      file_.Declare(kRopeFactors, *GgufTypeNumber(Format::kF32),
                    {rope_factors_.size()},
                    rope_factors_.size() * sizeof(float));
    }
    unused_keys_ = UnusedKeysOf(outline_.config, plans_, options_.layout);
    for (const UnusedTensor& tensor : unused_keys_) {
      file_.Declare(tensor.name, *GgufTypeNumber(tensor.format), tensor.shape,
                    tensor.bytes);
    }
    return absl::OkStatus();
  }

  absl::Status WriteRopeFactors() {
    if (rope_factors_.empty()) return absl::OkStatus();
    return OfOutput(file_.Write(
        kRopeFactors, {reinterpret_cast<const uint8_t*>(rope_factors_.data()),
                       rope_factors_.size() * sizeof(float)}));
  }

  absl::Status WriteWeight(const WeightPlan& plan) {
    const Tensor& tensor = *plan.from.tensor;
    if (IsCopied(plan.from)) {
      GEMMA_RETURN_IF_ERROR(Append(plan, {tensor.data, tensor.bytes}));
      return Done(tensor);
    }
    if (!plan.from.low_ranks.empty()) return WriteMerged(plan);
    if (plan.from.spec.kind == WeightKind::kStack) return WriteStack(plan);
    // A tensor that needs rearranging is rearranged as a whole, one at a time.
    GEMMA_ASSIGN_OR_RETURN(const TensorValues values,
                           TensorValues::Read(tensor));
    Tensor in_order = tensor;
    in_order.data = values.data();
    in_order.arrangement.reset();
    in_order.bytes = ProgressBytes(plan.from);
    GEMMA_RETURN_IF_ERROR(WriteValues(plan, in_order));
    checkpoint_.Release(tensor);
    return absl::OkStatus();
  }

  // Writes the matrices of a stack one after the other.
  absl::Status WriteStack(const WeightPlan& plan) {
    const MatricesOf matrices(plan.from.spec);
    WeightPlan of_matrix = plan;
    for (size_t i = 0; i < matrices.count; ++i) {
      Tensor storage;
      of_matrix.from = MatrixOf(plan.from, i, storage);
      if (!plan.importance.empty()) {
        of_matrix.importance =
            plan.importance.subspan(i * matrices.cols, matrices.cols);
      }
      GEMMA_RETURN_IF_ERROR(WriteWeight(of_matrix));
    }
    return absl::OkStatus();
  }

  // `in_order`: the weight's tensor without an arrangement.
  absl::Status WriteValues(const WeightPlan& plan, const Tensor& in_order) {
    switch (plan.from.spec.kind) {
      case WeightKind::kMatrix:
        return WriteMatrix(plan, in_order);
      case WeightKind::kTable:
        return WriteTable(plan, in_order);
      case WeightKind::kExperts:
        return WriteExperts(plan, in_order);
      case WeightKind::kExactMatrix:
        // Others become float32.
        return plan.to.format == in_order.format ? WriteMatrix(plan, in_order)
                                                 : WriteVector(plan, in_order);
      default:
        return plan.to.packed.has_value() ? WriteGates(plan, in_order)
                                          : WriteVector(plan, in_order);
    }
  }

  // Writes one matrix after the other, each with its own importance.
  absl::Status WriteExperts(const WeightPlan& plan, const Tensor& tensor) {
    const MatricesOf matrices(plan.from.spec);
    WeightPlan of_expert = plan;
    for (size_t e = 0; e < matrices.count; ++e) {
      const WeightView view = ExpertOf(plan.from, tensor.data, e);
      Tensor part = tensor;
      part.shape = {matrices.rows, matrices.cols};
      part.data = view.data;
      part.bytes = view.rows * view.RowBytes();
      if (!plan.importance.empty()) {
        of_expert.importance =
            plan.importance.subspan(e * matrices.cols, matrices.cols);
      }
      GEMMA_RETURN_IF_ERROR(WriteMatrix(
          of_expert, part, plan.from.first_row + e * plan.from.row_step));
    }
    return absl::OkStatus();
  }

  static size_t RowsPerPiece(size_t row_bytes) {
    return std::max<size_t>(1, kPieceBytes / (row_bytes * kEncodeRows)) *
           kEncodeRows;
  }

  // `first_row`: the number that messages give the first row.
  absl::Status WriteMatrix(const WeightPlan& plan, const Tensor& tensor,
                           size_t first_row = 0) {
    const WeightView view = RowsOf(tensor);
    const size_t rows = RowsPerPiece(view.RowBytes());
    for (size_t begin = 0; begin < view.rows; begin += rows) {
      const Tensor part =
          Part(tensor, begin, std::min(begin + rows, view.rows));
      GEMMA_RETURN_IF_ERROR(WriteRows(plan, part, first_row + begin));
      GEMMA_RETURN_IF_ERROR(Done(part));
    }
    return absl::OkStatus();
  }

  absl::Status WriteTable(const WeightPlan& plan, const Tensor& tensor) {
    GEMMA_RETURN_IF_ERROR(WriteMatrix(plan, tensor));
    const Tensor first = Part(tensor, 0, 1);
    for (size_t i = 0; i < plan.more_rows; ++i) {
      GEMMA_RETURN_IF_ERROR(WriteRows(plan, first, /*begin=*/0));
    }
    checkpoint_.Release(first);
    return absl::OkStatus();
  }

  // Writes a matrix that adapters change.
  absl::Status WriteMerged(const WeightPlan& plan) {
    GEMMA_ASSIGN_OR_RETURN(const MergedRows merged,
                           MergedRows::Read(plan.from));
    const size_t rows = plan.from.spec.shape[0];
    const size_t cols = plan.from.spec.shape[1];
    const size_t step = RowsPerPiece(cols * sizeof(float));
    std::vector<float> values(std::min(step, rows) * cols);
    for (size_t begin = 0; begin < rows; begin += step) {
      const size_t count = std::min(step, rows - begin);
      workers_.ForEach(DivideUp(count, kEncodeRows), [&](size_t task, size_t) {
        const size_t first = task * kEncodeRows;
        const size_t end = std::min(first + kEncodeRows, count);
        merged.Get(begin + first, begin + end, values.data() + first * cols);
      });
      Tensor part = *plan.from.tensor;  // with its names, for messages
      part.format = Format::kF32;
      part.packed.reset();
      part.arrangement.reset();
      part.shape = {count, cols};
      part.data = reinterpret_cast<const uint8_t*>(values.data());
      part.bytes = count * cols * sizeof(float);
      GEMMA_RETURN_IF_ERROR(WriteRows(plan, part, begin));
    }
    return Done(*plan.from.tensor);
  }

  // `part` begins with row `begin`.
  absl::Status WriteRows(const WeightPlan& plan, const Tensor& part,
                         size_t begin) {
    const bool is_kept = plan.to.format == part.format;
    if (is_kept) GEMMA_RETURN_IF_ERROR(CheckFinite(plan, part, begin));
    if (is_kept && !plan.to.packed.has_value()) {
      return Append(plan, {part.data, part.bytes});
    }
    if (!Encode(RowsOf(part), plan.to, plan.importance, workers_, encoded_)) {
      return CheckFinite(plan, part, begin);  // names the place
    }
    return Append(plan, encoded_);
  }

  // Writes the matrices of a gate, transposed and packed for multiplication.
  absl::Status WriteGates(const WeightPlan& plan, const Tensor& tensor) {
    GEMMA_RETURN_IF_ERROR(CheckFinite(plan, tensor, /*first_row=*/0));
    const MatricesOf gates(plan.from.spec);
    for (size_t i = 0; i < gates.count; ++i) {
      WeightView stored = {tensor.format, gates.rows, gates.cols, tensor.data};
      stored.data += i * gates.rows * stored.RowBytes();
      const std::vector<float> values = TransposeGate(stored);
      Encode({Format::kF32, gates.rows, gates.cols,
              reinterpret_cast<const uint8_t*>(values.data())},
             plan.to, /*importance=*/{}, workers_, encoded_);
      GEMMA_RETURN_IF_ERROR(Append(plan, encoded_));
    }
    return Done(tensor);
  }

  // Writes a vector in float32 with the values that GGUF files store.
  absl::Status WriteVector(const WeightPlan& plan, const Tensor& tensor) {
    GEMMA_RETURN_IF_ERROR(CheckFinite(plan, tensor, /*first_row=*/0));
    GEMMA_ASSIGN_OR_RETURN(std::vector<float> values, Decode(tensor));
    if (plan.from.spec.kind == WeightKind::kNorm) {
      CanonicalizeNorm(outline_.conventions, values);
    } else if (plan.from.spec.kind == WeightKind::kRecurrentParam) {
      StoreRecurrentParam(outline_.conventions, values);
    }
    const WeightView view = {Format::kF32, 1, values.size(),
                             reinterpret_cast<const uint8_t*>(values.data())};
    if (FindNonFinite(view, workers_).has_value()) {
      return absl::InvalidArgumentError(FormatText(
          "%s: tensor %s has values that are not below zero, wanted -8 "
          "softplus(a_param)",
          tensor.file, Quoted(plan.from.name)));
    }
    GEMMA_RETURN_IF_ERROR(Append(plan, {view.data, view.RowBytes()}));
    return Done(tensor);
  }

  absl::Status CheckFinite(const WeightPlan& plan, const Tensor& part,
                           size_t first_row) {
    const auto at = FindNonFinite(RowsOf(part), workers_);
    if (!at.has_value()) return absl::OkStatus();
    return absl::InvalidArgumentError(FormatText(
        "%s: tensor %s has a value that is not finite at row %u, column %u",
        part.file, Quoted(plan.from.name), first_row + at->row, at->col));
  }

  absl::Status Done(const Tensor& part) {
    checkpoint_.Release(part);
    done_bytes_ += part.bytes;
    if (options_.progress && !options_.progress({done_bytes_, total_bytes_})) {
      return absl::CancelledError("writing the model was cancelled");
    }
    return absl::OkStatus();
  }

  Checkpoint& checkpoint_;
  const QuantizeOptions& options_;
  Workers& workers_;
  Outline outline_;
  std::optional<Importance> importance_;
  std::vector<WeightPlan> plans_;  // the embedding table first
  std::vector<float> rope_factors_;
  std::vector<UnusedTensor> unused_keys_;
  GgufFileWriter file_;
  std::vector<uint8_t> encoded_;
  uint64_t done_bytes_ = 0;
  uint64_t total_bytes_ = 0;
};

}  // namespace

absl::Status WriteModel(Checkpoint checkpoint, std::string target,
                        const QuantizeOptions& options, Workers& workers) {
  return ModelWriter(checkpoint, options, workers).Write(std::move(target));
}

}  // namespace gemma::internal
