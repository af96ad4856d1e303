// The formats of strings that a JSON schema may ask for.

#ifndef GEMMA_SRC_GRAMMAR_JSON_FORMATS_H_
#define GEMMA_SRC_GRAMMAR_JSON_FORMATS_H_

#include <optional>
#include <string_view>

namespace gemma {

// A regular expression for the whole string. All its texts are of the format;
// of formats with many ways to write the same, not all texts are among them.
std::optional<std::string_view> FormatExpression(std::string_view format);

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_JSON_FORMATS_H_
