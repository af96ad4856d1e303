#include "src/formats/directory.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "gemma/error_reason.h"
#include "src/base/status_macros.h"
#include "src/formats/wrong_file.h"
#include "src/os/mapped_file.h"
#include "src/os/path.h"

namespace gemma::internal {

namespace fs = std::filesystem;

namespace {

// The ends of the names of all files that models have.
constexpr std::string_view kEndings[] = {
    ".json", ".safetensors", ".gguf", ".sbs", ".model", ".spm", ".jinja"};

// Files of images and sound have such names too, and are not read.
bool IsOfModel(std::string_view name) {
  return !absl::StartsWith(name, "mmproj") &&
         !absl::StrContains(name, "processor_config") &&
         std::any_of(std::begin(kEndings), std::end(kEndings),
                     [&](std::string_view ending) {
                       return absl::EndsWith(name, ending);
                     });
}

}  // namespace

std::string InDirectory(const std::string& directory, std::string_view name) {
  return (fs::path(directory) / fs::path(name)).string();
}

bool Exists(const std::string& directory, std::string_view name) {
  std::error_code error;
  return fs::exists(InDirectory(directory, name), error);
}

absl::Status CheckLinks(const std::string& directory) {
  // A directory need not be listed to be read.
  const absl::StatusOr<std::vector<std::string>> names = NamesIn(directory);
  if (!names.ok()) return absl::OkStatus();
  for (const std::string& name : *names) {
    if (!IsOfModel(name)) continue;
    const absl::Status status = CheckLink(InDirectory(directory, name));
    if (!status.ok()) return WithReason(status, ErrorReason::kMissingFile);
  }
  return absl::OkStatus();
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
