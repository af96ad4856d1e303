#include <algorithm>
#include <cstdint>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/file_type.h"
#include "tools/gemma/machine/inspect.h"
#include "tools/gemma/machine/model_json.h"
#include "tools/gemma/machine/summary.h"
#include "tools/gemma/pull/resolve.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

// Returns whether the value of this key in ConfigJson is a list with an item
// for each layer.
bool IsPerLayer(std::string_view key, const OrderedJson& value) {
  return value.is_array() && key != "dense_dims" && !key.ends_with("_tokens");
}

std::string Shown(const OrderedJson& value) {
  if (value.is_string()) return Printable(value.get<std::string>());
  if (value.is_number_float()) return absl::StrCat(value.get<float>());
  return value.dump();
}

// Returns "256 (layers 0-4, 6-10), 512 (layers 5, 11)", for a list with a value
// for each layer.
std::string ShownByLayer(const OrderedJson& values) {
  std::vector<OrderedJson> different;
  for (const OrderedJson& value : values) {
    if (!value.is_null() && std::find(different.begin(), different.end(),
                                      value) == different.end()) {
      different.push_back(value);
    }
  }
  std::vector<std::string> parts;
  for (const OrderedJson& value : different) {
    std::vector<std::string> runs;
    for (size_t begin = 0, end = 0; begin < values.size(); begin = end + 1) {
      end = begin;
      while (end < values.size() && values[end] == value) ++end;
      if (end == begin) continue;
      runs.push_back(end - begin == 1 ? absl::StrCat(begin)
                                      : absl::StrCat(begin, "-", end - 1));
    }
    parts.push_back(absl::StrCat(Shown(value), " (layers ",
                                 absl::StrJoin(runs, ", "), ")"));
  }
  return absl::StrJoin(parts, ", ");
}

// Whether the value of this key in ConfigJson says that the model lacks
// something. A token 0 is a token, and queries and keys may rotate by 0 values.
bool IsAbsent(std::string_view key, const OrderedJson& value) {
  if (key == "bos_token" || key == "stop_tokens" || key == "rotary_dim") {
    return false;
  }
  return value.is_null() || value == 0 || value == false || value == "none" ||
         (value.is_array() && value.empty());
}

void AppendConfig(const ModelConfig& config, std::string* text) {
  const OrderedJson json = ConfigJson(config);
  absl::StrAppend(text, "\nconfiguration (what the model lacks is left out)\n");
  for (const auto& [key, value] : json.items()) {
    if (key == "blocks" || IsAbsent(key, value)) continue;
    absl::StrAppendFormat(
        text, "  %-22s %s\n", key,
        IsPerLayer(key, value) ? ShownByLayer(value) : Shown(value));
  }
  std::map<std::string, size_t> counts;
  std::string letters;
  for (const OrderedJson& block : json["blocks"]) {
    const std::string name = block;
    ++counts[name];
    letters.push_back(name[0]);
  }
  absl::StrAppendFormat(
      text, "  %-22s %s (%s)\n", "blocks", letters,
      absl::StrJoin(counts, ", ", [](std::string* out, const auto& count) {
        absl::StrAppend(out, count.second, " ", count.first);
      }));
}

void AppendTotal(std::string_view name, const TypeTotal& total,
                 std::string* text) {
  absl::StrAppendFormat(
      text, "  %-7s %5d tensors %14d values %14d bytes  %6.3f bits/weight\n",
      name, total.tensors, total.values, total.bytes, total.bits_per_weight());
}

void AppendTensors(const Model& model, std::string* text) {
  absl::StrAppend(text, "\ntensors (name, type, bytes, shape)\n");
  size_t name_width = 4;
  for (const TensorSummary& tensor : model.tensors()) {
    name_width = std::max(name_width, tensor.name.size());
  }
  for (const TensorSummary& tensor : model.tensors()) {
    absl::StrAppendFormat(text, "  %-*s  %-7s %12d  [%s]\n",
                          static_cast<int>(name_width), Printable(tensor.name),
                          tensor.format, tensor.bytes,
                          absl::StrJoin(tensor.shape, ", "));
  }
  const Totals totals = Summarize(model.tensors());
  absl::StrAppend(text, "\ntypes\n");
  for (const auto& [name, total] : totals.types) {
    AppendTotal(name, total, text);
  }
  AppendTotal("all", totals.all, text);
}

void AppendMemory(const Model& model, const SessionOptions& session,
                  std::string* text) {
  const MemoryUse memory = model.MemoryFor(session);
  absl::StrAppend(text, "\nmemory (context of ", session.max_tokens,
                  " tokens, ", model.num_threads(), " threads)\n");
  std::vector<std::pair<std::string_view, uint64_t>> parts = {
      {"weights", memory.weights},
      {"cache", memory.cache},
      {"scratch", memory.scratch},
      {"total", memory.total()}};
  if (memory.mapped != 0) {  // of the weights
    parts.insert(parts.begin() + 1, {"mapped", memory.mapped});
  }
  for (const auto& [name, bytes] : parts) {
    absl::StrAppendFormat(text, "  %-8s %14d  %s\n", name, bytes, Bytes(bytes));
  }
  if (memory.table != 0) {
    absl::StrAppendFormat(
        text, "  %-8s %14d  %s: stays in the file, a token reads %s\n", "table",
        memory.table, Bytes(memory.table), Bytes(memory.table_per_token));
  }
}

std::string ChatTemplateText(const OrderedJson& json) {
  const std::string turns = json["turns"];
  const std::string name = turns == "gemma"  ? "Gemma's own turns"
                           : turns == "file" ? json["file"].get<std::string>()
                                             : turns;
  return Printable(
      absl::StrCat(name, " (", json["reason"].get<std::string>(), ")"), kUncut);
}

void AppendLine(std::string_view name, std::string_view value,
                std::string* text) {
  absl::StrAppendFormat(text, "%-13s  %s\n", name, value);
}

// The lines that tell most models apart.
std::string Overview(const InspectOptions& options, const Model& model,
                     const SessionOptions& session) {
  const ModelConfig& config = model.config();
  const Totals totals = Summarize(model.tensors());
  const MemoryUse memory = model.MemoryFor(session);
  const absl::StatusOr<std::string> path = ResolveModel(options.model.path);
  std::string text;
  AppendLine("path", Printable(path.ok() ? *path : options.model.path, kUncut),
             &text);
  const std::string_view purpose =
      config.pooling != Pooling::kNone ? "embeds texts"
      : model.is_instruction_tuned()   ? "instruction-tuned"
                                       : "base model";
  AppendLine("architecture",
             absl::StrCat(config.architecture, ", ", config.num_layers(),
                          " layers, ", purpose),
             &text);
  AppendLine("parameters", Count(totals.all.values), &text);
  AppendLine("file type",
             absl::StrFormat("%s, %.2f bits per weight",
                             FileType(options.model.path, model),
                             totals.all.bits_per_weight()),
             &text);
  AppendLine("size", absl::StrCat(Bytes(totals.all.bytes), " of weights"),
             &text);
  AppendLine("context", absl::StrCat("at most ", config.max_context, " tokens"),
             &text);
  std::string needs =
      absl::StrCat(Bytes(memory.total()), " with ", session.max_tokens,
                   " tokens: weights ", Bytes(memory.weights), ", cache ",
                   Bytes(memory.cache), ", scratch ", Bytes(memory.scratch));
  if (memory.mapped != 0) {
    absl::StrAppend(&needs, "; ", Bytes(memory.mapped), " stay in the file");
  }
  AppendLine("memory", needs, &text);
  if (memory.table != 0) {
    AppendLine(
        "table",
        absl::StrCat(Bytes(memory.table), ", stays in the file: a token reads ",
                     Bytes(memory.table_per_token)),
        &text);
  }
  AppendLine("chat template",
             ChatTemplateText(ChatTemplateJson(options, model)), &text);
  if (!model.tokenizer().ok()) AppendLine("tokenizer", "none", &text);
  for (const Adapter& adapter : options.model.adapters) {
    AppendLine("adapter",
               absl::StrCat(Printable(adapter.path, kUncut), " (scale ",
                            adapter.scale, ")"),
               &text);
  }
  for (const std::string& note : model.notes()) {
    AppendLine("note", Printable(note, kUncut), &text);
  }
  return text;
}

}  // namespace

std::string InspectText(const InspectOptions& options, const Model& model,
                        const SessionOptions& session) {
  std::string text = Overview(options, model, session);
  if (options.all) {
    AppendConfig(model.config(), &text);
    AppendMemory(model, session, &text);
  }
  if (options.all || options.tensors) AppendTensors(model, &text);
  return text;
}

}  // namespace gemma::tools
