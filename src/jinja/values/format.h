// Python's two ways to format text: "%d" % x and "{}".format(x).

#ifndef GEMMA_SRC_JINJA_VALUES_FORMAT_H_
#define GEMMA_SRC_JINJA_VALUES_FORMAT_H_

#include "absl/status/statusor.h"
#include "src/jinja/values/marked_text.h"
#include "src/jinja/values/meter.h"
#include "src/jinja/values/object.h"
#include "src/jinja/values/value.h"

namespace gemma::internal {

// Returns format % arguments. Arguments are a tuple, a dict for "%(name)s", or
// one value. Knows the conversions s, r, d, i, u, f, F, x, X, o and c without
// '*'; others are kUnimplemented.
absl::StatusOr<JinjaValue> FormatPercent(const MarkedText& format,
                                         const JinjaValue& arguments,
                                         Meter& meter);

// Returns format.format(arguments). Knows fields without attributes or items,
// and specifications with fill, alignment, sign, 0, width, ',', precision and
// the types s, d, f, F, x, X, o, b and %; others are kUnimplemented.
absl::StatusOr<JinjaValue> FormatBraces(const MarkedText& format,
                                        const CallArguments& arguments,
                                        Meter& meter);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_VALUES_FORMAT_H_
