#include "tools/gemma/pull/hub.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "src/base/internal.h"
#include "src/base/json.h"
#include "src/base/messages.h"
#include "src/base/part_name.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/pull/model_record.h"
#include "tools/gemma/pull/url.h"

namespace gemma::tools {
namespace {

constexpr char kDefaultEndpoint[] = "https://huggingface.co";
constexpr size_t kMaxListingBytes = size_t{64} << 20;
// Each file of a listing uses about twenty values.
constexpr Json::Limits kListingLimits = {
    .max_bytes = kMaxListingBytes, .max_depth = 32, .max_values = 1 << 20};

// Limit for the list of model names in an error message.
constexpr size_t kMaxNamesBytes = 4096;

constexpr std::string_view kIndex = "model.safetensors.index.json";
// The files other than weights that loading a directory reads.
constexpr std::string_view kDirectoryFiles[] = {
    "config.json",
    "generation_config.json",
    "tokenizer.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    kIndex,
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json"};

class TextBody : public HttpBody {
 public:
  absl::Status Begin(const HttpResponse&) override { return absl::OkStatus(); }
  absl::Status Append(std::string_view bytes) override {
    if (bytes.size() > kMaxListingBytes - text_.size()) {
      return absl::DataLossError(absl::StrCat(
          "the list of files has more than ", Bytes(kMaxListingBytes)));
    }
    text_.append(bytes);
    return absl::OkStatus();
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Whether a relative path stays inside its folder and is safe to print.
bool StaysInside(std::string_view path) {
  const std::vector<std::string_view> parts = absl::StrSplit(path, '/');
  return std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
    return !part.empty() && part != "." && part != ".." &&
           !absl::StrContains(part, '\\') && IsPrintable(part);
  });
}

// Large files (LFS) have a SHA-256, because git itself stores only a pointer to
// them. Other files have git's hash.
absl::StatusOr<Digest> ReadDigest(const Json& entry) {
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> lfs, entry.Object("lfs"));
  Digest digest = {lfs.has_value() ? DigestKind::kSha256 : DigestKind::kGitBlob,
                   ""};
  const std::string_view key = lfs.has_value() ? "sha256" : "blobId";
  const Json& from = lfs.has_value() ? *lfs : entry;
  GEMMA_RETURN_IF_ERROR(from.ReadRequired(key, digest.hex));
  if (IsDigest(digest.kind, digest.hex)) return digest;
  return from.Find(key)->Unexpected(Name(digest.kind));
}

absl::StatusOr<HubFile> ReadEntry(const Json& entry) {
  HubFile file;
  GEMMA_RETURN_IF_ERROR(entry.ReadRequired("rfilename", file.path));
  if (!StaysInside(file.path)) {
    return absl::InvalidArgumentError(
        absl::StrCat(entry.Where(), ": ", Quoted(file.path),
                     " is not a path inside of a repository"));
  }
  GEMMA_RETURN_IF_ERROR(entry.ReadRequired("size", file.bytes));
  GEMMA_ASSIGN_OR_RETURN(file.digest, ReadDigest(entry));
  return file;
}

absl::StatusOr<HubListing> ReadListing(const Json& json) {
  HubListing listing;
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("sha", listing.commit));
  if (!IsDigest(DigestKind::kGitBlob, listing.commit)) {
    return json.Find("sha")->Unexpected("a commit");
  }
  GEMMA_ASSIGN_OR_RETURN(const auto siblings, json.Array("siblings"));
  if (!siblings.has_value()) return json.Unexpected("a key 'siblings'");
  for (const Json& entry : siblings->Elements()) {
    GEMMA_ASSIGN_OR_RETURN(HubFile file, ReadEntry(entry));
    listing.files.push_back(std::move(file));
  }
  return listing;
}

std::string EnvironmentOr(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

std::string EscapePath(std::string_view path) {
  return absl::StrJoin(absl::StrSplit(path, '/'), "/",
                       [](std::string* out, std::string_view part) {
                         absl::StrAppend(out, EscapeUrlPart(part));
                       });
}

const HubFile* FindFile(const HubListing& listing, std::string_view path) {
  for (const HubFile& file : listing.files) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

absl::Status NotThere(const ModelSource& source, std::string_view path) {
  return absl::NotFoundError(
      absl::StrCat(source.text, ": the repository has no file ", path));
}

// The file, or all parts of the model if it is one of several parts.
absl::StatusOr<std::vector<HubFile>> WithParts(const HubListing& listing,
                                               const ModelSource& source,
                                               const std::string& path) {
  const std::optional<PartName> part = ParsePartName(path);
  std::vector<HubFile> files;
  for (size_t i = 1; i <= (part.has_value() ? part->count : 1); ++i) {
    const std::string name = part.has_value() ? part->Part(i) : path;
    const HubFile* file = FindFile(listing, name);
    if (file == nullptr) return NotThere(source, name);
    files.push_back(*file);
  }
  return files;
}

// Whether the file is a GGUF model or the first part of one. Towers for images
// and sound ("mmproj-NAME.gguf", "NAME-mmproj.gguf") are separate files and do
// not count.
bool BeginsModel(const HubFile& file) {
  if (!IsGguf(file.path) || absl::StrContains(FileName(file.path), "mmproj")) {
    return false;
  }
  const std::optional<PartName> part = ParsePartName(file.path);
  return !part.has_value() || part->number == 1;
}

bool IsWeights(std::string_view path) {
  return path == "model.safetensors" || (absl::StartsWith(path, "model-") &&
                                         absl::EndsWith(path, ".safetensors"));
}

absl::StatusOr<std::vector<HubFile>> ChooseDirectory(
    const HubListing& listing, const ModelSource& source) {
  std::vector<HubFile> files;
  bool has_weights = false;
  bool has_config = false;
  for (const HubFile& file : listing.files) {
    if (IsModuleFile(file.path)) {
      files.push_back(file);
      continue;
    }
    if (absl::StrContains(file.path, '/')) continue;
    const bool is_weights = IsWeights(file.path);
    const bool is_wanted =
        std::find(std::begin(kDirectoryFiles), std::end(kDirectoryFiles),
                  file.path) != std::end(kDirectoryFiles);
    if (is_weights || is_wanted) files.push_back(file);
    has_weights |= is_weights;
    has_config |= file.path == "config.json";
  }
  if (has_weights && has_config) return files;
  if (FindFile(listing, "adapter_config.json") != nullptr) {
    return WithCure(
        absl::FailedPreconditionError(absl::StrCat(
            source.text,
            ": the repository holds only a LoRA adapter, wanted a model")),
        "pull its base model, download the adapter's folder, and give that to "
        "--lora");
  }
  return absl::NotFoundError(absl::StrCat(
      source.text,
      ": the repository has neither a GGUF file nor config.json with "
      "model.safetensors"));
}

// Whether a file's name has the type as a part of its own, in any case: "q4_0"
// is in "m-Q4_0.gguf", but not in "m-Q4_0_4_4.gguf". Every name has the type
// "".
bool HasType(std::string_view path, std::string_view type) {
  const std::string name = absl::AsciiStrToLower(FileName(path));
  const std::string wanted = absl::AsciiStrToLower(type);
  const auto joins = [&name](size_t at) {
    return at < name.size() &&
           (absl::ascii_isalnum(name[at]) || name[at] == '_');
  };
  for (size_t at = name.find(wanted); at != std::string::npos;
       at = name.find(wanted, at + 1)) {
    // SIZE_MAX, before the first character, joins nothing.
    if (wanted.empty() || (!joins(at - 1) && !joins(at + wanted.size()))) {
      return true;
    }
  }
  return false;
}

absl::Status NoFileOfType(const HubListing& listing,
                          const ModelSource& source) {
  std::vector<std::string> models;
  for (const HubFile& file : listing.files) {
    if (BeginsModel(file)) models.push_back(file.path);
  }
  return absl::NotFoundError(absl::StrCat(
      source.text, ": the repository has no GGUF file of the type ",
      source.type, models.empty() ? "" : "; it has ",
      Printable(absl::StrJoin(models, ", "), kMaxNamesBytes)));
}

}  // namespace

bool IsModuleFile(std::string_view path) {
  const std::pair<std::string_view, std::string_view> parts =
      absl::StrSplit(path, absl::MaxSplits('/', 1));
  // "2_Dense"
  const size_t digits = parts.first.find_first_not_of("0123456789");
  return digits != 0 && digits < parts.first.size() &&
         parts.first[digits] == '_' &&
         (parts.second == "config.json" || parts.second == "model.safetensors");
}

absl::StatusOr<std::string> HubEndpoint() {
  std::string endpoint = EnvironmentOr("HF_ENDPOINT", kDefaultEndpoint);
  while (absl::EndsWith(endpoint, "/")) endpoint.pop_back();
  if (const absl::Status status = CheckUrl(endpoint); !status.ok()) {
    return UsageError(absl::StrCat("HF_ENDPOINT: ", status.message()));
  }
  return endpoint;
}

absl::StatusOr<HttpToken> HubToken(const std::string& endpoint) {
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    const std::string value = EnvironmentOr(name, "");
    const std::string_view secret = absl::StripAsciiWhitespace(value);
    if (secret.empty()) continue;
    if (!std::all_of(secret.begin(), secret.end(), absl::ascii_isgraph)) {
      return UsageError(absl::StrCat(
          name, ": not a token: wanted visible ASCII characters only"));
    }
    return HttpToken{std::string(secret), endpoint};
  }
  return HttpToken{"", endpoint};
}

absl::StatusOr<HubListing> ListHub(HttpClient& http,
                                   const std::string& endpoint,
                                   const ModelSource& source) {
  const std::string url =
      absl::StrCat(endpoint, "/api/models/", EscapePath(source.repository),
                   "/revision/", EscapeUrlPart(source.revision), "?blobs=true");
  TextBody body;
  GEMMA_ASSIGN_OR_RETURN(const HttpResponse response, http.Get(url, {}, body));
  if (response.status != 200) {
    return HubRefusal(response.status, http, endpoint, source);
  }
  return ParseListing(body.text(), source.text);
}

absl::StatusOr<HubListing> ParseListing(std::string_view text,
                                        std::string_view where) {
  const absl::StatusOr<Json> json =
      Json::Parse(text, absl::StrCat(where, ": the server's list of files"),
                  kListingLimits);
  absl::StatusOr<HubListing> listing =
      json.ok() ? ReadListing(*json) : json.status();
  if (listing.ok()) return listing;
  return absl::DataLossError(listing.status().message());
}

absl::StatusOr<std::vector<HubFile>> ChooseFiles(const HubListing& listing,
                                                 const ModelSource& source) {
  if (!source.file.empty()) return WithParts(listing, source, source.file);
  std::vector<std::string> models;
  for (const HubFile& file : listing.files) {
    if (BeginsModel(file) && HasType(file.path, source.type)) {
      models.push_back(file.path);
    }
  }
  if (models.empty() && !source.type.empty()) {
    return NoFileOfType(listing, source);
  }
  if (models.empty()) return ChooseDirectory(listing, source);
  if (models.size() == 1) return WithParts(listing, source, models[0]);
  return absl::InvalidArgumentError(absl::StrCat(
      source.text, ": the repository has ", models.size(),
      " models; choose one: hf://", source.repository, ":TYPE or hf://",
      source.repository, "/FILE, with FILE from ",
      Printable(absl::StrJoin(models, ", "), kMaxNamesBytes)));
}

std::string HubFileUrl(const std::string& endpoint, const ModelSource& source,
                       const std::string& commit, std::string_view path) {
  return absl::StrCat(endpoint, "/", EscapePath(source.repository), "/resolve/",
                      commit, "/", EscapePath(path));
}

absl::Status HubRefusal(long status, const HttpClient& http,
                        const std::string& endpoint,
                        const ModelSource& source) {
  const std::string code = absl::StrCat(" (HTTP ", status, ")");
  const std::string page = absl::StrCat(endpoint, "/", source.repository);
  if ((status == 401 || status == 403) && !http.has_token()) {
    return WithCure(
        absl::PermissionDeniedError(
            absl::StrCat(source.text,
                         ": the repository is gated, private or does not exist,"
                         " and no token was sent",
                         code)),
        absl::StrCat("accept the terms at ", page,
                     ", then set HF_TOKEN to a token of that account"));
  }
  if (status == 401) {
    return WithCure(absl::PermissionDeniedError(absl::StrCat(
                        source.text, ": the server refuses the token", code)),
                    absl::StrCat("set HF_TOKEN to a valid token: ", endpoint,
                                 "/settings/tokens"));
  }
  if (status == 403) {
    return WithCure(
        absl::PermissionDeniedError(absl::StrCat(
            source.text, ": the token's account has no access", code)),
        absl::StrCat("accept the terms at ", page, " with that account"));
  }
  if (status == 404) {
    return WithCure(absl::NotFoundError(absl::StrCat(
                        source.text, ": the repository, or its revision '",
                        source.revision, "', does not exist", code)),
                    absl::StrCat("look for its name at ", endpoint, "/models"));
  }
  return WithCure(absl::UnavailableError(
                      absl::StrCat(source.text, ": the server failed", code)),
                  "run the same command later: what has arrived is kept");
}

}  // namespace gemma::tools
