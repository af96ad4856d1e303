// Generating text.

#ifndef GEMMA_GENERATE_H_
#define GEMMA_GENERATE_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/grammar.h"
#include "gemma/sampler.h"
#include "gemma/session.h"
#include "gemma/words.h"

namespace gemma {

// Whether to guess tokens from what the sequence repeats and to check several
// of them in one pass. The answer is always the same, only its time differs.
// Guesses use up to max_rollback of the session's free roll-back (see
// SessionOptions; none, no guesses), and memory for up to 16 rows of logits.
enum class Speculation {
  kOff,
  kAuto,  // where it is measured to pay; never while the session has a tap
};

// A token and the natural logarithm of its probability by the model's logits as
// they are: before bias, penalties, temperature and whatever drops tokens. NaN
// if a logit is.
struct TokenProbability {
  TokenId token = 0;           // its index in the vocabulary
  std::string_view piece;      // Tokenizer::Piece; the model owns it
  double log_probability = 0;  // in nats, at most 0
};

// A token of a sequence and what the model expected in its place.
struct ScoredToken {
  TokenId token = 0;       // its index in the vocabulary
  std::string_view piece;  // as above
  // As above; none for the first token of a prompt.
  std::optional<double> log_probability;
  // The most probable first, of equals the lower token. `token` may be one.
  std::vector<TokenProbability> alternatives;
};

// How to generate, and when to stop.
struct GenerateOptions {
  size_t max_new_tokens = 0;  // 0: as many as the session's context allows
  SamplingOptions sampling;   // how a token is chosen
  // Texts that end generation; they are not part of the answer.
  std::vector<std::string> stop_strings;
  // Tokens that end generation besides ModelConfig::stop_tokens, in any order;
  // they are not part of the answer.
  std::vector<TokenId> stop_tokens;
  // If set: the answer is one of its texts. Tokens that cannot go on so are
  // taken out before `sampling` does anything, control tokens among them; those
  // that end an answer stay where a text may end. An answer that is not ended
  // by kStopToken or kGrammarEnd is only the beginning of a text. Read during
  // the call only.
  const Grammar* grammar = nullptr;
  // Called after each pass of the prompt with the tokens of it that the session
  // has, and their number in all; the last time they are equal. A pass takes
  // LoadOptions::prefill_chunk tokens at most.
  std::function<void(size_t done, size_t total)> on_prompt;
  // Asked after each pass of the prompt and each token; true stops. A pass is
  // never broken off: with a smaller prefill_chunk, a slow machine stops
  // sooner. To stop from another thread, let that set an atomic flag.
  std::function<bool()> cancelled;
  // Stops at the first of those moments after this one.
  std::optional<std::chrono::steady_clock::time_point> deadline;
  // Whether to guess ahead.
  Speculation speculation = Speculation::kAuto;
  // If set: receives each new token, before its text; a stop token is not one.
  // All logits are computed for it, the answer is the same.
  std::function<void(const ScoredToken& token)> on_token;
  // How many alternatives on_token receives with each token.
  size_t num_alternatives = 0;
  // Whether on_token receives the prompt's tokens too. They are then computed
  // at most 32 at once, which may move logits by what roundings do; see
  // LoadOptions::deterministic.
  bool score_prompt = false;
  // Numbers of tokens, ascending and at most all of the prompt: after each, a
  // pass ends and the session keeps a checkpoint, as the end of a turn may be
  // worth. See Session::Checkpoint.
  std::vector<size_t> checkpoints;
};

// What ended an answer.
enum class StopReason {
  kStopToken,    // one of ModelConfig's or GenerateOptions::stop_tokens
  kStopString,   // one of GenerateOptions::stop_strings
  kMaxTokens,    // GenerateOptions::max_new_tokens
  kContextFull,  // no token fits into the session
  kCancelled,    // the caller: by `cancelled` or by `on_text`
  kDeadline,     // GenerateOptions::deadline
  kGrammarEnd    // nothing may follow
};

// What an answer took.
struct GenerateStats {
  // The prompt's tokens that the session holds: all of them, unless kCancelled
  // or kDeadline ended the prompt early.
  size_t prompt_tokens = 0;
  size_t reused_tokens = 0;    // of them: not computed again; see engine.h
  size_t new_tokens = 0;       // a stop token is not counted
  double prefill_seconds = 0;  // until the first token's logits, or that end
  double decode_seconds = 0;   // from then on
  size_t drafted_tokens = 0;   // guessed
  size_t accepted_tokens = 0;  // of those: guessed right, and no pass needed
  StopReason stop_reason = StopReason::kStopToken;  // why it ended

  // New tokens a second; 0 if there are none.
  double decode_tokens_per_second() const {
    return decode_seconds > 0 ? static_cast<double>(new_tokens) / decode_seconds
                              : 0;
  }
};

// Appends `prompt` to the session, in the passes of Session::Forward, and
// generates until a stop token, a stop string or a limit. `on_text` receives
// whole UTF-8 characters as they come; returning false stops. The session then
// holds the prompt and every generated token except a stop token, so that a
// next prompt may continue it. Until then it may hold guessed tokens too.
// Fails, and changes nothing, if the prompt does not fit or an option is out of
// range, and with FailedPrecondition in a tap of the model. Needs the model's
// tokenizer. ResourceExhausted, in the midst of an answer, if there is no
// memory or there are too many ways to read the answer by the grammar: the
// limits are those of Grammar::Matches, with steps counted for each token.
// Internal if a function of the caller throws. The session then holds what was
// computed.
GEMMA_EXPORT absl::StatusOr<GenerateStats> Generate(
    Session& session, absl::Span<const TokenId> prompt,
    const GenerateOptions& options,
    const std::function<bool(std::string_view text)>& on_text);
// The same for a prompt of words. Rows are not among the tokens that penalties
// count and that on_token receives.
GEMMA_EXPORT absl::StatusOr<GenerateStats> Generate(
    Session& session, const Words& prompt, const GenerateOptions& options,
    const std::function<bool(std::string_view text)>& on_text);

}  // namespace gemma

#endif  // GEMMA_GENERATE_H_
