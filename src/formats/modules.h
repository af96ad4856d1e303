// The steps of a sentence-transformers model, each with a folder of its own in
// the directory: https://sbert.net, "Creating Custom Models".

#ifndef GEMMA_SRC_FORMATS_MODULES_H_
#define GEMMA_SRC_FORMATS_MODULES_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "src/base/json.h"

namespace gemma {

// One step.
struct Module {
  std::string type;  // without the Python module that it is in: "Dense"
  std::string path;  // name of its folder; empty: the directory itself
  std::optional<Json> config;  // the folder's config.json, an object

  // What a checkpoint calls a tensor of the folder.
  std::string TensorName(std::string_view name) const;
};

// The steps that modules.json lists, in its order; none if there is no such
// file. Their paths are plain names.
absl::StatusOr<std::vector<Module>> ReadModules(const std::string& directory);

}  // namespace gemma

#endif  // GEMMA_SRC_FORMATS_MODULES_H_
