#include "src/generate/generate.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "src/generate/answer.h"
#include "src/generate/ngram_drafter.h"
#include "src/generate/prompt_pieces.h"
#include "src/generate/speculator.h"
#include "src/session/model_impl.h"
#include "src/session/session_impl.h"

namespace gemma {
namespace {

// Returns the rows of the prompt's largest pass. Passes have at most `most`
// rows; bidirectional rows are not divided and may be more.
size_t LargestPass(const WordView& prompt, size_t most) {
  size_t largest = std::min(most, prompt.size());
  prompt.ForEachRun([&](const WordView::Run& run) {
    if (run.bidirectional()) largest = std::max(largest, run.count);
  });
  return largest;
}

// Appends the prompt pass by pass, and calls the answer's EndsPrompt after
// each. Returns the logits of the prompt's last token, which are not computed
// if the answer needs none, or an empty span if the answer ended before. The
// logits are in `rows` if the prompt is scored.
absl::StatusOr<absl::Span<float>> Prefill(Session& session,
                                          const WordView& prompt,
                                          absl::Span<const size_t> checkpoints,
                                          Answer& answer,
                                          std::vector<float>& rows) {
  Session::Impl& impl = session.impl();
  const size_t vocab_size = session.model().config().vocab_size;
  const bool scored = answer.scores_prompt();
  const size_t most = PromptRows(scored, impl.executor().max_rows());
  if (scored) rows.resize(LargestPass(prompt, most) * vocab_size);
  const absl::Span<float> logits =
      scored ? absl::MakeSpan(rows) : impl.logits();
  GEMMA_RETURN_IF_ERROR(impl.Reserve(prompt));
  for (size_t done = 0;;) {
    const auto next = std::ranges::upper_bound(checkpoints, done);
    const size_t end = next == checkpoints.end() ? prompt.size() : *next;
    const WantedLogits wanted = scored                 ? WantedLogits::kAll
                                : end == prompt.size() ? answer.prompt_logits()
                                                       : WantedLogits::kNone;
    GEMMA_ASSIGN_OR_RETURN(
        const size_t count,
        impl.AppendPass(prompt.First(end).From(done), wanted, logits.data(),
                        scored ? nullptr : &answer.needed(), most));
    const size_t num_scored = scored ? count : 0;
    for (size_t i = 0; i < num_scored; ++i) {
      answer.Score(prompt.tokens()[done + i],
                   logits.subspan(i * vocab_size, vocab_size));
    }
    done += count;
    if (std::ranges::binary_search(checkpoints, done)) {
      GEMMA_RETURN_IF_ERROR(session.Checkpoint());
    }
    if (answer.EndsPrompt(done, prompt.size())) return absl::Span<float>();
    if (done == prompt.size()) {
      return scored ? logits.subspan((count - 1) * vocab_size, vocab_size)
                    : logits;
    }
  }
}

// Chooses tokens by the prompt's last logits [vocab_size], then by those of
// each chosen token, until the answer ends.
absl::Status DecodeAnswer(absl::Span<float> logits, Answer& answer,
                          Speculator& speculator) {
  while (!answer.Ended(speculator.remaining())) {
    const size_t left = answer.Left(speculator.remaining());
    const std::optional<TokenId> token = answer.Choose(logits);
    if (!token.has_value()) break;
    GEMMA_ASSIGN_OR_RETURN(
        logits, speculator.Append(*token, left - 1, answer.needed()));
  }
  answer.Finish();
  GEMMA_RETURN_IF_ERROR(speculator.Finish());
  return answer.status();
}

}  // namespace

absl::StatusOr<GenerateStats> internal::GenerateWith(
    Drafter* drafter, Session& session, const WordView& prompt,
    const GenerateOptions& options,
    const std::function<bool(std::string_view text)>& on_text) {
  const Model& model = session.model();
  GEMMA_RETURN_IF_ERROR(Answer::Check(options, model.config()));
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, model.tokenizer());
  GEMMA_RETURN_IF_ERROR(
      Answer::CheckPrompt(prompt, session.remaining(), model.config(),
                          session.impl().executor().max_rows()));
  GEMMA_RETURN_IF_ERROR(Answer::CheckCheckpoints(options, prompt));
  GenerateStats stats;
  const size_t position = session.position();
  Answer answer(model.config(), *tokenizer, options, on_text);
  Stopwatch stopwatch;
  std::vector<float> prompt_rows;
  GEMMA_ASSIGN_OR_RETURN(
      const absl::Span<float> logits,
      Prefill(session, prompt, options.checkpoints, answer, prompt_rows));
  stats.prompt_tokens = session.position() - position;
  answer.Begin(session.tokens());
  stats.prefill_seconds = stopwatch.seconds();

  stopwatch = Stopwatch();
  if (drafter != nullptr) drafter->Begin(session.tokens());
  Speculator speculator(session, drafter);
  GEMMA_RETURN_IF_ERROR(DecodeAnswer(logits, answer, speculator));
  stats.new_tokens = answer.num_tokens();
  stats.stop_reason = answer.stop_reason();
  stats.drafted_tokens = speculator.num_drafted();
  stats.accepted_tokens = speculator.num_accepted();
  stats.decode_seconds = stopwatch.seconds();
  return stats;
}

namespace {

absl::StatusOr<GenerateStats> GenerateWords(
    Session& session, const WordView& prompt, const GenerateOptions& options,
    const std::function<bool(std::string_view text)>& on_text) {
  absl::StatusOr<GenerateStats> stats =
      NoThrow([&]() -> absl::StatusOr<GenerateStats> {
        if (options.speculation == Speculation::kOff || session.has_tap()) {
          return GenerateWith(nullptr, session, prompt, options, on_text);
        }
        NgramDrafter drafter(session,
                             StopTokens(session.model().config(), options));
        return GenerateWith(&drafter, session, prompt, options, on_text);
      });
  if (stats.ok()) return stats;
  return session.model().impl().WithBadWeight(stats.status());
}

}  // namespace

absl::StatusOr<GenerateStats> Generate(
    Session& session, absl::Span<const TokenId> prompt,
    const GenerateOptions& options,
    const std::function<bool(std::string_view text)>& on_text) {
  return GenerateWords(session, prompt, options, on_text);
}

absl::StatusOr<GenerateStats> Generate(
    Session& session, const Words& prompt, const GenerateOptions& options,
    const std::function<bool(std::string_view text)>& on_text) {
  return GenerateWords(session, prompt, options, on_text);
}

std::string_view StopReasonName(StopReason reason) {
  switch (reason) {
    case StopReason::kStopToken:
      return "stop_token";
    case StopReason::kStopString:
      return "stop_string";
    case StopReason::kMaxTokens:
      return "max_tokens";
    case StopReason::kContextFull:
      return "context_full";
    case StopReason::kCancelled:
      return "cancelled";
    case StopReason::kDeadline:
      return "deadline";
    case StopReason::kGrammarEnd:
      return "grammar_end";
  }
  return "";
}

}  // namespace gemma
