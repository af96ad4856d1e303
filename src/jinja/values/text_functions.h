// Functions on text that filters and methods share. Each character of a result
// keeps its origin; characters that replace others have theirs.

#ifndef GEMMA_SRC_JINJA_VALUES_TEXT_FUNCTIONS_H_
#define GEMMA_SRC_JINJA_VALUES_TEXT_FUNCTIONS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "src/jinja/values/characters.h"
#include "src/jinja/values/marked_text.h"
#include "src/jinja/values/meter.h"

namespace gemma::internal {

enum class Side : uint8_t { kLeft, kRight, kBoth };

// Removes white space, or the characters of `characters`, from the ends.
absl::StatusOr<MarkedText> Strip(const MarkedText& text,
                                 std::optional<std::string_view> characters,
                                 Side side, Meter& meter);

enum class CaseChange : uint8_t {
  kUpper,
  kLower,
  kCapitalize,   // str.capitalize
  kTitle,        // str.title: letters after letters are lower case
  kTitleFilter,  // the filter: characters after white space, -, (, {, [ or <
};
absl::StatusOr<MarkedText> ChangeCase(const MarkedText& text, CaseChange change,
                                      Meter& meter);

// Replaces `old` at most `count` times, or always if `count` is negative.
absl::StatusOr<MarkedText> Replace(const MarkedText& text, std::string_view old,
                                   const MarkedText& replacement, int64_t count,
                                   Meter& meter);

// Splits text at most `count` times, or always if `count` is negative. Without
// a separator, splits at white space. kRight begins at the end.
absl::StatusOr<std::vector<MarkedText>> Split(
    const MarkedText& text, std::optional<std::string_view> separator,
    int64_t count, Side side, Meter& meter);

// Splits text into lines at the line ends that Python knows.
absl::StatusOr<std::vector<MarkedText>> SplitLines(const MarkedText& text,
                                                   bool keep_ends,
                                                   Meter& meter);

// Whether text has letters with a case and all of them have this one.
absl::StatusOr<bool> IsAllOfCase(std::string_view text, LetterCase wanted,
                                 Meter& meter);

// Replaces the characters that HTML escapes: & < > ' ".
MarkedText Escaped(const MarkedText& text);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_VALUES_TEXT_FUNCTIONS_H_
