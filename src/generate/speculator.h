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

// Guesses the next tokens, so that one pass can check them.
class Drafter {
 public:
  virtual ~Drafter() = default;

  // The sequence begins with `tokens`; kRowToken stands for a row.
  virtual void Begin(absl::Span<const TokenId> tokens) = 0;

  // The sequence goes on with `token`.
  virtual void Append(TokenId token) = 0;

  // Returns at most `most` tokens of the vocabulary that may follow. They stay
  // valid until the next call.
  virtual absl::Span<const TokenId> Draft(size_t most) = 0;

  // A pass over the last token and its draft, `rows` in all, took this long.
  virtual void PassTook(size_t rows, double seconds) = 0;
};

// Appends tokens to a session one by one, as Session::Forward does, and returns
// the same logits, bit for bit: a draft only decides which logits are computed
// beforehand. Meanwhile the session may hold drafted tokens at its end. Finish
// and the destructor remove them.
class Speculator {
 public:
  // The session and the drafter must outlive the speculator, and no other code
  // may change them. If `drafter` is null, each token is a pass.
  Speculator(Session& session, Drafter* drafter);
  ~Speculator();
  Speculator(const Speculator&) = delete;
  Speculator& operator=(const Speculator&) = delete;

  // Appends `token` and returns the logits [vocab_size] after it. They may be
  // overwritten and stay valid until the next call. `most`: how many tokens may
  // still be appended after `token`. `needed`: which logits are needed.
  absl::StatusOr<absl::Span<float>> Append(TokenId token, size_t most,
                                           const NeededLogits& needed);

  // Leaves the session with the appended tokens only.
  absl::Status Finish();

  // How many tokens still fit.
  size_t remaining() const { return session_.remaining() + num_ahead(); }

  size_t num_drafted() const { return num_drafted_; }
  size_t num_accepted() const { return num_accepted_; }  // of those

 private:
  // How many drafted tokens in the session are not appended yet.
  size_t num_ahead() const { return pass_.size() - num_appended_; }

  // Adds a draft of at most `most` tokens to next_, and room for its logits.
  void AddDraft(size_t most);

  // Computes next_. Returns the logits after its first token.
  absl::StatusOr<absl::Span<float>> RunPass(const NeededLogits& needed);

  // Returns a row of logits_.
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
