#include "tools/gemma/answer/batch_resume.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "tools/gemma/answer/answer.h"
#include "tools/gemma/answer/answer_report.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

// Options that change how fast an answer comes.
constexpr std::string_view kSpeedOptions[] = {
    "threads", "decode_threads", "chunk", "simd", "simd_cap", "speculate",
};

bool ChangesAnswers(std::string_view option) {
  return std::find(std::begin(kSpeedOptions), std::end(kSpeedOptions),
                   option) == std::end(kSpeedOptions);
}

// As a line of the output has it.
OrderedJson AsWritten(const OrderedJson& json) {
  return OrderedJson::parse(ToLine(json));
}

std::string Shown(const OrderedJson* value) {
  if (value == nullptr) return "none";
  if (value->is_string()) {
    return absl::StrCat("'", value->get<std::string>(), "'");
  }
  return value->dump();
}

const OrderedJson* Find(const OrderedJson& json, const std::string& name) {
  const auto found = json.find(name);
  return found == json.end() ? nullptr : &*found;
}

// Compares what both objects have, or with `all` also what only one has.
std::string Differing(const OrderedJson& answer, const OrderedJson& wanted,
                      bool all) {
  const auto compare = [&](const std::string& name) -> std::string {
    const OrderedJson* const had = Find(answer, name);
    const OrderedJson* const has = Find(wanted, name);
    const bool is_known = had != nullptr && has != nullptr;
    if (!ChangesAnswers(name) || (!is_known && !all)) return "";
    if (is_known ? *had == *has : had == has) return "";
    return absl::StrCat("an answer with ", name, " ", Shown(had), ", wanted ",
                        Shown(has));
  };
  for (const OrderedJson* json : {&answer, &wanted}) {
    for (const auto& [name, value] : json->items()) {
      if (std::string text = compare(name); !text.empty()) return text;
    }
  }
  return "";
}

}  // namespace

bool LimitAnswer(const PromptOptions& prompt, BatchRequest* request) {
  const bool chat = prompt.chat || !request->messages.empty();
  if (request->options.max_tokens == 0 && !chat) {
    request->options.max_tokens = kMaxCompletionTokens;
  }
  return chat;
}

OrderedJson LineOptions(const BatchOptions& options,
                        const BatchRequest& request) {
  OrderedJson json = options.head.at("options");
  json.update(AnswerOptionsJson(request.options));
  return json;
}

std::string DifferenceOf(const OrderedJson& answer, std::string_view line,
                         const BatchOptions& options,
                         const BatchRequest& defaults) {
  const OrderedJson head =
      AsWritten({{"path", options.head.at("path")},
                 {"file_type", options.head.at("file_type")}});
  if (const OrderedJson* path = Find(answer, "path");
      path != nullptr && *path != head["path"]) {
    return absl::StrCat("an answer of ", Shown(path), ", wanted one of ",
                        Shown(&head["path"]));
  }
  if (std::string text = Differing(answer, head, /*all=*/false);
      !text.empty()) {
    return text;
  }
  if (answer.contains("error")) return "";
  if (answer.contains("guard") != (options.guard != nullptr)) {
    return options.guard != nullptr
               ? "an answer that no guard judged, but --guard is given"
               : "an answer that a guard judged, but --guard is not given";
  }
  BatchRequest request;
  // A line that cannot be read has no answer.
  const OrderedJson* const had = Find(answer, "options");
  if (had == nullptr || !had->is_object() ||
      !ParseBatchRequest(line, defaults, &request).ok()) {
    return "";
  }
  LimitAnswer(options.prompt, &request);
  const OrderedJson seed = {{"seed", request.options.sampling.seed}};
  if (std::string text = Differing(answer, seed, /*all=*/false);
      !text.empty()) {
    return text;
  }
  return Differing(*had, AsWritten(LineOptions(options, request)),
                   /*all=*/true);
}

}  // namespace gemma::tools
