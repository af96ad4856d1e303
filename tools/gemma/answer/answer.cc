#include "tools/gemma/answer/answer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "tools/gemma/answer/answer_display.h"
#include "tools/gemma/answer/turn_options.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/terminal_text.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

// How the answer ended. `label` names the option that ended it.
std::string EndOf(StopReason reason, OptionLabel label) {
  switch (reason) {
    case StopReason::kStopToken:
      return "the model ended it";
    case StopReason::kStopString:
      return absl::StrCat("ended by ", label("stop"));
    case StopReason::kMaxTokens:
      return absl::StrCat("ended by ", label("max-tokens"));
    case StopReason::kContextFull:
      return absl::StrCat("ended because the context is full (",
                          label("context"), ")");
    case StopReason::kCancelled:
      return "interrupted";
    case StopReason::kDeadline:
      return absl::StrCat("ended by ", label("timeout"));
    case StopReason::kGrammarEnd:
      return "complete";
  }
  return "";
}

// If scores are wanted, makes Generate store scored tokens in `answer`.
void SetScores(const WantedScores& wanted, size_t num_prompt_tokens,
               GenerateOptions* generate, Answer* answer) {
  if (!wanted.num_alternatives.has_value()) return;
  generate->num_alternatives = *wanted.num_alternatives;
  generate->score_prompt = wanted.of_prompt;
  generate->on_token = [=](const ScoredToken& token) {
    const bool of_prompt =
        wanted.of_prompt && answer->prompt_tokens.size() < num_prompt_tokens;
    (of_prompt ? answer->prompt_tokens : answer->tokens).push_back(token);
  };
}

// The error of an answer that was stopped while the prompt was read.
absl::Status StoppedInPrompt(const GenerateStats& stats, size_t prompt_size,
                             const AnswerOptions& options) {
  if (stats.stop_reason != StopReason::kDeadline) return InterruptedError();
  return absl::DeadlineExceededError(absl::StrFormat(
      "%s: only %u of the prompt's %u tokens were read in time",
      options.label("timeout"), stats.prompt_tokens, prompt_size));
}

// Receives the parts of an answer. Returns false to stop.
struct AnswerView {
  std::function<bool(std::string_view text)> text;
  std::function<void(std::string_view text)> thoughts;
};

// Appends `prompt` to the session and generates an answer to it.
absl::StatusOr<Answer> Produce(Session& session,
                               absl::Span<const TokenId> prompt,
                               const AnswerOptions& options,
                               const WantedScores& wanted,
                               const AnswerView& view) {
  Answer answer;
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer,
                         session.model().tokenizer());
  bool goes_on = true;
  const bool has_calls = options.is_turn && options.has_tools;
  AnswerParser parser(
      *tokenizer,
      [&](std::string_view text) { goes_on = goes_on && view.text(text); },
      view.thoughts, {},
      has_calls ? DialectOf(session.model()) : ToolDialect::kNone);
  GenerateOptions generate = ToGenerateOptions(options);
  generate.cancelled = Interrupted;
  if (options.is_turn) {
    generate.on_control = [&](TokenId token) { parser.Control(token); };
  }
  SetScores(wanted, prompt.size(), &generate, &answer);
  auto progress = std::make_unique<Progress>("reading the prompt", "tok");
  generate.on_prompt = [&progress](size_t done, size_t total) {
    progress->Update(done, total);
    if (done == total) progress.reset();  // before the answer appears
  };
  GEMMA_ASSIGN_OR_RETURN(answer.stats, Generate(session, prompt, generate,
                                                [&](std::string_view text) {
                                                  parser.Text(text);
                                                  return goes_on;
                                                }));
  parser.Finish();
  if (answer.stats.prompt_tokens < prompt.size()) {
    return StoppedInPrompt(answer.stats, prompt.size(), options);
  }
  const ParsedAnswer& parsed = parser.answer();
  answer.text = parsed.text;
  answer.thoughts = parsed.thoughts;
  answer.tool_calls = parsed.tool_calls;
  answer.has_markers = parsed.has_markers;
  return answer;
}

// Writes a newline if the answer does not end with one; see
// AnswerOptions::as_is.
absl::Status WriteLineEnd(const Answer& answer, const AnswerOptions& options) {
  const bool as_is = options.as_is && !OutputIsTerminal();
  const bool is_only_calls = answer.text.empty() && !answer.tool_calls.empty();
  if (as_is || is_only_calls || absl::EndsWith(answer.text, "\n")) {
    return absl::OkStatus();
  }
  return WriteOutput("\n");
}

// Returns whether standard output is a pipe, whose reader may write to the
// terminal what it has read.
bool OutputIsPipe() {
  struct stat info = {};
  return fstat(STDOUT_FILENO, &info) == 0 && S_ISFIFO(info.st_mode);
}

// Says that an answer ended too early: off a terminal, nothing else shows it.
void NoteCut(const Answer& answer, const AnswerOptions& options, size_t context,
             bool at_terminal, bool quiet) {
  if (quiet) return;
  std::string mark = CutMark(answer.stats, context, options.label);
  const bool has_form = options.grammar != nullptr;
  if (has_form && answer.stats.stop_reason == StopReason::kStopString) {
    mark = absl::StrCat("[cut by a text of ", options.label("stop"), "]");
  }
  if (mark.empty()) return;
  const bool is_broken =
      has_form &&
      !(options.is_json && nlohmann::ordered_json::accept(answer.text));
  if (at_terminal && OutputIsPipe()) ShowPrompt("\n");
  if (at_terminal && !is_broken) {
    Tell(mark);
    return;
  }
  const std::string_view why =
      absl::StripSuffix(absl::StripPrefix(mark, "["), "]");
  Note(absl::StrCat(!is_broken        ? "the answer is "
                    : options.is_json ? "the answer is not whole JSON: "
                                      : "the answer may be only the beginning "
                                        "of one that is allowed: ",
                    why));
}

absl::Status WriteEnd(const Answer& answer, const AnswerOptions& options) {
  GEMMA_RETURN_IF_ERROR(WriteLineEnd(answer, options));
  return WriteOutput(CallLines(answer.tool_calls));
}

}  // namespace

GenerateOptions ToGenerateOptions(const AnswerOptions& options) {
  GenerateOptions generate;
  generate.max_new_tokens = options.max_tokens;
  generate.sampling = options.sampling;
  generate.stop_strings = options.stop;
  generate.stop_tokens = options.stop_tokens;
  generate.grammar = options.grammar;
  generate.checkpoints = options.checkpoints;
  if (options.speculate == "off") generate.speculation = Speculation::kOff;
  if (options.timeout > 0) {
    using Clock = std::chrono::steady_clock;
    generate.deadline =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(
                           std::chrono::duration<double>(options.timeout));
  }
  return generate;
}

absl::StatusOr<Answer> StreamAnswer(Session& session,
                                    absl::Span<const TokenId> prompt,
                                    const AnswerOptions& options) {
  AnswerDisplay display(options);
  AnswerView view;
  view.thoughts = [&](std::string_view text) { display.Thoughts(text); };
  view.text = [&](std::string_view text) { return display.Text(text); };
  absl::StatusOr<Answer> answer = Produce(session, prompt, options, {}, view);
  if (!answer.ok()) {
    display.Abandon();
    return answer;
  }
  GEMMA_RETURN_IF_ERROR(display.End());
  GEMMA_RETURN_IF_ERROR(WriteEnd(*answer, options));
  return answer;
}

absl::Status WriteAnswer(const Answer& answer, const AnswerOptions& options) {
  AnswerDisplay display(options);
  display.Thoughts(answer.thoughts);
  display.Text(answer.text);
  GEMMA_RETURN_IF_ERROR(display.End());
  return WriteEnd(answer, options);
}

absl::StatusOr<Answer> GatherAnswer(Session& session,
                                    absl::Span<const TokenId> prompt,
                                    const AnswerOptions& options,
                                    const WantedScores& wanted) {
  GEMMA_ASSIGN_OR_RETURN(Answer answer,
                         Produce(session, prompt, options, wanted,
                                 {[](std::string_view) { return true; }, {}}));
  if (wanted.num_alternatives.has_value()) return answer;
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer,
                         session.model().tokenizer());
  for (const TokenId token : session.tokens().last(answer.stats.new_tokens)) {
    answer.tokens.push_back({token, tokenizer->Piece(token)});
  }
  return answer;
}

std::string AllText(const ParsedAnswer& answer) {
  std::string all;
  for (const std::string& part :
       {answer.thoughts, answer.text, CallLines(answer.tool_calls)}) {
    if (part.empty()) continue;
    absl::StrAppend(&all, all.empty() ? "" : "\n", part);
  }
  return all;
}

std::string StatsLine(const GenerateStats& stats, OptionLabel label) {
  const double prompt_rate =
      stats.prefill_seconds > 0
          ? static_cast<double>(stats.prompt_tokens) / stats.prefill_seconds
          : 0;
  std::string speculation;
  if (stats.drafted_tokens > 0) {
    speculation = absl::StrFormat(", speculation %d of %d right",
                                  stats.accepted_tokens, stats.drafted_tokens);
  }
  return absl::StrFormat("prompt: %s, %.1f tok/s; answer: %s, %.1f tok/s%s; %s",
                         Counted(stats.prompt_tokens, "token"), prompt_rate,
                         Counted(stats.new_tokens, "token"),
                         stats.decode_tokens_per_second(), speculation,
                         EndOf(stats.stop_reason, label));
}

std::string CutMark(const GenerateStats& stats, size_t context,
                    OptionLabel label) {
  switch (stats.stop_reason) {
    case StopReason::kMaxTokens:
      return absl::StrCat("[cut at ", Counted(stats.new_tokens, "token"), ": ",
                          label("max-tokens"), "]");
    case StopReason::kContextFull:
      return absl::StrCat("[cut, because the context of ", context,
                          " tokens is full: ", label("context"), "]");
    case StopReason::kDeadline:
      return absl::StrCat("[cut by the time limit: ", label("timeout"), "]");
    default:
      return "";
  }
}

void NoteAnswer(const Answer& answer, const AnswerOptions& options,
                size_t context, bool verbose, bool quiet) {
  const bool at_terminal = StderrIsTerminal() && !quiet;
  // The terminal has shown ^C on a line that no answer ends.
  if (at_terminal && !OutputIsTerminal() &&
      answer.stats.stop_reason == StopReason::kCancelled) {
    ShowPrompt("\n");
  }
  NoteCut(answer, options, context, at_terminal, quiet);
  if (!verbose && !at_terminal) return;
  Note(absl::StrCat(StatsLine(answer.stats, options.label),
                    SeedNote(options.sampling)));
}

}  // namespace gemma::tools
