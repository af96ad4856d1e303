// How characters are written within a string of JSON.

#ifndef GEMMA_SRC_BASE_JSON_ESCAPE_H_
#define GEMMA_SRC_BASE_JSON_ESCAPE_H_

#include <cstdint>
#include <string>

#include "src/base/format_text.h"

namespace gemma::internal {

// Returns the escape of a character that cannot stand as it is (RFC 8259,
// section 7), else "".
inline std::string JsonEscape(uint32_t c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\f':
      return "\\f";
    case '\b':
      return "\\b";
    default:
      return c < 0x20 ? FormatText("\\u%04x", c) : "";
  }
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_JSON_ESCAPE_H_
