// Bounded reads and checked arithmetic: all numbers from files pass through
// here.

#ifndef GEMMA_SRC_BASE_CHECKED_READER_H_
#define GEMMA_SRC_BASE_CHECKED_READER_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>

#include "absl/types/span.h"

namespace gemma::internal {

// Returns the sum, or nothing if it overflows.
constexpr std::optional<uint64_t> CheckedAdd(uint64_t a, uint64_t b) {
  if (b > std::numeric_limits<uint64_t>::max() - a) return std::nullopt;
  return a + b;
}

// Returns the product, or nothing if it overflows.
constexpr std::optional<uint64_t> CheckedMul(uint64_t a, uint64_t b) {
  if (a != 0 && b > std::numeric_limits<uint64_t>::max() / a) {
    return std::nullopt;
  }
  return a * b;
}

// Returns `value` rounded up to a multiple of `alignment`, a power of two, or
// nothing if that overflows.
constexpr std::optional<uint64_t> CheckedAlignUp(uint64_t value,
                                                 uint64_t alignment) {
  const std::optional<uint64_t> sum = CheckedAdd(value, alignment - 1);
  if (!sum.has_value()) return std::nullopt;
  return *sum & ~(alignment - 1);
}

// Reads little-endian values from the front of a span. If fewer bytes remain
// than a read needs, it returns false and changes nothing.
class CheckedReader {
 public:
  explicit CheckedReader(absl::Span<const uint8_t> bytes) : bytes_(bytes) {}

  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

  // Reads an integer, a float or a double.
  template <class T>
  [[nodiscard]] bool Read(T& value) {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
    using Bits = std::conditional_t<
        sizeof(T) == 1, uint8_t,
        std::conditional_t<
            sizeof(T) == 2, uint16_t,
            std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>>;
    if (remaining() < sizeof(T)) return false;
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof(T); ++i) {
      bits |= uint64_t{bytes_[position_ + i]} << (8 * i);
    }
    value = std::bit_cast<T>(static_cast<Bits>(bits));
    position_ += sizeof(T);
    return true;
  }

  // Returns a view of the next `size` bytes.
  [[nodiscard]] bool ReadBytes(uint64_t size, absl::Span<const uint8_t>& out) {
    if (size > remaining()) return false;
    out = bytes_.subspan(position_, static_cast<size_t>(size));
    position_ += out.size();
    return true;
  }

  // Returns a view of a string that follows its length, a uint64. Also false if
  // it is longer than `max_size`.
  [[nodiscard]] bool ReadString(uint64_t max_size, std::string_view& out) {
    const size_t start = position_;
    uint64_t size = 0;
    absl::Span<const uint8_t> bytes;
    if (!Read(size) || size > max_size || !ReadBytes(size, bytes)) {
      position_ = start;
      return false;
    }
    out = std::string_view(reinterpret_cast<const char*>(bytes.data()),
                           bytes.size());
    return true;
  }

 private:
  absl::Span<const uint8_t> bytes_;
  size_t position_ = 0;  // at most bytes_.size()
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_CHECKED_READER_H_
