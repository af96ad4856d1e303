// The files of a LoRA adapter, opened.

#ifndef GEMMA_SRC_FORMATS_ADAPTER_FILE_H_
#define GEMMA_SRC_FORMATS_ADAPTER_FILE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/json.h"
#include "src/formats/gguf.h"
#include "src/formats/tensor.h"
#include "src/os/mapped_file.h"

namespace gemma::internal {

// The configuration of an adapter in the form of PEFT.
inline constexpr std::string_view kAdapterConfig = "adapter_config.json";

// The tensors point into the mapped file.
struct AdapterFile {
  std::string path;               // of the file with the tensors, for messages
  std::vector<MappedFile> files;  // that one
  TensorTable tensors;
  // Exactly one of these is set: a PEFT directory's adapter_config.json, an
  // object, or the metadata of a GGUF file.
  std::optional<Json> config;
  std::optional<GgufMetadata> metadata;
};

// Opens a directory with adapter_config.json and adapter_model.safetensors, or
// a GGUF file with the general.type "adapter". Errors say what else the path
// is.
absl::StatusOr<AdapterFile> OpenAdapter(const std::string& path);

// Whether the file is an adapter, not a model.
bool IsAdapter(const GgufMetadata& metadata);

// The error for a directory (GGUF file) that holds only an adapter, where a
// model is needed. Names the adapter's base model if the files state it.
absl::Status AdapterWithoutModel(const std::string& directory);
absl::Status AdapterWithoutModel(const GgufMetadata& metadata);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_ADAPTER_FILE_H_
