#include "src/base/messages.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

TEST(Printable, KeepsHonestText) {
  for (const char* text : {"", "model.gguf", "d\u00e9j\u00e0 vu",
                           "\u20AC\u00A0\U0001F600", "it's \\n"}) {
    EXPECT_EQ(Printable(text), text);
    EXPECT_TRUE(IsPrintable(text)) << text;
  }
}

TEST(Printable, EscapesControlCharacters) {
  EXPECT_EQ(Printable("a\n\r\tb"), "a\\n\\r\\tb");
  EXPECT_EQ(Printable("\x1b[2J\x7F\x07"), "\\x1b[2J\\x7f\\x07");
  EXPECT_EQ(Printable(std::string_view("a\0b", 3)), "a\\x00b");
  // CSI, a string that OSC begins, and the last of these characters.
  EXPECT_EQ(Printable("\u009B31m\u009D\u009F"),
            "\\xc2\\x9b31m\\xc2\\x9d\\xc2\\x9f");
  EXPECT_FALSE(IsPrintable("\u009B"));
  EXPECT_FALSE(IsPrintable("a\n"));
}

TEST(Printable, EscapesBrokenUtf8) {
  EXPECT_EQ(Printable("\x9b[2J"), "\\x9b[2J");
  EXPECT_EQ(Printable("a\xC2"), "a\\xc2");
  EXPECT_EQ(Printable("\xC0\x9B"), "\\xc0\\x9b");           // overlong ESC
  EXPECT_EQ(Printable("\xED\xA0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_FALSE(IsPrintable("\xFF"));
}

TEST(Printable, ChangesNothingTwice) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  const std::string once = Printable(all, kUncut);
  EXPECT_EQ(Printable(once, kUncut), once);
  EXPECT_TRUE(IsPrintable(once));
}

TEST(Printable, CutsBetweenCharacters) {
  EXPECT_EQ(Printable("12345678", 8), "12345678");
  EXPECT_EQ(Printable("123456789", 8), "12345678...");
  EXPECT_EQ(Printable("1234567\u20AC", 8), "1234567...");
  EXPECT_EQ(Printable(std::string(1000, 'x')),
            absl::StrCat(std::string(96, 'x'), "..."));
}

TEST(Printable, LinesKeepTheirEnds) {
  EXPECT_EQ(PrintableLines("a\tb\nc\u00E9\r"), "a\tb\nc\u00E9\\r");
  EXPECT_EQ(PrintableLines("\u009B31m\x1b"), "\\xc2\\x9b31m\\x1b");
  EXPECT_EQ(PrintableLines(std::string(1000, 'x')), std::string(1000, 'x'));
}

}  // namespace
}  // namespace gemma::internal
