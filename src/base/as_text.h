// Passes bytes to functions that take text.

#ifndef GEMMA_SRC_BASE_AS_TEXT_H_
#define GEMMA_SRC_BASE_AS_TEXT_H_

#include <cstdint>
#include <string_view>

#include "absl/types/span.h"

namespace gemma::internal {

// Returns a view of the same bytes.
inline std::string_view AsText(absl::Span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_AS_TEXT_H_
