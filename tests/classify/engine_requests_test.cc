// Classification in an engine: the probabilities of transformers and of
// Classify.

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/classify/shield_toy.h"
#include "tests/support/engines.h"
#include "tests/support/error_of.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

Classifier MakeClassifier(const Model& model, ClassifierOptions options = {}) {
  auto classifier = Classifier::Create(model, std::move(options));
  EXPECT_EQ(ErrorOf(classifier), "OK");
  return *std::move(classifier);
}

TEST(ClassifierRequests, EqualTransformers) {
  const Model model = LoadShield();
  Engine engine = MakeEngine(model, {.cache_format = CacheFormat::kFloat32});
  for (const ShieldCase& c : ReadShieldCases()) {
    SCOPED_TRACE(c.prompt);
    const Classifier classifier = MakeClassifier(model, {.wording = c.wording});
    auto requests = classifier.Requests(c.input(), {&c.policy, 1});
    ASSERT_EQ(ErrorOf(requests), "OK");
    ASSERT_EQ(requests->size(), 1u);
    const auto answer =
        Classifier::AnswerOf(AnswerOf(Submit(engine, (*requests)[0])));
    ASSERT_EQ(ErrorOf(answer), "OK");
    EXPECT_NEAR(answer->probability, c.probability, 1e-5);
    EXPECT_NEAR(answer->answer_mass, c.mass, 1e-5);
  }
}

TEST(ClassifierRequests, ShareTheirBeginning) {
  const Model model = LoadShield();
  const ClassifierInput input = {"the user is not up when more have the user"};
  Classifier classifier = MakeClassifier(model);
  const auto expected = classifier.Classify(input, ShieldPolicies());
  ASSERT_EQ(ErrorOf(expected), "OK");
  auto requests = classifier.Requests(input, ShieldPolicies());
  ASSERT_EQ(ErrorOf(requests), "OK");
  const std::vector<TokenId> first = (*requests)[0].prompt;
  size_t common = first.size();
  size_t all = 0;
  for (const Request& request : *requests) {
    common = std::min<size_t>(
        common,
        std::ranges::mismatch(first, request.prompt).in1 - first.begin());
    all += request.prompt.size();
  }
  Engine engine = MakeEngine(model);
  std::vector<Ticket> tickets;
  for (Request& request : *requests) {
    tickets.push_back(Submit(engine, std::move(request)));
  }
  ASSERT_EQ(tickets.size(), expected->size());
  for (size_t i = 0; i < tickets.size(); ++i) {
    const auto answer = Classifier::AnswerOf(AnswerOf(tickets[i]));
    ASSERT_EQ(ErrorOf(answer), "OK");
    EXPECT_NEAR(answer->probability, (*expected)[i], 1e-12);
  }
  const EngineSnapshot snapshot = engine.Snapshot();
  EXPECT_EQ(snapshot.reused_tokens + snapshot.computed_tokens, all);
  EXPECT_GT(common, 40u);
  EXPECT_GE(snapshot.reused_tokens, (tickets.size() - 1) * common);
}

TEST(ClassifierRequests, RefusedAndEndedEarly) {
  const Model model = LoadShield();
  const Classifier classifier = MakeClassifier(model, {.max_tokens = 20});
  EXPECT_THAT(ErrorOf(classifier.Requests({"the"}, {})),
              HasSubstr("there are no policies"));
  EXPECT_EQ(classifier.Requests({"the"}, ShieldPolicies()).status().code(),
            absl::StatusCode::kOutOfRange);
  Completion completion;
  completion.stats.stop_reason = StopReason::kCancelled;
  EXPECT_TRUE(absl::IsCancelled(Classifier::AnswerOf(completion).status()));
  completion.stats.stop_reason = StopReason::kDeadline;
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(Classifier::AnswerOf(completion).status()));
  completion.stats.stop_reason = StopReason::kMaxTokens;
  EXPECT_THAT(ErrorOf(Classifier::AnswerOf(completion)),
              HasSubstr("0 scores, wanted 2"));
}

}  // namespace
}  // namespace gemma::internal
