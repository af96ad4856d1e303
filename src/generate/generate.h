// Generates text with a given drafter.

#ifndef GEMMA_SRC_GENERATE_GENERATE_H_
#define GEMMA_SRC_GENERATE_GENERATE_H_

#include <functional>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/generate.h"
#include "src/forward/word_view.h"
#include "src/generate/speculator.h"

namespace gemma::internal {

// As Generate. The drafter may be null. It does not change the answer.
absl::StatusOr<GenerateStats> GenerateWith(
    Drafter* drafter, Session& session, const WordView& prompt,
    const GenerateOptions& options,
    const std::function<bool(std::string_view text)>& on_text);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_GENERATE_H_
