// JSON numbers within limits.

#ifndef GEMMA_SRC_GRAMMAR_JSON_NUMBERS_H_
#define GEMMA_SRC_GRAMMAR_JSON_NUMBERS_H_

#include <cstdint>

#include "src/grammar/byte_grammar.h"

namespace gemma::internal {

// The limits of a number. An infinite limit means no limit.
struct NumberRange {
  double least;
  double most;
  bool without_least = false;  // excludes `least` itself
  bool without_most = false;
};

// Matches decimal integers from `least` to `most`. Nothing if the range is
// empty.
ExprId IntegersBetween(int64_t least, int64_t most, ByteGrammar& grammar);

// The significant digits that a limit may have. No two decimal numbers of up to
// 15 digits are the same double, so readers that use doubles agree.
inline constexpr int kMaxLimitDigits = 15;

// Whether the limit has at most kMaxLimitDigits digits.
bool IsShort(double limit);

// Matches decimal numbers in the range, without an exponent. The limits must be
// short. Numbers have up to 15 digits before the point and about 15 in total.
ExprId NumbersBetween(const NumberRange& range, ByteGrammar& grammar);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_JSON_NUMBERS_H_
