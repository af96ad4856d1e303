#include "src/formats/directory.h"

#include <filesystem>
#include <system_error>

#include "src/base/status_macros.h"
#include "src/formats/wrong_file.h"
#include "src/os/mapped_file.h"

namespace gemma::internal {

namespace fs = std::filesystem;

std::string InDirectory(const std::string& directory, std::string_view name) {
  return (fs::path(directory) / fs::path(name)).string();
}

bool Exists(const std::string& directory, std::string_view name) {
  std::error_code error;
  return fs::exists(InDirectory(directory, name), error);
}

absl::StatusOr<std::optional<Json>> ReadJson(const std::string& directory,
                                             std::string_view name) {
  if (!Exists(directory, name)) return std::nullopt;
  GEMMA_ASSIGN_OR_RETURN(const MappedFile file,
                         OpenModelFile(InDirectory(directory, name)));
  return Json::Parse(file.text(), file.path());
}

absl::StatusOr<std::optional<Json>> ReadObject(const std::string& directory,
                                               std::string_view name) {
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> json,
                         ReadJson(directory, name));
  if (json.has_value() && !json->is_object()) {
    return json->Unexpected("an object");
  }
  return json;
}

}  // namespace gemma::internal
