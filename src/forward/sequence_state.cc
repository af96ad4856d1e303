#include "src/forward/sequence_state.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "src/base/format_text.h"

namespace gemma::internal {
namespace {

// Whether the layers can use the same cache, one after the other.
bool IsSameShape(const LayerConfig& a, const LayerConfig& b) {
  return a.num_kv_heads == b.num_kv_heads && a.head_dim == b.head_dim;
}

// The layer that owns the state of `layer`: `layer` itself, the layer whose
// keys it reads, or, in a bidirectional model, the first layer of the same
// shape.
size_t OwnerOf(const ModelConfig& config, size_t layer) {
  if (!config.bidirectional) {
    return config.layers[layer].kv_source.value_or(layer);
  }
  size_t owner = 0;
  while (!IsSameShape(config.layers[owner], config.layers[layer])) ++owner;
  return owner;
}

// The rotated pairs of keys that the layer's cache holds, where the rest of a
// key follows from the value: the projections are the same, and so are the
// norms but for the weights. 0: the cache holds whole keys.
size_t NumRotated(const ModelConfig& config, size_t index) {
  const LayerConfig& layer = config.layers[index];
  const RopeConfig& rope = layer.rope;
  const bool follows = layer.k_eq_v && config.qk_norm && config.value_norm &&
                       rope.rotary_dim == layer.head_dim &&
                       rope.num_rotating <= kMaxRotated &&
                       2 * rope.num_rotating < layer.head_dim;
  // Readers lack the weights of this layer's norm.
  const auto reads = [&](const LayerConfig& other) {
    return other.kv_source == index;
  };
  return follows && !config.bidirectional &&
                 std::ranges::none_of(config.layers, reads)
             ? rope.num_rotating
             : 0;
}

// A local layer keeps the window before the first row of a pass, and
// max_rollback more positions. Its ring has more slots than that: for the rows
// of the pass, or for the rest of the first and last block of these positions,
// whichever is more.
KvCache::Shape KvShape(const ModelConfig& config, const SequenceLimits& limits,
                       size_t index) {
  const LayerConfig& layer = config.layers[index];
  size_t slots = limits.max_tokens;
  size_t kept = limits.max_tokens;
  if (layer.type == BlockType::kLocalAttention && !config.bidirectional) {
    kept = layer.sliding_window - 1 + limits.max_rollback;
    const size_t ring = kept + std::max(limits.max_rows, 2 * kCacheBlock);
    slots = HasGlobal(config) ? std::min(ring, slots) : ring;
  }
  return {slots,
          kept,
          layer.num_kv_heads,
          layer.head_dim,
          limits.cache_type,
          NumRotated(config, index)};
}

RecurrentState::Shape RecurrentShape(const ModelConfig& config,
                                     const SequenceLimits& limits) {
  return {config.lru_width, config.conv_width, limits.max_rollback};
}

// Bytes of the state that the layer owns, 0 if it uses that of another.
uint64_t BytesOf(const ModelConfig& config, const SequenceLimits& limits,
                 size_t layer) {
  if (OwnerOf(config, layer) != layer) return 0;
  return config.layers[layer].type == BlockType::kRecurrent
             ? RecurrentShape(config, limits).Bytes()
             : KvShape(config, limits, layer).Bytes();
}

// How many positions before the last one a layer still holds. For a local layer
// this includes the room for the rows of a pass, which holds earlier positions
// after the pass.
size_t Rollback(const ModelConfig& config, const SequenceLimits& limits,
                size_t index) {
  const LayerConfig& layer = config.layers[index];
  if (layer.type == BlockType::kRecurrent) return limits.max_rollback;
  const size_t slots = KvShape(config, limits, index).Slots();
  const bool forgets = layer.type == BlockType::kLocalAttention &&
                       !(HasGlobal(config) && slots >= limits.max_tokens);
  return forgets ? slots - (layer.sliding_window - 1)
                 : std::numeric_limits<size_t>::max();
}

}  // namespace

bool HasGlobal(const ModelConfig& config) {
  return std::any_of(config.layers.begin(), config.layers.end(),
                     [](const LayerConfig& layer) {
                       return layer.type == BlockType::kGlobalAttention;
                     });
}

uint64_t SequenceState::Bytes(const ModelConfig& config,
                              const SequenceLimits& limits) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < config.num_layers(); ++i) {
    bytes = Sum({bytes, BytesOf(config, limits, i)});
  }
  return bytes;
}

uint64_t SequenceState::SnapshotBytes(const ModelConfig& config,
                                      const SequenceLimits& limits) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < config.num_layers(); ++i) {
    if (config.layers[i].type == BlockType::kGlobalAttention) continue;
    bytes = Sum({bytes, BytesOf(config, limits, i)});
  }
  return bytes;
}

absl::StatusOr<SequenceState> SequenceState::Create(
    const ModelConfig& config, const SequenceLimits& limits) {
  SequenceState state;
  state.rollback_ = std::numeric_limits<size_t>::max();
  bool ok = true;
  for (size_t i = 0; i < config.num_layers(); ++i) {
    if (const size_t owner = OwnerOf(config, i); owner != i) {
      state.index_.push_back(state.index_[owner]);
      continue;
    }
    const LayerConfig& layer = config.layers[i];
    state.rollback_ = std::min(state.rollback_, Rollback(config, limits, i));
    std::span<uint8_t> bytes;
    if (layer.type == BlockType::kRecurrent) {
      state.index_.push_back(state.recurrent_states_.size());
      RecurrentState& added =
          state.recurrent_states_.emplace_back(RecurrentShape(config, limits));
      ok = ok && added.ok();
      bytes = added.bytes();
    } else {
      state.index_.push_back(state.kv_caches_.size());
      KvCache& added =
          state.kv_caches_.emplace_back(KvShape(config, limits, i));
      ok = ok && added.ok();
      bytes = added.bytes();
    }
    if (layer.type != BlockType::kGlobalAttention) {
      state.forgetting_.push_back(bytes);
    }
  }
  if (!ok) {
    return absl::ResourceExhaustedError(FormatText(
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

SequenceState::Snapshot SequenceState::NewSnapshot() const {
  Snapshot snapshot;
  for (const std::span<uint8_t> bytes : forgetting_) {
    snapshot.emplace_back(bytes.size());
  }
  return snapshot;
}

void SequenceState::Save(Snapshot& snapshot) const {
  for (size_t i = 0; i < forgetting_.size(); ++i) {
    std::copy(forgetting_[i].begin(), forgetting_[i].end(),
              snapshot[i].begin());
  }
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

}  // namespace gemma::internal
