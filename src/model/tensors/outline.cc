#include "src/model/tensors/outline.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/formats/safetensors.h"
#include "src/model/config/read_config.h"
#include "src/model/config/tensor_scales.h"
#include "src/model/tensors/canonicalize.h"
#include "src/model/tensors/fused_tensors.h"
#include "src/model/tensors/sbs_tensors.h"
#include "src/model/tensors/tensor_names.h"
#include "src/model/tensors/unused_tensors.h"

namespace gemma::internal {
namespace {

using Shape = std::vector<size_t>;

Shape WithoutOnes(const Shape& shape) {
  Shape out;
  for (size_t size : shape) {
    if (size != 1) out.push_back(size);
  }
  return out;
}

// Returns the tensor with its scales bound, or an error that names the file if
// the tensor is missing or of a type that is not read.
absl::StatusOr<const Tensor*> Find(Checkpoint& checkpoint,
                                   const std::string& name,
                                   bool may_have_scales = true) {
  const auto found = checkpoint.tensors.find(name);
  if (found != checkpoint.tensors.end()) {
    if (!may_have_scales) return &found->second;
    GEMMA_RETURN_IF_ERROR(BindScales(checkpoint, name, found->second));
    return &found->second;
  }
  const auto unread = checkpoint.unread.find(name);
  if (unread != checkpoint.unread.end()) {
    return absl::InvalidArgumentError(FormatText(
        "%s: tensor '%s' is of type %s, which is not read yet; wanted %s",
        unread->second.file, name, unread->second.type,
        absl::StrJoin(ReadSafetensorsTypes(), ", ")));
  }
  return absl::NotFoundError(
      FormatText("%s: no tensor '%s', which the configuration needs",
                 checkpoint.path, name));
}

absl::Status OtherShape(const Tensor& tensor, const std::string& name,
                        const Shape& want) {
  return absl::InvalidArgumentError(FormatText(
      "%s: tensor '%s' is [%s], the configuration needs [%s]", tensor.file,
      name, absl::StrJoin(tensor.shape, ", "), absl::StrJoin(want, ", ")));
}

// Checks the shape. Dimensions of size 1 may be left out or added, except for
// the last one, the length of a row: the rows' blocks were checked against it.
absl::Status CheckShape(const Tensor& tensor, const std::string& name,
                        const Shape& want) {
  if (!tensor.shape.empty() && tensor.shape.back() == want.back() &&
      WithoutOnes(tensor.shape) == WithoutOnes(want)) {
    return absl::OkStatus();
  }
  return OtherShape(tensor, name, want);
}

// Checks a packed tensor. Only matrices are used in place. The shape must be
// exact, because it says how many matrices follow each other.
absl::Status CheckPacked(const Tensor& tensor, const std::string& name,
                         const WeightSpec& spec) {
  if (!tensor.packed.has_value()) return absl::OkStatus();
  if (spec.kind == WeightKind::kMatrix || spec.kind == WeightKind::kGates ||
      spec.kind == WeightKind::kExperts || spec.kind == WeightKind::kStack) {
    return tensor.shape == spec.shape ? absl::OkStatus()
                                      : OtherShape(tensor, name, spec.shape);
  }
  return absl::InvalidArgumentError(FormatText(
      "%s: tensor '%s' is packed as a matrix, wanted rows of %s or the like",
      tensor.file, name, FormatName(Format::kF32)));
}

// Whether the head has its own matrix. In a Hugging Face directory, config.json
// may say that it is the embedding. Then the files may still hold a copy of the
// embedding under the head's name, or another matrix: that one is the head, as
// in transformers. In other files, the tensor exists only if the head has its
// own matrix. Models that pool have no head.
absl::StatusOr<bool> HasOwnHead(const Checkpoint& checkpoint,
                                const ModelConfig& config,
                                const TensorNames& names, Notes& notes) {
  if (config.pooling != Pooling::kNone) return false;
  const std::string head = names.Name(WeightRole::kHead);
  const std::string table = names.Name(WeightRole::kEmbedding);
  if (head == table) return false;
  const auto found = checkpoint.tensors.find(head);
  const bool exists = found != checkpoint.tensors.end();
  if (checkpoint.kind != CheckpointKind::kHuggingFace) return exists;
  bool tied = true;
  GEMMA_RETURN_IF_ERROR(checkpoint.config->Read("tie_word_embeddings", tied));
  if (!tied) return true;
  if (!exists ||
      SameValues(checkpoint, found->second, checkpoint.tensors.at(table))) {
    return false;
  }
  notes.push_back(FormatText(
      "%s: tensor '%s' differs from '%s' and is used as the head, although "
      "tie_word_embeddings is true",
      found->second.file, head, table));
  return true;
}

// Adds the values that depend on the embedding table.
absl::Status CompleteFrom(const Tensor& table, const Checkpoint& checkpoint,
                          ModelConfig& config) {
  if (checkpoint.kind == CheckpointKind::kGguf && table.shape.size() == 2) {
    config.vocab_size = table.shape[0];
    // An id outside the table counts as missing; the tokenizer notes it.
    if (!config.has_token(config.bos_token)) {
      config.bos_token = ModelConfig().bos_token;
    }
  }
  if (config.embedding_scale == 0.0f) {
    GEMMA_ASSIGN_OR_RETURN(const Format format, TableFormat(checkpoint, table));
    config.embedding_scale = EmbeddingScale(config, format);
  }
  return absl::OkStatus();
}

// Adds the value that depends on the table of per-layer embeddings.
absl::Status CompletePerLayer(const TensorNames& names, Checkpoint& checkpoint,
                              ModelConfig& config) {
  if (config.per_layer_vocab == 0 || config.per_layer_scale != 0.0f) {
    return absl::OkStatus();
  }
  GEMMA_ASSIGN_OR_RETURN(
      const Tensor* table,
      Find(checkpoint, names.Name(WeightRole::kPerLayerTable)));
  GEMMA_ASSIGN_OR_RETURN(const Format format, TableFormat(checkpoint, *table));
  config.per_layer_scale = PerLayerScale(config, format);
  return absl::OkStatus();
}

// Whether a tensor whose name is that of the weight with "scale" at its end
// multiplies the weight. In GGUF files, the router and the experts' last
// matrices are followed by weights of such names.
bool MayHaveScales(const Checkpoint& checkpoint, WeightRole role) {
  return checkpoint.kind != CheckpointKind::kGguf ||
         (role != WeightRole::kRouter && role != WeightRole::kExpertDown);
}

// Refuses experts that each have tensors of their own, as some quantizers write
// them.
absl::Status CheckTogether(const Checkpoint& checkpoint,
                           const std::string& name) {
  // "experts.0.down_proj.weight", or "ffn_down.0.weight" in GGUF files from
  // before experts were put together.
  std::string_view all = std::string_view(name).substr(0, name.rfind('.'));
  absl::ConsumeSuffix(&all, "_exps");
  const std::string first = absl::StrCat(all, ".0.");
  for (const auto& [other, tensor] : checkpoint.tensors) {
    if (!absl::StartsWith(other, first)) continue;
    return absl::InvalidArgumentError(
        FormatText("%s: tensor '%s' is of one expert, wanted '%s', which holds "
                   "those of all",
                   tensor.file, other, name));
  }
  return absl::OkStatus();
}

// Finds the matrices of experts. Gates may be in one tensor with the matrices
// that they gate: then the gate is the first half of each expert's rows.
absl::StatusOr<BoundWeight> BindExperts(Checkpoint& checkpoint,
                                        const TensorNames& names,
                                        WeightSpec spec) {
  BoundWeight out;
  out.name = names.Name(spec.role, spec.layer);
  std::vector<size_t> shape = spec.shape;
  out.row_step = shape[1];
  const std::string fused = names.FusedName(spec.role, spec.layer);
  if (fused == out.name ||
      (!fused.empty() && !checkpoint.tensors.contains(out.name) &&
       checkpoint.tensors.contains(fused))) {
    out.name = fused;
    if (spec.role == WeightRole::kExpertUp) out.first_row = shape[1];
    shape[1] *= 2;
    out.row_step = shape[1];
  }
  if (!checkpoint.tensors.contains(out.name)) {
    GEMMA_RETURN_IF_ERROR(CheckTogether(checkpoint, out.name));
  }
  GEMMA_ASSIGN_OR_RETURN(
      out.tensor,
      Find(checkpoint, out.name, MayHaveScales(checkpoint, spec.role)));
  GEMMA_RETURN_IF_ERROR(CheckShape(*out.tensor, out.name, shape));
  GEMMA_RETURN_IF_ERROR(CheckPacked(*out.tensor, out.name, spec));
  out.spec = std::move(spec);
  return out;
}

// Finds the matrices of a stack, which are in tensors of their own or in one.
absl::StatusOr<BoundWeight> BindStack(Checkpoint& checkpoint,
                                      const TensorNames& names,
                                      WeightSpec spec) {
  BoundWeight out;
  out.name = names.PartName(spec.role, 0);
  GEMMA_ASSIGN_OR_RETURN(out.tensor, Find(checkpoint, out.name));
  if (out.name != names.Name(spec.role)) {
    const Shape each(spec.shape.begin() + 1, spec.shape.end());
    for (size_t i = 0; i < spec.shape[0]; ++i) {
      BoundPart& part = out.parts.emplace_back();
      part.name = names.PartName(spec.role, i);
      GEMMA_ASSIGN_OR_RETURN(part.tensor, Find(checkpoint, part.name));
      GEMMA_RETURN_IF_ERROR(CheckShape(*part.tensor, part.name, each));
      if (part.tensor->format == out.tensor->format) continue;
      return absl::InvalidArgumentError(FormatText(
          "%s: tensor '%s' is of type %s, wanted %s, the type of '%s'",
          part.tensor->file, part.name, FormatName(part.tensor->format),
          FormatName(out.tensor->format), out.name));
    }
  } else {
    GEMMA_RETURN_IF_ERROR(CheckShape(*out.tensor, out.name, spec.shape));
    GEMMA_RETURN_IF_ERROR(CheckPacked(*out.tensor, out.name, spec));
    if (out.tensor->arrangement.has_value()) {
      return absl::UnimplementedError(FormatText(
          "%s: tensor '%s' has scales in a tensor of their own, which is not "
          "read for several matrices",
          out.tensor->file, out.name));
    }
  }
  out.spec = std::move(spec);
  return out;
}

absl::StatusOr<BoundWeight> Bind(Checkpoint& checkpoint,
                                 const TensorNames& names, WeightSpec spec) {
  if (spec.kind == WeightKind::kExperts) {
    return BindExperts(checkpoint, names, std::move(spec));
  }
  if (spec.kind == WeightKind::kStack) {
    return BindStack(checkpoint, names, std::move(spec));
  }
  std::string name = names.Name(spec.role, spec.layer);
  GEMMA_ASSIGN_OR_RETURN(
      const Tensor* tensor,
      Find(checkpoint, name, MayHaveScales(checkpoint, spec.role)));
  GEMMA_RETURN_IF_ERROR(CheckShape(*tensor, name, spec.shape));
  GEMMA_RETURN_IF_ERROR(CheckPacked(*tensor, name, spec));
  BoundWeight out;
  out.spec = std::move(spec);
  out.tensor = tensor;
  out.name = std::move(name);
  return out;
}

}  // namespace

WeightView ExpertOf(const BoundWeight& weight, const uint8_t* values,
                    size_t expert) {
  WeightView view = RowsOf(*weight.tensor);
  view.rows = weight.spec.shape[1];
  view.data = values;
  if (values == nullptr) return view;
  view.data = view.Row(weight.first_row + expert * weight.row_step);
  return view;
}

BoundWeight MatrixOf(const BoundWeight& stack, size_t index, Tensor& storage) {
  BoundWeight out;
  out.spec = {stack.spec.role,
              stack.spec.layer,
              WeightKind::kMatrix,
              {stack.spec.shape[1], stack.spec.shape[2]}};
  if (!stack.parts.empty()) {
    out.name = stack.parts[index].name;
    out.tensor = stack.parts[index].tensor;
    return out;
  }
  out.name = stack.name;
  storage = *stack.tensor;
  storage.shape = out.spec.shape;
  storage.bytes = stack.tensor->bytes / stack.spec.shape[0];
  storage.data = stack.tensor->data + index * storage.bytes;
  out.tensor = &storage;
  return out;
}

absl::StatusOr<Outline> ReadOutline(Checkpoint& checkpoint,
                                    RecurrentWindow window) {
  Outline out;
  GEMMA_ASSIGN_OR_RETURN(out.config,
                         ReadConfig(checkpoint, window, &out.notes));
  out.conventions = ConventionsOf(checkpoint);
  GEMMA_RETURN_IF_ERROR(BindSbsTensors(out.config, checkpoint));
  const TensorNames names(checkpoint, out.conventions.naming);
  GEMMA_ASSIGN_OR_RETURN(const Tensor* table,
                         Find(checkpoint, names.Name(WeightRole::kEmbedding)));
  GEMMA_RETURN_IF_ERROR(CompleteFrom(*table, checkpoint, out.config));
  GEMMA_RETURN_IF_ERROR(CompletePerLayer(names, checkpoint, out.config));
  if (absl::Status status = Validate(out.config); !status.ok()) {
    return absl::InvalidArgumentError(
        FormatText("%s: %s", checkpoint.path, status.message()));
  }
  GEMMA_RETURN_IF_ERROR(SplitFused(out.config, checkpoint));
  GEMMA_ASSIGN_OR_RETURN(const bool own_head,
                         HasOwnHead(checkpoint, out.config, names, out.notes));
  for (WeightSpec& spec : WeightsOf(out.config, own_head)) {
    GEMMA_ASSIGN_OR_RETURN(BoundWeight weight,
                           Bind(checkpoint, names, std::move(spec)));
    out.weights.push_back(std::move(weight));
  }
  NoteUnused(checkpoint, out.config, names, out.weights, out.notes);
  if (out.config.pooling != Pooling::kNone) {
    GEMMA_ASSIGN_OR_RETURN(out.prompts, ReadTextPrompts(checkpoint));
  }
  return out;
}

}  // namespace gemma::internal
