// A small vocabulary like Gemma's, in the form that each kind of file has.

#ifndef GEMMA_TESTS_SUPPORT_TOY_VOCAB_H_
#define GEMMA_TESTS_SUPPORT_TOY_VOCAB_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {

// A vocabulary as each kind of file stores it. Types, blanks, scores, names and
// holes differ between them.
struct VocabularyForms {
  VocabularyForms() = default;
  VocabularyForms(VocabularyForms&&) = default;  // a copy's views would dangle
  VocabularyForms& operator=(VocabularyForms&&) = default;

  // GGUF: blanks are spaces, and special tokens, including the unknown token,
  // are control tokens with a score of -1000.
  std::vector<std::string_view> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;
  GgufTokenizerData gguf() const;

  // tokenizer.model: all special tokens except four are user-defined.
  std::string model_proto;

  // tokenizer.json: has merges, and no byte piece for the tab.
  HfTokenizerData hf;

  std::vector<std::string> token_storage;  // memory of `tokens`, if needed
};

// Returns about 450 pieces in the order of Gemma 3: control tokens, runs of
// newlines and blanks, tags, bytes, BPE pieces, runs of tabs, images' markers.
VocabularyForms ToyVocabulary();

// Returns all forms of a vocabulary that a GGUF file has.
VocabularyForms FormsOfGguf(std::vector<std::string_view> tokens,
                            std::vector<float> scores,
                            std::vector<int32_t> types);

// Returns a text of up to `max_parts` parts that a tokenizer may get wrong:
// words, runs, tags, whole and cut names of control tokens, bytes that are not
// UTF-8, NULs. `words` are additional parts.
std::string FuzzedText(uint64_t seed, size_t max_parts,
                       const std::vector<std::string_view>& words = {});

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_TOY_VOCAB_H_
