#include "tools/gemma/answer/batch.h"

#include <algorithm>
#include <chrono>
#include <list>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "tools/gemma/answer/answer.h"
#include "tools/gemma/answer/answer_report.h"
#include "tools/gemma/answer/batch_answers.h"
#include "tools/gemma/answer/batch_resume.h"
#include "tools/gemma/answer/turn_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/memory.h"
#include "tools/gemma/machine/model_error.h"

namespace gemma::tools {
namespace {

// Requests given to the engine for each sequence: some wait, so that the engine
// never does.
constexpr size_t kAhead = 2;
// Time between two looks for completed answers.
constexpr auto kPause = std::chrono::milliseconds(5);

bool IsBlank(std::string_view line) {
  return absl::StripAsciiWhitespace(line).empty();
}

class Batch {
 public:
  Batch(const Model& model, Engine& engine, const BatchOptions& options,
        const BatchRequest& defaults, std::vector<std::string_view> lines,
        BatchAnswers answers)
      : model_(model),
        engine_(engine),
        options_(options),
        defaults_(defaults),
        lines_(std::move(lines)),
        answers_(std::move(answers)),
        progress_(
            Progress::OfCount("answering", options.quiet, options.verbose)) {
    for (size_t i = 0; i < lines_.size(); ++i) {
      if (IsBlank(lines_[i])) continue;
      ++total_;
      if (answers_.Has(i)) ++done_;
    }
    failed_ = answers_.num_errors();
    kept_ = done_ - failed_;
    progress_.StartAt(done_);
  }

  absl::Status Run() {
    while (done_ < total_) {
      if (Interrupted()) return Stopped();
      GEMMA_RETURN_IF_ERROR(Submit());
      GEMMA_ASSIGN_OR_RETURN(const bool any, Collect());
      progress_.UpdateCount(
          done_, total_,
          absl::StrFormat("%.1f tok/s", num_tokens_ / stopwatch_.seconds()));
      if (!any && !running_.empty()) std::this_thread::sleep_for(kPause);
    }
    return absl::OkStatus();
  }

  absl::Status Summary() const {
    if (options_.verbose) {
      const double seconds = stopwatch_.seconds();
      const std::string before =
          kept_ == 0 ? "" : absl::StrCat(", ", kept_, " of them before");
      Note(absl::StrFormat("%u of %u lines answered%s; %u tokens, %.1f tok/s",
                           total_ - failed_, total_, before, num_tokens_,
                           num_tokens_ / seconds));
    }
    if (failed_ == 0) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(failed_, " of ", total_, " lines could not be answered",
                     options_.output == "-"
                         ? ""
                         : absl::StrCat("; see 'error' in ", options_.output)));
  }

 private:
  struct Running {
    size_t line;
    std::string id;
    uint64_t seed;
    nlohmann::ordered_json options;
    Ticket ticket;
    std::string prompt;             // for the guard
    std::vector<Verdict> verdicts;  // the guard's
    // Gets the answer on the engine's thread; null: the answer is a text.
    std::shared_ptr<AnswerParser> parser;

    // The parts of an answer that is complete.
    ParsedAnswer Parts(const Completion& completion) const {
      if (parser == nullptr) return {.text = completion.text};
      return parser->answer();
    }
  };

  // Submits lines until the engine has enough of them.
  absl::Status Submit() {
    for (; next_ < lines_.size(); ++next_) {
      if (running_.size() >= kAhead * options_.size) return absl::OkStatus();
      if (IsBlank(lines_[next_]) || answers_.Has(next_)) continue;
      BatchRequest request;
      std::vector<Verdict> verdicts;
      std::shared_ptr<AnswerParser> parser;
      absl::StatusOr<Ticket> ticket =
          Begin(lines_[next_], &request, &verdicts, &parser);
      if (ticket.ok()) {
        running_.push_back({next_, request.id, request.options.sampling.seed,
                            OptionsOf(request), *std::move(ticket),
                            PromptText(request), std::move(verdicts),
                            std::move(parser)});
      } else if (absl::IsCancelled(ticket.status())) {
        return absl::OkStatus();
      } else if (IsRefused(ticket.status())) {
        GEMMA_RETURN_IF_ERROR(
            WriteRefusal(next_, request.id, OptionsOf(request), verdicts));
      } else {
        GEMMA_RETURN_IF_ERROR(WriteError(next_, request.id, ticket.status()));
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Ticket> Begin(std::string_view line, BatchRequest* request,
                               std::vector<Verdict>* verdicts,
                               std::shared_ptr<AnswerParser>* parser) {
    GEMMA_RETURN_IF_ERROR(ParseBatchRequest(line, defaults_, request));
    GEMMA_RETURN_IF_ERROR(FindTokens(model_, &request->options, FieldLabel));
    const bool chat = LimitAnswer(options_.prompt, request);
    if (options_.guard != nullptr) {
      GEMMA_ASSIGN_OR_RETURN(verdicts->emplace_back(),
                             options_.guard->JudgePrompt(PromptText(*request)));
      GEMMA_RETURN_IF_ERROR(RefusalOf(*verdicts));
    }
    GEMMA_RETURN_IF_ERROR(NoteControl(*request));
    Request engine_request;
    GEMMA_ASSIGN_OR_RETURN(engine_request.prompt,
                           PromptTokens(model_, *request, options_.prompt));
    engine_request.options = ToGenerateOptions(request->options);
    if (chat && request->options.grammar == nullptr) {
      GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, TokenizerOf(model_));
      const bool has_tools = !request->turns.tools.empty();
      *parser = std::make_shared<AnswerParser>(
          *tokenizer, nullptr, nullptr, nullptr,
          has_tools ? DialectOf(model_) : ToolDialect::kNone);
      engine_request.on_text = [parts = *parser](std::string_view text) {
        parts->Text(text);
        return true;
      };
      engine_request.options.on_control = [parts = *parser](TokenId token) {
        parts->Control(token);
      };
    } else if (request->turns.thinking.value_or(false) ||
               !request->turns.tools.empty()) {
      return absl::InvalidArgumentError(
          "'think' and 'tools' need an answer without --format, --regex and "
          "--choice");
    }
    return engine_.Submit(std::move(engine_request));
  }

  // Notes the first control token that a prompt names but that stays text.
  absl::Status NoteControl(const BatchRequest& request) {
    if (control_noted_ || options_.quiet || options_.prompt.chat ||
        options_.prompt.parse_control || !request.messages.empty()) {
      return absl::OkStatus();
    }
    GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, TokenizerOf(model_));
    control_noted_ = NoteControlTokens(*tokenizer, request.prompt);
    return absl::OkStatus();
  }

  // Writes completed answers. Returns whether there were any.
  absl::StatusOr<bool> Collect() {
    bool any = false;
    for (auto it = running_.begin(); it != running_.end();) {
      if (!it->ticket.done()) {
        ++it;
        continue;
      }
      any = true;
      const absl::StatusOr<Completion>& completion = it->ticket.Wait();
      if (completion.ok()) {
        if (it->parser != nullptr) it->parser->Finish();
        const absl::Status status = Judge(AllText(it->Parts(*completion)), *it);
        if (absl::IsCancelled(status)) return any;
        GEMMA_RETURN_IF_ERROR(
            IsRefused(status)
                ? WriteRefusal(it->line, it->id, it->options, it->verdicts)
            : status.ok() ? WriteAnswer(*it, *completion)
                          : WriteError(it->line, it->id, status));
      } else {
        GEMMA_RETURN_IF_ERROR(
            WriteError(it->line, it->id, completion.status()));
      }
      it = running_.erase(it);
    }
    return any;
  }

  // Lets the guard, if any, judge an answer. A RefusedError if it refuses.
  absl::Status Judge(std::string_view answer, Running& running) const {
    if (options_.guard == nullptr) return absl::OkStatus();
    GEMMA_ASSIGN_OR_RETURN(running.verdicts.emplace_back(),
                           options_.guard->JudgeAnswer(running.prompt, answer));
    return RefusalOf(running.verdicts);
  }

  absl::Status WriteAnswer(const Running& running,
                           const Completion& completion) {
    ++done_;
    num_tokens_ += completion.tokens.size();
    const GenerateStats& stats = completion.stats;
    const ParsedAnswer parts = running.Parts(completion);
    nlohmann::ordered_json fields = {{"options", running.options},
                                     {"text", parts.text}};
    AddParts(parts.thoughts, parts.tool_calls, &fields);
    fields["stop_reason"] = StopReasonName(stats.stop_reason);
    fields["prompt_tokens"] = stats.prompt_tokens;
    fields["new_tokens"] = stats.new_tokens;
    fields["seed"] = running.seed;
    if (!running.verdicts.empty()) {
      fields["guard"] = VerdictsJson(running.verdicts);
    }
    return answers_.Write(running.line, lines_[running.line], running.id,
                          fields);
  }

  nlohmann::ordered_json OptionsOf(const BatchRequest& request) const {
    return LineOptions(options_, request);
  }

  absl::Status WriteRefusal(size_t line, const std::string& id,
                            nlohmann::ordered_json options,
                            absl::Span<const Verdict> verdicts) {
    ++done_;
    return answers_.Write(
        line, lines_[line], id,
        {{"options", std::move(options)}, {"guard", VerdictsJson(verdicts)}});
  }

  absl::Status WriteError(size_t line, const std::string& id,
                          const absl::Status& error) {
    ++done_;
    ++failed_;
    return answers_.Write(line, lines_[line], id, {{"error", error.message()}});
  }

  absl::Status Stopped() const {
    if (!options_.quiet && options_.output != "-") {
      Note(absl::StrCat(done_, " of ", total_,
                        " lines done; run the same command to do the rest"));
    }
    return InterruptedError();
  }

  const Model& model_;
  Engine& engine_;
  const BatchOptions& options_;
  const BatchRequest& defaults_;
  const std::vector<std::string_view> lines_;
  BatchAnswers answers_;
  Progress progress_;
  Stopwatch stopwatch_;
  std::list<Running> running_;
  size_t next_ = 0;  // line
  size_t total_ = 0;
  size_t done_ = 0;
  size_t failed_ = 0;
  size_t kept_ = 0;  // answers that the output had
  size_t num_tokens_ = 0;
  bool control_noted_ = false;
};

// Options of an engine that fits in memory, or an error that says what does not
// fit.
absl::StatusOr<EngineOptions> OptionsOfEngine(
    const Model& model, const ModelOptions& model_options, size_t size,
    const std::vector<std::string_view>& lines) {
  const size_t count = lines.size() - static_cast<size_t>(std::count_if(
                                          lines.begin(), lines.end(), IsBlank));
  const SessionOptions session =
      SessionOptionsOf(model_options, DefaultContext(model));
  EngineOptions engine;
  engine.max_tokens = session.max_tokens;
  engine.cache_format = session.cache_format;
  engine.max_sequences = std::min(size, std::max<size_t>(count, 1));
  if (model_options.ignore_memory) return engine;
  MemoryPlan plan =
      PlanOf(model, model_options, session.max_tokens, engine.max_sequences);
  plan.use = [&](const Amounts& amounts) {
    EngineOptions smaller = engine;
    smaller.max_tokens = amounts.context;
    smaller.max_sequences = amounts.sequences;
    return Engine::MemoryFor(model, smaller);
  };
  const Memory memory = ReadMemory();
  GEMMA_RETURN_IF_ERROR(CheckMemory(plan, memory));
  // The rest of the memory may keep beginnings of prompts for reuse.
  engine.reuse_bytes = std::min(engine.reuse_bytes, BytesLeft(plan, memory));
  return engine;
}

}  // namespace

const char kBatchHelp[] =
    R"(With --batch, each line of FILE is a JSON string, which is the prompt,
or a JSON object:
  id                     optional: a string or a number, copied to the
                         output
  prompt, system         strings; system is optional
  messages               instead of both: [{"role", "content"}] with the
                         roles system, developer, user, assistant and
                         tool. An assistant may have tool_calls, each with
                         name and arguments, and thoughts; a tool has the
                         name that was called, or tool_call_id. A content
                         may be a list of parts: [{"type": "text", "text"}]
  think, tools           true or false; a list as in the file of --tools
  temperature, max_tokens, stop, ...
                         options for this line: the flags above that
                         concern the answer, with "_" for "-"; timeout
                         includes the time in which the line waits
--output receives one line for each, in the order in which answers end:
  line, input, id        the line's number (from 1), its CRC-32, its id
  schema_version, gemma_version, model, path, file_type, options, text,
  thoughts, tool_calls, stop_reason, prompt_tokens, new_tokens, seed
                         as with --json
  guard                  with --guard, as with --json; a refused line has
                         guard but no text, and does not count as an error
  error                  instead of an answer: why the line failed; the
                         other lines are answered, and the exit code is 1
Empty lines are skipped. An existing --output file is continued if its
answers are of the same model, options and seeds; --force starts over. Each
answer is the same as that of a `gemma run` with this prompt and seed
alone. The seed is 0 if neither the line nor --seed gives one.

)";

absl::Status RunBatch(const Model& model, const ModelOptions& model_options,
                      const BatchOptions& options,
                      const BatchRequest& defaults) {
  GEMMA_ASSIGN_OR_RETURN(const std::string text, ReadText(options.input));
  GEMMA_RETURN_IF_ERROR(CheckIsLines(text, InputName(options.input)));
  const std::vector<std::string_view> lines = SplitLines(text);
  GEMMA_ASSIGN_OR_RETURN(
      const EngineOptions engine_options,
      OptionsOfEngine(model, model_options, options.size, lines));
  GEMMA_ASSIGN_OR_RETURN(Engine engine, Engine::Create(model, engine_options));
  nlohmann::ordered_json head = options.head;
  head.erase("options");  // each line has its own
  GEMMA_ASSIGN_OR_RETURN(
      BatchAnswers answers,
      BatchAnswers::Open(
          options.output, lines, std::move(head),
          [&](const nlohmann::ordered_json& answer, size_t line) {
            return DifferenceOf(answer, lines[line], options, defaults);
          },
          options.restart));
  Batch batch(model, engine, options, defaults, lines, std::move(answers));
  GEMMA_RETURN_IF_ERROR(batch.Run());
  return batch.Summary();
}

}  // namespace gemma::tools
