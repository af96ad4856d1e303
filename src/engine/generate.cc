#include "src/engine/generate.h"

#include <chrono>
#include <optional>
#include <vector>

#include "src/base/status_macros.h"
#include "src/engine/answer.h"
#include "src/engine/prompt_pieces.h"
#include "src/engine/session_impl.h"
#include "src/engine/speculator.h"

namespace gemma {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Appends the prompt in pieces, so that a long one can be interrupted. Returns
// the answer's logits of its last token, or none if it was.
absl::StatusOr<absl::Span<float>> Prefill(Session& session,
                                          absl::Span<const TokenId> prompt,
                                          Answer& answer) {
  for (; prompt.size() > kPromptPiece; prompt.remove_prefix(kPromptPiece)) {
    GEMMA_RETURN_IF_ERROR(session.Append(prompt.first(kPromptPiece)));
    if (answer.Interrupted()) return absl::Span<float>();
  }
  return session.impl().Forward(prompt, answer.needed());
}

// As Prefill with all logits, and scores the prompt's tokens. The logits are in
// `rows`.
absl::StatusOr<absl::Span<float>> PrefillScored(
    Session& session, absl::Span<const TokenId> prompt, Answer& answer,
    std::vector<float>& rows) {
  const size_t vocab_size = session.model().config().vocab_size;
  for (;;) {
    const absl::Span<const TokenId> piece = prompt.subspan(0, kScoredPiece);
    rows.resize(piece.size() * vocab_size);
    GEMMA_RETURN_IF_ERROR(session.ForwardAll(piece, absl::MakeSpan(rows)));
    absl::Span<float> logits;
    for (size_t i = 0; i < piece.size(); ++i) {
      logits = absl::MakeSpan(rows).subspan(i * vocab_size, vocab_size);
      answer.Score(piece[i], logits);
    }
    prompt.remove_prefix(piece.size());
    if (prompt.empty()) return logits;
    if (answer.Interrupted()) return absl::Span<float>();
  }
}

// Chooses tokens by the prompt's last logits [vocab_size], and by those of each
// token chosen, until something ends the answer.
absl::Status Decode(absl::Span<float> logits, Answer& answer,
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

absl::StatusOr<GenerateStats> GenerateWith(
    Drafter* drafter, Session& session, absl::Span<const TokenId> prompt,
    const GenerateOptions& options,
    const std::function<bool(std::string_view text)>& on_text) {
  const Model& model = session.model();
  GEMMA_RETURN_IF_ERROR(Answer::Check(options, model.config()));
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, model.tokenizer());
  GEMMA_RETURN_IF_ERROR(
      Answer::CheckPrompt(prompt, session.remaining(), model.config()));
  GenerateStats stats;
  stats.prompt_tokens = prompt.size();
  Answer answer(model.config(), *tokenizer, options, on_text);
  const Clock::time_point start = Clock::now();
  std::vector<float> prompt_rows;
  GEMMA_ASSIGN_OR_RETURN(
      const absl::Span<float> logits,
      answer.scores_prompt()
          ? PrefillScored(session, prompt, answer, prompt_rows)
          : Prefill(session, prompt, answer));
  answer.Begin(session.tokens());
  stats.prefill_seconds = SecondsSince(start);

  const Clock::time_point decode_start = Clock::now();
  if (drafter != nullptr) drafter->Begin(session.tokens());
  Speculator speculator(session, drafter);
  GEMMA_RETURN_IF_ERROR(Decode(logits, answer, speculator));
  stats.new_tokens = answer.num_tokens();
  stats.stop_reason = answer.stop_reason();
  stats.drafted_tokens = speculator.num_drafted();
  stats.accepted_tokens = speculator.num_accepted();
  stats.decode_seconds = SecondsSince(decode_start);
  return stats;
}

absl::StatusOr<GenerateStats> Generate(
    Session& session, absl::Span<const TokenId> prompt,
    const GenerateOptions& options,
    const std::function<bool(std::string_view text)>& on_text) {
  if (options.speculation == Speculation::kOff || session.has_tap()) {
    return GenerateWith(nullptr, session, prompt, options, on_text);
  }
  NgramDrafter drafter(session, StopTokens(session.model().config(), options));
  return GenerateWith(&drafter, session, prompt, options, on_text);
}

}  // namespace gemma
