// One sequence of words and the state that a model keeps of it.

#ifndef GEMMA_SESSION_H_
#define GEMMA_SESSION_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/model.h"
#include "gemma/taps.h"
#include "gemma/words.h"

namespace gemma {

// How a session keeps keys and values. They take memory and time in proportion
// to their bytes; bfloat16 moves logits by about 1e-2, KL by about 3e-5 nats;
// int8 moves KL by about 1e-3.
enum class CacheFormat {
  kAuto,      // float32 for a model in float32, else bfloat16
  kFloat32,   // 32 bits a value
  kBFloat16,  // 16 bits
  kInt8,      // with a scale for each 32 values of a head: 8.5 bits each
};

// What the format means for sessions of a model: kAuto becomes one of the
// others, which stay as they are.
GEMMA_EXPORT CacheFormat CacheFormatFor(const Model& model, CacheFormat format);

// How long a session may grow, and how it can go back.
struct SessionOptions {
  // Positions that the caches of global layers hold; also the limit of the
  // sequence, except for models without global layers, whose state has a fixed
  // size and whose sequences may grow on.
  size_t max_tokens = 4096;
  // Rewinding by at most this many tokens is free, in front of a checkpoint
  // too; farther, the sequence is recomputed from a checkpoint. Models without
  // recurrent layers go back by about a prefill chunk more for free.
  size_t max_rollback = 16;
  // Keep a checkpoint of local and recurrent layers every so many tokens; 0:
  // only where Checkpoint() is called. The start of the sequence always is one.
  size_t checkpoint_interval = 0;
  // The oldest checkpoints are dropped beyond this number, 4096 at most.
  size_t max_checkpoints = 8;
  // How keys and values are kept.
  CacheFormat cache_format = CacheFormat::kAuto;
};

// One sequence: its caches and its position. Movable. One thread at a time; the
// sessions of a model may be used from different threads and take turns.
//
// What a call takes is allocated before it computes: it fails with
// ResourceExhausted, and changes nothing, if there is no memory. A call whose
// tap throws fails, too; the sequence is then as before the pass, or, for
// RecurrentGemma, may be shorter: see position(). In a tap, functions that
// compute, change or copy a session of the same model fail with
// FailedPrecondition, see TapFunction.
class GEMMA_EXPORT Session {
 public:
  // An empty sequence. Fails if an option is out of range, the model embeds
  // texts, or the caches cannot be allocated. Does not wait for passes of other
  // sessions.
  static absl::StatusOr<Session> Create(const Model& model,
                                        SessionOptions options = {});

  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // Appends tokens (at least one) and returns the logits [vocab_size] of the
  // token that follows the last. They stay valid until the session's next
  // call. Fails, and changes nothing, if a token is not in the vocabulary or
  // max_tokens would be exceeded.
  absl::StatusOr<absl::Span<float>> Forward(absl::Span<const TokenId> tokens);

  // As Forward, for those who need only the top_k largest logits (and all that
  // equal them): they are the same, bit for bit, but others may be -infinity.
  // Faster for small top_k where the output embeddings have 8 bits; 0: all.
  absl::StatusOr<absl::Span<float>> ForwardTop(absl::Span<const TokenId> tokens,
                                               size_t top_k);

  // As Forward, and computes no logits.
  absl::Status Append(absl::Span<const TokenId> tokens);
  // The same, and calls `on_pass` after each pass, of at most
  // LoadOptions::prefill_chunk tokens, with the number of those appended until
  // then. Once it returns false, the rest is not appended, which is no error.
  absl::Status Append(absl::Span<const TokenId> tokens,
                      const std::function<bool(size_t done)>& on_pass);

  // As Forward, and writes the logits of every appended position to `logits`,
  // [tokens.size(), vocab_size].
  absl::Status ForwardAll(absl::Span<const TokenId> tokens,
                          absl::Span<float> logits);

  // The same for words. These fail also if a row does not have the model's
  // model_dim values, or if there are more bidirectional rows in one InputRows
  // than LoadOptions::prefill_chunk, for a pass computes all of them. The
  // session keeps the rows, which are shared and not copied, as long as it has
  // their words; Model::MemoryFor does not count them.
  absl::StatusOr<absl::Span<float>> Forward(const Words& words);
  // See above.
  absl::StatusOr<absl::Span<float>> ForwardTop(const Words& words,
                                               size_t top_k);
  // See above.
  absl::Status Append(
      const Words& words,
      const std::function<bool(size_t done)>& on_pass = nullptr);
  // See above.
  absl::Status ForwardAll(const Words& words, absl::Span<float> logits);

  // What one sequence of a batch appends.
  struct Continuation {
    Session* session = nullptr;        // not twice in a batch
    absl::Span<const TokenId> tokens;  // at least one
    const Words* words = nullptr;      // if not null: in place of tokens
  };

  // As Forward for several sessions of one model at once, which reads the
  // weights once for all. Writes the logits of the token that follows each
  // continuation to `logits`, [batch.size(), vocab_size]: those that it would
  // have alone, bit for bit unless a pass has 32 rows or more and
  // LoadOptions::deterministic is not set. Fails, and changes nothing, where
  // Forward would, if two continuations are of the same session or of different
  // models, or if the size of `logits` is another.
  static absl::Status ForwardBatch(absl::Span<const Continuation> batch,
                                   absl::Span<float> logits);

  // A session of its own that goes on from here: the same tokens, options,
  // caches and checkpoints, but for the tap. Fails if there is no memory.
  absl::StatusOr<Session> Fork() const;

  // Writes options, words and caches to a file, which replaces what was at the
  // path when it is complete; not the checkpoints and the tap. Of constant size
  // for RecurrentGemma, but for the tokens. The caller's data: whoever reads
  // the file reads the text.
  absl::Status Save(std::string_view path) const;

  // The session that was saved: what follows is the same, bit for bit, as if it
  // had gone on. Logits are not saved; to have those of the last token, Rewind
  // by one and append it again. DataLoss if the file is damaged or no saved
  // session, FailedPrecondition if it was saved with another model or the model
  // was loaded without weights. The options are those of the file, within the
  // limits of Create: Model::MemoryFor counts what they may take.
  static absl::StatusOr<Session> Restore(const Model& model,
                                         std::string_view path);

  // Words so far.
  const Words& words() const;
  // Their tokens; kRowToken, which is no token, where a word is a row.
  absl::Span<const TokenId> tokens() const;
  // How many there are.
  size_t position() const { return tokens().size(); }
  // Tokens that still fit; a large number for models without global layers.
  size_t remaining() const;

  // Forgets all but the first `position` words. What follows is the same, bit
  // for bit, as if the others had never been. OutOfRange if position is larger
  // than position(). InvalidArgument if it is within bidirectional rows, which
  // have seen what would be forgotten; Words::Whole gives where they begin.
  // ResourceExhausted if there is no memory.
  absl::Status Rewind(size_t position);

  // Keeps what is needed to come back to this position cheaply. If it fails,
  // coming back takes more time, and nothing else.
  absl::Status Checkpoint();

  // Calls `tap` in every Forward from now on; an empty function ends it. A tap
  // may set another, for the next call.
  void SetTap(TapFunction tap);
  // Whether a tap is set.
  bool has_tap() const;

  // Its share of the model it was created with.
  const Model& model() const;
  // The options it was created with.
  const SessionOptions& options() const;

  // The library's own; see src/session/session_impl.h.
  class Impl;
  // The library's own.
  Impl& impl() const { return *impl_; }

 private:
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_SESSION_H_
