// The record of a model as JSON. Untrusted input: `gemma remove` deletes the
// files that it names, so every name is validated.

#ifndef GEMMA_TOOLS_GEMMA_PULL_MODEL_RECORD_H_
#define GEMMA_TOOLS_GEMMA_PULL_MODEL_RECORD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tools/gemma/pull/model_store.h"

namespace gemma::tools {

// The record's file name in a model's folder.
inline constexpr std::string_view kRecordFile = "gemma-pull.json";

// Whether `name` is a plain name (see IsPlainName) of at most 200 bytes, and
// not the record's name.
bool IsPlainFileName(std::string_view name);
// Whether `name` is such a name, or two of them, a folder and a file:
// "2_Dense/config.json".
bool IsStoredFileName(std::string_view name);

std::string RecordToText(const StoredModel& model);

// Parses the record of the model `name`. `where` names the record in errors.
absl::StatusOr<StoredModel> ParseRecord(std::string_view text,
                                        std::string_view name,
                                        std::string_view where);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_MODEL_RECORD_H_
