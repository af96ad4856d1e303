#include "tools/gemma/pull/model_record.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/json.h"
#include "src/base/status_macros.h"
#include "src/os/path.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

constexpr int kVersion = 1;

constexpr Json::Limits kLimits = {
    .max_bytes = size_t{16} << 20, .max_depth = 4, .max_values = 1 << 20};

absl::StatusOr<StoredFile> ReadFileEntry(const Json& json) {
  StoredFile file;
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("name", file.name));
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("bytes", file.bytes));
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("digest", file.digest));
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("etag", file.etag));
  if (IsStoredFileName(file.name)) return file;
  return json.Find("name")->Unexpected("the name of a file");
}

absl::StatusOr<StoredModel> ReadModel(const Json& json) {
  StoredModel model;
  uint64_t version = 0;
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("version", version));
  if (version != kVersion) {
    return json.Find("version")->Unexpected(absl::StrCat(kVersion));
  }
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("source", model.source));
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("revision", model.revision));
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("main_file", model.main_file));
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("pulled_at", model.pulled_at));
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("complete", model.complete));
  if (!model.main_file.empty() && !IsPlainFileName(model.main_file)) {
    return json.Find("main_file")->Unexpected("the name of a file");
  }
  GEMMA_ASSIGN_OR_RETURN(const auto files, json.Array("files"));
  if (!files.has_value()) return json.Unexpected("a key 'files'");
  for (const Json& entry : files->Elements()) {
    GEMMA_ASSIGN_OR_RETURN(StoredFile file, ReadFileEntry(entry));
    model.files.push_back(std::move(file));
  }
  return model;
}

}  // namespace

bool IsPlainFileName(std::string_view name) {
  constexpr size_t kMaxSize = 200;
  return IsPlainName(name) && name.size() <= kMaxSize && name != kRecordFile;
}

bool IsStoredFileName(std::string_view name) {
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos) return IsPlainFileName(name);
  return IsPlainFileName(name.substr(0, slash)) &&
         IsPlainFileName(name.substr(slash + 1));
}

std::string RecordToText(const StoredModel& model) {
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
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
  const absl::StatusOr<Json> json =
      Json::Parse(text, std::string(where), kLimits);
  absl::StatusOr<StoredModel> model =
      json.ok() ? ReadModel(*json) : json.status();
  if (!model.ok()) {
    return absl::DataLossError(absl::StrCat(model.status().message(),
                                            " (not a record of gemma pull)"));
  }
  model->name = std::string(name);
  return model;
}

}  // namespace gemma::tools
