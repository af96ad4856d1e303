#include "src/model/bind_weights.h"

#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "src/base/status_macros.h"
#include "src/model/canonicalize.h"
#include "src/model/tensor_names.h"

namespace gemma {
namespace {

using Shape = std::vector<size_t>;

Shape WithoutOnes(const Shape& shape) {
  Shape out;
  for (size_t size : shape) {
    if (size != 1) out.push_back(size);
  }
  return out;
}

// The tensor of the role, or an error naming the file if it is missing.
absl::StatusOr<const Tensor*> Find(const Checkpoint& checkpoint,
                                   const std::string& name) {
  const auto found = checkpoint.tensors.find(name);
  if (found == checkpoint.tensors.end()) {
    return absl::NotFoundError(
        absl::StrFormat("%s: no tensor '%s', which the configuration needs",
                        checkpoint.path, name));
  }
  return &found->second;
}

absl::Status OtherShape(const Tensor& tensor, const std::string& name,
                        const Shape& want) {
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s: tensor '%s' is [%s], the configuration needs [%s]", tensor.file,
      name, absl::StrJoin(tensor.shape, ", "), absl::StrJoin(want, ", ")));
}

// Sizes of one may be left out or added, but not in the rows, whose blocks were
// checked by their size.
absl::Status CheckShape(const Tensor& tensor, const std::string& name,
                        const Shape& want) {
  if (!tensor.shape.empty() && tensor.shape.back() == want.back() &&
      WithoutOnes(tensor.shape) == WithoutOnes(want)) {
    return absl::OkStatus();
  }
  return OtherShape(tensor, name, want);
}

// Only matrices are multiplied from where they lie, and how many lie one after
// the other is in the shape.
absl::Status CheckPacked(const Tensor& tensor, const std::string& name,
                         const WeightSpec& spec) {
  if (!tensor.packed.has_value()) return absl::OkStatus();
  if (spec.kind == WeightKind::kMatrix || spec.kind == WeightKind::kGates) {
    return tensor.shape == spec.shape ? absl::OkStatus()
                                      : OtherShape(tensor, name, spec.shape);
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s: tensor '%s' is packed as a matrix, wanted rows of %s or the like",
      tensor.file, name, FormatName(Format::kF32)));
}

// Whether the head is a matrix of its own. Directories say so, and may carry a
// copy of the embedding under the head's name all the same; other files have
// the tensor or not. What is pooled meets no head.
absl::StatusOr<bool> HasOwnHead(const Checkpoint& checkpoint,
                                const ModelConfig& config,
                                const TensorNames& names) {
  if (config.pooling != Pooling::kNone) return false;
  if (checkpoint.kind != CheckpointKind::kHuggingFace) {
    return checkpoint.tensors.contains(names.Name(WeightRole::kHead));
  }
  bool tied = true;
  GEMMA_RETURN_IF_ERROR(checkpoint.config->Read("tie_word_embeddings", tied));
  return !tied;
}

}  // namespace

absl::StatusOr<std::vector<BoundWeight>> BindWeights(
    const Checkpoint& checkpoint, ModelConfig& config) {
  const TensorNames names(checkpoint, config);
  GEMMA_ASSIGN_OR_RETURN(const Tensor* table,
                         Find(checkpoint, names.Name(WeightRole::kEmbedding)));
  if (checkpoint.kind == CheckpointKind::kGguf && table->shape.size() == 2) {
    config.vocab_size = table->shape[0];
  }
  if (config.embedding_scale == 0.0f) {
    config.embedding_scale = EmbeddingScale(config, table->format);
  }
  if (absl::Status status = Validate(config); !status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %s", checkpoint.path, status.message()));
  }
  GEMMA_ASSIGN_OR_RETURN(const bool own_head,
                         HasOwnHead(checkpoint, config, names));
  std::vector<BoundWeight> out;
  for (WeightSpec& spec : WeightsOf(config, own_head)) {
    std::string name = names.Name(spec.role, spec.layer);
    GEMMA_ASSIGN_OR_RETURN(const Tensor* tensor, Find(checkpoint, name));
    GEMMA_RETURN_IF_ERROR(CheckShape(*tensor, name, spec.shape));
    GEMMA_RETURN_IF_ERROR(CheckPacked(*tensor, name, spec));
    out.push_back({std::move(spec), tensor, std::move(name)});
  }
  return out;
}

}  // namespace gemma
