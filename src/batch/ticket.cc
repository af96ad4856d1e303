#include <functional>
#include <utility>

#include "src/batch/ticket_state.h"

#include "src/base/internal.h"
#include "src/batch/running_request.h"

namespace gemma {

Ticket::State::State(Request request, std::thread::id engine_thread,
                     const ThreadPool::Impl* pool)
    : request_(std::move(request)),
      prompt_(request_.words.empty() ? Words(std::move(request_.prompt))
                                     : std::move(request_.words)),
      engine_thread_(engine_thread),
      pool_(pool),
      held_up_(absl::FailedPreconditionError(
          "Wait was called by a function that the request waits for")) {
  times_.queued = queued_;
  // Choices are scored after the prompt, in place of an answer.
  if (!request_.choices.empty()) request_.options.prompt_only = true;
  const Grammar*& grammar = request_.options.grammar;
  if (grammar != nullptr) grammar = &grammar_.emplace(*grammar);
  std::function<bool()>& cancelled = request_.options.cancelled;
  cancelled = [this, callers = std::move(cancelled)] {
    return cancelled_.load(std::memory_order_relaxed) || (callers && callers());
  };
}

RequestTimes Ticket::State::times() const {
  const std::lock_guard lock(mutex_);
  return times_;
}

void Ticket::State::Started() {
  const std::lock_guard lock(mutex_);
  times_.started = std::chrono::steady_clock::now();
}

void Ticket::State::Chose(RequestTimes::TimePoint time) {
  const std::lock_guard lock(mutex_);
  if (!times_.first_token.has_value()) times_.first_token = time;
  times_.last_token = time;
  ++times_.num_tokens;
}

void Ticket::State::Finish(absl::StatusOr<Completion> result) {
  {
    const std::lock_guard lock(mutex_);
    times_.ended = std::chrono::steady_clock::now();
    if (result.ok()) result->times = times_;
  }
  if (request_.on_done) {
    absl::Status status = Guarded([&] { request_.on_done(result); });
    if (!status.ok()) result = std::move(status);
  }
  const std::lock_guard lock(mutex_);
  result_ = std::move(result);
  finished_.notify_all();
}

void Ticket::State::FinishUnbegun(StopReason reason) {
  Completion completion;
  completion.stats.stop_reason = reason;
  completion.queued_seconds = seconds();
  Finish(std::move(completion));
}

bool Ticket::State::done() const {
  const std::lock_guard lock(mutex_);
  return result_.has_value();
}

const absl::StatusOr<Completion>& Ticket::State::Wait() const {
  std::unique_lock lock(mutex_);
  if (!result_.has_value() && HoldsUp()) return held_up_;
  finished_.wait(lock, [this] { return result_.has_value(); });
  return *result_;
}

Ticket::Ticket(std::shared_ptr<State> state) : state_(std::move(state)) {}

Ticket::~Ticket() {
  if (state_ == nullptr) return;
  state_->Cancel();
  if (!state_->HoldsUp()) state_->Wait();
}

Ticket::Ticket(Ticket&&) noexcept = default;

Ticket& Ticket::operator=(Ticket&& other) noexcept {
  // The current ticket ends with `old`.
  const Ticket old = std::move(*this);
  state_ = std::move(other.state_);
  return *this;
}

void Ticket::Cancel() { state_->Cancel(); }
bool Ticket::done() const { return state_->done(); }
RequestTimes Ticket::times() const { return state_->times(); }
const absl::StatusOr<Completion>& Ticket::Wait() const {
  return state_->Wait();
}

}  // namespace gemma
