// Formats text for people, and checks text from them.

#ifndef GEMMA_TOOLS_GEMMA_IO_TEXT_H_
#define GEMMA_TOOLS_GEMMA_IO_TEXT_H_

#include <cstdint>
#include <ctime>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace gemma::tools {

// Returns OK, or InvalidArgument that names `what` and the first byte that is
// not UTF-8.
absl::Status CheckUtf8(std::string_view text, std::string_view what);

// Returns the lines of a text without their line ends, "\n" or "\r\n".
std::vector<std::string_view> SplitLines(std::string_view text);

// "253 MB", "1.42 GB", "17 B": three digits, in units of 1000 bytes, as shops,
// hubs and disks count.
std::string Bytes(uint64_t bytes);

// "1 turn", "2 turns".
std::string Counted(uint64_t count, std::string_view one);

// "268.10 M".
std::string Count(uint64_t count);

// The time now, "2026-01-31T12:00:00Z".
std::string TimeNow();

// "3 hours ago": how long before `now` a time of TimeNow's form was, in the
// largest unit that fits. "just now" for less than a minute, and for times to
// come. Returns other texts unchanged.
std::string Age(std::string_view time, std::time_t now);

// Returns JSON with two blanks of indentation and a line end. Replaces bytes
// that are not UTF-8, for example in paths, by U+FFFD. Escapes all control
// characters, also those from U+007F on, which JSON allows.
std::string ToText(const nlohmann::ordered_json& json);

// As ToText, but on one line.
std::string ToLine(const nlohmann::ordered_json& json);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_TEXT_H_
