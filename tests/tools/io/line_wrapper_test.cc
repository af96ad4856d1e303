// Lines that are broken between words while they are written.

#include "tools/gemma/io/line_wrapper.h"

#include <string>

#include "gtest/gtest.h"
#include "tools/gemma/io/character_width.h"
#include "tools/gemma/io/terminal_text.h"

namespace gemma::tools {
namespace {

// What a terminal of this width shows of a text that comes in pieces of at most
// `size` bytes.
std::string Wrapped(const std::string& text, size_t columns, size_t size) {
  std::string shown;
  LineWrapper lines([&] { return columns; },
                    [&](std::string_view part) { shown += part; });
  PrintablePieces pieces;
  for (size_t at = 0; at < text.size(); at += size) {
    lines.Write(pieces.Next(text.substr(at, size)));
  }
  lines.Write(pieces.Rest());
  lines.Flush();
  return shown;
}

// The same for all sizes of pieces, or else a text that says so.
std::string Wrapped(const std::string& text, size_t columns) {
  const std::string whole = Wrapped(text, columns, text.size() + 1);
  for (size_t size = 1; size < text.size(); ++size) {
    if (Wrapped(text, columns, size) != whole) return "depends on the pieces";
  }
  return whole;
}

TEST(LineWrapper, BreaksBetweenWords) {
  EXPECT_EQ(Wrapped("the quick brown fox", 10), "the quick\nbrown fox");
  EXPECT_EQ(Wrapped("the quick brown fox", 9), "the quick\nbrown fox");
  EXPECT_EQ(Wrapped("the quick brown fox", 8), "the\nquick\nbrown\nfox");
  EXPECT_EQ(Wrapped("a  b\n\n  c \nd\n", 10), "a  b\n\n  c\nd\n");
  EXPECT_EQ(Wrapped("a\tb", 20), "a       b");
  EXPECT_EQ(Wrapped("the quick brown fox", 0), "the quick brown fox");
  EXPECT_EQ(Wrapped("", 10), "");
}

TEST(LineWrapper, LongWordsStayWhole) {
  EXPECT_EQ(Wrapped("see https://example.org/a/b end", 10),
            "see\nhttps://example.org/a/b end");
  // A word without an end is not held.
  std::string shown;
  LineWrapper lines([] { return 10; },
                    [&](std::string_view part) { shown += part; });
  lines.Write(std::string(1000, 'x'));
  EXPECT_GE(shown.size(), 980u);
}

TEST(LineWrapper, WideCharactersTakeTwo) {
  EXPECT_EQ(CharacterWidth("a"), 1u);
  EXPECT_EQ(CharacterWidth("é"), 1u);
  EXPECT_EQ(CharacterWidth("狐"), 2u);
  EXPECT_EQ(CharacterWidth("\u0301"), 0u);
  EXPECT_EQ(CharacterWidth("\U0001F98A"), 2u);
  EXPECT_EQ(Wrapped("敏捷的狐狸跳过懒狗", 8), "敏捷的狐\n狸跳过懒\n狗");
  EXPECT_EQ(Wrapped("敏捷的狐狸跳过懒狗", 9), "敏捷的狐\n狸跳过懒\n狗");
  // No line begins with a full stop, and accents take no room.
  EXPECT_EQ(Wrapped("敏捷的狐。狸", 8), "敏捷的\n狐。狸");
  EXPECT_EQ(Wrapped("e\u0301e\u0301 e\u0301", 4), "e\u0301e\u0301 e\u0301");
}

TEST(LineWrapper, ControlCharactersAreShown) {
  EXPECT_EQ(Wrapped("a\x1b[31mb", 80), "a\\x1b[31mb");
  EXPECT_EQ(Wrapped("a\xC2\x9B b\xFF", 80), "a\\xc2\\x9b b\\xff");
  EXPECT_EQ(Wrapped("a\xE7\x8B", 80), "a\\xe7\\x8b");
}

TEST(LineWrapper, StylesTakeNoRoom) {
  std::string shown;
  LineWrapper lines([] { return 9; },
                    [&](std::string_view part) { shown += part; });
  lines.Write("the ");
  lines.WriteStyle("\x1b[1m");
  lines.Write("quick brown");
  lines.WriteStyle("\x1b[0m");
  lines.Write(" fox");
  lines.Flush();
  EXPECT_EQ(shown, "the \x1b[1mquick\nbrown\x1b[0m fox");
}

TEST(LineWrapper, FollowsTheTerminal) {
  std::string shown;
  size_t columns = 20;
  LineWrapper lines([&] { return columns; },
                    [&](std::string_view part) { shown += part; });
  lines.Write("one two three four ");
  columns = 8;
  lines.Write("five six seven\n");
  lines.SetIndent(2);
  lines.Write("eight nine\n");
  lines.SetBreaks(false);
  lines.Write("ten eleven twelve\n");
  EXPECT_EQ(shown,
            "one two three four\nfive six\nseven\neight\n  nine\n"
            "ten eleven twelve\n");
}

}  // namespace
}  // namespace gemma::tools
