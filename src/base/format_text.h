// Formats text. Running out of memory throws.

#ifndef GEMMA_SRC_BASE_FORMAT_TEXT_H_
#define GEMMA_SRC_BASE_FORMAT_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/str_format.h"

namespace gemma::internal {

// As absl::StrFormat, but throws std::bad_alloc if memory runs out.
// absl::StrFormat grows its string in a destructor, so an exception there ends
// the process.
template <class... Args>
std::string FormatText(const absl::FormatSpec<Args...>& format,
                       const Args&... args) {
  char buffer[256];
  const int result = absl::SNPrintF(buffer, sizeof(buffer), format, args...);
  const size_t size = result < 0 ? 0 : static_cast<size_t>(result);
  if (size < sizeof(buffer)) return std::string(buffer, size);
  std::string text(size + 1, '\0');  // with room for the final 0
  absl::SNPrintF(text.data(), text.size(), format, args...);
  text.resize(size);
  return text;
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_FORMAT_TEXT_H_
