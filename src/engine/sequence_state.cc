#include "src/engine/sequence_state.h"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"

namespace gemma {
namespace {

// Layers that have a state of their own.
std::span<const BlockType> OwnStates(const ModelConfig& config) {
  const std::span<const BlockType> all = config.blocks;
  return config.bidirectional ? all.first(1) : all;
}

// A local layer keeps the window before the first row of a pass, and as many
// positions more as may be taken back; and the rows of the pass, or the rest of
// the first and last block of those positions.
KvCache::Shape KvShape(const ModelConfig& config, const SequenceLimits& limits,
                       BlockType type) {
  size_t slots = limits.max_tokens;
  size_t kept = limits.max_tokens;
  if (type == BlockType::kLocalAttention && !config.bidirectional) {
    kept = config.sliding_window - 1 + limits.max_rollback;
    const size_t ring = kept + std::max(limits.max_rows, 2 * kCacheBlock);
    slots = HasGlobal(config) ? std::min(ring, slots) : ring;
  }
  return {slots, kept, config.num_kv_heads, config.head_dim, limits.cache_type};
}

RecurrentState::Shape RecurrentShape(const ModelConfig& config,
                                     const SequenceLimits& limits) {
  return {config.lru_width, config.conv_width, limits.max_rollback};
}

// What a layer still holds of the positions before the last. A local layer's
// ring has room for the rows of a pass, which after the pass are as good as
// any.
size_t Rollback(const ModelConfig& config, const SequenceLimits& limits,
                BlockType type) {
  if (type == BlockType::kRecurrent) return limits.max_rollback;
  const size_t slots = KvShape(config, limits, type).Slots();
  const bool forgets = type == BlockType::kLocalAttention &&
                       !(HasGlobal(config) && slots >= limits.max_tokens);
  return forgets ? slots - (config.sliding_window - 1)
                 : std::numeric_limits<size_t>::max();
}

}  // namespace

bool HasGlobal(const ModelConfig& config) {
  return std::count(config.blocks.begin(), config.blocks.end(),
                    BlockType::kGlobalAttention) != 0;
}

uint64_t SequenceState::Bytes(const ModelConfig& config,
                              const SequenceLimits& limits) {
  uint64_t bytes = 0;
  for (const BlockType type : OwnStates(config)) {
    bytes += type == BlockType::kRecurrent
                 ? RecurrentShape(config, limits).Bytes()
                 : KvShape(config, limits, type).Bytes();
  }
  return bytes;
}

absl::StatusOr<SequenceState> SequenceState::Create(
    const ModelConfig& config, const SequenceLimits& limits) {
  SequenceState state;
  state.rollback_ = std::numeric_limits<size_t>::max();
  bool ok = true;
  for (const BlockType type : OwnStates(config)) {
    state.rollback_ = std::min(state.rollback_, Rollback(config, limits, type));
    std::span<uint8_t> bytes;
    if (type == BlockType::kRecurrent) {
      state.index_.push_back(state.recurrent_states_.size());
      RecurrentState& added =
          state.recurrent_states_.emplace_back(RecurrentShape(config, limits));
      ok = ok && added.ok();
      bytes = added.bytes();
    } else {
      state.index_.push_back(state.kv_caches_.size());
      KvCache& added =
          state.kv_caches_.emplace_back(KvShape(config, limits, type));
      ok = ok && added.ok();
      bytes = added.bytes();
    }
    if (type != BlockType::kGlobalAttention) state.forgetting_.push_back(bytes);
  }
  state.index_.resize(config.num_layers(), 0);
  if (!ok) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "no memory for %u bytes of caches of a sequence of %u tokens",
        Bytes(config, limits), limits.max_tokens));
  }
  return state;
}

void SequenceState::ForEachPiece(
    size_t position, absl::FunctionRef<void(std::span<uint8_t>)> use) const {
  for (const KvCache& cache : kv_caches_) cache.ForEachPiece(position, use);
  for (const RecurrentState& state : recurrent_states_) use(state.bytes());
}

SequenceState::Snapshot SequenceState::Save() const {
  Snapshot snapshot;
  for (const std::span<uint8_t> bytes : forgetting_) {
    snapshot.emplace_back(bytes.begin(), bytes.end());
  }
  return snapshot;
}

uint64_t SequenceState::SnapshotBytes() const {
  uint64_t bytes = 0;
  for (const std::span<uint8_t> layer : forgetting_) bytes += layer.size();
  return bytes;
}

void SequenceState::Restore(const Snapshot& snapshot) {
  for (size_t i = 0; i < forgetting_.size(); ++i) {
    std::copy(snapshot[i].begin(), snapshot[i].end(), forgetting_[i].begin());
  }
}

}  // namespace gemma
