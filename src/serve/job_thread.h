// Computes for models that have no engine: embedders and classifiers.

#ifndef GEMMA_SRC_SERVE_JOB_THREAD_H_
#define GEMMA_SRC_SERVE_JOB_THREAD_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace gemma::internal {

// A thread that does jobs in the order in which they come.
class JobThread {
 public:
  // Does a job, or, if `stops`, only ends what waits for it. Must not throw.
  using Job = std::function<void(bool stops)>;

  // Throws if no thread can be started.
  JobThread() : thread_([this] { Run(); }) {}
  // Waits for the job that runs. Calls those that wait with `stops`.
  ~JobThread();

  // Any thread may call it, but no job.
  void Add(Job job);

 private:
  void Run();

  std::mutex mutex_;  // guards jobs_ and stops_
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stops_ = false;
  std::thread thread_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_JOB_THREAD_H_
