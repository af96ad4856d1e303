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

namespace gemma::internal {

// One step of the model.
struct Module {
  std::string type;            // without its Python module: "Dense"
  std::string path;            // its folder; empty: the directory itself
  std::optional<Json> config;  // the folder's config.json, an object

  // Returns the name that the checkpoint gives to a tensor of this folder.
  std::string TensorName(std::string_view name) const;
};

// Returns the steps in the order of modules.json, or an empty list if the file
// does not exist. Paths are plain names.
absl::StatusOr<std::vector<Module>> ReadModules(const std::string& directory);

// Returns the modules of a type, in order.
std::vector<const Module*> ModulesOf(const std::vector<Module>& modules,
                                     std::string_view type);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_MODULES_H_
