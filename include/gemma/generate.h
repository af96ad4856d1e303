// Generates text.

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

// The largest top_k with GenerateOptions::fill_sampling, whose time grows with
// its square.
inline constexpr size_t kMaxFillTopK = 256;

// Whether to guess tokens from repetitions in the sequence and check several
// guesses in one pass. The answer is always the same; only the time differs.
// Guesses use up to max_rollback of the session's free rollback (see
// SessionOptions; with 0 there are no guesses) and memory for up to 16 rows of
// logits.
enum class Speculation {
  kOff,
  kAuto,  // if measured to save time; never while the session has a tap
};

// A token and its log-probability: the natural logarithm, from the model's
// unchanged logits, before bias, penalties, temperature and filters. NaN if a
// logit is NaN.
struct TokenProbability {
  TokenId token = 0;           // its index in the vocabulary
  std::string_view piece;      // Tokenizer::Piece; valid as long as the model
  double log_probability = 0;  // in nats, at most 0
};

// A token of a sequence and the model's prediction at its position.
struct ScoredToken {
  TokenId token = 0;       // its index in the vocabulary
  std::string_view piece;  // as in TokenProbability
  // As in TokenProbability; no value for the first token of a prompt.
  std::optional<double> log_probability;
  // The most probable tokens, in descending order; of equally probable tokens,
  // the lower comes first. They may include `token`.
  std::vector<TokenProbability> alternatives;
};

// Limits of the lines of an answer, as editors of code ask for them.
struct LineLimits {
  // Blanks and tabs with which each line after the first must begin. A line
  // with fewer, for example an empty one, ends the answer and is not part of
  // it. 0: no limit.
  size_t min_indent = 0;
  // Seconds since the first token, after which the end of a line ends the
  // answer. 0: no limit.
  double max_seconds = 0;
};

// How to generate, and when to stop.
struct GenerateOptions {
  size_t max_new_tokens = 0;  // 0: until the session is full
  // Until the answer has this many tokens, no stop token is chosen and no stop
  // string matches. Limits, a full session and a grammar that allows no more
  // text end it all the same.
  size_t min_new_tokens = 0;
  // Whether only to read the prompt: no token is chosen, and the answer ends
  // with kMaxTokens. With score_prompt, on_token receives the prompt's tokens.
  // Requires that max_new_tokens is 0.
  bool prompt_only = false;
  SamplingOptions sampling;  // how a token is chosen
  // Texts that end generation. They are not part of the answer. They also match
  // in what the model thinks and in calls of tools.
  std::vector<std::string> stop_strings;
  // Tokens that end generation in addition to ModelConfig::stop_tokens, in any
  // order. They are not part of the answer.
  std::vector<TokenId> stop_tokens;
  LineLimits lines;  // by default none
  // Whether to end the answer where a stop token is about as probable as to go
  // on, and otherwise to choose only among the few most probable tokens, as the
  // sampler "infill" of llama.cpp does after the steps of Sampler. Requires a
  // top_k of 1 to kMaxFillTopK, and neither a grammar nor min_new_tokens.
  bool fill_sampling = false;
  // If not null, the answer is one of the grammar's texts. Before `sampling`,
  // all tokens that cannot continue such a text are removed, including control
  // tokens; tokens that end an answer are kept where a text may end. If the
  // stop reason is neither kStopToken nor kGrammarEnd, the answer is only the
  // beginning of a text. The grammar must stay valid during the call.
  const Grammar* grammar = nullptr;
  // Called after each pass of the prompt: `done` of the prompt's `total` tokens
  // are in the session; in the last call both are equal. A pass has at most
  // LoadOptions::prefill_chunk tokens.
  std::function<void(size_t done, size_t total)> on_prompt;
  // Called after each pass of the prompt and after each token. Return true to
  // stop. A running pass is never interrupted: with a smaller prefill_chunk, a
  // slow machine stops sooner. To stop from another thread, let that thread set
  // an atomic flag that this function reads.
  std::function<bool()> cancelled;
  // Checked at the same points as `cancelled`: stops once this time is reached.
  std::optional<std::chrono::steady_clock::time_point> deadline;
  // Whether to guess tokens; the answer is the same.
  Speculation speculation = Speculation::kAuto;
  // If set, receives each new token before its text, but no stop token; see
  // score_stop. Generate then computes all logits; the answer is the same.
  std::function<void(const ScoredToken& token)> on_token;
  // If set, receives each control token of the answer that does not end it,
  // after all text before it; see AnswerParser. Stop strings then do not match
  // across control tokens, and no control token has a text.
  std::function<void(TokenId token)> on_control;
  // Number of alternatives that on_token receives with each token.
  size_t num_alternatives = 0;
  // Whether on_token also receives the prompt's tokens. The prompt is then
  // computed at most 32 tokens at a time, which may change logits by rounding;
  // see LoadOptions::deterministic.
  bool score_prompt = false;
  // Whether on_token also receives the stop token that ends the answer.
  bool score_stop = false;
  // Token counts within the prompt, in ascending order. After each count, a
  // pass ends and the session keeps a checkpoint, for example at the end of a
  // turn. See Session::Checkpoint.
  std::vector<size_t> checkpoints;
};

// The reason why an answer ended.
enum class StopReason {
  kStopToken,    // one of ModelConfig's or GenerateOptions::stop_tokens
  kStopString,   // one of GenerateOptions::stop_strings, or a line of too
                 // few blanks; see LineLimits
  kMaxTokens,    // GenerateOptions::max_new_tokens, or prompt_only
  kContextFull,  // the session has no room for another token
  kCancelled,    // `cancelled` returned true, or `on_text` false
  kDeadline,     // GenerateOptions::deadline, or LineLimits::max_seconds
  kGrammarEnd    // the grammar allows no more text
};

// Returns the name of a reason in results, for example "stop_token".
GEMMA_EXPORT std::string_view StopReasonName(StopReason reason);

// Number of reasons, for arrays with a place for each.
inline constexpr size_t kNumStopReasons = 7;

// Counts and times of an answer.
struct GenerateStats {
  // Number of prompt tokens in the session: all of them, or fewer if kCancelled
  // or kDeadline ended the prompt early.
  size_t prompt_tokens = 0;
  size_t reused_tokens = 0;    // prompt tokens not computed; see engine.h
  size_t new_tokens = 0;       // without a stop token
  double prefill_seconds = 0;  // until the first token's logits or early end
  double decode_seconds = 0;   // after that
  size_t drafted_tokens = 0;   // guessed
  size_t accepted_tokens = 0;  // guessed correctly, which saved a pass
  StopReason stop_reason = StopReason::kStopToken;  // why the answer ended

  // Returns new tokens per second, or 0 if decoding took no time.
  double decode_tokens_per_second() const {
    return decode_seconds > 0 ? static_cast<double>(new_tokens) / decode_seconds
                              : 0;
  }
};

// Appends `prompt` to the session, in the passes of Session::Forward, then
// generates tokens until a stop token, a stop string or a limit. `on_text`
// receives whole UTF-8 characters as they come; return false to stop.
// Afterwards the session holds the prompt and all generated tokens except a
// stop token, so a next prompt can continue it. During the call it may also
// hold guessed tokens.
//
// Requires the model's tokenizer. Fails and changes nothing if the prompt does
// not fit or an option is out of range, and with FailedPrecondition in a tap of
// the model. Fails during an answer, and leaves the session with the tokens
// computed so far, with Internal if a function of the caller throws, with
// DataLoss and ErrorReason::kNotFinite if a logit is NaN or infinite, because
// weights or activations are (it names the first such weight), and with
// ResourceExhausted if memory runs out or
// the grammar allows too many ways to read the answer: the limits are those of
// Grammar::Matches, with steps counted for each token.
GEMMA_EXPORT absl::StatusOr<GenerateStats> Generate(
    Session& session, absl::Span<const TokenId> prompt,
    const GenerateOptions& options,
    const std::function<bool(std::string_view text)>& on_text);
// The same for a prompt of words. Penalties do not count rows, and on_token
// does not receive them.
GEMMA_EXPORT absl::StatusOr<GenerateStats> Generate(
    Session& session, const Words& prompt, const GenerateOptions& options,
    const std::function<bool(std::string_view text)>& on_text);

}  // namespace gemma

#endif  // GEMMA_GENERATE_H_
