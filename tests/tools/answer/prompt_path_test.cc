// The answers of run and chat are those of Generate, bit for bit.

#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tests/support/error_of.h"
#include "tests/support/requests.h"
#include "tools/gemma/answer/answer.h"
#include "tools/gemma/chat/conversation.h"

namespace gemma::tools {
namespace {

using Scores = std::vector<std::pair<TokenId, double>>;

// The first token of a prompt has no log-probability.
Scores ScoresOf(const std::vector<ScoredToken>& tokens) {
  Scores scores;
  for (const ScoredToken& token : tokens) {
    scores.emplace_back(token.token, token.log_probability.value_or(1));
  }
  return scores;
}

// A message whose turn has `num_tokens` tokens.
std::string MessageOf(const ChatTemplate& turns, size_t num_tokens) {
  std::string message = "the cat";
  while (turns.UserTurn(message)->size() < num_tokens) message += " x";
  EXPECT_EQ(turns.UserTurn(message)->size(), num_tokens);
  return message;
}

class CommandPromptPath : public ::testing::TestWithParam<ToyArithmetic> {
 protected:
  CommandPromptPath() {
    options_.max_tokens = 6;
    options_.sampling.temperature = 0;
    options_.sampling.logit_bias = {{1, -INFINITY}, {6, -INFINITY}};
  }

  AnswerOptions options_;
};

INSTANTIATE_TEST_SUITE_P(Arithmetics, CommandPromptPath,
                         ::testing::ValuesIn(AllArithmetics()),
                         [](const auto& at) { return at.param.name; });

TEST_P(CommandPromptPath, SameBitsEveryWay) {
  const WantedScores wanted = {.num_alternatives = 0};
  for (const size_t chunk : {32, 100, 256, 1024}) {
    LoadOptions load = GetParam().options;
    load.prefill_chunk = chunk;
    const Model model =
        LoadOrDie(GEMMA_TESTDATA_DIR "/gguf/gemma3_mixed.gguf", load);
    const ChatTemplate turns = *model.chat_template();
    for (const size_t size : {300, 270}) {
      SCOPED_TRACE(testing::Message()
                   << "chunk " << chunk << ", prompt " << size);
      const std::string message = MessageOf(turns, size);
      const std::vector<TokenId> prompt = *turns.UserTurn(message);
      Scores expected;
      GenerateOptions generate = ToGenerateOptions(options_);
      generate.on_token = [&](const ScoredToken& token) {
        expected.emplace_back(token.token, *token.log_probability);
      };
      Session alone = NewSession(model);
      ASSERT_TRUE(Generate(alone, prompt, generate, [](std::string_view) {
                    return true;
                  }).ok());
      EXPECT_EQ(expected.size(), options_.max_tokens);

      Session run = NewSession(model);
      const auto answer = GatherAnswer(run, prompt, options_, wanted);
      ASSERT_EQ(ErrorOf(answer), "OK");
      EXPECT_EQ(ScoresOf(answer->tokens), expected);
      EXPECT_EQ(answer->stats.prompt_tokens, size);

      Scores chatted;
      auto chat = Conversation::Create(
          NewSession(model), turns, ContextPolicy::kError,
          [&](Session& session, absl::Span<const TokenId> tokens,
              std::string_view, const AnswerOptions& options) {
            absl::StatusOr<Answer> told =
                GatherAnswer(session, tokens, options, wanted);
            if (told.ok()) chatted = ScoresOf(told->tokens);
            return told;
          });
      ASSERT_EQ(ErrorOf(chat), "OK");
      const auto reply = chat->Ask(message, options_);
      ASSERT_EQ(ErrorOf(reply), "OK");
      EXPECT_EQ(chatted, expected);
      EXPECT_EQ(reply->stats.prompt_tokens, size);
    }
  }
}

}  // namespace
}  // namespace gemma::tools
