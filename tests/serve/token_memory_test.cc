// The tokens of answers, found again when a client sends their texts.

#include "src/serve/token_memory.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/serve/serve_client.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::Contains;
using ::testing::Not;
using Tokens = std::vector<TokenId>;

Tokens Join(const std::vector<Tokens>& parts) {
  Tokens all;
  for (const Tokens& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

class TokenMemoryTest : public ::testing::Test {
 protected:
  // The tokens of a text, and the tokens of its bytes, which say the same.
  Tokens Of(const std::string& text) const { return *tokenizer_.Encode(text); }
  Tokens BytesOf(const std::string& text) const {
    Tokens tokens;
    for (const char byte : text) {
      tokens.push_back(*tokenizer_.Find(
          absl::StrFormat("<0x%02X>", static_cast<unsigned char>(byte))));
    }
    return tokens;
  }
  Tokens Mark(const char* name) const { return {*tokenizer_.Find(name)}; }

  // Remembers an answer to a prompt.
  void Keep(TokenMemory& memory, const Tokens& prompt, const Tokens& answer) {
    const TokenMemory::Prompt said = memory.Recall(prompt, 1000);
    memory.Remember(said.tokens, said.text, answer);
  }
  static Tokens Recalled(TokenMemory& memory, const Tokens& tokens,
                         size_t most = 1000) {
    return memory.Recall(tokens, most).tokens;
  }

  const Tokenizer tokenizer_ = **Gemma3Toy().tokenizer();
  const Tokens bos_ = {tokenizer_.bos()};
  const Tokens end_ = Mark("<end_of_turn>");
};

TEST_F(TokenMemoryTest, FindsChosenTokens) {
  TokenMemory memory(tokenizer_, 10000);
  const Tokens prompt = Join({bos_, Of("the model\n")});
  const Tokens chosen = BytesOf("the cat");
  ASSERT_NE(chosen, Of("the cat"));
  const Tokens next = Join({prompt, Of("the cat"), end_, Of("the")});
  EXPECT_EQ(Recalled(memory, next), next);
  Keep(memory, prompt, chosen);
  const Tokens wanted = Join({prompt, chosen, end_, Of("the")});
  EXPECT_EQ(Recalled(memory, next), wanted);
  // A later answer is remembered with all that precedes it.
  Keep(memory, next, BytesOf("is"));
  EXPECT_EQ(Recalled(memory, Join({next, Of("is"), end_})),
            Join({wanted, BytesOf("is"), end_}));
  EXPECT_EQ(Recalled(memory, next), wanted);
  // The prompt would not fit, and the given one may.
  EXPECT_EQ(Recalled(memory, next, wanted.size() - 1), next);
}

// The text is the same up to some place: the change comes where tokens of both
// end.
TEST_F(TokenMemoryTest, ChangesAtCommonEnds) {
  TokenMemory memory(tokenizer_, 10000);
  Keep(memory, bos_, Join({BytesOf("the"), BytesOf(" model")}));
  EXPECT_EQ(Recalled(memory, Join({bos_, Of("the"), Of(" world")})),
            Join({bos_, BytesOf("the"), Of(" world")}));
  // A control token differs from a text that spells its name.
  Keep(memory, bos_, Of("<end_of_turn>a"));
  const Tokens marked = Join({bos_, end_, Of("a")});
  EXPECT_EQ(Recalled(memory, marked), marked);
  // Bytes that look like the mark of a control token stay bytes.
  Keep(memory, bos_,
       BytesOf(absl::StrCat("\xFF", std::string(3, '\0'),
                            std::string(1, static_cast<char>(end_[0])), "a")));
  EXPECT_EQ(Recalled(memory, marked), marked);
}

// A template may leave out what an answer began with: its thoughts.
TEST_F(TokenMemoryTest, KnowsWhatPrecedesOmissions) {
  TokenMemory memory(tokenizer_, 10000);
  const Tokens turn = Join({bos_, Of("the"), end_});
  Keep(memory, turn, BytesOf("first"));
  const Tokens second = Join({turn, Of("first"), end_});
  Keep(memory, second, Join({end_, Of("thoughts"), end_, BytesOf("second")}));
  EXPECT_EQ(Recalled(memory, Join({second, Of("second"), end_})),
            Join({turn, BytesOf("first"), end_, Of("second"), end_}));
}

TEST_F(TokenMemoryTest, DropsLeastRecentlyUsed) {
  TokenMemory memory(tokenizer_, 700);
  const auto prompt = [&](const char* text) { return Join({bos_, Of(text)}); };
  const auto found = [&](const char* text) {
    return Recalled(memory, Join({prompt(text), Of("the")})) ==
           Join({prompt(text), BytesOf("the")});
  };
  for (const char* text : {"a", "b", "c"}) {
    Keep(memory, prompt(text), BytesOf("the"));
    EXPECT_LE(memory.bytes(), 700);
  }
  EXPECT_TRUE(found("b") && found("a") && found("c"));
  EXPECT_TRUE(found("a"));
  Keep(memory, prompt("d"), BytesOf("the"));
  EXPECT_TRUE(found("a") && found("c") && found("d"));
  EXPECT_FALSE(found("b"));
  // One that is larger than all is not kept, and the others are.
  Keep(memory, prompt("e"), BytesOf(std::string(300, 'e')));
  EXPECT_TRUE(found("a") && found("c") && found("d"));
  // A chat that goes on replaces its beginning.
  const uint64_t bytes = memory.bytes();
  Keep(memory, Join({prompt("d"), Of("the")}), BytesOf("a"));
  EXPECT_LT(memory.bytes(), bytes + 20);
  TokenMemory none(tokenizer_, 0);
  Keep(none, prompt("a"), BytesOf("the"));
  EXPECT_EQ(none.bytes(), 0);
}

Model DeterministicToy() {
  LoadOptions load;
  load.num_threads = kToyThreads;
  // Else bfloat16 weights compute most of an answer again; see Engine.
  load.deterministic = true;
  return LoadOrDie(std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3_mixed.gguf",
                   load);
}

// Each turn of a chat computes the last token of the answer before, which ended
// it, and what is new.
TEST(Conversations, ComputeWhatIsNew) {
  const Model model = DeterministicToy();
  const Tokenizer& tokenizer = **model.tokenizer();
  Server server = ServerOf(model);
  ServeJson body = {{"max_tokens", 6},
                    {"seed", 1},
                    {"logit_bias", OnlyBytes(tokenizer)},
                    {"messages", ServeJson::array()}};
  ServeJson& messages = body["messages"];
  // Long enough that the engine reuses its first turn.
  constexpr char kUserText[] =
      "the model was for it the model was for it the model was for it the "
      "model was for it the model was for it the model was for it";
  size_t before = 0;
  for (int turn = 0; turn < 20; ++turn) {
    messages.push_back({{"role", "user"}, {"content", kUserText}});
    const Reply reply = Post(server, kChatPath, body);
    ASSERT_EQ(reply.status, 200) << reply.body;
    const ServeJson& usage = reply.json["usage"];
    EXPECT_EQ(usage["prompt_tokens_details"]["cached_tokens"],
              turn == 0 ? 0 : before - 1)
        << turn;
    before = usage["total_tokens"];
    messages.push_back(reply.json["choices"][0]["message"]);
    messages.back().erase("refusal");
  }
  // The texts alone have other tokens.
  const Reply tokens = Post(server, "/tokenize", {{"messages", messages}});
  EXPECT_THAT(tokens.json["tokens"].get<Tokens>(),
              Not(Contains(*tokenizer.Find("<0x74>"))));
}

// A call that is text comes back as the model wrote it.
TEST(Conversations, KeepCallsInJson) {
  const Model model = DeterministicToy();
  const TokenId blank = (*model.tokenizer())->Encode(" ")->back();
  // Without the marks of a code block, which the next turn does not have.
  const TokenId tick = (*model.tokenizer())->Encode("`")->back();
  Server server = ServerOf(model);
  ServeJson body = ServeJson::parse(R"({
      "max_tokens": 100, "tool_choice": "required",
      "parallel_tool_calls": false,
      "tools": [{"type": "function", "function": {"name": "now",
        "parameters": {"type": "object", "required": ["a", "b"],
          "properties": {"a": {"const": "x: y"}, "b": {"enum": [[1, 2]]}}}}}],
      "messages": [{"role": "user", "content": "the"}]})");
  body["logit_bias"] = {{absl::StrCat(blank), 100}, {absl::StrCat(tick), -100}};
  const Reply first = Post(server, kChatPath, body);
  ASSERT_EQ(first.status, 200) << first.body;
  ServeJson message = first.json["choices"][0]["message"];
  ASSERT_EQ(message["tool_calls"].size(), 1) << first.body;
  message.erase("refusal");
  body["messages"].push_back(message);
  body["messages"].push_back({{"role", "tool"},
                              {"tool_call_id", message["tool_calls"][0]["id"]},
                              {"content", "r"}});
  const Reply second = Post(server, kChatPath, body);
  ASSERT_EQ(second.status, 200) << second.body;
  EXPECT_EQ(second.json["usage"]["prompt_tokens_details"]["cached_tokens"],
            first.json["usage"]["total_tokens"].get<size_t>() - 1)
      << first.body;
}

}  // namespace
}  // namespace gemma::internal
