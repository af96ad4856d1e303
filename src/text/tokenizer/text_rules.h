// How Hugging Face's tokenizers finds added tokens and normalizes texts, where
// that differs from a plain sentencepiece model.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_TEXT_RULES_H_
#define GEMMA_SRC_TEXT_TOKENIZER_TEXT_RULES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace gemma::internal {

// A token that was added to a model's vocabulary. The fields are those of
// tokenizer.json.
struct AddedToken {
  std::string content;
  int64_t id = 0;
  bool special = false;
  bool single_word = false;  // matches only between characters outside words
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = false;   // is searched in the normalized text
};

// A step of tokenizer.json's "normalizer". It changes a text that is not empty.
struct NormalizerStep {
  enum class Type {
    kPrepend,     // puts `content` before the text
    kReplace,     // replaces each `pattern`, from left to right, by `content`
    kStripLeft,   // removes leading white space
    kStripRight,  // removes trailing white space
  };
  Type type = Type::kReplace;
  std::string pattern;
  std::string content;

  bool operator==(const NormalizerStep&) const = default;
};

// tokenizer.json's "pre_tokenizer" of the type Metaspace.
struct Metaspace {
  enum class Prefix { kNever, kFirst, kAlways };
  // Which parts of a text get a leading U+2581, if they have none.
  Prefix prefix = Prefix::kNever;
  // Whether no piece is merged across the beginning of a U+2581.
  bool split = false;
};

// Rules for the text around and between added tokens:
// - Tokens that are not `normalized` are cut out of the text.
// - Each part between them is normalized.
// - The other tokens are cut out of these parts.
// - Each part between those is one text for the BpeEncoder, or with
//   Metaspace::split one for each word.
struct TextRules {
  std::vector<AddedToken> added;  // in the order of the file
  std::vector<NormalizerStep> normalizer;
  Metaspace metaspace;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TOKENIZER_TEXT_RULES_H_
