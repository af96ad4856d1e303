// Numbers of JSON within limits.

#ifndef GEMMA_SRC_GRAMMAR_JSON_NUMBERS_H_
#define GEMMA_SRC_GRAMMAR_JSON_NUMBERS_H_

#include <cstdint>

#include "src/grammar/byte_grammar.h"

namespace gemma {

// Limits of a number. Infinite: none.
struct NumberRange {
  double least;
  double most;
  bool without_least = false;  // least itself is none of the numbers
  bool without_most = false;
};

// Integers from `least` to `most`, in decimal. Nothing if there is none.
ExprId IntegersBetween(int64_t least, int64_t most, ByteGrammar& grammar);

// How many significant digits a limit may have: of so many, no two decimal
// numbers are the same double, so that whoever reads the text as one agrees.
inline constexpr int kMaxLimitDigits = 15;

// Whether a limit has at most so many.
bool IsShort(double limit);

// Decimal numbers in the range, whose limits are short, without an exponent:
// up to 15 digits before the point, and with those behind it about 15.
ExprId NumbersBetween(const NumberRange& range, ByteGrammar& grammar);

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_JSON_NUMBERS_H_
