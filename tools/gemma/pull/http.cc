#include "tools/gemma/pull/http.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gemma/version.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/pull/url.h"

namespace gemma::tools {
namespace {

constexpr int kMaxRedirects = 10;
constexpr long kConnectSeconds = 30;
// A transfer fails if no byte arrives for this time.
constexpr long kStallSeconds = 60;
// Limit for the body of a redirect or an error, which is not used.
constexpr size_t kMaxDroppedBytes = size_t{64} << 10;
constexpr size_t kMaxHeaderBytes = size_t{256} << 10;

constexpr std::string_view kNetworkCure =
    "check the network (and https_proxy, if you need a proxy), then run the "
    "same command again: what has arrived is kept";

// Where systems have the certificates that they trust.
constexpr const char* kCertificateFiles[] = {
    "/etc/ssl/certs/ca-certificates.crt",  // Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",              // openSUSE
    "/etc/ssl/cert.pem",                   // Alpine
};

// Sets the system's certificates, if libcurl was built for a system that has
// them elsewhere, as that of the Python wheel may be.
void FindCertificates(CURL* easy) {
  const char* built_in = curl_version_info(CURLVERSION_NOW)->cainfo;
  if (built_in == nullptr || access(built_in, R_OK) == 0) return;
  for (const char* file : kCertificateFiles) {
    if (access(file, R_OK) != 0) continue;
    curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    return;
  }
}

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

Url ParseUrl(const std::string& text) {
  Url url(curl_url());
  if (url == nullptr || curl_url_set(url.get(), CURLUPART_URL, text.c_str(),
                                     CURLU_DISALLOW_USER) != CURLUE_OK) {
    return nullptr;
  }
  return url;
}

std::string Part(const Url& url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) {
    return "";
  }
  std::string result = absl::AsciiStrToLower(text);
  curl_free(text);
  return result;
}

// Scheme, host and port; "" if `text` is not a URL.
std::string Origin(const std::string& text) {
  const Url url = ParseUrl(text);
  if (url == nullptr) return "";
  return absl::StrCat(Part(url, CURLUPART_SCHEME), "://",
                      Part(url, CURLUPART_HOST), ":",
                      Part(url, CURLUPART_PORT));
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};

}  // namespace

// One request and its response.
struct HttpClient::Transfer {
  std::unique_ptr<CURL, FreeEasy> easy{curl_easy_init()};
  HttpResponse response;
  HttpBody* body = nullptr;
  absl::Status status;  // the error of a callback, or OK
  bool begun = false;
  size_t header_bytes = 0;
  size_t dropped_bytes = 0;
  CURLcode result = CURLE_OK;
  char error[CURL_ERROR_SIZE] = "";

  bool is_success() const { return response.status / 100 == 2; }

  void ReadStatus() {
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &response.status);
  }

  absl::Status Begin() {
    if (begun) return absl::OkStatus();
    begun = true;
    return body->Begin(response);
  }

  // Receive the parts of a response. If they return false, the transfer ends
  // without an error.
  absl::StatusOr<bool> TakeHeader(std::string_view line);
  absl::StatusOr<bool> TakeBody(std::string_view bytes);

  // libcurl's callbacks. A result other than `size` ends the transfer.
  static size_t OnHeader(char* data, size_t, size_t size, void* user) noexcept {
    return Guard(&Transfer::TakeHeader, {data, size}, user);
  }
  static size_t OnBody(char* data, size_t, size_t size, void* user) noexcept {
    return Guard(&Transfer::TakeBody, {data, size}, user);
  }

  // Turns exceptions into errors, because none may pass through libcurl's C.
  static size_t Guard(absl::StatusOr<bool> (Transfer::*take)(std::string_view),
                      std::string_view data, void* user) noexcept {
    auto* transfer = static_cast<Transfer*>(user);
    const absl::StatusOr<bool> goes_on =
        NoThrow([&] { return (transfer->*take)(data); });
    if (!goes_on.ok()) transfer->status = goes_on.status();
    return goes_on.ok() && *goes_on ? data.size() : 0;
  }
};

absl::StatusOr<bool> HttpClient::Transfer::TakeHeader(std::string_view line) {
  header_bytes += line.size();
  if (header_bytes > kMaxHeaderBytes) {
    return absl::DataLossError(absl::StrCat(
        "the server sends more than ", Bytes(kMaxHeaderBytes), " of headers"));
  }
  // Forgets the headers of a response before this one: "100 Continue".
  if (absl::StartsWith(line, "HTTP/")) response.headers.clear();
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    response.headers[absl::AsciiStrToLower(line.substr(0, colon))] =
        std::string(absl::StripAsciiWhitespace(line.substr(colon + 1)));
  }
  return true;
}

absl::StatusOr<bool> HttpClient::Transfer::TakeBody(std::string_view bytes) {
  ReadStatus();
  if (!is_success()) {
    dropped_bytes += bytes.size();
    return dropped_bytes <= kMaxDroppedBytes;
  }
  GEMMA_RETURN_IF_ERROR(Begin());
  GEMMA_RETURN_IF_ERROR(body->Append(bytes));
  return true;
}

absl::Status CheckUrl(const std::string& url) {
  const bool has_odd_character =
      std::any_of(url.begin(), url.end(), [](char c) {
        return !absl::ascii_isgraph(static_cast<unsigned char>(c));
      });
  const Url parsed = has_odd_character ? nullptr : ParseUrl(url);
  const std::string scheme =
      parsed == nullptr ? "" : Part(parsed, CURLUPART_SCHEME);
  if (scheme == "http" || scheme == "https") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(PublicPart(url),
                   ": wanted a URL with http:// or https:// and a host, and "
                   "without a user name"));
}

std::string HttpResponse::Header(const std::string& name) const {
  const auto it = headers.find(name);
  return it == headers.end() ? "" : it->second;
}

HttpClient::HttpClient(HttpToken token)
    : token_(std::move(token)), multi_(curl_multi_init()) {}

HttpClient::~HttpClient() { curl_multi_cleanup(multi_); }

absl::StatusOr<HttpResponse> HttpClient::Get(
    std::string url, const std::vector<std::string>& headers, HttpBody& body) {
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    std::string redirect;
    GEMMA_ASSIGN_OR_RETURN(HttpResponse response,
                           GetOnce(url, headers, body, &redirect));
    if (redirect.empty()) return response;
    GEMMA_RETURN_IF_ERROR(CheckUrl(redirect));
    if (absl::StartsWithIgnoreCase(url, "https:") &&
        !absl::StartsWithIgnoreCase(redirect, "https:")) {
      return absl::PermissionDeniedError(absl::StrCat(
          PublicPart(url), ": redirects from https to ", PublicPart(redirect)));
    }
    url = std::move(redirect);
  }
  return absl::UnavailableError(absl::StrCat(PublicPart(url), ": more than ",
                                             kMaxRedirects, " redirects"));
}

absl::StatusOr<HttpResponse> HttpClient::GetOnce(
    const std::string& url, const std::vector<std::string>& headers,
    HttpBody& body, std::string* redirect) {
  Transfer transfer;
  transfer.body = &body;
  CURL* easy = transfer.easy.get();
  if (easy == nullptr || multi_ == nullptr) {
    return absl::InternalError("libcurl does not start");
  }
  std::unique_ptr<curl_slist, FreeList> lines;
  const auto add_line = [&lines](const std::string& line) {
    lines.reset(curl_slist_append(lines.release(), line.c_str()));
  };
  for (const std::string& header : headers) add_line(header);
  // Decides for each URL. This is why libcurl must not follow redirects itself.
  const std::string origin = Origin(url);
  if (has_token() && !origin.empty() && origin == Origin(token_.url)) {
    add_line(absl::StrCat("Authorization: Bearer ", token_.secret));
  }
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, lines.get());
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "gemma/" GEMMA_VERSION_STRING);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.error);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  FindCertificates(easy);
  // After an interrupt, libcurl does not wait for the resolver.
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);

  GEMMA_RETURN_IF_ERROR(Perform(transfer));
  GEMMA_RETURN_IF_ERROR(transfer.status);
  transfer.ReadStatus();
  const bool was_dropped = transfer.dropped_bytes > kMaxDroppedBytes;
  if (transfer.result != CURLE_OK && !was_dropped) {
    const char* detail = transfer.error[0] != '\0'
                             ? transfer.error
                             : curl_easy_strerror(transfer.result);
    return WithCure(
        absl::UnavailableError(absl::StrCat(PublicPart(url), ": ", detail)),
        kNetworkCure);
  }
  char* target = nullptr;
  curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &target);
  if (target != nullptr) *redirect = target;
  if (transfer.is_success()) GEMMA_RETURN_IF_ERROR(transfer.Begin());
  return std::move(transfer.response);
}

absl::Status HttpClient::Perform(Transfer& transfer) {
  curl_multi_add_handle(multi_, transfer.easy.get());
  int running = 1;
  CURLMcode code = CURLM_OK;
  while (code == CURLM_OK && running != 0 && !Interrupted()) {
    code = curl_multi_perform(multi_, &running);
    if (code != CURLM_OK || running == 0) break;
    curl_waitfd interrupt = {InterruptFd(), CURL_WAIT_POLLIN, 0};
    code = curl_multi_poll(multi_, &interrupt, InterruptFd() >= 0 ? 1 : 0,
                           /*timeout_ms=*/1000, nullptr);
  }
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg == CURLMSG_DONE) transfer.result = message->data.result;
  }
  curl_multi_remove_handle(multi_, transfer.easy.get());
  if (Interrupted()) return InterruptedError();
  if (code == CURLM_OK) return absl::OkStatus();
  return absl::InternalError(curl_multi_strerror(code));
}

std::string HttpVersion() {
  return curl_version_info(CURLVERSION_NOW)->version;
}

}  // namespace gemma::tools
