// /infill, as editors ask llama-server: the text between two others.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/fill_in_middle.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/serve/answer/generation.h"
#include "src/serve/api_error.h"
#include "src/serve/request/feature_fields.h"
#include "src/serve/start.h"

namespace gemma::internal {
namespace {

constexpr size_t kMaxFiles = 256;
constexpr double kMaxSeconds = 1e6;  // of a limit

// Writes {"content", "stop", ...}; of several answers, an array of these. In a
// stream, each event has the next text of an answer, and the last one of each,
// with "stop": true, the counts.
class InfillWriter : public AnswerWriter {
 public:
  InfillWriter(ResponseHead head, std::shared_ptr<Exchange::State> out,
               size_t num_choices, size_t context)
      : AnswerWriter(std::move(head), std::move(out)),
        context_(context),
        choices_(num_choices) {}

  void Begin() override {
    if (streams()) out()->BeginStream();
  }
  void Token(size_t /*choice*/, const ScoredToken& /*token*/) override {}
  void Text(size_t choice, std::string_view text) override {
    if (!streams()) {
      if (MayHold(text.size())) choices_[choice].text += text;
    } else if (!text.empty()) {
      JsonWriter json;
      json.Object().Member("index", choice).Member("content", text);
      json.Member("stop", false);
      out()->Event(json.Close().Take());
    }
  }
  void Took(size_t choice, const GenerateStats& stats) override {
    choices_[choice].stats = stats;
  }
  void End(size_t choice, StopReason /*reason*/,
           absl::Span<const ToolCall> /*calls*/) override {
    // The last event of the last choice has the usage, which comes later.
    if (!streams() || --num_running_ == 0) return;
    out()->Event(ChoiceJson(choice).Close().Take());
    choices_[choice].is_written = true;
  }
  void Finish(const Usage& usage) override {
    JsonWriter list;
    list.Array();
    for (size_t i = 0; i < choices_.size(); ++i) {
      if (choices_[i].is_written) continue;
      JsonWriter json = ChoiceJson(i);
      if (include_usage()) WriteUsage(usage, json);
      if (!streams() && choices_.size() == 1) return Respond(json);
      const std::string text = json.Close().Take();
      if (streams()) {
        out()->Event(text);
      } else {
        list.Raw(text);
      }
    }
    if (streams()) return out()->EndStream();
    Respond(list);
  }

 private:
  struct Choice {
    std::string text;
    GenerateStats stats;
    bool is_written = false;
  };

  // Opens the last object of a choice.
  JsonWriter ChoiceJson(size_t index) const {
    const Choice& choice = choices_[index];
    const GenerateStats& stats = choice.stats;
    JsonWriter json = Open("infill");
    json.Member("index", index).Member("content", choice.text);
    json.Member("stop", true);
    json.Member("stop_reason", StopReasonName(stats.stop_reason));
    json.Member("truncated", false);
    json.Member("tokens_evaluated", stats.prompt_tokens);
    json.Member("tokens_cached", stats.reused_tokens);
    json.Member("tokens_predicted", stats.new_tokens);
    json.Key("generation_settings").Object().Member("n_ctx", context_).Close();
    json.Key("timings").Object();
    WriteTimes("prompt", stats.prompt_tokens - stats.reused_tokens,
               stats.prefill_seconds, json);
    WriteTimes("predicted", stats.new_tokens, stats.decode_seconds, json);
    json.Close();
    return json;
  }

  static void WriteTimes(std::string_view what, size_t tokens, double seconds,
                         JsonWriter& json) {
    const double n = static_cast<double>(tokens);
    json.Member(absl::StrCat(what, "_n"), tokens);
    json.Member(absl::StrCat(what, "_ms"), seconds * 1000);
    json.Member(absl::StrCat(what, "_per_token_ms"),
                tokens > 0 ? seconds * 1000 / n : 0);
    json.Member(absl::StrCat(what, "_per_second"),
                seconds > 0 ? n / seconds : 0);
  }

  const size_t context_;
  std::vector<Choice> choices_;
  size_t num_running_ = choices_.size();
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

// Reads the limits of lines: an indentation, and a time after which the end of
// a line ends the answer; -1, as editors send it, is no limit. The time of the
// prompt is ignored, as llama-server does: editors send less than a prompt
// takes.
absl::Status ReadLines(Fields& fields, LineLimits& lines) {
  GEMMA_RETURN_IF_ERROR(fields.Read("n_indent", lines.min_indent));
  fields.Ignore({"t_max_prompt_ms"});
  const std::optional<Json> json = fields.Take("t_max_predict_ms");
  if (!json.has_value()) return absl::OkStatus();
  double ms = 0;
  GEMMA_RETURN_IF_ERROR(AtField(json->Get(ms), *json));
  if (ms > 0 && ms <= kMaxSeconds * 1000) {
    lines.max_seconds = ms / 1000;
  } else if (ms != -1 && ms != 0) {
    return FieldError(
        *json, FormatText("is %g milliseconds, wanted more than 0 and at most "
                          "%g, or 0 or -1 for no limit",
                          ms, kMaxSeconds * 1000));
  }
  return absl::OkStatus();
}

// Reads the number of answers by the name that llama-server gives it.
absl::Status ReadNumAnswers(Fields& fields, size_t max_choices, size_t& n) {
  const std::optional<Json> json = fields.Take("n_cmpl");
  if (!json.has_value()) return absl::OkStatus();
  size_t count = 0;
  GEMMA_RETURN_IF_ERROR(AtField(json->Get(count), *json));
  if (count < 1 || count > max_choices) {
    return FieldError(*json,
                      FormatText("is %u, wanted 1 to %u", count, max_choices));
  }
  if (n != 1 && n != count) {
    return FieldError(*json, FormatText("is %u and 'n' is %u, wanted one of "
                                        "them",
                                        count, n));
  }
  n = count;
  return absl::OkStatus();
}

absl::StatusOr<InfillRequest> ReadInfillRequest(const ModelConfig& config,
                                                size_t max_choices,
                                                Fields& fields) {
  InfillRequest request;
  GEMMA_RETURN_IF_ERROR(fields.Read("input_prefix", request.prefix));
  GEMMA_RETURN_IF_ERROR(fields.Read("input_suffix", request.suffix));
  // The beginning of the line with the gap.
  std::string line;
  GEMMA_RETURN_IF_ERROR(fields.Read("prompt", line));
  request.prefix += line;
  GEMMA_RETURN_IF_ERROR(ReadFiles(fields, request));
  AnswerFields& answer = request.answer;
  GEMMA_RETURN_IF_ERROR(ReadAnswerFields(config, max_choices, fields, answer));
  GEMMA_RETURN_IF_ERROR(ReadNumAnswers(fields, max_choices, answer.n));
  GEMMA_RETURN_IF_ERROR(ReadLength(fields, answer));
  GEMMA_RETURN_IF_ERROR(CheckMinTokens(fields, answer));
  GEMMA_RETURN_IF_ERROR(ReadLines(fields, answer.options.lines));
  // Which fields of the response the editor reads.
  fields.Ignore({"response_fields"});
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
  GEMMA_ASSIGN_OR_RETURN(TapFunction tap, ReadSteering(*served, fields));
  GEMMA_ASSIGN_OR_RETURN(InfillRequest request,
                         ReadInfillRequest(served->model.config(),
                                           call.options.max_choices, fields));
  const size_t n = request.answer.n;
  GEMMA_ASSIGN_OR_RETURN(Admission::Place place, TakePlace(*served, call, n));
  GEMMA_RETURN_IF_ERROR(CompileForm(*served, request.answer));
  std::vector<TokenId> tokens;
  GEMMA_RETURN_IF_ERROR(EncodeGap(served->tokenizer, request, tokens));
  ResponseHead head = HeadOf(*served, call, "infill", request.answer);
  Asked asked = AskedOf(call, std::move(place), std::move(request.answer));
  asked.prompts.push_back(std::move(tokens));
  asked.tap = std::move(tap);
  return Generation::Start(served, std::move(asked), call.out,
                           std::make_unique<InfillWriter>(
                               std::move(head), call.out, n, served->context()),
                           "input_prefix");
}

}  // namespace gemma::internal
