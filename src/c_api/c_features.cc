// Implements gemma/c_features.h.

#include "gemma/c_features.h"

#include <optional>
#include <type_traits>
#include <utility>

#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

namespace gemma::internal {

// Lists of features are passed without a copy.
static_assert(sizeof(gemma_feature) == sizeof(Feature) &&
              offsetof(gemma_feature, index) == offsetof(Feature, index) &&
              offsetof(gemma_feature, value) == offsetof(Feature, value));

gemma_feature_site SiteOf(const FeatureSite& site) {
  return {.input = static_cast<gemma_tap_point>(site.input),
          .output = static_cast<gemma_tap_point>(site.output),
          .layer = site.layer,
          .normalize = site.normalize};
}

namespace {

absl::Status ReadSite(const gemma_feature_site& from, FeatureSite& to) {
  constexpr unsigned kPoints = GEMMA_TAP_HEAD_INPUT + 1;
  GEMMA_RETURN_IF_ERROR(ReadEnum(from.input, "site.input", kPoints, to.input));
  GEMMA_RETURN_IF_ERROR(
      ReadEnum(from.output, "site.output", kPoints, to.output));
  to.layer = from.layer;
  to.normalize = from.normalize;
  return absl::OkStatus();
}

absl::Status ReadReaders(const gemma_feature_tap_options& from,
                         std::vector<FeatureReader>& to) {
  GEMMA_C_REQUIRE_LIST(from, readers, from.num_readers);
  for (size_t i = 0; i < from.num_readers; ++i) {
    const gemma_feature_reader& reader = from.readers[i];
    if (reader.autoencoder == nullptr) {
      return NullError(absl::StrCat("readers[", i, "].autoencoder"));
    }
    if (reader.num_features != 0 && reader.features == nullptr) {
      return NullError(absl::StrCat("readers[", i, "].features"));
    }
    to.push_back(
        {.autoencoder = &reader.autoencoder->autoencoder,
         .top_k = reader.top_k,
         .features = {reader.features, reader.features + reader.num_features}});
  }
  return absl::OkStatus();
}

absl::Status ReadChanges(const gemma_feature_tap_options& from,
                         std::vector<FeatureChange>& to) {
  GEMMA_C_REQUIRE_LIST(from, changes, from.num_changes);
  for (size_t i = 0; i < from.num_changes; ++i) {
    const gemma_feature_change& change = from.changes[i];
    if (change.autoencoder == nullptr) {
      return NullError(absl::StrCat("changes[", i, "].autoencoder"));
    }
    to.push_back({.autoencoder = &change.autoencoder->autoencoder,
                  .feature = change.feature,
                  .strength = change.strength,
                  .ablate = change.ablate});
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace gemma::internal

using gemma::internal::Reported;

// ---- Autoencoders

gemma_status gemma_feature_site_parse(const char* text,
                                      gemma_feature_site* site) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(text);
    GEMMA_C_REQUIRE(site);
    const auto parsed = gemma::ParseFeatureSite(text);
    if (!parsed.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("text is '", text, "', wanted a site such as res@12"));
    }
    *site = gemma::internal::SiteOf(*parsed);
    return absl::OkStatus();
  });
}

gemma_status gemma_feature_site_text(const gemma_feature_site* site, char* text,
                                     size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(site);
    GEMMA_C_REQUIRE(size);
    gemma::FeatureSite read;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadSite(*site, read));
    return gemma::internal::Write(gemma::FeatureSiteText(read), text, capacity,
                                  size);
  });
}

void gemma_autoencoder_options_init(gemma_autoencoder_options* options,
                                    size_t size) {
  const gemma::SparseAutoencoderOptions defaults;
  gemma::internal::InitSized(
      options, size,
      {.weights = static_cast<gemma_feature_weights>(defaults.weights),
       .num_threads = defaults.num_threads});
}

gemma_status gemma_autoencoder_load(const char* path,
                                    const gemma_autoencoder_options* options,
                                    gemma_autoencoder** autoencoder) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(path);
    GEMMA_C_REQUIRE(autoencoder);
    gemma_autoencoder_options from;
    gemma_autoencoder_options_init(&from, sizeof(from));
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadSized(options, "gemma_autoencoder_options", from));
    gemma::SparseAutoencoderOptions load;
    load.num_threads = from.num_threads;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadEnum(
        from.weights, "weights", GEMMA_FEATURES_INT8 + 1, load.weights));
    if (from.site != nullptr) {
      GEMMA_RETURN_IF_ERROR(
          gemma::internal::ReadSite(*from.site, load.site.emplace()));
    }
    GEMMA_ASSIGN_OR_RETURN(auto loaded,
                           gemma::SparseAutoencoder::Load(path, load));
    *autoencoder = new gemma_autoencoder{std::move(loaded)};
    return absl::OkStatus();
  });
}

void gemma_autoencoder_free(gemma_autoencoder* autoencoder) {
  delete autoencoder;
}

void gemma_autoencoder_info_init(gemma_autoencoder_info* info, size_t size) {
  gemma::internal::InitSized(info, size, {});
}

gemma_status gemma_autoencoder_get_info(const gemma_autoencoder* autoencoder,
                                        gemma_autoencoder_info* info) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(autoencoder);
    GEMMA_C_REQUIRE(info);
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::CheckSize(*info, "gemma_autoencoder_info"));
    const gemma::SparseAutoencoder& from = autoencoder->autoencoder;
    gemma::internal::WriteSized({.input_dim = from.input_dim(),
                                 .output_dim = from.output_dim(),
                                 .num_features = from.num_features(),
                                 .memory_bytes = from.memory_bytes(),
                                 .site = gemma::internal::SiteOf(from.site()),
                                 .has_affine_skip = from.has_affine_skip()},
                                info);
    return absl::OkStatus();
  });
}

gemma_status gemma_autoencoder_check_fits(const gemma_autoencoder* autoencoder,
                                          const gemma_model* model) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(autoencoder);
    GEMMA_C_REQUIRE(model);
    return gemma::CheckFits(model->model, autoencoder->autoencoder);
  });
}

gemma_status gemma_autoencoder_encode(const gemma_autoencoder* autoencoder,
                                      const float* x, size_t num_rows,
                                      size_t top_k, gemma_feature* features,
                                      size_t capacity, size_t* size,
                                      size_t* row_sizes) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(autoencoder);
    if (num_rows != 0) GEMMA_C_REQUIRE(x);
    GEMMA_C_REQUIRE(size);
    if (num_rows != 0) GEMMA_C_REQUIRE(row_sizes);
    const gemma::SparseAutoencoder& encoder = autoencoder->autoencoder;
    const size_t max_rows = SIZE_MAX / sizeof(float) / encoder.input_dim();
    if (num_rows > max_rows) {
      return absl::InvalidArgumentError(absl::StrCat(
          "num_rows is ", num_rows, ", wanted at most ", max_rows));
    }
    GEMMA_ASSIGN_OR_RETURN(
        const auto rows,
        encoder.Encode({x, num_rows * encoder.input_dim()}, top_k));
    size_t wanted = 0;
    for (const auto& row : rows) wanted += row.size();
    GEMMA_RETURN_IF_ERROR(gemma::internal::WriteSize(wanted, capacity, size));
    if (wanted != 0) GEMMA_C_REQUIRE(features);
    for (const auto& row : rows) {
      *row_sizes++ = row.size();
      for (const gemma::Feature& feature : row) {
        *features++ = {.index = feature.index, .value = feature.value};
      }
    }
    return absl::OkStatus();
  });
}

gemma_status gemma_autoencoder_decode(const gemma_autoencoder* autoencoder,
                                      const gemma_feature* features,
                                      size_t num_features, const float* x,
                                      float* out) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(autoencoder);
    if (num_features != 0) GEMMA_C_REQUIRE(features);
    GEMMA_C_REQUIRE(out);
    std::vector<gemma::Feature> read;
    for (size_t i = 0; i < num_features; ++i) {
      read.push_back({features[i].index, features[i].value});
    }
    const gemma::SparseAutoencoder& decoder = autoencoder->autoencoder;
    const size_t x_size = x == nullptr ? 0 : decoder.input_dim();
    return decoder.Decode(read, {x, x_size}, {out, decoder.output_dim()});
  });
}

gemma_status gemma_autoencoder_direction(const gemma_autoencoder* autoencoder,
                                         size_t feature, float* out) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(autoencoder);
    GEMMA_C_REQUIRE(out);
    GEMMA_ASSIGN_OR_RETURN(const std::vector<float> direction,
                           autoencoder->autoencoder.Direction(feature));
    std::copy(direction.begin(), direction.end(), out);
    return absl::OkStatus();
  });
}

// ---- Features of sessions and requests

void gemma_feature_tap_options_init(gemma_feature_tap_options* options,
                                    size_t size) {
  gemma::internal::InitSized(options, size, {});
}

gemma_status gemma_feature_tap_create(const gemma_model* model,
                                      const gemma_feature_tap_options* options,
                                      gemma_feature_tap** tap) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(options);
    GEMMA_C_REQUIRE(tap);
    gemma_feature_tap_options from = {};
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadSized(options, "gemma_feature_tap_options", from));
    gemma::FeatureTapOptions read;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadReaders(from, read.readers));
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadChanges(from, read.changes));
    if (from.on_features != nullptr) {
      read.on_features = [call = from.on_features,
                          user = from.user](const gemma::TokenFeatures& found) {
        const gemma_token_features features = {
            .struct_size = sizeof(features),
            .reader = found.reader,
            .position = found.position,
            .features =
                reinterpret_cast<const gemma_feature*>(found.features.data()),
            .num_features = found.features.size()};
        call(&features, user);
      };
    }
    GEMMA_ASSIGN_OR_RETURN(auto created,
                           gemma::FeatureTap(model->model, std::move(read)));
    *tap = new gemma_feature_tap{model->model, std::move(created)};
    return absl::OkStatus();
  });
}

void gemma_feature_tap_free(gemma_feature_tap* tap) { delete tap; }

gemma_status gemma_session_set_feature_tap(gemma_session* session,
                                           const gemma_feature_tap* tap) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    if (tap != nullptr) {
      GEMMA_RETURN_IF_ERROR(
          gemma::internal::CheckTapModel(*tap, session->session.model()));
    }
    session->session.SetTap(tap == nullptr ? gemma::TapFunction() : tap->tap);
    return absl::OkStatus();
  });
}
