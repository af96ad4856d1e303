#include "gemma/score.h"

#include <algorithm>

#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/generate/scored_tokens.h"
#include "src/session/model_impl.h"
#include "src/session/session_impl.h"

namespace gemma {
namespace {

using Choices = absl::Span<const std::vector<TokenId>>;

// Rows of logits computed at once. They need little memory, and they are so few
// that every CPU adds them in the same order as single rows.
constexpr size_t kRows = 16;

absl::Status CheckChoice(const Session& session, size_t prompt_tokens,
                         const std::vector<TokenId>& choice, size_t index) {
  if (choice.empty()) {
    return absl::InvalidArgumentError(
        FormatText("choice %u has no tokens, wanted 1 or more", index));
  }
  GEMMA_RETURN_IF_ERROR(CheckTokens(choice, session.model().config(),
                                    FormatText("choice %u", index)));
  const size_t room = session.remaining();
  if (prompt_tokens > room || choice.size() > room - prompt_tokens) {
    return absl::OutOfRangeError(FormatText(
        "the prompt has %u tokens and choice %u %u, the context has room for "
        "%u",
        prompt_tokens, index, choice.size(), room));
  }
  return absl::OkStatus();
}

absl::Status CheckChoices(const Session& session, size_t prompt_tokens,
                          Choices choices) {
  if (choices.empty()) {
    return absl::InvalidArgumentError("there are no choices, wanted 1 or more");
  }
  for (size_t i = 0; i < choices.size(); ++i) {
    GEMMA_RETURN_IF_ERROR(CheckChoice(session, prompt_tokens, choices[i], i));
  }
  return absl::OkStatus();
}

// Adds the score of the next token of a choice.
void Add(double log_probability, ChoiceScore& score) {
  score.log_probability += log_probability;
  score.token_log_probabilities.push_back(log_probability);
}

// Adds the scores of all tokens of a choice except the first, and appends all
// tokens except the last. `rows` is scratch.
absl::Status AddRest(Session& session, absl::Span<const TokenId> choice,
                     std::vector<float>& rows, ChoiceScore& score) {
  const size_t vocab_size = session.model().config().vocab_size;
  while (choice.size() > 1) {
    const size_t count = std::min(kRows, choice.size() - 1);
    rows.resize(count * vocab_size);
    GEMMA_RETURN_IF_ERROR(
        session.ForwardAll(choice.first(count), absl::MakeSpan(rows)));
    for (size_t i = 0; i < count; ++i) {
      const absl::Span<const float> row =
          absl::MakeSpan(rows).subspan(i * vocab_size, vocab_size);
      GEMMA_RETURN_IF_ERROR(
          CheckFinite(row, session.position() - count + i + 1));
      const LogProbabilities log_probabilities(row);
      Add(log_probabilities[choice[i + 1]], score);
    }
    choice.remove_prefix(count);
  }
  return absl::OkStatus();
}

// As Score, for checked choices. If it fails, the session may hold more tokens
// than before.
absl::StatusOr<std::vector<ChoiceScore>> ScoreChecked(Session& session,
                                                      const WordView& prompt,
                                                      Choices choices) {
  std::vector<ChoiceScore> scores(choices.size());
  GEMMA_ASSIGN_OR_RETURN(const absl::Span<float> logits,
                         session.impl().Forward(prompt, {}));
  GEMMA_RETURN_IF_ERROR(CheckFinite(logits, session.position()));
  const LogProbabilities first(logits);
  size_t longest = 0;
  for (size_t i = 0; i < choices.size(); ++i) {
    Add(first[choices[i][0]], scores[i]);
    longest = std::max(longest, choices[i].size());
  }
  if (longest - 1 > session.options().max_rollback) {
    GEMMA_RETURN_IF_ERROR(session.Checkpoint());
  }

  const size_t end = session.position();
  std::vector<float> rows;
  for (size_t i = 0; i < choices.size(); ++i) {
    GEMMA_RETURN_IF_ERROR(AddRest(session, choices[i], rows, scores[i]));
    GEMMA_RETURN_IF_ERROR(session.Rewind(end));
  }
  return scores;
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
        GEMMA_RETURN_IF_ERROR(CheckChoices(session, prompt.size(), choices));
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
