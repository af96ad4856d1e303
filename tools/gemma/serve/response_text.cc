#include "tools/gemma/serve/response_text.h"

#include <algorithm>
#include <boost/beast/http/status.hpp>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace gemma::tools {
namespace {

void AppendHeader(std::string_view name, std::string_view value,
                  std::string* text) {
  const bool is_line = std::all_of(value.begin(), value.end(), [](char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != 0x7f);
  });
  if (is_line) absl::StrAppend(text, name, ": ", value, "\r\n");
}

bool Has(const HttpHeaders& headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(),
                     [&](const auto& header) { return header.first == name; });
}

std::string_view ReasonOf(int status) {
  const auto reason = boost::beast::http::obsolete_reason(
      static_cast<boost::beast::http::status>(status));
  return {reason.data(), reason.size()};
}

}  // namespace

std::string HeadText(const HttpHead& head, const HttpHeaders& more,
                     const BodyEnd& end) {
  std::string text = absl::StrCat("HTTP/1.1 ", head.status, " ",
                                  ReasonOf(head.status), "\r\n");
  AppendHeader("date",
               absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::Now(),
                                absl::UTCTimeZone()),
               &text);
  for (const auto& [name, value] : head.headers) {
    AppendHeader(name, value, &text);
  }
  for (const auto& [name, value] : more) AppendHeader(name, value, &text);
  if (!Has(head.headers, "x-content-type-options")) {
    AppendHeader("x-content-type-options", "nosniff", &text);
  }
  if (!Has(head.headers, "cache-control")) {
    AppendHeader("cache-control", "no-store", &text);
  }
  if (end.size.has_value()) {
    AppendHeader("content-length", absl::StrCat(*end.size), &text);
  } else if (end.in_chunks) {
    AppendHeader("transfer-encoding", "chunked", &text);
  }
  AppendHeader("connection", end.closes ? "close" : "keep-alive", &text);
  return absl::StrCat(text, "\r\n");
}

std::string ChunkText(std::string_view bytes) {
  if (bytes.empty()) return "";  // an empty chunk would end the body
  return absl::StrFormat("%x\r\n%s\r\n", bytes.size(), bytes);
}

HttpHead ProblemHead(const HttpProblem& problem) {
  HttpHead head = {problem.status, {{"content-type", "application/json"}}};
  if (problem.status == 401) {
    head.headers.emplace_back("www-authenticate", "Bearer");
  }
  if (problem.retry_seconds > 0) {
    head.headers.emplace_back("retry-after",
                              absl::StrCat(problem.retry_seconds));
  }
  return head;
}

std::string ProblemBody(const HttpProblem& problem) {
  nlohmann::ordered_json error;
  error["message"] = problem.message;
  error["type"] =
      problem.status < 500 ? "invalid_request_error" : "server_error";
  error["param"] = nullptr;
  error["code"] = problem.code.empty() ? nlohmann::ordered_json(nullptr)
                                       : nlohmann::ordered_json(problem.code);
  return nlohmann::ordered_json({{"error", error}})
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace gemma::tools
