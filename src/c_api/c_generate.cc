// Implements the parts of gemma/c_api.h that concern answers.

#include "gemma/c_api.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

struct gemma_cancellation {
  std::atomic<bool> cancelled = false;
};

namespace gemma {
namespace {

absl::Status ReadGenerateOptions(const gemma_generate_options& from,
                                 GenerateOptions& options) {
  options.max_new_tokens = from.max_new_tokens;
  options.sampling.temperature = from.temperature;
  options.sampling.top_k = from.top_k;
  options.sampling.top_p = from.top_p;
  options.sampling.min_p = from.min_p;
  options.sampling.seed = from.seed;
  options.speculation = from.speculate ? Speculation::kAuto : Speculation::kOff;
  if (from.num_stop_strings != 0) GEMMA_C_REQUIRE(from.stop_strings);
  for (size_t i = 0; i < from.num_stop_strings; ++i) {
    GEMMA_C_REQUIRE(from.stop_strings[i]);
    options.stop_strings.emplace_back(from.stop_strings[i]);
  }
  if (from.num_stop_tokens != 0) GEMMA_C_REQUIRE(from.stop_tokens);
  options.stop_tokens.assign(from.stop_tokens,
                             from.stop_tokens + from.num_stop_tokens);
  if (!(from.timeout_seconds >= 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "timeout_seconds is ", from.timeout_seconds, ", wanted 0 or more"));
  }
  // The clock cannot represent longer times: no deadline.
  if (from.timeout_seconds > 0 && from.timeout_seconds < 1e9) {
    options.deadline =
        std::chrono::steady_clock::now() +
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(
            std::chrono::duration<double>(from.timeout_seconds));
  }
  if (const gemma_cancellation* cancellation = from.cancellation) {
    options.cancelled = [cancellation] {
      return cancellation->cancelled.load(std::memory_order_relaxed);
    };
  }
  return absl::OkStatus();
}

// Returns no value for GEMMA_GRAMMAR_NONE.
absl::StatusOr<std::optional<Grammar>> ReadGrammar(
    const gemma_generate_options& from) {
  const unsigned kind = NumberOf(from.grammar);
  if (kind > GEMMA_GRAMMAR_CHOICES) {
    return absl::InvalidArgumentError(
        absl::StrCat("grammar is ", kind, ", wanted 0 to 4"));
  }
  if (kind == GEMMA_GRAMMAR_NONE) return std::nullopt;
  if (kind == GEMMA_GRAMMAR_JSON) return Grammar::AnyJson();
  if (from.num_grammar_texts != 0) GEMMA_C_REQUIRE(from.grammar_texts);
  std::vector<std::string> texts;
  for (size_t i = 0; i < from.num_grammar_texts; ++i) {
    GEMMA_C_REQUIRE(from.grammar_texts[i]);
    texts.emplace_back(from.grammar_texts[i]);
  }
  if (kind == GEMMA_GRAMMAR_CHOICES) return Grammar::FromChoices(texts);
  if (texts.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("num_grammar_texts is ", texts.size(), ", wanted 1"));
  }
  if (kind == GEMMA_GRAMMAR_REGEX) return Grammar::FromRegex(texts[0]);
  return Grammar::FromJsonSchema(texts[0]);
}

// Another model's control tokens would give other parts.
absl::Status CheckAnswer(const gemma_answer& answer, const Model& model) {
  const auto tokenizer = model.tokenizer();
  GEMMA_RETURN_IF_ERROR(tokenizer.status());
  if (&(*tokenizer)->impl() == &answer.tokenizer.impl()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "answer belongs to another model, wanted one that gemma_answer_create "
      "made for the session's model");
}

// Gives the parts of an answer to the caller's functions while it is generated.
class PartsView {
 public:
  // All arguments must outlive this.
  PartsView(const gemma_generate_options& options, gemma_text_callback on_text,
            void* user)
      : parser_(
            options.answer->tokenizer,
            [=, this](std::string_view text) { Give(on_text, text, user); },
            [=, this, on_thoughts = options.on_thoughts](
                std::string_view text) { Give(on_thoughts, text, user); }) {}

  // Lets a call of Generate end once a function returned false. Returns the
  // function for its text.
  std::function<bool(std::string_view)> Connect(GenerateOptions& options) {
    options.on_control = [this](TokenId token) { parser_.Control(token); };
    options.cancelled = [this, cancelled = std::move(options.cancelled)] {
      return !goes_on_ || (cancelled && cancelled());
    };
    return [this](std::string_view text) {
      parser_.Text(text);
      return goes_on_;
    };
  }

  const ParsedAnswer& Finish() {
    parser_.Finish();
    return parser_.answer();
  }

 private:
  void Give(gemma_text_callback function, std::string_view text, void* user) {
    if (!goes_on_ || function == nullptr) return;
    goes_on_ = function(text.data(), text.size(), user);
  }

  bool goes_on_ = true;
  AnswerParser parser_;
};

gemma_stop_reason StopReasonOf(StopReason reason) {
  switch (reason) {
    case StopReason::kStopToken:
      return GEMMA_STOP_TOKEN;
    case StopReason::kStopString:
      return GEMMA_STOP_STRING;
    case StopReason::kMaxTokens:
      return GEMMA_STOP_MAX_TOKENS;
    case StopReason::kContextFull:
      return GEMMA_STOP_CONTEXT_FULL;
    case StopReason::kDeadline:
      return GEMMA_STOP_DEADLINE;
    case StopReason::kCancelled:
      break;
    case StopReason::kGrammarEnd:
      return GEMMA_STOP_GRAMMAR_END;
  }
  return GEMMA_STOP_CANCELLED;
}

// Writes the fields that the caller's struct has.
void WriteStats(const GenerateStats& from, gemma_generate_stats* to) {
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats);
  stats.struct_size = to->struct_size;
  stats.prompt_tokens = from.prompt_tokens;
  stats.new_tokens = from.new_tokens;
  stats.prefill_seconds = from.prefill_seconds;
  stats.decode_seconds = from.decode_seconds;
  stats.stop_reason = StopReasonOf(from.stop_reason);
  std::memcpy(to, &stats, std::min(sizeof(stats), to->struct_size));
}

}  // namespace
}  // namespace gemma

using gemma::internal::Reported;

gemma_cancellation* gemma_cancellation_create(void) {
  return new (std::nothrow) gemma_cancellation;
}

void gemma_cancellation_free(gemma_cancellation* cancellation) {
  delete cancellation;
}

void gemma_cancellation_cancel(gemma_cancellation* cancellation) {
  if (cancellation != nullptr) cancellation->cancelled = true;
}

void gemma_cancellation_reset(gemma_cancellation* cancellation) {
  if (cancellation != nullptr) cancellation->cancelled = false;
}

void gemma_generate_options_init(gemma_generate_options* options) {
  if (options == nullptr) return;
  const gemma::GenerateOptions defaults;
  *options = {};
  options->struct_size = sizeof(*options);
  options->max_new_tokens = defaults.max_new_tokens;
  options->temperature = defaults.sampling.temperature;
  options->top_k = defaults.sampling.top_k;
  options->top_p = defaults.sampling.top_p;
  options->min_p = defaults.sampling.min_p;
  options->seed = defaults.sampling.seed;
  options->speculate = defaults.speculation == gemma::Speculation::kAuto;
}

void gemma_generate_stats_init(gemma_generate_stats* stats) {
  if (stats == nullptr) return;
  *stats = {};
  stats->struct_size = sizeof(*stats);
}

gemma_status gemma_generate(gemma_session* session, const int32_t* prompt,
                            size_t prompt_size,
                            const gemma_generate_options* options,
                            gemma_text_callback on_text, void* user,
                            gemma_generate_stats* stats) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    if (prompt_size != 0) GEMMA_C_REQUIRE(prompt);
    if (stats != nullptr && stats->struct_size < sizeof(size_t)) {
      return absl::InvalidArgumentError(
          absl::StrCat("gemma_generate_stats.struct_size is ",
                       stats->struct_size, ", wanted ", sizeof(*stats)));
    }
    gemma_generate_options from;
    gemma_generate_options_init(&from);
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadSized(options, "gemma_generate_options", from));
    gemma::GenerateOptions generate;
    GEMMA_RETURN_IF_ERROR(gemma::ReadGenerateOptions(from, generate));
    const auto grammar = gemma::ReadGrammar(from);
    GEMMA_RETURN_IF_ERROR(grammar.status());
    if (grammar->has_value()) generate.grammar = &**grammar;
    std::optional<gemma::PartsView> parts;
    std::function<bool(std::string_view)> take_text =
        [&](std::string_view text) {
          return on_text == nullptr || on_text(text.data(), text.size(), user);
        };
    if (from.answer != nullptr) {
      GEMMA_RETURN_IF_ERROR(
          gemma::CheckAnswer(*from.answer, session->session.model()));
      parts.emplace(from, on_text, user);
      take_text = parts->Connect(generate);
    } else if (from.on_thoughts != nullptr) {
      return absl::InvalidArgumentError(
          "on_thoughts is set, but answer is null: calls of tools would be "
          "lost");
    }
    const auto generated = gemma::Generate(
        session->session, {prompt, prompt_size}, generate, take_text);
    GEMMA_RETURN_IF_ERROR(generated.status());
    if (parts.has_value()) from.answer->parts = parts->Finish();
    if (stats != nullptr) gemma::WriteStats(*generated, stats);
    return absl::OkStatus();
  });
}
