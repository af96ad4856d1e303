// Many requests at once.

#ifndef GEMMA_ENGINE_H_
#define GEMMA_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/export.h"
#include "gemma/generate.h"
#include "gemma/model.h"
#include "gemma/session.h"
#include "gemma/words.h"

namespace gemma {

// How many requests an engine takes, and what memory.
struct EngineOptions {
  // Of each request's sequence; see SessionOptions.
  size_t max_tokens = 4096;
  // The same.
  CacheFormat cache_format = CacheFormat::kAuto;
  // Requests that are computed together, 1 to 1024. Each takes the caches of a
  // session.
  size_t max_sequences = 8;
  // Requests that wait, of all clients together.
  size_t max_queued = 1024;
  // Of one client.
  size_t max_queued_per_client = 1024;
  // What may be kept so that a prompt's beginning is not computed again: the
  // caches of ended requests, the last used longest, and checkpoints of running
  // ones (copies of the local and recurrent layers, about every 256 tokens of
  // the prompt, or at the end of each pass that has more). 0: nothing.
  uint64_t reuse_bytes = uint64_t{1} << 30;
};

// What an engine shall answer.
struct Request {
  std::vector<TokenId> prompt;  // as Generate has it
  Words words;  // if not empty: the prompt, in place of `prompt`
  // All count but `speculation` and `checkpoints`: the engine does not guess,
  // and keeps checkpoints of its own. on_prompt counts what is reused.
  // cancelled and deadline are also heard while the request waits. The engine
  // keeps a copy of the grammar.
  GenerateOptions options;
  // As that of Generate; may be empty.
  std::function<bool(std::string_view text)> on_text;
  // Whose turn it is used up; see Engine.
  std::string client;
};

// The answer to a request.
struct Completion {
  std::string text;             // all that on_text receives
  std::vector<TokenId> tokens;  // without a stop token
  GenerateStats stats;          // reused_tokens: what others had computed
  double queued_seconds = 0;    // until the prompt was begun
};

// Where the answer to a request comes. Movable. May be used from any thread,
// and may outlive the engine. Destroying it cancels the request and waits until
// its functions are no longer called; only where the request waits for the
// caller, see Wait, it does not wait.
class GEMMA_EXPORT Ticket {
 public:
  ~Ticket();
  Ticket(Ticket&&) noexcept;
  // As if destroyed, and then moved into.
  Ticket& operator=(Ticket&& other) noexcept;

  // Ends the request soon, with StopReason::kCancelled and what text there is.
  void Cancel();

  // Whether Wait returns at once.
  bool done() const;

  // Waits for the answer; valid as long as the ticket. To be cancelled or late
  // is no failure but a stop reason. Internal if a function of the request
  // threw, ResourceExhausted if there was no memory. FailedPrecondition, at
  // once, while the request waits for the caller: in a function of a request of
  // the same engine, and in a tap of a session of the same model.
  const absl::StatusOr<Completion>& Wait() const;

  // The library's own; see src/batch/ticket_state.h.
  class State;
  // The library's own.
  explicit Ticket(std::shared_ptr<State> state);

 private:
  std::shared_ptr<State> state_;
};

// Computes requests together, on a thread of its own that uses the model's
// workers. A pass takes a token of each running answer and a piece of one
// prompt, so that neither waits for the other; prompts take turns piece by
// piece. Requests that wait are begun in turns by client, the oldest of each
// first, when a running one ends.
//
// A prompt that begins as that of another request, running or ended, begins
// with its caches. Requests that come together wait for the one of them that
// computes what they have in common.
//
// Answers (tokens, text, log-probabilities, stop reasons) are those of Generate
// with a new session of the same max_tokens and cache_format, bit for bit,
// whatever else runs and whatever is reused. Where many tokens at once are
// added in another order than few (see LoadOptions::deterministic), prompts are
// computed apart from answers and cut as Generate cuts them, and only what was
// computed in pieces of equal kind is reused: an answer that comes back within
// the next prompt, token by token at first, is then mostly computed again.
//
// The functions of requests (on_text, on_prompt, on_token, cancelled) are
// called by the engine's thread between passes: all requests wait while one
// runs, so slow consumers should be handed the text. One that throws fails its
// request only. They may use sessions of the model, which computes for them
// meanwhile.
class GEMMA_EXPORT Engine {
 public:
  // Fails if an option is out of range, the model has no tokenizer, or there is
  // no memory for one sequence.
  static absl::StatusOr<Engine> Create(const Model& model,
                                       const EngineOptions& options = {});

  // What the model and an engine of these options take when all sequences run;
  // without what reuse_bytes lets it keep, and without the logits of prompts
  // that are scored.
  static MemoryUse MemoryFor(const Model& model, const EngineOptions& options);

  // Cancels all requests and waits for that; where requests wait for the
  // caller, see Ticket::Wait, they end soon after.
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // Gives the request to the engine and returns at once. From any thread, also
  // from functions of requests. Fails as Generate does, and with
  // ResourceExhausted that names the bound if the queue is full.
  absl::StatusOr<Ticket> Submit(Request request);

 private:
  class Impl;
  explicit Engine(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_ENGINE_H_
