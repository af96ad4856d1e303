#include "src/quantize/write_model.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/sizes.h"
#include "src/base/status_macros.h"
#include "src/formats/gguf_types.h"
#include "src/formats/gguf_writer.h"
#include "src/formats/tensor_values.h"
#include "src/model/adapter.h"
#include "src/model/canonicalize.h"
#include "src/model/describe.h"
#include "src/model/finite.h"
#include "src/model/low_rank.h"
#include "src/model/outline.h"
#include "src/model/tensor_names.h"
#include "src/quantize/choose_format.h"
#include "src/quantize/encode.h"
#include "src/quantize/importance.h"

namespace gemma::internal {
namespace {

// Bytes of the source that are read, encoded and written at a time.
constexpr size_t kPieceBytes = size_t{16} << 20;

constexpr std::string_view kFileType = "general.file_type";
constexpr std::string_view kQuantizationVersion =
    "general.quantization_version";

// llama.cpp's number for files in which most matrices have the format.
struct FileType {
  Format format;
  uint32_t number;
};
constexpr FileType kFileTypes[] = {
    {Format::kF32, 0},      {Format::kF16, 1},     {Format::kQ4_0, 2},
    {Format::kQ4_1, 3},     {Format::kQ8_0, 7},    {Format::kQ5_0, 8},
    {Format::kQ5_1, 9},     {Format::kQ2_K, 10},   {Format::kQ3_K, 12},
    {Format::kQ4_K, 15},    {Format::kQ5_K, 17},   {Format::kQ6_K, 18},
    {Format::kIQ4_NL, 25},  {Format::kIQ4_XS, 30}, {Format::kBF16, 32},
    {Format::kIQ2_XXS, 19}, {Format::kIQ2_XS, 20}, {Format::kIQ2_S, 28},
    {Format::kIQ3_XXS, 23}, {Format::kIQ3_S, 26},  {Format::kMXFP4, 38},
    {Format::kNVFP4, 39},
};

// File offset alignment of packed tensors: the size of a page.
constexpr uint32_t kPackedFileAlignment = 4096;

// A weight and its target encoding.
struct WeightPlan {
  BoundWeight from;
  Encoding to;
  std::string name;  // in the written file
  absl::Span<const float> importance;
};

// The matrices, each of shape [rows, cols], that follow each other in the
// weight's tensor.
struct MatricesOf {
  explicit MatricesOf(const WeightSpec& spec)
      : count(spec.kind == WeightKind::kGates ? spec.shape[0] : 1),
        rows(spec.shape[spec.shape.size() - 2]),
        cols(spec.shape.back()) {}

  size_t count, rows, cols;
};

// Returns the rows [begin, end) of a tensor.
Tensor Part(const Tensor& tensor, size_t begin, size_t end) {
  const WeightView rows = RowsOf(tensor);
  Tensor part = tensor;
  part.shape = {end - begin, rows.cols};
  part.data = rows.Row(begin);
  part.bytes = (end - begin) * rows.RowBytes();
  return part;
}

// The bytes of a tensor that count as progress: those that are encoded, which
// for arranged tensors are not those of the file.
uint64_t ProgressBytes(const Tensor& tensor) {
  if (!tensor.arrangement.has_value()) return tensor.bytes;
  const WeightView rows = RowsOf(tensor);
  return uint64_t{rows.rows} * rows.RowBytes();
}

class ModelWriter {
 public:
  ModelWriter(Checkpoint& checkpoint, const QuantizeOptions& options,
              Workers& workers)
      : checkpoint_(checkpoint),
        options_(options),
        workers_(workers),
        is_packed_(options.layout == FileLayout::kPacked),
        file_(is_packed_ ? kPackedFileAlignment : kDefaultGgufAlignment) {}

  absl::Status Write(std::string target) {
    GEMMA_RETURN_IF_ERROR(MakePlans());
    GEMMA_RETURN_IF_ERROR(SetKeys());
    GEMMA_RETURN_IF_ERROR(OfOutput(file_.Begin(std::move(target))));
    for (const WeightPlan& plan : plans_) {
      GEMMA_RETURN_IF_ERROR(WriteWeight(plan));
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
    const std::vector<BoundWeight>& weights = outline_.weights;
    GEMMA_RETURN_IF_ERROR(ReadImportance(weights));
    GEMMA_ASSIGN_OR_RETURN(const std::vector<Format> formats,
                           ChooseFormats(weights, options_, workers_));
    for (size_t i = 0; i < weights.size(); ++i) {
      const WeightSpec& spec = weights[i].spec;
      total_bytes_ += ProgressBytes(*weights[i].tensor);
      const Encoding to = {formats[i], LayoutFor(weights[i], formats[i])};
      std::string name = names_.Name(spec.role, spec.layer);
      const absl::Span<const float> importance = ImportanceFor(spec);
      plans_.push_back({weights[i], to, std::move(name), importance});
    }
    return absl::OkStatus();
  }

  // Whether the weight's packed bytes are written as they are.
  static bool IsCopied(const BoundWeight& weight) {
    return weight.tensor->packed.has_value() && weight.low_ranks.empty();
  }

  // The layout that the weight is packed in, or nothing if it is not packed.
  std::optional<Layout> LayoutFor(const BoundWeight& weight,
                                  Format format) const {
    const WeightSpec& spec = weight.spec;
    if (IsCopied(weight)) return weight.tensor->packed;
    if (!is_packed_) return std::nullopt;
    if (spec.role == WeightRole::kEmbedding || spec.role == WeightRole::kHead) {
      return TopLayoutOf(format);
    }
    const bool is_multiplied =
        spec.kind == WeightKind::kMatrix || spec.kind == WeightKind::kGates;
    return is_multiplied ? std::optional(LayoutOf(format)) : std::nullopt;
  }

  // Loads and checks the importance file if the options name one.
  absl::Status ReadImportance(const std::vector<BoundWeight>& weights) {
    if (options_.importance.empty()) return absl::OkStatus();
    GEMMA_ASSIGN_OR_RETURN(importance_, Importance::Load(options_.importance));
    size_t known = 0;
    for (const BoundWeight& weight : weights) {
      if (weight.spec.kind != WeightKind::kMatrix) continue;
      const std::string name = names_.Name(weight.spec.role, weight.spec.layer);
      GEMMA_RETURN_IF_ERROR(
          importance_->CheckColumns(name, weight.spec.shape.back()));
      known += !importance_->Of(name).empty();
    }
    if (known != 0) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(options_.importance, ": has none of the matrices of ",
                     checkpoint_.path));
  }

  absl::Span<const float> ImportanceFor(const WeightSpec& spec) const {
    if (!importance_.has_value()) return {};
    return importance_->Of(names_.Name(spec.role, spec.layer));
  }

  absl::Status SetKeys() {
    GEMMA_RETURN_IF_ERROR(
        Describe(checkpoint_, outline_.config, plans_[0].to.format, file_));
    std::map<Format, uint64_t> bytes;
    bool has_blocks = false;
    for (const WeightPlan& plan : plans_) {
      const uint64_t size = BytesOf(plan);
      const uint32_t type =
          plan.to.packed.has_value()
              ? GgufTypeNumber(plan.to.format, *plan.to.packed)
              : *GgufTypeNumber(plan.to.format);
      file_.Declare(plan.name, type, plan.from.spec.shape, size);
      has_blocks |= BlockValues(plan.to.format) > 1;
      if (plan.from.spec.kind == WeightKind::kMatrix) {
        bytes[plan.to.format] += size;
      }
    }
    const Format most = std::max_element(bytes.begin(), bytes.end(),
                                         [](const auto& a, const auto& b) {
                                           return a.second < b.second;
                                         })
                            ->first;
    for (const FileType& type : kFileTypes) {
      if (type.format == most) file_.SetUint32(kFileType, type.number);
    }
    if (has_blocks) file_.SetUint32(kQuantizationVersion, 2);
    return absl::OkStatus();
  }

  static uint64_t BytesOf(const WeightPlan& plan) {
    if (!plan.to.packed.has_value()) {
      const WeightView rows = RowsOf(*plan.from.tensor);
      return EncodedBytes(plan.to, rows.rows, rows.cols);
    }
    const MatricesOf matrices(plan.from.spec);
    return matrices.count * EncodedBytes(plan.to, matrices.rows, matrices.cols);
  }

  absl::Status WriteWeight(const WeightPlan& plan) {
    const Tensor& tensor = *plan.from.tensor;
    if (IsCopied(plan.from)) {
      GEMMA_RETURN_IF_ERROR(Append(plan, {tensor.data, tensor.bytes}));
      return Done(tensor);
    }
    if (!plan.from.low_ranks.empty()) return WriteMerged(plan);
    // A tensor that needs rearranging is rearranged as a whole, one at a time.
    GEMMA_ASSIGN_OR_RETURN(const TensorValues values,
                           TensorValues::Read(tensor));
    Tensor in_order = tensor;
    in_order.data = values.data();
    in_order.arrangement.reset();
    in_order.bytes = ProgressBytes(tensor);
    if (plan.from.spec.kind == WeightKind::kMatrix) {
      GEMMA_RETURN_IF_ERROR(WriteMatrix(plan, in_order));
    } else if (plan.to.packed.has_value()) {
      GEMMA_RETURN_IF_ERROR(WriteGates(plan, in_order));
    } else {
      GEMMA_RETURN_IF_ERROR(WriteVector(plan, in_order));
    }
    checkpoint_.Release(tensor);
    return absl::OkStatus();
  }

  static size_t RowsPerPiece(size_t row_bytes) {
    return std::max<size_t>(1, kPieceBytes / (row_bytes * kEncodeRows)) *
           kEncodeRows;
  }

  absl::Status WriteMatrix(const WeightPlan& plan, const Tensor& tensor) {
    const WeightView view = RowsOf(tensor);
    const size_t rows = RowsPerPiece(view.RowBytes());
    for (size_t begin = 0; begin < view.rows; begin += rows) {
      const Tensor part =
          Part(tensor, begin, std::min(begin + rows, view.rows));
      GEMMA_RETURN_IF_ERROR(WriteRows(plan, part, begin));
      GEMMA_RETURN_IF_ERROR(Done(part));
    }
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
  const bool is_packed_;
  const TensorNames names_ = TensorNames::Gguf();
  Outline outline_;
  std::optional<Importance> importance_;
  std::vector<WeightPlan> plans_;  // the embedding table first
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
