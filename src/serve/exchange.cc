#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/no_throw.h"
#include "src/serve/api_error.h"
#include "src/serve/exchange_state.h"

namespace gemma {
namespace {

constexpr std::string_view kJsonType = "application/json";
constexpr std::string_view kStreamType = "text/event-stream";

std::string EventOf(std::string_view data) {
  return absl::StrCat("data: ", data, "\n\n");
}

}  // namespace

void Exchange::State::AddHeader(std::string_view name, std::string_view value) {
  const std::lock_guard lock(mutex_);
  headers_.emplace_back(name, value);
}

void Exchange::State::Respond(int status, std::string_view content_type,
                              std::string body) {
  const std::lock_guard lock(mutex_);
  if (began_) return;
  // Before anything is set: this may throw.
  headers_.emplace_back("content-type", content_type);
  began_ = true;
  output_.has_head = true;
  output_.head = {status, std::move(headers_), false};
  output_.body = std::move(body);
  End();
}

void Exchange::State::Fail(const absl::Status& error) {
  const absl::Status status = NoThrow([&] {
    TellError(error);
    return absl::OkStatus();
  });
  if (status.ok()) return;
  // Memory ran out, so the response ends without a body.
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  if (!std::exchange(began_, true)) {
    output_.has_head = true;
    output_.head = {503, std::move(headers_), false};
  }
  End();
}

void Exchange::State::TellError(const absl::Status& error) {
  {
    const std::lock_guard lock(mutex_);
    if (is_held_) {
      output_ = Output();
      is_stream_ = is_held_ = began_ = ended_ = false;
    }
    if (is_stream_) {
      Write(EventOf(ErrorJson(error)));
      if (!ended_) End();
      return;
    }
  }
  Respond(HttpStatusOf(error), kJsonType, ErrorJson(error));
}

void Exchange::State::BeginStream() {
  const std::lock_guard lock(mutex_);
  if (began_) return;
  // Before anything is set: this may throw.
  HttpHead head = {200, headers_, true};
  head.headers.emplace_back("content-type", kStreamType);
  head.headers.emplace_back("cache-control", "no-cache");
  output_.head = std::move(head);
  output_.has_head = true;
  began_ = is_stream_ = is_held_ = true;
}

void Exchange::State::Release() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(is_held_, false) && on_ready_) on_ready_();
}

void Exchange::State::Event(std::string_view data) {
  const std::lock_guard lock(mutex_);
  if (is_stream_) Write(EventOf(data));
}

void Exchange::State::EndStream() {
  const std::lock_guard lock(mutex_);
  if (!is_stream_ || ended_) return;
  output_.body += EventOf("[DONE]");
  End();
}

void Exchange::State::Write(std::string_view bytes) {
  if (ended_) return;
  if (output_.body.size() + bytes.size() <= max_stream_bytes_) {
    const bool was_empty = output_.body.empty();
    output_.body += bytes;
    // Otherwise the reader knows already.
    if (was_empty) Wake();
    return;
  }
  cancelled_.store(true, std::memory_order_relaxed);
  output_.body += EventOf(ErrorJson(ApiError(
      503, "slow_reader",
      absl::StrCat("more than ", max_stream_bytes_,
                   " bytes of the answer wait for their reader, so the server "
                   "ended it"))));
  End();
}

void Exchange::State::End() {
  ended_ = true;
  output_.ended = true;
  Wake();
}

void Exchange::State::Wake() {
  if (!is_held_ && on_ready_) on_ready_();
}

Exchange::Output Exchange::State::Take() {
  const std::lock_guard lock(mutex_);
  return is_held_ ? Output() : std::exchange(output_, Output());
}

void Exchange::State::Cancel() {
  cancelled_.store(true, std::memory_order_relaxed);
}

void Exchange::State::Ping() {
  const std::lock_guard lock(mutex_);
  // If bytes wait, the connection is in use.
  if (is_stream_ && output_.body.empty()) Write(": ping\n\n");
}

void Exchange::State::Detach() {
  Cancel();
  const std::lock_guard lock(mutex_);
  on_ready_ = nullptr;
}

Exchange::Exchange(std::shared_ptr<State> state) : state_(std::move(state)) {}
Exchange::~Exchange() {
  if (state_ != nullptr) state_->Detach();
}
Exchange::Exchange(Exchange&&) noexcept = default;
Exchange& Exchange::operator=(Exchange&& other) noexcept {
  // The current exchange ends with `old`.
  const Exchange old = std::move(*this);
  state_ = std::move(other.state_);
  return *this;
}

Exchange::Output Exchange::Take() { return state_->Take(); }
void Exchange::Cancel() { state_->Cancel(); }
void Exchange::Ping() { state_->Ping(); }

}  // namespace gemma
