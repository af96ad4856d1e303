#include "src/quantize/write_model.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/formats/gguf_writer.h"
#include "src/formats/messages.h"
#include "src/formats/status_macros.h"
#include "src/model/bind_weights.h"
#include "src/model/canonicalize.h"
#include "src/model/describe.h"
#include "src/model/read_config.h"
#include "src/model/tensor_names.h"
#include "src/quantize/choose_format.h"
#include "src/quantize/encode.h"
#include "src/quantize/finite.h"

namespace gemma {
namespace {

// Of a source's bytes; so many are read, encoded and written at a time.
constexpr size_t kPieceBytes = size_t{16} << 20;

constexpr std::string_view kFileType = "general.file_type";
constexpr std::string_view kQuantizationVersion =
    "general.quantization_version";

// The numbers that llama.cpp gives to files whose matrices mostly have a
// format.
struct FileType {
  Format format;
  uint32_t number;
};
constexpr FileType kFileTypes[] = {
    {Format::kF32, 0},     {Format::kF16, 1},     {Format::kQ4_0, 2},
    {Format::kQ4_1, 3},    {Format::kQ8_0, 7},    {Format::kQ5_0, 8},
    {Format::kQ5_1, 9},    {Format::kQ2_K, 10},   {Format::kQ3_K, 12},
    {Format::kQ4_K, 15},   {Format::kQ5_K, 17},   {Format::kQ6_K, 18},
    {Format::kIQ4_NL, 25}, {Format::kIQ4_XS, 30}, {Format::kBF16, 32},
};

// A weight, and what it becomes.
struct Plan {
  BoundWeight from;
  Format format;
  std::string name;
};

// The rows [begin, end) of a tensor.
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
  ModelWriter(const Checkpoint& checkpoint, const QuantizeOptions& options,
              Workers& workers)
      : checkpoint_(checkpoint),
        options_(options),
        workers_(workers),
        file_(kDefaultGgufAlignment) {}

  absl::Status Write(std::string target) {
    GEMMA_RETURN_IF_ERROR(MakePlans());
    GEMMA_RETURN_IF_ERROR(SetKeys());
    GEMMA_RETURN_IF_ERROR(file_.Begin(std::move(target)));
    for (const Plan& plan : plans_) {
      GEMMA_RETURN_IF_ERROR(plan.from.spec.kind == WeightKind::kMatrix
                                ? WriteMatrix(plan)
                                : WriteVector(plan));
    }
    return file_.Commit(options_.overwrite ? AtomicFile::Existing::kReplace
                                           : AtomicFile::Existing::kKeep);
  }

 private:
  absl::Status MakePlans() {
    // The window as files have it: which keys it stands for is the reader's
    // choice.
    GEMMA_ASSIGN_OR_RETURN(
        config_, ReadConfig(checkpoint_, RecurrentWindow::kTransformers));
    GEMMA_ASSIGN_OR_RETURN(std::vector<BoundWeight> weights,
                           BindWeights(checkpoint_, config_));
    const TensorNames names = TensorNames::Gguf();
    for (BoundWeight& weight : weights) {
      const WeightSpec& spec = weight.spec;
      const Format format = ChooseFormat(spec, *weight.tensor, options_);
      std::string name = names.Name(spec.role, spec.layer);
      total_bytes_ += weight.tensor->bytes;
      plans_.push_back({std::move(weight), format, std::move(name)});
    }
    return absl::OkStatus();
  }

  absl::Status SetKeys() {
    GEMMA_RETURN_IF_ERROR(
        Describe(checkpoint_, config_, plans_[0].format, file_));
    std::map<Format, uint64_t> bytes;
    bool has_blocks = false;
    for (const Plan& plan : plans_) {
      const uint64_t size = BytesOf(plan);
      const std::optional<uint32_t> type = GgufTypeNumber(plan.format);
      if (!type.has_value()) {
        return absl::UnimplementedError(
            absl::StrCat("GGUF files have no type ", FormatName(plan.format)));
      }
      file_.Declare(plan.name, *type, plan.from.spec.shape, size);
      has_blocks |= BlockValues(plan.format) > 1;
      if (plan.from.spec.kind == WeightKind::kMatrix) {
        bytes[plan.format] += size;
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

  static uint64_t BytesOf(const Plan& plan) {
    WeightView view = RowsOf(*plan.from.tensor);
    view.format = plan.format;
    return view.rows * view.RowBytes();
  }

  absl::Status WriteMatrix(const Plan& plan) {
    const Tensor& tensor = *plan.from.tensor;
    const WeightView view = RowsOf(tensor);
    const size_t rows =
        std::max<size_t>(1, kPieceBytes / (view.RowBytes() * kEncodeRows)) *
        kEncodeRows;
    for (size_t begin = 0; begin < view.rows; begin += rows) {
      const Tensor part =
          Part(tensor, begin, std::min(begin + rows, view.rows));
      GEMMA_RETURN_IF_ERROR(CheckFinite(plan, part, begin));
      GEMMA_RETURN_IF_ERROR(WriteRows(plan, part));
      GEMMA_RETURN_IF_ERROR(Done(part));
    }
    return absl::OkStatus();
  }

  absl::Status WriteRows(const Plan& plan, const Tensor& part) {
    if (plan.format == part.format) {
      return file_.Write(plan.name, {part.data, part.bytes});
    }
    const absl::Status status = Encode(RowsOf(part), plan.format,
                                       /*importance=*/{}, workers_, encoded_);
    if (!status.ok()) {
      return absl::Status(
          status.code(),
          absl::StrCat(part.file, ": tensor ", Quoted(NameInSource(plan)), ": ",
                       status.message()));
    }
    return file_.Write(plan.name, encoded_);
  }

  // As GGUF files have it, in float32.
  absl::Status WriteVector(const Plan& plan) {
    const Tensor& tensor = *plan.from.tensor;
    GEMMA_RETURN_IF_ERROR(CheckFinite(plan, tensor, /*first_row=*/0));
    std::vector<float> values = Decode(tensor);
    if (plan.from.spec.kind == WeightKind::kNorm) {
      CanonicalizeNorm(checkpoint_.kind, values);
    }
    const WeightView view = {Format::kF32, 1, values.size(),
                             reinterpret_cast<const uint8_t*>(values.data())};
    GEMMA_RETURN_IF_ERROR(file_.Write(plan.name, {view.data, view.RowBytes()}));
    return Done(tensor);
  }

  absl::Status CheckFinite(const Plan& plan, const Tensor& part,
                           size_t first_row) {
    const auto at = FindNonFinite(RowsOf(part), workers_);
    if (!at.has_value()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: tensor %s has no finite value at row %u, column %u", part.file,
        Quoted(NameInSource(plan)), first_row + at->row, at->col));
  }

  std::string NameInSource(const Plan& plan) const {
    const WeightSpec& spec = plan.from.spec;
    return TensorNames(checkpoint_, config_).Name(spec.role, spec.layer);
  }

  absl::Status Done(const Tensor& part) {
    checkpoint_.Release(part);
    done_bytes_ += part.bytes;
    if (options_.progress && !options_.progress({done_bytes_, total_bytes_})) {
      return absl::CancelledError("writing the model was cancelled");
    }
    return absl::OkStatus();
  }

  const Checkpoint& checkpoint_;
  const QuantizeOptions& options_;
  Workers& workers_;
  ModelConfig config_;
  std::vector<Plan> plans_;  // the embedding table first
  GgufFileWriter file_;
  std::vector<uint8_t> encoded_;
  uint64_t done_bytes_ = 0;
  uint64_t total_bytes_ = 0;
};

}  // namespace

absl::Status WriteModel(const Checkpoint& checkpoint, std::string target,
                        const QuantizeOptions& options, Workers& workers) {
  return ModelWriter(checkpoint, options, workers).Write(std::move(target));
}

}  // namespace gemma
