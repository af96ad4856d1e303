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

TEST(AnswerParser, FirstRepeatedKeyCounts) {
  const Parts parts(
      "<|tool_call>call:f{a:1,a:{b:2,a:3},<|\"|>a<|\"|>:[<|\"|>x<|\"|>],"
      "c:{b:1,b:2},d:4}<tool_call|>");
  EXPECT_THAT(parts.calls(),
              ElementsAre(ToolCall{"f", R"({"a":1,"c":{"b":1},"d":4})"}));
}

// The calls of an answer that is plain text, as Gemma 3 writes them.
class JsonParts {
 public:
  explicit JsonParts(std::string_view answer, bool in_pieces = true)
      : parser_(
            Parts::Vocab(), [this](std::string_view part) { text += part; }, {},
            in_pieces ? AnswerParser::CallFunction(
                            [this](const ToolCallPiece& piece) { Add(piece); })
                      : nullptr,
            ToolDialect::kJson) {
    for (const char c : answer) parser_.Text({&c, 1});
    parser_.Finish();
  }

  const ParsedAnswer& answer() const { return parser_.answer(); }

  std::string text;
  std::vector<ToolCall> streamed;

 private:
  void Add(const ToolCallPiece& piece) {
    if (!piece.name.empty()) {
      EXPECT_EQ(piece.index, streamed.size());
      streamed.push_back({.name = std::string(piece.name)});
    }
    ASSERT_EQ(piece.index + 1, streamed.size());
    streamed.back().arguments += piece.arguments;
  }

  AnswerParser parser_;
};

TEST(AnswerParser, ReadsCallsInJson) {
  const std::string first =
      R"({"name": "f", "parameters": {"a": [1, "{\"}"]}})";
  const std::string second = R"({"name":"g","parameters":{}})";
  const std::vector<ToolCall> wanted = {{"f", R"({"a":[1,"{\"}"]})"},
                                        {"g", "{}"}};
  const std::string both = first + "\n" + second;
  for (const std::string& answer :
       {both, "```json\n" + both + "\n```", "```tool_code\n" + both + "\n```",
        "Well.\n```tool_code\n" + both + "\n```"}) {
    const JsonParts parts(answer);
    EXPECT_EQ(parts.answer().tool_calls, wanted) << answer;
    EXPECT_EQ(parts.streamed, wanted);
    EXPECT_EQ(parts.text, answer[0] == 'W' ? "Well.\n" : "");
    EXPECT_FALSE(parts.answer().ends_in_call);
  }
  for (const std::string answer :
       {"See {\"name\"}", "Well.\n```json\n{}\n```", "``", "```jso",
        "a ```tool_code\n{}", "```jsonc\n{}", "\n{}", ""}) {
    const JsonParts parts(answer);
    EXPECT_EQ(parts.text, answer);
    EXPECT_THAT(parts.answer().tool_calls, IsEmpty());
    EXPECT_FALSE(parts.answer().ends_in_call);
  }
}

TEST(AnswerParser, HidesCutCalls) {
  const std::string call = R"({"name": "f", "parameters": {"a": "bc)";
  const JsonParts pieces(call);
  EXPECT_EQ(pieces.text, "");
  EXPECT_THAT(pieces.streamed, ElementsAre(ToolCall{"f", R"({"a":"bc)"}));
  EXPECT_THAT(pieces.answer().tool_calls, IsEmpty());
  EXPECT_TRUE(pieces.answer().ends_in_call);
  EXPECT_TRUE(JsonParts("{\"na").answer().ends_in_call);
  // Without a function for pieces, nothing is lost.
  const JsonParts whole(call, /*in_pieces=*/false);
  EXPECT_EQ(whole.text, call);
  EXPECT_FALSE(whole.answer().ends_in_call);
  for (const char* wrong :
       {R"({"answer": 1})", R"({"name": "f", "parameters": {"a": x}})",
        R"({"name": "f", "parameters": {"a": "\q"}})",
        R"({"name": "f", "parameters": {"a": "\ud83dx"}})",
        R"({"name": "f", "parameters": {"a": "\ude00"}})",
        R"({"name": "f", "parameters": {a: 1}})"}) {
    const JsonParts parts(wrong, /*in_pieces=*/false);
    EXPECT_EQ(parts.text, wrong);
    EXPECT_THAT(parts.answer().tool_calls, IsEmpty());
  }
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
  EXPECT_TRUE(ParseCall(call(50)).has_value());
  EXPECT_FALSE(ParseCall(call(70)).has_value());
  EXPECT_FALSE(ParseCall(call(100'000)).has_value());
}

}  // namespace
}  // namespace gemma::internal
