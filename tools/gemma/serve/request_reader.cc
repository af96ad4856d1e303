#include "tools/gemma/serve/request_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace gemma::tools {
namespace {

namespace http = boost::beast::http;

// Bytes that the parser may leave unread after the head: the line of a chunk,
// or the trailers.
constexpr size_t kMaxUnread = 8192;

std::string Copy(boost::beast::string_view text) {
  return std::string(text.data(), text.size());
}

std::string_view MessageOf(const boost::beast::error_code& error) {
  if (error == http::error::bad_method) {
    return "the request begins with no method";
  }
  if (error == http::error::bad_target) return "the target is wrong";
  if (error == http::error::bad_content_length) {
    return "Content-Length is wrong, or stands beside Transfer-Encoding";
  }
  if (error == http::error::bad_transfer_encoding) {
    return "Transfer-Encoding is wrong, or stands beside Content-Length";
  }
  if (error == http::error::bad_chunk ||
      error == http::error::bad_chunk_extension) {
    return "a chunk of the body is wrong";
  }
  if (error == http::error::bad_field || error == http::error::bad_value) {
    return "a header is wrong";
  }
  return "the request is not HTTP/1.1";
}

}  // namespace

std::string_view ReceivedRequest::Find(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

size_t ReceivedRequest::Count(std::string_view name) const {
  return static_cast<size_t>(
      std::count_if(headers.begin(), headers.end(),
                    [&](const auto& header) { return header.first == name; }));
}

RequestReader::RequestReader(const HttpLimits& limits) : limits_(limits) {
  header_limit(static_cast<uint32_t>(limits.head_bytes));
  // CheckFraming and on_chunk_header_impl hold the limit.
  body_limit(std::numeric_limits<uint64_t>::max());
}

RequestReader::Progress RequestReader::Read(std::string* bytes) {
  std::string_view rest = *bytes;
  const Progress progress = ReadFrom(&rest);
  bytes->erase(0, bytes->size() - rest.size());
  return progress;
}

RequestReader::Progress RequestReader::ReadFrom(std::string_view* bytes) {
  while (true) {
    if (problem_) return Progress::kWrong;
    if (has_head_ && !told_head_) {
      told_head_ = true;
      return Progress::kHead;
    }
    if (is_done()) return Progress::kComplete;
    if (bytes->empty()) return Progress::kNeedsMore;
    ErrorCode error;
    bytes->remove_prefix(
        put(boost::asio::const_buffer(bytes->data(), bytes->size()), error));
    if (problem_) return Progress::kWrong;
    if (error == http::error::need_more) {
      if (!has_head_ || bytes->size() <= kMaxUnread) {
        return Progress::kNeedsMore;
      }
      Refuse(400, "a chunk of the body has a line that is too long", &error);
    } else if (error == http::error::header_limit) {
      Refuse(431,
             absl::StrCat("the request line and the headers have more than ",
                          limits_.head_bytes, " bytes"),
             &error);
    } else if (error == http::error::bad_version) {
      Refuse(505, "the request is not HTTP/1.1 or HTTP/1.0", &error);
    } else if (error) {
      Refuse(400, MessageOf(error), &error);
    }
  }
}

bool RequestReader::has_body() const {
  if (request_.Count("transfer-encoding") > 0) return true;
  const boost::optional<uint64_t> size = content_length();
  return size.has_value() && *size > 0;
}

bool RequestReader::expects_continue() const {
  return request_.is_1_1 && has_body() && request_.Count("expect") > 0;
}

void RequestReader::Refuse(int status, std::string_view message,
                           ErrorCode* error) {
  problem_.status = status;
  problem_.message = std::string(message);
  *error = http::error::bad_value;
}

void RequestReader::on_request_impl(http::verb, View method, View target,
                                    int version, ErrorCode&) {
  request_.method = Copy(method);
  request_.target = Copy(target);
  request_.is_1_1 = version == 11;
}

void RequestReader::on_field_impl(http::field, View name, View value,
                                  ErrorCode& error) {
  if (has_head_) return;  // trailers mean nothing here
  if (request_.headers.size() >= limits_.headers) {
    return Refuse(
        431,
        absl::StrCat("the request has more than ", limits_.headers, " headers"),
        &error);
  }
  request_.headers.emplace_back(absl::AsciiStrToLower(Copy(name)), Copy(value));
}

void RequestReader::on_header_impl(ErrorCode& error) {
  has_head_ = true;
  CheckFraming(&error);
}

void RequestReader::CheckFraming(ErrorCode* error) {
  const size_t num_encodings = request_.Count("transfer-encoding");
  if (num_encodings > 0 &&
      (num_encodings > 1 ||
       !absl::EqualsIgnoreCase(request_.Find("transfer-encoding"),
                               "chunked"))) {
    return Refuse(501, "the only Transfer-Encoding that is known is chunked",
                  error);
  }
  if (num_encodings > 0 && !request_.is_1_1) {
    return Refuse(400, "HTTP/1.0 has no Transfer-Encoding", error);
  }
  if (num_encodings > 0 && request_.Count("content-length") > 0) {
    return Refuse(400, "Content-Length stands beside Transfer-Encoding", error);
  }
  // The parser takes the list "1, 1" for 1, which a proxy may read differently.
  const std::string_view length = request_.Find("content-length");
  if (request_.Count("content-length") > 1 ||
      !std::all_of(length.begin(), length.end(), absl::ascii_isdigit)) {
    return Refuse(400, "Content-Length is not one number", error);
  }
  if (request_.Count("content-encoding") > 0 &&
      !absl::EqualsIgnoreCase(request_.Find("content-encoding"), "identity")) {
    return Refuse(415, "a compressed body is not read", error);
  }
  if (request_.Count("expect") > 0 &&
      !absl::EqualsIgnoreCase(request_.Find("expect"), "100-continue")) {
    return Refuse(417, "the only Expect that is known is 100-continue", error);
  }
  const boost::optional<uint64_t> size = content_length();
  if (size.has_value() && *size > limits_.body_bytes) {
    Refuse(413,
           absl::StrCat("the body has ", *size, " bytes, at most ",
                        limits_.body_bytes, " are read"),
           error);
  }
}

void RequestReader::on_body_init_impl(const boost::optional<uint64_t>&,
                                      ErrorCode&) {}

size_t RequestReader::on_body_impl(View body, ErrorCode&) {
  request_.body.append(body.data(), body.size());
  return body.size();
}

void RequestReader::on_chunk_header_impl(uint64_t size, View,
                                         ErrorCode& error) {
  if (++num_chunks_ > limits_.chunks) {
    return Refuse(
        413, absl::StrCat("the body has more than ", limits_.chunks, " chunks"),
        &error);
  }
  if (size >
      limits_.body_bytes - std::min(limits_.body_bytes, request_.body.size())) {
    Refuse(
        413,
        absl::StrCat("the body has more than ", limits_.body_bytes, " bytes"),
        &error);
  }
}

size_t RequestReader::on_chunk_body_impl(uint64_t, View body, ErrorCode&) {
  request_.body.append(body.data(), body.size());
  return body.size();
}

}  // namespace gemma::tools
