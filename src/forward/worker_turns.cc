#include "src/forward/worker_turns.h"

#include <utility>

#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/model/config/num_threads.h"

namespace gemma {
namespace {

// The turns of a thread are a list, because a tap may compute with another
// model.
thread_local ThreadPool::Impl::Turn* innermost_turn = nullptr;

}  // namespace

ThreadPool::Impl::Turn* ThreadPool::Impl::Turn::Innermost(const Impl* pool) {
  Turn* turn = innermost_turn;
  while (turn != nullptr && &turn->pool_ != pool) turn = turn->outer_;
  return turn;
}

ThreadPool::Impl::Turn::Turn(Impl& pool)
    : pool_(pool),
      outer_(innermost_turn),
      outer_here_(Innermost(&pool)),
      max_active_(pool.workers_.num_threads()) {
  if (outer_here_ == nullptr) pool_.Take();
  innermost_turn = this;
}

ThreadPool::Impl::Turn::~Turn() {
  innermost_turn = outer_;
  if (outer_here_ == nullptr) {
    pool_.Release();
  } else {
    // The outer turn goes on.
    outer_here_->SetMaxActive(outer_here_->max_active_);
  }
}

void ThreadPool::Impl::Turn::SetMaxActive(size_t threads) {
  max_active_ = threads;
  pool_.workers_.set_max_active(threads);
}

size_t ThreadPool::Impl::num_waiting() const {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const Place* place = first_; place != nullptr; place = place->next) {
    ++count;
  }
  return count;
}

void ThreadPool::Impl::Take() {
  std::unique_lock lock(mutex_);
  if (!std::exchange(is_taken_, true)) return;
  Place place;
  (first_ == nullptr ? first_ : last_->next) = &place;
  last_ = &place;
  place.called.wait(lock, [&] { return place.is_called; });
}

void ThreadPool::Impl::Release() {
  const std::lock_guard lock(mutex_);
  if (first_ == nullptr) {
    is_taken_ = false;
    return;
  }
  // The turn passes to the first in the line, whom nobody can overtake.
  Place& next = *std::exchange(first_, first_->next);
  next.is_called = true;
  next.called.notify_one();
}

ThreadPool::ThreadPool(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
ThreadPool::~ThreadPool() = default;
ThreadPool::ThreadPool(const ThreadPool&) noexcept = default;
ThreadPool& ThreadPool::operator=(const ThreadPool&) noexcept = default;
ThreadPool::ThreadPool(ThreadPool&&) noexcept = default;
ThreadPool& ThreadPool::operator=(ThreadPool&&) noexcept = default;

absl::StatusOr<ThreadPool> ThreadPool::Create(size_t num_threads) {
  return NoThrow([&]() -> absl::StatusOr<ThreadPool> {
    GEMMA_RETURN_IF_ERROR(CheckThreads("num_threads", num_threads));
    return ThreadPool(std::make_shared<Impl>(NumThreads(num_threads)));
  });
}

size_t ThreadPool::num_threads() const {
  return impl_->workers().num_threads();
}

}  // namespace gemma
