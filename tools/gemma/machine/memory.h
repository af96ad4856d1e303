// How much memory there is, and whether a model fits.

#ifndef GEMMA_TOOLS_GEMMA_MACHINE_MEMORY_H_
#define GEMMA_TOOLS_GEMMA_MACHINE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gemma/gemma.h"

namespace gemma::tools {

// In bytes. What is not known is absent.
struct Memory {
  // Of the machine: what there is, and what can be had without swapping.
  std::optional<uint64_t> total;
  std::optional<uint64_t> available;
  // The least limit of the control groups that this process is in, and what
  // their processes, file caches aside, leave of their limits.
  std::optional<uint64_t> group_limit;
  std::optional<uint64_t> group_available;
  // Of addresses (ulimit -v), and what this process leaves of it.
  std::optional<uint64_t> address_limit;
  std::optional<uint64_t> address_available;

  struct Room {
    uint64_t bytes = 0;
    std::string_view of;  // what has no more: "the machine", ...
  };
  // The least of what is available; nothing if nothing is known.
  std::optional<Room> LeastRoom() const;
};

// Reads proc and sys/fs/cgroup, of either version, below `root`.
Memory ReadMemory(const std::string& root = "/");

// How much a command works on at once, by the options that choose it.
struct Amounts {
  size_t context = 0;    // --context: tokens of a sequence
  size_t sequences = 1;  // --batch-size
  size_t chunk = 0;      // --chunk, where that many rows of logits are kept
};

// What a command is about to take.
struct MemoryPlan {
  std::string name;     // of the models, for messages
  bool loaded = false;  // whether their weights are in memory already
  Amounts amounts;
  // Whether a lower context does, too.
  bool may_lower_context = true;
  // In all, with the weights.
  std::function<MemoryUse(const Amounts&)> use;
};

// OK if it fits, or nobody knows. Else ResourceExhausted with the numbers, and
// a cure: lower amounts that fit.
absl::Status CheckMemory(const MemoryPlan& plan, const Memory& memory);

// What is left beside it; the largest number if nobody knows.
uint64_t BytesLeft(const MemoryPlan& plan, const Memory& memory);

// What models and sessions of these options take: for each model, so many
// sessions and `logits` matrices [amounts.chunk, vocab_size]. `models` must
// outlive it; the session's max_tokens does not count.
std::function<MemoryUse(const Amounts&)> UseOfSessions(
    std::vector<const Model*> models, const SessionOptions& session,
    size_t logits = 0);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MACHINE_MEMORY_H_
