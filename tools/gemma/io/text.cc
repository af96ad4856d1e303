#include "tools/gemma/io/text.h"

#include <cstddef>
#include <ctime>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "src/base/internal.h"
#include "src/base/utf8.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kTimeFormat = "%Y-%m-%dT%H:%M:%SZ";  // in UTC

// Escapes DEL and U+0080 to U+009F in the strings of JSON.
std::string EscapeControls(std::string_view json) {
  std::string out;
  for (size_t i = 0; i < json.size(); ++i) {
    auto code = static_cast<uint8_t>(json[i]);
    const bool is_pair = code == 0xC2 && i + 1 < json.size();
    const auto next = static_cast<uint8_t>(is_pair ? json[i + 1] : 0);
    if (is_pair && next < 0xA0) {
      code = next;
      ++i;
    } else if (code != 0x7F) {
      out += json[i];
      continue;
    }
    absl::StrAppendFormat(&out, "\\u%04x", code);
  }
  return out;
}

std::string Written(const nlohmann::ordered_json& json, int indent) {
  using Json = nlohmann::ordered_json;
  return EscapeControls(
             json.dump(indent, ' ', false, Json::error_handler_t::replace)) +
         "\n";
}

}  // namespace

absl::Status CheckUtf8(std::string_view text, std::string_view what) {
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = Utf8CharacterLength(text.substr(at));
    if (bytes == 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: byte %d (0x%02X) is not UTF-8", what, at,
                          static_cast<uint8_t>(text[at])));
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
  if (bytes < 1000) return absl::StrFormat("%d B", bytes);
  auto value = static_cast<double>(bytes);
  std::string_view unit;
  for (const std::string_view larger : {"kB", "MB", "GB", "TB"}) {
    value /= 1000;
    unit = larger;
    if (value < 999.5) break;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return absl::StrFormat("%.*f %s", decimals, value, unit);
}

std::string Counted(uint64_t count, std::string_view one) {
  return absl::StrCat(count, " ", one, count == 1 ? "" : "s");
}

std::string Count(uint64_t count) {
  const auto value = static_cast<double>(count);
  if (count >= 1'000'000'000) return absl::StrFormat("%.2f B", value / 1e9);
  if (count >= 1'000'000) return absl::StrFormat("%.2f M", value / 1e6);
  if (count >= 1'000) return absl::StrFormat("%.2f K", value / 1e3);
  return absl::StrFormat("%d", count);
}

std::string TimeNow() {
  return absl::FormatTime(kTimeFormat, absl::Now(), absl::UTCTimeZone());
}

std::string Age(std::string_view time, std::time_t now) {
  struct Unit {
    std::string_view name;
    int64_t seconds;
  };
  constexpr int64_t kDay = 86400;
  // A month is a twelfth of a year.
  constexpr Unit kUnits[] = {{"year", 365 * kDay}, {"month", 365 * kDay / 12},
                             {"week", 7 * kDay},   {"day", kDay},
                             {"hour", 3600},       {"minute", 60}};
  absl::Time then;
  if (!absl::ParseTime(kTimeFormat, time, &then, /*err=*/nullptr)) {
    return std::string(time);
  }
  const int64_t seconds = now - absl::ToTimeT(then);
  for (const Unit& unit : kUnits) {
    const int64_t count = seconds / unit.seconds;
    if (count < 1) continue;
    return absl::StrCat(Counted(static_cast<uint64_t>(count), unit.name),
                        " ago");
  }
  return "just now";
}

std::string ToText(const nlohmann::ordered_json& json) {
  return Written(json, /*indent=*/2);
}

std::string ToLine(const nlohmann::ordered_json& json) {
  return Written(json, /*indent=*/-1);
}

}  // namespace gemma::tools
