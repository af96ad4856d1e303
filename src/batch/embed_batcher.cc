#include "src/batch/embed_batcher.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "src/batch/running_request.h"
#include "src/generate/answer.h"
#include "src/session/model_impl.h"

namespace gemma::internal {

EmbedBatcher::EmbedBatcher(const Model& model, Executor& executor,
                           const EngineOptions& options, EngineMeter& meter)
    : model_(model),
      executor_(executor),
      max_rows_(model.impl().prefill_chunk),
      meter_(meter),
      between_passes_(options.between_passes) {}

void EmbedBatcher::Add(std::shared_ptr<Ticket::State> ticket) noexcept {
  absl::Status status = Guarded([&] { running_.emplace_back(ticket); });
  if (status.ok()) return;
  meter_.Ended(EngineMeter::Stage::kQueue, std::nullopt);
  ticket->Finish(std::move(status));
}

void EmbedBatcher::Step() {
  for (Running& request : running_) CheckInterruption(request);
  Sweep();
  if (running_.empty()) return;
  RunPass(NextPass());
  Sweep();
  // Each request begins a pass in turn.
  if (running_.size() > 1) {
    running_.splice(running_.end(), running_, running_.begin());
  }
}

std::vector<EmbedBatcher::Running*> EmbedBatcher::NextPass() {
  struct Offer {
    Running* request;
    size_t texts = 0;  // taken
  };
  std::vector<Offer> offers;
  for (Running& request : running_) offers.push_back({&request});
  std::vector<Running*> pass;
  size_t rows = 0;
  for (bool took = true; took;) {
    took = false;
    for (Offer& offer : offers) {
      const EmbedJob& job = offer.request->job();
      if (offer.texts == job.num_left()) continue;
      const size_t more = job.Next(offer.texts).size();
      if (!pass.empty() && rows + more > max_rows_) continue;
      pass.push_back(offer.request);
      rows += more;
      ++offer.texts;
      took = true;
    }
  }
  return pass;
}

void EmbedBatcher::RunPass(const std::vector<Running*>& pass) {
  std::vector<const std::vector<TokenId>*> texts;
  size_t rows = 0;
  for (size_t i = 0; i < pass.size(); ++i) {
    Running& request = *pass[i];
    if (!request.stopwatch.has_value()) {
      request.stopwatch.emplace();
      request.queued_seconds = request.ticket->seconds();
      request.ticket->Started();
    }
    const size_t before = static_cast<size_t>(
        std::count(pass.begin(), pass.begin() + i, pass[i]));
    texts.push_back(&request.job().Next(before));
    rows += texts.back()->size();
  }
  if (between_passes_) between_passes_();
  const Stopwatch stopwatch;
  const absl::Status status =
      RunEmbedPass(executor_, model_.config(), texts, vectors_);
  if (!status.ok()) {
    for (Running* const request : pass) request->status = status;
    return;
  }
  meter_.Passed(rows, rows, stopwatch.seconds());
  const size_t size = model_.config().embedding_dim();
  for (size_t i = 0; i < pass.size(); ++i) {
    Running& request = *pass[i];
    request.computed_tokens += texts[i]->size();
    const absl::Status taken = request.job().Took(
        absl::MakeConstSpan(vectors_).subspan(i * size, size));
    if (!taken.ok()) request.status = model_.impl().WithBadWeight(taken);
  }
  for (Running& request : running_) {
    if (std::find(pass.begin(), pass.end(), &request) == pass.end()) continue;
    if (request.status.ok()) Progress(request);
  }
}

void EmbedBatcher::Progress(Running& request) {
  const std::function<bool(size_t)>& progress =
      request.ticket->request().embed.progress;
  request.status = Guarded([&] {
    const bool goes_on = !progress || progress(request.job().num_done());
    if (request.job().done()) {
      request.reason = StopReason::kMaxTokens;
    } else if (!goes_on) {
      request.reason = StopReason::kCancelled;
    }
  });
}

void EmbedBatcher::CheckInterruption(Running& request) {
  request.status = Guarded([&] {
    request.reason = Interruption(request.ticket->request().options);
  });
}

void EmbedBatcher::Sweep() noexcept {
  for (auto it = running_.begin(); it != running_.end();) {
    if (it->status.ok() && !it->reason.has_value()) {
      ++it;
      continue;
    }
    Finish(*it);
    it = running_.erase(it);
  }
}

void EmbedBatcher::Finish(Running& request) {
  const EngineMeter::Stage stage = request.stopwatch.has_value()
                                       ? EngineMeter::Stage::kPrompt
                                       : EngineMeter::Stage::kQueue;
  if (!request.status.ok()) {
    meter_.Ended(stage, std::nullopt);
    return request.ticket->Finish(std::move(request.status));
  }
  Completion completion;
  completion.stats.stop_reason = *request.reason;
  completion.stats.prompt_tokens = request.computed_tokens;
  completion.queued_seconds = request.ticket->seconds();
  if (request.stopwatch.has_value()) {
    completion.queued_seconds = request.queued_seconds;
    completion.stats.prefill_seconds = request.stopwatch->seconds();
  }
  if (request.job().done()) {
    completion.embeddings = request.job().TakeResult();
  }
  meter_.Ended(stage, request.reason);
  request.ticket->Finish(std::move(completion));
}

void EmbedBatcher::CancelAll() noexcept {
  for (Running& request : running_) request.reason = StopReason::kCancelled;
  Sweep();
}

void EmbedBatcher::FailAll(const absl::Status& status) noexcept {
  for (Running& request : running_) request.status = status;
  Sweep();
}

}  // namespace gemma::internal
