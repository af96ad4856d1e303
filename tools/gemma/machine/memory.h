// Measures the memory, and checks whether a model fits.

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

// In bytes. Unknown values are absent.
struct Memory {
  // The machine's memory, and the part that is available without swapping.
  std::optional<uint64_t> total;
  std::optional<uint64_t> available;
  // The lowest limit of this process's control groups, and the least that their
  // processes leave of these limits. File caches do not count as used.
  std::optional<uint64_t> group_limit;
  std::optional<uint64_t> group_available;
  // The limit of the address space (ulimit -v), and what this process leaves of
  // it.
  std::optional<uint64_t> address_limit;
  std::optional<uint64_t> address_available;

  struct Room {
    uint64_t bytes = 0;
    std::string_view of;  // what limits it: "the machine", ...
  };
  // Returns the smallest available amount, or nullopt if all are unknown.
  std::optional<Room> LeastRoom() const;
  // As LeastRoom, without the limit of the address space, which does not count
  // what is in memory.
  std::optional<Room> LeastResidentRoom() const;
};

// Reads proc and sys/fs/cgroup below `root`. Supports control groups of
// versions 1 and 2.
Memory ReadMemory(const std::string& root = "/");

// The amounts that a command works on at once, and the options that set them.
struct Amounts {
  size_t context = 0;    // --context: tokens of a sequence
  size_t sequences = 1;  // --batch-size
  size_t chunk = 0;      // --chunk, if that many rows of logits are kept
};

// The memory that a command is about to use.
struct MemoryPlan {
  std::string name;     // of the models, in messages
  bool loaded = false;  // whether their weights are in memory already
  Amounts amounts;
  // Whether the command also works with a smaller context.
  bool may_lower_context = true;
  // Whether a chat asks for another context or model, and goes on without it:
  // the cure is one of its commands.
  bool in_chat = false;
  double bits_per_weight = 0;  // on average in the files; 0: unknown
  // Returns all memory for these amounts, including the weights.
  std::function<MemoryUse(const Amounts&)> use;
};

// Returns OK if the plan fits, or if the available memory is unknown. Weights
// in mapped files need not fit, because the system can read them again. Else
// returns ResourceExhausted with the numbers, and a cure: lower amounts that
// fit.
absl::Status CheckMemory(const MemoryPlan& plan, const Memory& memory);

// Returns lower amounts with which the plan fits into `room` bytes: with one of
// them lowered if that is enough, else several. Returns nullopt if none fits.
std::optional<Amounts> FittingAmounts(const MemoryPlan& plan, uint64_t room);

// Returns "" if the mapped weights of a plan that CheckMemory accepts fit into
// memory beside the rest, or if it is unknown. Else returns a sentence: how
// much the system will read again and again, and which type of weights fits.
std::string MappedNote(const MemoryPlan& plan, const Memory& memory);

// Returns the bytes that the plan leaves available, mapped weights included;
// UINT64_MAX if the available memory is unknown.
uint64_t BytesLeft(const MemoryPlan& plan, const Memory& memory);

// Returns a function that computes the memory of models and sessions: for each
// model, amounts.sequences sessions with the options `session`, and `logits`
// matrices [amounts.chunk, vocab_size]. amounts.context replaces the session's
// max_tokens. `models` must outlive the function.
std::function<MemoryUse(const Amounts&)> UseOfSessions(
    std::vector<const Model*> models, const SessionOptions& session,
    size_t logits = 0);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MACHINE_MEMORY_H_
