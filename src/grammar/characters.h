// Sets of characters and their encodings.

#ifndef GEMMA_SRC_GRAMMAR_CHARACTERS_H_
#define GEMMA_SRC_GRAMMAR_CHARACTERS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "src/grammar/byte_grammar.h"

namespace gemma::internal {

// A set of Unicode code points. Surrogates are excluded: no text contains them.
class CharacterSet {
 public:
  struct Range {
    uint32_t first;
    uint32_t last;
    bool operator==(const Range&) const = default;
  };

  CharacterSet() = default;
  // The ranges may be in any order and may overlap.
  explicit CharacterSet(std::vector<Range> ranges);
  static CharacterSet All();
  static CharacterSet One(uint32_t character) {
    return CharacterSet({{character, character}});
  }

  CharacterSet Complement() const;
  CharacterSet Without(const CharacterSet& other) const;
  CharacterSet Common(const CharacterSet& other) const;

  bool empty() const { return ranges_.empty(); }
  bool Contains(uint32_t character) const;
  // Returns the ranges in ascending order. No two overlap or touch.
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  std::vector<Range> ranges_;
};

// Appends the character in UTF-8.
void AppendUtf8(uint32_t character, std::string& text);

// Returns the characters of valid UTF-8.
std::vector<uint32_t> Characters(std::string_view utf8);

// How a grammar writes characters. Each character has one spelling.
enum class Writing {
  kPlain,  // in UTF-8
  // As in a JSON string: a '\' before '"' and '\'; control characters as \b,
  // \f, \n, \r, \t or \u00XX in lower case; all others in UTF-8.
  kJson,
};

// Matches one character of the set.
ExprId OneOf(const CharacterSet& set, Writing writing, ByteGrammar& grammar);

// Returns the text in this spelling.
std::string Written(std::string_view utf8, Writing writing);

// Matches one of the texts, which must be sorted and distinct. Common
// beginnings are shared.
ExprId OneOf(absl::Span<const std::string> texts, ByteGrammar& grammar);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_CHARACTERS_H_
