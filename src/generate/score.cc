#include "gemma/score.h"

#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/generate/choices.h"
#include "src/session/model_impl.h"
#include "src/session/session_impl.h"

namespace gemma {
namespace {

// As Score, for checked choices. If it fails, the session may hold more tokens
// than before.
absl::StatusOr<std::vector<ChoiceScore>> ScoreChecked(Session& session,
                                                      const WordView& prompt,
                                                      Choices choices) {
  ChoiceScorer scorer(choices, kChoiceRows);
  GEMMA_ASSIGN_OR_RETURN(const absl::Span<float> logits,
                         session.impl().Forward(prompt, {}));
  const size_t end = session.position();
  GEMMA_RETURN_IF_ERROR(scorer.Begin(logits, end));
  if (scorer.longest() > session.options().max_rollback) {
    GEMMA_RETURN_IF_ERROR(session.Checkpoint());
  }
  std::vector<float> rows;
  while (true) {
    const absl::Span<const TokenId> next = scorer.Next();
    if (next.empty() || scorer.at_prompt()) {
      GEMMA_RETURN_IF_ERROR(session.Rewind(end));
    }
    if (next.empty()) return scorer.TakeScores();
    rows.resize(next.size() * logits.size());
    GEMMA_RETURN_IF_ERROR(session.ForwardAll(next, absl::MakeSpan(rows)));
    GEMMA_RETURN_IF_ERROR(
        scorer.Took({rows.data(), next.size(), logits.size()}));
  }
}

// Rewinds to `begin` after a failure and returns its status. If that fails too,
// adds to the message that the session has changed.
absl::Status Undo(Session& session, size_t begin, const absl::Status& failure) {
  const absl::Status undone = session.Rewind(begin);
  if (undone.ok()) return failure;
  return NoThrow([&] {
    return absl::Status(
        failure.code(),
        FormatText("%s; the session now has %u tokens instead of %u, because "
                   "the rewind failed: %s",
                   failure.message(), session.position(), begin,
                   undone.message()));
  });
}

absl::StatusOr<std::vector<ChoiceScore>> ScoreWords(Session& session,
                                                    const WordView& prompt,
                                                    Choices choices) {
  const size_t begin = session.position();
  absl::StatusOr<std::vector<ChoiceScore>> scores =
      NoThrow([&]() -> absl::StatusOr<std::vector<ChoiceScore>> {
        GEMMA_RETURN_IF_ERROR(CheckChoices(session.model().config(),
                                           session.remaining(), prompt.size(),
                                           choices));
        return ScoreChecked(session, prompt, choices);
      });
  if (scores.ok()) return scores;
  const absl::Status failure =
      session.model().impl().WithBadWeight(scores.status());
  if (session.position() == begin) return failure;
  return Undo(session, begin, failure);
}

}  // namespace

absl::StatusOr<std::vector<ChoiceScore>> Score(Session& session,
                                               absl::Span<const TokenId> prompt,
                                               Choices choices) {
  return ScoreWords(session, prompt, choices);
}

absl::StatusOr<std::vector<ChoiceScore>> Score(Session& session,
                                               const Words& prompt,
                                               Choices choices) {
  return ScoreWords(session, prompt, choices);
}

absl::Status NotFiniteError(const Model& model, std::string_view what) {
  return NoThrow([&] {
    return model.impl().WithBadWeight(
        WithReason(absl::DataLossError(what), ErrorReason::kNotFinite));
  });
}

}  // namespace gemma
