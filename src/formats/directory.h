// Reads files of a model's directory.

#ifndef GEMMA_SRC_FORMATS_DIRECTORY_H_
#define GEMMA_SRC_FORMATS_DIRECTORY_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "src/base/json.h"

namespace gemma::internal {

std::string InDirectory(const std::string& directory, std::string_view name);

bool Exists(const std::string& directory, std::string_view name);

// Returns OK, or an error with ErrorReason::kMissingFile if a link to a file of
// a model leads to nothing, as when files of Hugging Face's cache were removed.
absl::Status CheckLinks(const std::string& directory);

// Returns the parsed file, or nothing if it does not exist.
absl::StatusOr<std::optional<Json>> ReadJson(const std::string& directory,
                                             std::string_view name);
// The same for a file that must be an object.
absl::StatusOr<std::optional<Json>> ReadObject(const std::string& directory,
                                               std::string_view name);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_DIRECTORY_H_
