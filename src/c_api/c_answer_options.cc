#include "src/c_api/c_answer_options.h"

#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

absl::Status ReadTime(double seconds, GenerateOptions& to) {
  if (!(seconds >= 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("timeout_seconds is ", seconds, ", wanted 0 or more"));
  }
  // The clock cannot represent longer times: no deadline.
  if (seconds > 0 && seconds < 1e9) {
    to.deadline =
        std::chrono::steady_clock::now() +
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(
            std::chrono::duration<double>(seconds));
  }
  return absl::OkStatus();
}

// Another model's control tokens would give other parts.
absl::Status CheckAnswer(const gemma_answer& answer, const Model& model) {
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, model.tokenizer());
  if (&tokenizer->impl() == &answer.tokenizer.impl()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "answer belongs to another model, wanted one that gemma_answer_create "
      "made for the session's model");
}

}  // namespace

absl::Status AnswerOptions::Read(const gemma_generate_options* from,
                                 const Model& model,
                                 gemma_text_callback on_text, void* user) {
  gemma_generate_options read;
  gemma_generate_options_init(&read, sizeof(read));
  GEMMA_RETURN_IF_ERROR(ReadSized(from, "gemma_generate_options", read));
  user_ = user;
  GEMMA_RETURN_IF_ERROR(ReadStops(read));
  GEMMA_RETURN_IF_ERROR(ReadSampling(read));
  GEMMA_RETURN_IF_ERROR(ReadGrammar(read));
  ConnectCalls(read);
  return ConnectParts(read, model, on_text);
}

absl::Status AnswerOptions::ReadStops(const gemma_generate_options& from) {
  options_.max_new_tokens = from.max_new_tokens;
  options_.min_new_tokens = from.min_new_tokens;
  options_.prompt_only = from.prompt_only;
  options_.lines = {.min_indent = from.min_indent,
                    .max_seconds = from.max_line_seconds};
  GEMMA_RETURN_IF_ERROR(ReadTexts(from.stop_strings, from.num_stop_strings,
                                  "stop_strings", options_.stop_strings));
  GEMMA_C_REQUIRE_LIST(from, stop_tokens, from.num_stop_tokens);
  options_.stop_tokens.assign(from.stop_tokens,
                              from.stop_tokens + from.num_stop_tokens);
  GEMMA_C_REQUIRE_LIST(from, checkpoints, from.num_checkpoints);
  options_.checkpoints.assign(from.checkpoints,
                              from.checkpoints + from.num_checkpoints);
  if (const gemma_cancellation* cancellation = from.cancellation) {
    options_.cancelled = [cancellation] {
      return cancellation->cancelled.load(std::memory_order_relaxed);
    };
  }
  return ReadTime(from.timeout_seconds, options_);
}

absl::Status AnswerOptions::ReadSampling(const gemma_generate_options& from) {
  SamplingOptions& to = options_.sampling;
  to.temperature = from.temperature;
  to.top_k = from.top_k;
  to.top_p = from.top_p;
  to.min_p = from.min_p;
  to.typical_p = from.typical_p;
  to.repetition_penalty = from.repetition_penalty;
  to.frequency_penalty = from.frequency_penalty;
  to.presence_penalty = from.presence_penalty;
  to.penalty_window = from.penalty_window;
  to.seed = from.seed;
  GEMMA_C_REQUIRE_LIST(from, logit_bias, from.num_logit_bias);
  for (size_t i = 0; i < from.num_logit_bias; ++i) {
    to.logit_bias.push_back(
        {from.logit_bias[i].token, from.logit_bias[i].bias});
  }
  options_.fill_sampling = from.fill_sampling;
  options_.speculation =
      from.speculate ? Speculation::kAuto : Speculation::kOff;
  return absl::OkStatus();
}

absl::Status AnswerOptions::ReadGrammar(const gemma_generate_options& from) {
  const unsigned kind = NumberOf(from.grammar);
  if (kind > GEMMA_GRAMMAR_CHOICES) {
    return absl::InvalidArgumentError(
        absl::StrCat("grammar is ", kind, ", wanted 0 to 4"));
  }
  if (from.compiled_grammar != nullptr) {
    if (kind != GEMMA_GRAMMAR_NONE) {
      return absl::InvalidArgumentError(absl::StrCat(
          "grammar is ", kind, ", wanted 0 with compiled_grammar"));
    }
    grammar_ = from.compiled_grammar->grammar;
  } else if (kind != GEMMA_GRAMMAR_NONE) {
    const gemma_grammar_source source = {.struct_size = sizeof(source),
                                         .kind = from.grammar,
                                         .texts = from.grammar_texts,
                                         .num_texts = from.num_grammar_texts};
    GrammarSource read;
    GEMMA_RETURN_IF_ERROR(ReadGrammarSource(&source, read));
    GEMMA_ASSIGN_OR_RETURN(grammar_, Grammar::FromSource(read));
  }
  if (grammar_.has_value()) options_.grammar = &*grammar_;
  return absl::OkStatus();
}

void AnswerOptions::ConnectCalls(const gemma_generate_options& from) {
  options_.num_alternatives = from.num_alternatives;
  options_.score_prompt = from.score_prompt;
  options_.score_stop = from.score_stop;
  if (from.on_prompt != nullptr) {
    options_.on_prompt = [this, call = from.on_prompt](size_t done,
                                                       size_t total) {
      Enter();
      call(done, total, user_);
    };
  }
  if (from.on_token != nullptr) {
    options_.on_token = [this, call = from.on_token](const ScoredToken& token) {
      GiveToken(call, token);
    };
  }
  if (from.on_control != nullptr) {
    options_.on_control = [this, call = from.on_control](TokenId token) {
      Enter();
      call(token, user_);
    };
  }
}

absl::Status AnswerOptions::ConnectParts(const gemma_generate_options& from,
                                         const Model& model,
                                         gemma_text_callback on_text) {
  if (from.answer == nullptr) {
    if (from.on_thoughts != nullptr) {
      return absl::InvalidArgumentError(
          "on_thoughts is set, but answer is null: calls of tools would be "
          "lost");
    }
    take_text_ = [this, on_text](std::string_view text) {
      Give(on_text, text);
      return goes_on_;
    };
    return absl::OkStatus();
  }
  GEMMA_RETURN_IF_ERROR(CheckAnswer(*from.answer, model));
  answer_ = from.answer;
  parser_.emplace(
      answer_->tokenizer,
      [this, on_text](std::string_view text) { Give(on_text, text); },
      [this, call = from.on_thoughts](std::string_view text) {
        Give(call, text);
      },
      AnswerParser::CallFunction(), answer_->dialect);
  options_.on_control = [this,
                         call = std::move(options_.on_control)](TokenId token) {
    parser_->Control(token);
    if (call) call(token);
  };
  options_.cancelled = [this, cancelled = std::move(options_.cancelled)] {
    return !goes_on_ || (cancelled && cancelled());
  };
  take_text_ = [this](std::string_view text) {
    parser_->Text(text);
    return goes_on_;
  };
  return absl::OkStatus();
}

absl::Status AnswerOptions::Finish() {
  if (answer_ == nullptr) return absl::OkStatus();
  finished_ = NoThrow([&] {
    parser_->Finish();
    ParsedAnswer parts = parser_->answer();
    answer_->parts = std::move(parts);
    return absl::OkStatus();
  });
  return finished_;
}

void AnswerOptions::Give(gemma_text_callback function, std::string_view text) {
  if (!goes_on_ || function == nullptr) return;
  Enter();
  goes_on_ = function(text.data(), text.size(), user_);
}

void AnswerOptions::GiveToken(void (*function)(const gemma_scored_token*,
                                               void*),
                              const ScoredToken& token) {
  alternatives_.clear();
  for (const TokenProbability& from : token.alternatives) {
    alternatives_.push_back({.token = from.token,
                             .piece = from.piece.data(),
                             .piece_size = from.piece.size(),
                             .log_probability = from.log_probability});
  }
  const gemma_scored_token scored = {
      .struct_size = sizeof(scored),
      .token = token.token,
      .has_log_probability = token.log_probability.has_value(),
      .piece = token.piece.data(),
      .piece_size = token.piece.size(),
      .log_probability = token.log_probability.value_or(0),
      .alternatives = alternatives_.data(),
      .num_alternatives = alternatives_.size()};
  Enter();
  function(&scored, user_);
}

}  // namespace gemma::internal
