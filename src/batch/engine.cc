#include "gemma/engine.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "gemma/limits.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/sizes.h"
#include "src/base/status_macros.h"
#include "src/batch/batcher.h"
#include "src/batch/embed_batcher.h"
#include "src/batch/grammar_cache.h"
#include "src/batch/memory_account.h"
#include "src/batch/meter.h"
#include "src/batch/request_queue.h"
#include "src/batch/running_request.h"
#include "src/batch/schedule.h"
#include "src/embed/embed_pass.h"
#include "src/generate/answer.h"
#include "src/generate/choices.h"
#include "src/session/model_impl.h"

namespace gemma {
namespace {

// More than Executor::few_rows, which only a loaded model knows.
constexpr size_t kMaxFewRows = std::numeric_limits<size_t>::max();

// How long an engine waits before it asks again for memory that others hold.
constexpr std::chrono::milliseconds kMemoryPoll{5};

absl::Status Check(const EngineOptions& options) {
  if (options.max_sequences < 1 || options.max_sequences > kMaxSequences) {
    return absl::InvalidArgumentError(
        FormatText("max_sequences is %u, wanted 1 to %u", options.max_sequences,
                   kMaxSequences));
  }
  for (const auto& [name, value] :
       {std::pair("max_queued", options.max_queued),
        std::pair("max_queued_per_client", options.max_queued_per_client)}) {
    if (value != 0) continue;
    return absl::InvalidArgumentError(
        FormatText("%s is 0, wanted 1 or more", name));
  }
  return absl::OkStatus();
}

std::unique_ptr<Schedule> NewSchedule(const Model& model, Executor& executor,
                                      const EngineOptions& options,
                                      EngineMeter& meter,
                                      MemoryAccount& account) {
  if (model.config().pooling != Pooling::kNone) {
    return std::make_unique<EmbedBatcher>(model, executor, options, meter);
  }
  return std::make_unique<Batcher>(model, **model.tokenizer(), executor,
                                   options, meter, account);
}

// Returns OK if a model that embeds texts can compute the request.
absl::Status CheckTexts(const Request& request) {
  if (!request.prompt.empty() || !request.words.empty()) {
    return absl::InvalidArgumentError(
        "a request has a prompt, but the model embeds texts");
  }
  if (!request.choices.empty() || request.tap) {
    return absl::InvalidArgumentError(
        "a request has choices or a tap, but the model embeds texts");
  }
  if (request.texts.empty()) {
    return absl::InvalidArgumentError(
        "a request has no texts, wanted 1 or more");
  }
  return absl::OkStatus();
}

absl::Status CheckMaxBytes(const Model& model, const Executor& executor,
                           const EngineOptions& options) {
  const uint64_t least = Batcher::LeastBytes(model, executor, options);
  if (options.max_bytes == 0 || options.max_bytes >= least) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      FormatText("max_bytes is %u, wanted at least %u, which one request needs",
                 options.max_bytes, least));
}

// The texts of an embedding model are no longer than those it was made for.
EmbedderOptions EmbedderOptionsOf(const Model& model,
                                  const EngineOptions& options) {
  return {std::min(options.max_tokens, MaxPooledTokens(model.config()))};
}

}  // namespace

// Shared by the engine and its thread, so that functions of requests may
// destroy the engine.
class Engine::Impl {
 public:
  // `embedder`: for a model that embeds texts.
  Impl(const Model& model, Executor& executor, const EngineOptions& options,
       std::unique_ptr<MemoryAccount> account, std::optional<Embedder> embedder)
      : model_(model),
        executor_(executor),
        options_(options),
        embedder_(std::move(embedder)),
        account_(std::move(account)),
        max_rows_(executor.max_rows()),
        meter_(options),
        grammars_(std::min(options.grammar_bytes, options.reuse_bytes), meter_,
                  *account_),
        schedule_(
            NewSchedule(model, executor, ScheduleOptions(), meter_, *account_)),
        queue_(options.max_queued, options.max_queued_per_client) {}

  // Throws if no thread can be started.
  static void Start(const std::shared_ptr<Impl>& impl) {
    impl->thread_ = std::thread([impl] { impl->Run(); });
    impl->thread_id_ = impl->thread_.get_id();
  }

  void Stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    // If the engine's thread cannot end while this thread waits, let it end on
    // its own.
    if (std::this_thread::get_id() == thread_id_) {
      is_abandoned_ = true;
      thread_.detach();
    } else if (ThreadPool::Impl::HasTurn(&executor_.pool())) {
      const std::lock_guard lock(between_passes_mutex_);
      is_abandoned_ = true;
      thread_.detach();
    } else {
      thread_.join();
    }
  }

  absl::StatusOr<Ticket> Submit(Request request) {
    std::optional<EmbedJob> job;
    if (embedder_.has_value()) {
      GEMMA_RETURN_IF_ERROR(CheckTexts(request));
      GEMMA_ASSIGN_OR_RETURN(
          job,
          EmbedJob::Create(model_, *embedder_, request.texts, request.embed));
    } else {
      GEMMA_RETURN_IF_ERROR(CheckPrompt(request));
    }
    auto state = std::make_shared<Ticket::State>(std::move(request), thread_id_,
                                                 &executor_.pool());
    if (job.has_value()) state->set_embed_job(*std::move(job));
    {
      const std::lock_guard lock(mutex_);
      const absl::Status pushed = queue_.Push(state);
      if (!pushed.ok()) {
        meter_.Refused();
        return pushed;
      }
      meter_.Queued(state->num_words());
    }
    wake_.notify_one();
    return Ticket(std::move(state));
  }

  absl::StatusOr<Grammar> Compile(const GrammarSource& source) {
    return grammars_.Get(source);
  }

  EngineSnapshot Snapshot() const { return meter_.Get(); }

 private:
  // Returns OK if the request can be computed.
  absl::Status CheckPrompt(const Request& request) const {
    if (!request.texts.empty()) {
      return absl::InvalidArgumentError(
          "a request has texts to embed, but the model continues texts");
    }
    const ModelConfig& config = model_.config();
    GEMMA_RETURN_IF_ERROR(Answer::Check(request.options, config));
    const size_t room = HasGlobal(config) ? options_.max_tokens
                                          : std::numeric_limits<size_t>::max();
    if (!request.words.empty() && !request.prompt.empty()) {
      return absl::InvalidArgumentError(
          "a request has a prompt and words, wanted one of them");
    }
    const WordView prompt = request.words.empty() ? WordView(request.prompt)
                                                  : WordView(request.words);
    GEMMA_RETURN_IF_ERROR(Answer::CheckPrompt(prompt, room, config, max_rows_));
    if (!request.choices.empty()) {
      if (request.options.max_new_tokens != 0) {
        return absl::InvalidArgumentError(
            FormatText("a request has choices, but max_new_tokens is %u, "
                       "wanted 0",
                       request.options.max_new_tokens));
      }
      GEMMA_RETURN_IF_ERROR(
          CheckChoices(config, room, prompt.size(), request.choices));
    }
    return absl::OkStatus();
  }

  // Ends every request, even if something throws.
  void Run() noexcept {
    while (Wait()) {
      const absl::Status status = Guarded([this] {
        Admit();
        DropInterrupted();
        schedule_->SetOtherBytes(grammars_.bytes());
        schedule_->Step();
        BetweenPasses();
      });
      if (status.ok()) continue;
      schedule_->FailAll(status);
      Guarded([this] { BetweenPasses(); }).IgnoreError();  // nothing runs now
    }
    schedule_->CancelAll();
    while (const RequestQueue::Item item = Pop()) {
      meter_.EndedInQueue(item->num_words(), StopReason::kCancelled);
      item->FinishUnbegun(StopReason::kCancelled);
    }
    Guarded([this] { BetweenPasses(); }).IgnoreError();
  }

  // The options, with which the schedule calls BetweenPasses before its passes.
  EngineOptions ScheduleOptions() {
    EngineOptions options = options_;
    options.between_passes = [this] { BetweenPasses(); };
    return options;
  }

  // Calls the caller's function, unless the engine was destroyed without
  // waiting for this thread: what the function uses may be gone.
  void BetweenPasses() {
    if (!options_.between_passes) return;
    const std::lock_guard lock(between_passes_mutex_);
    if (!is_abandoned_) options_.between_passes();
  }

  // Waits for something to do. Returns false when the engine stops.
  bool Wait() {
    std::unique_lock lock(mutex_);
    if (schedule_->waits_for_memory()) {
      // Meanwhile requests may be cancelled, of which nobody tells.
      wake_.wait_for(lock, kMemoryPoll, [this] { return stop_; });
      return !stop_;
    }
    wake_.wait(lock, [this] {
      return stop_ || !queue_.empty() || schedule_->num_running() != 0;
    });
    return !stop_;
  }

  void Admit() {
    while (schedule_->num_running() < options_.max_sequences) {
      RequestQueue::Item item = Pop();
      if (item == nullptr) return;
      meter_.Admitted(item->num_words());
      schedule_->Add(std::move(item));
    }
  }

  // The next request that waits, or null.
  RequestQueue::Item Pop() {
    const std::lock_guard lock(mutex_);
    return queue_.Pop();
  }

  // Ends waiting requests that were cancelled or are late.
  void DropInterrupted() {
    std::vector<RequestQueue::Item> items;
    {
      const std::lock_guard lock(mutex_);
      items = queue_.items();
    }
    for (const RequestQueue::Item& item : items) {
      std::optional<StopReason> reason;
      const absl::Status asked =
          Guarded([&] { reason = Interruption(item->request().options); });
      if (asked.ok() && !reason.has_value()) continue;
      {
        const std::lock_guard lock(mutex_);
        queue_.Remove(item);
      }
      meter_.EndedInQueue(item->num_words(), reason);
      if (asked.ok()) {
        item->FinishUnbegun(*reason);
      } else {
        item->Finish(asked);
      }
    }
  }

  const Model model_;
  const Executor& executor_;
  const EngineOptions options_;
  const std::optional<Embedder> embedder_;
  const std::unique_ptr<MemoryAccount> account_;
  const size_t max_rows_;  // of a pass
  EngineMeter meter_;
  GrammarCache grammars_;
  const std::unique_ptr<Schedule> schedule_;  // used only by the thread

  std::mutex mutex_;  // guards queue_ and stop_
  std::condition_variable wake_;
  RequestQueue queue_;
  bool stop_ = false;

  std::mutex between_passes_mutex_;  // held while the function runs
  bool is_abandoned_ = false;        // nobody waits for the thread's end

  std::thread thread_;
  std::thread::id thread_id_;  // still valid when detached
};

absl::StatusOr<Engine> Engine::Create(const Model& model,
                                      const EngineOptions& options) {
  return NoThrow([&]() -> absl::StatusOr<Engine> {
    GEMMA_RETURN_IF_ERROR(Check(options));
    GEMMA_RETURN_IF_ERROR(model.tokenizer().status());
    std::optional<Embedder> embedder;
    if (model.config().pooling != Pooling::kNone) {
      GEMMA_ASSIGN_OR_RETURN(
          embedder, Embedder::Create(model, EmbedderOptionsOf(model, options)));
    } else {
      // Session::Create checks the other options and the model.
      GEMMA_RETURN_IF_ERROR(
          Session::Create(model, Batcher::SequenceOptions(options)).status());
    }
    GEMMA_ASSIGN_OR_RETURN(Executor * executor, model.impl().executor());
    if (!embedder.has_value()) {
      GEMMA_RETURN_IF_ERROR(CheckMaxBytes(model, *executor, options));
    }
    GEMMA_ASSIGN_OR_RETURN(std::unique_ptr<MemoryAccount> account,
                           Batcher::OpenAccount(model, *executor, options));
    auto impl = std::make_shared<Impl>(model, *executor, options,
                                       std::move(account), std::move(embedder));
    try {
      Impl::Start(impl);
    } catch (const std::system_error& error) {
      return absl::ResourceExhaustedError(
          FormatText("no thread for the engine: %s", error.what()));
    }
    return Engine(std::move(impl));
  });
}

MemoryUse Engine::MemoryFor(const Model& model, const EngineOptions& options) {
  if (model.config().pooling != Pooling::kNone) {
    return Embedder::MemoryFor(model, EmbedderOptionsOf(model, options));
  }
  const SessionOptions sequence = Batcher::SequenceOptions(options);
  MemoryUse use = model.MemoryFor(sequence, options.max_sequences);
  use.scratch = Sum(
      {use.scratch, Batcher::MostLogits(model.config(), kMaxFewRows, options)});
  use.checkpoints = SequencePool::CheckpointBytes(model, sequence);
  return use;
}

Engine::Engine(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() {
  if (impl_ != nullptr) impl_->Stop();
}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&& other) noexcept {
  // The current engine ends with `old`.
  const Engine old = std::move(*this);
  impl_ = std::move(other.impl_);
  return *this;
}

absl::StatusOr<Ticket> Engine::Submit(Request request) {
  return NoThrow([&] { return impl_->Submit(std::move(request)); });
}

absl::StatusOr<Grammar> Engine::Compile(const GrammarSource& source) {
  return NoThrow([&] { return impl_->Compile(source); });
}

EngineSnapshot Engine::Snapshot() const { return impl_->Snapshot(); }

}  // namespace gemma
