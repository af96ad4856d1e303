// Bytes as numbers and as text.

#ifndef GEMMA_SRC_BASE_BYTES_H_
#define GEMMA_SRC_BASE_BYTES_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/types/span.h"

namespace gemma::internal {

// Appends an integer or a float, little-endian.
template <class T>
void AppendNumber(T number, std::vector<uint8_t>& out) {
  if constexpr (std::is_same_v<T, float>) {
    AppendNumber(std::bit_cast<uint32_t>(number), out);
  } else {
    static_assert(std::is_integral_v<T>);
    for (size_t i = 0; i < sizeof(T); ++i) {
      out.push_back(
          static_cast<uint8_t>(static_cast<uint64_t>(number) >> (8 * i)));
    }
  }
}

// Returns a view of the same bytes.
inline std::string_view AsText(absl::Span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_BYTES_H_
