// Scores of rows of logits, and ForEachRow on several threads, also if the
// system gives no threads.

#include "tools/gemma/measure/scores.h"

#include <pthread.h>

#include <atomic>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "src/base/internal.h"

namespace gemma::tools {
namespace {

TEST(Scores, EqualSoftmax) {
  const std::vector<float> logits = {1.0f, 2.0f, 3.0f};
  const double sum = std::exp(1.0) + std::exp(2.0) + std::exp(3.0);
  EXPECT_NEAR(NegativeLogLikelihood(logits, 1), std::log(sum) - 2.0, 1e-12);
  // No overflow.
  EXPECT_NEAR(NegativeLogLikelihood({1e30f, -1e30f}, 0), 0.0, 1e-12);
  EXPECT_EQ(MostProbable({1.0f, 3.0f, 3.0f}), 1);
}

TEST(Scores, CompareRows) {
  const RowError same = CompareRows({1.0f, 2.0f}, {1.0f, 2.0f});
  EXPECT_EQ(same.max_error, 0.0);
  EXPECT_EQ(same.max_reference, 2.0);
  EXPECT_NEAR(same.kl, 0.0, 1e-15);
  EXPECT_TRUE(same.same_top);

  const RowError other = CompareRows({1.0f, -3.0f}, {0.0f, 0.0f});
  EXPECT_EQ(other.max_error, 3.0);
  EXPECT_EQ(other.token, 1);
  EXPECT_TRUE(other.same_top);
  const double log_sum = std::log(std::exp(1.0) + std::exp(-3.0));
  EXPECT_NEAR(other.kl,
              0.5 * (std::log(0.5) - (1.0 - log_sum)) +
                  0.5 * (std::log(0.5) - (-3.0 - log_sum)),
              1e-12);
}

// Comparisons with NaN are false, so a hidden NaN would pass every test.
TEST(Scores, NeverHideNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(CompareRows({nan, 2.0f}, {1.0f, 9.0f}).max_error));
  EXPECT_TRUE(std::isnan(CompareRows({1.0f, nan}, {9.0f, 2.0f}).max_error));
  EXPECT_TRUE(std::isnan(CompareRows({1.0f, 2.0f}, {9.0f, nan}).max_reference));
  EXPECT_TRUE(std::isnan(NegativeLogLikelihood({1.0f, nan, 2.0f}, 0)));
  EXPECT_TRUE(std::isnan(NegativeLogLikelihood({nan, 1.0f, 2.0f}, 1)));
}

// While this object lives, no thread can start, because the default stack size
// is too large.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t attributes = before_;
    pthread_attr_setstacksize(&attributes, size_t{1} << 47);
    pthread_setattr_default_np(&attributes);
  }
  ~NoMoreThreads() { pthread_setattr_default_np(&before_); }

 private:
  pthread_attr_t before_;
};

void* Nothing(void*) { return nullptr; }

// The number of calls for each row.
std::vector<int> Calls(size_t num_threads, size_t num_rows) {
  std::vector<std::atomic<int>> calls(num_rows);
  ForEachRow(num_threads, num_rows, [&](size_t row) { ++calls[row]; });
  return {calls.begin(), calls.end()};
}

TEST(ForEachRow, EachRowOnce) {
  for (const size_t threads : {0, 1, 2, 7}) {
    for (const size_t rows : {0, 1, 2, 100}) {
      EXPECT_EQ(Calls(threads, rows), std::vector<int>(rows, 1));
    }
  }
}

TEST(ForEachRow, WithoutThreads) {
  const NoMoreThreads limit;
  pthread_t thread;
  ASSERT_NE(pthread_create(&thread, nullptr, Nothing, nullptr), 0);
  EXPECT_EQ(Calls(64, 100), std::vector<int>(100, 1));
}

}  // namespace
}  // namespace gemma::tools
