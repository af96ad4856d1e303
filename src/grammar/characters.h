// Sets of characters, and the bytes that they are written with.

#ifndef GEMMA_SRC_GRAMMAR_CHARACTERS_H_
#define GEMMA_SRC_GRAMMAR_CHARACTERS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "src/grammar/byte_grammar.h"

namespace gemma {

// A set of Unicode's code points, without surrogates, which no text has.
class CharacterSet {
 public:
  struct Range {
    uint32_t first;
    uint32_t last;
    bool operator==(const Range&) const = default;
  };

  CharacterSet() = default;
  // Ranges in any order; they may overlap.
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
  // In ascending order, not touching each other.
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  std::vector<Range> ranges_;
};

// Appends a character in UTF-8.
void AppendUtf8(uint32_t character, std::string& text);

// The characters of valid UTF-8.
std::vector<uint32_t> Characters(std::string_view utf8);

// How a character is written. Each in one way.
enum class Writing {
  kPlain,  // in UTF-8
  // As in a string of JSON: '"' and '\' behind a '\', control characters as \b,
  // \f, \n, \r, \t or \u00XX in lower case, others in UTF-8.
  kJson,
};

// One character of the set.
ExprId OneOf(const CharacterSet& set, Writing writing, ByteGrammar& grammar);

// A text so written.
std::string Written(std::string_view utf8, Writing writing);

// One of the texts, which are sorted and differ. Beginnings are shared.
ExprId OneOf(absl::Span<const std::string> texts, ByteGrammar& grammar);

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_CHARACTERS_H_
