// Files of models: what they hold, and writing them with other types of
// weights.

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "tools/gemma/machine/model_json.h"
#include "tools/python/binding/arguments.h"
#include "tools/python/binding/cache_format.h"
#include "tools/python/binding/errors.h"
#include "tools/python/binding/gil.h"
#include "tools/python/binding/model.h"
#include "tools/python/binding/module.h"
#include "tools/python/binding/signals.h"
#include "tools/python/binding/text.h"

namespace gemma::python {
namespace {

WeightType WeightTypeOf(const char* option, const std::string& name) {
  const std::optional<WeightType> type = ParseWeightType(name);
  if (type.has_value()) return *type;
  throw StatusError(absl::InvalidArgumentError(
      absl::StrCat(option, " is '", name,
                   "', wanted keep, bf16, q8, q6, q5, q4, q4s, q4_0")));
}

QuantizeOptions ReadQuantizeOptions(const nb::dict& given) {
  Arguments arguments(given);
  QuantizeOptions options;
  std::string type = "keep";
  arguments.Read("type", &type);
  options.type = WeightTypeOf("type", type);
  arguments.Read("bits", &options.bits);
  std::string table_type;
  arguments.Read("table_type", &table_type);
  if (!table_type.empty()) {
    options.table_type = WeightTypeOf("table_type", table_type);
  }
  std::string expert_type;
  arguments.Read("expert_type", &expert_type);
  if (!expert_type.empty()) {
    options.expert_type = WeightTypeOf("expert_type", expert_type);
  }
  if (arguments.Choose("layout", {"packed", "gguf"}) == 1) {
    options.layout = FileLayout::kGguf;
  }
  arguments.Read("importance", &options.importance);
  if (const nb::object adapters = arguments.Take("adapters");
      adapters.is_valid()) {
    std::vector<std::pair<std::string, float>> pairs;
    if (!nb::try_cast(adapters, pairs)) {
      Refuse("adapters", adapters, "a list of pairs of a path and a scale");
    }
    for (const auto& [path, scale] : pairs) {
      options.adapters.push_back({path, scale});
    }
  }
  arguments.Read("overwrite", &options.overwrite);
  arguments.Read("threads", &options.num_threads);
  arguments.RefuseOthers();
  return options;
}

nb::list QuantizeFile(const std::string& source, const std::string& target,
                      const nb::dict& given, nb::object progress) {
  QuantizeOptions options = ReadQuantizeOptions(given);
  std::vector<std::string> notes;
  options.note = [&notes](std::string_view note) { notes.emplace_back(note); };
  ProgressCall call(std::move(progress));
  options.progress = [&call](const QuantizeProgress& at) {
    return call(at.done_bytes, at.total_bytes);
  };
  absl::Status status;
  {
    const WithoutGil release;
    status = Quantize(source, target, options);
  }
  call.Throw();
  ThrowIfError(std::move(status));
  nb::list all;
  for (const std::string& note : notes) all.append(Text(note));
  return all;
}

nb::object Describe(const BoundModel& self, size_t context, size_t sequences,
                    const std::string& cache) {
  for (const auto& [name, value] :
       {std::pair("context", context), std::pair("sequences", sequences)}) {
    if (value > 0) continue;
    throw StatusError(absl::InvalidArgumentError(
        absl::StrCat(name, " is 0, wanted 1 or more")));
  }
  const std::shared_ptr<Model> model = self.get();
  SessionOptions session;
  session.max_tokens = context;
  session.cache_format = ParseCacheFormat(cache);
  nlohmann::ordered_json json = {
      {"instruction_tuned", model->is_instruction_tuned()},
      {"has_tokenizer", model->tokenizer().ok()},
      {"notes", model->notes()}};
  json.update(tools::ContentsJson(*model));
  json["memory"] = tools::MemoryJson(*model, session, sequences);
  json["memory"]["sequences"] = sequences;
  json["tensors"] = tools::TensorsJson(*model);
  return Text(json.dump(-1, ' ', false,
                        nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace

void AddFiles(nb::module_& m) {
  m.def("quantize", &QuantizeFile, nb::arg("source"), nb::arg("target"),
        nb::arg("options"), nb::arg("progress").none() = nb::none(),
        "Writes a model to one file. Returns notes on the importance file.");
  m.def("describe", &Describe, nb::arg("model"), nb::arg("context"),
        nb::arg("sequences"), nb::arg("cache"),
        "Returns JSON: what the model is, and the memory that it needs.");
}

}  // namespace gemma::python
