// Implements gemma/c_model.h.

#include "gemma/c_model.h"

#include <utility>

#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

namespace gemma::internal {

absl::Status ReadAdapters(const char* const* paths, const float* scales,
                          size_t count, std::vector<Adapter>& to) {
  std::vector<std::string> texts;
  GEMMA_RETURN_IF_ERROR(ReadTexts(paths, count, "adapters", texts));
  for (size_t i = 0; i < count; ++i) {
    to.push_back({std::move(texts[i]), scales != nullptr ? scales[i] : 1.0f});
  }
  return absl::OkStatus();
}

absl::Status ReadWeightType(const gemma_weight_type& from,
                            std::string_view name, WeightType& to) {
  return ReadEnum(from, name, GEMMA_WEIGHTS_Q4_0 + 1, to);
}

absl::Status WriteMemory(const MemoryUse& from, gemma_memory_use* to) {
  GEMMA_RETURN_IF_ERROR(CheckSize(*to, "gemma_memory_use"));
  WriteSized({.weights = from.weights,
              .mapped = from.mapped,
              .weights_per_token = from.weights_per_token,
              .cache = from.cache,
              .scratch = from.scratch,
              .checkpoints = from.checkpoints,
              .table = from.table,
              .table_per_token = from.table_per_token,
              .total = from.total()},
             to);
  return absl::OkStatus();
}

namespace {

absl::Status ReadLoadOptions(const gemma_load_options& from, LoadOptions& to) {
  to.num_threads = from.num_threads;
  to.num_decode_threads = from.num_decode_threads;
  to.prefill_chunk = from.prefill_chunk;
  to.activations =
      from.float32_activations ? Activations::kFloat32 : Activations::kRounded;
  to.deterministic = from.deterministic;
  GEMMA_RETURN_IF_ERROR(ReadAdapters(from.adapters, from.adapter_scales,
                                     from.num_adapters, to.adapters));
  GEMMA_RETURN_IF_ERROR(
      ReadEnum(from.turn_source, "turn_source", 3, to.turn_source));
  to.chat_template_file = TextOrEmpty(from.chat_template_file);
  GEMMA_RETURN_IF_ERROR(ReadEnum(from.recurrent_window, "recurrent_window", 2,
                                 to.recurrent_window));
  GEMMA_RETURN_IF_ERROR(ReadWeightType(from.quantize, "quantize", to.quantize));
  if (from.thread_pool != nullptr) to.thread_pool = from.thread_pool->pool;
  to.skip_weights = from.skip_weights;
  if (from.progress != nullptr) {
    to.progress = [call = from.progress,
                   user = from.user](const LoadProgress& progress) {
      return call(progress.done_bytes, progress.total_bytes, user);
    };
  }
  if (from.before_weights != nullptr) {
    to.before_weights = [call = from.before_weights,
                         user = from.user](const Model& model) {
      const gemma_model view = {model};
      if (call(&view, user)) return absl::OkStatus();
      return absl::CancelledError("before_weights returned false");
    };
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace gemma::internal

using gemma::internal::Reported;

gemma_status gemma_cap_simd(const char* name) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(name);
    return gemma::CapSimd(name);
  });
}

gemma_status gemma_thread_pool_create(size_t num_threads,
                                      gemma_thread_pool** pool) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(pool);
    GEMMA_ASSIGN_OR_RETURN(auto created,
                           gemma::ThreadPool::Create(num_threads));
    *pool = new gemma_thread_pool{std::move(created)};
    return absl::OkStatus();
  });
}

void gemma_thread_pool_free(gemma_thread_pool* pool) { delete pool; }

size_t gemma_thread_pool_num_threads(const gemma_thread_pool* pool) {
  return pool == nullptr ? 0 : pool->pool.num_threads();
}

void gemma_load_options_init(gemma_load_options* options, size_t size) {
  const gemma::LoadOptions defaults;
  gemma::internal::InitSized(
      options, size,
      {.num_threads = defaults.num_threads,
       .num_decode_threads = defaults.num_decode_threads,
       .prefill_chunk = defaults.prefill_chunk,
       .float32_activations =
           defaults.activations == gemma::Activations::kFloat32,
       .deterministic = defaults.deterministic});
}

gemma_status gemma_model_load(const char* path,
                              const gemma_load_options* options,
                              gemma_model** model) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(path);
    GEMMA_C_REQUIRE(model);
    gemma_load_options from;
    gemma_load_options_init(&from, sizeof(from));
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadSized(options, "gemma_load_options", from));
    gemma::LoadOptions load;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadLoadOptions(from, load));
    GEMMA_ASSIGN_OR_RETURN(auto loaded,
                           gemma::Model::Load(path, std::move(load)));
    *model = new gemma_model{std::move(loaded)};
    return absl::OkStatus();
  });
}

void gemma_model_free(gemma_model* model) { delete model; }

size_t gemma_model_vocab_size(const gemma_model* model) {
  return model == nullptr ? 0 : model->model.config().vocab_size;
}

size_t gemma_model_max_context(const gemma_model* model) {
  return model == nullptr ? 0 : model->model.config().max_context;
}

bool gemma_model_is_instruction_tuned(const gemma_model* model) {
  return model != nullptr && model->model.is_instruction_tuned();
}

const char* gemma_model_architecture(const gemma_model* model) {
  return model == nullptr ? "" : model->model.config().architecture.c_str();
}

size_t gemma_model_num_threads(const gemma_model* model) {
  return model == nullptr ? 0 : model->model.num_threads();
}

size_t gemma_model_num_notes(const gemma_model* model) {
  return model == nullptr ? 0 : model->model.notes().size();
}

const char* gemma_model_note(const gemma_model* model, size_t index) {
  if (index >= gemma_model_num_notes(model)) return "";
  return model->model.notes()[index].c_str();
}

void gemma_tensor_init(gemma_tensor* tensor, size_t size) {
  gemma::internal::InitSized(tensor, size, {});
}

size_t gemma_model_num_tensors(const gemma_model* model) {
  return model == nullptr ? 0 : model->model.tensors().size();
}

gemma_status gemma_model_tensor(const gemma_model* model, size_t index,
                                gemma_tensor* tensor) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(tensor);
    GEMMA_RETURN_IF_ERROR(gemma::internal::CheckSize(*tensor, "gemma_tensor"));
    const auto& tensors = model->model.tensors();
    if (index >= tensors.size()) {
      return absl::OutOfRangeError(absl::StrCat("index is ", index,
                                                ", but the files have ",
                                                tensors.size(), " tensors"));
    }
    const gemma::TensorSummary& from = tensors[index];
    gemma::internal::WriteSized({.name = from.name.c_str(),
                                 .format = from.format.c_str(),
                                 .shape = from.shape.data(),
                                 .num_dims = from.shape.size(),
                                 .bytes = from.bytes},
                                tensor);
    return absl::OkStatus();
  });
}

void gemma_memory_use_init(gemma_memory_use* use, size_t size) {
  gemma::internal::InitSized(use, size, {});
}
