#include "src/serve/answer/generation.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "gemma/error_reason.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/serve/answer/token_text.h"
#include "src/serve/api_error.h"

namespace gemma::internal {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

}  // namespace

Generation::Generation(std::shared_ptr<Served> served, Asked asked,
                       std::shared_ptr<Exchange::State> out,
                       std::unique_ptr<AnswerWriter> writer)
    : served_(std::move(served)),
      asked_(std::move(asked)),
      out_(std::move(out)),
      writer_(std::move(writer)),
      begin_(std::chrono::steady_clock::now()),
      stops_(asked_.has_thoughts
                 ? std::exchange(asked_.fields.options.stop_strings, {})
                 : std::vector<std::string>()),
      on_texts_(asked_.prompts.size() * asked_.fields.n),
      choices_(on_texts_.size()) {
  if (!asked_.has_thoughts) return;
  for (size_t i = 0; i < choices_.size(); ++i) Parse(i);
}

void Generation::Parse(size_t choice) {
  Choice& parsed = choices_[choice];
  on_texts_[choice] = [this, choice](std::string_view text) {
    writer_->Text(choice, text);
    return true;
  };
  parsed.stop.emplace(stops_, on_texts_[choice]);
  const auto on_text = [this, &parsed](std::string_view text) {
    const size_t least = asked_.fields.options.min_new_tokens;
    if (least != 0 && parsed.num_tokens <= least) {
      parsed.stop->Pass(text);
    } else {
      parsed.stop->Append(text);
    }
  };
  const auto on_thoughts = [this, choice](std::string_view text) {
    writer_->Thoughts(choice, text);
  };
  AnswerParser::CallFunction on_call;
  if (asked_.dialect != ToolDialect::kNone) {
    on_call = [this, choice, &parsed](const ToolCallPiece& piece) {
      // Text that was held back is no stop string: a call follows it.
      parsed.stop->Flush();
      if (!parsed.stop->stopped()) writer_->Call(choice, piece);
    };
  }
  parsed.parser.emplace(served_->tokenizer, on_text, on_thoughts, on_call,
                        asked_.dialect);
}

absl::Status Generation::Start(std::shared_ptr<Served> served, Asked asked,
                               std::shared_ptr<Exchange::State> out,
                               std::unique_ptr<AnswerWriter> writer,
                               std::string_view param) {
  const auto generation = std::make_shared<Generation>(
      std::move(served), std::move(asked), std::move(out), std::move(writer));
  absl::Status status = NoThrow([&] {
    generation->writer_->Begin();
    return generation->SubmitAll(param);
  });
  if (status.ok()) {
    generation->out_->Release();
  } else {
    // The error comes first: choices that run already end soon as cancelled,
    // and would give a reason of their own.
    generation->out_->Fail(status);
    generation->out_->Cancel();
  }
  return status;
}

absl::Status Generation::SubmitAll(std::string_view param) {
  GEMMA_RETURN_IF_ERROR(AtParam(writer_->CheckSize(), param));
  for (size_t i = 0; i < choices_.size(); ++i) {
    absl::StatusOr<Ticket> ticket = served_->engine->Submit(RequestOf(i));
    if (!ticket.ok()) {
      absl::Status status =
          absl::IsOutOfRange(ticket.status())
              ? WithCode(ticket.status(), 400, "context_length_exceeded")
              : ticket.status();
      if (asked_.prompts.size() == 1) return AtParam(std::move(status), param);
      return AtParam(std::move(status),
                     absl::StrCat(param, "[", i / asked_.fields.n, "]"));
    }
    const std::lock_guard lock(mutex_);
    if (!choices_[i].ended) choices_[i].ticket.emplace(*std::move(ticket));
  }
  return absl::OkStatus();
}

Request Generation::RequestOf(size_t choice) {
  const AnswerFields& fields = asked_.fields;
  // The functions keep the generation alive until the choice has ended.
  const auto self = shared_from_this();
  Request request;
  request.client = asked_.client;
  request.prompt = asked_.prompts[choice / fields.n];
  request.options = fields.options;
  request.options.sampling.seed += choice % fields.n;
  request.options.deadline = asked_.deadline;
  request.tap = asked_.tap;
  // Readers of scored prompts count on an entry after them.
  request.options.score_prompt = asked_.scores_prompt;
  request.options.score_stop = asked_.scores_prompt;
  if (fields.grammar.has_value()) request.options.grammar = &*fields.grammar;
  request.options.cancelled = [self] {
    return self->failed_ || self->out_->cancelled();
  };
  const bool counts = fields.options.min_new_tokens != 0 && !stops_.empty();
  if (fields.logprobs || counts) {
    request.options.on_token = [self, choice](const ScoredToken& token) {
      ++self->choices_[choice].num_tokens;
      if (!self->asked_.fields.logprobs) return;
      self->writer_->Token(choice, token);
      self->CheckSize();
    };
  }
  if (fields.progress && choice % fields.n == 0) {
    const size_t prompt = choice / fields.n;
    request.options.on_prompt = [self, prompt](size_t done, size_t total) {
      self->writer_->Progress(prompt, done, total, SecondsSince(self->begin_));
    };
  }
  if (asked_.has_thoughts) {
    AnswerParser& parser = *choices_[choice].parser;
    const StopFilter& stop = *choices_[choice].stop;
    request.on_text = [self, &parser, &stop](std::string_view text) {
      parser.Text(text);
      self->CheckSize();
      return !stop.stopped();
    };
    request.options.on_control = [self, &parser](TokenId token) {
      parser.Control(token);
    };
  } else {
    request.on_text = [self, choice](std::string_view text) {
      self->writer_->Text(choice, text);
      self->CheckSize();
      return true;
    };
  }
  request.on_done = [self, choice](const absl::StatusOr<Completion>& answer) {
    self->OnDone(choice, answer);
  };
  return request;
}

void Generation::OnDone(size_t choice,
                        const absl::StatusOr<Completion>& result) {
  // Whatever fails below, this choice has ended.
  ++num_ended_;
  std::optional<Ticket> ticket;
  {
    const std::lock_guard lock(mutex_);
    choices_[choice].ended = true;
    ticket = std::exchange(choices_[choice].ticket, std::nullopt);
  }
  asked_.place.LeaveOne();
  const absl::Status status = NoThrow([&]() -> absl::Status {
    if (asked_.tap && ReasonOf(result.status()) == ErrorReason::kNotFinite) {
      return AtParam(absl::InvalidArgumentError(
                         "'steer' makes logits that are not finite, wanted "
                         "smaller strengths"),
                     "steer");
    }
    GEMMA_RETURN_IF_ERROR(result.status());
    Completion answer = *result;
    GenerateStats& stats = answer.stats;
    if (!failed_) TakeEnd(choices_[choice], stats.stop_reason);
    if (stats.stop_reason != StopReason::kCancelled) {
      served_->admission.Took(stats.prefill_seconds + stats.decode_seconds);
    }
    served_->metrics.Record(answer);
    if (asked_.remembered_text.has_value()) {
      // A client may also send back the text of an answer that it cancelled.
      served_->memory.Remember(asked_.prompts[0], *asked_.remembered_text,
                               answer.tokens);
    }
    return OnAnswer(choice, answer);
  });
  if (!status.ok()) Fail(status);
}

void Generation::TakeEnd(Choice& choice, StopReason& reason) {
  if (!choice.parser.has_value()) return;
  choice.parser->Finish();
  choice.stop->Flush();
  if (choice.stop->stopped()) reason = StopReason::kStopString;
}

absl::Status Generation::OnAnswer(size_t choice, const Completion& answer) {
  if (failed_) return absl::OkStatus();
  const StopReason reason = answer.stats.stop_reason;
  if (reason == StopReason::kCancelled) {
    // Else the reader has gone, and gets nothing.
    return ApiError(503, "stopped", "the server stops");
  }
  Choice& ended = choices_[choice];
  ended.prompt_tokens = answer.stats.prompt_tokens;
  ended.reused_tokens = answer.stats.reused_tokens;
  new_tokens_ += answer.stats.new_tokens;
  if (asked_.has_thoughts) {
    thought_tokens_ += NumThoughtTokens(served_->tokenizer, answer.tokens);
  }
  absl::Span<const ToolCall> calls;
  if (ended.parser.has_value() && !ended.stop->stopped()) {
    calls = ended.parser->answer().tool_calls;
  }
  writer_->Took(choice, answer.stats);
  writer_->End(choice, reason, calls);
  GEMMA_RETURN_IF_ERROR(writer_->CheckSize());
  if (num_ended_ == choices_.size()) writer_->Finish(TotalUsage());
  return absl::OkStatus();
}

void Generation::CheckSize() {
  const absl::Status status = writer_->CheckSize();
  if (!status.ok()) Fail(status);
}

void Generation::Fail(const absl::Status& error) {
  if (std::exchange(failed_, true)) return;
  out_->Fail(error);
}

Usage Generation::TotalUsage() const {
  Usage usage;
  usage.completion_tokens = new_tokens_;
  usage.reasoning_tokens = thought_tokens_;
  const size_t n = asked_.fields.n;
  for (size_t i = 0; i < asked_.prompts.size(); ++i) {
    const auto begin = choices_.begin() + static_cast<ptrdiff_t>(i * n);
    const auto end = begin + static_cast<ptrdiff_t>(n);
    // A deadline may end some answers in the queue.
    usage.prompt_tokens +=
        std::ranges::max_element(begin, end, {}, &Choice::prompt_tokens)
            ->prompt_tokens;
    // The other answers to a prompt reuse what the first one computed.
    usage.cached_tokens +=
        std::ranges::min_element(begin, end, {}, &Choice::reused_tokens)
            ->reused_tokens;
  }
  return usage;
}

}  // namespace gemma::internal
