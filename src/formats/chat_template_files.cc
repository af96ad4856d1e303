#include "src/formats/chat_template_files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "src/base/status_macros.h"
#include "src/formats/directory.h"
#include "src/formats/wrong_file.h"
#include "src/os/mapped_file.h"
#include "src/os/path.h"

namespace gemma::internal {
namespace {

using Templates = std::vector<ChatTemplateText>;

constexpr std::string_view kFile = "chat_template.jinja";
constexpr std::string_view kFolder = "additional_chat_templates";
constexpr std::string_view kExtension = ".jinja";
constexpr std::string_view kJsonFile = "chat_template.json";
constexpr std::string_view kJsonKey = "chat_template";
constexpr std::string_view kGgufKey = "tokenizer.chat_template";

absl::Status AddFile(std::string path, std::string_view name, Templates& out) {
  std::error_code error;
  if (std::filesystem::file_size(path, error) == 0 && !error) {
    out.push_back({std::string(name), "", std::move(path)});
    return absl::OkStatus();
  }
  GEMMA_ASSIGN_OR_RETURN(const MappedFile file, OpenModelFile(std::move(path)));
  out.push_back(
      {std::string(name), std::string(file.text()), std::string(file.path())});
  return absl::OkStatus();
}

bool HasFile(const std::string& directory) {
  std::error_code error;
  const auto size =
      std::filesystem::file_size(InDirectory(directory, kFile), error);
  return !error && size > 0;
}

bool IsEmpty(const Json& value) {
  std::string_view text;
  return value.is_null() ||
         (value.Get(text).ok() && absl::StripAsciiWhitespace(text).empty());
}

bool HasFolder(const std::string& directory) {
  std::error_code error;
  return std::filesystem::is_directory(InDirectory(directory, kFolder), error);
}

absl::Status AddFolder(const std::string& directory, Templates& out) {
  const std::string folder = InDirectory(directory, kFolder);
  GEMMA_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(folder));
  for (std::string_view name : names) {
    if (!absl::EndsWith(name, kExtension)) continue;
    std::string path = InDirectory(folder, name);
    GEMMA_RETURN_IF_ERROR(
        AddFile(std::move(path), absl::StripSuffix(name, kExtension), out));
  }
  return absl::OkStatus();
}

// Adds the value of 'chat_template': a text, or objects with names.
absl::Status AddJson(const Json& json, Templates& out) {
  const std::optional<Json> value = json.Find(kJsonKey);
  if (!value.has_value() || value->is_null()) return absl::OkStatus();
  if (!value->is_array()) {
    ChatTemplateText only{std::string(kDefaultTemplate), "", value->Where()};
    GEMMA_RETURN_IF_ERROR(value->Get(only.text));
    out.push_back(std::move(only));
    return absl::OkStatus();
  }
  bool has_default = false;
  for (const Json& element : value->Elements()) {
    ChatTemplateText named;
    GEMMA_RETURN_IF_ERROR(element.ReadRequired("name", named.name));
    GEMMA_RETURN_IF_ERROR(element.ReadRequired("template", named.text));
    // Finding an element's place takes time in proportion to its number, and
    // only one template is used.
    const bool is_default = named.name == kDefaultTemplate && !has_default;
    named.where = is_default || out.empty() ? element.Where() : value->Where();
    has_default |= is_default;
    out.push_back(std::move(named));
  }
  return absl::OkStatus();
}

absl::Status AddDirectory(const std::string& directory,
                          const std::optional<Json>& tokenizer_config,
                          Templates& out) {
  if (Exists(directory, kFile)) {
    GEMMA_RETURN_IF_ERROR(
        AddFile(InDirectory(directory, kFile), kDefaultTemplate, out));
  }
  if (HasFolder(directory)) GEMMA_RETURN_IF_ERROR(AddFolder(directory, out));
  if (out.empty() && tokenizer_config.has_value()) {
    GEMMA_RETURN_IF_ERROR(AddJson(*tokenizer_config, out));
  }
  if (out.empty()) {
    GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> json,
                           ReadObject(directory, kJsonFile));
    if (json.has_value()) GEMMA_RETURN_IF_ERROR(AddJson(*json, out));
  }
  return absl::OkStatus();
}

}  // namespace

bool HasChatTemplates(const std::string& directory,
                      const std::optional<Json>& tokenizer_config) {
  return HasFile(directory) || HasFolder(directory) ||
         (tokenizer_config.has_value() && tokenizer_config->Has(kJsonKey) &&
          !IsEmpty(*tokenizer_config->Find(kJsonKey))) ||
         Exists(directory, kJsonFile);
}

absl::StatusOr<Templates> ReadChatTemplates(const Checkpoint& checkpoint) {
  Templates out;
  if (checkpoint.kind == CheckpointKind::kHuggingFace) {
    GEMMA_RETURN_IF_ERROR(
        AddDirectory(checkpoint.directory, checkpoint.tokenizer_config, out));
  } else if (checkpoint.kind == CheckpointKind::kGguf &&
             checkpoint.metadata->Has(kGgufKey)) {
    ChatTemplateText only{
        std::string(kDefaultTemplate), "",
        absl::StrCat(checkpoint.metadata->path(), ": ", kGgufKey)};
    GEMMA_RETURN_IF_ERROR(checkpoint.metadata->Read(kGgufKey, only.text));
    out.push_back(std::move(only));
  }
  std::stable_partition(out.begin(), out.end(), [](const auto& each) {
    return each.name == kDefaultTemplate;
  });
  return out;
}

}  // namespace gemma::internal
