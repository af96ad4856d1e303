// One small vocabulary of Gemma's kind, in the forms that files have.

#ifndef GEMMA_TESTS_SUPPORT_TOY_VOCAB_H_
#define GEMMA_TESTS_SUPPORT_TOY_VOCAB_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/text/vocabulary.h"

namespace gemma {

// A vocabulary as each kind of file holds it, with their differences: types,
// blanks, scores, names and holes.
struct VocabularyForms {
  VocabularyForms() = default;
  VocabularyForms(VocabularyForms&&) = default;  // a copy's views would dangle
  VocabularyForms& operator=(VocabularyForms&&) = default;

  // GGUF: blanks are spaces, special tokens are control with a score of -1000,
  // and the unknown token is control too.
  std::vector<std::string_view> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;
  GgufTokenizerData gguf() const;

  // tokenizer.model: all special tokens but four are user-defined.
  std::string model_proto;

  // tokenizer.json: merges, and the tab's byte is missing.
  HfTokenizerData hf;

  std::vector<std::string> token_storage;  // of `tokens`, where it is needed
};

// About 450 pieces, laid out as in Gemma 3:
// control tokens, runs of newlines and blanks, tags, bytes, BPE pieces, runs of
// tabs, images' markers.
VocabularyForms ToyVocabulary();

// The forms of the vocabulary that a GGUF file holds.
VocabularyForms FormsOfGguf(std::vector<std::string_view> tokens,
                            std::vector<float> scores,
                            std::vector<int32_t> types);

// A text of up to `max_parts` parts that a tokenizer may mistake: words, runs,
// tags, names of control tokens and cut ones, bytes that are not UTF-8, NULs.
// `words` are further parts.
std::string FuzzedText(uint64_t seed, size_t max_parts,
                       const std::vector<std::string_view>& words = {});

}  // namespace gemma

#endif  // GEMMA_TESTS_SUPPORT_TOY_VOCAB_H_
