// Parts of messages about files and servers.

#ifndef GEMMA_SRC_BASE_MESSAGES_H_
#define GEMMA_SRC_BASE_MESSAGES_H_

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace gemma::internal {

// A max_size that cuts nothing.
inline constexpr size_t kUncut = std::string_view::npos;

// Makes untrusted text safe to print: on one line, at most `max_size` bytes of
// it. Control characters (those above U+007F too) and bytes that are not UTF-8
// become escapes, "\n" or "\x1b", so nothing moves the cursor of a terminal.
// A second call on the result changes nothing.
std::string Printable(std::string_view text, size_t max_size = 96);

// As Printable, for the whole text, but keeps line ends and tabs.
std::string PrintableLines(std::string_view text);

// Whether Printable would escape nothing. A name that contains something to
// escape has no honest use.
bool IsPrintable(std::string_view text);

// Returns printable text in quotes.
inline std::string Quoted(std::string_view text) {
  return absl::StrCat("'", Printable(text), "'");
}

// Names the values that an integer of type T can have, for messages.
template <class T>
std::string IntegerWanted() {
  return absl::StrCat("an integer from ", std::numeric_limits<T>::min(), " to ",
                      std::numeric_limits<T>::max());
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_MESSAGES_H_
