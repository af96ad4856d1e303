#include "src/text/turns/markers.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace gemma::internal {
namespace {

// Bytes of the longest marker.
constexpr size_t kLongest = 64;

bool IsBetweenBars(std::string_view name) {
  return name.size() > 2 && absl::StartsWith(name, "|") &&
         absl::EndsWith(name, "|") && name != "||";
}

// Whether the name between angle brackets is that of a control token.
bool IsInAngles(std::string_view name) {
  if (IsBetweenBars(name)) return true;
  absl::ConsumePrefix(&name, "/");
  if (name == "s" || name == "bos" || name == "eos") return true;
  return absl::StrContains(name, '_') &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '-';
         });
}

bool IsInSquares(std::string_view name) {
  absl::ConsumePrefix(&name, "/");
  return name.size() > 1 && std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isupper(c) || c == '_';
         });
}

// Returns the marker that the text begins with, or an empty text.
std::string_view MarkerAt(std::string_view text) {
  const bool in_angles = text[0] == '<';
  if (!in_angles && text[0] != '[') return "";
  const std::string_view near = text.substr(0, kLongest);
  const size_t end = near.find(in_angles ? '>' : ']');
  if (end == std::string_view::npos) return "";
  const std::string_view name = near.substr(1, end - 1);
  if (name.find_first_of(" \n\t<[") != std::string_view::npos) return "";
  const bool is_marker = in_angles ? IsInAngles(name) : IsInSquares(name);
  return is_marker ? near.substr(0, end + 1) : "";
}

}  // namespace

std::vector<std::string_view> MarkersIn(std::string_view text) {
  std::vector<std::string_view> markers;
  while (!text.empty()) {
    const std::string_view marker = MarkerAt(text);
    if (!marker.empty()) markers.push_back(marker);
    text.remove_prefix(std::max<size_t>(marker.size(), 1));
  }
  return markers;
}

}  // namespace gemma::internal
