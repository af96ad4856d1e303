#include "src/quantize/weight_plan.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "src/formats/gguf_types.h"
#include "src/model/config/gemma3n.h"
#include "src/model/config/read_config.h"
#include "src/model/tensors/tensor_names.h"
#include "src/quantize/choose_format.h"

namespace gemma::internal {
namespace {

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

// The factor that stops the rotation of a pair, as llama.cpp's converter
// writes it.
constexpr float kStill = 1e30f;

bool IsMultiplied(WeightKind kind) {
  return kind == WeightKind::kMatrix || kind == WeightKind::kExperts ||
         kind == WeightKind::kStack;
}

// The layout that the weight is packed in, or nothing if it is not packed.
std::optional<Layout> LayoutFor(const BoundWeight& weight, Format format,
                                FileLayout layout) {
  const WeightSpec& spec = weight.spec;
  if (IsCopied(weight)) return weight.tensor->packed;
  if (layout != FileLayout::kPacked) return std::nullopt;
  if (spec.role == WeightRole::kEmbedding || spec.role == WeightRole::kHead) {
    return TopLayoutOf(format);
  }
  return IsMultiplied(spec.kind) || spec.kind == WeightKind::kGates
             ? std::optional(LayoutOf(format))
             : std::nullopt;
}

// Checks that the importance has the columns of the model's matrices, and has
// at least one of them.
absl::Status CheckImportance(const std::vector<WeightPlan>& plans,
                             const Importance& importance,
                             std::string_view model) {
  size_t known = 0;
  for (const WeightPlan& plan : plans) {
    if (!IsMultiplied(plan.from.spec.kind)) continue;
    const MatricesOf matrices(plan.from.spec);
    GEMMA_RETURN_IF_ERROR(
        importance.CheckColumns(plan.name, matrices.cols, matrices.count));
    known += !plan.importance.empty();
  }
  if (known != 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(importance.path(), ": has none of the matrices of ", model));
}

// The tokens for which a table has no row.
size_t MissingRows(const WeightSpec& spec, const ModelConfig& config) {
  if (spec.kind != WeightKind::kTable) return 0;
  return config.vocab_size - std::min(spec.shape[0], config.vocab_size);
}

// The shape of a plan's tensor in the written file.
std::vector<size_t> WrittenShape(const WeightPlan& plan) {
  std::vector<size_t> shape = plan.from.spec.shape;
  shape[0] += plan.more_rows;
  return shape;
}

uint64_t BytesOf(const WeightPlan& plan) {
  const std::vector<size_t>& shape = plan.from.spec.shape;
  if (shape.size() < 2) return EncodedBytes(plan.to, 1, shape.back());
  const MatricesOf matrices(plan.from.spec);
  return matrices.count *
         EncodedBytes(plan.to, matrices.rows + plan.more_rows, matrices.cols);
}

}  // namespace

MatricesOf::MatricesOf(const WeightSpec& spec)
    : count(spec.shape.size() == 3 ? spec.shape[0] : 1),
      rows(spec.shape[spec.shape.size() - 2]),
      cols(spec.shape.back()) {}

bool IsCopied(const BoundWeight& weight) {
  return weight.tensor->packed.has_value() && weight.low_ranks.empty();
}

uint64_t ProgressBytes(const BoundWeight& weight) {
  const WeightView rows = RowsOf(*weight.tensor);
  if (weight.spec.kind == WeightKind::kExperts && !IsCopied(weight)) {
    return uint64_t{weight.spec.shape[0]} * weight.spec.shape[1] *
           rows.RowBytes();
  }
  uint64_t of_parts = 0;
  for (const BoundPart& part : weight.parts) {
    const WeightView view = RowsOf(*part.tensor);
    of_parts += uint64_t{view.rows} * view.RowBytes();
  }
  if (of_parts != 0) return of_parts;
  if (!weight.tensor->arrangement.has_value()) return weight.tensor->bytes;
  return uint64_t{rows.rows} * rows.RowBytes();
}

absl::StatusOr<std::vector<WeightPlan>> PlanWeightsOf(
    const Outline& outline, std::string_view model,
    const QuantizeOptions& options, const Importance* importance,
    Workers& workers) {
  GEMMA_ASSIGN_OR_RETURN(const std::vector<Format> formats,
                         ChooseFormats(outline.weights, options, workers));
  const TensorNames names = TensorNames::Gguf(outline.config.architecture);
  std::vector<WeightPlan> plans;
  for (size_t i = 0; i < formats.size(); ++i) {
    const BoundWeight& weight = outline.weights[i];
    const Encoding to = {formats[i],
                         LayoutFor(weight, formats[i], options.layout)};
    WeightPlan plan = {
        weight, to, names.Name(weight.spec.role, weight.spec.layer), {}};
    if (importance != nullptr) plan.importance = importance->Of(plan.name);
    if (options.layout == FileLayout::kGguf) {
      plan.more_rows = MissingRows(weight.spec, outline.config);
    }
    plans.push_back(std::move(plan));
  }
  if (importance != nullptr) {
    GEMMA_RETURN_IF_ERROR(CheckImportance(plans, *importance, model));
  }
  return plans;
}

void DeclareWeights(const std::vector<WeightPlan>& plans,
                    GgufFileWriter& file) {
  std::map<Format, uint64_t> bytes;
  bool has_blocks = false;
  for (const WeightPlan& plan : plans) {
    const uint64_t size = BytesOf(plan);
    const uint32_t type = plan.to.packed.has_value()
                              ? GgufTypeNumber(plan.to.format, *plan.to.packed)
                              : *GgufTypeNumber(plan.to.format);
    file.Declare(plan.name, type, WrittenShape(plan), size);
    has_blocks |= BlockValues(plan.to.format) > 1;
    if (IsMultiplied(plan.from.spec.kind)) bytes[plan.to.format] += size;
  }
  const Format most = std::max_element(bytes.begin(), bytes.end(),
                                       [](const auto& a, const auto& b) {
                                         return a.second < b.second;
                                       })
                          ->first;
  for (const FileType& type : kFileTypes) {
    if (type.format == most) file.SetUint32(kFileType, type.number);
  }
  if (has_blocks) file.SetUint32(kQuantizationVersion, 2);
}

std::vector<UnusedTensor> UnusedKeysOf(const ModelConfig& config,
                                       const std::vector<WeightPlan>& plans,
                                       FileLayout layout) {
  std::vector<UnusedTensor> unused;
  if (config.architecture != kGemma3n || layout != FileLayout::kGguf) {
    return unused;
  }
  const TensorNames names = TensorNames::Gguf(config.architecture);
  for (size_t i = 0; i < config.num_layers(); ++i) {
    if (config.layers[i].has_own_kv()) continue;
    for (const WeightPlan& plan : plans) {
      const WeightSpec& spec = plan.from.spec;
      if (spec.layer == *config.layers[i].kv_source &&
          (spec.role == WeightRole::kKProj || spec.role == WeightRole::kVProj ||
           spec.role == WeightRole::kKNorm)) {
        unused.push_back({names.Name(spec.role, i), plan.to.format, spec.shape,
                          BytesOf(plan)});
      }
    }
  }
  return unused;
}

std::vector<float> RopeFactors(const ModelConfig& config) {
  const LayerConfig& main = GgufMainLayer(config);
  if (config.architecture != "gemma4" ||
      main.type != BlockType::kGlobalAttention) {
    return {};
  }
  const size_t pairs = main.rope.rotary_dim / 2;
  std::vector<float> factors(pairs != 0 ? pairs : main.head_dim / 2, kStill);
  const size_t rotating =
      main.rope.num_rotating != 0 ? main.rope.num_rotating : pairs;
  std::fill_n(factors.begin(), rotating, 1.0f);
  return factors;
}

}  // namespace gemma::internal
