#include "tools/gemma/chat/chat_completion.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tools/gemma/chat/chat_command.h"
#include "tools/gemma/chat/chat_settings.h"
#include "tools/gemma/io/system_text.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/pull/resolve.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

bool IsContinuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// Completes `typed` with the text that all choices that begin with it have in
// common, in whole characters. Completes a single choice fully and adds `end`.
Completion CompleteWord(std::string_view typed,
                        std::vector<std::string> choices,
                        std::string_view end) {
  std::erase_if(choices, [typed](const std::string& choice) {
    return !absl::StartsWith(choice, typed);
  });
  if (choices.empty()) return {};
  std::sort(choices.begin(), choices.end());
  if (choices.size() == 1) {
    return {absl::StrCat(choices[0].substr(typed.size()), end), {}};
  }
  // In a sorted list, text common to the first and the last is common to all.
  const std::string& first = choices.front();
  const std::string& last = choices.back();
  size_t common = typed.size();
  while (common < first.size() && common < last.size() &&
         first[common] == last[common]) {
    ++common;
  }
  while (common < first.size() && common > typed.size() &&
         IsContinuation(first[common])) {
    --common;
  }
  std::string insert = first.substr(typed.size(), common - typed.size());
  return {std::move(insert), std::move(choices)};
}

// The names in a folder: those that begin with a dot if `hidden`, else the
// others. Names of folders end with a slash.
std::vector<std::string> Entries(const fs::path& folder, bool hidden) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  while (!error && entries != fs::directory_iterator()) {
    std::string name = entries->path().filename().string();
    std::error_code unknown;
    if (absl::StartsWith(name, ".") == hidden && CheckUtf8(name, "").ok()) {
      if (entries->is_directory(unknown)) name += '/';
      names.push_back(std::move(name));
    }
    entries.increment(error);
  }
  return names;
}

Completion CompleteFile(std::string_view typed) {
  const size_t slash = typed.rfind('/');
  const size_t begin = slash == std::string_view::npos ? 0 : slash + 1;
  const std::string folder = ExpandHome(typed.substr(0, begin));
  const std::string_view name = typed.substr(begin);
  return CompleteWord(name,
                      Entries(folder.empty() ? "." : folder,
                              /*hidden=*/absl::StartsWith(name, ".")),
                      "");
}

}  // namespace

Completion Complete(std::string_view line) {
  if (!absl::StartsWith(line, "/") || absl::StartsWith(line, "//")) return {};
  const size_t blank = line.find(' ');
  if (blank == std::string_view::npos) {
    return CompleteWord(line, ChatCommandNames(), " ");
  }
  const std::string_view command = line.substr(0, blank);
  const size_t begin = line.find_first_not_of(' ', blank);
  const std::string_view typed =
      begin == std::string_view::npos ? "" : line.substr(begin);
  if (command == "/set") return CompleteWord(typed, AllSettingNames(), " ");
  if (command == "/think") return CompleteWord(typed, {"off", "on"}, "");
  if (command == "/model") return CompleteWord(typed, ModelNames(), "");
  if (command == "/read" || command == "/save" || command == "/load") {
    return CompleteFile(typed);
  }
  return {};
}

std::string ExpandHome(std::string_view path) {
  const std::string home = EnvironmentValue("HOME");
  const bool is_home = path == "~" || absl::StartsWith(path, "~/");
  if (!is_home || home.empty()) return std::string(path);
  return absl::StrCat(home, path.substr(1));
}

}  // namespace gemma::tools
