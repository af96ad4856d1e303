// Grammars of answers that may call tools. Control tokens are bytes in them.

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gemma/grammar.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/grammar/allowed_tokens.h"
#include "src/grammar/automaton.h"
#include "src/grammar/grammar_impl.h"
#include "src/text/tokenizer/token_trie.h"
#include "src/text/turns/text_calls.h"
#include "tests/support/error_of.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kTools = R"([
  {"type": "function", "function": {"name": "get", "parameters": {
    "type": "object", "required": ["b"],
    "properties": {
      "b": {"type": "string", "pattern": "^x+$"},
      "A": {"enum": ["p", 1]},
      "c": {"type": "array", "items": {"type": "integer"}},
      "d,": {}}}}},
  {"type": "function", "function": {"name": "now"}},
  {"type": "function", "function": {"name": "none", "parameters": {
    "type": "object", "properties": {}}}},
  {"type": "function", "function": {"name": "open", "parameters": {
    "type": "object", "properties": {"ab": {"type": "null"}},
    "additionalProperties": {"type": "boolean"}}}}])";

Grammar Made(const ToolRules& rules) {
  const absl::StatusOr<Grammar> grammar = Grammar::FromTools(kTools, rules);
  EXPECT_EQ(ErrorOf(grammar), "OK");
  return *grammar;
}

// Whether an answer is one of the grammar's. ( and ) stand for the marks of a
// call, < and > for those of thoughts, ' for that of a string.
bool Accepts(const Grammar& grammar, std::string_view answer) {
  const auto byte = [](Mark mark) {
    return std::string(1, static_cast<char>(ByteOf(mark)));
  };
  const std::string bytes =
      absl::StrReplaceAll(answer, {{"(", byte(Mark::kOpenCall)},
                                   {")", byte(Mark::kCloseCall)},
                                   {"<", byte(Mark::kOpenThoughts)},
                                   {">", byte(Mark::kCloseThoughts)},
                                   {"'", byte(Mark::kQuote)}});
  Automaton automaton(grammar.impl().bytes);
  Automaton::StateId state = automaton.start();
  for (const char c : bytes) {
    state = automaton.Step(state, static_cast<uint8_t>(c));
  }
  return automaton.may_end(state);
}

TEST(ToolAnswers, MarkedCallsFollowSchemas) {
  const Grammar grammar =
      Made({.dialect = ToolDialect::kGemma4, .choice = ToolChoice::kRequired});
  for (const char* answer :
       {"(call:get{b:'xx'})", "(call:get{A:'p',b:'x'})",
        "(call:get{A:1,b:'x',c:[1,-2],'d,':{k:[null,'\"'],e:2.5e3}})",
        "(call:now{})(call:none{})", "(call:open{ab:null,c:true,abc:false})",
        "(call:open{a:true})"}) {
    EXPECT_TRUE(Accepts(grammar, answer)) << answer;
  }
  for (const char* answer :
       {"", "text", "(call:get{})", "(call:get{b:'y'})", "(call:get{b:\"x\"})",
        "(call:get{b:'x',A:1})", "(call:get{b: 'x'})", "(call:get{b:'x',e:1})",
        "(call:now{a:1})", "(call:none{a:1})", "(call:other{})",
        "(call:open{ab:true})", "(call:open{c:1})", "(call:open{:true})",
        "(call:now{})text", "(call:now{}", "<thought\nx>(call:now{})",
        "(call:get{b:'x',d,:1})", "(call:now{}) (call:now{})"}) {
    EXPECT_FALSE(Accepts(grammar, answer)) << answer;
  }
}

// Parts of declared names that need quotes do not come without them.
TEST(ToolAnswers, OtherNamesStayBare) {
  const absl::StatusOr<Grammar> grammar = Grammar::FromTools(
      R"([{"function": {"name": "f", "parameters": {
           "type": "object", "additionalProperties": {"type": "boolean"},
           "properties": {" lead": {"type": "null"}, "a": {"type": "null"},
                          "a b": {"type": "null"}, "q:r": {"type": "null"},
                          "{k}": {"type": "null"}}}}}])",
      {.dialect = ToolDialect::kGemma4, .choice = ToolChoice::kRequired});
  ASSERT_EQ(ErrorOf(grammar), "OK");
  for (const char* members :
       {"' lead':null,a:null,'a b':null,'q:r':null,'{k}':null", "ab:true",
        "q:true,k:true,lead:true", "a:null,aa:true"}) {
    EXPECT_TRUE(Accepts(*grammar, absl::StrCat("(call:f{", members, "})")))
        << members;
  }
  for (const char* members :
       {"a:true", "a :true", "a c:true", " :true", " a:true", "{:true",
        "{kx:true", "{k}:null", "q:r:null", "q::true", "'a b':true"}) {
    EXPECT_FALSE(Accepts(*grammar, absl::StrCat("(call:f{", members, "})")))
        << members;
  }
}

TEST(ToolAnswers, RulesDecideWhatComes) {
  ToolRules rules = {.dialect = ToolDialect::kGemma4};
  const Grammar any = Made(rules);
  for (const char* answer :
       {"", "text {}", "text\n(call:now{})", "(call:now{})(call:now{})",
        "<thought\nwell\n>", "<thought\n>text(call:now{})"}) {
    EXPECT_TRUE(Accepts(any, answer)) << answer;
  }
  for (const char* answer : {"(call:no{})", "(call:now{})text", "x<thought\n>",
                             "<plan\n>", "'", ")"}) {
    EXPECT_FALSE(Accepts(any, answer)) << answer;
  }
  rules.choice = ToolChoice::kNone;
  EXPECT_TRUE(Accepts(Made(rules), "<thought\n>text"));
  EXPECT_FALSE(Accepts(Made(rules), "(call:now{})"));
  rules.choice = ToolChoice::kRequired;
  rules.thinking = true;
  rules.parallel = false;
  rules.names = {"now", "none"};
  const Grammar one = Made(rules);
  EXPECT_TRUE(Accepts(one, "<thought\na>(call:now{})"));
  EXPECT_TRUE(Accepts(one, "(call:none{})"));
  EXPECT_FALSE(Accepts(one, "(call:now{})(call:now{})"));
  EXPECT_FALSE(Accepts(one, "(call:get{b:'x'})"));
  rules.dialect = ToolDialect::kFunctionGemma;
  EXPECT_FALSE(Accepts(Made(rules), "<thought\na>(call:now{})"));
}

TEST(ToolAnswers, JsonCallsBeginAnswers) {
  ToolRules rules = {.dialect = ToolDialect::kJson};
  const Grammar any = Made(rules);
  const std::string get = R"({"name": "get", "parameters": {"b": "x"}})";
  const std::string now = R"({"name":"now","parameters":{}})";
  const std::string both = get + "\n" + now;
  for (const std::string& answer :
       {both, now, "```json\n" + both + "\n```",
        "```tool_code\n" + now + "\n```",
        "text\n```tool_code\n" + both + "\n```", std::string(" {"),
        std::string("text {\n{"), std::string("```"), std::string(),
        std::string("\n```json\n{}\n```\n"), std::string("```jsonc\n{}"),
        std::string("a ```tool_code\n{}"), std::string("``\n`\nb\n```tool")}) {
    EXPECT_TRUE(Accepts(any, answer)) << answer;
  }
  for (const std::string& answer :
       {std::string("{}"), now + "\n", now + "text", "```json\n" + now,
        std::string("```json\n[]\n```"), std::string("x\n```tool_code\nx\n```"),
        std::string(R"({"name":"get","parameters":{"A":1}})"),
        std::string(R"({"name":"no","parameters":{}})")}) {
    EXPECT_FALSE(Accepts(any, answer)) << answer;
  }
  rules.choice = ToolChoice::kNone;
  EXPECT_TRUE(Accepts(Made(rules), "text\n{"));
  EXPECT_TRUE(Accepts(Made(rules), "{\"a\": 1}\n"));
  EXPECT_TRUE(Accepts(Made(rules), "text\n```tool_code\n" + now + "\n```\n"));
  rules.choice = ToolChoice::kRequired;
  rules.parallel = false;
  EXPECT_TRUE(Accepts(Made(rules), get));
  EXPECT_TRUE(Accepts(Made(rules), "```json\n" + get + "\n```"));
  EXPECT_FALSE(Accepts(Made(rules), both));
  EXPECT_FALSE(Accepts(Made(rules), "text"));
}

// The history has a call as the model wrote it, so it is not read again.
TEST(ToolAnswers, HistoryKeepsWrittenForm) {
  const std::string written =
      R"({"name": "get", "parameters": {"b": "x", "c": [1, 2], "d,": "\",:"}})";
  EXPECT_TRUE(Accepts(Made({.dialect = ToolDialect::kJson}), written));
  Message message = {
      .role = Role::kModel,
      .tool_calls = {{"get", R"({"b":"x","c":[1,2],"d,":"\",:"})", ""}}};
  WriteCallsAsText(message);
  EXPECT_EQ(message.text, written);
}

TEST(ToolAnswers, WrongToolsAreErrors) {
  const ToolRules rules = {.dialect = ToolDialect::kGemma4};
  const auto error = [&](std::string_view tools) {
    return ErrorOf(Grammar::FromTools(tools, rules));
  };
  EXPECT_THAT(error("[]"), HasSubstr("wanted a list of one tool or more"));
  EXPECT_THAT(error(R"([{"type": "function"}])"), HasSubstr("'function'"));
  EXPECT_THAT(
      error(R"([{"function": {"name": "a{"}}])"),
      HasSubstr("'[0].function.name' is the string 'a{', wanted up to"));
  EXPECT_THAT(error(R"([{"function": {"name": "f", "parameters": {
                  "type": "object", "properties": {"a": {"if": {}}}}}}])"),
              HasSubstr("'#/0/function/parameters/properties/a/if'"));
  EXPECT_THAT(
      error(
          R"([{"function": {"name": "f", "parameters": {"type": "string"}}}])"),
      HasSubstr("'#/0/function/parameters': wanted \"type\": \"object\""));
  ToolRules wrong = rules;
  wrong.names = {"other"};
  EXPECT_THAT(ErrorOf(Grammar::FromTools(kTools, wrong)),
              HasSubstr("the tool 'other' may be called, but is not declared"));
  EXPECT_THAT(ErrorOf(Grammar::FromTools(kTools, ToolRules())),
              HasSubstr("no dialect"));
  EXPECT_EQ(ErrorOf(Grammar::FromSource({.kind = GrammarSource::Kind::kTools,
                                         .text = std::string(kTools),
                                         .rules = rules})),
            "OK");
  EXPECT_THAT(ErrorOf(Grammar::FromSource({.rules = rules})),
              HasSubstr("wanted them only for kTools"));
}

// Values that a schema leaves free end, so that readers of calls accept them.
TEST(ToolAnswers, FreeValuesEnd) {
  const Grammar grammar =
      Made({.dialect = ToolDialect::kGemma4, .choice = ToolChoice::kRequired});
  const auto nested = [](size_t depth) {
    return "(call:get{b:'x','d,':" + std::string(depth, '[') +
           std::string(depth, ']') + "})";
  };
  EXPECT_TRUE(Accepts(grammar, nested(30)));
  EXPECT_FALSE(Accepts(grammar, nested(31)));
}

// A mark is its control token, and nothing else: neither a byte with the number
// of the mark, nor the text of the token's name.
TEST(ToolAnswers, MarksAreControlTokens) {
  std::vector<Vocabulary::Piece> pieces = {{"<eos>", 0, PieceType::kControl},
                                           {"<open>", 0, PieceType::kControl},
                                           {"<other>", 0, PieceType::kControl}};
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    snprintf(text, sizeof(text), "<0x%02X>", byte);
    pieces.push_back({text, 0, PieceType::kByte});
  }
  const TokenTrie trie(pieces);
  const std::vector<TokenId> stops = {0};
  const Grammar grammar =
      Made({.dialect = ToolDialect::kGemma4, .choice = ToolChoice::kRequired});
  AllowedTokens allowed(grammar.impl().bytes, trie, stops,
                        {{ByteOf(Mark::kOpenCall), 1}});
  ASSERT_NE(allowed.Few(), nullptr);
  EXPECT_THAT(*allowed.Few(), ElementsAre(1));
  EXPECT_TRUE(allowed.Contains(1));
  EXPECT_FALSE(allowed.Contains(2));
  EXPECT_FALSE(allowed.Contains(3 + ByteOf(Mark::kOpenCall)));
  EXPECT_EQ(std::count(allowed.All().begin(), allowed.All().end(), true), 1);
  allowed.Accept(1);
  EXPECT_THAT(*allowed.Few(), ElementsAre(3 + 'c'));
}

}  // namespace
}  // namespace gemma::internal
