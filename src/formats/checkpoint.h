// The files of a model, opened and checked against each other.

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

namespace gemma::internal {

enum class CheckpointKind { kGguf, kHuggingFace, kSbs };

// Tensors and metadata point into the mapped files. A checkpoint is move-only.
struct Checkpoint {
  CheckpointKind kind = CheckpointKind::kGguf;
  std::string path;               // as given, for messages
  std::string directory;          // of the files; "." if the path has none
  std::vector<MappedFile> files;  // those with tensors, in order
  TensorTable tensors;            // all tensors; kSbs: see sbs_tensors.h
  // By name, the tensors of types that are not read. kGguf and kSbs: none.
  HashMap<std::string, UnreadTensor> unread;
  bool has_chat_template = false;

  // kGguf: the metadata of the first part.
  std::optional<GgufMetadata> metadata;

  // kSbs: the tensors as the file stores them.
  std::optional<SbsFile> sbs;

  // kHuggingFace: config.json is always set, the others if their file exists.
  // All are objects.
  std::optional<Json> config;
  std::optional<Json> generation_config;
  std::optional<Json> tokenizer_config;
  std::optional<Json> sentence_config;  // sentence_bert_config.json
  std::optional<Json> prompts_config;   // config_sentence_transformers.json

  // kHuggingFace: the modules in modules.json. `tensors` includes the tensors
  // of their folders; see Module::TensorName.
  std::vector<Module> modules;

  // Returns the memory of a tensor to the system once its values are not
  // needed.
  void Release(const Tensor& tensor) const;

  // Tells the system that single rows of a tensor will be read, in no order.
  void ExpectRandomReads(const Tensor& tensor) const;
};

// Opens one of these:
// - a GGUF file, or any part of a split one (-00001-of-00003.gguf) whose other
//   parts are in the same directory;
// - a directory with config.json and either model.safetensors, or
//   model.safetensors.index.json and its shards;
// - a gemma.cpp file (.sbs);
// - a directory with one GGUF model or one gemma.cpp file;
// - a model's folder in the cache of Hugging Face's tools; see SnapshotOf.
absl::StatusOr<Checkpoint> OpenCheckpoint(std::string path);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_CHECKPOINT_H_
