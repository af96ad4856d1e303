#include "src/model/config/tensor_scales.h"

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "src/base/format_text.h"
#include "src/base/json.h"
#include "src/base/messages.h"
#include "src/base/sizes.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

constexpr std::string_view kConfigKey = "quantization_config";
constexpr std::string_view kWeightWord = "weight";
constexpr size_t kFp8Block = 128;  // transformers' FineGrainedFP8Config

// The sizes of a block of values that share a scale.
using Block = std::array<size_t, 2>;

// What a quantization_config says about scales of 8-bit floats.
struct ScaleRules {
  std::string_view suffix;  // of the tensor with the scales, after the weight's
  std::optional<Block> block;
  bool rounds_products = false;
};

bool IsFloat8(Format format) {
  return format == Format::kF8_E4M3 || format == Format::kF8_E5M2;
}

// Returns the format of the type that config.json names for the model's
// weights, or float32 if it names none of 16 bits.
absl::StatusOr<Format> ModelFormat(const Json& config) {
  for (const std::string_view key : {"dtype", "torch_dtype"}) {
    std::string_view dtype;
    GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> text,
                           config.Object("text_config"));
    if (text.has_value()) GEMMA_RETURN_IF_ERROR(text->Read(key, dtype));
    GEMMA_RETURN_IF_ERROR(config.Read(key, dtype));
    if (dtype == "bfloat16") return Format::kBF16;
    if (dtype == "float16") return Format::kF16;
    if (!dtype.empty()) break;
  }
  return Format::kF32;
}

absl::StatusOr<std::optional<Block>> ReadBlock(const Json& json,
                                               std::string_view key) {
  std::vector<size_t> sizes;
  GEMMA_RETURN_IF_ERROR(json.Read(key, sizes));
  if (sizes.empty()) return std::nullopt;
  if (sizes.size() != 2 || sizes[0] == 0 || sizes[1] == 0) {
    return json.Find(key)->Unexpected("two sizes of 1 or more");
  }
  return Block{sizes[0], sizes[1]};
}

// Fails unless the member is `wanted`, or missing and `is_default`.
template <class T>
absl::Status CheckMember(const Json& json, std::string_view key, T wanted,
                         std::string_view wanted_text, bool is_default) {
  T value{};
  if (is_default) value = wanted;
  GEMMA_RETURN_IF_ERROR(json.Read(key, value));
  if (value == wanted) return absl::OkStatus();
  const std::optional<Json> member = json.Find(key);
  if (member.has_value()) return member->Unexpected(wanted_text);
  return absl::InvalidArgumentError(absl::StrCat(
      json.Where(), ": ", Quoted(key), " is missing, wanted ", wanted_text));
}

absl::StatusOr<ScaleRules> ReadFp8(const Json& json) {
  GEMMA_RETURN_IF_ERROR(CheckMember<std::string_view>(
      json, "activation_scheme", "dynamic", "'dynamic'", /*is_default=*/true));
  GEMMA_RETURN_IF_ERROR(CheckMember<std::string_view>(
      json, "scale_fmt", "float", "'float'", /*is_default=*/true));
  ScaleRules rules = {"_scale_inv", Block{kFp8Block, kFp8Block}};
  if (json.Has("weight_block_size")) {
    GEMMA_ASSIGN_OR_RETURN(rules.block, ReadBlock(json, "weight_block_size"));
  }
  return rules;
}

// Fails if the member has any content.
absl::Status CheckEmpty(const Json& json, std::string_view key) {
  const std::optional<Json> member = json.Find(key);
  if (!member.has_value() || member->is_null() ||
      (member->is_object() && member->size() == 0)) {
    return absl::OkStatus();
  }
  return member->Unexpected("null");
}

absl::Status CheckCompressedFormat(const Json& json) {
  std::string_view format = "float-quantized";
  GEMMA_RETURN_IF_ERROR(json.Read("format", format));
  if (format == "float-quantized" || format == "naive-quantized") {
    return absl::OkStatus();
  }
  return json.Find("format")->Unexpected(
      "'float-quantized' or 'naive-quantized'");
}

// Reads the scheme of one group of layers.
absl::Status ReadCompressedGroup(const Json& group, ScaleRules& rules) {
  GEMMA_RETURN_IF_ERROR(CheckCompressedFormat(group));
  GEMMA_RETURN_IF_ERROR(CheckEmpty(group, "output_activations"));
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> inputs,
                         group.Object("input_activations"));
  if (inputs.has_value()) {
    GEMMA_RETURN_IF_ERROR(
        CheckMember(*inputs, "dynamic", true, "true", /*is_default=*/false));
  }
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> weights,
                         group.Object("weights"));
  if (!weights.has_value()) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(CheckMember<std::string_view>(
      *weights, "type", "float", "'float'", /*is_default=*/false));
  GEMMA_RETURN_IF_ERROR(CheckMember<size_t>(*weights, "num_bits", 8, "8",
                                            /*is_default=*/true));
  GEMMA_RETURN_IF_ERROR(
      CheckMember(*weights, "symmetric", true, "true", /*is_default=*/true));
  GEMMA_RETURN_IF_ERROR(
      CheckMember(*weights, "dynamic", false, "false", /*is_default=*/true));
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Block> block,
                         ReadBlock(*weights, "block_structure"));
  if (rules.block.has_value() && block != rules.block) {
    return weights->Unexpected("the same block_structure in all groups");
  }
  rules.block = block;
  return absl::OkStatus();
}

absl::StatusOr<ScaleRules> ReadCompressed(const Json& json) {
  GEMMA_RETURN_IF_ERROR(CheckCompressedFormat(json));
  GEMMA_RETURN_IF_ERROR(CheckEmpty(json, "kv_cache_scheme"));
  GEMMA_RETURN_IF_ERROR(CheckEmpty(json, "transform_config"));
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> sparsity,
                         json.Object("sparsity_config"));
  if (sparsity.has_value()) {
    GEMMA_RETURN_IF_ERROR(CheckMember<std::string_view>(
        *sparsity, "format", "dense", "'dense'", /*is_default=*/true));
  }
  ScaleRules rules = {"_scale", std::nullopt, /*rounds_products=*/true};
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> groups,
                         json.Object("config_groups"));
  if (!groups.has_value() || groups->size() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(json.Where(), ": 'config_groups' is missing or empty"));
  }
  for (const auto& [name, group] : groups->Members()) {
    GEMMA_RETURN_IF_ERROR(ReadCompressedGroup(group, rules));
  }
  return rules;
}

// Returns the rules of a quantization_config, or nothing for other methods.
absl::StatusOr<std::optional<ScaleRules>> ReadRules(const Json& json) {
  std::string_view method;
  if (json.is_object()) {
    GEMMA_RETURN_IF_ERROR(json.Read("quant_method", method));
  }
  if (method == "fp8") return ReadFp8(json);
  if (method == "compressed-tensors") return ReadCompressed(json);
  return std::nullopt;
}

// Fails if a tensor whose name begins with the weight's seems to change its
// values, apart from the one named `except`.
absl::Status CheckNoOtherScales(const Checkpoint& checkpoint,
                                const std::string& weight,
                                std::string_view except) {
  const std::string stem(absl::StripSuffix(weight, kWeightWord));
  for (const std::string_view suffix :
       {"weight_scale_inv", "weight_scale", "weight_global_scale",
        "weight_scale_2", "weight_zero_point", "qscale_weight", "scale"}) {
    const std::string name = absl::StrCat(stem, suffix);
    if (name == except || (!checkpoint.tensors.contains(name) &&
                           !checkpoint.unread.contains(name))) {
      continue;
    }
    return absl::InvalidArgumentError(FormatText(
        "%s: tensor %s changes the values of %s, but %s does not say how",
        checkpoint.path, Quoted(name), Quoted(weight),
        checkpoint.config->Where()));
  }
  return absl::OkStatus();
}

absl::Status OtherGrid(const Tensor& scales, const std::string& name,
                       const std::string& weight, const Tensor& values) {
  return absl::InvalidArgumentError(
      FormatText("%s: tensor %s is [%s], which does not fit %s, which is [%s]",
                 scales.file, Quoted(name), absl::StrJoin(scales.shape, ", "),
                 Quoted(weight), absl::StrJoin(values.shape, ", ")));
}

// Returns the grid of `scales`, the tensor `name`, over the matrix `weight`. A
// grid that the blocks of the configuration do not explain divides the matrix
// evenly, as in transformers.
absl::StatusOr<ScaleGrid> GridOf(const Tensor& scales, const std::string& name,
                                 const std::string& weight,
                                 const Tensor& values,
                                 const std::optional<Block>& block) {
  if (scales.format != Format::kF32 && scales.format != Format::kF16 &&
      scales.format != Format::kBF16) {
    return absl::InvalidArgumentError(
        FormatText("%s: tensor %s is of type %s, wanted F32, F16 or BF16",
                   scales.file, Quoted(name), FormatName(scales.format)));
  }
  ScaleGrid grid;
  grid.format = scales.format;
  grid.data = scales.data;
  if (scales.NumValues() == 1) {
    grid.block_rows = values.NumValues();
    grid.block_cols = values.shape.empty() ? 1 : values.shape.back();
    return grid;
  }
  if (scales.shape.size() != 2 || values.shape.size() != 2) {
    return OtherGrid(scales, name, weight, values);
  }
  const Block sizes = {values.shape[0], values.shape[1]};
  const Block counts = {scales.shape[0], scales.shape[1]};
  grid.cols = counts[1];
  if (block.has_value() && counts[0] == DivideUp(sizes[0], (*block)[0]) &&
      counts[1] == DivideUp(sizes[1], (*block)[1])) {
    grid.block_rows = (*block)[0];
    grid.block_cols = (*block)[1];
    return grid;
  }
  if (sizes[0] % counts[0] != 0 || sizes[1] % counts[1] != 0) {
    return OtherGrid(scales, name, weight, values);
  }
  grid.block_rows = sizes[0] / counts[0];
  grid.block_cols = sizes[1] / counts[1];
  return grid;
}

void SetGrid(const ScaleGrid& grid, Format format, Tensor& tensor) {
  Arrangement arrangement;
  arrangement.stored = tensor.format;
  arrangement.grid = grid;
  tensor.arrangement = arrangement;
  tensor.format = format;
}

absl::Status BindGguf(const Checkpoint& checkpoint, const std::string& name,
                      Tensor& tensor) {
  std::string_view stem = name;
  if (!absl::ConsumeSuffix(&stem, ".weight")) return absl::OkStatus();
  const std::string scale_name = absl::StrCat(stem, ".scale");
  const auto scale = checkpoint.tensors.find(scale_name);
  if (scale == checkpoint.tensors.end()) return absl::OkStatus();
  if (scale->second.NumValues() != 1 || tensor.packed.has_value()) {
    return OtherGrid(scale->second, scale_name, name, tensor);
  }
  GEMMA_ASSIGN_OR_RETURN(
      const ScaleGrid grid,
      GridOf(scale->second, scale_name, name, tensor, std::nullopt));
  SetGrid(grid, Format::kF32, tensor);
  return absl::OkStatus();
}

absl::Status BindFloat8(const Checkpoint& checkpoint, const std::string& name,
                        Tensor& tensor) {
  std::optional<ScaleRules> rules;
  if (const auto json = checkpoint.config->Find(kConfigKey)) {
    GEMMA_ASSIGN_OR_RETURN(rules, ReadRules(*json));
  }
  if (!rules.has_value()) return CheckNoOtherScales(checkpoint, name, "");
  const std::string scale_name = absl::StrCat(name, rules->suffix);
  GEMMA_RETURN_IF_ERROR(CheckNoOtherScales(checkpoint, name, scale_name));
  if (const auto unread = checkpoint.unread.find(scale_name);
      unread != checkpoint.unread.end()) {
    return absl::InvalidArgumentError(FormatText(
        "%s: tensor %s is of type %s, wanted F32, F16 or BF16",
        unread->second.file, Quoted(scale_name), unread->second.type));
  }
  const auto scales = checkpoint.tensors.find(scale_name);
  if (scales == checkpoint.tensors.end()) {
    return absl::NotFoundError(
        FormatText("%s: no tensor %s, which %s needs because of %s",
                   tensor.file, Quoted(scale_name), Quoted(name),
                   checkpoint.config->Find(kConfigKey)->Where()));
  }
  GEMMA_ASSIGN_OR_RETURN(ScaleGrid grid, GridOf(scales->second, scale_name,
                                                name, tensor, rules->block));
  grid.rounds_products = rules->rounds_products;
  GEMMA_ASSIGN_OR_RETURN(const Format format, ModelFormat(*checkpoint.config));
  SetGrid(grid, format, tensor);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<bool> NamesReadScales(const Json& quantization_config) {
  GEMMA_ASSIGN_OR_RETURN(const std::optional<ScaleRules> rules,
                         ReadRules(quantization_config));
  return rules.has_value();
}

absl::Status BindScales(const Checkpoint& checkpoint, const std::string& name,
                        Tensor& tensor) {
  if (tensor.arrangement.has_value()) return absl::OkStatus();
  if (checkpoint.kind == CheckpointKind::kGguf) {
    return BindGguf(checkpoint, name, tensor);
  }
  if (checkpoint.kind == CheckpointKind::kHuggingFace &&
      IsFloat8(tensor.format)) {
    return BindFloat8(checkpoint, name, tensor);
  }
  return absl::OkStatus();
}

absl::StatusOr<Format> TableFormat(const Checkpoint& checkpoint,
                                   const Tensor& table) {
  return IsFloat8(table.format) ? ModelFormat(*checkpoint.config)
                                : absl::StatusOr<Format>(table.format);
}

}  // namespace gemma::internal
