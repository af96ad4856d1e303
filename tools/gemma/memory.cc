#include "tools/gemma/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/os/control_groups.h"
#include "tools/gemma/errors.h"
#include "tools/gemma/text.h"

namespace gemma::tools {
namespace {

using Bytes64 = std::optional<uint64_t>;

void Lower(uint64_t value, Bytes64* least) {
  *least = std::min(value, least->value_or(value));
}

// The number at the start of a file; nothing if there is none ("max").
Bytes64 ReadNumber(const std::string& path) {
  std::ifstream file(path);
  uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

// The number after a word at the start of a line: "MemTotal:  32 kB".
Bytes64 NumberAfter(const std::string& path, std::string_view first) {
  std::ifstream file(path);
  std::string word;
  uint64_t number = 0;
  for (std::string line; file >> word; std::getline(file, line)) {
    if (word == first && file >> number) return number;
  }
  return std::nullopt;
}

struct GroupFiles {
  std::string_view limit, used, inactive, active;
};
constexpr GroupFiles kVersion1 = {"/memory.limit_in_bytes",
                                  "/memory.usage_in_bytes",
                                  "total_inactive_file", "total_active_file"};
constexpr GroupFiles kVersion2 = {"/memory.max", "/memory.current",
                                  "inactive_file", "active_file"};

// Of a group's directory.
void ReadGroup(const std::string& directory, const GroupFiles& files,
               Memory* memory) {
  const Bytes64 limit = ReadNumber(absl::StrCat(directory, files.limit));
  const Bytes64 used = ReadNumber(absl::StrCat(directory, files.used));
  // Version 1 writes "no limit" as a number that no machine has.
  if (!limit.has_value() || !used.has_value() ||
      *limit >= memory->total.value_or(UINT64_MAX)) {
    return;
  }
  const std::string stat = absl::StrCat(directory, "/memory.stat");
  const uint64_t caches = NumberAfter(stat, files.inactive).value_or(0) +
                          NumberAfter(stat, files.active).value_or(0);
  const uint64_t kept = *used - std::min(*used, caches);
  Lower(*limit, &memory->group_limit);
  Lower(*limit - std::min(*limit, kept), &memory->group_available);
}

void ReadAddressLimit(const std::string& root, Memory* memory) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return;
  }
  const Bytes64 pages = ReadNumber(root + "/proc/self/statm");
  if (!pages.has_value()) return;
  const uint64_t used =
      *pages * static_cast<uint64_t>(std::max(sysconf(_SC_PAGESIZE), 1L));
  memory->address_limit = limit.rlim_cur;
  memory->address_available =
      limit.rlim_cur - std::min<uint64_t>(limit.rlim_cur, used);
}

// Of all of them, with a session each.
MemoryUse Sum(absl::Span<const Model* const> models,
              const SessionOptions& session) {
  MemoryUse sum;
  for (const Model* model : models) {
    const MemoryUse use = model->MemoryFor(session);
    sum.weights += use.weights;
    sum.cache += use.cache;
    sum.scratch += use.scratch;
  }
  return sum;
}

// The largest power of two of tokens with which the sessions fit into `room`,
// at least 256; 0: none.
size_t FittingContext(absl::Span<const Model* const> models,
                      SessionOptions session, uint64_t weights, uint64_t room) {
  constexpr size_t kLeast = 256;
  size_t context = kLeast;
  while (context <= session.max_tokens / 2) context *= 2;
  for (; context >= kLeast; context /= 2) {
    if (context >= session.max_tokens) continue;
    SessionOptions smaller = session;
    smaller.max_tokens = context;
    const MemoryUse use = Sum(models, smaller);
    if (weights + use.cache + use.scratch <= room) return context;
  }
  return 0;
}

}  // namespace

std::optional<Memory::Room> Memory::LeastRoom() const {
  std::optional<Room> least;
  const std::vector<std::pair<Bytes64, std::string_view>> rooms = {
      {available, "the machine"},
      {group_available, "the control group"},
      {address_available, "the limit of ulimit -v"}};
  for (const auto& [bytes, of] : rooms) {
    if (bytes.has_value() && (!least.has_value() || *bytes < least->bytes)) {
      least = {*bytes, of};
    }
  }
  return least;
}

Memory ReadMemory(const std::string& root) {
  Memory memory;
  const std::string info = root + "/proc/meminfo";
  memory.total = NumberAfter(info, "MemTotal:");
  memory.available = NumberAfter(info, "MemAvailable:");
  for (Bytes64* kib : {&memory.total, &memory.available}) {
    if (kib->has_value()) **kib *= 1024;
  }
  for (const ControlGroup& group : ControlGroups("memory", root)) {
    ReadGroup(group.directory, group.version == 1 ? kVersion1 : kVersion2,
              &memory);
  }
  ReadAddressLimit(root, &memory);
  return memory;
}

absl::Status CheckMemory(absl::Span<const Model* const> models,
                         const SessionOptions& session, bool loaded,
                         std::string_view name, const Memory& memory) {
  const std::optional<Memory::Room> room = memory.LeastRoom();
  if (!room.has_value()) return absl::OkStatus();
  const MemoryUse use = Sum(models, session);
  const uint64_t weights = loaded ? 0 : use.weights;
  const uint64_t needed = weights + use.cache + use.scratch;
  if (needed <= room->bytes) return absl::OkStatus();
  const std::string parts =
      loaded ? "" : absl::StrCat("weights ", Bytes(use.weights), ", ");
  absl::Status status = absl::ResourceExhaustedError(
      absl::StrCat(name, ": needs ", Bytes(needed), " more memory (", parts,
                   "cache ", Bytes(use.cache), " for a context of ",
                   session.max_tokens, ", scratch ", Bytes(use.scratch),
                   "), but ", room->of, " has ", Bytes(room->bytes), " left"));
  const size_t context = FittingContext(models, session, weights, room->bytes);
  return WithCure(
      std::move(status),
      absl::StrCat(context != 0 ? absl::StrCat("--context ", context, " fits")
                                : "take a smaller model, or one of a type with "
                                  "fewer bits (gemma list --all)",
                   "; --ignore-memory tries all the same"));
}

absl::Status CheckMemory(const Model& model, const SessionOptions& session,
                         bool loaded, std::string_view name,
                         const Memory& memory) {
  return CheckMemory({&model}, session, loaded, name, memory);
}

}  // namespace gemma::tools
