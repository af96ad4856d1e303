#include "gemma/engine.h"

#include <algorithm>
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
#include "src/batch/grammar_cache.h"
#include "src/batch/meter.h"
#include "src/batch/request_queue.h"
#include "src/batch/running_request.h"
#include "src/generate/answer.h"
#include "src/generate/choices.h"
#include "src/session/model_impl.h"

namespace gemma {
namespace {

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

// One request always fits beside the grammars.
uint64_t MostGrammarBytes(const Model& model, const Executor& executor,
                          const EngineOptions& options) {
  const uint64_t most = std::min(options.grammar_bytes, options.reuse_bytes);
  if (options.max_bytes == 0) return most;
  return std::min(
      most, options.max_bytes - Batcher::LeastBytes(model, executor, options));
}

}  // namespace

// Shared by the engine and its thread, so that functions of requests may
// destroy the engine.
class Engine::Impl {
 public:
  Impl(const Model& model, const Tokenizer& tokenizer, Executor& executor,
       const EngineOptions& options)
      : model_(model),
        executor_(executor),
        options_(options),
        max_rows_(executor.max_rows()),
        meter_(options),
        grammars_(MostGrammarBytes(model, executor, options), meter_),
        batcher_(model, tokenizer, executor, options, meter_),
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
    if (std::this_thread::get_id() == thread_id_ ||
        Executor::InPassOf(&executor_)) {
      thread_.detach();
    } else {
      thread_.join();
    }
  }

  absl::StatusOr<Ticket> Submit(Request request) {
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
    auto state = std::make_shared<Ticket::State>(std::move(request), thread_id_,
                                                 &executor_);
    {
      const std::lock_guard lock(mutex_);
      const absl::Status pushed = queue_.Push(state);
      if (!pushed.ok()) {
        meter_.Refused();
        return pushed;
      }
      meter_.Queued(state->prompt().size());
    }
    wake_.notify_one();
    return Ticket(std::move(state));
  }

  absl::StatusOr<Grammar> Compile(const GrammarSource& source) {
    return grammars_.Get(source);
  }

  EngineSnapshot Snapshot() const { return meter_.Get(); }

 private:
  // Ends every request, even if something throws.
  void Run() noexcept {
    while (Wait()) {
      const absl::Status status = Guarded([this] {
        Admit();
        DropInterrupted();
        batcher_.SetOtherBytes(grammars_.bytes());
        batcher_.Step();
      });
      if (!status.ok()) batcher_.FailAll(status);
    }
    batcher_.CancelAll();
    while (const RequestQueue::Item item = Pop()) {
      meter_.EndedInQueue(item->prompt().size(), StopReason::kCancelled);
      item->FinishUnbegun(StopReason::kCancelled);
    }
  }

  // Waits for something to do. Returns false when the engine stops.
  bool Wait() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] {
      return stop_ || !queue_.empty() || batcher_.num_running() != 0;
    });
    return !stop_;
  }

  void Admit() {
    while (batcher_.num_running() < options_.max_sequences) {
      RequestQueue::Item item = Pop();
      if (item == nullptr) return;
      meter_.Admitted(item->prompt().size());
      batcher_.Add(std::move(item));
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
      meter_.EndedInQueue(item->prompt().size(), reason);
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
  const size_t max_rows_;  // of a pass
  Meter meter_;
  GrammarCache grammars_;
  Batcher batcher_;  // used only by the thread

  std::mutex mutex_;  // guards queue_ and stop_
  std::condition_variable wake_;
  RequestQueue queue_;
  bool stop_ = false;

  std::thread thread_;
  std::thread::id thread_id_;  // still valid when detached
};

absl::StatusOr<Engine> Engine::Create(const Model& model,
                                      const EngineOptions& options) {
  return NoThrow([&]() -> absl::StatusOr<Engine> {
    GEMMA_RETURN_IF_ERROR(Check(options));
    GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, model.tokenizer());
    // Session::Create checks the other options and the model.
    GEMMA_RETURN_IF_ERROR(
        Session::Create(model, Batcher::SequenceOptions(options)).status());
    GEMMA_ASSIGN_OR_RETURN(Executor * executor, model.impl().executor());
    const uint64_t least = Batcher::LeastBytes(model, *executor, options);
    if (options.max_bytes != 0 && options.max_bytes < least) {
      return absl::InvalidArgumentError(
          FormatText("max_bytes is %u, wanted at least %u, which one request "
                     "needs",
                     options.max_bytes, least));
    }
    auto impl = std::make_shared<Impl>(model, *tokenizer, *executor, options);
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
  MemoryUse use =
      model.MemoryFor(Batcher::SequenceOptions(options), options.max_sequences);
  // The logits of a pass: of each answer, and of a piece of a prompt.
  use.scratch =
      Sum({use.scratch, Product({Sum({options.max_sequences, 1}),
                                 model.config().vocab_size, sizeof(float)})});
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
