// Texts that an answer may be: structured output.

#ifndef GEMMA_GRAMMAR_H_
#define GEMMA_GRAMMAR_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"

namespace gemma {

// A set of texts. GenerateOptions::grammar makes an answer one of them.
// Immutable, and cheap to copy: copies share the set. Any number of threads and
// answers may use one.
//
// JSON is written on one line, with one blank or none behind each colon and
// comma and no other white space between tokens. Strings are UTF-8; what must
// be escaped is, as \", \\, \b, \f, \n, \r, \t or \u00XX, and nothing else.
// Numbers have up to 19 digits, a point and 16 more, and an exponent of two.
//
// A grammar from a stranger cannot take all time and memory: making one takes
// at most 2^24 steps and 2^26 bytes, a few seconds and some 100 MB. One that
// takes more is refused: InvalidArgument names the limit, and the place that
// would pass it. Steps and bytes are counted, not measured, so that a grammar
// is refused everywhere or nowhere.
class GEMMA_EXPORT Grammar {
 public:
  // Texts that the expression describes from beginning to end. Alternatives,
  // groups, classes, * + ? {m} {m,} {m,n} (a "?" behind them says nothing),
  // and as in ECMAScript: "." is any character but \n, \r, U+2028 and U+2029;
  // \d and \w are of ASCII; \s is white space of Unicode; \t \n \v \f \r \0
  // \xHH \uHHHH \u{H...}. ^ and $ (\A, \Z, \z) may stand at the ends.
  // Look-around, back-references, word boundaries, flags, possessive
  // repetition, properties of Unicode and named classes are refused.
  // InvalidArgument names what is wrong and at which byte. Up to 64 KiB.
  static absl::StatusOr<Grammar> FromRegex(std::string_view expression);

  // One of the texts, which are UTF-8; at least one, up to 1 MiB together.
  static absl::StatusOr<Grammar> FromChoices(
      absl::Span<const std::string> choices);

  // Values that a JSON schema (draft 2020-12) calls valid; of some schemas not
  // all of them. Enforced are
  //   type, const, enum; true and false as schemas
  //   properties, required, additionalProperties: written in the order of the
  //     schema, others behind. Without additionalProperties there are no
  //     others, unless properties and required name none at all
  //   items, prefixItems, minItems, maxItems
  //   minLength, maxLength, pattern (as FromRegex, for a part of the string),
  //     format: date, time, date-time, duration, email, hostname, ipv4, ipv6,
  //     uri, uuid; only one of pattern, format and the lengths at a place
  //   minimum, maximum, exclusiveMinimum, exclusiveMaximum (up to 15 digits;
  //     numbers are then written without an exponent)
  //   $ref to a place in the schema, also to where it stands in; allOf; anyOf;
  //     oneOf, if types or required constants tell the branches apart
  // Keywords that only describe are ignored. Any other is refused, since
  // it would not be enforced. InvalidArgument names the place by its JSON
  // pointer. Up to 1 MiB, 2^16 values, and 256 alternatives at a place.
  static absl::StatusOr<Grammar> FromJsonSchema(std::string_view schema);

  // Any value of JSON.
  static Grammar AnyJson();

  ~Grammar();
  Grammar(const Grammar&) noexcept;             // shares it
  Grammar& operator=(const Grammar&) noexcept;  // as above
  // A grammar that was moved from may only be assigned to or destroyed.
  Grammar(Grammar&&) noexcept;
  Grammar& operator=(Grammar&&) noexcept;

  // Whether the text is one of the set. ResourceExhausted names the limit if
  // there are too many ways to read it: 2^14 at a byte, or what 2^26 steps at a
  // byte or 128 MiB can follow.
  absl::StatusOr<bool> Matches(std::string_view text) const;

  // The library's own; see src/grammar/grammar_impl.h.
  class Impl;
  // The library's own.
  const Impl& impl() const { return *impl_; }

 private:
  explicit Grammar(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_GRAMMAR_H_
