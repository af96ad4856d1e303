// Markdown on a terminal, in pieces.

#include "tools/gemma/io/markdown.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "tools/gemma/io/terminal_text.h"

namespace gemma::tools {
namespace {

// What is shown of a text whose pieces end at `first`, and then after each
// `size` bytes. Styles are written as <b>, </b> and so on; 22, which ends both
// bold text and dim marks, is </b>.
std::string Rendered(const std::string& text, size_t first, size_t size) {
  std::string shown;
  LineWrapper lines([] { return 40; },
                    [&](std::string_view part) { shown += part; });
  MarkdownRenderer markdown(&lines);
  PrintablePieces pieces;
  for (size_t at = 0; at < text.size();) {
    const size_t length = at == 0 && first > 0 ? first : size;
    markdown.Write(pieces.Next(text.substr(at, length)));
    at += length;
  }
  markdown.Finish();
  lines.Flush();
  return absl::StrReplaceAll(shown, {{"\x1b[1m", "<b>"},
                                     {"\x1b[22m", "</b>"},
                                     {"\x1b[3m", "<i>"},
                                     {"\x1b[23m", "</i>"},
                                     {"\x1b[36m", "<c>"},
                                     {"\x1b[39m", "</c>"},
                                     {"\x1b[2m", "<d>"}});
}

// The same for all splits, or else a text that says so.
std::string Rendered(const std::string& text) {
  const size_t size = text.size();
  const std::string whole = Rendered(text, 0, size);
  for (size_t first = 1; first < size; ++first) {
    if (Rendered(text, first, size) != whole) {
      return absl::StrCat("differs if split at ", first);
    }
  }
  for (size_t piece = 1; piece < size; ++piece) {
    if (Rendered(text, 0, piece) != whole) {
      return absl::StrCat("differs in pieces of ", piece);
    }
  }
  return whole;
}

// The text without blanks, styles and all that marks may become.
std::string WithoutMarks(const std::string& text) {
  std::string plain = absl::StrReplaceAll(text, {{"<b>", ""},
                                                 {"</b>", ""},
                                                 {"<i>", ""},
                                                 {"</i>", ""},
                                                 {"<c>", ""},
                                                 {"</c>", ""},
                                                 {"<d>", ""},
                                                 {"•", ""},
                                                 {"─", ""},
                                                 {"│", ""}});
  for (const char mark : std::string_view("*_`#-\\ \n\t")) {
    plain.erase(std::remove(plain.begin(), plain.end(), mark), plain.end());
  }
  return plain;
}

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; ++at) ++count;
  return count;
}

TEST(Markdown, StylesOfWords) {
  EXPECT_EQ(Rendered("a **bold** word"), "a <b>bold</b> word");
  EXPECT_EQ(Rendered("*it* and _it_."), "<i>it</i> and <i>it</i>.");
  EXPECT_EQ(Rendered("***both***"), "<b><i>both</i></b>");
  EXPECT_EQ(Rendered("**b *i* b**"), "<b>b <i>i</i> b</b>");
  EXPECT_EQ(Rendered("**b *i***"), "<b>b <i>i</i></b>");
  EXPECT_EQ(Rendered("*i **b** i*"), "<i>i <b>b</b> i</i>");
  EXPECT_EQ(Rendered("use `x = *p` here"), "use <c>x = *p</c> here");
  EXPECT_EQ(Rendered("``a ` b``"), "<c>a ` b</c>");
  EXPECT_EQ(Rendered("**Use `a*b`:** go"), "<b>Use <c>a*b</c>:</b> go");
  EXPECT_EQ(Rendered("这是**重点**内容"), "这是<b>重点</b>内容");
}

// As CommonMark has it.
TEST(Markdown, EmphasisWithinEmphasis) {
  EXPECT_EQ(Rendered("***b** i*"), "<i><b>b</b> i</i>");
  EXPECT_EQ(Rendered("***i* b**"), "<b><i>i</i> b</b>");
  EXPECT_EQ(Rendered("*a **b***"), "<i>a <b>b</b></i>");
  EXPECT_EQ(Rendered("*(**b**)*"), "<i>(<b>b</b>)</i>");
  EXPECT_EQ(Rendered("`**x**` **y**"), "<c>**x**</c> <b>y</b>");
  EXPECT_EQ(Rendered("**a `**` b**"), "<b>a <c>**</c> b</b>");
  EXPECT_EQ(Rendered("**a **b** c"), "**a <b>b</b> c");
}

TEST(Markdown, BoldLettersOfWords) {
  EXPECT_EQ(Rendered("**a**b**c**"), "<b>a</b>b<b>c</b>");
  EXPECT_EQ(Rendered("**R**andom **A**ccess"), "<b>R</b>andom <b>A</b>ccess");
  EXPECT_EQ(Rendered("un**believ**able"), "un<b>believ</b>able");
  EXPECT_EQ(Rendered("*See* 2**3 and x**2 + y**2 = **z**"),
            "<i>See</i> 2**3 and x**2 + y**2 = <b>z</b>");
}

TEST(Markdown, LoneMarksStay) {
  for (const char* text : {"2*3*4 and 2 * 3 * 4",
                           "rm *.txt and *.md",
                           "__init__.py and __init__",
                           "a**b and c**d",
                           "**kwargs and **args",
                           "**a **",
                           "snake_case_",
                           "**kwargs, *args",
                           "int *p, *q;",
                           "a ` b",
                           "**open\nnext** line",
                           "*",
                           "**",
                           "`",
                           "a*",
                           "\\(x\\) and \\[y\\]",
                           "#include <x>",
                           "#",
                           "-5 or +1",
                           "1.5 and 2)x",
                           "12345. word",
                           "--",
                           "a_b_c d_e_f",
                           "[text](http://x/_a_b_)",
                           "| **a** | b |\n|---|:-:|\n| `x` | 2 * 3 * 4 |",
                           "<br>"}) {
    EXPECT_EQ(Rendered(text), text);
  }
  EXPECT_EQ(Rendered("\\*plain\\* \\`x\\`"), "*plain* `x`");
  // A mark is not held back for longer than a line or kMaxSpan.
  const std::string spoken = std::string(MarkdownRenderer::kMaxSpan, 'x');
  EXPECT_EQ(Rendered(absl::StrCat("**", spoken, "** *i*")),
            absl::StrCat("**", spoken, "** <i>i</i>"));
}

TEST(Markdown, HeadingsListsAndQuotes) {
  EXPECT_EQ(Rendered("# Big `x`\ntext\n### Small"),
            "<b>Big <c>x</c></b>\ntext\n<b>Small</b>");
  EXPECT_EQ(Rendered("- one\n* two\n  + **three**\n"),
            "• one\n• two\n  • <b>three</b>\n");
  EXPECT_EQ(Rendered("1. one\n10) ten"), "1. one\n10) ten");
  // As Gemma writes them.
  EXPECT_EQ(Rendered("*   **One:** a\n    *   *Two*\n\t- three\n1.  **b**"),
            "• <b>One:</b> a\n    • <i>Two</i>\n    • three\n1. <b>b</b>");
  EXPECT_EQ(Rendered("> said *she*"), "<d>│</b> said <i>she</i>");
  std::string rule;
  for (int i = 0; i < 24; ++i) rule += "─";
  for (const char* marks : {"---", "***", "___", "* * *", "- - -"}) {
    EXPECT_EQ(Rendered(absl::StrCat("a\n", marks, "\nb")),
              absl::StrCat("a\n<d>", rule, "</b>\nb"));
  }
  EXPECT_EQ(Rendered("\n\n"), "\n\n");
}

TEST(Markdown, ListsKeepTheirIndent) {
  EXPECT_EQ(Rendered("- one two three four five six seven eight nine ten"),
            "• one two three four five six seven\n  eight nine ten");
  EXPECT_EQ(Rendered("1. one two three four five six seven **eight nine**"),
            "1. one two three four five six seven\n   <b>eight nine</b>");
  EXPECT_EQ(Rendered("*   one two three four five six seven eight nine\n"
                     "    *   one two three four five six seven eight"),
            "• one two three four five six seven\n  eight nine\n"
            "    • one two three four five six seven\n      eight");
}

TEST(Markdown, CodeIsLeftAlone) {
  EXPECT_EQ(
      Rendered("```python\ndef f(*a, **k):\n\n    return \"# no\"\n```\nend"),
      "<d>```python</b>\n<c>def f(*a, **k):\n\n    return \"# no\"\n</c>"
      "<d>```</b>\nend");
  const std::string wide = "x = " + std::string(60, 'y') + " + 1";
  EXPECT_EQ(Rendered("~~~\n" + wide + "\n~~~"),
            "<d>~~~</b>\n<c>" + wide + "\n</c><d>~~~</b>");
  // An answer that was cut ends its style.
  EXPECT_EQ(Rendered("```\nx"), "<d>```</b>\n<c>x</c>");
  EXPECT_EQ(Rendered("```\n`` ```x\n"), "<d>```</b>\n<c>`` ```x\n</c>");
  EXPECT_EQ(Rendered("```x``` y"), "<c>x</c> y");
}

// Texts of marks, letters and blanks in any order: only marks may be lost, and
// no style outlasts the text.
TEST(Markdown, AnyTextInPieces) {
  constexpr const char* kParts[] = {"*",  "**", "***", "_",   "__", "`", "```",
                                    "\n", " ",  "- ",  "1. ", "# ", "|", "\\",
                                    "a",  "bc", "2",   "é",   "重", ".", "\t"};
  std::mt19937 random(7);
  const auto below = [&random](size_t n) { return random() % n; };
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (size_t parts = 1 + below(24); parts > 0; --parts) {
      text += kParts[below(std::size(kParts))];
    }
    const std::string whole = Rendered(text, 0, text.size());
    EXPECT_EQ(Rendered(text, 1 + below(text.size()), 1 + below(7)), whole)
        << text;
    for (const char* style : {"i", "c"}) {  // </b> also ends dim text
      EXPECT_EQ(CountOf(whole, absl::StrCat("<", style, ">")),
                CountOf(whole, absl::StrCat("</", style, ">")))
          << text;
    }
    EXPECT_EQ(WithoutMarks(whole), WithoutMarks(text)) << text;
  }
}

TEST(Markdown, TextComesEarly) {
  std::string shown;
  LineWrapper lines([] { return 40; },
                    [&](std::string_view part) { shown += part; });
  MarkdownRenderer markdown(&lines);
  markdown.Write("The fox **jumps** over the");
  EXPECT_EQ(shown, "The fox \x1b[1mjumps\x1b[22m over");
}

TEST(Markdown, FinishEndsCodeBlocks) {
  std::string shown;
  LineWrapper lines([] { return 40; },
                    [&](std::string_view part) { shown += part; });
  MarkdownRenderer markdown(&lines);
  markdown.Write("```\nx");
  markdown.Finish();
  shown.clear();
  markdown.Write("\n**a**\n");
  EXPECT_EQ(shown, "\n\x1b[1ma\x1b[22m\n");
}

TEST(Markdown, ControlCharactersAreShown) {
  EXPECT_EQ(Rendered("a `\x1b[31m` **\x9B**"),
            "a <c>\\x1b[31m</c> <b>\\x9b</b>");
}

}  // namespace
}  // namespace gemma::tools
