// Control tokens in grammars.

#ifndef GEMMA_SRC_GRAMMAR_MARKS_H_
#define GEMMA_SRC_GRAMMAR_MARKS_H_

#include <cstdint>

#include "src/grammar/byte_grammar.h"

namespace gemma::internal {

// A control token that a grammar allows at some places. Which token it is
// depends on the dialect; see MarkName.
enum class Mark : uint8_t {
  kOpenCall,
  kCloseCall,
  kQuote,         // on both sides of a string
  kOpenThoughts,  // a channel, which the text "thought\n" follows
  kCloseThoughts,
};
inline constexpr uint8_t kNumMarks = 5;

// Grammars have bytes, and a mark is one that no UTF-8 text has. A token with
// the text of such a byte is not the mark, and no grammar allows it.
inline constexpr uint8_t kFirstMarkByte = 0xF8;

constexpr uint8_t ByteOf(Mark mark) {
  return static_cast<uint8_t>(kFirstMarkByte + static_cast<uint8_t>(mark));
}

inline ExprId MarkExpr(Mark mark, ByteGrammar& grammar) {
  return grammar.Byte(ByteOf(mark), ByteOf(mark));
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_MARKS_H_
