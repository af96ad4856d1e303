#include "ops/workers.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

TEST(Workers, RunEachTaskOnce) {
  for (const size_t threads : {1, 2, 5}) {
    Workers workers(threads);
    EXPECT_EQ(workers.num_threads(), threads);
    for (const size_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(tasks);
      workers.ForEach(tasks, [&](size_t task, size_t worker) {
        ASSERT_LT(worker, threads);
        ++runs[task];
      });
      for (const auto& count : runs) EXPECT_EQ(count, 1);
    }
  }
}

// A call sees the writes of the call before, on any thread.
TEST(Workers, CallsSeeEarlierWrites) {
  Workers workers(4);
  std::vector<size_t> values(64, 0);
  std::vector<size_t> next(values.size());
  for (size_t round = 1; round <= 500; ++round) {
    workers.ForEach(values.size(), [&](size_t task, size_t) {
      next[task] = values[(task + 1) % values.size()] + 1;
    });
    values.swap(next);
  }
  for (const size_t value : values) EXPECT_EQ(value, 500u);
}

TEST(Workers, WakeAfterSleeping) {
  Workers workers(2);
  std::atomic<int> runs = 0;
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    workers.ForEach(10, [&](size_t, size_t) { ++runs; });
  }
  EXPECT_EQ(runs, 30);
}

TEST(Workers, CountJoins) {
  Workers workers(2);
  workers.ForEach(1, [](size_t, size_t) {});
  EXPECT_EQ(workers.num_joins(), 0u);
  workers.ForEach(2, [](size_t, size_t) {});
  EXPECT_EQ(workers.num_joins(), 1u);
}

TEST(Workers, NoMoreThanActive) {
  Workers workers(4);
  for (const size_t active : {1, 3, 2, 4, 9}) {
    workers.set_max_active(active);
    std::atomic<int> runs = 0;
    std::atomic<size_t> largest = 0;
    workers.ForEach(1000, [&](size_t, size_t worker) {
      ++runs;
      if (worker > largest) largest = worker;
    });
    EXPECT_EQ(runs, 1000);
    EXPECT_LT(largest, active);
  }
}

// If a thread does not finish its share, the others do.
TEST(Workers, HelpEachOther) {
  Workers workers(3);
  std::atomic<size_t> done = 0;
  workers.ForEach(300, [&](size_t task, size_t) {
    // The first task of a share waits for all other tasks of all shares.
    while (task == 100 && done < 299) std::this_thread::yield();
    ++done;
  });
  EXPECT_EQ(done, 300u);
}

// Returns the message of the exception that ForEach throws, or "" without one.
std::string MessageOf(Workers& workers, size_t tasks, Workers::Body body) {
  try {
    workers.ForEach(tasks, body);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

void ExpectRunEachTask(Workers& workers) {
  std::vector<std::atomic<int>> runs(100);
  EXPECT_EQ(MessageOf(workers, runs.size(),
                      [&](size_t task, size_t) { ++runs[task]; }),
            "");
  for (const auto& count : runs) EXPECT_EQ(count, 1);
}

TEST(Workers, ExceptionOfOneThread) {
  for (const size_t threads : {1, 3}) {
    Workers workers(threads);
    workers.set_max_active(1);
    size_t runs = 0;
    EXPECT_EQ(MessageOf(workers, 10,
                        [&](size_t task, size_t) {
                          ++runs;
                          if (task == 4) throw std::runtime_error("four");
                        }),
              "four");
    EXPECT_EQ(runs, 5u);
    ExpectRunEachTask(workers);
  }
}

// The caller's frame must live until no other thread uses the body.
TEST(Workers, ExceptionOfTheCaller) {
  Workers workers(3);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> inside = 0;
    std::atomic<bool> thrown = false;
    EXPECT_EQ(
        MessageOf(workers, 3,
                  [&](size_t, size_t worker) {
                    if (worker == 0) {
                      while (inside < 2) std::this_thread::yield();
                      thrown = true;
                      throw std::runtime_error("caller");
                    }
                    ++inside;
                    while (!thrown) std::this_thread::yield();
                    std::this_thread::sleep_for(std::chrono::milliseconds(1));
                    --inside;
                  }),
        "caller");
    EXPECT_EQ(inside, 0);
  }
  ExpectRunEachTask(workers);
}

TEST(Workers, ExceptionOfAnotherThread) {
  Workers workers(2);
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> thrown = false;
    EXPECT_EQ(MessageOf(workers, 2,
                        [&](size_t, size_t worker) {
                          if (worker == 1) {
                            thrown = true;
                            throw std::runtime_error("other");
                          }
                          while (!thrown) std::this_thread::yield();
                        }),
              "other");
  }
  ExpectRunEachTask(workers);
}

TEST(Workers, ExceptionsOfSeveralThreads) {
  Workers workers(4);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> inside = 0;
    const std::string message = MessageOf(workers, 4, [&](size_t, size_t) {
      ++inside;
      while (inside < 4) std::this_thread::yield();
      throw std::runtime_error("each");
    });
    EXPECT_EQ(message, "each");
    EXPECT_EQ(inside, 4);
  }
  ExpectRunEachTask(workers);
}

TEST(Workers, ExceptionSkipsOtherTasks) {
  Workers workers(2);
  std::atomic<size_t> runs = 0;
  std::atomic<bool> thrown = false;
  EXPECT_EQ(MessageOf(workers, 1000000,
                      [&](size_t task, size_t) {
                        if (task == 0) {
                          thrown = true;
                          throw std::runtime_error("first");
                        }
                        while (!thrown) std::this_thread::yield();
                        ++runs;
                      }),
            "first");
  EXPECT_LT(runs, 999999u);
  ExpectRunEachTask(workers);
}

}  // namespace
}  // namespace gemma::internal
