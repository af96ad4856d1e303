// Files of a directory that is a model.

#ifndef GEMMA_SRC_FORMATS_DIRECTORY_H_
#define GEMMA_SRC_FORMATS_DIRECTORY_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "src/base/json.h"

namespace gemma {

std::string InDirectory(const std::string& directory, std::string_view name);

bool Exists(const std::string& directory, std::string_view name);

// Whether a name that a file gives is one of a file or folder beside it. The
// directory is the model: what lies elsewhere is not of it.
bool IsPlainName(std::string_view name);

// The parsed file, or nothing if there is no such file.
absl::StatusOr<std::optional<Json>> ReadJson(const std::string& directory,
                                             std::string_view name);
// The same of a file that must be an object.
absl::StatusOr<std::optional<Json>> ReadObject(const std::string& directory,
                                               std::string_view name);

}  // namespace gemma

#endif  // GEMMA_SRC_FORMATS_DIRECTORY_H_
