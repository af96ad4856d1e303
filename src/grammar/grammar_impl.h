// The implementation of Grammar.

#ifndef GEMMA_SRC_GRAMMAR_GRAMMAR_IMPL_H_
#define GEMMA_SRC_GRAMMAR_GRAMMAR_IMPL_H_

#include "gemma/grammar.h"
#include "src/base/internal.h"
#include "src/grammar/byte_grammar.h"

namespace gemma {

class Grammar::Impl {
 public:
  ByteGrammar bytes;  // finished
};

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_GRAMMAR_IMPL_H_
