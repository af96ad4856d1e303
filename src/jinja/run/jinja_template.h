// Renders the subset of Jinja that published chat templates use.

#ifndef GEMMA_SRC_JINJA_RUN_JINJA_TEMPLATE_H_
#define GEMMA_SRC_JINJA_RUN_JINJA_TEMPLATE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/jinja/values/marked_text.h"
#include "src/jinja/values/value.h"

namespace gemma::internal {

// What a template may cost. A template that needs more fails with
// kResourceExhausted.
struct JinjaLimits {
  size_t source_bytes = size_t{1} << 20;
  // The depth of blocks, expressions, calls of macros and values.
  size_t depth = 200;
  // Visits of an expression or an item, or copies of 256 bytes: about 100 ns
  // each.
  uint64_t steps = 4'000'000;
  size_t output_bytes = size_t{64} << 20;
  // Approximate. Freed memory still counts.
  size_t memory_bytes = size_t{256} << 20;
};

// The variable that strftime_now reads: an Int, the seconds from 1970-01-01
// 00:00:00 to now on the local clock (without regard to time zones and leap
// seconds). Without it, a call of strftime_now fails.
inline constexpr std::string_view kLocalTimeVariable = "local_time_seconds";

// A parsed template. Renders as Python's jinja2 does in the environment of
// transformers: a sandbox with trim_blocks and lstrip_blocks, the statements
// break, continue and generation, the functions raise_exception and
// strftime_now, and a tojson that does not escape HTML. A template has access
// to nothing but its variables. Copies share the program. Threads may render at
// the same time.
class JinjaTemplate {
 public:
  // Errors: kInvalidArgument for wrong syntax; kUnimplemented for a statement,
  // a filter or a test that is not known; kResourceExhausted for a limit. Each
  // names the line.
  static absl::StatusOr<JinjaTemplate> Parse(std::string_view source,
                                             const JinjaLimits& limits = {});

  // `variables` is a Dict. Errors: kInvalidArgument if the template calls
  // raise_exception, with the template's own words (see IsRaised), or where
  // jinja2 would raise, with the line; kUnimplemented for a function, a method
  // or an operation that is not known; kResourceExhausted for a limit.
  absl::StatusOr<MarkedText> Render(const JinjaValue& variables) const;

 private:
  struct Program;

  explicit JinjaTemplate(std::shared_ptr<const Program> program);

  std::shared_ptr<const Program> program_;
};

// Whether the template itself raised the error, by raise_exception.
bool IsRaised(const absl::Status& status);

// Returns the error of raise_exception(message).
absl::Status RaisedError(std::string_view message);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_RUN_JINJA_TEMPLATE_H_
