#include "src/grammar/characters.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "src/base/format_text.h"
#include "src/base/utf8.h"

namespace gemma::internal {
namespace {

using Range = CharacterSet::Range;

constexpr uint32_t kLastCharacter = 0x10FFFF;
constexpr Range kSurrogates = {0xD800, 0xDFFF};
// The largest character of each length in UTF-8.
constexpr uint32_t kLastOfLength[] = {0x7F, 0x7FF, 0xFFFF, kLastCharacter};

// The characters that a JSON string must escape.
CharacterSet Escaped() {
  return CharacterSet({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}});
}

std::string Escape(uint32_t character) {
  constexpr std::string_view kNamed = "\b\f\n\r\t\"\\";
  constexpr std::string_view kNames = "bfnrt\"\\";
  const size_t named = kNamed.find(static_cast<char>(character));
  if (named != std::string_view::npos) return {'\\', kNames[named]};
  return FormatText("\\u%04x", character);
}

// Appends the UTF-8 encodings of a range of characters of one length, as
// sequences of byte ranges.
void AppendEncodings(Range range, ByteGrammar& grammar,
                     std::vector<ExprId>& encodings) {
  std::string first;
  AppendUtf8(range.first, first);
  // After the first byte where the ends differ, every byte must cover its whole
  // range.
  for (size_t tail = 1; tail < first.size(); ++tail) {
    const uint32_t low = (uint32_t{1} << (6 * tail)) - 1;
    if ((range.first & ~low) == (range.last & ~low)) continue;
    if ((range.first & low) != 0) {
      AppendEncodings({range.first, range.first | low}, grammar, encodings);
      AppendEncodings({(range.first | low) + 1, range.last}, grammar,
                      encodings);
      return;
    }
    if ((range.last & low) != low) {
      AppendEncodings({range.first, (range.last & ~low) - 1}, grammar,
                      encodings);
      AppendEncodings({range.last & ~low, range.last}, grammar, encodings);
      return;
    }
  }
  std::string last;
  AppendUtf8(range.last, last);
  std::vector<ExprId> bytes;
  for (size_t i = 0; i < first.size(); ++i) {
    bytes.push_back(grammar.Byte(static_cast<uint8_t>(first[i]),
                                 static_cast<uint8_t>(last[i])));
  }
  encodings.push_back(grammar.Sequence(bytes));
}

// Matches one of the sorted texts, which share their first `begin` bytes.
ExprId OneOfRest(absl::Span<const std::string> texts, size_t begin,
                 ByteGrammar& grammar) {
  if (!grammar.budget().Spend(texts.size())) return grammar.Nothing();
  const std::string_view first = texts.front();
  const std::string_view last = texts.back();
  size_t end = begin;
  while (end < first.size() && end < last.size() && first[end] == last[end]) {
    ++end;
  }
  std::vector<ExprId> alternatives;
  if (first.size() == end) {
    alternatives.push_back(grammar.Empty());
    texts.remove_prefix(1);
  }
  while (!texts.empty()) {
    const char next = texts.front()[end];
    const auto stop =
        std::find_if(texts.begin(), texts.end(),
                     [&](const std::string& t) { return t[end] != next; });
    const auto count = static_cast<size_t>(stop - texts.begin());
    alternatives.push_back(OneOfRest(texts.first(count), end, grammar));
    texts.remove_prefix(count);
  }
  return grammar.Sequence({grammar.Text(first.substr(begin, end - begin)),
                           grammar.Choice(alternatives)});
}

}  // namespace

CharacterSet::CharacterSet(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });
  for (const Range& range : ranges) {
    if (!ranges_.empty() && range.first <= ranges_.back().last + 1) {
      ranges_.back().last = std::max(ranges_.back().last, range.last);
    } else {
      ranges_.push_back(range);
    }
  }
}

CharacterSet CharacterSet::All() {
  return CharacterSet(
      {{0, kSurrogates.first - 1}, {kSurrogates.last + 1, kLastCharacter}});
}

CharacterSet CharacterSet::Complement() const {
  std::vector<Range> gaps;
  uint32_t next = 0;
  for (const Range& range : ranges_) {
    if (range.first > next) gaps.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCharacter) gaps.push_back({next, kLastCharacter});
  return CharacterSet(std::move(gaps)).Common(All());
}

CharacterSet CharacterSet::Without(const CharacterSet& other) const {
  return Common(other.Complement());
}

CharacterSet CharacterSet::Common(const CharacterSet& other) const {
  std::vector<Range> common;
  auto a = ranges_.begin();
  auto b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    const Range range = {std::max(a->first, b->first),
                         std::min(a->last, b->last)};
    if (range.first <= range.last) common.push_back(range);
    (a->last < b->last ? a : b)++;
  }
  return CharacterSet(std::move(common));
}

bool CharacterSet::Contains(uint32_t character) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const Range& range) {
    return range.first <= character && character <= range.last;
  });
}

void AppendUtf8(uint32_t character, std::string& text) {
  const auto tail = [&](int shift) {
    text += static_cast<char>(0x80 | (character >> shift & 0x3F));
  };
  if (character <= kLastOfLength[0]) {
    text += static_cast<char>(character);
  } else if (character <= kLastOfLength[1]) {
    text += static_cast<char>(0xC0 | character >> 6);
    tail(0);
  } else if (character <= kLastOfLength[2]) {
    text += static_cast<char>(0xE0 | character >> 12);
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0 | character >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

std::vector<uint32_t> Characters(std::string_view utf8) {
  std::vector<uint32_t> characters;
  while (!utf8.empty()) {
    const size_t length = Utf8Length(utf8[0]);
    auto character = static_cast<uint8_t>(utf8[0]) & (0xFFu >> length);
    if (length == 1) character = static_cast<uint8_t>(utf8[0]);
    for (size_t i = 1; i < length; ++i) {
      character = character << 6 | (static_cast<uint8_t>(utf8[i]) & 0x3Fu);
    }
    characters.push_back(character);
    utf8.remove_prefix(length);
  }
  return characters;
}

ExprId OneOf(const CharacterSet& set, Writing writing, ByteGrammar& grammar) {
  CharacterSet plain = set;
  std::vector<ExprId> alternatives;
  if (writing == Writing::kJson) {
    plain = set.Without(Escaped());
    std::vector<std::string> escapes;
    const CharacterSet escaped = set.Common(Escaped());
    for (const Range& range : escaped.ranges()) {
      for (uint32_t c = range.first; c <= range.last; ++c) {
        escapes.push_back(Escape(c));
      }
    }
    std::sort(escapes.begin(), escapes.end());
    if (!escapes.empty()) alternatives.push_back(OneOf(escapes, grammar));
  }
  for (const Range& range : plain.ranges()) {
    uint32_t first = range.first;
    for (const uint32_t last : kLastOfLength) {
      if (first > std::min(last, range.last)) continue;
      AppendEncodings({first, std::min(last, range.last)}, grammar,
                      alternatives);
      first = last + 1;
    }
  }
  return grammar.Choice(alternatives);
}

std::string Written(std::string_view utf8, Writing writing) {
  if (writing == Writing::kPlain) return std::string(utf8);
  std::string text;
  const CharacterSet escaped = Escaped();
  for (const uint32_t c : Characters(utf8)) {
    if (escaped.Contains(c)) {
      text += Escape(c);
    } else {
      AppendUtf8(c, text);
    }
  }
  return text;
}

ExprId OneOf(absl::Span<const std::string> texts, ByteGrammar& grammar) {
  return texts.empty() ? grammar.Nothing() : OneOfRest(texts, 0, grammar);
}

}  // namespace gemma::internal
