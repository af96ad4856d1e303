// Tests a guard with a toy ShieldGemma. Its scores mean nothing.

#include "tools/gemma/answer/guard.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tests/support/error_of.h"
#include "tests/support/mixed_model.h"
#include "tests/support/toy_models.h"
#include "tools/gemma/chat/conversation.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> Answers(const Conversation& chat) {
  std::vector<std::string> answers;
  for (const Turn& turn : chat.turns()) answers.push_back(turn.answer);
  return answers;
}

double Highest(const Verdict& verdict) {
  double highest = 0;
  for (const Verdict::Score& score : verdict.scores) {
    highest = std::max(highest, score.probability);
  }
  return highest;
}

class GuardTest : public MixedModelTest {
 protected:
  static std::unique_ptr<Guard> Load(double threshold) {
    GuardOptions options;
    options.model = std::string(GEMMA_TESTDATA_DIR) + "/classify/shield.gguf";
    options.threshold = static_cast<float>(threshold);
    ModelOptions answering;
    answering.threads = 1;
    auto guard = Guard::Load(options, answering);
    EXPECT_EQ(ErrorOf(guard), "OK");
    return *std::move(guard);
  }

  static std::vector<TokenId> Prompt(std::string_view message) {
    return *model_->chat_template()->UserTurn(message);
  }

  // A prompt, and a threshold that refuses its answer but not the prompt.
  std::pair<std::string, double> WorseAnswer() const {
    const std::unique_ptr<Guard> guard = Load(1);
    for (const std::string prompt : {"the", "user", "one", "x", "model of"}) {
      Session session = NewSession(*model_);
      const auto answer =
          guard->AnswerTo(prompt, session, Prompt(prompt), greedy_, {});
      EXPECT_EQ(ErrorOf(answer), "OK");
      const double before = Highest(answer->verdicts[0]);
      const double after = Highest(answer->verdicts[1]);
      if (after > before + 1e-3) return {prompt, (before + after) / 2};
    }
    ADD_FAILURE() << "no prompt found";
    return {};
  }

  static AnswerOptions Greedy() {
    AnswerOptions options;
    options.sampling.temperature = 0;
    options.max_tokens = 6;
    return options;
  }

  const AnswerOptions greedy_ = Greedy();
};

TEST_F(GuardTest, ThereMayBeNone) {
  const auto guard = Guard::Load({}, {});
  ASSERT_EQ(ErrorOf(guard), "OK");
  EXPECT_EQ(*guard, nullptr);
}

TEST_F(GuardTest, RefusedPromptIsUnread) {
  const std::unique_ptr<Guard> guard = Load(0);
  Session session = NewSession(*model_);
  const auto answer =
      guard->AnswerTo("the", session, Prompt("the"), greedy_, {});
  ASSERT_EQ(ErrorOf(answer), "OK");
  ASSERT_THAT(answer->verdicts, SizeIs(1));
  EXPECT_EQ(answer->verdicts[0].text, "prompt");
  EXPECT_THAT(answer->verdicts[0].scores, SizeIs(4));
  EXPECT_EQ(session.position(), 0u);
  EXPECT_TRUE(IsRefused(RefusalOf(answer->verdicts)));
}

TEST_F(GuardTest, RefusedAnswerIsEmpty) {
  const auto [prompt, threshold] = WorseAnswer();
  const std::unique_ptr<Guard> guard = Load(threshold);
  Session session = NewSession(*model_);
  WantedScores wanted;
  wanted.num_alternatives = 1;
  wanted.of_prompt = true;
  const auto answer =
      guard->AnswerTo(prompt, session, Prompt(prompt), greedy_, wanted);
  ASSERT_EQ(ErrorOf(answer), "OK");
  ASSERT_THAT(answer->verdicts, SizeIs(2));
  EXPECT_GT(session.position(), Prompt(prompt).size());
  EXPECT_EQ(answer->text, "");
  EXPECT_THAT(answer->tokens, IsEmpty());
  EXPECT_THAT(answer->prompt_tokens, IsEmpty());
  EXPECT_THAT(ErrorOf(RefusalOf(answer->verdicts)),
              HasSubstr("refused: the answer violates"));
}

TEST_F(GuardTest, AllowedAnswerIsUnchanged) {
  const std::unique_ptr<Guard> guard = Load(1);
  Session session = NewSession(*model_);
  const auto answer =
      guard->AnswerTo("the", session, Prompt("the"), greedy_, {});
  ASSERT_EQ(ErrorOf(answer), "OK");
  Session other = NewSession(*model_);
  const auto free = GatherAnswer(other, Prompt("the"), greedy_, {});
  ASSERT_EQ(ErrorOf(free), "OK");
  EXPECT_EQ(answer->text, free->text);
  EXPECT_EQ(TokensOf(session), TokensOf(other));
  EXPECT_EQ(ErrorOf(RefusalOf(answer->verdicts)), "OK");
}

// Chats in which a refused turn leaves no trace.
class GuardedChat : public GuardTest {
 protected:
  Conversation NewChat(ContextPolicy policy, size_t max_tokens) {
    auto chat = Conversation::Create(
        NewSession(*model_, {.max_tokens = max_tokens}),
        *model_->chat_template(), policy,
        [this](Session& session, absl::Span<const TokenId> tokens,
               std::string_view message,
               const AnswerOptions& options) -> absl::StatusOr<Answer> {
          if (guard_ == nullptr) {
            return GatherAnswer(session, tokens, options, {});
          }
          GEMMA_ASSIGN_OR_RETURN(
              Answer answer,
              guard_->AnswerTo(message, session, tokens, options, {}));
          GEMMA_RETURN_IF_ERROR(RefusalOf(answer.verdicts));
          return answer;
        });
    EXPECT_EQ(ErrorOf(chat), "OK");
    return *std::move(chat);
  }

  void Ask(Conversation& chat, std::string_view message) const {
    EXPECT_EQ(ErrorOf(chat.Ask(message, greedy_)), "OK");
  }

  Guard* guard_ = nullptr;  // for the next answers
};

TEST_F(GuardedChat, RefusalKeepsSession) {
  const auto [prompt, threshold] = WorseAnswer();
  for (const double refuse_above : {0.0, threshold}) {
    const std::unique_ptr<Guard> guard = Load(refuse_above);
    Conversation plain = NewChat(ContextPolicy::kError, 256);
    Conversation chat = NewChat(ContextPolicy::kError, 256);
    guard_ = guard.get();
    EXPECT_TRUE(IsRefused(chat.Ask(prompt, greedy_).status()));
    EXPECT_THAT(chat.turns(), IsEmpty());
    guard_ = nullptr;
    for (const std::string_view message : {"one", "two"}) {
      Ask(plain, message);
      Ask(chat, message);
      EXPECT_EQ(TokensOf(chat.session()), TokensOf(plain.session()));
      EXPECT_EQ(chat.Use()->unread, 0u);
    }
  }
}

TEST_F(GuardedChat, RefusedTurnIsRemoved) {
  const std::unique_ptr<Guard> guard = Load(0);
  Conversation plain = NewChat(ContextPolicy::kError, 256);
  Conversation chat = NewChat(ContextPolicy::kError, 256);
  for (const std::string_view message : {"one", "two", "three"}) {
    Ask(plain, message);
    Ask(chat, message);
    EXPECT_EQ(TokensOf(chat.session()), TokensOf(plain.session()));
    guard_ = guard.get();
    EXPECT_TRUE(IsRefused(chat.Ask("x", greedy_).status()));
    guard_ = nullptr;
    EXPECT_EQ(chat.turns().size(), plain.turns().size());
    EXPECT_EQ(chat.Use()->unread, 0u);
  }
  // The old answer stays if the new one is refused.
  guard_ = guard.get();
  EXPECT_TRUE(IsRefused(chat.AskAgain(greedy_).status()));
  EXPECT_EQ(chat.turns().back().answer, plain.turns().back().answer);
}

TEST_F(GuardedChat, RefusalDropsNoTurn) {
  const std::unique_ptr<Guard> guard = Load(0);
  Conversation chat = NewChat(ContextPolicy::kDropOldestTurns, 64);
  const std::string message = "the model of the user";
  for (size_t dropped = 0; dropped == 0;) {
    ASSERT_LT(chat.turns().size(), 20u);
    const std::vector<std::string> before = Answers(chat);
    guard_ = guard.get();
    EXPECT_TRUE(IsRefused(chat.Ask(message, greedy_).status()));
    guard_ = nullptr;
    EXPECT_EQ(Answers(chat), before);
    // The last of these fits only because turns are dropped.
    const auto reply = chat.Ask(message, greedy_);
    ASSERT_EQ(ErrorOf(reply), "OK");
    dropped = reply->dropped_turns;
    EXPECT_EQ(chat.turns().size(), before.size() + 1 - dropped);
  }
}

TEST(Verdict, RefusesHighestAboveThreshold) {
  Verdict verdict = {.text = "prompt",
                     .threshold = 0.5,
                     .scores = {{"a", 0.2}, {"b", 0.5}, {"c", 0.4}}};
  EXPECT_FALSE(verdict.violated().has_value());
  EXPECT_EQ(ErrorOf(RefusalOf({verdict})), "OK");
  verdict.scores.push_back({"d", 0.7});
  verdict.scores.push_back({"e", 0.6});
  EXPECT_EQ(verdict.violated()->policy, "d");
  const absl::Status refusal = RefusalOf({Verdict(), verdict});
  EXPECT_TRUE(IsRefused(refusal));
  EXPECT_EQ(Report(refusal), kExitRefused);
  EXPECT_EQ(refusal.message(),
            "refused: the prompt violates 'd' with a probability of 0.7000, "
            "more than the --guard-threshold of 0.5");
  EXPECT_EQ(VerdictsLine({verdict}), "guard: prompt 0.7000 (d)");
  EXPECT_EQ(VerdictsJson({verdict})["refused"]["policy"], "d");
}

TEST(Verdict, RefusesNothingWithoutScores) {
  const Verdict verdict = {.text = "prompt", .threshold = 0, .scores = {}};
  EXPECT_FALSE(verdict.violated().has_value());
  EXPECT_EQ(VerdictsJson({verdict}).dump(), R"({"threshold":0.0,"prompt":{}})");
}

}  // namespace
}  // namespace gemma::tools
