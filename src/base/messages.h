// Parts of messages about files.

#ifndef GEMMA_SRC_BASE_MESSAGES_H_
#define GEMMA_SRC_BASE_MESSAGES_H_

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace gemma {

// Text from a file, safe to print: on one line, control characters and bytes
// beyond ASCII escaped, cut if it is long.
inline std::string Printable(std::string_view text, size_t max_size = 96) {
  return absl::StrCat(absl::CHexEscape(text.substr(0, max_size)),
                      text.size() > max_size ? "..." : "");
}

// The same in quotes.
inline std::string Quoted(std::string_view text) {
  return absl::StrCat("'", Printable(text), "'");
}

// What an integer of type T may be.
template <class T>
std::string IntegerWanted() {
  return absl::StrCat("an integer from ", std::numeric_limits<T>::min(), " to ",
                      std::numeric_limits<T>::max());
}

}  // namespace gemma

#endif  // GEMMA_SRC_BASE_MESSAGES_H_
