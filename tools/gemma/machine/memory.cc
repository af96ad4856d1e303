#include "tools/gemma/machine/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/internal.h"
#include "src/os/control_groups.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

using Bytes64 = std::optional<uint64_t>;

void Lower(uint64_t value, Bytes64* least) {
  *least = std::min(value, least->value_or(value));
}

// Returns the number at the start of a file, or nullopt if the file starts
// with other text ("max").
Bytes64 ReadNumber(const std::string& path) {
  std::ifstream file(path);
  uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

// Returns the number after a word at the start of a line: "MemTotal:  32 kB".
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

// Reads the files in a group's directory. Lowers the values in `memory`.
void ReadGroup(const std::string& directory, const GroupFiles& files,
               Memory* memory) {
  const Bytes64 limit = ReadNumber(absl::StrCat(directory, files.limit));
  const Bytes64 used = ReadNumber(absl::StrCat(directory, files.used));
  // Version 1 writes "no limit" as a number larger than any machine's memory.
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

// Returns the bytes of weights that must stay in memory.
uint64_t Unmapped(const MemoryUse& use) {
  return use.weights - std::min(use.weights, use.mapped);
}

// Returns the bytes that are not in memory yet and must stay there.
uint64_t Needed(const MemoryPlan& plan, const Amounts& amounts) {
  const MemoryUse use = plan.use(amounts);
  return (plan.loaded ? 0 : Unmapped(use)) + use.cache + use.scratch;
}

// An amount that a cure may lower.
struct Lowered {
  std::string_view option;
  size_t Amounts::*amount;
  size_t least;
};
constexpr Lowered kAllLowered[] = {{"--chunk", &Amounts::chunk, 1},
                                   {"--batch-size", &Amounts::sequences, 1},
                                   {"--context", &Amounts::context, 256}};

// Lowers one amount to the largest power of two below it with which the plan
// fits into `room`, and returns true. If none fits, lowers it to the least and
// returns false.
bool LowerAmount(const MemoryPlan& plan, const Lowered& lowered, uint64_t room,
                 Amounts* amounts) {
  size_t& amount = amounts->*lowered.amount;
  for (size_t value = std::bit_floor(amount - 1); value >= lowered.least;
       value /= 2) {
    amount = value;
    if (Needed(plan, *amounts) <= room) return true;
  }
  return false;
}

// Returns options with which the plan fits into `room`; "" if no options are
// enough.
std::string FittingOptions(const MemoryPlan& plan, uint64_t room) {
  const std::optional<Amounts> fitting = FittingAmounts(plan, room);
  if (!fitting.has_value()) return "";
  std::vector<std::string> options;
  for (const Lowered& lowered : kAllLowered) {
    const size_t amount = *fitting.*lowered.amount;
    if (amount == plan.amounts.*lowered.amount) continue;
    options.push_back(absl::StrCat(lowered.option, " ", amount));
  }
  return absl::StrJoin(options, " ");
}

// As FittingOptions, for a chat that has a context already.
std::string FittingInChat(const MemoryPlan& plan, uint64_t room) {
  Amounts amounts = plan.amounts;
  const Lowered context = {"", &Amounts::context, 256};
  if (amounts.context <= context.least ||
      !LowerAmount(plan, context, room, &amounts)) {
    return plan.loaded ? "the chat keeps its context"
                       : "the chat keeps its model; one of a type with fewer "
                         "bits needs less (gemma list --all)";
  }
  return absl::StrCat("/set context ", amounts.context,
                      plan.loaded ? " fits" : " makes it fit");
}

// "cache 3.22 GB for 64 contexts of 4096".
std::string CacheText(const MemoryPlan& plan, uint64_t bytes) {
  const auto& [context, sequences, chunk] = plan.amounts;
  return absl::StrCat("cache ", Bytes(bytes), " for ",
                      sequences == 1 ? std::string("a context")
                                     : absl::StrCat(sequences, " contexts"),
                      " of ", context);
}

// What to use so that mapped weights of `bits` per weight fit into `room`
// instead of `mapped` bytes: a smaller type. (A file has some bits more than
// its type, because vectors are float32.)
std::string FittingType(double bits, uint64_t room, uint64_t mapped) {
  // The types of gemma quantize, and their bits; see gemma/weight_type.h.
  static constexpr std::pair<WeightType, double> kTypes[] = {
      {WeightType::kQ8, 8.5},
      {WeightType::kQ6, 6.5},
      {WeightType::kQ5, 5.5},
      {WeightType::kQ4, 4.5},
      {WeightType::kQ4S, 4.25}};
  const double share = static_cast<double>(room) / static_cast<double>(mapped);
  const double fitting = bits * std::min(share, 0.97);
  for (const auto& [type, type_bits] : kTypes) {
    if (type_bits <= fitting) {
      return absl::StrCat("a file that gemma quantize --type ",
                          WeightTypeName(type), " writes would fit (",
                          type_bits, " bits per weight)");
    }
  }
  return "only a smaller model would fit";
}

}  // namespace

std::optional<Memory::Room> Memory::LeastResidentRoom() const {
  std::optional<Room> least;
  const std::vector<std::pair<Bytes64, std::string_view>> rooms = {
      {available, "the machine"}, {group_available, "the control group"}};
  for (const auto& [bytes, of] : rooms) {
    if (bytes.has_value() && (!least.has_value() || *bytes < least->bytes)) {
      least = {*bytes, of};
    }
  }
  return least;
}

std::optional<Memory::Room> Memory::LeastRoom() const {
  const std::optional<Room> least = LeastResidentRoom();
  if (address_available.has_value() &&
      (!least.has_value() || *address_available < least->bytes)) {
    return Room{*address_available, "the limit of ulimit -v"};
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
#ifdef _WIN32
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  memory.total = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * page;
  memory.available = static_cast<uint64_t>(sysconf(_SC_AVPHYS_PAGES)) * page;
#endif
  for (const ControlGroup& group : ControlGroups("memory", root)) {
    ReadGroup(group.directory, group.version == 1 ? kVersion1 : kVersion2,
              &memory);
  }
  ReadAddressLimit(root, &memory);
  return memory;
}

std::optional<Amounts> FittingAmounts(const MemoryPlan& plan, uint64_t room) {
  std::vector<Lowered> all(std::begin(kAllLowered), std::end(kAllLowered));
  std::erase_if(all, [&](const Lowered& lowered) {
    Amounts lowest = plan.amounts;
    lowest.*lowered.amount = lowered.least;
    return plan.amounts.*lowered.amount <= lowered.least ||
           (lowered.amount == &Amounts::context && !plan.may_lower_context) ||
           Needed(plan, lowest) == Needed(plan, plan.amounts);
  });
  for (const Lowered& lowered : all) {
    Amounts amounts = plan.amounts;
    if (LowerAmount(plan, lowered, room, &amounts)) return amounts;
  }
  Amounts amounts = plan.amounts;
  for (const Lowered& lowered : all) {
    if (LowerAmount(plan, lowered, room, &amounts)) return amounts;
  }
  return std::nullopt;
}

absl::Status CheckMemory(const MemoryPlan& plan, const Memory& memory) {
  const std::optional<Memory::Room> room = memory.LeastRoom();
  if (!room.has_value()) return absl::OkStatus();
  const uint64_t needed = Needed(plan, plan.amounts);
  if (needed <= room->bytes) return absl::OkStatus();
  const MemoryUse use = plan.use(plan.amounts);
  const uint64_t unmapped = plan.loaded ? 0 : Unmapped(use);
  const std::string weights =
      unmapped == 0 ? "" : absl::StrCat("weights ", Bytes(unmapped), ", ");
  absl::Status status = absl::ResourceExhaustedError(absl::StrCat(
      plan.name, ": needs ", Bytes(needed), " more memory (", weights,
      CacheText(plan, use.cache), ", scratch ", Bytes(use.scratch), "), but ",
      room->of, " has ", Bytes(room->bytes), " left"));
  if (plan.in_chat) {
    return WithCure(std::move(status), FittingInChat(plan, room->bytes));
  }
  const std::string fitting = FittingOptions(plan, room->bytes);
  return WithCure(
      std::move(status),
      absl::StrCat(fitting.empty()
                       ? "use a smaller model, or one of a type with "
                         "fewer bits (gemma list --all)"
                       : absl::StrCat(fitting, " fits"),
                   "; --ignore-memory tries anyway"));
}

std::string MappedNote(const MemoryPlan& plan, const Memory& memory) {
  const std::optional<Memory::Room> room = memory.LeastResidentRoom();
  const uint64_t mapped = plan.use(plan.amounts).mapped;
  if (!room.has_value() || mapped == 0) return "";
  const uint64_t rest = Needed(plan, plan.amounts);
  const uint64_t left = room->bytes - std::min(room->bytes, rest);
  if (mapped <= left) return "";
  return absl::StrCat(
      plan.name, ": ", Bytes(mapped), " of weights stay in the mapped file, ",
      "but ", room->of, " has ", Bytes(left), " for them beside ", Bytes(rest),
      " of other memory: the system reads ", Bytes(mapped - left),
      " from the disk again and again, which is slow; ",
      FittingType(plan.bits_per_weight, left, mapped));
}

uint64_t BytesLeft(const MemoryPlan& plan, const Memory& memory) {
  const uint64_t needed = Needed(plan, plan.amounts);
  const uint64_t mapped = plan.use(plan.amounts).mapped;
  uint64_t left = UINT64_MAX;
  if (const auto room = memory.LeastRoom(); room.has_value()) {
    left = room->bytes - std::min(room->bytes, needed);
  }
  if (const auto room = memory.LeastResidentRoom(); room.has_value()) {
    left = std::min(left, room->bytes - std::min(room->bytes, needed + mapped));
  }
  return left;
}

std::function<MemoryUse(const Amounts&)> UseOfSessions(
    std::vector<const Model*> models, const SessionOptions& session,
    size_t logits) {
  return [=](const Amounts& amounts) {
    SessionOptions options = session;
    options.max_tokens = amounts.context;
    MemoryUse sum;
    for (const Model* model : models) {
      const MemoryUse use = model->MemoryFor(options, amounts.sequences);
      sum.weights += use.weights;
      sum.mapped += use.mapped;
      sum.weights_per_token += use.weights_per_token;
      sum.table += use.table;
      sum.table_per_token += use.table_per_token;
      sum.cache += use.cache;
      sum.scratch += use.scratch + uint64_t{logits} * amounts.chunk *
                                       model->config().vocab_size *
                                       sizeof(float);
    }
    return sum;
  };
}

}  // namespace gemma::tools
