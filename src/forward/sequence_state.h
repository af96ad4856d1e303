// The state of one sequence in all layers. Layers that read the keys and values
// of an earlier layer have no state of their own. A bidirectional model reads a
// whole text in one pass and needs the cache of a layer only while it computes
// the layer, so layers of the same shape share a cache.

#ifndef GEMMA_SRC_FORWARD_SEQUENCE_STATE_H_
#define GEMMA_SRC_FORWARD_SEQUENCE_STATE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "gemma/model_config.h"
#include "src/forward/kv_cache.h"
#include "src/forward/recurrent_state.h"

namespace gemma::internal {

// Sizes of a sequence's state.
struct SequenceLimits {
  size_t max_tokens = 0;    // that global layers hold
  size_t max_rollback = 0;  // positions
  size_t max_rows = 0;      // of the sequence in one forward pass
  CacheType cache_type = CacheType::kF32;
};

// Whether a layer keeps every position (global attention), so that the caches
// limit the length of a sequence.
bool HasGlobal(const ModelConfig& config);

class SequenceState {
 public:
  // ResourceExhausted if memory runs out.
  static absl::StatusOr<SequenceState> Create(const ModelConfig& config,
                                              const SequenceLimits& limits);

  // Bytes that Create allocates.
  static uint64_t Bytes(const ModelConfig& config,
                        const SequenceLimits& limits);

  // The cache of an attention layer.
  KvCache& kv(size_t layer) { return kv_caches_[index_[layer]]; }
  // The state of a recurrent layer.
  RecurrentState& recurrent(size_t layer) {
    return recurrent_states_[index_[layer]];
  }

  // Bytes of a Snapshot.
  static uint64_t SnapshotBytes(const ModelConfig& config,
                                const SequenceLimits& limits);

  // Calls `use` with all bytes that the sequence needs when `position` comes
  // next, piece by piece. States of the same model with the same cache_type and
  // max_rollback have the same pieces, in the same order.
  void ForEachPiece(size_t position,
                    absl::FunctionRef<void(std::span<uint8_t>)> use) const;

  // How far the sequence can go back from the farthest position it reached: the
  // number of positions that the layers that forget still hold, at least
  // max_rollback.
  size_t rollback() const { return rollback_; }

  // A copy of the layers that forget: local attention and recurrence.
  using Snapshot = std::vector<std::vector<uint8_t>>;
  // Allocates a snapshot; Save fills it.
  Snapshot NewSnapshot() const;
  void Save(Snapshot& snapshot) const;
  void Restore(const Snapshot& snapshot);
  uint64_t SnapshotBytes() const;
  // Whether there is a layer that forgets.
  bool Forgets() const { return !forgetting_.empty(); }

 private:
  std::vector<KvCache> kv_caches_;
  std::vector<RecurrentState> recurrent_states_;
  std::vector<size_t> index_;  // of each layer, in its vector
  std::vector<std::span<uint8_t>> forgetting_;
  size_t rollback_ = 0;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_SEQUENCE_STATE_H_
