// The half of a connection that writes responses.

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/gemma/serve/connection.h"
#include "tools/gemma/serve/response_text.h"

namespace gemma::tools {
namespace {

constexpr size_t kLingerSeconds = 2;

std::string ValueOf(const HttpHeaders& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

}  // namespace

void Connection::Pump() {
  // The exchange keeps what comes while a write is pending.
  if (state_ != State::kAnswers || writes_ || ended_) return;
  if (exchange_.has_value()) TakeOutput();
}

void Connection::TakeOutput() {
  Exchange::Output output = exchange_->Take();
  if (output.has_head) BeginResponse(std::move(output.head));
  if (!output.body.empty()) AppendBody(output.body);
  if (output.ended) EndResponse();
  Flush();
}

void Connection::Reply(const HttpProblem& problem) {
  state_ = State::kAnswers;
  ReleaseBody();
  BeginResponse(ProblemHead(problem));
  AppendBody(ProblemBody(problem));
  EndResponse();
}

void Connection::BeginResponse(HttpHead head) {
  head_ = std::move(head);
  has_head_ = true;
  ended_ = false;
  body_.clear();
  num_body_bytes_ = 0;
  logged_.status = head_.status;
  const std::string id = ValueOf(head_.headers, "x-request-id");
  if (!id.empty()) logged_.id = id;
  if (!head_.is_stream) return;
  // HTTP/1.0 has no chunks: the end of the connection is that of the body.
  if (!is_1_1_) stays_open_ = false;
  Send(HeadText(head_, cors_, {{}, is_1_1_, !stays_open_}));
  SetTimer(limits_.ping_seconds);
}

void Connection::AppendBody(std::string_view bytes) {
  num_body_bytes_ += bytes.size();
  if (!head_.is_stream) {
    body_.append(bytes);
  } else if (!only_head_) {
    Send(is_1_1_ ? ChunkText(bytes) : bytes);
  }
}

void Connection::EndResponse() {
  ended_ = true;
  exchange_.reset();
  if (head_.is_stream) {
    if (is_1_1_ && !only_head_) Send(kLastChunk);
  } else {
    const bool has_size = head_.status != 204 && head_.status != 304;
    BodyEnd end = {{}, false, !stays_open_};
    if (has_size) end.size = body_.size();
    Send(HeadText(head_, cors_, end));
    if (!only_head_) Send(body_);
    body_ = std::string();
  }
  Flush();
}

void Connection::Send(std::string_view bytes) { output_.append(bytes); }

void Connection::Flush() {
  if (writes_ || output_.empty() || state_ == State::kClosed) return;
  writing_.swap(output_);
  output_.clear();
  num_written_ = 0;
  writes_ = true;
  OnWritten(0);
}

void Connection::OnWritten(size_t size) {
  num_written_ += size;
  if (num_written_ < writing_.size()) {
    if (state_ == State::kAnswers) SetTimer(limits_.write_seconds);
    const std::string_view rest =
        std::string_view(writing_).substr(num_written_);
    stream_->Write(
        boost::asio::const_buffer(rest.data(), rest.size()),
        [self = shared_from_this()](const Stream::Error& error, size_t count) {
          if (self->state_ == State::kClosed) return;
          if (error) return self->Close("the client left");
          self->Step([&] { self->OnWritten(count); });
        });
    return;
  }
  writes_ = false;
  writing_.clear();
  if (writing_.capacity() > size_t{64} << 10) writing_ = std::string();
  if (!output_.empty()) return Flush();
  if (state_ != State::kAnswers) return;
  if (ended_) return Finish();
  SetTimer(limits_.ping_seconds);
  Pump();
}

void Connection::Finish() {
  Log("");
  wake_.reset();
  reader_.reset();
  ended_ = false;
  has_head_ = false;
  only_head_ = false;
  head_ = {};
  cors_.clear();
  if (!stays_open_ || shared_.draining) return Linger();
  state_ = State::kReceives;
  SetTimer(limits_.idle_seconds);
  Receive();
}

void Connection::Linger() {
  state_ = State::kLingers;
  input_ = std::string();
  if (at_end_) return Close("");
  // A connection that closes with unread bytes is reset, and the client might
  // lose the response.
  SetTimer(kLingerSeconds);
  stream_->EndWriting(
      [self = shared_from_this()](const Stream::Error&, size_t) {});
}

void Connection::Log(std::string_view why) {
  logged_.bytes = num_body_bytes_;
  logged_.seconds = stopwatch_.seconds();
  logged_.ended = why;
  shared_.log.Request(logged_);
}

}  // namespace gemma::tools
