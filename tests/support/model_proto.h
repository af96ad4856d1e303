// Writes a vocabulary as sentencepiece's tokenizer.model.

#ifndef GEMMA_TESTS_SUPPORT_MODEL_PROTO_H_
#define GEMMA_TESTS_SUPPORT_MODEL_PROTO_H_

#include <string>

#include "src/text/vocabulary.h"

namespace gemma {

// A sentencepiece ModelProto with the vocabulary's pieces and Gemma's settings:
// BPE, byte fallback, identity normalizer, blanks kept.
std::string SerializeModelProto(const Vocabulary& vocabulary);

}  // namespace gemma

#endif  // GEMMA_TESTS_SUPPORT_MODEL_PROTO_H_
