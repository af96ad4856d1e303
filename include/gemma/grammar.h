// Grammars restrict answers to a set of texts: structured output.

#ifndef GEMMA_GRAMMAR_H_
#define GEMMA_GRAMMAR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/tool_calls.h"

namespace gemma {

// What a grammar is made from.
struct GrammarSource {
  // The function of Grammar that takes it.
  enum class Kind {
    kAnyJson,     // AnyJson
    kJsonSchema,  // FromJsonSchema of `text`
    kRegex,       // FromRegex of `text`
    kChoices,     // FromChoices of `choices`
    kTools,       // FromTools of `text` and `rules`
  };
  Kind kind = Kind::kAnyJson;        // how to read the fields below
  std::string text;                  // the schema, expression or tools
  std::vector<std::string> choices;  // the texts
  ToolRules rules = {};              // what an answer with tools may be
};

// A set of texts, of which those of FromTools have control tokens in them. With
// GenerateOptions::grammar, an answer is one of the texts.
// Immutable and cheap to copy: copies share the set. Any number of threads and
// answers may use a grammar at the same time.
//
// JSON is written on one line. A single blank may follow each colon and comma;
// tokens have no other white space between them. Strings are UTF-8. Only
// characters that must be escaped are escaped, as \", \\, \b, \f, \n, \r, \t or
// \u00XX. Numbers have up to 19 digits, then a point and up to 16 digits, and
// an exponent of up to two digits.
//
// Grammars may be untrusted input. Construction uses at most 2^24 steps and
// 2^26 bytes: a few seconds and about 100 MB. Above that it fails:
// InvalidArgument names the limit and the place that would exceed it. Steps and
// bytes are counted, not measured, so all machines accept or refuse the same
// grammars.
class GEMMA_EXPORT Grammar {
 public:
  // Returns the texts that match the whole expression. Supported: alternatives,
  // groups, classes, * + ? {m} {m,} {m,n} (a "?" after them is ignored) and, as
  // in ECMAScript: "." is any character except \n, \r, U+2028 and U+2029; \d
  // and \w are ASCII; \s is Unicode white space; \t \n \v \f \r \0 \xHH \uHHHH
  // \u{H...}. ^ and $ (\A, \Z, \z) may stand at the ends. Refused: look-around,
  // back-references, word boundaries, flags, possessive repetition, Unicode
  // properties and named classes. InvalidArgument names the error and its byte.
  // At most 64 KiB.
  static absl::StatusOr<Grammar> FromRegex(std::string_view expression);

  // Returns the given texts. They are UTF-8; at least one, at most 1 MiB in
  // total.
  static absl::StatusOr<Grammar> FromChoices(
      absl::Span<const std::string> choices);

  // Returns JSON values that are valid by a JSON schema (draft 2020-12); for
  // some schemas not all of them. These keywords are enforced:
  //   type, const, enum; true and false as schemas
  //   properties, required, additionalProperties: written in the order of the
  //     schema, then other properties. Without additionalProperties, other
  //     properties are allowed only if properties and required name none
  //   items, prefixItems, minItems, maxItems
  //   minLength, maxLength, pattern (as FromRegex, for a part of the string),
  //     format: date, time, date-time, duration, email, hostname, ipv4, ipv6,
  //     uri, uuid; only one of pattern, format and the lengths at a place
  //   minimum, maximum, exclusiveMinimum, exclusiveMaximum (up to 15 digits;
  //     numbers are then written without an exponent)
  //   $ref to a place in the schema, also to one that contains it
  //   allOf; anyOf; oneOf, if types or required constants distinguish the
  //     branches
  // Keywords that only describe are ignored. Any other keyword is refused
  // because it would not be enforced. InvalidArgument names the place by its
  // JSON pointer. At most 1 MiB, 2^16 values, and 256 alternatives at a place.
  static absl::StatusOr<Grammar> FromJsonSchema(std::string_view schema);

  // Returns the answers of a model that knows these tools, a list as in
  // ChatOptions::tools. The schemas of their parameters are read as by
  // FromJsonSchema and must have the type object; without parameters, or with
  // an empty list of properties, a call has no arguments. Arguments are written
  // in the order of the schema or, with control tokens, of their names. Where a
  // schema allows any value, it is nested at most 30 deep.
  //   kRequired  one call or more, with `thinking` perhaps after thoughts
  //   kAuto      any text, perhaps after thoughts, and perhaps calls at its
  //              end, where the dialect lets them begin
  //   kNone      the same without calls. In ToolDialect::kJson any text: an
  //              AnswerParser of kNone reads it
  // Calls and thoughts begin and end with the control tokens of the dialect. No
  // others are allowed. A name has up to 64 letters, digits and the signs _, -
  // and "."; InvalidArgument names the place of what is wrong, and the tool in
  // rules.names that is not declared. Only a vocabulary with these tokens can
  // be used with the grammar: else Generate fails with InvalidArgument.
  static absl::StatusOr<Grammar> FromTools(std::string_view tools,
                                           const ToolRules& rules);

  // Returns all JSON values.
  static Grammar AnyJson();

  // Calls the function above that takes the source. InvalidArgument if a field
  // is set that this function does not take.
  static absl::StatusOr<Grammar> FromSource(const GrammarSource& source);

  ~Grammar();
  Grammar(const Grammar&) noexcept;             // shares the set
  Grammar& operator=(const Grammar&) noexcept;  // likewise
  // A moved-from grammar may only be assigned to or destroyed.
  Grammar(Grammar&&) noexcept;
  Grammar& operator=(Grammar&&) noexcept;

  // Returns whether the set contains the text, in which nothing is a control
  // token. ResourceExhausted, which names
  // the limit, if the text can be read in too many ways. The limits are 2^14
  // ways at a byte, 2^26 steps at a byte and 128 MiB.
  absl::StatusOr<bool> Matches(std::string_view text) const;

  // Returns the bytes of memory that the set takes, without what each answer
  // that follows it needs.
  uint64_t bytes() const;

  // Internal; see src/grammar/grammar_impl.h.
  class Impl;
  // Internal.
  const Impl& impl() const { return *impl_; }

 private:
  explicit Grammar(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_GRAMMAR_H_
