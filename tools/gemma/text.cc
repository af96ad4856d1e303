#include "tools/gemma/text.h"

#include <cstddef>
#include <ctime>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace gemma::tools {
namespace {

bool IsContinuation(std::string_view text, size_t at, uint8_t least = 0x80,
                    uint8_t most = 0xBF) {
  if (at >= text.size()) return false;
  const auto byte = static_cast<uint8_t>(text[at]);
  return byte >= least && byte <= most;
}

// Bytes of the character at the start of `text`, or 0 if it is not UTF-8
// (Unicode 15, table 3-7).
size_t CharacterBytes(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return IsContinuation(text, 1) ? 2 : 0;
  if (first < 0xF0) {
    const uint8_t least = first == 0xE0 ? 0xA0 : 0x80;
    const uint8_t most = first == 0xED ? 0x9F : 0xBF;
    const bool valid =
        IsContinuation(text, 1, least, most) && IsContinuation(text, 2);
    return valid ? 3 : 0;
  }
  if (first > 0xF4) return 0;
  const uint8_t least = first == 0xF0 ? 0x90 : 0x80;
  const uint8_t most = first == 0xF4 ? 0x8F : 0xBF;
  const bool valid = IsContinuation(text, 1, least, most) &&
                     IsContinuation(text, 2) && IsContinuation(text, 3);
  return valid ? 4 : 0;
}

}  // namespace

absl::Status CheckUtf8(std::string_view text, std::string_view what) {
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = CharacterBytes(text.substr(at));
    if (bytes == 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: byte %d (0x%02X) is not UTF-8; the text must be",
                          what, at, static_cast<uint8_t>(text[at])));
    }
    at += bytes;
  }
  return absl::OkStatus();
}

std::vector<std::string_view> SplitLines(std::string_view text) {
  std::vector<std::string_view> lines = absl::StrSplit(text, '\n');
  if (lines.back().empty()) lines.pop_back();
  for (std::string_view& line : lines) {
    if (line.ends_with('\r')) line.remove_suffix(1);
  }
  return lines;
}

std::string Bytes(uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= uint64_t{1} << 30) {
    return absl::StrFormat("%.2f GiB", value / (1 << 30));
  }
  if (bytes >= uint64_t{1} << 20) {
    return absl::StrFormat("%.2f MiB", value / (1 << 20));
  }
  if (bytes >= 1024) return absl::StrFormat("%.2f KiB", value / 1024);
  return absl::StrFormat("%d B", bytes);
}

std::string Count(uint64_t count) {
  const auto value = static_cast<double>(count);
  if (count >= 1'000'000'000) return absl::StrFormat("%.2f B", value / 1e9);
  if (count >= 1'000'000) return absl::StrFormat("%.2f M", value / 1e6);
  if (count >= 1'000) return absl::StrFormat("%.2f K", value / 1e3);
  return absl::StrFormat("%d", count);
}

std::string TimeNow() {
  const std::time_t now = std::time(nullptr);
  std::tm utc = {};
  gmtime_r(&now, &utc);
  char text[32] = {};
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

std::string ToText(const nlohmann::ordered_json& json) {
  using Json = nlohmann::ordered_json;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace gemma::tools
