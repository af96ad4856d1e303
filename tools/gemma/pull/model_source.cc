#include "tools/gemma/pull/model_source.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"
#include "src/base/part_name.h"
#include "src/os/path.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/pull/model_store.h"
#include "tools/gemma/pull/url.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kHub = "hf://";
constexpr std::string_view kPip = "pip:";
constexpr std::string_view kDefaultRevision = "main";

absl::Status Wrong(std::string_view text, std::string_view wanted) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "': wanted ", wanted));
}

// The file's name without ".gguf", and without the number of a part.
std::string NameOfGguf(std::string_view path) {
  const std::string_view file = FileName(path);
  if (const auto part = ParsePartName(file)) return part->prefix;
  return std::string(absl::StripSuffix(file, ".gguf"));
}

// Letters, digits, dots, dashes, underscores and slashes, as git allows.
bool IsRevision(std::string_view revision) {
  const std::vector<std::string_view> parts = absl::StrSplit(revision, '/');
  return std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
    return part != "." && part != ".." && IsModelName(part);
  });
}

// Letters, digits, dots, dashes and underscores, as in Q4_K_M.
bool IsType(std::string_view type) { return IsModelName(type); }

// "hf://..." for the address of a page of a repository or of a file in it, else
// "". An address of a GGUF file with /resolve/ stays a URL.
std::string HubFormOfPage(std::string_view text) {
  absl::ConsumePrefix(&text, "https://");
  if (!absl::ConsumePrefix(&text, "huggingface.co/") &&
      !absl::ConsumePrefix(&text, "hf.co/")) {
    return "";
  }
  text = text.substr(0, text.find_first_of("?#"));
  absl::ConsumeSuffix(&text, "/");
  const std::vector<std::string_view> parts = absl::StrSplit(text, '/');
  if (parts.size() < 2) return "";
  const std::string repository = absl::StrCat(kHub, parts[0], "/", parts[1]);
  if (parts.size() == 2) return repository;
  if (parts.size() == 4 && parts[2] == "tree") {
    return absl::StrCat(repository, "@", parts[3]);
  }
  const bool is_page = parts.size() >= 5 && parts[2] == "blob";
  // Only the address of a GGUF file can be pulled as it is.
  const bool is_other_file =
      parts.size() >= 5 && parts[2] == "resolve" && !IsGguf(parts.back());
  if (!is_page && !is_other_file) return "";
  return absl::StrCat(repository, "/",
                      absl::StrJoin(parts.begin() + 4, parts.end(), "/"), "@",
                      parts[3]);
}

absl::StatusOr<ModelSource> ParseHub(std::string_view text) {
  ModelSource source;
  source.kind = SourceKind::kHub;
  std::string_view path = absl::StripPrefix(text, kHub);
  const size_t at = path.rfind('@');
  source.revision = at == std::string_view::npos
                        ? std::string(kDefaultRevision)
                        : std::string(path.substr(at + 1));
  path = path.substr(0, at);
  std::string_view repository = path;
  if (const size_t colon = path.find(':'); colon != std::string_view::npos) {
    source.type = std::string(path.substr(colon + 1));
    repository = path.substr(0, colon);
  }
  const bool has_bad_type =
      repository.size() != path.size() && !IsType(source.type);
  const std::vector<std::string_view> parts = absl::StrSplit(repository, '/');
  if (parts.size() < 2 || !IsModelName(parts[0]) || !IsModelName(parts[1]) ||
      !std::all_of(parts.begin(), parts.end(), IsPlainName) ||
      !IsRevision(source.revision) || has_bad_type ||
      (!source.type.empty() && parts.size() > 2)) {
    return Wrong(text,
                 "hf://OWNER/REPO, perhaps with /FILE or :TYPE, and @REVISION");
  }
  source.repository = absl::StrCat(parts[0], "/", parts[1]);
  source.file = absl::StrJoin(parts.begin() + 2, parts.end(), "/");
  if (!source.file.empty() && !IsGguf(source.file)) {
    return WithCure(Wrong(text, "a FILE that ends in .gguf"),
                    absl::StrCat("gemma pull ", source.repository,
                                 " fetches the repository's model, with all "
                                 "its files"));
  }
  source.name =
      source.file.empty() ? std::string(parts[1]) : NameOfGguf(source.file);
  if (!source.type.empty()) {
    std::string_view model = parts[1];
    if (!absl::ConsumeSuffix(&model, "-GGUF")) {
      absl::ConsumeSuffix(&model, "-gguf");
    }
    source.name = absl::StrCat(model, "-", absl::AsciiStrToLower(source.type));
  }
  source.text = absl::StrCat(kHub, path);
  if (source.revision != kDefaultRevision) {
    absl::StrAppend(&source.text, "@", source.revision);
  }
  return source;
}

// What fetches the URL checks the rest of it.
absl::StatusOr<ModelSource> ParseUrl(std::string_view text) {
  ModelSource source;
  source.kind = SourceKind::kUrl;
  source.url = std::string(text);
  source.text = PublicPart(text);
  const bool is_http = absl::StartsWithIgnoreCase(text, "http://") ||
                       absl::StartsWithIgnoreCase(text, "https://");
  if (!is_http || !IsGguf(source.text)) {
    return Wrong(source.text,
                 "the URL of a GGUF file, with http:// or https://");
  }
  source.name = NameOfGguf(source.text);
  return source;
}

}  // namespace

absl::StatusOr<ModelSource> ParseSource(std::string_view text) {
  if (const std::string page = HubFormOfPage(text); !page.empty()) {
    return ParseHub(page);
  }
  if (LooksLikeRepository(text)) return ParseHub(absl::StrCat(kHub, text));
  if (absl::StartsWith(text, kHub)) return ParseHub(text);
  if (absl::StartsWith(text, kPip)) {
    ModelSource source;
    source.kind = SourceKind::kPip;
    source.text = std::string(text);
    source.package = std::string(absl::StripPrefix(text, kPip));
    return source;
  }
  if (absl::StrContains(text, "://")) return ParseUrl(text);
  return Wrong(text, "a name, hf://OWNER/REPO or the URL of a GGUF file");
}

bool LooksLikeRepository(std::string_view text) {
  if (IsGguf(text)) return false;
  text = text.substr(0, text.find_first_of(":@"));
  const std::vector<std::string_view> parts = absl::StrSplit(text, '/');
  return parts.size() == 2 && IsModelName(parts[0]) && IsModelName(parts[1]);
}

bool LooksLikeSource(std::string_view text) {
  return absl::StrContains(text, "://") ||
         absl::StartsWith(text, "huggingface.co/") ||
         absl::StartsWith(text, "hf.co/");
}

bool IsGguf(std::string_view path) { return absl::EndsWith(path, ".gguf"); }

std::string_view FileName(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace gemma::tools
