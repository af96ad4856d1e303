// The record of a model as JSON. It is not trusted: files that it names are
// removed.

#ifndef GEMMA_TOOLS_GEMMA_PULL_MODEL_RECORD_H_
#define GEMMA_TOOLS_GEMMA_PULL_MODEL_RECORD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tools/gemma/pull/model_store.h"

namespace gemma::tools {

// The record's name in a model's folder.
inline constexpr std::string_view kRecordFile = "gemma-pull.json";

// A name without folders that is neither "." nor ".." nor the record's, nor
// has control characters.
bool IsPlainFileName(std::string_view name);
// Such a name, or one in a folder that has one: "2_Dense/config.json".
bool IsStoredFileName(std::string_view name);

std::string RecordToText(const StoredModel& model);

// `where` names the record in errors.
absl::StatusOr<StoredModel> ParseRecord(std::string_view text,
                                        std::string_view name,
                                        std::string_view where);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_MODEL_RECORD_H_
