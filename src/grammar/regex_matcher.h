// Whether texts match a regular expression.

#ifndef GEMMA_SRC_GRAMMAR_REGEX_MATCHER_H_
#define GEMMA_SRC_GRAMMAR_REGEX_MATCHER_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "src/grammar/automaton.h"
#include "src/grammar/byte_grammar.h"

namespace gemma::internal {

// A short expression in the dialect of gemma/grammar.h. Expressions and texts
// may be untrusted: all calls together take some milliseconds and megabytes at
// most. Move-only.
class RegexMatcher {
 public:
  // InvalidArgument as Regex (regex.h).
  static absl::StatusOr<RegexMatcher> Create(std::string_view expression);

  // Whether the whole text matches. ResourceExhausted if telling takes too
  // long, because the expression is too ambiguous.
  absl::StatusOr<bool> Matches(std::string_view text);

 private:
  RegexMatcher() = default;

  std::unique_ptr<ByteGrammar> grammar_;
  std::unique_ptr<Automaton> automaton_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_REGEX_MATCHER_H_
