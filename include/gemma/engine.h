// Computes many requests together.

#ifndef GEMMA_ENGINE_H_
#define GEMMA_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/embedder.h"
#include "gemma/engine_metrics.h"
#include "gemma/export.h"
#include "gemma/generate.h"
#include "gemma/grammar.h"
#include "gemma/memory_budget.h"
#include "gemma/model.h"
#include "gemma/score.h"
#include "gemma/session.h"
#include "gemma/taps.h"
#include "gemma/words.h"

namespace gemma {

// Limits of an engine: requests and memory.
struct EngineOptions {
  // The most tokens of each request's sequence; see SessionOptions.
  size_t max_tokens = 4096;
  // The format of keys and values; see SessionOptions.
  CacheFormat cache_format = CacheFormat::kAuto;
  // Requests that run at the same time, 1 to 1024. Each uses the caches of a
  // session.
  size_t max_sequences = 8;
  // The most requests that wait, from all clients together.
  size_t max_queued = 1024;
  // The most requests of one client that wait.
  size_t max_queued_per_client = 1024;
  // The most bytes kept for reuse by prompts with the same beginning; 0: none.
  // These are the caches of ended requests (the least recently used are dropped
  // first) and checkpoints of running requests. A checkpoint is a copy of the
  // local and recurrent layers, made about every 256 tokens of the prompt, or
  // at the end of each pass if passes are longer. Kept grammars count too: the
  // next pass drops caches to make room for them.
  uint64_t reuse_bytes = uint64_t{1} << 30;
  // The most bytes of grammars that Compile keeps, at most reuse_bytes; the
  // least recently used are dropped first. 0: none.
  uint64_t grammar_bytes = uint64_t{1} << 26;
  // The most bytes that the engine holds: the caches of running requests, all
  // that reuse_bytes counts, and the logits of passes; 0: only the limits
  // above. Weights and what passes need besides are not counted; see
  // Model::MemoryFor. If there is no room for a request, the engine first drops
  // what it keeps for reuse; then the request waits until others end.
  uint64_t max_bytes = 0;
  // If set, the same bytes also count against a limit that engines share.
  std::optional<MemoryBudget> budget = {};
  // Called by the engine's thread after functions of requests: before each pass
  // and before it waits. So all that they collect can be handed over once a
  // pass, for example to wake an event loop. It may be called when they have
  // not been. The same rules hold as for them, see Engine; if it throws, all
  // requests that run fail. Not called any more once the destructor of the
  // engine has returned. May be empty.
  std::function<void()> between_passes = {};
};

struct Completion;

// A request to an engine.
struct Request {
  std::vector<TokenId> prompt;  // as for Generate
  Words words;  // if not empty, replaces `prompt`, which must be empty
  // The engine ignores `speculation` and `checkpoints`: it does not guess
  // tokens and keeps its own checkpoints. Calls of on_prompt also count reused
  // tokens. `cancelled` and `deadline` also apply while the request waits. The
  // engine copies the grammar.
  GenerateOptions options;
  // Receives the text, as in Generate. May be empty.
  std::function<bool(std::string_view text)> on_text;
  // Receives the answer, or the error, just before the ticket is done: the last
  // call of a function of the request. Also called for requests that were
  // cancelled while they waited. May be empty. It may destroy the ticket.
  std::function<void(const absl::StatusOr<Completion>& answer)> on_done;
  // The client this request counts against; clients take turns, see Engine.
  std::string client;
  // If not empty, the request has no answer. Completion::scores then has the
  // probability that each choice follows the prompt, as from Score, and the
  // stop reason is kMaxTokens. Requires that max_new_tokens is 0.
  std::vector<std::vector<TokenId>> choices;
  // If set, sees and may change the activations of this request, as the tap of
  // a session does. Other requests do not notice: the request shares no caches
  // with them, in either direction. If the tap throws, only this request fails.
  TapFunction tap;
  // The texts to embed, and how, for an engine of a model that embeds texts;
  // see Embedder. Completion::embeddings then has the vectors, and the stop
  // reason is kMaxTokens. Only `cancelled` and `deadline` of `options` count.
  // If embed.progress returns false, the request is cancelled.
  std::vector<std::string> texts;
  EmbedOptions embed;  // how to embed `texts`
};

// The answer to a request.
struct Completion {
  std::string text;             // everything that on_text received
  std::vector<TokenId> tokens;  // without a stop token
  GenerateStats stats;          // reused_tokens: computed by other requests
  double queued_seconds = 0;    // until the engine began the prompt
  RequestTimes times;           // when its parts happened
  // Seconds from `times.queued` to each of `tokens`, as in `times.first_token`.
  std::vector<double> token_seconds;
  std::vector<ChoiceScore> scores;  // one for each of Request::choices
  Embeddings embeddings;            // of Request::texts
};

// A handle to the answer of a request. Movable. Any thread may use it, even
// after the engine is destroyed. The destructor cancels the request and waits
// until the engine no longer calls the request's functions. It does not wait if
// the request waits for the caller; see Wait.
class GEMMA_EXPORT Ticket {
 public:
  ~Ticket();
  Ticket(Ticket&&) noexcept;
  // Destroys the current ticket, then moves `other` into it.
  Ticket& operator=(Ticket&& other) noexcept;

  // Ends the request soon, with StopReason::kCancelled and the text so far.
  void Cancel();

  // Returns whether the answer is there: Wait returns at once.
  bool done() const;

  // Returns when the parts of the request so far happened. Never waits for a
  // pass.
  RequestTimes times() const;

  // Waits for the answer and returns it. The reference stays valid as long as
  // the ticket. A cancelled or late request is not an error: see its stop
  // reason. Internal if a function of the request threw, ResourceExhausted if
  // memory ran out. Returns FailedPrecondition at once if the request waits for
  // the caller: in a function of a request of the same engine, and in a tap of
  // a model that shares its threads with the engine's model.
  const absl::StatusOr<Completion>& Wait() const;

  // Internal; see src/batch/ticket_state.h.
  class State;
  // Internal.
  explicit Ticket(std::shared_ptr<State> state);

 private:
  std::shared_ptr<State> state_;
};

// Computes requests together, on its own thread, with the model's threads.
// Shares the model. Engines of models with one ThreadPool take turns. A pass
// has one token of each running answer and pieces of prompts: of four, three go
// to the prompt with the least left, and one to that which has waited longest.
// When a running request ends, a waiting one starts: clients take turns, and
// the oldest request of the client comes first.
//
// A prompt that begins like another request, running or ended, reuses its
// caches. If requests with a common beginning arrive together, one of them
// computes it and the others wait.
//
// The engine of a model that embeds texts has requests with texts in place of
// prompts. A pass takes texts of all of them in turn, up to
// LoadOptions::prefill_chunk tokens. Vectors are those of an Embedder whose
// max_tokens are those of the engine, as far as the model allows.
//
// Answers (tokens, text, log-probabilities, stop reasons) are the same, bit for
// bit, as from Generate with a new session of the same max_tokens and
// cache_format, whatever else runs and whatever is reused. On CPUs that sum in
// a different order for many tokens than for few (see
// LoadOptions::deterministic), prompts and answers run in separate passes,
// prompts are cut as Generate cuts them, and caches are reused only if they
// were computed in pieces of the same kind. An answer inside the next prompt
// was computed token by token; most of it is then computed again.
//
// The engine's thread calls the functions of requests (on_text, on_prompt,
// on_token, on_control, cancelled, on_done) between passes. All requests wait
// while a function runs, so hand the text over to slow consumers. If a function
// throws, only its request fails. The functions may use sessions of the model:
// the engine does not use the model meanwhile.
class GEMMA_EXPORT Engine {
 public:
  // Fails if an option is out of range, if max_bytes is less than one request
  // needs, if the model has no tokenizer, or if memory runs out for one
  // sequence; with ResourceExhausted also if the budget has no room for a
  // request of each of its engines.
  static absl::StatusOr<Engine> Create(const Model& model,
                                       const EngineOptions& options = {});

  // Returns the memory of the model and of an engine with these options when
  // all sequences run, one of them with a checkpoint. It does not count
  // reuse_bytes.
  static MemoryUse MemoryFor(const Model& model, const EngineOptions& options);

  // Cancels all requests and waits until they have ended. If they wait for the
  // caller (see Ticket::Wait), returns at once; they end soon after.
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // Queues the request and returns at once. Any thread may call it, and so may
  // functions of requests. Fails as Generate does. If the queue is full,
  // returns ResourceExhausted, which names the limit.
  absl::StatusOr<Ticket> Submit(Request request);

  // Returns the grammar of a source. Compiles it on the calling thread, once:
  // the engine keeps grammars within EngineOptions::grammar_bytes, and calls at
  // the same time share the work. Any thread may call it. Fails as the
  // functions of Grammar do; errors are not kept.
  absl::StatusOr<Grammar> Compile(const GrammarSource& source);

  // Returns the engine's state. Any thread may call it, also in functions of
  // requests and in taps. Never waits for a pass, and allocates nothing.
  EngineSnapshot Snapshot() const;

 private:
  class Impl;
  explicit Engine(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_ENGINE_H_
