#include "tools/gemma/pull/download.h"

#include <sys/stat.h>

#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/os/system_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/progress.h"

namespace gemma::tools {
namespace {

constexpr long kOk = 200;
constexpr long kPartialContent = 206;
constexpr long kRangeNotSatisfiable = 416;

constexpr std::string_view kAgain =
    "run the same command again; if that does not help, the server's file "
    "differs from the published one";

std::string StrongEtag(const HttpResponse& response) {
  constexpr size_t kMaxBytes = 1024;
  const std::string etag = response.Header("etag");
  const bool is_strong = absl::StartsWith(etag, "\"");
  return is_strong && etag.size() <= kMaxBytes && IsPrintable(etag) ? etag : "";
}

std::optional<uint64_t> ToNumber(std::string_view text) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(text, &number)) return std::nullopt;
  return number;
}

// The header "bytes 5-9/10" gives the first byte, 5, and the whole size, 10,
// which may also be "*".
struct ContentRange {
  std::optional<uint64_t> first;
  std::optional<uint64_t> total;
};

ContentRange ParseContentRange(std::string_view text) {
  if (!absl::ConsumePrefix(&text, "bytes ")) return {};
  const std::pair<std::string_view, std::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits('/', 1));
  return {ToNumber(parts.first.substr(0, parts.first.find('-'))),
          ToNumber(parts.second)};
}

// The size of the whole file in bytes, as the response states it.
std::optional<uint64_t> StatedSize(const HttpResponse& response) {
  return response.status == kPartialContent
             ? ParseContentRange(response.Header("content-range")).total
             : ToNumber(response.Header("content-length"));
}

class FileBody : public HttpBody {
 public:
  FileBody(const WantedFile& file, PartialFile& partial, bool quiet)
      : file_(file),
        partial_(partial),
        progress_(Progress::OfBytes(file.name, quiet)) {}

  absl::Status Begin(const HttpResponse& response) override {
    const std::optional<uint64_t> stated = StatedSize(response);
    if (file_.bytes.has_value() && stated.has_value() &&
        *stated != *file_.bytes) {
      return WithCure(absl::DataLossError(
                          absl::StrCat(file_.name, ": the server has ", *stated,
                                       " bytes, wanted ", *file_.bytes)),
                      kAgain);
    }
    total_ = file_.bytes.has_value() ? file_.bytes : stated;
    if (response.status == kPartialContent) {
      const auto first =
          ParseContentRange(response.Header("content-range")).first;
      if (first != partial_.bytes()) {
        return absl::UnavailableError(
            absl::StrCat(file_.name, ": asked the server for the bytes from ",
                         partial_.bytes(), " on, got ",
                         Quoted(response.Header("content-range"))));
      }
    } else {
      GEMMA_RETURN_IF_ERROR(partial_.Restart(
          {.etag = StrongEtag(response),
           .digest = file_.digest.has_value() ? file_.digest->hex : ""}));
    }
    progress_.StartAt(partial_.bytes());
    return absl::OkStatus();
  }

  absl::Status Append(std::string_view bytes) override {
    if (total_.has_value() && bytes.size() > *total_ - partial_.bytes()) {
      return WithCure(absl::DataLossError(absl::StrCat(
                          file_.name, ": the server sent more than the file's ",
                          *total_, " bytes")),
                      kAgain);
    }
    GEMMA_RETURN_IF_ERROR(partial_.Append(bytes));
    progress_.Update(partial_.bytes(), total_.value_or(0));
    return absl::OkStatus();
  }

 private:
  const WantedFile& file_;
  PartialFile& partial_;
  Progress progress_;
  std::optional<uint64_t> total_;
};

// Whether the bytes so far can be the beginning of `file`.
bool CanGoOn(const WantedFile& file, const PartialFile& partial) {
  if (partial.bytes() == 0) return false;
  if (file.bytes.has_value() && partial.bytes() > *file.bytes) return false;
  if (file.digest.has_value()) {
    return partial.version().digest == file.digest->hex;
  }
  return !partial.version().etag.empty();
}

std::vector<std::string> RangeHeaders(const PartialFile& partial) {
  std::vector<std::string> headers = {
      absl::StrCat("Range: bytes=", partial.bytes(), "-")};
  // Without an ETag, the digest check at the end finds a changed file.
  if (!partial.version().etag.empty()) {
    headers.push_back(absl::StrCat("If-Range: ", partial.version().etag));
  }
  return headers;
}

// Checks, after the server ended a transfer, that the file is complete.
absl::Status CheckLength(const WantedFile& file, const PartialFile& partial) {
  if (!file.bytes.has_value() || partial.bytes() == *file.bytes) {
    return absl::OkStatus();
  }
  return WithCure(absl::UnavailableError(absl::StrCat(
                      file.name, ": the server sent ", partial.bytes(), " of ",
                      *file.bytes, " bytes")),
                  "run the same command again: what has arrived is kept");
}

}  // namespace

absl::StatusOr<Downloaded> Download(HttpClient& http, const WantedFile& file,
                                    PartialFile& partial, bool quiet) {
  if (!CanGoOn(file, partial)) {
    GEMMA_RETURN_IF_ERROR(partial.Restart({}));
  } else if (file.digest.has_value() && partial.bytes() == file.bytes) {
    return Downloaded{.etag = partial.version().etag, .status = kOk};
  }
  std::vector<std::string> headers;
  if (partial.bytes() > 0) headers = RangeHeaders(partial);
  if (!file.known_etag.empty()) {
    headers.push_back(absl::StrCat("If-None-Match: ", file.known_etag));
  }
  FileBody body(file, partial, quiet);
  GEMMA_ASSIGN_OR_RETURN(HttpResponse response,
                         http.Get(file.url, headers, body));
  if (response.status == kRangeNotSatisfiable && partial.bytes() > 0) {
    const ContentRange range =
        ParseContentRange(response.Header("content-range"));
    // The partial file was complete already.
    if (range.total == partial.bytes()) {
      return Downloaded{.etag = partial.version().etag, .status = kOk};
    }
    GEMMA_RETURN_IF_ERROR(partial.Restart({}));
    GEMMA_ASSIGN_OR_RETURN(response, http.Get(file.url, {}, body));
  }
  Downloaded downloaded = {.etag = partial.version().etag,
                           .status = response.status};
  if (downloaded.is_complete()) {
    GEMMA_RETURN_IF_ERROR(CheckLength(file, partial));
  }
  return downloaded;
}

absl::Status CheckContents(const std::string& path, const WantedFile& file,
                           bool quiet) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return SystemError(path, errno);
  const auto bytes = static_cast<uint64_t>(info.st_size);
  if (file.bytes.has_value() && bytes != *file.bytes) {
    return WithCure(absl::DataLossError(absl::StrCat(
                        file.name, ": ", bytes,
                        " bytes were downloaded, wanted ", *file.bytes)),
                    kAgain);
  }
  if (!file.digest.has_value()) return absl::OkStatus();
  Progress progress =
      Progress::OfBytes(absl::StrCat("checking ", file.name), quiet);
  GEMMA_ASSIGN_OR_RETURN(
      const Digest found,
      DigestOfFile(path, file.digest->kind, [&](uint64_t done, uint64_t total) {
        progress.Update(done, total);
      }));
  if (found == *file.digest) return absl::OkStatus();
  return WithCure(absl::DataLossError(
                      absl::StrCat(file.name, ": ", Name(found.kind), " is ",
                                   found.hex, ", wanted ", file.digest->hex)),
                  kAgain);
}

}  // namespace gemma::tools
