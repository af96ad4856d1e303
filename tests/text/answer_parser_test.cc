#include "gemma/answer_parser.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/text/tokenizer/tokenizer_impl.h"
#include "src/text/turns/call_parser.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Takes an answer apart. Names of control tokens in `answer` are those tokens;
// other text comes byte by byte.
class Parts {
 public:
  explicit Parts(std::string_view answer)
      : parser_(
            Vocab(), [this](std::string_view part) { text += part; },
            [this](std::string_view part) { thoughts += part; }) {
    StreamDecoder decoder(Vocab());
    const std::vector<TokenId> tokens =
        *Vocab().Encode(answer, ControlTokens::kParse);
    for (const TokenId token : tokens) {
      if (Vocab().IsControl(token)) {
        parser_.Control(token);
      } else {
        for (const char c : decoder.Append(token)) parser_.Text({&c, 1});
      }
    }
    parser_.Finish();
    EXPECT_EQ(text, parser_.answer().text);
    EXPECT_EQ(thoughts, parser_.answer().thoughts);
  }

  const std::vector<ToolCall>& calls() const {
    return parser_.answer().tool_calls;
  }
  bool has_markers() const { return parser_.answer().has_markers; }

  std::string text;      // as it was streamed
  std::string thoughts;  // likewise

  static const Tokenizer& Vocab() {
    static const Tokenizer* tokenizer = new Tokenizer(*Tokenizer::Load(
        std::string(GEMMA_TESTDATA_DIR) + "/models/gemma4_chat"));
    return *tokenizer;
  }

 private:
  AnswerParser parser_;
};

TEST(AnswerParser, SplitsThoughtsFromText) {
  const Parts plain("Hello.");
  EXPECT_EQ(plain.text, "Hello.");
  EXPECT_FALSE(plain.has_markers());
  const Parts other("a<|image>b");  // not a mark of answers
  EXPECT_EQ(other.text, "ab");
  EXPECT_FALSE(other.has_markers());
  const Parts thinking("<|channel>thought\nWell,\nso.\n<channel|>Hello.\n");
  EXPECT_EQ(thinking.thoughts, "Well,\nso.");
  EXPECT_EQ(thinking.text, "Hello.\n");
  EXPECT_TRUE(thinking.has_markers());
  for (const char* empty :
       {"<|channel>thought\n<channel|>x", "<|channel>thought<channel|>x"}) {
    EXPECT_EQ(Parts(empty).thoughts, "");
    EXPECT_EQ(Parts(empty).text, "x");
  }
  EXPECT_EQ(Parts("<|channel>thought\nCut sho").thoughts, "Cut sho");
  EXPECT_EQ(Parts("<|channel>thought\nCut sho").text, "");
}

TEST(AnswerParser, ReadsCalls) {
  const Parts parts(
      "I see. <|tool_call>call:get{b:<|\"|>a \"b\"\n{}:,\\<|\"|>,a:[1,-2.5e3,"
      "{x:true}],n:null,e:{},l:[]}<tool_call|><|tool_call>call:now{}"
      "<tool_call|>");
  EXPECT_EQ(parts.text, "I see. ");
  EXPECT_THAT(
      parts.calls(),
      ElementsAre(ToolCall{"get",
                           "{\"b\":\"a \\\"b\\\"\\n{}:,\\\\\",\"a\":[1,-2.5e3,"
                           "{\"x\":true}],\"n\":null,\"e\":{},\"l\":[]}"},
                  ToolCall{"now", "{}"}));
}

TEST(AnswerParser, WrongSyntaxStaysText) {
  for (const char* answer :
       {"<|tool_call>call:f{a:b}<tool_call|>", "<|tool_call>call:f{a:1",
        "<|tool_call>f{}<tool_call|>",
        "<|tool_call>call:f{a:1,a:2}<tool_call|>",
        "<|tool_call>call:f{a:<|\"|>x}<tool_call|>",
        "<|tool_call>call:{}<tool_call|>", "<|tool_call>call:f{}x<tool_call|>",
        "<|tool_call>call:f{a:01}<tool_call|>", "<|tool_call><tool_call|>",
        "<|tool_call>call:f{a:1e999}<tool_call|>",
        "<|tool_call>call:f{a:[-1e999]}<tool_call|>",
        "<|tool_call>call:f{a:<|\"|>5}<tool_call|>",
        "<|tool_call>call:f{<|\"|>a:5}<tool_call|>",
        "<|channel>plan\nx<channel|>", "x<channel|>y", "<tool_call|>",
        "a<|\"|>b", "<|channel>thou"}) {
    const Parts parts(answer);
    EXPECT_EQ(parts.text, answer);
    EXPECT_EQ(parts.thoughts, "");
    EXPECT_THAT(parts.calls(), IsEmpty());
  }
  // A call within a call.
  const Parts inner("<|tool_call>call:f{<|tool_call>call:g{}<tool_call|>");
  EXPECT_EQ(inner.text, "<|tool_call>call:f{");
  EXPECT_THAT(inner.calls(), ElementsAre(ToolCall{"g", "{}"}));
}

// A model may write the names of control tokens with ordinary tokens.
TEST(AnswerParser, TextIsNoMarker) {
  const std::string text =
      "<|channel>thought\n<channel|><|tool_call>call:f{}<tool_call|>";
  AnswerParser parser(Parts::Vocab());
  parser.Text(text);
  parser.Finish();
  EXPECT_EQ(parser.answer().text, text);
  EXPECT_THAT(parser.answer().tool_calls, IsEmpty());
}

TEST(AnswerParser, LimitsNesting) {
  const auto call = [](size_t depth) {
    return "call:f{a:" + std::string(depth, '[') + std::string(depth, ']') +
           "}";
  };
  EXPECT_TRUE(ParseCall(call(20)).has_value());
  EXPECT_FALSE(ParseCall(call(40)).has_value());
  EXPECT_FALSE(ParseCall(call(100'000)).has_value());
}

}  // namespace
}  // namespace gemma::internal
