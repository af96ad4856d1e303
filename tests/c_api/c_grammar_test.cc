// Tests that grammars are in C what they are in C++, and those of tools.

#include "gemma/c_grammar.h"

#include <string>
#include <vector>

#include "gemma/c_chat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_toys.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

// Compiles a source of these texts, or returns null.
gemma_compiled_grammar* Compiled(gemma_grammar kind,
                                 std::vector<const char*> texts,
                                 const gemma_tool_rules* rules = nullptr) {
  gemma_grammar_source source = Initialized(gemma_grammar_source_init);
  source.kind = kind;
  source.texts = texts.data();
  source.num_texts = texts.size();
  source.rules = rules;
  gemma_compiled_grammar* grammar = nullptr;
  const gemma_status status = gemma_grammar_compile(&source, &grammar);
  EXPECT_EQ(status == GEMMA_OK, grammar != nullptr);
  return grammar;
}

bool Matches(const gemma_compiled_grammar* grammar, std::string_view text) {
  bool matches = false;
  EXPECT_EQ(gemma_compiled_grammar_matches(grammar, text.data(), text.size(),
                                           &matches),
            GEMMA_OK);
  return matches;
}

TEST(CGrammar, EachKindMatches) {
  struct Case {
    gemma_grammar kind;
    std::vector<const char*> texts;
    const char* good;
    const char* bad;
  };
  for (const Case& sample : std::vector<Case>{
           {GEMMA_GRAMMAR_JSON, {}, "[1]", "left"},
           {GEMMA_GRAMMAR_JSON_SCHEMA, {R"({"const": 7})"}, "7", "8"},
           {GEMMA_GRAMMAR_REGEX, {"a+"}, "aaa", "b"},
           {GEMMA_GRAMMAR_CHOICES, {"left", "right"}, "right", "up"}}) {
    gemma_compiled_grammar* grammar = Compiled(sample.kind, sample.texts);
    ASSERT_NE(grammar, nullptr) << gemma_last_error();
    EXPECT_TRUE(Matches(grammar, sample.good));
    EXPECT_FALSE(Matches(grammar, sample.bad));
    EXPECT_GT(gemma_compiled_grammar_bytes(grammar), 0u);
    gemma_compiled_grammar_free(grammar);
  }
}

TEST(CGrammar, WrongSourcesAreRefused) {
  EXPECT_EQ(Compiled(GEMMA_GRAMMAR_NONE, {}), nullptr);
  EXPECT_STREQ(gemma_last_error(), "kind is 0, wanted 1 to 5");
  EXPECT_EQ(Compiled(static_cast<gemma_grammar>(6), {}), nullptr);
  EXPECT_STREQ(gemma_last_error(), "kind is 6, wanted 1 to 5");
  EXPECT_EQ(Compiled(GEMMA_GRAMMAR_JSON, {"a"}), nullptr);
  EXPECT_STREQ(gemma_last_error(), "num_texts is 1, wanted 0");
  EXPECT_EQ(Compiled(GEMMA_GRAMMAR_REGEX, {"a", "b"}), nullptr);
  EXPECT_STREQ(gemma_last_error(), "num_texts is 2, wanted 1");
  EXPECT_EQ(Compiled(GEMMA_GRAMMAR_REGEX, {nullptr}), nullptr);
  EXPECT_STREQ(gemma_last_error(), "texts[0] is null");
  EXPECT_EQ(Compiled(GEMMA_GRAMMAR_REGEX, {"("}), nullptr);
  EXPECT_EQ(Compiled(GEMMA_GRAMMAR_CHOICES, {}), nullptr);
  gemma_tool_rules rules = Initialized(gemma_tool_rules_init);
  EXPECT_EQ(Compiled(GEMMA_GRAMMAR_REGEX, {"a"}, &rules), nullptr);
  EXPECT_THAT(gemma_last_error(), HasSubstr("rules are set"));
  rules.choice = static_cast<gemma_tool_choice>(3);
  EXPECT_EQ(Compiled(GEMMA_GRAMMAR_TOOLS, {"[]"}, &rules), nullptr);
  EXPECT_STREQ(gemma_last_error(), "choice is 3, wanted 0 to 2");
  rules = Initialized(gemma_tool_rules_init);
  rules.dialect = static_cast<gemma_tool_dialect>(4);
  EXPECT_EQ(Compiled(GEMMA_GRAMMAR_TOOLS, {"[]"}, &rules), nullptr);
  EXPECT_STREQ(gemma_last_error(), "dialect is 4, wanted 0 to 3");
}

constexpr char kTwoTools[] =
    R"([{"type": "function", "function": {"name": "now", "parameters":
          {"type": "object", "properties": {}}}},
        {"type": "function", "function": {"name": "add", "parameters":
          {"type": "object", "properties": {"a": {"enum": [1, 2]}},
           "required": ["a"]}}}])";

TEST(CGrammar, ToolsInJson) {
  gemma_tool_rules rules = Initialized(gemma_tool_rules_init);
  rules.dialect = GEMMA_TOOLS_JSON;
  rules.choice = GEMMA_TOOL_CHOICE_REQUIRED;
  rules.parallel = false;
  gemma_compiled_grammar* grammar =
      Compiled(GEMMA_GRAMMAR_TOOLS, {kTwoTools}, &rules);
  ASSERT_NE(grammar, nullptr) << gemma_last_error();
  const std::string call = R"({"name": "add", "parameters": {"a": 2}})";
  EXPECT_TRUE(Matches(grammar, call));
  EXPECT_FALSE(Matches(grammar, R"({"name": "add", "parameters": {"a": 3}})"));
  EXPECT_FALSE(Matches(grammar, call + "\n" + call));
  gemma_compiled_grammar_free(grammar);
  const char* const names[] = {"now"};
  rules.names = names;
  rules.num_names = 1;
  grammar = Compiled(GEMMA_GRAMMAR_TOOLS, {kTwoTools}, &rules);
  ASSERT_NE(grammar, nullptr) << gemma_last_error();
  EXPECT_FALSE(Matches(grammar, call));
  EXPECT_TRUE(Matches(grammar, R"({"name": "now", "parameters": {}})"));
  gemma_compiled_grammar_free(grammar);
}

// The grammar of a chat's tools makes a model call what it would not.
TEST(CGrammar, ChatsEnforceTools) {
  const CToy toy(TestFile("gguf/gemma4_chat.gguf"));
  gemma_chat* chat = nullptr;
  ASSERT_EQ(gemma_chat_create(toy.model, &chat), GEMMA_OK);
  EXPECT_EQ(gemma_chat_tool_dialect(chat), GEMMA_TOOLS_GEMMA4);
  ASSERT_EQ(gemma_chat_set_tools(chat, kTwoTools), GEMMA_OK);
  ASSERT_EQ(gemma_chat_add(chat, GEMMA_ROLE_USER, "hello"), GEMMA_OK);
  gemma_tool_rules rules = Initialized(gemma_tool_rules_init);
  rules.choice = GEMMA_TOOL_CHOICE_REQUIRED;
  rules.parallel = false;
  const char* const names[] = {"add"};
  rules.names = names;
  rules.num_names = 1;
  gemma_compiled_grammar* grammar = nullptr;
  ASSERT_EQ(gemma_chat_compile(chat, &rules, &grammar), GEMMA_OK)
      << gemma_last_error();
  gemma_answer* answer = nullptr;
  ASSERT_EQ(gemma_answer_create(toy.model, &answer), GEMMA_OK);
  gemma_generate_options options = Initialized(gemma_generate_options_init);
  options.max_new_tokens = 200;
  options.answer = answer;
  options.compiled_grammar = grammar;
  std::vector<int32_t> prompt(2000);
  size_t size = 0;
  ASSERT_EQ(gemma_chat_render(chat, prompt.data(), prompt.size(), &size),
            GEMMA_OK)
      << gemma_last_error();
  const CSequence made(toy);
  ASSERT_EQ(gemma_generate(made.session, prompt.data(), size, &options, nullptr,
                           nullptr, nullptr),
            GEMMA_OK)
      << gemma_last_error();
  ASSERT_EQ(gemma_answer_num_calls(answer), 1u);
  EXPECT_STREQ(gemma_answer_call_tool(answer, 0), "add");
  EXPECT_THAT(std::string(gemma_answer_call_arguments(answer, 0)),
              ::testing::AnyOf(R"({"a":1})", R"({"a":2})"));

  gemma_compiled_grammar* none = nullptr;
  rules.dialect = GEMMA_TOOLS_JSON;
  ExpectRefused(gemma_chat_compile(chat, &rules, &none),
                "rules set dialect or thinking, which the chat sets");
  rules.dialect = GEMMA_TOOLS_NONE;
  rules.thinking = true;
  EXPECT_EQ(gemma_chat_compile(chat, &rules, &none), GEMMA_INVALID_ARGUMENT);
  ExpectRefused(gemma_chat_compile(nullptr, nullptr, &none), "chat is null");
  ExpectRefused(gemma_chat_compile(chat, nullptr, nullptr), "grammar is null");
  EXPECT_EQ(none, nullptr);
  gemma_answer_free(answer);
  gemma_compiled_grammar_free(grammar);
  gemma_chat_free(chat);
}

TEST(CGrammar, AnswersReadJsonCalls) {
  const CToy& toy = Gemma3Toy();
  gemma_answer* answer = nullptr;
  ASSERT_EQ(gemma_answer_create(toy.model, &answer), GEMMA_OK);
  const auto tokens =
      (*toy.same.tokenizer())->Encode(R"({"name": "now", "parameters": {}})");
  ASSERT_TRUE(tokens.ok());
  ASSERT_EQ(gemma_answer_read(answer, tokens->data(), tokens->size()),
            GEMMA_OK);
  EXPECT_EQ(gemma_answer_num_calls(answer), 0u);
  ASSERT_EQ(gemma_answer_set_dialect(answer, GEMMA_TOOLS_JSON), GEMMA_OK);
  ASSERT_EQ(gemma_answer_read(answer, tokens->data(), tokens->size()),
            GEMMA_OK);
  ASSERT_EQ(gemma_answer_num_calls(answer), 1u);
  EXPECT_STREQ(gemma_answer_call_tool(answer, 0), "now");
  ExpectRefused(
      gemma_answer_set_dialect(answer, static_cast<gemma_tool_dialect>(4)),
      "dialect is 4, wanted 0 to 3");
  ExpectRefused(gemma_answer_set_dialect(nullptr, GEMMA_TOOLS_JSON),
                "answer is null");
  gemma_answer_free(answer);
}

TEST(CGrammar, NullPointersAreRefused) {
  gemma_grammar_source source = Initialized(gemma_grammar_source_init);
  source.kind = GEMMA_GRAMMAR_JSON;
  gemma_compiled_grammar* grammar = nullptr;
  ExpectRefused(gemma_grammar_compile(nullptr, &grammar), "source is null");
  ExpectRefused(gemma_grammar_compile(&source, nullptr), "grammar is null");
  source.num_texts = 1;
  ExpectRefused(gemma_grammar_compile(&source, &grammar), "texts is null");
  source.num_texts = 0;
  source.struct_size = 0;
  EXPECT_EQ(gemma_grammar_compile(&source, &grammar), GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("gemma_grammar_source_init"));
  source = Initialized(gemma_grammar_source_init);
  source.kind = GEMMA_GRAMMAR_JSON;
  ASSERT_EQ(gemma_grammar_compile(&source, &grammar), GEMMA_OK);
  bool matches = false;
  ExpectRefused(gemma_compiled_grammar_matches(nullptr, "", 0, &matches),
                "grammar is null");
  ExpectRefused(gemma_compiled_grammar_matches(grammar, nullptr, 1, &matches),
                "text is null");
  ExpectRefused(gemma_compiled_grammar_matches(grammar, "", 0, nullptr),
                "matches is null");
  gemma_compiled_grammar_free(grammar);
  gemma_compiled_grammar_free(nullptr);
  EXPECT_EQ(gemma_compiled_grammar_bytes(nullptr), 0u);
  EXPECT_EQ(gemma_chat_tool_dialect(nullptr), GEMMA_TOOLS_NONE);
}

}  // namespace
}  // namespace gemma::internal
