// Long chats with calls of tools and their results: each request computes what
// is new, and what the template changes of the last turn.

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/serve/serve_client.h"
#include "tests/serve/tool_toys.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

LoadOptions Deterministic() {
  LoadOptions load;
  load.num_threads = kToyThreads;
  // Else bfloat16 weights compute most of an answer again; see Engine.
  load.deterministic = true;
  return load;
}

// A chat whose model calls a tool in each turn and then answers.
class ToolChat {
 public:
  // `fields`: those of the requests that make the model call.
  ToolChat(const Model& model, ServeJson fields)
      : server_(ServerOf(model)),
        calls_(std::move(fields)),
        answers_({{"logit_bias", OnlyBytes(**model.tokenizer())}}) {
    calls_["tool_choice"] = "required";
    answers_["tool_choice"] = "none";
    answers_["max_tokens"] = 6;
    body_ = ServeJson::parse(R"({
        "seed": 3, "parallel_tool_calls": false, "messages": [],
        "tools": [{"type": "function", "function": {"name": "look_up",
          "parameters": {"type": "object", "required": ["a"],
            "properties": {"a": {"type": "string", "maxLength": 4}}}}}]})");
    if (calls_.contains("think")) body_["think"] = calls_["think"];
  }

  void Say(std::string_view text) {
    body_["messages"].push_back({{"role", "user"}, {"content", text}});
  }
  // Returns the usage of a call, and adds its result to the chat.
  ServeJson Call() {
    const Reply reply = Ask(calls_);
    const ServeJson& message = reply.json["choices"][0]["message"];
    EXPECT_EQ(message["tool_calls"].size(), 1) << reply.body;
    has_thoughts_ = message.contains("reasoning_content");
    body_["messages"].push_back(
        {{"role", "tool"},
         {"tool_call_id", message["tool_calls"][0]["id"]},
         {"content", "it was"}});
    return reply.json["usage"];
  }
  // Returns the usage of an answer after the result.
  ServeJson Answer() {
    const Reply reply = Ask(answers_);
    EXPECT_NE(reply.json["choices"][0]["message"]["content"], "");
    return reply.json["usage"];
  }
  bool has_thoughts() const { return has_thoughts_; }  // of the last call

 private:
  Reply Ask(const ServeJson& fields) {
    ServeJson body = body_;
    body.update(fields);
    Reply reply = Post(server_, kChatPath, body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    ServeJson message = reply.json["choices"][0]["message"];
    message.erase("refusal");
    body_["messages"].push_back(std::move(message));
    return reply;
  }

  Server server_;
  ServeJson calls_, answers_, body_;
  bool has_thoughts_ = false;
};

// Has 20 turns. `is_whole`: the template keeps all of a turn in the next one.
// Else it keeps only the user's part and the text that ends the turn.
void ExpectNewTokensComputed(ToolChat chat, bool is_whole) {
  // Long enough that the engine reuses the first turn.
  constexpr char kText[] =
      "the model was for it the model was for it the model was for it the "
      "model was for it the model was for it the model was for it";
  const auto cached = [](const ServeJson& usage) {
    return usage["prompt_tokens_details"]["cached_tokens"].get<size_t>();
  };
  // Each request computes the last token before it, which ended an answer.
  const auto size = [](const ServeJson& usage) {
    return usage["total_tokens"].get<size_t>() - 1;
  };
  size_t kept = 0;  // tokens of the turns before
  for (int turn = 0; turn < 20; ++turn) {
    SCOPED_TRACE(turn);
    chat.Say(kText);
    const ServeJson call = chat.Call();
    EXPECT_EQ(cached(call), kept) << call;
    EXPECT_EQ(chat.has_thoughts(), !is_whole);
    const ServeJson answer = chat.Answer();
    EXPECT_EQ(cached(answer), size(call)) << answer;
    kept = is_whole ? size(answer) : call["prompt_tokens"].get<size_t>();
  }
}

TEST(ToolChats, ComputeWhatIsNew) {
  const Model gemma4 = LoadOrDie(ToyPath("gemma4_chat"), Deterministic());
  const Model function_gemma = LoadFunctionGemmaToy(Deterministic());
  for (const Model& model : {gemma4, function_gemma}) {
    SCOPED_TRACE(ToolDialectName(model.chat_template()->tool_dialect()));
    ExpectNewTokensComputed(ToolChat(model, {{"max_tokens", 60}}), true);
  }
}

// Gemma 4's template leaves out the thoughts of earlier turns.
TEST(ToolChats, ComputeWhatThoughtsPreceded) {
  const Model model = LoadOrDie(ToyPath("gemma4_chat"), Deterministic());
  const Tokenizer& tokenizer = **model.tokenizer();
  ServeJson biases;
  const auto set = [&](const char* piece, double bias) {
    biases[absl::StrCat(*tokenizer.Find(piece))] = bias;
  };
  // A penalty for tokens that occurred makes the thoughts "model\n".
  set("<|channel>", 300);
  set("model", 120);
  set("\n", 180);
  set("<channel|>", 60);
  std::string lines = "\n\n";
  for (; lines.size() < 8; lines += "\n") set(lines.c_str(), -300);
  ExpectNewTokensComputed(ToolChat(model, {{"max_tokens", 60},
                                           {"think", true},
                                           {"penalty_window", 3},
                                           {"frequency_penalty", 100},
                                           {"logit_bias", biases}}),
                          false);
}

}  // namespace
}  // namespace gemma::internal
