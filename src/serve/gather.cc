#include "src/serve/gather.h"

#include <utility>

#include "src/base/no_throw.h"
#include "src/serve/api_error.h"
#include "src/serve/start.h"

namespace gemma::internal {
namespace {

// Lives until all requests have ended.
class Gather : public std::enable_shared_from_this<Gather> {
 public:
  Gather(std::shared_ptr<Served> served, std::shared_ptr<Exchange::State> out,
         Admission::Place place, size_t size, MakeJson make_json)
      : served_(std::move(served)),
        out_(std::move(out)),
        make_json_(std::move(make_json)),
        place_(std::move(place)),
        tickets_(size),
        ended_(size),
        answers_(size) {}

  absl::Status Submit(std::vector<Request> requests) {
    const auto self = shared_from_this();
    for (size_t i = 0; i < requests.size(); ++i) {
      Request& request = requests[i];
      request.options.cancelled = [self] {
        return self->failed_ || self->out_->cancelled();
      };
      request.on_done = [self, i](const absl::StatusOr<Completion>& answer) {
        self->OnDone(i, answer);
      };
      absl::StatusOr<Ticket> ticket =
          served_->engine->Submit(std::move(request));
      if (!ticket.ok()) {
        // Those that run already end soon.
        out_->Cancel();
        return absl::IsOutOfRange(ticket.status())
                   ? WithCode(ticket.status(), 400, "context_length_exceeded")
                   : ticket.status();
      }
      const std::lock_guard lock(mutex_);
      if (!ended_[i]) tickets_[i].emplace(*std::move(ticket));
    }
    return absl::OkStatus();
  }

 private:
  void OnDone(size_t index, const absl::StatusOr<Completion>& answer) {
    std::optional<Ticket> ticket;
    {
      const std::lock_guard lock(mutex_);
      ended_[index] = true;
      ticket = std::exchange(tickets_[index], std::nullopt);
    }
    place_.LeaveOne();
    ++num_ended_;
    if (!answer.ok()) return Fail(answer.status());
    const GenerateStats& stats = answer->stats;
    served_->metrics.Record(*answer);
    if (stats.stop_reason == StopReason::kDeadline) {
      return Fail(
          ApiError(504, "deadline", "the request took longer than its limit"));
    }
    if (stats.stop_reason == StopReason::kCancelled) {
      // Else the reader has gone, and gets nothing.
      return Fail(ApiError(503, "stopped", "the server stops"));
    }
    served_->admission.Took(stats.prefill_seconds + stats.decode_seconds);
    answers_[index] = *answer;
    if (num_ended_ < answers_.size() || failed_) return;
    absl::StatusOr<std::string> json =
        NoThrow([&] { return make_json_(answers_); });
    if (!json.ok()) return Fail(json.status());
    out_->Respond(200, "application/json", *std::move(json));
  }

  // Ends the response with an error, and cancels the other requests.
  void Fail(const absl::Status& error) {
    if (!std::exchange(failed_, true)) out_->Fail(error);
  }

  const std::shared_ptr<Served> served_;
  const std::shared_ptr<Exchange::State> out_;
  const MakeJson make_json_;
  Admission::Place place_;

  std::mutex mutex_;  // guards tickets_ and ended_
  std::vector<std::optional<Ticket>> tickets_;
  std::vector<bool> ended_;
  // Used by the engine's thread.
  std::vector<Completion> answers_;
  size_t num_ended_ = 0;
  bool failed_ = false;
};

}  // namespace

absl::Status GatherAnswers(const std::shared_ptr<Served>& served,
                           const Call& call, double timeout,
                           Admission::Place place,
                           std::vector<Request> requests, MakeJson make_json) {
  const auto deadline = DeadlineOf(call, timeout);
  for (Request& request : requests) {
    request.client = call.request.client;
    request.options.deadline = deadline;
  }
  return std::make_shared<Gather>(served, call.out, std::move(place),
                                  requests.size(), std::move(make_json))
      ->Submit(std::move(requests));
}

}  // namespace gemma::internal
