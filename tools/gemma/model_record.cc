#include "tools/gemma/model_record.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "tools/gemma/text.h"

namespace gemma::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;

// The members below are read one by one; the first that is missing or has
// another type is remembered.
class Reader {
 public:
  explicit Reader(const Json& json) : json_(json) {}

  std::string String(const char* key) {
    const Json* value = Find(key, &Json::is_string);
    return value != nullptr ? value->get<std::string>() : "";
  }
  uint64_t Number(const char* key) {
    const Json* value = Find(key, &Json::is_number_unsigned);
    return value != nullptr ? value->get<uint64_t>() : 0;
  }
  bool Bool(const char* key) {
    const Json* value = Find(key, &Json::is_boolean);
    return value != nullptr && value->get<bool>();
  }
  Json Array(const char* key) {
    const Json* value = Find(key, &Json::is_array);
    return value != nullptr ? *value : Json::array();
  }

  // "" or the first member that was wrong.
  const std::string& wrong() const { return wrong_; }

 private:
  const Json* Find(const char* key, bool (Json::*has_type)() const noexcept) {
    const auto it = json_.find(key);
    if (it != json_.end() && ((*it).*has_type)()) return &*it;
    if (wrong_.empty()) wrong_ = key;
    return nullptr;
  }

  const Json& json_;
  std::string wrong_;
};

absl::Status Wrong(std::string_view where, std::string_view what) {
  return absl::DataLossError(
      absl::StrCat(where, ": not a record of gemma pull: ", what));
}

}  // namespace

bool IsPlainFileName(std::string_view name) {
  if (name.empty() || name.size() > 200 || name == "." || name == ".." ||
      name == kRecordFile) {
    return false;
  }
  return std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || c == '\\' || absl::ascii_iscntrl(c);
  });
}

bool IsStoredFileName(std::string_view name) {
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos) return IsPlainFileName(name);
  return IsPlainFileName(name.substr(0, slash)) &&
         IsPlainFileName(name.substr(slash + 1));
}

std::string RecordToText(const StoredModel& model) {
  Json files = Json::array();
  for (const StoredFile& file : model.files) {
    files.push_back({{"name", file.name},
                     {"bytes", file.bytes},
                     {"digest", file.digest},
                     {"etag", file.etag}});
  }
  return ToText({{"version", kVersion},
                 {"source", model.source},
                 {"revision", model.revision},
                 {"main_file", model.main_file},
                 {"pulled_at", model.pulled_at},
                 {"complete", model.complete},
                 {"files", files}});
}

absl::StatusOr<StoredModel> ParseRecord(std::string_view text,
                                        std::string_view name,
                                        std::string_view where) {
  const Json json = Json::parse(text, /*cb=*/nullptr,
                                /*allow_exceptions=*/false);
  if (!json.is_object()) return Wrong(where, "wanted an object of JSON");
  Reader reader(json);
  StoredModel model;
  model.name = std::string(name);
  const uint64_t version = reader.Number("version");
  model.source = reader.String("source");
  model.revision = reader.String("revision");
  model.main_file = reader.String("main_file");
  model.pulled_at = reader.String("pulled_at");
  model.complete = reader.Bool("complete");
  for (const Json& entry : reader.Array("files")) {
    if (!entry.is_object()) return Wrong(where, "'files'");
    Reader member(entry);
    StoredFile file = {.name = member.String("name"),
                       .bytes = member.Number("bytes"),
                       .digest = member.String("digest"),
                       .etag = member.String("etag")};
    if (!member.wrong().empty() || !IsStoredFileName(file.name)) {
      return Wrong(where, "'files'");
    }
    model.files.push_back(std::move(file));
  }
  if (!reader.wrong().empty()) {
    return Wrong(where, absl::StrCat("'", reader.wrong(), "'"));
  }
  if (version != kVersion) {
    return Wrong(where, absl::StrCat("version ", version));
  }
  if (!model.main_file.empty() && !IsPlainFileName(model.main_file)) {
    return Wrong(where, "'main_file'");
  }
  return model;
}

}  // namespace gemma::tools
