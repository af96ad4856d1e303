// Sequences of ended requests, kept for requests that begin in the same way.

#ifndef GEMMA_SRC_BATCH_SEQUENCE_POOL_H_
#define GEMMA_SRC_BATCH_SEQUENCE_POOL_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>

#include "absl/status/statusor.h"
#include "gemma/session.h"
#include "gemma/words.h"
#include "src/batch/memory_account.h"
#include "src/generate/prompt_pieces.h"
#include "src/session/session_impl.h"

namespace gemma::internal {

// How many of the prompt's first words a sequence of `words` has, or will have,
// with the same bits. The last word of the prompt does not count, because its
// logits are wanted.
size_t SharedPrefix(const Words& prompt, const PromptPieces& pieces,
                    const Words& words, const PromptPieces& words_pieces);

// How many of the first `shared` words can be reused: the sequence can go back
// to that position without computing.
size_t ReusablePrefix(size_t shared, const PromptPieces& pieces,
                      const Session::Impl& sequence);

class SequencePool {
 public:
  // The bytes of a sequence without checkpoints: its caches and its logits.
  static uint64_t SequenceBytes(const Model& model,
                                const SessionOptions& options);
  // The bytes of a checkpoint of a sequence.
  static uint64_t CheckpointBytes(const Model& model, SessionOptions options);

  // Keeps sequences with these options, at most max_bytes in total. `account`
  // knows the time, and must outlive the pool.
  SequencePool(const Model& model, const SessionOptions& options,
               uint64_t max_bytes, MemoryAccount& account);

  // A kept sequence, how its prompt was cut into passes, and when it was used.
  struct Kept {
    Session session;
    PromptPieces pieces;
    uint64_t used = 0;
  };
  // The part of a prompt that can be reused.
  struct Prefix {
    std::list<Kept>::iterator kept;
    size_t size = 0;    // as ReusablePrefix; 0: nothing found
    size_t shared = 0;  // the largest SharedPrefix of any
  };
  // Returns the best kept sequence for a prompt.
  Prefix Find(const Words& prompt, const PromptPieces& pieces);
  // Makes the kept sequence of `prefix` the last that is dropped.
  void Touch(const Prefix& prefix) {
    prefix.kept->used = account_.Now();
    kept_.splice(kept_.begin(), kept_, prefix.kept);
  }

  // Returns a sequence that goes on from `prefix`. If Copies, the kept sequence
  // stays.
  absl::StatusOr<Session> Use(const Prefix& prefix);
  // Whether more of the kept prompt would be lost than is used.
  static bool Copies(const Prefix& prefix) {
    return prefix.size < prefix.kept->pieces.size() / 2;
  }
  // Returns a new sequence. If it would exceed max_bytes, or if memory runs
  // out, empties and returns the least recently used one instead.
  absl::StatusOr<Session> New();
  // As New, but the sequence goes on from a reusable position of a running one.
  absl::StatusOr<Session> Fork(const Session::Impl& from, size_t position);

  // Keeps a sequence, and drops the least recently used ones if there is no
  // room. `checkpoints`: how many checkpoints the running sequences have.
  void Keep(Session session, const PromptPieces& pieces, size_t checkpoints);

  // Changes the limit, and drops the least recently used sequences above it.
  // `others`: bytes of the checkpoints of running sequences.
  void SetMaxBytes(uint64_t max_bytes, uint64_t others);

  // What is kept.
  struct Usage {
    size_t sequences = 0;
    uint64_t tokens = 0;
    uint64_t bytes = 0;
  };
  Usage usage() const;
  // When the least recently used one was used; nothing if none is kept.
  std::optional<uint64_t> oldest() const {
    if (kept_.empty()) return std::nullopt;
    return kept_.back().used;
  }
  void DropOldest() { kept_.pop_back(); }
  // The caches of any sequence.
  uint64_t sequence_bytes() const { return sequence_bytes_; }
  uint64_t checkpoint_bytes() const { return checkpoint_bytes_; }

  // Drops the least recently used sequences until `more` bytes fit. Returns
  // false if they never can.
  bool MakeRoom(uint64_t more);

 private:
  // Removes the kept sequence of `prefix` and returns it, rewound to
  // prefix.size.
  Session Take(const Prefix& prefix);

  uint64_t Bytes(const Session& session) const;
  uint64_t KeptBytes() const;

  const Model model_;
  const SessionOptions options_;
  MemoryAccount& account_;
  uint64_t max_bytes_;
  const uint64_t sequence_bytes_;  // without checkpoints
  const uint64_t checkpoint_bytes_;
  std::list<Kept> kept_;  // most recently used first
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BATCH_SEQUENCE_POOL_H_
