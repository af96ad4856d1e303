// How much memory there is, and whether a model fits.

#ifndef GEMMA_TOOLS_GEMMA_MEMORY_H_
#define GEMMA_TOOLS_GEMMA_MEMORY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/types/span.h"
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

// OK if the models and a session of these options for each fit, or nobody
// knows. Else ResourceExhausted with the numbers, and a cure. `models`: named
// `name`, their weights not yet in memory, or there (`loaded`).
absl::Status CheckMemory(absl::Span<const Model* const> models,
                         const SessionOptions& session, bool loaded,
                         std::string_view name, const Memory& memory);

// The same of one model.
absl::Status CheckMemory(const Model& model, const SessionOptions& session,
                         bool loaded, std::string_view name,
                         const Memory& memory);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MEMORY_H_
