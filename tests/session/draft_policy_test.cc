// Tests the policy with invented times, so that results do not depend on the
// machine.

#include "src/session/draft_policy.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <iterator>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

// The time of a pass by its number of rows.
using Cost = std::function<double(size_t rows)>;

double Free(size_t rows) { return 1 + 0.01 * static_cast<double>(rows); }
double Good(size_t rows) { return 0.9 + 0.1 * static_cast<double>(rows); }
double Half(size_t rows) { return 0.5 + 0.5 * static_cast<double>(rows); }
double Linear(size_t rows) { return static_cast<double>(rows); }
// A kernel for many rows that is slow for few.
double Step(size_t rows) {
  return rows == 1 ? 1 : 2.2 + 0.05 * static_cast<double>(rows);
}
double Awful(size_t rows) {
  return rows == 1 ? 1 : 3 + 0.9 * static_cast<double>(rows);
}

// A text of which the policy knows only how long matches are. Each token is as
// foretold with the given probability; then the match grows.
class Simulation {
 public:
  Simulation() : Simulation(own_costs_) {}
  // A text of another session of the same model.
  explicit Simulation(SharedPassCosts& costs) : policy_(costs) {}

  // Writes `tokens` tokens.
  void Write(size_t tokens, double probability, const Cost& cost) {
    for (size_t i = 0; i < tokens; ++i) {
      const double dice = std::ldexp(static_cast<double>(random_()), -32);
      const bool foretold = match_ > 0 && dice < probability;
      policy_.TokenCame(match_, foretold);
      match_ = foretold ? std::min<size_t>(match_ + 1, 32) : 2;
      if (foretold && ahead_ > 0) {
        --ahead_;
        ++accepted;
        continue;
      }
      ahead_ = policy_.DraftLength(match_, DraftPolicy::kMaxDraft);
      drafts.push_back(ahead_);
      policy_.PassTook(ahead_ + 1, cost(ahead_ + 1));
      seconds += cost(ahead_ + 1);
    }
    written += tokens;
  }

  // Compared with one token per pass of one second.
  double Speed() const { return static_cast<double>(written) / seconds; }
  size_t NumDrafts() const {
    return drafts.size() - std::count(drafts.begin(), drafts.end(), 0u);
  }
  size_t LastDraft() const { return drafts.back(); }

  std::vector<size_t> drafts;  // length of each pass's draft
  size_t accepted = 0;
  size_t written = 0;
  double seconds = 0;

 private:
  SharedPassCosts own_costs_;
  DraftPolicy policy_;
  std::mt19937 random_;
  size_t match_ = 2;
  size_t ahead_ = 0;
};

// No draft without a match, without room, or before the first measured time.
TEST(DraftPolicy, NeedsMatchRoomTimes) {
  SharedPassCosts costs;
  DraftPolicy policy(costs);
  EXPECT_EQ(policy.DraftLength(32, 15), 0u);
  policy.PassTook(1, 1.0);  // the first pass does not count
  EXPECT_EQ(policy.DraftLength(32, 15), 0u);
  policy.PassTook(1, 1.0);
  EXPECT_EQ(policy.DraftLength(0, 15), 0u);
  EXPECT_EQ(policy.DraftLength(32, 0), 0u);
  EXPECT_GT(policy.DraftLength(32, 15), 0u);
  EXPECT_EQ(policy.DraftLength(32, 1), 1u);
}

TEST(DraftPolicy, TrustsLongMatchesMore) {
  SharedPassCosts costs;
  DraftPolicy policy(costs);
  policy.PassTook(1, 1.0);
  policy.PassTook(1, 1.0);
  EXPECT_EQ(policy.DraftLength(2, 15), 0u);
  size_t before = 0;
  for (size_t length = 2; length <= 32; ++length) {
    EXPECT_GE(policy.DraftLength(length, 15), before);
    before = policy.DraftLength(length, 15);
  }
  EXPECT_GT(before, 1u);
}

TEST(DraftPolicy, DraftsGrowWhileRight) {
  Simulation text;
  text.Write(300, 1.0, Good);
  EXPECT_EQ(text.LastDraft(), DraftPolicy::kMaxDraft);
  // Drafts grow step by step.
  size_t longest = 1;
  for (const size_t draft : text.drafts) {
    EXPECT_LE(draft, longest + 2);
    longest = std::max(longest, draft);
  }
}

TEST(DraftPolicy, DraftsShrinkWhenWrong) {
  Simulation text;
  text.Write(300, 1.0, Good);
  text.Write(300, 0.6, Good);
  EXPECT_LT(text.LastDraft(), DraftPolicy::kMaxDraft / 2);
  text.Write(300, 0.02, Good);
  const size_t before = text.NumDrafts();
  text.Write(300, 0.02, Good);
  EXPECT_LE(text.NumDrafts(), before + 10);
}

TEST(DraftPolicy, GainsWhereTextRepeats) {
  const auto speed = [](double probability, const Cost& cost) {
    Simulation text;
    text.Write(200, probability, cost);
    return text.Speed();
  };
  EXPECT_GT(speed(1.0, Free), 8);
  EXPECT_GT(speed(1.0, Good), 4);
  EXPECT_GT(speed(1.0, Step), 3);
  EXPECT_GT(speed(1.0, Half), 1.6);
  EXPECT_GT(speed(0.95, Good), 2.5);
  EXPECT_GT(speed(0.9, Good), 1.5);
}

// For any probability and any kernel.
TEST(DraftPolicy, NeverLosesMuch) {
  const Cost costs[] = {Free, Good, Half, Linear, Step, Awful};
  for (size_t i = 0; i < std::size(costs); ++i) {
    for (const double probability :
         {0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0}) {
      Simulation text;
      text.Write(500, probability, costs[i]);
      EXPECT_GE(text.Speed(), 0.97)
          << "cost " << i << ", probability " << probability << ", "
          << text.NumDrafts() << " drafts";
      text.Write(4000, probability, costs[i]);
      EXPECT_GE(text.Speed(), 0.97)
          << "cost " << i << ", probability " << probability << ", "
          << text.NumDrafts() << " drafts";
    }
  }
}

TEST(DraftPolicy, RarelyRetriesCostlyDrafts) {
  Simulation text;
  text.Write(20000, 0.9, Awful);
  std::vector<size_t> tried;  // passes
  for (size_t i = 0; i < text.drafts.size(); ++i) {
    if (text.drafts[i] > 0) tried.push_back(i);
  }
  ASSERT_GE(tried.size(), 3u);
  EXPECT_LE(tried.size(), 40u);
  // Less and less often.
  EXPECT_GE(tried.back() - tried[tried.size() - 2], 1000u);
}

TEST(DraftPolicy, NoticesCheaperPasses) {
  Simulation text;
  text.Write(1000, 1.0, Awful);
  EXPECT_EQ(text.LastDraft(), 0u);
  text.Write(2000, 1.0, Good);
  EXPECT_GT(text.LastDraft(), 3u);
}

TEST(DraftPolicy, NoticesDearerPasses) {
  Simulation text;
  text.Write(300, 1.0, Good);
  const double before = text.seconds;
  text.Write(1000, 0.8, Awful);
  EXPECT_LT(text.seconds - before, 1.5 * 1000);
}

TEST(DraftPolicy, SessionsShareCosts) {
  const auto until_full_draft = [](const Simulation& text) {
    return std::find(text.drafts.begin(), text.drafts.end(),
                     DraftPolicy::kMaxDraft) -
           text.drafts.begin();
  };
  SharedPassCosts cheap;
  Simulation first(cheap);
  first.Write(300, 1.0, Good);
  // Slower, because its context is longer, but with the same ratios.
  Simulation second(cheap);
  second.Write(300, 1.0, [](size_t rows) { return 3 * Good(rows); });
  EXPECT_LT(until_full_draft(second), until_full_draft(first));

  SharedPassCosts dear;
  Simulation third(dear);
  third.Write(100, 0.9, Awful);
  EXPECT_GT(third.NumDrafts(), 0u);
  Simulation fourth(dear);
  fourth.Write(100, 0.9, Awful);
  EXPECT_EQ(fourth.NumDrafts(), 0u);
}

TEST(DraftPolicy, SurvivesInterruptedPasses) {
  size_t passes = 0;
  const Cost interrupted = [&](size_t rows) {
    return ++passes % 40 == 0 ? 20 : Good(rows);
  };
  Simulation text;
  text.Write(2000, 0.97, interrupted);
  EXPECT_GT(text.accepted, 1000u);
}

}  // namespace
}  // namespace gemma::internal
