// The string formats that a JSON schema may name.

#ifndef GEMMA_SRC_GRAMMAR_JSON_FORMATS_H_
#define GEMMA_SRC_GRAMMAR_JSON_FORMATS_H_

#include <optional>
#include <string_view>

namespace gemma::internal {

// Returns a regular expression for the whole string. All its texts have the
// format. If a format spells one value in many ways, some spellings are
// missing.
std::optional<std::string_view> FormatExpression(std::string_view format);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_JSON_FORMATS_H_
