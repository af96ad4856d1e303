#include "tools/gemma/machine/report_head.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <system_error>

#include "gemma/version.h"
#include "tools/gemma/machine/file_type.h"
#include "tools/gemma/pull/resolve.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

// The names of --cache-type.
std::string_view NameOf(CacheFormat format) {
  switch (format) {
    case CacheFormat::kFloat32:
      return "float32";
    case CacheFormat::kInt8:
      return "int8";
    case CacheFormat::kBFloat16:
    case CacheFormat::kAuto:
      break;
  }
  return "bfloat16";
}

}  // namespace

OrderedJson ReportHead() {
  return {{"schema_version", kSchemaVersion},
          {"gemma_version", GEMMA_VERSION_STRING}};
}

OrderedJson ReportHead(const ModelOptions& options, const Model& model) {
  OrderedJson json = ReportHead();
  json["model"] = options.path;
  const std::string path = PathOfModel(options.path);
  json["path"] = path;
  json["file_type"] = FileType(path, model);
  return json;
}

void AddOutputFile(const std::string& path, OrderedJson* json) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  (*json)["output"] = error ? path : absolute.lexically_normal().string();
  OrderedJson& bytes = (*json)["output_bytes"] = nullptr;
  if (!std::filesystem::is_regular_file(path, error)) return;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (!error) bytes = size;
}

std::string PathOfModel(const std::string& model) {
  const absl::StatusOr<std::string> path = ResolveModel(model);
  std::error_code error;
  const std::filesystem::path absolute =
      std::filesystem::absolute(path.ok() ? *path : model, error);
  return error ? model : absolute.lexically_normal().string();
}

OrderedJson OptionsJson(const ModelOptions& options, const Model& model,
                        size_t context) {
  const size_t threads = model.num_threads();
  const SimdUse simd = GetSimdUse();
  OrderedJson adapters = OrderedJson::array();
  for (const Adapter& adapter : options.adapters) {
    adapters.push_back({{"path", adapter.path}, {"scale", adapter.scale}});
  }
  OrderedJson json = {
      {"context", context},
      {"threads", threads},
      {"decode_threads", options.decode_threads == 0
                             ? threads
                             : std::min(options.decode_threads, threads)},
      {"chunk", options.chunk},
      {"activations", options.activations},
      {"deterministic", options.deterministic},
      {"cache_type",
       NameOf(CacheFormatFor(model,
                             SessionOptionsOf(options, context).cache_format))},
      {"quantize", options.quantize},
      {"lora", std::move(adapters)},
      {"simd", simd.chosen},
      {"simd_cap", simd.cap}};
  if (model.config().lru_width != 0) {
    json["recurrent_window"] = options.recurrent_window;
  }
  return json;
}

}  // namespace gemma::tools
