#include "tools/gemma/answer/batch_answers.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/mapped_file.h"
#include "src/os/system_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/json_line.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

// The remainder of each byte, for the CRC-32 of zip files and gzip.
constexpr std::array<uint32_t, 256> Remainders() {
  std::array<uint32_t, 256> table = {};
  for (uint32_t byte = 0; byte < table.size(); ++byte) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) {
      rest = (rest >> 1) ^ ((rest & 1) != 0 ? 0xEDB88320u : 0);
    }
    table[byte] = rest;
  }
  return table;
}

// Files that earlier versions wrote have the same sums, which zlib computed.
std::string Checksum(std::string_view text) {
  static constexpr std::array<uint32_t, 256> kRemainders = Remainders();
  uint32_t sum = ~uint32_t{0};
  for (const char c : text) {
    sum = (sum >> 8) ^ kRemainders[(sum ^ static_cast<uint8_t>(c)) & 0xFF];
  }
  return absl::StrFormat("%08x", ~sum);
}

// Whether `fd` is a regular file, which a batch can continue.
bool IsFile(int fd) {
  struct stat info = {};
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace

absl::StatusOr<BatchAnswers> BatchAnswers::Open(
    const std::string& path, const std::vector<std::string_view>& lines,
    OrderedJson head, const Check& check, bool restart) {
  if (path == kStdinArgument) {
    return BatchAnswers(-1, path, lines.size(), std::move(head));
  }
  const int fd =
      open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return SystemError(path, errno);
  BatchAnswers answers(fd, path, lines.size(), std::move(head));
  if (!IsFile(fd)) return answers;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return absl::UnavailableError(
        absl::StrCat(path, ": another process writes to it"));
  }
  if (restart && ftruncate(fd, 0) != 0) return SystemError(path, errno);
  GEMMA_RETURN_IF_ERROR(answers.Continue(lines, check));
  return answers;
}

absl::Status BatchAnswers::Continue(const std::vector<std::string_view>& lines,
                                    const Check& check) {
  struct stat info = {};
  if (fstat(fd_, &info) == 0 && info.st_size == 0) return absl::OkStatus();
  GEMMA_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path_));
  const std::string_view text = file.text();
  size_t begin = 0;
  for (size_t number = 1;; ++number) {
    const size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) break;
    GEMMA_RETURN_IF_ERROR(
        Read(text.substr(begin, end - begin), number, lines, check));
    begin = end + 1;
  }
  if (begin == text.size()) return absl::OkStatus();
  // The last line is incomplete: its writer was killed.
  if (ftruncate(fd_, static_cast<off_t>(begin)) == 0) return absl::OkStatus();
  return SystemError(path_, errno);
}

absl::Status BatchAnswers::Read(std::string_view answer, size_t number,
                                const std::vector<std::string_view>& lines,
                                const Check& check) {
  const absl::StatusOr<nlohmann::ordered_json> parsed = ParseJsonLine(answer);
  const auto refuse = [&](std::string_view what) {
    return WithCure(absl::FailedPreconditionError(
                        absl::StrCat(path_, ": line ", number, " is ", what)),
                    "write to another --output, or --force starts over");
  };
  if (!parsed.ok()) return refuse("not an answer of a batch");
  const nlohmann::ordered_json& json = *parsed;
  if (!json.is_object() || !json.contains("line") || !json.contains("input") ||
      !json["line"].is_number_unsigned() || !json["input"].is_string()) {
    return refuse("not an answer of a batch");
  }
  const uint64_t line = json["line"].get<uint64_t>();
  if (line < 1 || line > lines.size()) {
    return refuse(absl::StrCat("the answer to line ", line,
                               ", but the last line of the input is line ",
                               lines.size()));
  }
  if (json["input"].get_ref<const std::string&>() !=
      Checksum(lines[line - 1])) {
    return refuse(absl::StrCat("the answer to a text that differs from line ",
                               line, " of the input"));
  }
  if (has_[line - 1]) {
    return refuse(absl::StrCat("a second answer to line ", line));
  }
  if (const std::string difference = check(json, line - 1);
      !difference.empty()) {
    return refuse(difference);
  }
  has_[line - 1] = true;
  if (json.contains("error")) ++num_errors_;
  return absl::OkStatus();
}

BatchAnswers::~BatchAnswers() {
  if (fd_ >= 0) close(fd_);
}

BatchAnswers::BatchAnswers(BatchAnswers&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      head_(std::move(other.head_)),
      has_(std::move(other.has_)),
      num_errors_(other.num_errors_) {}

absl::Status BatchAnswers::Write(size_t line, std::string_view input,
                                 std::string_view id,
                                 const OrderedJson& fields) {
  OrderedJson json = head_;
  json.update({{"line", line + 1}, {"input", Checksum(input)}});
  if (!id.empty()) json["id"] = OrderedJson::parse(id);
  json.update(fields);
  const std::string text = ToLine(json);
  if (fd_ < 0) return WriteOutput(text);
  return WriteTo(fd_, text, path_);
}

}  // namespace gemma::tools
