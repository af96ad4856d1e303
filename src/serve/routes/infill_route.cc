// /infill, as editors ask llama-server: the text between two others.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gemma/fill_in_middle.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/serve/answer/generation.h"
#include "src/serve/api_error.h"
#include "src/serve/start.h"

namespace gemma::internal {
namespace {

constexpr size_t kMaxFiles = 256;
constexpr double kMaxSeconds = 1e6;  // of a timeout

// The samplers of llama-server that the fields of answers set.
constexpr std::string_view kSamplers[] = {"top_k", "top_p",     "min_p",
                                          "typ_p", "penalties", "temperature"};

// Writes {"content", "stop", ...}. In a stream, each event has the next text,
// and the last one, with "stop": true, the counts.
class InfillWriter : public AnswerWriter {
 public:
  using AnswerWriter::AnswerWriter;

  void Begin() override {
    if (streams()) out()->BeginStream();
  }
  void Token(size_t /*choice*/, const ScoredToken& /*token*/) override {}
  void Text(size_t /*choice*/, std::string_view text) override {
    if (!streams()) {
      if (MayHold(text.size())) text_ += text;
    } else if (!text.empty()) {
      JsonWriter json;
      json.Object().Member("content", text).Member("stop", false);
      out()->Event(json.Close().Take());
    }
  }
  void End(size_t /*choice*/, StopReason reason,
           absl::Span<const ToolCall> /*calls*/) override {
    reason_ = reason;
  }
  void Finish(const Usage& usage) override {
    JsonWriter json = Open("infill");
    json.Member("content", text_).Member("stop", true);
    json.Member("stop_reason", StopReasonWord(reason_));
    json.Member("tokens_evaluated", usage.prompt_tokens);
    json.Member("tokens_cached", usage.cached_tokens);
    json.Member("tokens_predicted", usage.completion_tokens);
    if (include_usage()) WriteUsage(usage, json);
    if (!streams()) return Respond(json);
    out()->Event(json.Close().Take());
    out()->EndStream();
  }

 private:
  std::string text_;
  StopReason reason_ = StopReason::kStopToken;
};

struct InfillRequest {
  AnswerFields answer;
  std::string prefix, suffix;
  std::vector<std::pair<std::string, std::string>> files;  // names, texts
};

absl::Status ReadFiles(Fields& fields, InfillRequest& request) {
  const std::optional<Json> extra = fields.Take("input_extra");
  if (!extra.has_value()) return absl::OkStatus();
  if (!extra->is_array()) {
    return AtField(extra->Unexpected("a list of files"), *extra);
  }
  if (extra->size() > kMaxFiles) {
    return FieldError(*extra, FormatText("has %u files, wanted at most %u",
                                         extra->size(), kMaxFiles));
  }
  for (const Json& json : extra->Elements()) {
    GEMMA_ASSIGN_OR_RETURN(Fields file, Fields::Of(json));
    auto& [name, text] = request.files.emplace_back();
    GEMMA_RETURN_IF_ERROR(file.Read("filename", name));
    GEMMA_RETURN_IF_ERROR(file.ReadRequired("text", text));
    file.Ignore({"time"});
    GEMMA_RETURN_IF_ERROR(file.RefuseOthers());
  }
  return absl::OkStatus();
}

// Reads the most tokens of the answer. Without them, it may fill the context.
absl::Status ReadLength(Fields& fields, AnswerFields& answer) {
  std::optional<size_t> tokens;
  GEMMA_RETURN_IF_ERROR(ReadMaxTokens(fields, tokens));
  if (const std::optional<Json> json = fields.Take("n_predict");
      json.has_value()) {
    int64_t predict = 0;
    GEMMA_RETURN_IF_ERROR(AtField(json->Get(predict), *json));
    if (predict < -1) {
      return FieldError(*json, FormatText("is %d, wanted -1 for no limit, or 0 "
                                          "or more",
                                          predict));
    }
    if (tokens.has_value() && static_cast<int64_t>(*tokens) != predict) {
      return FieldError(*json, FormatText("is %d and 'max_tokens' is %u, "
                                          "wanted one of them",
                                          predict, *tokens));
    }
    if (predict >= 0) tokens = static_cast<size_t>(predict);
  }
  answer.options.prompt_only = tokens == 0;
  answer.options.max_new_tokens = tokens.value_or(0);
  return absl::OkStatus();
}

// Reads the times of the prompt and of the answer, in milliseconds. Their sum
// is a timeout. -1, as editors send it, is no limit.
absl::Status ReadTimes(Fields& fields, AnswerFields& answer) {
  double seconds = 0;
  for (const std::string_view name : {"t_max_prompt_ms", "t_max_predict_ms"}) {
    const std::optional<Json> json = fields.Take(name);
    if (!json.has_value()) continue;
    double ms = 0;
    GEMMA_RETURN_IF_ERROR(AtField(json->Get(ms), *json));
    if (ms > 0) {
      seconds += ms / 1000;
    } else if (ms != -1) {
      return FieldError(*json, FormatText("is %g milliseconds, wanted more "
                                          "than 0, or -1 for no limit",
                                          ms));
    }
  }
  if (seconds > 0 && (answer.timeout == 0 || seconds < answer.timeout)) {
    answer.timeout = std::min(seconds, kMaxSeconds);
  }
  return absl::OkStatus();
}

// Reads what editors send for llama-server: what changes nothing is accepted.
absl::Status ReadForEditors(Fields& fields) {
  if (const std::optional<Json> json = fields.Take("n_indent");
      json.has_value()) {
    size_t indent = 0;
    GEMMA_RETURN_IF_ERROR(AtField(json->Get(indent), *json));
    if (indent != 0) {
      return FieldError(*json,
                        FormatText("is %u, wanted 0: this server does "
                                   "not end answers by their indentation",
                                   indent));
    }
  }
  if (const std::optional<Json> json = fields.Take("samplers");
      json.has_value()) {
    std::vector<std::string> names;
    GEMMA_RETURN_IF_ERROR(AtField(json->Get(names), *json));
    for (const std::string& name : names) {
      // The fields of these choose what they do; without effect by default.
      if (absl::c_linear_search(kSamplers, name)) continue;
      return FieldError(*json, absl::StrCat("has ", Quoted(name),
                                            ", which this server does "
                                            "not have, wanted only ",
                                            absl::StrJoin(kSamplers, ", ")));
    }
  }
  // Which fields of the response the editor reads, and speed.
  fields.Ignore({"response_fields", "id_slot"});
  return absl::OkStatus();
}

absl::StatusOr<InfillRequest> ReadInfillRequest(const ModelConfig& config,
                                                Fields& fields) {
  InfillRequest request;
  GEMMA_RETURN_IF_ERROR(fields.Read("input_prefix", request.prefix));
  GEMMA_RETURN_IF_ERROR(fields.Read("input_suffix", request.suffix));
  // The beginning of the line with the gap.
  std::string line;
  GEMMA_RETURN_IF_ERROR(fields.Read("prompt", line));
  request.prefix += line;
  GEMMA_RETURN_IF_ERROR(ReadFiles(fields, request));
  GEMMA_RETURN_IF_ERROR(ReadAnswerFields(config, 1, fields, request.answer));
  GEMMA_RETURN_IF_ERROR(ReadLength(fields, request.answer));
  GEMMA_RETURN_IF_ERROR(ReadTimes(fields, request.answer));
  GEMMA_RETURN_IF_ERROR(ReadForEditors(fields));
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  return request;
}

absl::Status EncodeGap(const Tokenizer& tokenizer, InfillRequest& request,
                       std::vector<TokenId>& tokens) {
  absl::StatusOr<FillInMiddle> fill = FillInMiddle::Create(tokenizer);
  if (!fill.ok()) return AtParam(fill.status(), "model");
  std::vector<SourceFile> files;
  for (const auto& [name, text] : request.files) files.push_back({name, text});
  absl::StatusOr<std::vector<TokenId>> prompt = fill->Prompt(
      {.prefix = request.prefix, .suffix = request.suffix, .files = files});
  if (!prompt.ok()) return AtParam(prompt.status(), "input_extra");
  tokens = *std::move(prompt);
  const std::vector<TokenId> stops = fill->stop_tokens();
  std::vector<TokenId>& all = request.answer.options.stop_tokens;
  all.insert(all.end(), stops.begin(), stops.end());
  return absl::OkStatus();
}

}  // namespace

absl::Status Infill(const std::shared_ptr<Served>& served, Call& call,
                    Fields& fields) {
  GEMMA_RETURN_IF_ERROR(NeedAnswers(*served));
  GEMMA_ASSIGN_OR_RETURN(InfillRequest request,
                         ReadInfillRequest(served->model.config(), fields));
  GEMMA_ASSIGN_OR_RETURN(Admission::Place place, TakePlace(*served, call, 1));
  GEMMA_RETURN_IF_ERROR(CompileForm(*served, request.answer));
  std::vector<TokenId> tokens;
  GEMMA_RETURN_IF_ERROR(EncodeGap(served->tokenizer, request, tokens));
  ResponseHead head = HeadOf(*served, call, "infill", request.answer);
  Asked asked = AskedOf(call, std::move(place), std::move(request.answer));
  asked.prompts.push_back(std::move(tokens));
  return Generation::Start(
      served, std::move(asked), call.out,
      std::make_unique<InfillWriter>(std::move(head), call.out),
      "input_prefix");
}

}  // namespace gemma::internal
