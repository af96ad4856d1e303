// The implementation of Grammar.

#ifndef GEMMA_SRC_GRAMMAR_GRAMMAR_IMPL_H_
#define GEMMA_SRC_GRAMMAR_GRAMMAR_IMPL_H_

#include <array>
#include <string_view>

#include "gemma/grammar.h"
#include "src/base/internal.h"
#include "src/grammar/byte_grammar.h"
#include "src/grammar/marks.h"

namespace gemma {

class Grammar::Impl {
 public:
  ByteGrammar bytes;  // finished
  // The names of the control tokens that are marks, by Mark; empty: not used.
  std::array<std::string_view, internal::kNumMarks> marks = {};
};

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_GRAMMAR_IMPL_H_
