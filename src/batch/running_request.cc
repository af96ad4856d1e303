#include "src/batch/running_request.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "src/session/model_impl.h"

namespace gemma::internal {

RunningRequest::RunningRequest(std::shared_ptr<Ticket::State> ticket,
                               const Model& model, const Tokenizer& tokenizer,
                               const Executor& executor)
    : ticket_(std::move(ticket)),
      on_text_([this](std::string_view text) { return OnText(text); }),
      answer_(model.config(), tokenizer, ticket_->request().options, on_text_),
      pieces_(prompt(), scored(), executor.few_rows(), executor.max_rows()) {}

void RunningRequest::Start(Session session) {
  session_ = std::move(session);
  completion_.stats.reused_tokens = position();
  completion_.queued_seconds = ticket_->seconds();
  stopwatch_ = Stopwatch();
  ticket_->Started();
  if (!has_tap()) return;
  session_->SetTap([this](const TapSite& site, absl::Span<float> activations) {
    OnTap(site, activations);
  });
}

void RunningRequest::OnTap(const TapSite& site, absl::Span<float> activations) {
  if (!tap_status_.ok()) return;
  tap_status_ = Guarded([&] { ticket_->request().tap(site, activations); });
}

Segment RunningRequest::NextOfPrompt(size_t end) {
  const size_t begin = position();
  const WantedLogits wanted = scored()                ? WantedLogits::kAll
                              : end < prompt().size() ? WantedLogits::kNone
                              : has_choices()         ? WantedLogits::kLast
                                                      : answer_.prompt_logits();
  return session().Next(WordView(prompt()).First(end).From(begin), end - begin,
                        end - begin, wanted);
}

Segment RunningRequest::NextAfterPrompt() {
  if (scorer_.has_value()) {
    const absl::Span<const TokenId> next = scorer_->Next();
    return session().Next(next, next.size(), next.size(), WantedLogits::kAll);
  }
  return session().Next(absl::MakeConstSpan(&next_, 1), 1, 1,
                        WantedLogits::kLast);
}

void RunningRequest::Took(const Segment& segment, MatrixView<float> logits) {
  if (!tap_status_.ok()) return Fail(tap_status_);
  const bool of_prompt = segment.position < prompt().size();
  Call([&] {
    if (of_prompt) {
      TookPrompt(segment, logits);
    } else if (scorer_.has_value()) {
      TookChoice(logits);
    } else {
      const auto row = logits.Row(0);
      Choose({row.data(), row.size()});
    }
  });
}

void RunningRequest::TookPrompt(const Segment& segment,
                                MatrixView<float> logits) {
  if (scored()) {
    for (size_t i = 0; i < logits.rows; ++i) {
      const auto row = logits.Row(i);
      answer_.Score(segment.words.tokens()[i], {row.data(), row.size()});
    }
  }
  ended_ = answer_.EndsPrompt(position(), prompt().size());
  if (!answer_.status().ok()) return Fail(answer_.status());
  if (in_prompt()) return;
  answer_.Begin(prompt().tokens());
  completion_.stats.prefill_seconds = stopwatch_.seconds();
  stopwatch_ = Stopwatch();
  if (has_choices()) {
    const auto last = logits.Row(logits.rows - 1);
    return BeginChoices({last.data(), last.size()});
  }
  ended_ = answer_.Ended(session().remaining());
  if (ended_) return;
  const auto last = logits.Row(logits.rows - 1);
  Choose({last.data(), last.size()});
}

void RunningRequest::BeginChoices(absl::Span<const float> logits) {
  scorer_.emplace(ticket_->request().choices,
                  std::min(kChoiceRows, session().executor().few_rows()));
  absl::Status status = scorer_->Begin(logits, prompt().size());
  // Without a checkpoint, going back to the prompt would compute it again.
  if (status.ok() && scorer_->longest() > session().options().max_rollback) {
    status = session().AddCheckpoint();
  }
  if (!status.ok()) return Fail(std::move(status));
  NextChoice();
}

void RunningRequest::TookChoice(MatrixView<float> logits) {
  absl::Status status = scorer_->Took(logits);
  if (status.ok() && scorer_->at_prompt()) {
    status = session().Rewind(prompt().size());
  }
  if (!status.ok()) return Fail(std::move(status));
  NextChoice();
}

void RunningRequest::NextChoice() {
  ended_ = answer_.Interrupted();
  if (ended_ || !scorer_->Next().empty()) return;
  ended_ = answer_.Ended(session().remaining());
  completion_.scores = scorer_->TakeScores();
}

void RunningRequest::Choose(absl::Span<float> logits) {
  const RequestTimes::TimePoint now = std::chrono::steady_clock::now();
  const std::optional<TokenId> token = answer_.Choose(logits);
  if (token.has_value()) {
    next_ = *token;
    completion_.tokens.push_back(next_);
    completion_.token_seconds.push_back(ticket_->SecondsTo(now));
    ticket_->Chose(now);
  }
  if (!answer_.status().ok()) return Fail(answer_.status());
  // A token that ends the answer need not be computed.
  ended_ = !token.has_value() || answer_.Ended(session().remaining() - 1);
}

bool RunningRequest::OnText(std::string_view text) {
  completion_.text.append(text);
  const Request& request = ticket_->request();
  return !request.on_text || request.on_text(text);
}

void RunningRequest::CheckInterruption() {
  Call([&] { ended_ = answer_.Interrupted(); });
}

void RunningRequest::Call(absl::FunctionRef<void()> body) {
  absl::Status status = Guarded(body);
  if (!status.ok()) Fail(std::move(status));
}

void RunningRequest::Fail(absl::Status status) {
  // A tap may make numbers that are not finite; then no weight is at fault.
  status_ = session_.has_value() && !has_tap()
                ? session_->model().impl().WithBadWeight(std::move(status))
                : std::move(status);
  ended_ = true;
}

void RunningRequest::Finish(
    EngineMeter& meter,
    absl::FunctionRef<void(std::optional<Session>)> release) {
  if (status_.ok()) Call([&] { answer_.Finish(); });
  GenerateStats& stats = completion_.stats;
  stats.new_tokens = answer_.num_tokens();
  stats.stop_reason = answer_.stop_reason();
  stats.prompt_tokens = started() ? std::min(position(), prompt().size()) : 0;
  EngineMeter::Stage stage = EngineMeter::Stage::kQueue;
  if (!started()) {
    completion_.queued_seconds = ticket_->seconds();
  } else if (in_prompt()) {
    stage = EngineMeter::Stage::kPrompt;
    stats.prefill_seconds = stopwatch_.seconds();
  } else {
    stage = EngineMeter::Stage::kAnswer;
    stats.decode_seconds = stopwatch_.seconds();
  }
  release(std::exchange(session_, std::nullopt));
  if (status_.ok()) {
    meter.Ended(stage, stats.stop_reason);
    ticket_->Finish(std::move(completion_));
  } else {
    meter.Ended(stage, std::nullopt);
    ticket_->Finish(std::move(status_));
  }
}

}  // namespace gemma::internal
