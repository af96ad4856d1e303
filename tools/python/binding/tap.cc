#include "tools/python/binding/tap.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tools/python/binding/arrays.h"
#include "tools/python/binding/bound.h"
#include "tools/python/binding/errors.h"
#include "tools/python/binding/gil.h"
#include "tools/python/binding/model.h"
#include "tools/python/binding/module.h"

namespace gemma::python {
namespace {

struct NamedPoint {
  TapPoint point;
  const char* name;
};

// In the order of computation.
constexpr NamedPoint kPoints[] = {
    {TapPoint::kEmbedding, "embedding"},
    {TapPoint::kMixInput, "mix_input"},
    {TapPoint::kMixHidden, "mix_hidden"},
    {TapPoint::kMixOutput, "mix_output"},
    {TapPoint::kMixedStream, "mixed_stream"},
    {TapPoint::kFfwInput, "ffw_input"},
    {TapPoint::kFfwHidden, "ffw_hidden"},
    {TapPoint::kExpertInput, "expert_input"},
    {TapPoint::kExpertChoice, "expert_choice"},
    {TapPoint::kExpertHidden, "expert_hidden"},
    {TapPoint::kFfwOutput, "ffw_output"},
    {TapPoint::kPerLayerInput, "per_layer_input"},
    {TapPoint::kPerLayerHidden, "per_layer_hidden"},
    {TapPoint::kPerLayerOutput, "per_layer_output"},
    {TapPoint::kBlockOutput, "block_output"},
    {TapPoint::kHeadInput, "head_input"},
};

// The names that TransformerLens gives to points of a block.
constexpr NamedPoint kHooks[] = {
    {TapPoint::kBlockOutput, "hook_resid_post"},
    {TapPoint::kMixedStream, "hook_resid_mid"},
    {TapPoint::kMixOutput, "hook_attn_out"},
    {TapPoint::kFfwOutput, "hook_mlp_out"},
};

std::optional<TapPoint> FindPoint(absl::Span<const NamedPoint> names,
                                  std::string_view name) {
  for (const NamedPoint& named : names) {
    if (named.name == name) return named.point;
  }
  return std::nullopt;
}

// Returns the site of "blocks.LAYER.hook_NAME", or nothing.
std::optional<Site> ParseHook(std::string_view text) {
  constexpr std::string_view kBegin = "blocks.";
  if (text.substr(0, kBegin.size()) != kBegin) return std::nullopt;
  text.remove_prefix(kBegin.size());
  const size_t dot = text.find('.');
  size_t layer = 0;
  if (dot == std::string_view::npos ||
      !absl::SimpleAtoi(text.substr(0, dot), &layer)) {
    return std::nullopt;
  }
  const std::string_view hook = text.substr(dot + 1);
  if (hook == "hook_resid_pre") {
    if (layer == 0) return Site{TapPoint::kEmbedding, 0};
    return Site{TapPoint::kBlockOutput, layer - 1};
  }
  const std::optional<TapPoint> point = FindPoint(kHooks, hook);
  if (!point.has_value()) return std::nullopt;
  return Site{*point, layer};
}

// Returns the site of a text, whatever the model, or nothing.
std::optional<Site> ReadSite(std::string_view text) {
  if (const std::optional<FeatureSite> known = ParseFeatureSite(text)) {
    // A transcoder has two points.
    if (known->input == known->output) return Site{known->input, known->layer};
  }
  if (const std::optional<Site> hook = ParseHook(text)) return hook;
  const size_t at = text.find('@');
  const std::optional<TapPoint> point = FindPoint(kPoints, text.substr(0, at));
  if (!point.has_value()) return std::nullopt;
  if (at == std::string_view::npos) return Site{*point, std::nullopt};
  size_t layer = 0;
  if (!absl::SimpleAtoi(text.substr(at + 1), &layer)) return std::nullopt;
  return Site{*point, layer};
}

// Returns whether the model computes the point in the layer.
bool Computes(const ModelConfig& config, TapPoint point, size_t layer) {
  switch (point) {
    case TapPoint::kEmbedding:
      return layer == 0;
    case TapPoint::kHeadInput:
      return layer == config.num_layers();
    case TapPoint::kExpertInput:
    case TapPoint::kExpertChoice:
    case TapPoint::kExpertHidden:
      return layer < config.num_layers() &&
             config.layers[layer].num_experts > 0;
    case TapPoint::kPerLayerInput:
    case TapPoint::kPerLayerHidden:
    case TapPoint::kPerLayerOutput:
      return layer < config.num_layers() && config.per_layer_dim > 0;
    default:
      return layer < config.num_layers();
  }
}

// Copies what the function returned to the activations.
void Replace(const nb::object& result, absl::Span<float> activations,
             size_t rows) {
  MatrixArgument values;
  if (!nb::try_cast(result, values)) {
    throw nb::type_error("a tap returned neither None nor a matrix of numbers");
  }
  if (values.shape(0) != rows || values.size() != activations.size()) {
    throw nb::value_error(absl::StrCat("a tap returned an array [",
                                       values.shape(0), ", ", values.shape(1),
                                       "], wanted [", rows, ", ",
                                       activations.size() / rows, "]")
                              .c_str());
  }
  std::copy_n(values.data(), values.size(), activations.data());
}

// Calls the Python function with an array of its own: one that it keeps never
// refers to memory of the model.
void CallPython(const nb::object& function, const TapSite& site,
                absl::Span<float> activations) {
  const FloatArray array =
      Floats(std::vector<float>(activations.begin(), activations.end()),
             site.num_rows, activations.size() / site.num_rows);
  const nb::object result = function(site, array);
  if (result.is_none()) {
    std::copy_n(array.data(), activations.size(), activations.data());
  } else {
    Replace(result, activations, site.num_rows);
  }
}

// Returns a pointer that any thread may drop.
std::shared_ptr<nb::object> Share(nb::object object) {
  return {new nb::object(std::move(object)), [](nb::object* shared) {
            if (!nb::is_alive()) return;  // the interpreter has freed it
            const WithGil gil;
            delete shared;
          }};
}

bool Matches(const std::optional<std::vector<Site>>& sites,
             const TapSite& site) {
  return !sites.has_value() ||
         std::any_of(sites->begin(), sites->end(), [&](const Site& wanted) {
           return wanted.point == site.point &&
                  wanted.layer.value_or(site.layer) == site.layer;
         });
}

TapFunction PythonFunction(std::shared_ptr<nb::object> function,
                           std::optional<std::vector<Site>> sites,
                           std::shared_ptr<TapError> error) {
  return [function = std::move(function), sites = std::move(sites),
          error = std::move(error)](const TapSite& site,
                                    absl::Span<float> activations) {
    if (!Matches(sites, site)) return;
    const WithGil gil;
    try {
      CallPython(*function, site, activations);
    } catch (const std::exception& raised) {
      error->raised = std::current_exception();
      throw std::runtime_error(raised.what());
    }
  };
}

}  // namespace

const char* PointName(TapPoint point) {
  for (const NamedPoint& named : kPoints) {
    if (named.point == point) return named.name;
  }
  return "";
}

absl::StatusOr<Site> ParseSite(const ModelConfig& config,
                               const std::string& text) {
  const std::optional<Site> site = ReadSite(text);
  if (!site.has_value()) {
    std::string names;
    for (const NamedPoint& named : kPoints) {
      absl::StrAppend(&names, names.empty() ? "" : ", ", named.name);
    }
    return absl::InvalidArgumentError(
        absl::StrCat("sites: '", text,
                     "' is not POINT or POINT@LAYER, where POINT is one "
                     "of ",
                     names));
  }
  bool computes = false;
  for (size_t layer = 0; layer <= config.num_layers(); ++layer) {
    computes = computes || (site->layer.value_or(layer) == layer &&
                            Computes(config, site->point, layer));
  }
  if (computes) return *site;
  return absl::InvalidArgumentError(
      absl::StrCat("sites: the model has no '", text, "'; it has ",
                   config.num_layers(), " layers, counted from 0"));
}

FeatureChange ChangeOf(const Steer& steer) {
  return {.autoencoder = &steer.autoencoder,
          .feature = steer.feature,
          .strength = steer.strength,
          .ablate = steer.ablate};
}

void ThrowTapError(const std::shared_ptr<TapError>& error) {
  if (error == nullptr || error->raised == nullptr) return;
  std::rethrow_exception(std::exchange(error->raised, nullptr));
}

Tap::Tap(std::shared_ptr<Model> model, nb::object function,
         const std::optional<std::vector<std::string>>& sites,
         const std::vector<Steer>& steer, const Tap* before)
    : model_(std::move(model)), steer_(steer) {
  if (before != nullptr) before_ = std::make_shared<const Tap>(*before);
  if (!function.is_none()) {
    if (PyCallable_Check(function.ptr()) == 0) {
      throw nb::type_error("a tap is a function of a site and an array");
    }
    function_ = Share(std::move(function));
  } else if (sites.has_value()) {
    throw nb::value_error("sites: the tap has no function for them");
  }
  if (sites.has_value()) {
    sites_.emplace();
    for (const std::string& site : *sites) {
      sites_->push_back(ValueOrThrow(ParseSite(model_->config(), site)));
    }
  }
  Activate(*model_);  // throws if a change does not fit the model
}

std::vector<TapFunction> Tap::Parts(
    const std::shared_ptr<TapError>& error) const {
  std::vector<TapFunction> parts;
  if (before_ != nullptr) parts = before_->Parts(error);
  if (!steer_.empty()) {
    FeatureTapOptions options;
    for (const Steer& steer : steer_)
      options.changes.push_back(ChangeOf(steer));
    parts.push_back(ValueOrThrow(FeatureTap(*model_, std::move(options))));
  }
  if (function_ != nullptr) {
    parts.push_back(PythonFunction(function_, sites_, error));
  }
  return parts;
}

ActiveTap Tap::Activate(const Model& model) const {
  if (&model.impl() != &model_->impl()) {
    throw StatusError(
        absl::InvalidArgumentError("the tap was made for a different model"));
  }
  ActiveTap active;
  active.error = std::make_shared<TapError>();
  active.function = [parts = Parts(active.error)](
                        const TapSite& site, absl::Span<float> activations) {
    for (const TapFunction& part : parts) part(site, activations);
  };
  return active;
}

void AddTap(nb::module_& m) {
  nb::class_<TapSite>(m, "TapSite", "The origin of activations in a tap.")
      .def_prop_ro(
          "point", [](const TapSite& site) { return PointName(site.point); },
          "The kind of activations, for example 'block_output'.")
      .def_ro("layer", &TapSite::layer,
              "The layer, counted from 0; of 'head_input', the number of "
              "layers.")
      .def_ro("position", &TapSite::position,
              "The position of the first row in the sequence.")
      .def_ro("num_rows", &TapSite::num_rows,
              "The number of rows, at consecutive positions.")
      .def_prop_ro(
          "name",
          [](const TapSite& site) {
            return absl::StrCat(PointName(site.point), "@", site.layer);
          },
          "POINT@LAYER.")
      .def("__repr__", [](const TapSite& site) {
        return absl::StrCat("<TapSite ", PointName(site.point), "@", site.layer,
                            ", ", site.num_rows, " rows from position ",
                            site.position, ">");
      });

  nb::class_<Steer>(
      m, "Steer",
      "A change of one feature at every position except the first.\n\n"
      "`strength` times the feature's direction is added at the site's output; "
      "a\nfeature's value has the same unit. `ablate` subtracts first what "
      "the\n"
      "feature contributes: its value times its direction.")
      .def(
          "__init__",
          [](Steer* self, const SparseAutoencoder& autoencoder, size_t feature,
             float strength, bool ablate) {
            new (self) Steer{autoencoder, feature, strength, ablate};
          },
          nb::arg("autoencoder"), nb::arg("feature"),
          nb::arg("strength") = 0.0f, nb::kw_only(), nb::arg("ablate") = false)
      .def_ro("autoencoder", &Steer::autoencoder)
      .def_ro("feature", &Steer::feature)
      .def_ro("strength", &Steer::strength)
      .def_ro("ablate", &Steer::ablate);

  nb::class_<Tap>(
      m, "Tap",
      "A function that sees and changes activations, and changes of "
      "features.\n\n"
      "`function(site, activations)` gets float32 [rows, columns] for each of\n"
      "`sites`, or for all. The values that it leaves in the array take "
      "effect, or else\nthose of the array of the same shape that it returns. "
      "The array is its own: it may\nkeep it. `steer` is applied before, at "
      "each site.")
      .def(
          "__init__",
          [](Tap* self, const BoundModel& model, nb::object function,
             const std::optional<std::vector<std::string>>& sites,
             const std::vector<Steer>& steer, const Tap* before) {
            new (self)
                Tap(model.get(), std::move(function), sites, steer, before);
          },
          nb::arg("model"), nb::arg("function").none() = nb::none(),
          nb::arg("sites").none() = nb::none(),
          nb::arg("steer") = std::vector<Steer>(),
          nb::arg("before").none() = nb::none());

  m.def(
      "check_sites",
      [](const BoundModel& model, const std::vector<std::string>& sites) {
        std::vector<std::vector<std::string>> names;
        const std::shared_ptr<Model> shared = model.get();
        const ModelConfig& config = shared->config();
        for (const std::string& text : sites) {
          const Site site = ValueOrThrow(ParseSite(config, text));
          std::vector<std::string>& of = names.emplace_back();
          for (size_t layer = 0; layer <= config.num_layers(); ++layer) {
            if (site.layer.value_or(layer) == layer &&
                Computes(config, site.point, layer)) {
              of.push_back(absl::StrCat(PointName(site.point), "@", layer));
            }
          }
        }
        return names;
      },
      nb::arg("model"), nb::arg("sites"),
      "Returns, for each site, the names POINT@LAYER that it stands for.");
}

}  // namespace gemma::python
