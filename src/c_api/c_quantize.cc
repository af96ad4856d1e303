// Implements gemma/c_quantize.h.

#include "gemma/c_quantize.h"

#include <optional>

#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

namespace gemma::internal {
namespace {

absl::Status ReadOptionalType(const gemma_weight_type* from,
                              std::string_view name,
                              std::optional<WeightType>& to) {
  if (from == nullptr) return absl::OkStatus();
  return ReadWeightType(*from, name, to.emplace());
}

absl::Status ReadQuantizeOptions(const gemma_quantize_options& from,
                                 QuantizeOptions& to) {
  GEMMA_RETURN_IF_ERROR(ReadWeightType(from.type, "type", to.type));
  GEMMA_RETURN_IF_ERROR(ReadEnum(from.layout, "layout", 2, to.layout));
  to.bits = from.bits;
  GEMMA_RETURN_IF_ERROR(
      ReadOptionalType(from.table_type, "table_type", to.table_type));
  GEMMA_RETURN_IF_ERROR(
      ReadOptionalType(from.expert_type, "expert_type", to.expert_type));
  to.importance = TextOrEmpty(from.importance);
  GEMMA_RETURN_IF_ERROR(ReadAdapters(from.adapters, from.adapter_scales,
                                     from.num_adapters, to.adapters));
  to.overwrite = from.overwrite;
  to.num_threads = from.num_threads;
  if (from.note != nullptr) {
    to.note = [call = from.note, user = from.user](std::string_view text) {
      call(std::string(text).c_str(), user);
    };
  }
  if (from.progress != nullptr) {
    to.progress = [call = from.progress,
                   user = from.user](const QuantizeProgress& progress) {
      return call(progress.done_bytes, progress.total_bytes, user);
    };
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace gemma::internal

using gemma::internal::Reported;

void gemma_quantize_options_init(gemma_quantize_options* options, size_t size) {
  const gemma::QuantizeOptions defaults;
  gemma::internal::InitSized(
      options, size,
      {.type = static_cast<gemma_weight_type>(defaults.type),
       .layout = static_cast<gemma_file_layout>(defaults.layout),
       .bits = defaults.bits,
       .num_threads = defaults.num_threads,
       .overwrite = defaults.overwrite});
}

gemma_status gemma_quantize(const char* source, const char* target,
                            const gemma_quantize_options* options) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(source);
    GEMMA_C_REQUIRE(target);
    gemma_quantize_options from;
    gemma_quantize_options_init(&from, sizeof(from));
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadSized(options, "gemma_quantize_options", from));
    gemma::QuantizeOptions read;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadQuantizeOptions(from, read));
    return gemma::Quantize(source, target, read);
  });
}

void gemma_verify_options_init(gemma_verify_options* options, size_t size) {
  gemma::internal::InitSized(options, size, {});
}

void gemma_file_check_init(gemma_file_check* check, size_t size) {
  gemma::internal::InitSized(check, size, {});
}

gemma_status gemma_verify_file(const char* path,
                               const gemma_verify_options* options,
                               gemma_file_check* check) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(path);
    if (check != nullptr) {
      GEMMA_RETURN_IF_ERROR(
          gemma::internal::CheckSize(*check, "gemma_file_check"));
    }
    gemma_verify_options from = {};
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadSized(options, "gemma_verify_options", from));
    gemma::VerifyOptions verify = {.num_threads = from.num_threads};
    if (from.progress != nullptr) {
      verify.progress = [&from](uint64_t done, uint64_t total) {
        return from.progress(done, total, from.user);
      };
    }
    GEMMA_ASSIGN_OR_RETURN(const gemma::FileCheck found,
                           gemma::VerifyFile(path, verify));
    if (check == nullptr) return absl::OkStatus();
    gemma::internal::WriteSized({.tensors = found.tensors,
                                 .bytes = found.bytes,
                                 .has_checksums = found.has_checksums},
                                check);
    return absl::OkStatus();
  });
}
