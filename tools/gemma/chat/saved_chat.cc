#include "tools/gemma/chat/saved_chat.h"

#include <sys/stat.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/json.h"
#include "src/base/status_macros.h"
#include "src/os/atomic_file.h"
#include "tools/gemma/chat/chat_settings.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kFormat = "gemma chat";
constexpr int32_t kVersion = 1;

// Far more than a context holds, far less than memory holds.
constexpr Json::Limits kLimits = {
    .max_bytes = size_t{64} << 20, .max_depth = 8, .max_values = 1 << 20};

absl::Status CheckFormat(const Json& json) {
  std::string format;
  int32_t version = 0;
  if (!json.is_object()) return json.Unexpected("a saved chat");
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("format", format));
  if (format != kFormat) {
    return json.Find("format")->Unexpected(absl::StrCat("'", kFormat, "'"));
  }
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("version", version));
  if (version == kVersion) return absl::OkStatus();
  return json.Find("version")->Unexpected(absl::StrCat(kVersion));
}

absl::StatusOr<std::vector<Turn>> ReadTurns(const Json& json) {
  GEMMA_ASSIGN_OR_RETURN(const auto messages, json.Array("messages"));
  std::vector<Turn> turns;
  if (!messages.has_value()) return turns;
  bool from_user = true;
  for (const Json& message : messages->Elements()) {
    const std::string_view wanted = from_user ? "user" : "model";
    std::string role;
    std::string text;
    GEMMA_RETURN_IF_ERROR(message.ReadRequired("role", role));
    GEMMA_RETURN_IF_ERROR(message.ReadRequired("text", text));
    if (role != wanted) {
      return message.Find("role")->Unexpected(absl::StrCat("'", wanted, "'"));
    }
    if (from_user) {
      turns.push_back({std::move(text), ""});
    } else {
      turns.back().answer = std::move(text);
    }
    from_user = !from_user;
  }
  if (from_user) return turns;
  return messages->Unexpected("an answer for every message");
}

// The value in the form that ChangeSetting reads.
absl::StatusOr<std::string> SettingValue(const Json& json) {
  std::string text;
  if (json.is_array()) {
    std::vector<std::string> texts;
    GEMMA_RETURN_IF_ERROR(json.Get(texts));
    return nlohmann::json(texts).dump();
  }
  if (json.type() != Json::Type::kNumber) {
    GEMMA_RETURN_IF_ERROR(json.Get(text));
    return text;
  }
  uint64_t whole = 0;
  if (json.Get(whole).ok()) return absl::StrCat(whole);
  double number = 0;
  GEMMA_RETURN_IF_ERROR(json.Get(number));
  return absl::StrCat(number);
}

absl::Status ReadSettings(const Json& json, const std::string& path,
                          AnswerOptions* settings) {
  GEMMA_ASSIGN_OR_RETURN(const auto object, json.Object("settings"));
  if (!object.has_value()) return absl::OkStatus();
  for (const auto& [name, member] : object->Members()) {
    GEMMA_ASSIGN_OR_RETURN(const std::string value, SettingValue(member));
    const absl::Status status = ChangeSetting(name, value, settings);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

// An error if `path` must not be replaced. Protects other files from a mistyped
// name.
absl::Status CheckReplaceable(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return absl::OkStatus();
  if (S_ISREG(info.st_mode) && info.st_size == 0) return absl::OkStatus();
  if (S_ISREG(info.st_mode) && LoadChat(path, {}).ok()) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(
      path, ": exists and is not a saved chat; wanted another name"));
}

}  // namespace

std::string ToJson(const SavedChat& chat) {
  using Out = nlohmann::ordered_json;
  Out messages = Out::array();
  for (const Turn& turn : chat.turns) {
    messages.push_back({{"role", "user"}, {"text", turn.message}});
    messages.push_back({{"role", "model"}, {"text", turn.answer}});
  }
  Out settings = Out::object();
  for (const auto& [name, value] : Settings(chat.settings)) {
    if (value.empty()) continue;  // not set
    // Numbers and arrays keep their JSON type; other words become strings.
    const Out parsed = Out::parse(value, nullptr, /*allow_exceptions=*/false);
    settings[name] = parsed.is_discarded() ? Out(value) : parsed;
  }
  return ToText(Out{{"format", kFormat},
                    {"version", kVersion},
                    {"system", chat.system},
                    {"messages", std::move(messages)},
                    {"settings", std::move(settings)}});
}

absl::StatusOr<SavedChat> ParseSavedChat(std::string_view json,
                                         const std::string& path,
                                         const AnswerOptions& settings) {
  GEMMA_ASSIGN_OR_RETURN(const Json root, Json::Parse(json, path, kLimits));
  GEMMA_RETURN_IF_ERROR(CheckFormat(root));
  SavedChat chat;
  chat.settings = settings;
  GEMMA_RETURN_IF_ERROR(root.Read("system", chat.system));
  GEMMA_ASSIGN_OR_RETURN(chat.turns, ReadTurns(root));
  GEMMA_RETURN_IF_ERROR(ReadSettings(root, path, &chat.settings));
  return chat;
}

absl::Status SaveChat(const std::string& path, const SavedChat& chat) {
  GEMMA_RETURN_IF_ERROR(CheckReplaceable(path));
  GEMMA_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::CreateOutput(path));
  GEMMA_RETURN_IF_ERROR(file.Write(ToJson(chat)));
  return file.Commit();
}

absl::StatusOr<SavedChat> LoadChat(const std::string& path,
                                   const AnswerOptions& settings) {
  GEMMA_ASSIGN_OR_RETURN(const std::string json, ReadFile(path));
  return ParseSavedChat(json, path, settings);
}

}  // namespace gemma::tools
