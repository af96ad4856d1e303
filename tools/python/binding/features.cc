// Sparse autoencoders, and the features of a text.

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "tools/python/binding/arguments.h"
#include "tools/python/binding/arrays.h"
#include "tools/python/binding/bound.h"
#include "tools/python/binding/cache_format.h"
#include "tools/python/binding/errors.h"
#include "tools/python/binding/gil.h"
#include "tools/python/binding/model.h"
#include "tools/python/binding/module.h"
#include "tools/python/binding/signals.h"
#include "tools/python/binding/tap.h"

namespace gemma::python {
namespace {

// The features of a row: indices and values, two arrays [features].
nb::tuple FeatureArrays(absl::Span<const Feature> features) {
  std::vector<size_t> indices;
  std::vector<float> values;
  for (const Feature& feature : features) {
    indices.push_back(feature.index);
    values.push_back(feature.value);
  }
  const size_t size = indices.size();
  return nb::make_tuple(OwnedArray<IndexArray>(std::move(indices), {size}),
                        Floats(std::move(values)));
}

FeatureWeights ParseWeights(const std::string& name) {
  if (name == "float32") return FeatureWeights::kFloat32;
  if (name == "bfloat16") return FeatureWeights::kBFloat16;
  if (name == "int8") return FeatureWeights::kInt8;
  throw StatusError(absl::InvalidArgumentError(
      absl::StrCat("weights: '", name, "' is not float32, bfloat16 or int8")));
}

SparseAutoencoder LoadAutoencoder(const std::string& path,
                                  const std::optional<std::string>& site,
                                  const std::string& weights, size_t threads) {
  SparseAutoencoderOptions options;
  options.weights = ParseWeights(weights);
  options.num_threads = threads;
  if (site.has_value()) {
    options.site = ParseFeatureSite(*site);
    if (!options.site.has_value()) {
      throw StatusError(absl::InvalidArgumentError(absl::StrCat(
          "site: '", *site,
          "' is not res@LAYER, att@LAYER, mlp@LAYER, transcoder@LAYER, "
          "transcoder2@LAYER or embedding")));
    }
  }
  return ValueOrThrow([&] {
    const WithoutGil release;
    return SparseAutoencoder::Load(path, options);
  }());
}

nb::list EncodeRows(const SparseAutoencoder& self, const MatrixArgument& rows,
                    size_t top) {
  if (rows.shape(1) != self.input_dim()) {
    throw StatusError(absl::InvalidArgumentError(
        absl::StrCat("rows: [", rows.shape(0), ", ", rows.shape(1),
                     "], the autoencoder reads rows of ", self.input_dim())));
  }
  const auto features = ValueOrThrow([&] {
    const WithoutGil release;
    return self.Encode({rows.data(), rows.size()}, top);
  }());
  nb::list all;
  for (const std::vector<Feature>& row : features)
    all.append(FeatureArrays(row));
  return all;
}

FloatArray DecodeRow(const SparseAutoencoder& self,
                     const std::vector<size_t>& indices,
                     const RowArgument& values,
                     const std::optional<RowArgument>& x) {
  if (indices.size() != values.size()) {
    throw StatusError(absl::InvalidArgumentError(
        absl::StrCat("values: ", values.size(), " for ", indices.size(),
                     " indices, wanted as many")));
  }
  std::vector<Feature> features;
  for (size_t i = 0; i < indices.size(); ++i) {
    features.push_back({indices[i], values.data()[i]});
  }
  absl::Span<const float> row;
  if (x.has_value()) row = {x->data(), x->size()};
  std::vector<float> out(self.output_dim());
  ThrowIfError(self.Decode(features, row, absl::MakeSpan(out)));
  return Floats(std::move(out));
}

// Returns, for each autoencoder and each token, its features.
nb::list FeaturesOf(const BoundModel& model, const nb::object& text,
                    const std::vector<SparseAutoencoder>& autoencoders,
                    size_t top, const std::vector<size_t>& wanted,
                    const std::vector<Steer>& steer, const std::string& cache) {
  const std::shared_ptr<Model> shared = model.get();
  const std::vector<TokenId> tokens = Tokens("tokens", text);
  std::vector<std::vector<std::vector<Feature>>> found(
      autoencoders.size(), std::vector<std::vector<Feature>>(tokens.size()));
  FeatureTapOptions options;
  for (const SparseAutoencoder& autoencoder : autoencoders) {
    options.readers.push_back({&autoencoder, top, wanted});
  }
  for (const Steer& change : steer) {
    options.changes.push_back(ChangeOf(change));
  }
  options.on_features = [&found](const TokenFeatures& of) {
    found[of.reader][of.position].assign(of.features.begin(),
                                         of.features.end());
  };
  TapFunction tap = ValueOrThrow(FeatureTap(*shared, std::move(options)));
  SessionOptions size;
  size.max_tokens = tokens.size();
  size.cache_format = ParseCacheFormat(cache);
  SignalCheck signals;
  const absl::Status status = [&] {
    const WithoutGil release;
    absl::StatusOr<Session> session = Session::Create(*shared, size);
    if (!session.ok()) return session.status();
    session->SetTap(std::move(tap));
    return session->Append(tokens, [&](size_t) { return !signals.Raised(); });
  }();
  signals.Throw();
  ThrowIfError(status);
  nb::list all;
  for (const auto& of_autoencoder : found) {
    nb::list of_tokens;
    for (const std::vector<Feature>& features : of_autoencoder) {
      of_tokens.append(FeatureArrays(features));
    }
    all.append(of_tokens);
  }
  return all;
}

}  // namespace

void AddFeatures(nb::module_& m) {
  nb::class_<SparseAutoencoder>(
      m, "SparseAutoencoder",
      "A sparse autoencoder or transcoder of Gemma Scope.\n\n"
      "path: params.npz, params.safetensors with config.json beside it, or the "
      "folder\nof one of them. site: where it is attached, for example "
      "'res@12', if its files\ndo not say so: res, att, mlp, transcoder or "
      "transcoder2 with the layer, or\nembedding. weights: 'float32', "
      "'bfloat16' or 'int8', in memory.")
      .def(nb::new_(&LoadAutoencoder), nb::arg("path"),
           nb::arg("site").none() = nb::none(), nb::kw_only(),
           nb::arg("weights") = "bfloat16", nb::arg("threads") = 0)
      .def_prop_ro(
          "site",
          [](const SparseAutoencoder& self) {
            return FeatureSiteText(self.site());
          },
          "Where it is attached, for example 'res@12'.")
      .def_prop_ro("input_dim", &SparseAutoencoder::input_dim,
                   "The number of columns of its input.")
      .def_prop_ro("output_dim", &SparseAutoencoder::output_dim,
                   "The number of columns of its reconstruction.")
      .def_prop_ro("num_features", &SparseAutoencoder::num_features,
                   "The number of features.")
      .def_prop_ro("memory_bytes", &SparseAutoencoder::memory_bytes,
                   "The bytes of its weights in memory.")
      .def_prop_ro("has_affine_skip", &SparseAutoencoder::has_affine_skip,
                   "Whether the reconstruction also depends directly on the "
                   "input.")
      .def("encode", &EncodeRows, nb::arg("rows"), nb::arg("top") = 0,
           "Returns (indices, values) of the active features of each row.\n\n"
           "rows: float32 [n, input_dim]. top: only the strongest, in "
           "descending order; 0:\nall, by ascending index.")
      .def("decode", &DecodeRow, nb::arg("indices"), nb::arg("values"),
           nb::arg("x").none() = nb::none(),
           "Returns the reconstruction of one row, float32 [output_dim].\n\n"
           "x: the encoded row, for an affine skip connection; None leaves "
           "that out.")
      .def(
          "direction",
          [](const SparseAutoencoder& self, size_t feature) {
            return Floats(ValueOrThrow(self.Direction(feature)));
          },
          nb::arg("feature"),
          "Returns what one unit of a feature adds, float32 [output_dim].")
      .def("__repr__", [](const SparseAutoencoder& self) {
        return absl::StrCat("<SparseAutoencoder ", FeatureSiteText(self.site()),
                            ", ", self.num_features(), " features>");
      });

  m.def("features", &FeaturesOf, nb::arg("model"), nb::arg("tokens"),
        nb::arg("autoencoders"), nb::kw_only(), nb::arg("top") = 0,
        nb::arg("wanted") = std::vector<size_t>(),
        nb::arg("steer") = std::vector<Steer>(), nb::arg("cache") = "auto",
        "Returns, for each autoencoder, (indices, values) of each token's "
        "features.");
}

}  // namespace gemma::python
