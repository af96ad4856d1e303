// The files of a model: which they are, opened and checked against each other.

#ifndef GEMMA_SRC_FORMATS_CHECKPOINT_H_
#define GEMMA_SRC_FORMATS_CHECKPOINT_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "src/base/json.h"
#include "src/formats/gguf.h"
#include "src/formats/modules.h"
#include "src/formats/sbs.h"
#include "src/formats/tensor.h"
#include "src/os/mapped_file.h"

namespace gemma {

enum class CheckpointKind { kGguf, kHuggingFace, kSbs };

// Tensors and metadata point into the mapped files. Move-only.
struct Checkpoint {
  CheckpointKind kind = CheckpointKind::kGguf;
  std::string path;               // as given, for messages
  std::string directory;          // where the files are; "." if none was given
  std::vector<MappedFile> files;  // with tensors, in the order of the parts
  TensorTable tensors;            // of all files; kSbs: see sbs_tensors.h
  bool has_chat_template = false;

  // kGguf: of the first part.
  std::optional<GgufMetadata> metadata;

  // kSbs: its tensors as they lie in the file.
  std::optional<SbsFile> sbs;

  // kHuggingFace: config.json, always; the others if the file is there. All
  // are objects.
  std::optional<Json> config;
  std::optional<Json> generation_config;
  std::optional<Json> tokenizer_config;
  std::optional<Json> sentence_config;  // sentence_bert_config.json

  // kHuggingFace: of modules.json. The tensors of their folders are among
  // `tensors`, see Module::TensorName.
  std::vector<Module> modules;

  // Gives back the memory of a tensor whose values are no longer needed.
  void Release(const Tensor& tensor) const;
};

// Opens
// - a GGUF file, or any part of a split one (-00001-of-00003.gguf), whose other
//   parts must lie beside it;
// - a directory with config.json and model.safetensors, or
//   model.safetensors.index.json and its shards;
// - a file of gemma.cpp (.sbs);
// - a directory with one GGUF model or one file of gemma.cpp.
absl::StatusOr<Checkpoint> OpenCheckpoint(std::string path);

// The modules of a type, in their order.
std::vector<const Module*> ModulesOf(const Checkpoint& checkpoint,
                                     std::string_view type);

}  // namespace gemma

#endif  // GEMMA_SRC_FORMATS_CHECKPOINT_H_
