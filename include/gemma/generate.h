// Generating text.

#ifndef GEMMA_GENERATE_H_
#define GEMMA_GENERATE_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/sampler.h"
#include "gemma/session.h"

namespace gemma {

// Whether to guess tokens from what the sequence repeats and to check several
// of them in one pass. The answer is always the same, only its time differs.
// Guesses use up to max_rollback of the session's free roll-back (see
// SessionOptions; none, no guesses), and memory for up to 16 rows of logits.
enum class Speculation {
  kOff,
  kAuto,  // where it is measured to pay; never while the session has a tap
};

struct GenerateOptions {
  size_t max_new_tokens = 0;  // 0: as many as the session's context allows
  SamplingOptions sampling;
  // Texts that end generation; they are not part of the answer.
  std::vector<std::string> stop_strings;
  // Asked after each token; true stops.
  std::function<bool()> cancelled;
  Speculation speculation = Speculation::kAuto;
};

enum class StopReason {
  kStopToken,
  kStopString,
  kMaxTokens,
  kContextFull,
  kCancelled
};

struct GenerateStats {
  size_t prompt_tokens = 0;
  size_t new_tokens = 0;       // a stop token is not counted
  double prefill_seconds = 0;  // until the first token's logits
  double decode_seconds = 0;   // from then on
  size_t drafted_tokens = 0;   // guessed
  size_t accepted_tokens = 0;  // of those: guessed right, and no pass needed
  StopReason stop_reason = StopReason::kStopToken;

  // 0 if there are no new tokens.
  double decode_tokens_per_second() const {
    return decode_seconds > 0 ? static_cast<double>(new_tokens) / decode_seconds
                              : 0;
  }
};

// Appends `prompt` to the session and generates until a stop token, a stop
// string or a limit. `on_text` receives whole UTF-8 characters as they come;
// returning false stops. The session then holds the prompt and every generated
// token except a stop token, so that a next prompt may continue it. Until then
// it may hold guessed tokens too.
// Fails, and changes nothing, if the prompt does not fit or an option is out of
// range. Needs the model's tokenizer.
GEMMA_EXPORT absl::StatusOr<GenerateStats> Generate(
    Session& session, absl::Span<const TokenId> prompt,
    const GenerateOptions& options,
    const std::function<bool(std::string_view text)>& on_text);

}  // namespace gemma

#endif  // GEMMA_GENERATE_H_
