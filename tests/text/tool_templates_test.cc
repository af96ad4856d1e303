// Templates in Jinja that get tools, thinking and content in parts, and the
// choice between them and Gemma 4's own turns.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/chat_template.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/text/turns/choose_chat_template.h"
#include "src/text/turns/ignored_parts.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

const Tokenizer& ToyTokenizer() {
  static const Tokenizer* tokenizer = new Tokenizer(*Tokenizer::Load(
      std::string(GEMMA_TESTDATA_DIR) + "/models/gemma4_chat"));
  return *tokenizer;
}

absl::StatusOr<ChatTemplate> JinjaOf(std::string_view text) {
  return ChatTemplate::FromJinja(ToyTokenizer(), text, "the template");
}

constexpr char kTools[] =
    R"([{"type": "function", "function": {"name": "f", "description": "F.",
         "parameters": {"type": "object", "properties": {}}}}])";

std::vector<Message> ToolMessages() {
  return {{Role::kUser, "x"},
          {.role = Role::kModel,
           .thoughts = "hm",
           .tool_calls = {{"f", R"({"a": [1, true, "z"]})", "c1"}}},
          {.role = Role::kTool, .text = "7", .tool_name = "f", .call_id = "c1"},
          {.role = Role::kTool, .content_json = R"({"k": 1.5})"}};
}

TEST(ToolTemplates, GetAllParts) {
  const absl::StatusOr<ChatTemplate> turns = JinjaOf(
      "{{ bos_token }}{% if tools %}{{ tools[0].function | tojson }}"
      "{% endif %}{% if enable_thinking is defined %}{{ enable_thinking }}"
      "{% endif %}{% for m in messages %}[{{ m.role }}:{{ m.content }}"
      "{% for c in m.tool_calls or [] %}{{ c.type }} {{ c.function.name }} "
      "{{ c.function.arguments.a }} {{ c.id }}{% endfor %}"
      "{{ m.reasoning_content }}{{ m.name }}{{ m.tool_call_id }}]{% endfor %}");
  ASSERT_EQ(ErrorOf(turns), "OK");
  const auto tokens =
      turns->Render(ToolMessages(), {.tools = kTools, .thinking = true});
  ASSERT_EQ(ErrorOf(tokens), "OK");
  EXPECT_EQ(ToyTokenizer().Decode(*tokens),
            R"({"name": "f", "description": "F.", "parameters": {"type": )"
            R"("object", "properties": {}}}True[user:x][assistant:function f )"
            R"([1, True, 'z'] c1hm][tool:7fc1][tool:{'k': 1.5}])");
  const auto plain = turns->Render({{{Role::kDeveloper, "x"}}});
  EXPECT_EQ(ToyTokenizer().Decode(*plain), "[developer:x]");
}

TEST(ToolTemplates, RefuseIgnoredParts) {
  const absl::StatusOr<ChatTemplate> turns = JinjaOf(
      "{{ bos_token }}{% for m in messages %}{{ m.role + ':' + m.content }}"
      "{% endfor %}");
  ASSERT_EQ(ErrorOf(turns), "OK");
  const std::vector<Message> ask = {{Role::kUser, "x"}};
  EXPECT_EQ(ErrorOf(turns->Render(ask, {.tools = kTools})),
            "the template ignores declarations of tools");
  EXPECT_EQ(ErrorOf(turns->Render(ask, {.thinking = true})),
            "the template has no thinking that could be turned on");
  EXPECT_EQ(ErrorOf(turns->Render(ask, {.thinking = false})), "OK");
  EXPECT_EQ(
      ErrorOf(turns->Render(absl::MakeConstSpan(ToolMessages()).first(3))),
      "the template ignores calls of tools");
  const absl::StatusOr<ChatTemplate> calls = JinjaOf(
      "{% for m in messages %}{{ m.tool_calls }}"
      "{% if m.role != 'tool' %}{{ m.content }}{% endif %}{% endfor %}");
  ASSERT_EQ(ErrorOf(calls), "OK");
  EXPECT_EQ(ErrorOf(calls->Render(ToolMessages())),
            "the template ignores results of tools");
}

TEST(ToolTemplates, MayDropOldCalls) {
  // Writes calls and results only after the last message of the user.
  const absl::StatusOr<ChatTemplate> turns = JinjaOf(
      "{% set ns = namespace(last=0) %}{% for m in messages %}"
      "{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}"
      "{% endfor %}{% for m in messages %}"
      "{% set new = loop.index0 > ns.last %}"
      "{% if m.role == 'tool' %}{% if new %}<{{ m.content }}>{% endif %}"
      "{% else %}{{ m.content }}{% if new %}"
      "{% for call in m.tool_calls %}[{{ call.function.name | upper }}]"
      "{% endfor %}{% endif %}{% endif %}{% endfor %}");
  ASSERT_EQ(ErrorOf(turns), "OK");
  const auto text = [&](const std::vector<Message>& messages) {
    const auto tokens = turns->Render(messages);
    EXPECT_EQ(ErrorOf(tokens), "OK");
    return tokens.ok() ? ToyTokenizer().Decode(*tokens) : "";
  };
  const Message call = {.role = Role::kModel, .tool_calls = {{"now", "{}"}}};
  const Message result = {.role = Role::kTool, .text = "noon"};
  std::vector<Message> messages = {{Role::kUser, "when?"}, call, result};
  EXPECT_EQ(text(messages), "when?[NOW]<noon>");
  messages.push_back({Role::kModel, "Noon."});
  messages.push_back({Role::kUser, "So?"});
  EXPECT_EQ(text(messages), "when?Noon.So?");
  messages.push_back(call);
  messages.push_back(result);
  EXPECT_EQ(text(messages), "when?Noon.So?[NOW]<noon>");
  // A template that never writes results is still refused in a long chat.
  const absl::StatusOr<ChatTemplate> calls = JinjaOf(
      "{% for m in messages %}{{ m.tool_calls }}"
      "{% if m.role != 'tool' %}{{ m.content }}{% endif %}{% endfor %}");
  EXPECT_EQ(ErrorOf(calls->Render(messages)),
            "the template ignores results of tools");
  messages.resize(5);
  EXPECT_EQ(ErrorOf(calls->Render(messages)),
            "the template ignores results of tools");
}

TEST(ToolTemplates, ManyCallsFewRenderings) {
  std::vector<Message> messages = {{Role::kUser, "x"}};
  for (int i = 0; i < 500; ++i) {
    messages.push_back({.role = Role::kModel, .tool_calls = {{"f", "{}"}}});
    messages.push_back({.role = Role::kTool, .text = "y", .tool_name = "f"});
  }
  size_t count = 0;
  const auto render =
      [&](absl::Span<const Message> all) -> absl::StatusOr<MarkedText> {
    ++count;
    MarkedText text;
    for (const Message& message : all) {
      text.Append(message.text, TextOrigin::kMessage);
      for (const ToolCall& call : message.tool_calls) {
        text.Append(call.name, TextOrigin::kMessage);
      }
    }
    return text;
  };
  EXPECT_EQ(IgnoredToolParts(messages, *render(messages), render), "");
  EXPECT_EQ(count, 3u);
  // Texts that are like the words in place of calls cost no more.
  for (const char* part : {"zq", "q0z", "q00", "q1z2q"}) {
    messages[0].text.clear();
    for (int i = 0; i < 100'000; ++i) messages[0].text += part;
    EXPECT_EQ(IgnoredToolParts(messages, *render(messages), render), "");
  }
}

// Python's integers have any size.
TEST(ToolTemplates, LargeIntegersKeepDigits) {
  const auto rendered = [](std::string_view argument) {
    const absl::StatusOr<ChatTemplate> turns = JinjaOf(absl::StrCat(
        "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls %}"
        "{{ c.function.name }}{% set a = c.function.arguments.a %}",
        argument, "{% endfor %}{% endfor %}"));
    EXPECT_EQ(ErrorOf(turns), "OK");
    const auto tokens = turns->Render(
        {{{Role::kUser, "x"},
          {.role = Role::kModel,
           .tool_calls = {{"f", R"({"a":-12345678901234567890123})"}}}}});
    return tokens.ok() ? ToyTokenizer().Decode(*tokens) : ErrorOf(tokens);
  };
  EXPECT_EQ(rendered("{{ [a] | tojson }}{{ a }}{{ a | int }}"),
            "xf[-12345678901234567890123]-12345678901234567890123"
            "-12345678901234567890123");
  EXPECT_EQ(rendered("{{ a is integer }}{{ a is number }}{{ a is float }}"
                     "{{ a == a }}{{ a == 1 }}"),
            "xfTrueTrueFalseTrueFalse");
  EXPECT_THAT(rendered("{{ a + 1 }}"), HasSubstr("does not fit into 64 bits"));
}

// In the manner of TranslateGemma's template.
TEST(ToolTemplates, TakePartsForStrings) {
  const absl::StatusOr<ChatTemplate> turns = JinjaOf(
      "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}"
      "{% if m.content is string or m.content | length != 1 %}"
      "{{ raise_exception('wanted one part') }}{% endif %}"
      "{% set part = m.content[0] %}<|turn>user\n{{ part.source_lang_code }} "
      "to {{ part.target_lang_code }}: {{ part.text | trim }}<turn|>\n"
      "{% else %}<|turn>model\n{{ m.content | trim }}<turn|>\n{% endif %}"
      "{% endfor %}{{ '<|turn>model\\n' }}");
  ASSERT_EQ(ErrorOf(turns), "OK");
  EXPECT_THAT(ErrorOf(turns->UserTurn("x")),
              HasSubstr("refuses these messages: wanted one part"));
  const Message ask = {.content_json =
                           R"([{"type": "text", "source_lang_code": "en",
                           "target_lang_code": "de", "text": " <turn|> "}])"};
  std::vector<TokenId> expected = *ToyTokenizer().Encode(
      "<bos><|turn>user\nen to de: ", ControlTokens::kParse);
  const auto tokens = turns->Render({{ask}});
  ASSERT_EQ(ErrorOf(tokens), "OK");
  EXPECT_EQ(ToyTokenizer().Decode(*tokens), "user\nen to de: <turn|>\nmodel\n");
  EXPECT_EQ(std::count(tokens->begin(), tokens->end(), turns->end_of_turn()),
            1);
}

// Gemma 4's plain turns. The template of 12B and larger models has the empty
// thought.
std::string PlainTurns(bool empty_thought, std::string_view think = "\n") {
  return "{% if tools %}{{ raise_exception('no tools') }}{% endif %}"
         "{{ bos_token }}{% set first = messages[0].role == 'system' %}"
         "{% if enable_thinking or first %}<|turn>system\n"
         "{% if enable_thinking %}{{ '<|think|>' }}" +
         std::string(think == "\n" ? "{{ '\\n' }}" : "") +
         "{% endif %}{% if first %}{{ messages[0].content | trim }}{% endif %}"
         "<turn|>\n{% endif %}{% for m in messages[(1 if first else 0):] %}"
         "{{ '<|turn>' + ('model' if m.role == 'assistant' else m.role) }}\n"
         "{{ m.content | trim }}<turn|>\n{% endfor %}{{ '<|turn>model\\n' }}" +
         (empty_thought ? "{% if not enable_thinking %}{{ '<|channel>thought\\n"
                          "<channel|>' }}{% endif %}"
                        : "");
}

TEST(ToolTemplates, FileTellsEmptyThought) {
  Checkpoint checkpoint;
  checkpoint.kind = CheckpointKind::kHuggingFace;
  checkpoint.path = "m";
  checkpoint.directory = TestDirectory();
  const std::string file = checkpoint.directory + "/chat_template.jinja";
  const auto asked = [](std::string_view end) {
    return *ToyTokenizer().Encode(
        "<bos><|turn>user\nx<turn|>\n<|turn>model\n" + std::string(end),
        ControlTokens::kParse);
  };
  const std::string empty = "<|channel>thought\n<channel|>";
  // Without a template, the size tells.
  for (const bool is_large : {true, false}) {
    const auto turns = ChooseChatTemplate(checkpoint, ToyTokenizer(),
                                          {.empty_thought = is_large});
    EXPECT_EQ(*turns->UserTurn("x"), asked(is_large ? empty : ""));
  }
  for (const bool has_thought : {true, false}) {
    WriteFile(file, PlainTurns(has_thought));
    for (const bool is_large : {true, false}) {
      for (const bool of_gemma : {true, false}) {
        const auto turns = ChooseChatTemplate(
            checkpoint, ToyTokenizer(),
            {.of_gemma = of_gemma, .empty_thought = is_large});
        ASSERT_EQ(ErrorOf(turns), "OK");
        EXPECT_TRUE(turns->is_gemma()) << turns->reason();
        EXPECT_EQ(*turns->UserTurn("x"), asked(has_thought ? empty : ""));
      }
    }
  }
  // Google's first templates have no line end there.
  WriteFile(file, PlainTurns(true, ""));
  const auto turns = ChooseChatTemplate(checkpoint, ToyTokenizer(), {});
  EXPECT_FALSE(turns->is_gemma());
  EXPECT_EQ(turns->reason(),
            "it makes other tokens of the wish to think than Gemma's own "
            "turns");
}

}  // namespace
}  // namespace gemma::internal
