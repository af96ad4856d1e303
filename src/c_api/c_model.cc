// Implements the parts of gemma/c_api.h that concern models, and messages.

#include "gemma/c_api.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

namespace gemma {
namespace {

absl::Status ReadTurnSource(const gemma_load_options& from,
                            TurnSource& source) {
  constexpr TurnSource kSources[] = {TurnSource::kAutomatic, TurnSource::kFile,
                                     TurnSource::kGemma};
  const unsigned number = NumberOf(from.turn_source);
  if (number >= std::size(kSources)) {
    return absl::InvalidArgumentError(
        absl::StrCat("turn_source is ", number, ", wanted 0 to 2"));
  }
  source = kSources[number];
  return absl::OkStatus();
}

}  // namespace
}  // namespace gemma

using gemma::internal::Reported;

const char* gemma_last_error(void) { return gemma::internal::LastError(); }
const char* gemma_version(void) { return GEMMA_VERSION_STRING; }

gemma_status gemma_cap_simd(const char* name) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(name);
    return gemma::CapSimd(name);
  });
}

void gemma_load_options_init(gemma_load_options* options) {
  if (options == nullptr) return;
  const gemma::LoadOptions defaults;
  *options = {};
  options->struct_size = sizeof(*options);
  options->num_threads = defaults.num_threads;
  options->num_decode_threads = defaults.num_decode_threads;
  options->prefill_chunk = defaults.prefill_chunk;
  options->float32_activations =
      defaults.activations == gemma::Activations::kFloat32;
  options->deterministic = defaults.deterministic;
}

gemma_status gemma_model_load(const char* path,
                              const gemma_load_options* options,
                              gemma_model** model) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(path);
    GEMMA_C_REQUIRE(model);
    gemma_load_options from;
    gemma_load_options_init(&from);
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadSized(options, "gemma_load_options", from));
    gemma::LoadOptions load;
    load.num_threads = from.num_threads;
    load.num_decode_threads = from.num_decode_threads;
    load.prefill_chunk = from.prefill_chunk;
    load.activations = from.float32_activations ? gemma::Activations::kFloat32
                                                : gemma::Activations::kRounded;
    load.deterministic = from.deterministic;
    if (from.num_adapters > 0) GEMMA_C_REQUIRE(from.adapters);
    for (size_t i = 0; i < from.num_adapters; ++i) {
      GEMMA_C_REQUIRE(from.adapters[i]);
      const float scale =
          from.adapter_scales != nullptr ? from.adapter_scales[i] : 1.0f;
      load.adapters.push_back({from.adapters[i], scale});
    }
    GEMMA_RETURN_IF_ERROR(gemma::ReadTurnSource(from, load.turn_source));
    if (from.chat_template_file != nullptr) {
      load.chat_template_file = from.chat_template_file;
    }
    if (from.progress != nullptr) {
      load.progress = [&from](const gemma::LoadProgress& progress) {
        return from.progress(progress.done_bytes, progress.total_bytes,
                             from.user);
      };
    }
    auto loaded = gemma::Model::Load(path, std::move(load));
    GEMMA_RETURN_IF_ERROR(loaded.status());
    *model = new gemma_model{*std::move(loaded)};
    return absl::OkStatus();
  });
}

void gemma_model_free(gemma_model* model) { delete model; }

size_t gemma_model_vocab_size(const gemma_model* model) {
  if (model == nullptr) return 0;
  return model->model.config().vocab_size;
}

size_t gemma_model_max_context(const gemma_model* model) {
  if (model == nullptr) return 0;
  return model->model.config().max_context;
}

bool gemma_model_is_instruction_tuned(const gemma_model* model) {
  if (model == nullptr) return false;
  return model->model.is_instruction_tuned();
}

const char* gemma_model_architecture(const gemma_model* model) {
  if (model == nullptr) return "";
  return model->model.config().architecture.c_str();
}
