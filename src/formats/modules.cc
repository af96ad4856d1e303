#include "src/formats/modules.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/formats/directory.h"
#include "src/os/path.h"

namespace gemma::internal {
namespace {

constexpr std::string_view kModules = "modules.json";
// No known model lists more.
constexpr size_t kMaxModules = 32;

absl::StatusOr<Module> ReadModule(const std::string& directory,
                                  const Json& json) {
  Module module;
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("type", module.type));
  module.type.erase(0, module.type.rfind('.') + 1);
  GEMMA_RETURN_IF_ERROR(json.Read("path", module.path));
  if (module.path.empty()) return module;
  if (!IsPlainName(module.path)) {
    return json.Find("path")->Unexpected(
        "the name of a folder in the same directory");
  }
  GEMMA_ASSIGN_OR_RETURN(
      module.config,
      ReadObject(InDirectory(directory, module.path), "config.json"));
  return module;
}

}  // namespace

std::string Module::TensorName(std::string_view name) const {
  return path.empty() ? std::string(name) : absl::StrCat(path, "/", name);
}

absl::StatusOr<std::vector<Module>> ReadModules(const std::string& directory) {
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> json,
                         ReadJson(directory, kModules));
  if (!json.has_value()) return std::vector<Module>();
  if (!json->is_array()) return json->Unexpected("an array of modules");
  if (json->size() > kMaxModules) {
    return absl::InvalidArgumentError(
        FormatText("%s: lists %u modules, wanted at most %u", json->Where(),
                   json->size(), kMaxModules));
  }
  std::vector<Module> modules;
  for (const Json& element : json->Elements()) {
    GEMMA_ASSIGN_OR_RETURN(Module module, ReadModule(directory, element));
    modules.push_back(std::move(module));
  }
  return modules;
}

std::vector<const Module*> ModulesOf(const std::vector<Module>& modules,
                                     std::string_view type) {
  std::vector<const Module*> found;
  for (const Module& module : modules) {
    if (module.type == type) found.push_back(&module);
  }
  return found;
}

}  // namespace gemma::internal
