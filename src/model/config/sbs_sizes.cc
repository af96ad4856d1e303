#include "src/model/config/sbs_sizes.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "compression/codec_nuq.h"
#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/model/config/limits.h"

namespace gemma::internal {
namespace {

constexpr size_t kWidthOfGemma2_27B = 4608;
constexpr size_t kWidthOfGemma3_1B = 1152;

// The number of values, derived from type and bytes if the file does not state
// the shape. 0 if unknown.
size_t NumValues(const SbsTensor& tensor) {
  if (tensor.rows != 0) return tensor.rows * tensor.cols;
  if (!tensor.format.has_value()) return 0;
  const size_t bytes = tensor.data.size();
  if (tensor.format != Format::kNUQ) return bytes / BlockBytes(*tensor.format);
  // Whole blocks, then a table and, rounded up, half a byte for each code.
  const size_t rest = bytes % NUQ::kBlockBytes;
  return bytes / NUQ::kBlockBytes * NUQ::kBlockValues +
         (rest > NUQ::kTableBytes ? 2 * (rest - NUQ::kTableBytes) : 0);
}

// Looks up the tensors of one file and their numbers of values.
class Sizes {
 public:
  explicit Sizes(const SbsFile& file) : file_(file) {}

  bool Has(std::string_view name) const { return file_.tensors.contains(name); }
  bool Has(std::string_view name, size_t layer) const {
    return Has(absl::StrCat(name, "_", layer));
  }

  // The tensor's number of values, divided by `divisor`. Fails if the tensor is
  // missing or has no values, or if there is a remainder.
  absl::StatusOr<size_t> Values(const std::string& name, size_t divisor) const {
    const auto found = file_.tensors.find(name);
    if (found == file_.tensors.end()) {
      return WithReason(
          absl::NotFoundError(FormatText(
              "%s: no tensor '%s', and no blob 'config' that gives the model's "
              "sizes",
              file_.path, name)),
          ErrorReason::kUnknownSizes);
    }
    const size_t values = NumValues(found->second);
    if (divisor == 0 || values == 0 || values % divisor != 0) {
      return Unclear(
          FormatText("tensor '%s' has %u values, wanted a "
                     "multiple of %u",
                     name, values, divisor));
    }
    return values / divisor;
  }

  absl::Status Unclear(std::string_view what) const {
    return WithReason(
        absl::InvalidArgumentError(absl::StrCat(
            file_.path,
            ": no blob 'config', and the sizes match no known model: ", what)),
        ErrorReason::kUnknownSizes);
  }

 private:
  const SbsFile& file_;
};

absl::Status FindLayers(const Sizes& sizes, ConfigDraft& c) {
  size_t layers = 0;
  while (layers < kMaxLayers && sizes.Has("pre_ff_ns", layers)) ++layers;
  if (layers == 0) return sizes.Values("pre_ff_ns_0", 1).status();
  c.biases = sizes.Has("gr_a_0");
  c.qk_norm = sizes.Has("query_norm_0");
  c.post_norms = sizes.Has("post_att_ns_0");
  if (c.qk_norm) {
    c.blocks = PeriodicBlocks(layers, /*period=*/6);
  } else if (c.post_norms) {
    c.blocks = PeriodicBlocks(layers, /*period=*/2);
  } else {
    c.blocks.assign(layers, BlockType::kGlobalAttention);
  }
  if (!c.biases) return absl::OkStatus();
  for (size_t i = 0; i < layers; ++i) {
    c.blocks[i] = sizes.Has("gr_a", i) ? BlockType::kRecurrent
                                       : BlockType::kLocalAttention;
  }
  return absl::OkStatus();
}

absl::Status FindHeadDim(const Sizes& sizes, ConfigDraft& c) {
  if (c.qk_norm) {
    GEMMA_ASSIGN_OR_RETURN(c.all.head_dim, sizes.Values("query_norm_0", 1));
    return absl::OkStatus();
  }
  if (!c.biases) {
    c.all.head_dim = c.model_dim == kWidthOfGemma2_27B ? 128 : 256;
    return absl::OkStatus();
  }
  // Two gates of a square matrix for each head: 2 * width^2 / heads.
  GEMMA_ASSIGN_OR_RETURN(c.lru_width, sizes.Values("gr_a_0", 1));
  GEMMA_ASSIGN_OR_RETURN(c.conv_width,
                         sizes.Values("gr_conv_w_0", c.lru_width));
  GEMMA_ASSIGN_OR_RETURN(const size_t gate,
                         sizes.Values("gr_gate_w_0", c.lru_width));
  const size_t heads = 2 * c.lru_width / gate;
  if (heads == 0 || 2 * c.lru_width % gate != 0 || c.model_dim % heads != 0) {
    return sizes.Unclear(FormatText(
        "gates of %u values a channel for %u channels and a width of %u", gate,
        c.lru_width, c.model_dim));
  }
  c.all.head_dim = c.model_dim / heads;
  return absl::OkStatus();
}

// Finds the heads from the first attention layer.
absl::Status FindHeads(const Sizes& sizes, ConfigDraft& c) {
  size_t layer = 0;
  while (layer < c.blocks.size() && c.blocks[layer] == BlockType::kRecurrent) {
    ++layer;
  }
  if (layer == c.blocks.size()) {
    return sizes.Unclear("no layer attends");
  }
  const auto name = [&](std::string_view base) {
    return absl::StrCat(base, "_", layer);
  };
  GEMMA_ASSIGN_OR_RETURN(
      const size_t queries,
      sizes.Values(sizes.Has("att_w", layer) ? name("att_w") : name("att_ein"),
                   c.model_dim));
  size_t keys_and_values = 0;
  if (sizes.Has("qkv2_w", layer)) {
    GEMMA_ASSIGN_OR_RETURN(keys_and_values,
                           sizes.Values(name("qkv2_w"), c.model_dim));
  } else {
    GEMMA_ASSIGN_OR_RETURN(const size_t all,
                           sizes.Values(name("qkv_ein"), c.model_dim));
    keys_and_values = all > queries ? all - queries : 0;
  }
  if (queries % c.all.head_dim != 0 || keys_and_values == 0 ||
      keys_and_values % (2 * c.all.head_dim) != 0) {
    return sizes.Unclear(FormatText(
        "%u rows of queries and %u of keys and values, wanted heads of %u",
        queries, keys_and_values, c.all.head_dim));
  }
  c.all.num_heads = queries / c.all.head_dim;
  c.all.num_kv_heads = keys_and_values / 2 / c.all.head_dim;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SbsConfig> ConfigFromSizes(const SbsFile& file) {
  const Sizes sizes(file);
  SbsConfig out;
  ConfigDraft& c = out.model;
  GEMMA_ASSIGN_OR_RETURN(c.model_dim, sizes.Values("c_final_norm", 1));
  GEMMA_ASSIGN_OR_RETURN(c.vocab_size,
                         sizes.Values("c_embedding", c.model_dim));
  GEMMA_ASSIGN_OR_RETURN(c.all.ffw_dim,
                         sizes.Values("linear_w_0", c.model_dim));
  GEMMA_RETURN_IF_ERROR(FindLayers(sizes, c));
  GEMMA_RETURN_IF_ERROR(FindHeadDim(sizes, c));
  if (c.model_dim > kMaxSize || c.all.head_dim > kMaxSize) {
    return sizes.Unclear(
        FormatText("a width of %u and heads of %u values, wanted at most "
                   "%u",
                   c.model_dim, c.all.head_dim, kMaxSize));
  }
  GEMMA_RETURN_IF_ERROR(FindHeads(sizes, c));
  c.max_context = 8192;
  if (c.biases) {
    c.sliding_window = 2048;
  } else if (c.qk_norm) {
    c.sliding_window = c.model_dim <= kWidthOfGemma3_1B ? 512 : 1024;
    c.max_context = 32768;
    c.stop_tokens.push_back(106);
  } else if (c.post_norms) {
    c.sliding_window = 4096;
    c.attn_logits_soft_cap = 50.0f;
    c.final_logits_soft_cap = 30.0f;
  }
  out.scale_by_model_dim = c.post_norms && c.model_dim == kWidthOfGemma2_27B;
  return out;
}

}  // namespace gemma::internal
