// Tests ForEachRow on several threads, also if the system gives no threads.

#include "tools/gemma/measure/scores.h"

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <vector>

#include "gtest/gtest.h"
#include "src/base/internal.h"

namespace gemma::tools {
namespace {

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
