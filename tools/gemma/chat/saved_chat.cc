#include "tools/gemma/chat/saved_chat.h"

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
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

// Reads the turns of a chat message by message.
class TurnReader {
 public:
  absl::StatusOr<std::vector<Turn>> Read(const Json& messages) {
    for (const Json& message : messages.Elements()) {
      GEMMA_RETURN_IF_ERROR(ReadMessage(message));
    }
    if (!wants_model_) return std::move(turns_);
    // The last answer may be a call without a result.
    if (!turns_.empty() && turns_.back().Waiting() != nullptr) {
      return std::move(turns_);
    }
    return messages.Unexpected("an answer for every message");
  }

 private:
  absl::Status ReadMessage(const Json& message) {
    std::string role;
    std::string text;
    GEMMA_RETURN_IF_ERROR(message.ReadRequired("role", role));
    GEMMA_RETURN_IF_ERROR(message.ReadRequired("text", text));
    const ToolCall* waiting =
        turns_.empty() ? nullptr : turns_.back().Waiting();
    const std::string_view wanted = waiting != nullptr ? "tool"
                                    : wants_model_     ? "model"
                                                       : "user";
    if (role != wanted) {
      return message.Find("role")->Unexpected(absl::StrCat("'", wanted, "'"));
    }
    if (waiting != nullptr) return ReadResult(message, text);
    if (!wants_model_) {
      turns_.push_back({std::move(text), ""});
      wants_model_ = true;
      return absl::OkStatus();
    }
    GEMMA_ASSIGN_OR_RETURN(const auto calls, message.Array("tool_calls"));
    if (calls.has_value()) return ReadCalls(*calls);
    turns_.back().answer = std::move(text);
    wants_model_ = false;
    return absl::OkStatus();
  }

  absl::Status ReadCalls(const Json& calls) {
    ToolStep step;
    for (const Json& call : calls.Elements()) {
      ToolCall& read = step.calls.emplace_back();
      GEMMA_RETURN_IF_ERROR(call.ReadRequired("name", read.name));
      GEMMA_RETURN_IF_ERROR(call.ReadRequired("arguments", read.arguments));
    }
    if (step.calls.empty()) return calls.Unexpected("one call or more");
    turns_.back().steps.push_back(std::move(step));
    return absl::OkStatus();
  }

  // A result belongs to the first call of its tool that has none.
  absl::Status ReadResult(const Json& message, const std::string& text) {
    std::string name;
    GEMMA_RETURN_IF_ERROR(message.ReadRequired("name", name));
    ToolStep& step = turns_.back().steps.back();
    step.results.resize(step.calls.size());
    for (size_t i = 0; i < step.calls.size(); ++i) {
      if (step.calls[i].name != name || step.results[i].has_value()) continue;
      step.results[i] = text;
      return absl::OkStatus();
    }
    return message.Find("name")->Unexpected(
        "the tool of a call without a result");
  }

  std::vector<Turn> turns_;
  bool wants_model_ = false;
};

absl::StatusOr<std::vector<Turn>> ReadTurns(const Json& json) {
  GEMMA_ASSIGN_OR_RETURN(const auto messages, json.Array("messages"));
  if (!messages.has_value()) return std::vector<Turn>();
  return TurnReader().Read(*messages);
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

using Out = nlohmann::ordered_json;

void AddStep(const ToolStep& step, Out& messages) {
  Out calls = Out::array();
  for (const ToolCall& call : step.calls) {
    calls.push_back({{"name", call.name}, {"arguments", call.arguments}});
  }
  messages.push_back(
      {{"role", "model"}, {"text", ""}, {"tool_calls", std::move(calls)}});
  for (size_t i = 0; i < step.results.size(); ++i) {
    if (!step.results[i].has_value()) continue;
    messages.push_back({{"role", "tool"},
                        {"name", step.calls[i].name},
                        {"text", *step.results[i]}});
  }
}

}  // namespace

std::string ToJson(const SavedChat& chat) {
  Out messages = Out::array();
  for (const Turn& turn : chat.turns) {
    messages.push_back({{"role", "user"}, {"text", turn.message}});
    for (const ToolStep& step : turn.steps) AddStep(step, messages);
    if (turn.Waiting() != nullptr) continue;
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
  // Another kind of file. An error of the JSON parser would not say so.
  if (!absl::StartsWith(absl::StripLeadingAsciiWhitespace(json), "{")) {
    return WithCure(
        absl::InvalidArgumentError(absl::StrCat(path, ": is not a saved chat")),
        "/save FILE writes one; /read FILE puts a text file in "
        "front of the next message");
  }
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
