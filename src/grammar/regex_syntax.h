// Regular expressions as trees.

#ifndef GEMMA_SRC_GRAMMAR_REGEX_SYNTAX_H_
#define GEMMA_SRC_GRAMMAR_REGEX_SYNTAX_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "src/grammar/characters.h"

namespace gemma::internal {

struct RegexNode {
  enum class Kind {
    kSet,       // one character of `set`
    kBegin,     // "^"
    kEnd,       // "$"
    kSequence,  // parts, one after the other; may be empty
    kChoice,    // one of the parts; at least one
    kRepeat,    // the part, `least` to `most` times
  };

  Kind kind = Kind::kSequence;
  size_t offset = 0;  // in the expression, in bytes
  CharacterSet set;
  std::vector<RegexNode> parts;
  uint32_t least = 0;
  uint32_t most = 0;  // may be kNoLimit
};

// Parses the dialect of gemma/grammar.h. InvalidArgument with the offset of a
// construct outside the dialect, or if the expression is too long, too deep, or
// not UTF-8.
absl::StatusOr<RegexNode> ParseRegex(std::string_view expression);

// InvalidArgument: `what` is wrong at a byte of the expression.
absl::Status RegexError(size_t offset, std::string_view what);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_REGEX_SYNTAX_H_
