// What a terminal shows of an answer.

#include "tools/gemma/answer/answer_display.h"

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tests/support/error_of.h"
#include "tests/support/on_terminal.h"
#include "tools/gemma/answer/answer.h"
#include "tools/gemma/chat/chat_loop.h"
#include "tools/gemma/chat/chat_text.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/output_file.h"

namespace gemma::tools {
namespace {

using ::testing::HasSubstr;

// What standard output shows of an answer if it is a terminal of this type.
std::string Shown(const Answer& answer, const AnswerOptions& options,
                  const char* type = "xterm") {
  setenv("NO_COLOR", "", 1);
  return OnTerminal(
      STDOUT_FILENO,
      [&] { EXPECT_EQ(ErrorOf(WriteAnswer(answer, options)), "OK"); }, type,
      /*columns=*/20);
}

TEST(AnswerDisplay, MarkdownOfTurnsOnly) {
  Answer answer;
  answer.text = "A **bold** word and\n- one\n";
  AnswerOptions options;
  options.is_turn = true;
  EXPECT_EQ(Shown(answer, options),
            "A \x1b[1mbold\x1b[22m word and\r\n• one\r\n");
  EXPECT_EQ(Shown(answer, options, "dumb"), "A **bold** word and\r\n- one\r\n");
  options.markdown = "off";
  EXPECT_EQ(Shown(answer, options), "A **bold** word and\r\n- one\r\n");
  options.markdown = "on";
  options.is_turn = false;  // a text that is completed
  EXPECT_EQ(Shown(answer, options), "A **bold** word and\r\n- one\r\n");
}

TEST(AnswerDisplay, NoColorLeavesText) {
  Answer answer;
  answer.text = "A **bold** word and more";
  AnswerOptions options;
  options.is_turn = true;
  const std::string shown = OnTerminal(
      STDOUT_FILENO,
      [&] {
        setenv("NO_COLOR", "1", 1);
        EXPECT_EQ(ErrorOf(WriteAnswer(answer, options)), "OK");
        setenv("NO_COLOR", "", 1);
      },
      "xterm", /*columns=*/20);
  EXPECT_EQ(shown, "A **bold** word and\r\nmore\r\n");
}

TEST(AnswerDisplay, LinesBreakBetweenWords) {
  Answer answer;
  answer.thoughts = "Let me think about this for a while.";
  answer.text = "The quick brown fox jumps over \x1b[2Jit";
  AnswerOptions options;
  options.is_turn = true;
  EXPECT_EQ(Shown(answer, options),
            "\x1b[2mLet me think about\r\nthis for a while.\r\n...\r\n\x1b[0m"
            "The quick brown fox\r\njumps over \\x1b[2Jit\r\n");
  EXPECT_EQ(Shown(answer, options, "dumb"),
            "Let me think about this for a while.\r\n...\r\n"
            "The quick brown fox jumps over \\x1b[2Jit\r\n");
}

TEST(AnswerDisplay, FilesGetTextUnchanged) {
  Answer answer;
  answer.text = "A **bold** word, \r\x1b[2J and more than 20 columns\n";
  AnswerOptions options;
  options.is_turn = true;
  const std::string path = ::testing::TempDir() + "/answer.txt";
  const std::string shown = OnTerminal(
      STDOUT_FILENO,
      [&] {
        const auto file = OutputFile::Open(path, /*force=*/true);
        ASSERT_EQ(ErrorOf(file), "OK");
        EXPECT_EQ(ErrorOf(WriteAnswer(answer, options)), "OK");
        EXPECT_EQ(ErrorOf((*file)->Commit()), "OK");
      },
      "xterm", /*columns=*/20);
  EXPECT_EQ(shown, "");
  const absl::StatusOr<std::string> written = ReadFile(path);
  ASSERT_EQ(ErrorOf(written), "OK");
  EXPECT_EQ(*written, answer.text);
}

TEST(AnswerDisplay, ExactTextsStayWhole) {
  Answer answer;
  answer.text = "{\"text\": \"one two three four five\"}";
  AnswerOptions options;
  const absl::StatusOr<Grammar> grammar = Grammar::FromRegex(".*");
  ASSERT_EQ(ErrorOf(grammar), "OK");
  options.grammar = &*grammar;
  EXPECT_EQ(Shown(answer, options), answer.text + "\r\n");
  options.grammar = nullptr;
  options.as_is = true;  // the text for a gap
  EXPECT_EQ(Shown(answer, options), answer.text + "\r\n");
}

TEST(AnswerDisplay, CompletionFollowsItsPrompt) {
  Answer answer;
  answer.text = " upon a time there was";
  AnswerOptions options;
  options.echo = "Once";
  EXPECT_EQ(Shown(answer, options),
            "\x1b[2mOnce\x1b[0m upon a time\r\nthere was\r\n");
  EXPECT_EQ(Shown(answer, options, "dumb"), " upon a time there was\r\n");
  // Only the end of a long prompt is shown.
  options.echo = std::string(5000, 'x');
  EXPECT_LT(Shown(answer, options).size(), 700u);
}

TEST(AnswerDisplay, CutsAreMarked) {
  GenerateStats stats;
  stats.new_tokens = 256;
  stats.stop_reason = StopReason::kStopToken;
  EXPECT_EQ(CutMark(stats, 4096, FlagLabel), "");
  stats.stop_reason = StopReason::kMaxTokens;
  EXPECT_EQ(CutMark(stats, 4096, FlagLabel),
            "[cut at 256 tokens: --max-tokens]");
  stats.stop_reason = StopReason::kContextFull;
  EXPECT_EQ(CutMark(stats, 4096, FlagLabel),
            "[cut, because the context of 4096 tokens is full: --context]");
  EXPECT_EQ(CutMark(stats, 64, SetLabel),
            "[cut, because the context of 64 tokens is full: /set context]");
}

TEST(AnswerDisplay, SpeculationHasItsName) {
  GenerateStats stats;
  stats.drafted_tokens = 9;
  stats.accepted_tokens = 8;
  EXPECT_THAT(StatsLine(stats, FlagLabel),
              HasSubstr(" tok/s, speculation 8 of 9 right;"));
  ChatTotals totals;
  AddAnswer(stats, &totals);
  AddAnswer(stats, &totals);
  EXPECT_THAT(TotalsLine(totals), HasSubstr(", speculation 16 of 18 right"));
}

TEST(AnswerDisplay, ChatNamesItsSettings) {
  GenerateStats stats;
  stats.stop_reason = StopReason::kMaxTokens;
  EXPECT_THAT(StatsLine(stats, FlagLabel),
              HasSubstr("; ended by --max-tokens"));
  EXPECT_THAT(StatsLine(stats, SetLabel),
              HasSubstr("ended by /set max-tokens"));
  stats.stop_reason = StopReason::kContextFull;
  EXPECT_THAT(StatsLine(stats, SetLabel),
              HasSubstr("the context is full (/set context)"));
}

TEST(Stop, EscapesBecomeCharacters) {
  EXPECT_EQ(Unescaped("a\\nb\\tc\\\\n"), "a\nb\tc\\n");
  EXPECT_EQ(Unescaped("\\d \\"), "\\d \\");
  AnswerOptions options;
  options.stop = {"x", "\\n"};
  UnescapeStops(&options, /*quiet=*/true);
  EXPECT_EQ(options.stop, (std::vector<std::string>{"x", "\n"}));
}

}  // namespace
}  // namespace gemma::tools
