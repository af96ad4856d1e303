#include "src/serve/admission.h"

#include <algorithm>
#include <cmath>

#include "src/base/format_text.h"
#include "src/serve/api_error.h"

namespace gemma::internal {
namespace {

// How much the last choice counts in the mean time of a choice.
constexpr double kNewest = 0.2;

// The most seconds that a client is told to wait.
constexpr double kMostSeconds = 600;

}  // namespace

absl::StatusOr<Admission::Place> Admission::Enter(const std::string& client,
                                                  size_t choices, size_t bytes,
                                                  size_t* retry_after) {
  const std::lock_guard lock(mutex_);
  const auto refuse = [&](std::string_view message) {
    *retry_after = SecondsUntilRoom();
    return ApiError(429, "queue_full", message);
  };
  const size_t most = max_running_ + std::min(max_waiting_, max_per_client_);
  if (choices > most) {
    // No later time has room for it.
    return absl::InvalidArgumentError(
        FormatText("the request asks for %u answers, and the server takes %u "
                   "of a client at a time",
                   choices, most));
  }
  if (choices_ + choices > max_running_ + max_waiting_) {
    return refuse(FormatText(
        "%u answers run or wait, and the server takes %u, so there is no room "
        "for %u more: try again later",
        choices_, max_running_ + max_waiting_, choices));
  }
  if (bytes_ + bytes > max_bytes_ && bytes_ > 0) {
    return refuse(FormatText(
        "requests of %u bytes run or wait, and the server takes %u, so there "
        "is no room for %u more: try again later",
        bytes_, max_bytes_, bytes));
  }
  size_t& of_client = of_clients_[client];
  const size_t most_of_client = max_running_ + max_per_client_;
  if (of_client + choices > most_of_client) {
    absl::Status full = refuse(FormatText(
        "%u answers of this client run or wait, and the server takes %u, so "
        "there is no room for %u more: try again later",
        of_client, most_of_client, choices));
    if (of_client == 0) of_clients_.erase(client);
    return full;
  }
  of_client += choices;
  choices_ += choices;
  bytes_ += bytes;
  return Place(this, client, choices, bytes);
}

Admission::Place& Admission::Place::operator=(Place&& other) noexcept {
  if (this == &other) return *this;
  LeaveAll();
  admission_ = std::exchange(other.admission_, nullptr);
  client_ = std::move(other.client_);
  choices_ = std::exchange(other.choices_, 0);
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

void Admission::Place::LeaveOne() {
  admission_->Leave(client_, 1, 0);
  --choices_;
}

void Admission::Place::LeaveAll() {
  if (admission_ != nullptr) admission_->Leave(client_, choices_, bytes_);
  admission_ = nullptr;
}

void Admission::Leave(const std::string& client, size_t choices,
                      size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  choices_ -= choices;
  bytes_ -= bytes;
  const auto found = of_clients_.find(client);
  if (found == of_clients_.end() || choices == 0) return;
  found->second -= choices;
  if (found->second == 0) of_clients_.erase(found);
}

void Admission::Took(double seconds) {
  const std::lock_guard lock(mutex_);
  mean_seconds_ = mean_seconds_ == 0
                      ? seconds
                      : mean_seconds_ + kNewest * (seconds - mean_seconds_);
}

size_t Admission::SecondsUntilRoom() const {
  // By then, the choices that wait now have begun.
  const size_t waiting = choices_ > max_running_ ? choices_ - max_running_ : 0;
  const double seconds = mean_seconds_ * static_cast<double>(waiting + 1) /
                         static_cast<double>(max_running_);
  return static_cast<size_t>(std::clamp(std::ceil(seconds), 1.0, kMostSeconds));
}

}  // namespace gemma::internal
