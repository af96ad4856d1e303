// The first front end: regular expressions.

#ifndef GEMMA_SRC_GRAMMAR_REGEX_H_
#define GEMMA_SRC_GRAMMAR_REGEX_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "src/grammar/byte_grammar.h"
#include "src/grammar/characters.h"

namespace gemma::internal {

// The scope of an expression.
enum class RegexMatch {
  kAll,   // the whole text
  kPart,  // any part of it, as "pattern" of a JSON schema
};

// Matches the texts of a regular expression. gemma/grammar.h describes the
// dialect. InvalidArgument as ParseRegex, if an anchor cannot hold, or with the
// offset that exhausts the grammar's budget.
absl::StatusOr<ExprId> Regex(std::string_view expression, RegexMatch match,
                             Writing writing, ByteGrammar& grammar);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_REGEX_H_
