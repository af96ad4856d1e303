#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/model/config/gemma3n.h"
#include "src/model/config/json_fields.h"
#include "src/model/config/rope_from_json.h"
#include "src/model/config/shared_layers.h"

namespace gemma::internal {
namespace {

void SetDefaultsOf3n(ConfigDraft& c) {
  c.architecture = std::string(kGemma3n);
  c.post_norms = true;
  c.qk_norm = true;
  c.value_norm = true;
  c.query_scale = 1.0f;
  c.vocab_size = 262400;
  c.model_dim = 2048;
  c.all.ffw_dim = 16384;
  c.all.num_heads = 8;
  c.all.num_kv_heads = 2;
  c.all.head_dim = 256;
  c.max_context = 32768;
  c.sliding_window = 512;
  c.rope_base_local = 10000.0f;
  c.rope_base_global = 1000000.0f;
  c.final_logits_soft_cap = 30.0f;
}

// Checks the length of a list with one element for each layer.
absl::Status CheckListed(const Json& json, const char* key, size_t size,
                         size_t num_layers) {
  if (size == num_layers) return absl::OkStatus();
  return absl::InvalidArgumentError(
      FormatText("%s has %u elements, num_hidden_layers is %u",
                 json.Find(key)->Where(), size, num_layers));
}

// Reads the widths of the feed-forward layers: one number, or a list. Models
// cut out of a larger one (MatFormer) have several widths.
absl::Status ReadWidths(const Json& json, ConfigDraft& c) {
  constexpr char kKey[] = "intermediate_size";
  const std::optional<Json> value = json.Find(kKey);
  std::vector<size_t> widths(c.num_layers(), c.all.ffw_dim);
  if (value.has_value() && value->is_array()) {
    GEMMA_RETURN_IF_ERROR(value->Get(widths));
    GEMMA_RETURN_IF_ERROR(
        CheckListed(json, kKey, widths.size(), c.num_layers()));
  } else {
    size_t width = c.all.ffw_dim;
    GEMMA_RETURN_IF_ERROR(json.Read(kKey, width));
    widths.assign(c.num_layers(), width);
  }
  for (size_t i = 0; i < widths.size(); ++i) c.layers[i].ffw_dim = widths[i];
  return absl::OkStatus();
}

// Reads the share of gates that a layer cuts off if they are distributed
// normally.
absl::Status ReadSparsity(const Json& json, ConfigDraft& c) {
  constexpr char kKey[] = "activation_sparsity_pattern";
  // The first layers are sparse, if no list says otherwise.
  constexpr size_t kSparse = 10;
  std::vector<double> shares(c.num_layers());
  if (c.num_layers() > kSparse) std::fill_n(shares.begin(), kSparse, 0.95);
  const std::optional<Json> value = json.Find(kKey);
  if (value.has_value() && !value->is_null()) {
    GEMMA_RETURN_IF_ERROR(value->Get(shares));
    GEMMA_RETURN_IF_ERROR(
        CheckListed(json, kKey, shares.size(), c.num_layers()));
  }
  for (size_t i = 0; i < shares.size(); ++i) {
    if (!(shares[i] >= 0.0 && shares[i] < 1.0)) {
      return absl::InvalidArgumentError(
          FormatText("%s is %g for layer %u, wanted 0 or more, and below 1",
                     value->Where(), shares[i], i));
    }
    if (shares[i] == 0.0) continue;
    c.layers[i].gate_cutoff = static_cast<float>(NormalQuantile(shares[i]));
  }
  return absl::OkStatus();
}

absl::Status ReadAltUp(const Json& json, ConfigDraft& c) {
  size_t active = 0;
  bool scales = true;
  c.altup_streams = 4;
  c.laurel_rank = 64;
  GEMMA_RETURN_IF_ERROR(json.Read("altup_num_inputs", c.altup_streams));
  GEMMA_RETURN_IF_ERROR(json.Read("altup_active_idx", active));
  GEMMA_RETURN_IF_ERROR(json.Read("altup_correct_scale", scales));
  GEMMA_RETURN_IF_ERROR(json.Read("laurel_rank", c.laurel_rank));
  if (c.altup_streams < 2 || c.altup_streams > kMaxStreams) {
    return json.Find("altup_num_inputs")
        ->Unexpected(absl::StrCat("2 to ", kMaxStreams));
  }
  if (active != 0) return json.Find("altup_active_idx")->Unexpected("0");
  if (!scales) return json.Find("altup_correct_scale")->Unexpected("true");
  return c.laurel_rank != 0 ? absl::OkStatus()
                            : json.Find("laurel_rank")->Unexpected("1 or more");
}

absl::Status ReadPerLayerOf3n(const Json& json, ConfigDraft& c) {
  constexpr char kWidth[] = "hidden_size_per_layer_input";
  constexpr char kTokens[] = "vocab_size_per_layer_input";
  c.per_layer_dim = 256;
  c.per_layer_vocab = 262144;
  GEMMA_RETURN_IF_ERROR(json.Read(kWidth, c.per_layer_dim));
  GEMMA_RETURN_IF_ERROR(json.Read(kTokens, c.per_layer_vocab));
  if (c.per_layer_dim == 0) return json.Find(kWidth)->Unexpected("1 or more");
  return c.per_layer_vocab != 0 ? absl::OkStatus()
                                : json.Find(kTokens)->Unexpected("1 or more");
}

}  // namespace

double NormalQuantile(double p) {
  // Bisection: the distribution function is monotone, and almost 0 and 1 at
  // both ends.
  double low = -40.0;
  double high = 40.0;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    const double below = std::erfc(-middle / std::sqrt(2.0)) / 2;
    (below < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

absl::Status ReadGemma3n(const Json& json, ConfigDraft& c) {
  constexpr char kShared[] = "num_kv_shared_layers";
  SetDefaultsOf3n(c);
  size_t num_layers = 35;
  size_t num_shared = 15;
  GEMMA_RETURN_IF_ERROR(ReadSizesButFfw(json, num_layers, c));
  GEMMA_RETURN_IF_ERROR(json.Read("head_dim", c.all.head_dim));
  c.all.rope.rotary_dim = c.all.head_dim;
  GEMMA_RETURN_IF_ERROR(ReadActivation(json, "hidden_activation", c));
  GEMMA_RETURN_IF_ERROR(ReadFinalSoftCap(json, c));
  GEMMA_RETURN_IF_ERROR(ReadWindow(json, c));
  GEMMA_RETURN_IF_ERROR(ReadTwoRopes(json, c));
  GEMMA_RETURN_IF_ERROR(ReadLayerTypes(json, num_layers, /*period=*/5, c));
  FillLayers(c);
  GEMMA_RETURN_IF_ERROR(ReadWidths(json, c));
  GEMMA_RETURN_IF_ERROR(ReadSparsity(json, c));
  GEMMA_RETURN_IF_ERROR(ReadAltUp(json, c));
  GEMMA_RETURN_IF_ERROR(ReadPerLayerOf3n(json, c));
  GEMMA_RETURN_IF_ERROR(json.Read(kShared, num_shared));
  return ShareKeys(num_shared, absl::StrCat(json.Where(), ": ", kShared),
                   c.layers);
}

}  // namespace gemma::internal
