#include "src/serve/answer/gather.h"

#include <algorithm>
#include <utility>

#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
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
        requests_per_place_(std::max<size_t>(1, size / place_.choices())),
        tickets_(size),
        ended_(size),
        answers_(size) {}

  absl::Status Start(std::vector<Request> requests, std::string_view param) {
    absl::Status status =
        NoThrow([&] { return AtParam(Submit(std::move(requests)), param); });
    if (!status.ok()) {
      // The error comes first: requests that run already end soon as
      // cancelled, and would give a reason of their own.
      out_->Fail(status);
      out_->Cancel();
    }
    return status;
  }

 private:
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
        return absl::IsOutOfRange(ticket.status())
                   ? WithCode(ticket.status(), 400, "context_length_exceeded")
                   : ticket.status();
      }
      const std::lock_guard lock(mutex_);
      if (!ended_[i]) tickets_[i].emplace(*std::move(ticket));
    }
    return absl::OkStatus();
  }

  void OnDone(size_t index, const absl::StatusOr<Completion>& answer) {
    // Whatever fails below, this request has ended.
    ++num_ended_;
    std::optional<Ticket> ticket;
    {
      const std::lock_guard lock(mutex_);
      ended_[index] = true;
      ticket = std::exchange(tickets_[index], std::nullopt);
    }
    const bool is_last = num_ended_ == answers_.size();
    // The place of the last one is left when the response is there.
    if (num_ended_ % requests_per_place_ == 0 && !is_last) place_.LeaveOne();
    const absl::Status status = NoThrow([&] { return Take(index, answer); });
    // After the last answer, all belongs to Respond.
    if (status.ok()) return;
    if (is_last) place_ = {};
    Fail(status);  // the other requests are cancelled
  }

  void Fail(const absl::Status& error) {
    if (!std::exchange(failed_, true)) out_->Fail(error);
  }

  // Keeps an answer. After the last one, the response can be made.
  absl::Status Take(size_t index, const absl::StatusOr<Completion>& answer) {
    GEMMA_RETURN_IF_ERROR(answer.status());
    const GenerateStats& stats = answer->stats;
    served_->metrics.Record(*answer);
    if (stats.stop_reason == StopReason::kDeadline) {
      return ApiError(504, "deadline",
                      "the request took longer than its limit");
    }
    if (stats.stop_reason == StopReason::kCancelled) {
      // Else the reader has gone, and gets nothing.
      return ApiError(503, "stopped", "the server stops");
    }
    served_->admission.Took((stats.prefill_seconds + stats.decode_seconds) *
                            static_cast<double>(requests_per_place_));
    answers_[index] = *answer;
    if (num_ended_ < answers_.size() || failed_) return absl::OkStatus();
    served_->background.Run([self = shared_from_this()] { self->Respond(); });
    return absl::OkStatus();
  }

  // Many vectors are a text of many megabytes, so the engine does not wait for
  // it.
  void Respond() {
    const absl::Status status = NoThrow([&]() -> absl::Status {
      GEMMA_ASSIGN_OR_RETURN(std::string json, make_json_(answers_));
      // Before the reader learns of the response, and sends the next request.
      place_ = {};
      out_->Respond(200, "application/json", std::move(json));
      return absl::OkStatus();
    });
    if (!status.ok()) {
      place_ = {};
      Fail(status);
    }
  }

  const std::shared_ptr<Served> served_;
  const std::shared_ptr<Exchange::State> out_;
  const MakeJson make_json_;
  Admission::Place place_;
  const size_t requests_per_place_;

  std::mutex mutex_;  // guards tickets_ and ended_
  std::vector<std::optional<Ticket>> tickets_;
  std::vector<bool> ended_;
  // Used by the engine's thread, and after the last answer by Respond.
  std::vector<Completion> answers_;
  size_t num_ended_ = 0;
  bool failed_ = false;
};

}  // namespace

absl::Status GatherAnswers(const std::shared_ptr<Served>& served,
                           const Call& call, double timeout,
                           Admission::Place place,
                           std::vector<Request> requests, MakeJson make_json,
                           std::string_view param) {
  const auto deadline = DeadlineOf(call, timeout);
  for (Request& request : requests) {
    request.client = call.request.client;
    request.options.deadline = deadline;
  }
  return std::make_shared<Gather>(served, call.out, std::move(place),
                                  requests.size(), std::move(make_json))
      ->Start(std::move(requests), param);
}

}  // namespace gemma::internal
