#include "src/jinja/values/characters.h"

#include <algorithm>
#include <iterator>

#include "src/base/format_text.h"

namespace gemma::internal {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

template <size_t kSize>
bool Contains(const Range (&ranges)[kSize], uint32_t character) {
  const Range* range =
      std::lower_bound(std::begin(ranges), std::end(ranges), character,
                       [](const Range& r, uint32_t c) { return r.last < c; });
  return range != std::end(ranges) && range->first <= character;
}

// Separators, controls, formats, surrogates and private use: what Python's
// str.isprintable excludes, without unassigned code points.
constexpr Range kNotPrintable[] = {
    {0x00, 0x1F},       {0x7F, 0xA0},       {0xAD, 0xAD},
    {0x600, 0x605},     {0x61C, 0x61C},     {0x6DD, 0x6DD},
    {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},
    {0x1680, 0x1680},   {0x180E, 0x180E},   {0x2000, 0x200F},
    {0x2028, 0x202F},   {0x205F, 0x206F},   {0x3000, 0x3000},
    {0xD800, 0xF8FF},   {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},
    {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F},
    {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0001, 0xE007F},
    {0xF0000, 0x10FFFF}};

// Letters whose other case is at a fixed distance.
struct Block {
  uint32_t first_upper;
  uint32_t last_upper;
  uint32_t distance;  // from an upper case letter to its lower case letter
};
constexpr Block kBlocks[] = {
    {'A', 'Z', 32},     {0xC0, 0xD6, 32},     {0xD8, 0xDE, 32},
    {0x386, 0x386, 38}, {0x388, 0x38A, 37},   {0x38C, 0x38C, 64},
    {0x38E, 0x38F, 63}, {0x391, 0x3A1, 32},   {0x3A3, 0x3AB, 32},
    {0x400, 0x40F, 80}, {0x410, 0x42F, 32},   {0x4C0, 0x4C0, 15},
    {0x531, 0x556, 48}, {0xFF21, 0xFF3A, 32},
};

// Letters whose lower case follows each upper case letter.
constexpr Range kPairs[] = {{0x100, 0x12F},  {0x132, 0x137}, {0x139, 0x148},
                            {0x14A, 0x177},  {0x179, 0x17E}, {0x1A0, 0x1A1},
                            {0x1AF, 0x1B0},  {0x460, 0x481}, {0x48A, 0x4BF},
                            {0x4C1, 0x4CE},  {0x4D0, 0x52F}, {0x1E00, 0x1E95},
                            {0x1EA0, 0x1EFF}};

// Blocks where all other letters with a case are, which are not known here.
constexpr Range kUnknown[] = {
    {0x130, 0x131},     {0x138, 0x138},     {0x149, 0x149},
    {0x178, 0x178},     {0x17F, 0x2B8},     {0x2C0, 0x2C1},
    {0x2E0, 0x2E4},     {0x345, 0x345},     {0x370, 0x3FF},
    {0x560, 0x560},     {0x587, 0x588},     {0x10A0, 0x10FF},
    {0x13A0, 0x13FF},   {0x1C80, 0x1CBF},   {0x1D00, 0x1FFF},
    {0x2071, 0x209C},   {0x2100, 0x218F},   {0x24B6, 0x24E9},
    {0x2C00, 0x2D2D},   {0xA640, 0xA7FF},   {0xAB30, 0xABBF},
    {0xFB00, 0xFB17},   {0x10400, 0x107BA}, {0x10C80, 0x10D85},
    {0x118A0, 0x118DF}, {0x16E40, 0x16ED3}, {0x1D400, 0x1D7FF},
    {0x1DF00, 0x1DF2A}, {0x1E030, 0x1E06D}, {0x1E900, 0x1E943},
    {0x1F130, 0x1F189}};

// A letter and its upper and lower forms; they are equal if it has no case.
struct Forms {
  LetterCase letter_case;
  uint32_t upper;
  uint32_t lower;
};

std::optional<Forms> FormsOf(uint32_t c) {
  for (const Block& block : kBlocks) {
    if (c >= block.first_upper && c <= block.last_upper) {
      return Forms{LetterCase::kUpper, c, c + block.distance};
    }
    const uint32_t upper = c - block.distance;
    // U+03C2 is a second lower case sigma.
    if (upper >= block.first_upper && upper <= block.last_upper) {
      return Forms{LetterCase::kLower, upper, c};
    }
  }
  if (c == 0x3C2) return Forms{LetterCase::kLower, 0x3A3, c};
  if (c == 0xB5) return Forms{LetterCase::kLower, 0x39C, c};
  if (c == 0xFF || c == 0x178) {
    return Forms{c == 0xFF ? LetterCase::kLower : LetterCase::kUpper, 0x178,
                 0xFF};
  }
  // Lower case letters without a single upper case letter.
  if (c == 0xAA || c == 0xBA || c == 0xDF) {
    return Forms{LetterCase::kLower, c, c};
  }
  for (const Range& pairs : kPairs) {
    if (c < pairs.first || c > pairs.last) continue;
    const bool is_upper = (c - pairs.first) % 2 == 0;
    const uint32_t upper = is_upper ? c : c - 1;
    return Forms{is_upper ? LetterCase::kUpper : LetterCase::kLower, upper,
                 upper + 1};
  }
  if (Contains(kUnknown, c)) return std::nullopt;
  return Forms{LetterCase::kNone, c, c};
}

absl::Status UnknownCase(uint32_t character) {
  return absl::UnimplementedError(
      FormatText("the case of the letter U+%04X is not known here", character));
}

}  // namespace

size_t CharacterBegin(std::string_view text, size_t end) {
  for (size_t length = 2; length <= 4 && length <= end; ++length) {
    if (static_cast<uint8_t>(text[end - 1]) < 0x80) break;
    if (Utf8CharacterLength(text.substr(end - length, length)) == length) {
      return end - length;
    }
  }
  return end - 1;
}

size_t CountCharacters(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at = CharacterEnd(text, at)) ++count;
  return count;
}

size_t OffsetOfCharacter(std::string_view text, size_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) at = CharacterEnd(text, at);
  return at;
}

uint32_t CodePoint(std::string_view character) {
  const auto byte = [&](size_t i) {
    return static_cast<uint32_t>(static_cast<uint8_t>(character[i]));
  };
  switch (character.size()) {
    case 1:
      return byte(0) < 0x80 ? byte(0) : 0xDC00 + byte(0);
    case 2:
      return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
    case 3:
      return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    default:
      return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 |
             (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
  }
}

void AppendCharacter(uint32_t character, std::string& text) {
  const auto append = [&text](uint32_t byte) {
    text.push_back(static_cast<char>(byte));
  };
  if (character < 0x80) {
    append(character);
    return;
  }
  if (character < 0x800) {
    append(0xC0 | character >> 6);
  } else {
    if (character < 0x10000) {
      append(0xE0 | character >> 12);
    } else {
      append(0xF0 | character >> 18);
      append(0x80 | (character >> 12 & 0x3F));
    }
    append(0x80 | (character >> 6 & 0x3F));
  }
  append(0x80 | (character & 0x3F));
}

bool IsSpace(uint32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) || (c >= 28 && c <= 31);
  return c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool IsPrintableCharacter(uint32_t character) {
  return !Contains(kNotPrintable, character);
}

std::optional<LetterCase> CaseOf(uint32_t character) {
  const std::optional<Forms> forms = FormsOf(character);
  if (!forms.has_value()) return std::nullopt;
  return forms->letter_case;
}

absl::Status AppendUpper(uint32_t character, std::string& text) {
  if (character == 0xDF) {
    text += "SS";
    return absl::OkStatus();
  }
  const std::optional<Forms> forms = FormsOf(character);
  if (!forms.has_value()) return UnknownCase(character);
  AppendCharacter(forms->upper, text);
  return absl::OkStatus();
}

absl::Status AppendLower(uint32_t character, std::string& text) {
  const std::optional<Forms> forms = FormsOf(character);
  // The lower case of a capital sigma depends on the letters around it.
  if (!forms.has_value() || character == 0x3A3) return UnknownCase(character);
  AppendCharacter(forms->lower, text);
  return absl::OkStatus();
}

}  // namespace gemma::internal
