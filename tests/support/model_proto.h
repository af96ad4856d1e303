// Writes a vocabulary as a tokenizer.model file of sentencepiece.

#ifndef GEMMA_TESTS_SUPPORT_MODEL_PROTO_H_
#define GEMMA_TESTS_SUPPORT_MODEL_PROTO_H_

#include <string>

#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {

// Returns a sentencepiece ModelProto with the vocabulary's pieces and Gemma's
// settings: BPE, byte fallback, identity normalizer, blanks kept.
std::string SerializeModelProto(const Vocabulary& vocabulary);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_MODEL_PROTO_H_
