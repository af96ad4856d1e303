// Template source to tokens.

#ifndef GEMMA_SRC_JINJA_SYNTAX_LEXER_H_
#define GEMMA_SRC_JINJA_SYNTAX_LEXER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::internal {

struct JinjaToken {
  enum class Kind : uint8_t {
    kText,        // outside of tags
    kPrintBegin,  // {{
    kPrintEnd,    // }}
    kTagBegin,    // {%
    kTagEnd,      // %}
    kName,
    kString,  // text is its value
    kInteger,
    kFloat,
    kOperator,
    kEnd,
  };

  Kind kind;
  uint32_t line;
  std::string text;
  int64_t integer = 0;
  double real = 0;
};

// Divides a template into tokens and removes the white space that its tags
// remove. The last token is kEnd. `source` must be UTF-8.
absl::StatusOr<std::vector<JinjaToken>> LexTemplate(std::string_view source);

// Reads the number (string) that begins at `begin` into `token`, whose line is
// set. Returns its end.
absl::StatusOr<size_t> LexNumber(std::string_view source, size_t begin,
                                 JinjaToken& token);
absl::StatusOr<size_t> LexString(std::string_view source, size_t begin,
                                 JinjaToken& token);

// Returns an error at a line: "line 3: what".
absl::Status SyntaxError(uint32_t line, std::string_view what);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_SYNTAX_LEXER_H_
