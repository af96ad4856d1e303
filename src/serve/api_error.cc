#include "src/serve/api_error.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "src/base/messages.h"
#include "src/serve/answer/json_writer.h"

namespace gemma::internal {
namespace {

constexpr std::string_view kHttpStatus = "libgemma/serve/http_status";
constexpr std::string_view kParam = "libgemma/serve/param";
constexpr std::string_view kCode = "libgemma/serve/code";

void Set(absl::Status& status, std::string_view url, std::string_view value) {
  status.SetPayload(url, absl::Cord(value));
}

std::optional<std::string> Get(const absl::Status& status,
                               std::string_view url) {
  const std::optional<absl::Cord> value = status.GetPayload(url);
  if (!value.has_value()) return std::nullopt;
  return std::string(*value);
}

absl::StatusCode CodeFor(int http_status) {
  switch (http_status) {
    case 404:
      return absl::StatusCode::kNotFound;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    case 503:
      return absl::StatusCode::kUnavailable;
    default:
      return http_status >= 500 ? absl::StatusCode::kInternal
                                : absl::StatusCode::kInvalidArgument;
  }
}

std::string_view TypeFor(int http_status) {
  if (http_status == 429) return "rate_limit_error";
  return http_status >= 500 ? "server_error" : "invalid_request_error";
}

}  // namespace

absl::Status ApiError(int http_status, std::string_view code,
                      std::string_view message) {
  return WithCode(absl::Status(CodeFor(http_status), message), http_status,
                  code);
}

absl::Status WithCode(absl::Status status, int http_status,
                      std::string_view code) {
  Set(status, kHttpStatus, absl::StrCat(http_status));
  if (!code.empty()) Set(status, kCode, code);
  return status;
}

absl::Status AtParam(absl::Status status, std::string_view param) {
  if (!status.ok() && !Get(status, kParam).has_value()) {
    Set(status, kParam, param);
  }
  return status;
}

absl::Status AtField(absl::Status status, const Json& field) {
  return status.ok() ? status : AtParam(std::move(status), ParamOf(field));
}

absl::Status FieldError(const Json& field, std::string_view what) {
  return AtField(
      absl::InvalidArgumentError(absl::StrCat("'", ParamOf(field), "' ", what)),
      field);
}

std::string ParamOf(const Json& field) {
  std::string param;
  const std::string pointer = field.Pointer();
  if (pointer.empty()) return param;
  for (const std::string_view part :
       absl::StrSplit(std::string_view(pointer).substr(1), '/')) {
    if (!part.empty() && std::ranges::all_of(part, absl::ascii_isdigit)) {
      absl::StrAppend(&param, "[", part, "]");
      continue;
    }
    absl::StrAppend(
        &param, param.empty() ? "" : ".",
        Printable(absl::StrReplaceAll(part, {{"~1", "/"}, {"~0", "~"}})));
  }
  return param;
}

int HttpStatusOf(const absl::Status& error) {
  int number = 0;
  if (const auto stated = Get(error, kHttpStatus);
      stated.has_value() && absl::SimpleAtoi(*stated, &number)) {
    return number;
  }
  switch (error.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kResourceExhausted:  // memory
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

std::string ErrorJson(const absl::Status& error) {
  JsonWriter out;
  out.Object().Key("error").Object();
  out.Member("message", error.message());
  out.Member("type", TypeFor(HttpStatusOf(error)));
  for (const auto& [name, url] :
       {std::pair("param", kParam), std::pair("code", kCode)}) {
    const std::optional<std::string> value = Get(error, url);
    if (value.has_value() && !value->empty()) {
      out.Member(name, *value);
    } else {
      out.NullMember(name);
    }
  }
  return out.Close().Close().Take();
}

}  // namespace gemma::internal
