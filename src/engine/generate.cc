#include "src/engine/generate.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "absl/strings/str_format.h"
#include "src/engine/speculator.h"
#include "src/engine/stop_filter.h"
#include "src/engine/token_reporter.h"
#include "src/formats/status_macros.h"

namespace gemma {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

absl::Status CheckOptions(const GenerateOptions& options, size_t vocab_size) {
  for (const std::string& stop : options.stop_strings) {
    if (stop.empty()) {
      return absl::InvalidArgumentError(
          "a stop string is empty, wanted at least one character");
    }
  }
  GEMMA_RETURN_IF_ERROR(Validate(options.sampling));
  for (const LogitBias& b : options.sampling.logit_bias) {
    if (static_cast<size_t>(b.token) < vocab_size) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("a token of logit_bias is %d, wanted 0 to %u", b.token,
                        vocab_size - 1));
  }
  return absl::OkStatus();
}

bool Cancelled(const GenerateOptions& options) {
  return options.cancelled && options.cancelled();
}

absl::Status CheckPrompt(const Session& session,
                         absl::Span<const TokenId> prompt) {
  if (prompt.size() > session.remaining()) {
    return absl::OutOfRangeError(
        absl::StrFormat("the prompt has %u tokens, the context has room for %u",
                        prompt.size(), session.remaining()));
  }
  const size_t vocab_size = session.model().config().vocab_size;
  for (const TokenId token : prompt) {
    if (token >= 0 && static_cast<size_t>(token) < vocab_size) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "a token of the prompt is %d, wanted 0 to %u", token, vocab_size - 1));
  }
  return absl::OkStatus();
}

// Appends the prompt in pieces, so that a long one can be cancelled. Returns
// the top_k logits of its last token, or none if it was cancelled.
absl::StatusOr<absl::Span<float>> Prefill(Session& session,
                                          absl::Span<const TokenId> prompt,
                                          const GenerateOptions& options,
                                          size_t top_k) {
  constexpr size_t kPiece = 256;
  GEMMA_RETURN_IF_ERROR(CheckPrompt(session, prompt));
  for (; prompt.size() > kPiece; prompt.remove_prefix(kPiece)) {
    GEMMA_RETURN_IF_ERROR(session.Append(prompt.first(kPiece)));
    if (Cancelled(options)) return absl::Span<float>();
  }
  GEMMA_ASSIGN_OR_RETURN(const absl::Span<float> logits,
                         session.ForwardTop(prompt, top_k));
  return Cancelled(options) ? absl::Span<float>() : logits;
}

// As Prefill with all logits, and reports the prompt's tokens. The logits are
// in `rows`.
absl::StatusOr<absl::Span<float>> PrefillScored(
    Session& session, absl::Span<const TokenId> prompt,
    const GenerateOptions& options, TokenReporter& reporter,
    std::vector<float>& rows) {
  constexpr size_t kPiece = 32;
  GEMMA_RETURN_IF_ERROR(CheckPrompt(session, prompt));
  const size_t vocab_size = session.model().config().vocab_size;
  absl::Span<float> logits;
  do {
    const absl::Span<const TokenId> piece = prompt.subspan(0, kPiece);
    rows.resize(piece.size() * vocab_size);
    GEMMA_RETURN_IF_ERROR(session.ForwardAll(piece, absl::MakeSpan(rows)));
    for (size_t i = 0; i < piece.size(); ++i) {
      reporter.Report(piece[i]);
      logits = absl::MakeSpan(rows).subspan(i * vocab_size, vocab_size);
      reporter.Expect(logits);
    }
    if (Cancelled(options)) return absl::Span<float>();
    prompt.remove_prefix(piece.size());
  } while (!prompt.empty());
  return logits;
}

// Chooses tokens by the prompt's last logits [vocab_size], and by those of each
// token chosen, until something ends the answer. None: it was cancelled before.
absl::Status Decode(absl::Span<float> logits, const Model& model,
                    const GenerateOptions& options, Sampler& sampler,
                    TokenReporter& reporter, Speculator& speculator,
                    const std::function<bool(std::string_view text)>& on_text,
                    GenerateStats& stats) {
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, model.tokenizer());
  const std::vector<TokenId>& stops = model.config().stop_tokens;
  const size_t max_tokens = options.max_new_tokens != 0
                                ? options.max_new_tokens
                                : std::numeric_limits<size_t>::max();
  StreamDecoder decoder(*tokenizer);
  StopFilter filter(options.stop_strings, on_text);
  stats.stop_reason = StopReason::kCancelled;
  while (!logits.empty()) {
    const size_t left =
        std::min(max_tokens - stats.new_tokens, speculator.remaining());
    if (left == 0) {
      stats.stop_reason = stats.new_tokens == max_tokens
                              ? StopReason::kMaxTokens
                              : StopReason::kContextFull;
      break;
    }
    reporter.Expect(logits);
    const TokenId token = sampler.Sample(logits);
    if (std::binary_search(stops.begin(), stops.end(), token)) {
      stats.stop_reason = StopReason::kStopToken;
      break;
    }
    sampler.Accept({&token, 1});
    reporter.Report(token);
    filter.Append(decoder.Append(token));
    ++stats.new_tokens;
    GEMMA_ASSIGN_OR_RETURN(logits, speculator.Append(token, left - 1));
    if (filter.stopped()) stats.stop_reason = StopReason::kStopString;
    if (filter.stopped() || filter.refused() || Cancelled(options)) break;
  }
  const bool cancelled = stats.stop_reason == StopReason::kCancelled;
  filter.Append(decoder.Finish());
  if (filter.stopped() && !cancelled) {
    stats.stop_reason = StopReason::kStopString;
  }
  filter.Flush();
  return speculator.Finish();
}

}  // namespace

absl::StatusOr<GenerateStats> GenerateWith(
    Drafter* drafter, Session& session, absl::Span<const TokenId> prompt,
    const GenerateOptions& options,
    const std::function<bool(std::string_view text)>& on_text) {
  const Model& model = session.model();
  GEMMA_RETURN_IF_ERROR(CheckOptions(options, model.config().vocab_size));
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, model.tokenizer());
  GenerateStats stats;
  stats.prompt_tokens = prompt.size();
  Sampler sampler(options.sampling);
  TokenReporter reporter(options, *tokenizer);
  const size_t top_k = reporter.wanted() ? 0 : sampler.num_candidates();
  const Clock::time_point start = Clock::now();
  std::vector<float> prompt_rows;
  GEMMA_ASSIGN_OR_RETURN(
      const absl::Span<float> logits,
      reporter.wanted() && options.score_prompt
          ? PrefillScored(session, prompt, options, reporter, prompt_rows)
          : Prefill(session, prompt, options, top_k));
  sampler.Accept(session.tokens());
  stats.prefill_seconds = SecondsSince(start);

  const Clock::time_point decode_start = Clock::now();
  if (drafter != nullptr) drafter->Begin(session.tokens());
  Speculator speculator(session, drafter, top_k);
  GEMMA_RETURN_IF_ERROR(Decode(logits, model, options, sampler, reporter,
                               speculator, on_text, stats));
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
  NgramDrafter drafter(session);
  return GenerateWith(&drafter, session, prompt, options, on_text);
}

}  // namespace gemma
