// Cuts texts by the rules of Hugging Face's tokenizers.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_TEXT_SPLITTER_H_
#define GEMMA_SRC_TEXT_TOKENIZER_TEXT_SPLITTER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "src/text/tokenizer/prefix_matcher.h"
#include "src/text/tokenizer/text_rules.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {

// Finds added tokens in a text: from left to right, the longest first. White
// space next to them that they take belongs to no other part.
class AddedTokenFinder {
 public:
  struct Pattern {
    std::string text;  // unique
    TokenId token = -1;
    bool is_control = false;
    bool single_word = false, lstrip = false, rstrip = false;
  };

  explicit AddedTokenFinder(std::vector<Pattern> patterns);
  AddedTokenFinder(const AddedTokenFinder&) = delete;
  AddedTokenFinder& operator=(const AddedTokenFinder&) = delete;

  // Calls `found` for each token, in order, and `between` for each part that is
  // left, with the index of its first byte. If not `controls`, control tokens
  // stay text, and no token is found within their names.
  void Split(std::string_view text, bool controls,
             absl::FunctionRef<void(TokenId)> found,
             absl::FunctionRef<void(std::string_view, size_t)> between) const;

 private:
  std::vector<Pattern> patterns_;
  PrefixMatcher matcher_;  // an entry's token is an index in patterns_
};

// Applies the rules of a vocabulary, which must have some.
class TextSplitter {
 public:
  explicit TextSplitter(const Vocabulary& vocabulary);

  // Which parts of the rules apply to a text.
  struct Options {
    bool controls = false;  // as in AddedTokenFinder::Split
    bool prefix = true;     // blanks that some vocabularies put before texts
  };

  // Calls `found` for each added token, in order, and `merge` for each
  // normalized text between them. `text` must be UTF-8.
  void Split(std::string_view text, const Options& options,
             absl::FunctionRef<void(TokenId)> found,
             absl::FunctionRef<void(std::string_view)> merge) const;

 private:
  void SplitWords(std::string text, bool is_first, bool prefix,
                  absl::FunctionRef<void(std::string_view)> merge) const;

  const TextRules& rules_;
  AddedTokenFinder raw_;         // tokens that are not normalized
  AddedTokenFinder normalized_;  // the others
};

// Returns the text after all steps; an empty one stays empty. `prefix`: whether
// steps that prepend apply.
std::string Normalized(std::string_view text,
                       const std::vector<NormalizerStep>& steps, bool prefix);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TOKENIZER_TEXT_SPLITTER_H_
