#include "src/generate/answer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/generate/fill_step.h"

namespace gemma::internal {

std::optional<StopReason> Interruption(const GenerateOptions& options) {
  if (options.cancelled && options.cancelled()) return StopReason::kCancelled;
  if (options.deadline.has_value() &&
      std::chrono::steady_clock::now() >= *options.deadline) {
    return StopReason::kDeadline;
  }
  return std::nullopt;
}

std::vector<TokenId> StopTokens(const ModelConfig& config,
                                const GenerateOptions& options) {
  std::vector<TokenId> stops = config.stop_tokens;
  stops.insert(stops.end(), options.stop_tokens.begin(),
               options.stop_tokens.end());
  std::sort(stops.begin(), stops.end());
  stops.erase(std::unique(stops.begin(), stops.end()), stops.end());
  return stops;
}

namespace {

absl::Status CheckLimits(const GenerateOptions& options) {
  const size_t least = options.min_new_tokens;
  if (options.max_new_tokens != 0 && least > options.max_new_tokens) {
    return absl::InvalidArgumentError(
        FormatText("min_new_tokens is %u, wanted at most max_new_tokens, %u",
                   least, options.max_new_tokens));
  }
  const double seconds = options.lines.max_seconds;
  if (!(seconds >= 0) || !std::isfinite(seconds)) {
    return absl::InvalidArgumentError(
        FormatText("max_seconds of lines is %g, wanted 0 or more", seconds));
  }
  if (!options.fill_sampling) return absl::OkStatus();
  const size_t top_k = options.sampling.top_k;
  if (top_k < 1 || top_k > kMaxFillTopK) {
    return absl::InvalidArgumentError(FormatText(
        "top_k is %u, wanted 1 to %u with fill_sampling", top_k, kMaxFillTopK));
  }
  if (options.grammar == nullptr && least == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      FormatText("fill_sampling may end the answer anywhere, but %s is set",
                 options.grammar != nullptr ? "a grammar" : "min_new_tokens"));
}

// Returns the tokens that an answer must not begin with.
std::vector<TokenId> NotYet(const ModelConfig& config,
                            const GenerateOptions& options) {
  std::vector<TokenId> tokens = config.suppress_tokens;
  if (options.min_new_tokens == 0) return tokens;
  const std::vector<TokenId> stops = StopTokens(config, options);
  tokens.insert(tokens.end(), stops.begin(), stops.end());
  return tokens;
}

}  // namespace

absl::Status Answer::Check(const GenerateOptions& options,
                           const ModelConfig& config) {
  for (const std::string& stop : options.stop_strings) {
    if (stop.empty()) {
      return absl::InvalidArgumentError(
          "a stop string is empty, wanted at least one character");
    }
  }
  if (options.prompt_only && options.max_new_tokens != 0) {
    return absl::InvalidArgumentError(
        FormatText("prompt_only is set, but max_new_tokens is %u, wanted 0",
                   options.max_new_tokens));
  }
  GEMMA_RETURN_IF_ERROR(
      CheckTokens(options.stop_tokens, config, "stop_tokens"));
  GEMMA_RETURN_IF_ERROR(Validate(options.sampling));
  GEMMA_RETURN_IF_ERROR(CheckLimits(options));
  std::vector<TokenId> biased;
  for (const LogitBias& b : options.sampling.logit_bias) {
    biased.push_back(b.token);
  }
  return CheckTokens(biased, config, "logit_bias");
}

absl::Status Answer::CheckPrompt(const WordView& prompt, size_t room,
                                 const ModelConfig& config, size_t max_rows) {
  if (prompt.empty()) {
    return absl::InvalidArgumentError(
        "the prompt has no tokens, wanted 1 or more");
  }
  if (prompt.size() > room) {
    return absl::OutOfRangeError(
        FormatText("the prompt has %u tokens, the context has room for %u",
                   prompt.size(), room));
  }
  return CheckWords(prompt, config, max_rows, "the prompt");
}

absl::Status Answer::CheckCheckpoints(const GenerateOptions& options,
                                      const WordView& prompt) {
  size_t last = 0;
  for (const size_t checkpoint : options.checkpoints) {
    if (checkpoint <= last || checkpoint > prompt.size()) {
      return absl::InvalidArgumentError(FormatText(
          "a number of checkpoints is %u, wanted %u to %u, in ascending order",
          checkpoint, last + 1, prompt.size()));
    }
    if (prompt.Whole(checkpoint) != checkpoint) {
      return absl::InvalidArgumentError(
          FormatText("a number of checkpoints is %u, within bidirectional rows",
                     checkpoint));
    }
    last = checkpoint;
  }
  return absl::OkStatus();
}

Answer::Answer(const ModelConfig& config, const Tokenizer& tokenizer,
               const GenerateOptions& options,
               const StopFilter::TextFunction& on_text)
    : stop_tokens_(StopTokens(config, options)),
      suppress_tokens_(config.suppress_tokens),
      tokenizer_(tokenizer),
      options_(options),
      not_yet_(NotYet(config, options)),
      sampler_(options.sampling),
      reporter_(options, tokenizer),
      constraint_(options.grammar, tokenizer, stop_tokens_,
                  sampler_.num_candidates(), reporter_.wanted(), not_yet_),
      decoder_(tokenizer),
      lines_(options.lines, on_text),
      on_lines_([this](std::string_view text) { return lines_.Append(text); }),
      filter_(options.stop_strings, on_lines_) {
  if (options.fill_sampling) {
    sampler_.set_last_step(FillStep(tokenizer, stop_tokens_));
  }
}

void Answer::Score(TokenId token, absl::Span<const float> logits) {
  ++begin_;
  if (!status_.ok() || Fail(CheckFinite(logits, begin_))) return;
  if (token != kRowToken) reporter_.Report(token);
  reporter_.Expect(logits);
}

bool Answer::EndsPrompt(size_t done, size_t total) {
  if (options_.on_prompt) options_.on_prompt(done, total);
  return done < total && Interrupted();
}

void Answer::Begin(absl::Span<const TokenId> tokens) {
  begin_ = tokens.size();
  // Penalties apply to tokens, not to rows.
  for (size_t i = 0; i < tokens.size();) {
    if (tokens[i] == kRowToken) {
      ++i;
      continue;
    }
    const absl::Span<const TokenId> rest = tokens.subspan(i);
    const size_t count =
        std::find(rest.begin(), rest.end(), kRowToken) - rest.begin();
    sampler_.Accept(rest.first(count));
    i += count;
  }
}

bool Answer::Interrupted() {
  if (!stop_reason_.has_value()) stop_reason_ = Interruption(options_);
  return stop_reason_.has_value();
}

bool Answer::Ended(size_t room) {
  if (stop_reason_.has_value()) return true;
  if (lines_.ended().has_value()) return End(*lines_.ended());
  if (filter_.stopped()) return End(StopReason::kStopString);
  if (filter_.refused()) return End(StopReason::kCancelled);
  if (Interrupted()) return true;
  if (options_.prompt_only) return End(StopReason::kMaxTokens);
  if (constraint_.must_end()) return End(StopReason::kGrammarEnd);
  if (Left(room) != 0) return false;
  const bool limited =
      options_.max_new_tokens != 0 && num_tokens_ == options_.max_new_tokens;
  return End(limited ? StopReason::kMaxTokens : StopReason::kContextFull);
}

size_t Answer::Left(size_t room) const {
  if (options_.prompt_only) return 0;
  if (options_.max_new_tokens == 0) return room;
  return std::min(options_.max_new_tokens - num_tokens_, room);
}

std::optional<TokenId> Answer::Choose(absl::Span<float> logits) {
  if (Fail(CheckFinite(logits, begin_ + num_tokens_))) return std::nullopt;
  reporter_.Expect(logits);
  for (const TokenId token : must_go_on() ? not_yet_ : suppress_tokens_) {
    logits[static_cast<size_t>(token)] =
        -std::numeric_limits<float>::infinity();
  }
  constraint_.Apply(logits);
  const TokenId token = constraint_.Allowed(sampler_.Sample(logits));
  if (Fail(constraint_.status())) return std::nullopt;
  if (std::ranges::find(suppress_tokens_, token) != suppress_tokens_.end()) {
    Fail(absl::FailedPreconditionError(
        FormatText("only tokens that the model suppresses, such as %d, can "
                   "follow in the grammar",
                   token)));
    return std::nullopt;
  }
  if (std::binary_search(stop_tokens_.begin(), stop_tokens_.end(), token)) {
    if (options_.score_stop) reporter_.Report(token);
    End(StopReason::kStopToken);
    return std::nullopt;
  }
  ++num_tokens_;
  if (!must_go_on()) constraint_.set_suppressed(suppress_tokens_);
  constraint_.Accept(token);
  sampler_.Accept({&token, 1});
  reporter_.Report(token);
  if (num_tokens_ == 1) lines_.Start();
  if (!Control(token)) AppendText(decoder_.Append(token));
  return token;
}

void Answer::AppendText(std::string_view text) {
  // The text of the first min_new_tokens, the last of them included.
  if (options_.min_new_tokens != 0 && num_tokens_ <= options_.min_new_tokens) {
    filter_.Pass(text);
  } else {
    filter_.Append(text);
  }
}

void Answer::FlushText() {
  filter_.Flush();
  lines_.Flush();
}

bool Answer::Control(TokenId token) {
  if (!options_.on_control || !tokenizer_.IsControl(token)) return false;
  AppendText(decoder_.Finish());
  FlushText();
  if (!filter_.stopped() && !filter_.refused()) options_.on_control(token);
  return true;
}

void Answer::Finish() {
  AppendText(decoder_.Finish());
  // The bytes of an incomplete character may complete a stop string. The reason
  // stays as it is if the caller ended the answer.
  if (filter_.stopped() && stop_reason_ != StopReason::kCancelled &&
      stop_reason_ != StopReason::kDeadline) {
    stop_reason_ = StopReason::kStopString;
  }
  FlushText();
  if (lines_.ended() == StopReason::kStopString &&
      stop_reason_ != StopReason::kCancelled) {
    stop_reason_ = StopReason::kStopString;
  }
}

StopReason Answer::stop_reason() const {
  return stop_reason_.value_or(StopReason::kCancelled);
}

bool Answer::Fail(absl::Status status) {
  if (status.ok()) return false;
  status_ = std::move(status);
  return End(StopReason::kCancelled);
}

bool Answer::End(StopReason reason) {
  stop_reason_ = reason;
  return true;
}

}  // namespace gemma::internal
