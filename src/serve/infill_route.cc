// /infill, as editors ask llama-server: the text between two others.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/fill_in_middle.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/serve/api_error.h"
#include "src/serve/generation.h"
#include "src/serve/start.h"

namespace gemma::internal {
namespace {

constexpr size_t kMaxFiles = 256;

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
      text_ += text;
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
  if (const std::optional<Json> most = fields.Take("n_predict");
      most.has_value()) {
    size_t& tokens = request.answer.options.max_new_tokens;
    GEMMA_RETURN_IF_ERROR(AtField(most->Get(tokens), *most));
    request.answer.options.prompt_only = tokens == 0;
  }
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
  return AtParam(Generation::Start(
                     served, std::move(asked), call.out,
                     std::make_unique<InfillWriter>(std::move(head), call.out)),
                 "input_prefix");
}

}  // namespace gemma::internal
