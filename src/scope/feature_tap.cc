#include "gemma/feature_tap.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ops/matrix_view.h"
#include "ops/ops.h"
#include "ops/workers.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/scope/autoencoder_impl.h"
#include "src/session/model_impl.h"

namespace gemma {
namespace {

// The name of a point, for messages.
std::string_view NameOf(TapPoint point) {
  switch (point) {
    case TapPoint::kEmbedding:
      return "the embedding";
    case TapPoint::kMixInput:
      return "the mix's input";
    case TapPoint::kMixHidden:
      return "the heads' values";
    case TapPoint::kMixOutput:
      return "the mix's output";
    case TapPoint::kMixedStream:
      return "the residual stream after the mix";
    case TapPoint::kFfwInput:
      return "the feed-forward layer's input";
    case TapPoint::kFfwHidden:
      return "the feed-forward layer's hidden values";
    case TapPoint::kExpertInput:
      return "the experts' input";
    case TapPoint::kExpertChoice:
      return "the chosen experts";
    case TapPoint::kExpertHidden:
      return "the experts' hidden values";
    case TapPoint::kFfwOutput:
      return "the feed-forward layer's output";
    case TapPoint::kPerLayerInput:
      return "the residual stream after the feed-forward layer";
    case TapPoint::kPerLayerHidden:
      return "the gated per-layer embedding";
    case TapPoint::kPerLayerOutput:
      return "the per-layer embedding's output";
    case TapPoint::kBlockOutput:
      return "the residual stream after the block";
    case TapPoint::kHeadInput:
      return "the head's input";
  }
  return "";
}

// Returns the layers that have this point: [first, last]. See TapSite.
std::pair<size_t, size_t> LayersOf(const ModelConfig& config, TapPoint point) {
  const size_t num_layers = config.num_layers();
  if (point == TapPoint::kEmbedding) return {0, 0};
  if (point == TapPoint::kHeadInput) return {num_layers, num_layers};
  return {0, num_layers - 1};
}

// Returns the columns of the activations at a point of an existing layer, or 0
// if the layer has no such point.
size_t ColumnsOf(const ModelConfig& config, TapPoint point, size_t layer) {
  if (point == TapPoint::kEmbedding || point == TapPoint::kHeadInput) {
    return config.model_dim;
  }
  const LayerConfig& l = config.layers[layer];
  switch (point) {
    case TapPoint::kMixHidden:
      return l.type == BlockType::kRecurrent ? config.lru_width : l.q_dim();
    case TapPoint::kFfwHidden:
      return l.ffw_dim;
    case TapPoint::kExpertInput:
      return l.num_experts == 0 ? 0 : config.model_dim;
    case TapPoint::kExpertChoice:
      return 2 * l.experts_used;
    case TapPoint::kExpertHidden:
      return l.experts_used * l.expert_dim;
    case TapPoint::kPerLayerHidden:
      return config.per_layer_dim;
    case TapPoint::kPerLayerInput:
    case TapPoint::kPerLayerOutput:
      return config.per_layer_dim == 0 ? 0 : config.model_dim;
    default:
      return config.model_dim;
  }
}

// Checks that the point exists and has `columns` columns.
absl::Status CheckPoint(const ModelConfig& config, TapPoint point, size_t layer,
                        size_t columns, std::string_view does) {
  const auto [first, last] = LayersOf(config, point);
  if (layer < first || layer > last) {
    const std::string wanted =
        first == last ? absl::StrCat(first) : absl::StrCat(first, " to ", last);
    return absl::InvalidArgumentError(FormatText(
        "the autoencoder %s %s of layer %u, which the model has of layer %s",
        does, NameOf(point), layer, wanted));
  }
  const size_t found = ColumnsOf(config, point, layer);
  if (found == columns) return absl::OkStatus();
  return absl::InvalidArgumentError(FormatText(
      "the autoencoder %s %u columns, the model has %u at layer %u in %s", does,
      columns, found, layer, NameOf(point)));
}

absl::Status Check(const Model& model, const FeatureReader& reader) {
  if (reader.autoencoder == nullptr) {
    return absl::InvalidArgumentError("autoencoder is null");
  }
  GEMMA_RETURN_IF_ERROR(CheckFits(model, *reader.autoencoder));
  for (const size_t feature : reader.features) {
    GEMMA_RETURN_IF_ERROR(reader.autoencoder->impl().CheckFeature(feature));
  }
  return absl::OkStatus();
}

absl::Status Check(const Model& model, const FeatureChange& change) {
  if (change.autoencoder == nullptr) {
    return absl::InvalidArgumentError("autoencoder is null");
  }
  GEMMA_RETURN_IF_ERROR(CheckFits(model, *change.autoencoder));
  GEMMA_RETURN_IF_ERROR(
      change.autoencoder->impl().CheckFeature(change.feature));
  if (!(std::abs(change.strength) <= kMaxFeatureStrength)) {
    return absl::InvalidArgumentError(
        FormatText("strength is %g, wanted %g to %g", change.strength,
                   -kMaxFeatureStrength, kMaxFeatureStrength));
  }
  const FeatureSite& site = change.autoencoder->site();
  // TapPoint lists the points in the order of their computation.
  if (change.ablate && site.output < site.input) {
    return absl::InvalidArgumentError(
        FormatText("cannot ablate in %s what is read from %s, later",
                   NameOf(site.output), NameOf(site.input)));
  }
  return absl::OkStatus();
}

// Checks all readers or changes. An error names the kind and the index.
template <class T>
absl::Status CheckAll(const Model& model, const std::vector<T>& all,
                      std::string_view kind) {
  for (size_t i = 0; i < all.size(); ++i) {
    const absl::Status status = Check(model, all[i]);
    if (status.ok()) continue;
    return absl::Status(status.code(),
                        FormatText("%s %u: %s", kind, i, status.message()));
  }
  return absl::OkStatus();
}

// Reads and changes a session's features. It keeps state only between the
// points of one pass.
class FeatureTapper {
 public:
  FeatureTapper(const Model& model, FeatureTapOptions options)
      : model_(model), on_features_(std::move(options.on_features)) {
    for (FeatureReader& reader : options.readers) {
      std::vector<size_t>& features = reader.features;
      std::sort(features.begin(), features.end());
      features.erase(std::unique(features.begin(), features.end()),
                     features.end());
      readers_.push_back(
          {*reader.autoencoder, reader.top_k, std::move(features)});
    }
    for (const FeatureChange& change : options.changes) {
      auto direction = change.autoencoder->Direction(change.feature);
      // The feature exists, so a failure is one of memory.
      if (!direction.ok()) throw std::bad_alloc();
      changes_.push_back(
          {*change.autoencoder, change, *std::move(direction), {}});
    }
  }

  void operator()(const TapSite& site, absl::Span<float> x) {
    for (size_t i = 0; i < readers_.size() && on_features_; ++i) {
      if (IsAt(readers_[i].autoencoder, &FeatureSite::input, site)) {
        CheckColumns(site, x, readers_[i].autoencoder.input_dim());
        Read(i, site, x);
      }
    }
    for (Change& change : changes_) {
      if (change.what.ablate &&
          IsAt(change.autoencoder, &FeatureSite::input, site)) {
        CheckColumns(site, x, change.autoencoder.input_dim());
        change.values =
            change.autoencoder.impl().EncodeSome(x, {&change.what.feature, 1});
      }
    }
    for (const Change& change : changes_) {
      if (IsAt(change.autoencoder, &FeatureSite::output, site)) {
        CheckColumns(site, x, change.direction.size());
        Apply(change, site, {x.data(), site.num_rows, change.direction.size()});
      }
    }
  }

 private:
  struct Reader {
    SparseAutoencoder autoencoder;
    size_t top_k;
    std::vector<size_t> features;  // ascending; as FeatureReader has them
  };

  struct Change {
    SparseAutoencoder autoencoder;
    FeatureChange what;
    std::vector<float> direction;  // [output_dim]
    std::vector<float> values;     // by row: what ablation takes away
  };

  static bool IsAt(const SparseAutoencoder& autoencoder,
                   TapPoint FeatureSite::*end, const TapSite& site) {
    const FeatureSite& of = autoencoder.site();
    return of.*end == site.point && of.layer == site.layer;
  }

  // Fails the pass of another model, which has other activations.
  static void CheckColumns(const TapSite& site, absl::Span<const float> x,
                           size_t columns) {
    if (x.size() == site.num_rows * columns) return;
    throw std::invalid_argument(FormatText(
        "a feature tap was made for a model with %u columns at layer %u in %s, "
        "the session's has %u",
        columns, site.layer, NameOf(site.point), x.size() / site.num_rows));
  }

  void Read(size_t index, const TapSite& site, absl::Span<const float> x) {
    const Reader& reader = readers_[index];
    const absl::StatusOr<std::vector<std::vector<Feature>>> rows =
        reader.features.empty() ? reader.autoencoder.impl().Encode(
                                      x, reader.top_k, *model_.impl().workers)
                                : EncodeSome(reader, x);
    if (!rows.ok()) throw std::bad_alloc();  // the pass fails
    for (size_t r = 0; r < rows->size(); ++r) {
      on_features_({index, site.position + r, (*rows)[r]});
    }
  }

  // Returns the active ones among the features that the reader names.
  static std::vector<std::vector<Feature>> EncodeSome(
      const Reader& reader, absl::Span<const float> x) {
    const std::vector<float> values =
        reader.autoencoder.impl().EncodeSome(x, reader.features);
    std::vector<std::vector<Feature>> rows(x.size() /
                                           reader.autoencoder.input_dim());
    const float* value = values.data();
    for (std::vector<Feature>& active : rows) {
      for (const size_t feature : reader.features) {
        if (*value > 0.0f) active.push_back({feature, *value});
        ++value;
      }
      if (reader.top_k == 0) continue;
      std::sort(active.begin(), active.end(), IsStronger<Feature>);
      if (active.size() > reader.top_k) active.resize(reader.top_k);
    }
    return rows;
  }

  static void Apply(const Change& change, const TapSite& site,
                    MatrixView<float> x) {
    for (size_t r = site.position == 0 ? 1 : 0; r < x.rows; ++r) {
      float strength = change.what.strength;
      if (change.what.ablate) strength -= change.values[r];
      if (strength == 0.0f) continue;
      const std::span<float> row = x.Row(r);
      for (size_t i = 0; i < row.size(); ++i) {
        row[i] += strength * change.direction[i];
      }
    }
  }

  Model model_;  // whose workers it uses
  std::vector<Reader> readers_;
  std::vector<Change> changes_;
  std::function<void(const TokenFeatures&)> on_features_;
};

}  // namespace

absl::Status CheckFits(const Model& model,
                       const SparseAutoencoder& autoencoder) {
  return NoThrow([&]() -> absl::Status {
    const FeatureSite& site = autoencoder.site();
    GEMMA_RETURN_IF_ERROR(CheckPoint(model.config(), site.input, site.layer,
                                     autoencoder.input_dim(), "reads"));
    return CheckPoint(model.config(), site.output, site.layer,
                      autoencoder.output_dim(), "reconstructs");
  });
}

absl::StatusOr<TapFunction> FeatureTap(const Model& model,
                                       FeatureTapOptions options) {
  return NoThrow([&]() -> absl::StatusOr<TapFunction> {
    GEMMA_RETURN_IF_ERROR(CheckAll(model, options.readers, "reader"));
    GEMMA_RETURN_IF_ERROR(CheckAll(model, options.changes, "change"));
    return FeatureTapper(model, std::move(options));
  });
}

}  // namespace gemma
