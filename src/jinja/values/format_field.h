// One field of a format: fill, alignment, sign, width, precision and type.

#ifndef GEMMA_SRC_JINJA_VALUES_FORMAT_FIELD_H_
#define GEMMA_SRC_JINJA_VALUES_FORMAT_FIELD_H_

#include <cstddef>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/jinja/values/marked_text.h"
#include "src/jinja/values/meter.h"
#include "src/jinja/values/value.h"

namespace gemma::internal {

inline constexpr size_t kMaxFieldWidth = 10000;
inline constexpr size_t kMaxPrecision = 100;  // digits

// How to write one value.
struct FieldFormat {
  std::string_view fill = " ";  // one character of the format
  char align = '\0';            // <, >, ^ or = (after the sign)
  char sign = '-';
  bool comma = false;
  size_t width = 0;
  std::optional<size_t> precision;
  char type = '\0';
};

// Reads "[[fill]align][sign][0][width][,][.precision][type]".
absl::StatusOr<FieldFormat> ReadFieldFormat(std::string_view text);

// Reads digits at `at` and moves after them. kUnimplemented above `most`.
absl::StatusOr<size_t> ReadFormatNumber(std::string_view text, size_t& at,
                                        size_t most);

// Appends a number by spec.type: d, x, X, o and b need an integer.
absl::Status AppendNumberField(const JinjaValue& value, const FieldFormat& spec,
                               Meter& meter, MarkedText& out);

// Appends text, at most `precision` characters of it. `align` applies if spec
// has no alignment.
absl::Status AppendTextField(const MarkedText& text, const FieldFormat& spec,
                             char align, Meter& meter, MarkedText& out);

// Returns an error: the format is not known here.
absl::Status FormatNotSupported(std::string_view what);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_VALUES_FORMAT_FIELD_H_
