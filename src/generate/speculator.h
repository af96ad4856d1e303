// Computes several tokens in one pass when the next ones can be guessed.

#ifndef GEMMA_SRC_GENERATE_SPECULATOR_H_
#define GEMMA_SRC_GENERATE_SPECULATOR_H_

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/session.h"
#include "src/forward/segment.h"

namespace gemma::internal {

// Guesses the tokens that follow, for checking them in one pass.
class Drafter {
 public:
  virtual ~Drafter() = default;

  // The sequence begins with `tokens`, of which kRowToken stands for a row.
  virtual void Begin(absl::Span<const TokenId> tokens) = 0;

  // It goes on with `token`.
  virtual void Append(TokenId token) = 0;

  // Tokens of the vocabulary that may follow, at most `most`. They stay valid
  // until the next call.
  virtual absl::Span<const TokenId> Draft(size_t most) = 0;

  // A pass over the last token and its draft, `rows` in all, took this long.
  virtual void PassTook(size_t rows, double seconds) = 0;
};

// Appends tokens to a session one by one, as Session::Forward does, and gives
// the same logits, bit for bit: a draft only decides which of them are computed
// beforehand. Meanwhile the session may hold drafted tokens at its end; they
// are gone after Finish, or with the speculator.
class Speculator {
 public:
  // The session must outlive the speculator, and nobody else may change it.
  // `drafter` likewise, or null: then each token is a pass.
  Speculator(Session& session, Drafter* drafter);
  ~Speculator();
  Speculator(const Speculator&) = delete;
  Speculator& operator=(const Speculator&) = delete;

  // Appends `token` and returns the logits [vocab_size] of what follows it.
  // They may be overwritten and stay valid until the next call. `most`: how
  // many tokens may still be appended after it. `needed`: of the logits.
  absl::StatusOr<absl::Span<float>> Append(TokenId token, size_t most,
                                           const NeededLogits& needed);

  // Leaves the session with the appended tokens only.
  absl::Status Finish();

  // Tokens that still fit.
  size_t remaining() const { return session_.remaining() + num_ahead(); }

  size_t num_drafted() const { return num_drafted_; }
  size_t num_accepted() const { return num_accepted_; }  // of those

 private:
  // Drafted tokens in the session that were not appended yet.
  size_t num_ahead() const { return pass_.size() - num_appended_; }

  // Adds a draft of at most `most` tokens to next_, and room for its logits.
  void AddDraft(size_t most);

  // Computes next_. Returns the logits after its first token.
  absl::StatusOr<absl::Span<float>> RunPass(const NeededLogits& needed);

  // Of logits_.
  absl::Span<float> Row(size_t row);

  Session& session_;
  Drafter* drafter_;
  std::vector<TokenId> pass_;  // the last pass: a token, then its draft
  size_t num_appended_ = 0;    // of pass_
  std::vector<TokenId> next_;  // the next one, not yet in the session
  std::vector<float> logits_;  // [pass_.size(), vocab_size] if there is a draft
  size_t num_drafted_ = 0;
  size_t num_accepted_ = 0;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_SPECULATOR_H_
