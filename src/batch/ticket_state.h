// The state of a request that its ticket and the engine share.

#ifndef GEMMA_SRC_BATCH_TICKET_STATE_H_
#define GEMMA_SRC_BATCH_TICKET_STATE_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "gemma/engine.h"
#include "gemma/words.h"
#include "src/base/internal.h"
#include "src/embed/embed_pass.h"
#include "src/forward/worker_turns.h"

namespace gemma {

class Ticket::State {
 public:
  // `engine_thread` calls the request's functions, and computes it with the
  // threads of `pool`.
  State(Request request, std::thread::id engine_thread,
        const ThreadPool::Impl* pool = nullptr);

  // The request. Its `cancelled` also returns true if the ticket was cancelled.
  const Request& request() const { return request_; }
  // The words of the prompt, moved out of Request::words or Request::prompt.
  const Words& prompt() const { return prompt_; }

  // The texts of a request that embeds; null for others. Set before the request
  // is queued.
  EmbedJob* embed_job() {
    return embed_job_.has_value() ? &*embed_job_ : nullptr;
  }
  void set_embed_job(EmbedJob job) { embed_job_.emplace(std::move(job)); }
  // The tokens that the model reads.
  size_t num_words() const {
    return embed_job_.has_value() ? embed_job_->num_tokens() : prompt_.size();
  }

  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }

  // Seconds since the request was submitted.
  double seconds() const {
    return SecondsOf(std::chrono::steady_clock::now() - queued_);
  }
  double SecondsTo(RequestTimes::TimePoint time) const {
    return SecondsOf(time - queued_);
  }

  RequestTimes times() const;
  // The engine begins the prompt now, or a token was chosen at `time`.
  void Started();
  void Chose(RequestTimes::TimePoint time);

  // Ends the request and adds its times to the result. Called once; no function
  // of the request is called after it.
  void Finish(absl::StatusOr<Completion> result);
  // As Finish, for a request that was never begun.
  void FinishUnbegun(StopReason reason);

  bool done() const;
  // Returns FailedPrecondition if HoldsUp() and not done().
  const absl::StatusOr<Completion>& Wait() const;
  // Whether the request cannot end while the calling thread waits.
  bool HoldsUp() const {
    return std::this_thread::get_id() == engine_thread_ ||
           ThreadPool::Impl::HasTurn(pool_);
  }

 private:
  static double SecondsOf(std::chrono::steady_clock::duration duration) {
    return std::chrono::duration<double>(duration).count();
  }

  Request request_;
  const Words prompt_;
  std::optional<EmbedJob> embed_job_;
  std::optional<Grammar> grammar_;  // copy of the request's grammar
  const std::thread::id engine_thread_;
  const ThreadPool::Impl* const pool_;        // only compared; may be gone
  const absl::StatusOr<Completion> held_up_;  // for Wait, if HoldsUp()
  const RequestTimes::TimePoint queued_ = std::chrono::steady_clock::now();
  std::atomic<bool> cancelled_ = false;

  mutable std::mutex mutex_;  // guards times_ and result_
  mutable std::condition_variable finished_;
  RequestTimes times_;
  std::optional<absl::StatusOr<Completion>> result_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_BATCH_TICKET_STATE_H_
