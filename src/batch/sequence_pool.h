// Sequences of ended requests, for others that begin as they did.

#ifndef GEMMA_SRC_BATCH_SEQUENCE_POOL_H_
#define GEMMA_SRC_BATCH_SEQUENCE_POOL_H_

#include <cstddef>
#include <cstdint>
#include <list>

#include "absl/status/statusor.h"
#include "gemma/session.h"
#include "gemma/words.h"
#include "src/generate/prompt_pieces.h"
#include "src/session/session_impl.h"

namespace gemma::internal {

// How many of a prompt's first words a sequence of `words` has, or will have,
// with the same bits. Not the last: its logits are wanted.
size_t SharedPrefix(const Words& prompt, const PromptPieces& pieces,
                    const Words& words, const PromptPieces& words_pieces);

// How many of these can be taken from the sequence: it goes back to them
// without computing.
size_t ReusablePrefix(size_t shared, const PromptPieces& pieces,
                      const Session::Impl& sequence);

class SequencePool {
 public:
  // Keeps at most so many bytes of sequences that `options` make.
  SequencePool(const Model& model, const SessionOptions& options,
               uint64_t max_bytes);

  // The best kept sequence for a prompt.
  struct Kept {
    Session session;
    PromptPieces pieces;
  };
  struct Prefix {
    std::list<Kept>::iterator kept;
    size_t size = 0;    // as ReusablePrefix; 0: there is none
    size_t shared = 0;  // the largest SharedPrefix of any
  };
  Prefix Find(const Words& prompt, const PromptPieces& pieces);

  // A sequence that goes on from what was found. That is kept, too, where more
  // of its prompt would be lost than is used.
  absl::StatusOr<Session> Use(const Prefix& prefix);
  // A new sequence, or, where that would soon take the place of the one used
  // longest ago, the latter, which forgets all.
  absl::StatusOr<Session> New();
  // The same, which goes on from a reusable position of one that runs.
  absl::StatusOr<Session> Fork(const Session::Impl& from, size_t position);

  // Keeps a sequence. Those that were used longest ago make way. `checkpoints`:
  // how many the running sequences have.
  void Keep(Session session, const PromptPieces& pieces, size_t checkpoints);

  // Adds one to a running sequence if there is room. As Keep.
  void Checkpoint(Session::Impl& sequence, size_t checkpoints);

 private:
  // What was found, gone back to its size.
  Session Take(const Prefix& prefix);

  uint64_t Bytes(const Session& session) const;
  uint64_t KeptBytes() const;
  // Drops sequences until `more` bytes fit, if they ever do.
  bool MakeRoom(uint64_t more);

  const Model model_;
  const SessionOptions options_;
  const uint64_t max_bytes_;
  const uint64_t sequence_bytes_;  // without checkpoints
  std::list<Kept> kept_;           // the last used first
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BATCH_SEQUENCE_POOL_H_
