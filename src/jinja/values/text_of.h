// The texts of values: Python's str() and repr().

#ifndef GEMMA_SRC_JINJA_VALUES_TEXT_OF_H_
#define GEMMA_SRC_JINJA_VALUES_TEXT_OF_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/jinja/values/marked_text.h"
#include "src/jinja/values/meter.h"
#include "src/jinja/values/value.h"

namespace gemma::internal {

// Appends what a template prints for a value: that of str().
absl::Status AppendStr(const JinjaValue& value, Meter& meter, MarkedText& text);

// Appends what repr() returns: strings have quotes.
absl::Status AppendRepr(const JinjaValue& value, Meter& meter,
                        MarkedText& text);

// Returns the text of str().
absl::StatusOr<MarkedText> StrOf(const JinjaValue& value, Meter& meter);

// Returns a float's shortest decimal form, as Python writes it: 1.0, 1e+16.
std::string DoubleText(double value);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_VALUES_TEXT_OF_H_
