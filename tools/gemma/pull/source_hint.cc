#include "tools/gemma/pull/source_hint.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tools/gemma/pull/catalogue.h"
#include "tools/gemma/pull/model_source.h"
#include "tools/gemma/pull/model_store.h"

namespace gemma::tools {
namespace {

// Models that run, but have no name in the catalogue, as Ollama names them.
struct Family {
  std::string_view names;  // separated by blanks
  std::string_view repository;
};

constexpr Family kFamilies[] = {
    {"shieldgemma shieldgemma:2b", "google/shieldgemma-2b"},
    {"shieldgemma:9b", "google/shieldgemma-9b"},
    {"shieldgemma:27b", "google/shieldgemma-27b"},
    {"codegemma codegemma:7b codegemma:instruct", "google/codegemma-7b-it"},
    {"codegemma:2b codegemma:code", "google/codegemma-2b"},
    {"vaultgemma vaultgemma:1b", "google/vaultgemma-1b"},
    {"gemma:2b", "google/gemma-2b-it"},
    {"gemma:7b", "google/gemma-7b-it"},
};

// Advice for a name of Ollama's, such as "shieldgemma:2b".
std::string HintOnName(std::string_view name) {
  std::string lower = absl::AsciiStrToLower(name);
  if (absl::EndsWith(lower, ":latest")) lower.resize(lower.rfind(':'));
  lower = absl::StrReplaceAll(lower, {{"-", ":"}});
  for (const Family& family : kFamilies) {
    const std::vector<std::string_view> names =
        absl::StrSplit(family.names, ' ');
    if (std::find(names.begin(), names.end(), lower) != names.end()) {
      return absl::StrCat("gemma pull ", family.repository, " fetches one");
    }
  }
  return "";
}

// Whether the text is the path of a file that exists, or looks like no other.
bool IsPath(std::string_view text) {
  for (const std::string_view start : {"/", "./", "../", "~/"}) {
    if (absl::StartsWith(text, start)) return true;
  }
  return access(std::string(text).c_str(), F_OK) == 0;
}

// Advice for the part of an address behind "ollama.com/".
std::string HintOnOllama(std::string_view path) {
  absl::ConsumePrefix(&path, "library/");
  absl::ConsumeSuffix(&path, "/");
  constexpr std::string_view kOnlyHub = "gemma pulls from Hugging Face: ";
  if (const std::string hint = HintOnName(path); !hint.empty()) {
    return absl::StrCat(kOnlyHub, hint);
  }
  const CatalogueEntry* entry = NearestInCatalogue(path);
  return entry == nullptr
             ? absl::StrCat(kOnlyHub, "gemma list --all shows names")
             : absl::StrCat(kOnlyHub, "gemma pull ", entry->name, " fetches ",
                            entry->description);
}

// Advice for "OWNER/REPO/FILE".
std::string HintOnFile(std::string_view text) {
  const std::vector<std::string_view> parts = absl::StrSplit(text, '/');
  if (parts.size() < 3 ||
      !std::all_of(parts.begin(), parts.end(), IsModelName)) {
    return "";
  }
  return IsGguf(text) ? absl::StrCat("gemma pull hf://", text,
                                     " fetches a file of a repository")
                      : absl::StrCat("gemma pull ", parts[0], "/", parts[1],
                                     " fetches the repository's model, with "
                                     "all its files");
}

}  // namespace

std::string AddressHint(std::string_view text) {
  const std::string lower = absl::AsciiStrToLower(text);
  for (const std::string_view host : {"ollama.com/", "registry.ollama.ai/"}) {
    if (const size_t at = lower.find(host); at != std::string::npos) {
      return HintOnOllama(text.substr(at + host.size()));
    }
  }
  for (const std::string_view start : {"hf:", "huggingface:"}) {
    if (!absl::StartsWith(lower, start)) continue;
    std::string_view rest = text.substr(start.size());
    while (absl::ConsumePrefix(&rest, "/")) {
    }
    const std::string meant = absl::StrCat("hf://", rest);
    return absl::StrContains(rest, '/') && meant != text
               ? absl::StrCat("did you mean ", meant, "?")
               : "";
  }
  return HintOnName(text);
}

std::string SourceHint(std::string_view text) {
  const bool is_file_url =
      absl::StartsWith(absl::AsciiStrToLower(text), "file:");
  std::string_view path = text;
  if (is_file_url) {
    path.remove_prefix(std::string_view("file:").size());
    absl::ConsumePrefix(&path, "//");
  }
  if (is_file_url || IsPath(text)) {
    return absl::StrCat(
        "a file needs no gemma pull: every command takes its path, ", path);
  }
  if (const std::string hint = AddressHint(text); !hint.empty()) return hint;
  return HintOnFile(text);
}

}  // namespace gemma::tools
