// A sequence of words and its state in a model.

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

// The format of cached keys and values. Memory and time are proportional to
// their bytes. bfloat16 changes logits by about 1e-2, a KL of about 3e-5 nats;
// int8 by a KL of about 1e-3 nats.
enum class CacheFormat {
  kAuto,      // float32 for a model in float32, else bfloat16
  kFloat32,   // 32 bits per value
  kBFloat16,  // 16 bits per value
  kInt8,      // 8.5 bits: one scale for each 32 values of a head
};

// Returns the format that sessions of the model use: resolves kAuto and returns
// other formats unchanged.
GEMMA_EXPORT CacheFormat CacheFormatFor(const Model& model, CacheFormat format);

// The size of a session, and how it can go back.
struct SessionOptions {
  // Positions in the caches of global layers. This also limits the sequence,
  // except for models without global layers: their state has a fixed size, and
  // their sequences may continue to grow.
  size_t max_tokens = 4096;
  // Rewinding is free to positions at most this many tokens before the end or
  // before a checkpoint. To go farther back, the sequence is recomputed from a
  // checkpoint. Models without recurrent layers can go back about one prefill
  // chunk more for free.
  size_t max_rollback = 16;
  // Number of tokens between automatic checkpoints of local and recurrent
  // layers; 0: only calls of Checkpoint() make them. The start of the sequence
  // always is a checkpoint.
  size_t checkpoint_interval = 0;
  // The most checkpoints, at most 4096. Above this, the oldest are dropped.
  size_t max_checkpoints = 8;
  // The format of cached keys and values.
  CacheFormat cache_format = CacheFormat::kAuto;
};

// One sequence: its caches and its position. Shares the model. Movable. Only
// one thread at a time may use a session. Several threads may use different
// sessions of a model; the sessions then take turns.
//
// A call allocates its memory before it computes: if memory runs out, it fails
// with ResourceExhausted and changes nothing. A call whose tap throws fails,
// too; the sequence is then as before the pass or, for RecurrentGemma, may be
// shorter: see position(). In a tap, functions that compute, change or copy a
// session of the same model fail with FailedPrecondition; see TapFunction.
class GEMMA_EXPORT Session {
 public:
  // Creates an empty sequence. Fails if an option is out of range, the model
  // embeds texts or was loaded without weights, or the caches cannot be
  // allocated. Does not wait for passes of other sessions.
  static absl::StatusOr<Session> Create(const Model& model,
                                        SessionOptions options = {});

  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // Appends tokens (at least one) and returns the logits [vocab_size] of the
  // token that follows the last. They are valid until the session's next call.
  // Fails and changes nothing if a token is not in the vocabulary
  // (InvalidArgument) or the sequence would exceed max_tokens (OutOfRange). A
  // logit that is infinite, because weights or activations are, is NaN.
  absl::StatusOr<absl::Span<float>> Forward(absl::Span<const TokenId> tokens);

  // As Forward, but only the top_k largest logits (and all equal ones) are
  // needed: these are the same as Forward's, bit for bit; others may be
  // -infinity. Faster for small top_k if the output embeddings have 8 bits. 0:
  // all.
  absl::StatusOr<absl::Span<float>> ForwardTop(absl::Span<const TokenId> tokens,
                                               size_t top_k);

  // As Forward, but computes no logits.
  absl::Status Append(absl::Span<const TokenId> tokens);
  // The same, and calls `on_pass` after each pass (of at most
  // LoadOptions::prefill_chunk tokens) with the number of tokens appended so
  // far. If it returns false, the remaining tokens are not appended; this is
  // not an error.
  absl::Status Append(absl::Span<const TokenId> tokens,
                      const std::function<bool(size_t done)>& on_pass);

  // As Forward, but writes the logits of every appended position to `logits`,
  // [tokens.size(), vocab_size].
  absl::Status ForwardAll(absl::Span<const TokenId> tokens,
                          absl::Span<float> logits);

  // The same for words. These also fail if a row does not have the model's
  // model_dim values, or if an InputRows has more bidirectional rows than
  // LoadOptions::prefill_chunk, because one pass computes all of them. The
  // session shares the rows, without copying them, as long as it has their
  // words; Model::MemoryFor does not count them.
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

  // One sequence of a batch and the words to append.
  struct Continuation {
    Session* session = nullptr;        // at most once in a batch
    absl::Span<const TokenId> tokens;  // at least one
    const Words* words = nullptr;      // if not null, replaces `tokens`
  };

  // As Forward for several sessions of one model at once; reads the weights
  // once for all. Writes the logits of the token that follows each continuation
  // to `logits`, [batch.size(), vocab_size]. They are the same as from Forward
  // alone, bit for bit if LoadOptions::deterministic is set or the pass has
  // fewer than 32 rows. Fails and changes nothing if Forward would fail, if two
  // continuations have the same session or different models, or if `logits` has
  // the wrong size.
  static absl::Status ForwardBatch(absl::Span<const Continuation> batch,
                                   absl::Span<float> logits);

  // Returns an independent session that continues from here: the same tokens,
  // options, caches and checkpoints, but no tap. Fails if memory runs out.
  absl::StatusOr<Session> Fork() const;

  // Writes options, words and caches to a file, but neither checkpoints nor the
  // tap. The file replaces a file at `path` once it is complete. For
  // RecurrentGemma its size is constant, apart from the tokens. The file
  // contains the caller's data: anybody who can read it can read the text.
  absl::Status Save(std::string_view path) const;

  // Returns the saved session. It continues exactly, bit for bit, as the
  // original would. Logits are not saved; to compute those of the last token,
  // Rewind by one and append it again. DataLoss if the file is damaged or is
  // not a saved session; Unimplemented if it has a different version;
  // FailedPrecondition if it was saved with a different model, if the model was
  // loaded without weights, or if LoadOptions::prefill_chunk is too small for
  // its bidirectional rows. The options come from the file and are checked as
  // in Create; Model::MemoryFor gives the memory that they may need.
  static absl::StatusOr<Session> Restore(const Model& model,
                                         std::string_view path);

  // Returns all words.
  const Words& words() const;
  // Returns the words' tokens. For a row, this is kRowToken, which is not a
  // token.
  absl::Span<const TokenId> tokens() const;
  // Returns the number of words.
  size_t position() const { return tokens().size(); }
  // Returns the number of words that still fit: a large number for models
  // without global layers.
  size_t remaining() const;

  // Keeps only the first `position` words. Later results are the same, bit for
  // bit, as if the others had never been appended. OutOfRange if position is
  // larger than position(). InvalidArgument if it is inside bidirectional rows,
  // because the kept rows have seen the others; Words::Whole returns where
  // these rows begin. ResourceExhausted if memory runs out.
  absl::Status Rewind(size_t position);

  // Saves the state here, so that a later Rewind to this position is cheap. If
  // this fails, that Rewind only takes longer.
  absl::Status Checkpoint();

  // Calls `tap` in every pass from now on; an empty function removes it. A tap
  // may set a different one, for the next call.
  void SetTap(TapFunction tap);
  // Returns whether a tap is set.
  bool has_tap() const;

  // Returns the model, which the session shares.
  const Model& model() const;
  // Returns the options of the session.
  const SessionOptions& options() const;

  // Internal; see src/session/session_impl.h.
  class Impl;
  // Internal.
  Impl& impl() const { return *impl_; }

 private:
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_SESSION_H_
