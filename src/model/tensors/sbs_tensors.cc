#include "src/model/tensors/sbs_tensors.h"

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/formats/sbs.h"
#include "src/formats/tensor_values.h"
#include "src/model/tensors/tensor_names.h"

namespace gemma::internal {
namespace {

using R = WeightRole;
using Shape = std::vector<size_t>;

// A tensor of the file whose size was checked.
struct Source {
  const SbsTensor* tensor;
  size_t values;
};

// Some values of a source, from `begin` on: three nested loops of `sizes`
// rounds, each of which advances by its `steps`.
struct Part {
  size_t begin = 0;
  std::array<size_t, 3> sizes = {1, 1, 1};
  std::array<size_t, 3> steps = {0, 0, 1};

  bool IsContiguous() const {
    return steps[2] == 1 && (sizes[1] == 1 || steps[1] == sizes[2]) &&
           (sizes[0] == 1 || steps[0] == sizes[1] * sizes[2]);
  }
};

// `size` values that follow each other.
Part Run(size_t begin, size_t size) { return {begin, {1, 1, size}}; }

// Adds tensors to a checkpoint under the names of our roles.
class Binder {
 public:
  Binder(const ModelConfig& config, Checkpoint& checkpoint)
      : config_(config),
        file_(*checkpoint.sbs),
        tensors_(checkpoint.tensors),
        names_(TensorNames::Gguf()) {}

  bool Has(std::string_view base, size_t layer) const {
    return file_.tensors.contains(NameOf(base, layer));
  }

  // Finds the tensor of that name, which must have rows * cols values.
  absl::StatusOr<Source> Find(std::string_view base, size_t layer, size_t rows,
                              size_t cols) const;

  // Adds `part` of the source as the tensor of the role.
  void Add(R role, size_t layer, const Source& source, Shape shape,
           const Part& part);

  // Binds a whole tensor. The table of weights has its name in the file.
  absl::Status Whole(const WeightSpec& spec);
  // The same with the given name in the file.
  absl::Status Whole(R role, size_t layer, std::string_view base, size_t rows,
                     size_t cols);

  // Binds the two halves of a tensor, each [rows, cols].
  absl::Status Halves(R first, R second, size_t layer, std::string_view base,
                      size_t rows, size_t cols);

  // Sets the scales of the tensors if the file stores them in a separate blob.
  absl::Status TakeScales(SbsFile& file) const;

 private:
  // Names of tensors of the whole model begin with c_; those of layers end with
  // the number of the layer.
  static std::string NameOf(std::string_view base, size_t layer) {
    return absl::StartsWith(base, "c_") ? std::string(base)
                                        : absl::StrCat(base, "_", layer);
  }

  const ModelConfig& config_;
  const SbsFile& file_;
  TensorTable& tensors_;
  TensorNames names_;
};

absl::StatusOr<Source> Binder::Find(std::string_view base, size_t layer,
                                    size_t rows, size_t cols) const {
  const std::string name = NameOf(base, layer);
  const auto found = file_.tensors.find(name);
  if (found == file_.tensors.end()) {
    return absl::NotFoundError(FormatText(
        "%s: no tensor '%s', which the configuration needs", file_.path, name));
  }
  const SbsTensor& tensor = found->second;
  if (!tensor.format.has_value()) {
    return absl::InvalidArgumentError(
        FormatText("%s: tensor '%s' is of %s, wanted f32, bf16, sfp or nuq",
                   file_.path, name, tensor.type));
  }
  const size_t values = rows * cols;
  if (tensor.rows != 0) {
    const bool is_flat = tensor.rows == 1 && tensor.cols == values;
    if (is_flat || (tensor.rows == rows && tensor.cols == cols)) {
      return Source{&tensor, values};
    }
    return absl::InvalidArgumentError(FormatText(
        "%s: tensor '%s' is [%u, %u], the configuration needs [%u, %u]",
        file_.path, name, tensor.rows, tensor.cols, rows, cols));
  }
  const size_t bytes = tensor.data.size();
  if (tensor.format == Format::kNUQ
          ? FitsNuq(bytes, values)
          : StoredBytes(*tensor.format, values) == bytes) {
    return Source{&tensor, values};
  }
  return absl::DataLossError(FormatText(
      "%s: tensor '%s' has %u bytes, which does not fit [%u, %u] of %s",
      file_.path, name, bytes, rows, cols, tensor.type));
}

void Binder::Add(R role, size_t layer, const Source& source, Shape shape,
                 const Part& part) {
  const SbsTensor& from = *source.tensor;
  Tensor out;
  out.shape = std::move(shape);
  out.file = file_.path;
  const size_t values = out.NumValues();
  const bool tables_first =
      from.format == Format::kNUQ && NuqTablesFirst(from.data, source.values);
  const size_t block = BlockValues(*from.format);
  if (part.IsContiguous() && from.scale == 1.0f && !tables_first &&
      part.begin % block == 0 && out.shape.back() % block == 0) {
    out.format = *from.format;
    out.data = from.data.data() + part.begin / block * BlockBytes(out.format);
    out.bytes = values / block * BlockBytes(out.format);
  } else {
    out.arrangement = {*from.format, source.values, part.begin,  part.sizes,
                       part.steps,   from.scale,    tables_first};
    out.format = ArrangedFormat(*out.arrangement);
    out.data = from.data.data();
    // Its share of the bytes of a tensor that is split into several parts.
    out.bytes = static_cast<size_t>(static_cast<double>(from.data.size()) *
                                    static_cast<double>(values) /
                                    static_cast<double>(source.values));
  }
  tensors_.insert_or_assign(names_.Name(role, layer), std::move(out));
}

absl::Status Binder::Whole(const WeightSpec& spec) {
  const bool is_row = spec.shape.size() == 1;
  return Whole(spec.role, spec.layer, RowOf(spec.role).names.sbs,
               is_row ? 1 : spec.shape[0], spec.shape.back());
}

absl::Status Binder::Whole(R role, size_t layer, std::string_view base,
                           size_t rows, size_t cols) {
  GEMMA_ASSIGN_OR_RETURN(const Source source, Find(base, layer, rows, cols));
  Add(role, layer, source, rows == 1 ? Shape{cols} : Shape{rows, cols},
      Run(0, source.values));
  return absl::OkStatus();
}

absl::Status Binder::Halves(R first, R second, size_t layer,
                            std::string_view base, size_t rows, size_t cols) {
  GEMMA_ASSIGN_OR_RETURN(const Source both,
                         rows == 1 ? Find(base, layer, 1, 2 * cols)
                                   : Find(base, layer, 2 * rows, cols));
  const Shape shape = rows == 1 ? Shape{cols} : Shape{rows, cols};
  const size_t half = rows * cols;
  Add(first, layer, both, shape, Run(0, half));
  Add(second, layer, both, shape, Run(half, half));
  return absl::OkStatus();
}

// The scales are in the order in which gemma.cpp visits the tensors.
absl::Status Binder::TakeScales(SbsFile& file) const {
  if (file.has_toc || file.scales.empty()) return absl::OkStatus();
  constexpr std::string_view kScaled[] = {
      "att_ein",      "qkv_ein",   "gr_lin_x_w", "gr_lin_y_w",
      "gr_lin_out_w", "gr_gate_w", "gating_ein", "linear_w"};
  size_t taken = 0;
  for (size_t layer = 0; layer < config_.num_layers(); ++layer) {
    for (const std::string_view base : kScaled) {
      const auto found = file.tensors.find(NameOf(base, layer));
      if (found == file.tensors.end()) continue;
      if (taken < file.scales.size()) found->second.scale = file.scales[taken];
      ++taken;
    }
  }
  if (taken == file.scales.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      FormatText("%s: there are %u scales, wanted %u for the tensors that "
                 "need one",
                 file.path, file.scales.size(), taken));
}

// Binds queries, keys and values. If the numbers of key heads and query heads
// are equal, the three alternate by head. Otherwise all queries come first, and
// keys and values alternate by head, in the same tensor or in a second one.
absl::Status BindQkv(Binder& bind, const ModelConfig& c, size_t layer) {
  const LayerConfig& l = c.layers[layer];
  const size_t d = c.model_dim;
  const size_t head = l.head_dim * d;
  const size_t q_rows = l.q_dim();
  const size_t kv_rows = l.kv_dim();
  const auto heads = [&](size_t begin, size_t count, size_t step) {
    return Part{begin, {count, 1, head}, {step, 0, 1}};
  };
  if (bind.Has("qkv1_w", layer)) {
    GEMMA_RETURN_IF_ERROR(bind.Whole(R::kQProj, layer, "qkv1_w", q_rows, d));
    GEMMA_ASSIGN_OR_RETURN(const Source kv,
                           bind.Find("qkv2_w", layer, 2 * kv_rows, d));
    bind.Add(R::kKProj, layer, kv, {kv_rows, d},
             heads(0, l.num_kv_heads, 2 * head));
    bind.Add(R::kVProj, layer, kv, {kv_rows, d},
             heads(head, l.num_kv_heads, 2 * head));
    return absl::OkStatus();
  }
  GEMMA_ASSIGN_OR_RETURN(const Source qkv,
                         bind.Find("qkv_ein", layer, q_rows + 2 * kv_rows, d));
  const bool by_head = l.num_heads == l.num_kv_heads;
  const size_t kv_step = (by_head ? 3 : 2) * head;
  const size_t k_begin = by_head ? head : q_rows * d;
  bind.Add(R::kQProj, layer, qkv, {q_rows, d},
           by_head ? heads(0, l.num_heads, kv_step) : Run(0, q_rows * d));
  bind.Add(R::kKProj, layer, qkv, {kv_rows, d},
           heads(k_begin, l.num_kv_heads, kv_step));
  bind.Add(R::kVProj, layer, qkv, {kv_rows, d},
           heads(k_begin + head, l.num_kv_heads, kv_step));
  return absl::OkStatus();
}

absl::Status BindAttention(Binder& bind, const ModelConfig& c, size_t layer) {
  const LayerConfig& l = c.layers[layer];
  const size_t d = c.model_dim;
  const size_t q_rows = l.q_dim();
  GEMMA_RETURN_IF_ERROR(BindQkv(bind, c, layer));
  if (bind.Has("att_w", layer)) {
    GEMMA_RETURN_IF_ERROR(bind.Whole(R::kOProj, layer, "att_w", d, q_rows));
  } else {
    // [heads, width, head size] becomes [width, heads * head size].
    GEMMA_ASSIGN_OR_RETURN(
        const Source by_head,
        bind.Find("att_ein", layer, l.num_heads * d, l.head_dim));
    bind.Add(
        R::kOProj, layer, by_head, {d, q_rows},
        {0, {d, l.num_heads, l.head_dim}, {l.head_dim, d * l.head_dim, 1}});
  }
  return absl::OkStatus();
}

// Binds the gates. They are square matrices, one for each head, stored [out,
// in], while other files store [in, out]. All matrices of the input gate come
// first, then all of the recurrent gate.
absl::Status BindGates(Binder& bind, const ModelConfig& c, size_t layer) {
  const LayerConfig& l = c.layers[layer];
  const size_t width = c.lru_width;
  const size_t strip = width / l.num_heads;
  GEMMA_ASSIGN_OR_RETURN(const Source gates,
                         bind.Find("gr_gate_w", layer, 2 * width, strip));
  const Shape shape = {l.num_heads, strip, strip};
  Part part = {0, {l.num_heads, strip, strip}, {strip * strip, 1, strip}};
  bind.Add(R::kInputGate, layer, gates, shape, part);
  part.begin = width * strip;
  bind.Add(R::kRecurrentGate, layer, gates, shape, part);
  GEMMA_ASSIGN_OR_RETURN(const Source biases,
                         bind.Find("gr_gate_b", layer, 1, 2 * width));
  const Shape by_strip = {l.num_heads, strip};
  bind.Add(R::kInputGateBias, layer, biases, by_strip, Run(0, width));
  bind.Add(R::kRecurrentGateBias, layer, biases, by_strip, Run(width, width));
  return absl::OkStatus();
}

absl::Status BindRecurrence(Binder& bind, const ModelConfig& c, size_t layer) {
  const size_t width = c.lru_width;
  // [taps, channels] becomes [channels, taps].
  GEMMA_ASSIGN_OR_RETURN(const Source conv,
                         bind.Find("gr_conv_w", layer, c.conv_width, width));
  bind.Add(R::kConv, layer, conv, {width, c.conv_width},
           {0, {1, width, c.conv_width}, {0, 1, width}});
  return BindGates(bind, c, layer);
}

absl::Status BindFfw(Binder& bind, const ModelConfig& c, size_t layer) {
  const LayerConfig& l = c.layers[layer];
  const size_t d = c.model_dim;
  if (bind.Has("gating1_w", layer)) {
    GEMMA_RETURN_IF_ERROR(
        bind.Whole(R::kGateProj, layer, "gating1_w", l.ffw_dim, d));
    GEMMA_RETURN_IF_ERROR(
        bind.Whole(R::kUpProj, layer, "gating2_w", l.ffw_dim, d));
  } else {
    GEMMA_RETURN_IF_ERROR(bind.Halves(R::kGateProj, R::kUpProj, layer,
                                      "gating_ein", l.ffw_dim, d));
  }
  if (!c.biases) return absl::OkStatus();
  return bind.Halves(R::kGateBias, R::kUpBias, layer, "ffw_gat_b", 1,
                     l.ffw_dim);
}

absl::Status BindLayer(Binder& bind, const ModelConfig& c, size_t layer) {
  for (const WeightSpec& spec : LayerWeightsOf(c, layer)) {
    // Parts of tensors are bound below.
    if (RowOf(spec.role).names.sbs.empty()) continue;
    GEMMA_RETURN_IF_ERROR(bind.Whole(spec));
  }
  GEMMA_RETURN_IF_ERROR(c.layers[layer].type == BlockType::kRecurrent
                            ? BindRecurrence(bind, c, layer)
                            : BindAttention(bind, c, layer));
  return BindFfw(bind, c, layer);
}

}  // namespace

absl::Status BindSbsTensors(const ModelConfig& config, Checkpoint& checkpoint) {
  if (!checkpoint.sbs.has_value()) return absl::OkStatus();
  // Checks the sizes before they are multiplied. The embedding scale, which is
  // not known yet, gets a valid value for the check.
  ModelConfig scaled = config;
  scaled.embedding_scale = 1.0f;
  if (absl::Status status = Validate(scaled); !status.ok()) {
    return absl::InvalidArgumentError(
        FormatText("%s: %s", checkpoint.path, status.message()));
  }
  Binder bind(config, checkpoint);
  GEMMA_RETURN_IF_ERROR(bind.TakeScales(*checkpoint.sbs));
  for (const WeightSpec& spec : WeightsOf(config, /*own_head=*/false)) {
    if (RowOf(spec.role).scope != WeightScope::kModel) continue;
    GEMMA_RETURN_IF_ERROR(bind.Whole(spec));
  }
  for (size_t layer = 0; layer < config.num_layers(); ++layer) {
    GEMMA_RETURN_IF_ERROR(BindLayer(bind, config, layer));
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal
