// The first front end: regular expressions.

#ifndef GEMMA_SRC_GRAMMAR_REGEX_H_
#define GEMMA_SRC_GRAMMAR_REGEX_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "src/grammar/byte_grammar.h"
#include "src/grammar/characters.h"

namespace gemma {

// What of a text an expression describes.
enum class RegexMatch {
  kAll,   // the text
  kPart,  // some part of it, as a "pattern" of a JSON schema does
};

// The texts that match. The dialect is described in gemma/grammar.h.
// InvalidArgument as ParseRegex, if an anchor stands where it cannot hold, or
// with the offset of what exhausts the grammar's budget.
absl::StatusOr<ExprId> Regex(std::string_view expression, RegexMatch match,
                             Writing writing, ByteGrammar& grammar);

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_REGEX_H_
