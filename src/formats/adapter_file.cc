#include "src/formats/adapter_file.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/formats/directory.h"
#include "src/formats/safetensors.h"
#include "src/formats/wrong_file.h"
#include "src/os/path.h"

namespace gemma::internal {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAdapterWeights = "adapter_model.safetensors";
constexpr std::string_view kAdapterPickle = "adapter_model.bin";
constexpr std::string_view kTypeKey = "general.type";
constexpr std::string_view kAdapterType = "adapter";
// The name of the first base model, as llama.cpp's converter writes it.
constexpr std::string_view kBaseNameKey = "general.base_model.0.name";

absl::Status NotAnAdapter(const std::string& path, std::string_view found) {
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": not a LoRA adapter (found ", found, ", wanted a directory with ",
      kAdapterConfig, " and ", kAdapterWeights,
      ", or a GGUF file whose general.type is 'adapter')"));
}

absl::Status WithoutModel(const std::string& path, std::string_view base) {
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat(
          path, ": holds only a LoRA adapter",
          base.empty() ? std::string() : absl::StrCat(" for ", Quoted(base)),
          ", wanted a model")),
      ErrorReason::kAdapter);
}

absl::StatusOr<AdapterFile> OpenPeft(const std::string& directory) {
  AdapterFile adapter;
  GEMMA_ASSIGN_OR_RETURN(adapter.config, ReadObject(directory, kAdapterConfig));
  if (!adapter.config.has_value()) {
    return NotAnAdapter(directory,
                        absl::StrCat("a directory without ", kAdapterConfig));
  }
  adapter.path = InDirectory(directory, kAdapterWeights);
  if (!Exists(directory, kAdapterWeights) &&
      Exists(directory, kAdapterPickle)) {
    return absl::InvalidArgumentError(absl::StrCat(
        InDirectory(directory, kAdapterPickle),
        ": is a file of PyTorch, whose reading may run code, wanted ",
        kAdapterWeights));
  }
  GEMMA_ASSIGN_OR_RETURN(MappedFile file, OpenModelFile(adapter.path));
  GEMMA_ASSIGN_OR_RETURN(SafetensorsFile parsed,
                         ParseSafetensors(file.bytes(), file.path()));
  if (!parsed.skipped.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        adapter.path, ": tensor ",
        Quoted(std::min_element(parsed.skipped.begin(), parsed.skipped.end())
                   ->first),
        " is of a type that cannot be merged, wanted F32, F16 or BF16"));
  }
  adapter.tensors = std::move(parsed.tensors);
  adapter.files.push_back(std::move(file));
  return adapter;
}

absl::StatusOr<AdapterFile> OpenFile(const std::string& path) {
  AdapterFile adapter;
  adapter.path = path;
  GEMMA_ASSIGN_OR_RETURN(MappedFile file, OpenModelFile(path));
  if (!IsGguf(file.bytes())) {
    return NotAnAdapter(
        path, absl::EndsWith(path, ".safetensors")
                  ? absl::StrCat("a safetensors file: give its directory, ",
                                 DirectoryOf(path))
                  : absl::StrCat("a file that begins with ",
                                 Quoted(file.text().substr(0, 4))));
  }
  GEMMA_ASSIGN_OR_RETURN(GgufFile gguf, ParseGguf(file.bytes(), path));
  if (!IsAdapter(gguf.metadata)) {
    std::string type = "model";
    GEMMA_RETURN_IF_ERROR(gguf.metadata.Read(kTypeKey, type));
    return NotAnAdapter(path,
                        absl::StrCat("a GGUF file of type ", Quoted(type)));
  }
  adapter.tensors = std::move(gguf.tensors);
  adapter.metadata = std::move(gguf.metadata);
  adapter.files.push_back(std::move(file));
  return adapter;
}

}  // namespace

absl::StatusOr<AdapterFile> OpenAdapter(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) ? OpenPeft(path) : OpenFile(path);
}

bool IsAdapter(const GgufMetadata& metadata) {
  std::string_view type;
  return metadata.Read(kTypeKey, type).ok() && type == kAdapterType;
}

absl::Status AdapterWithoutModel(const std::string& directory) {
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> config,
                         ReadObject(directory, kAdapterConfig));
  std::string base;
  if (config.has_value()) {
    GEMMA_RETURN_IF_ERROR(config->Read("base_model_name_or_path", base));
  }
  return WithoutModel(directory, base);
}

absl::Status AdapterWithoutModel(const GgufMetadata& metadata) {
  std::string base;
  GEMMA_RETURN_IF_ERROR(metadata.Read(kBaseNameKey, base));
  return WithoutModel(metadata.path(), base);
}

}  // namespace gemma::internal
