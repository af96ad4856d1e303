#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/internal.h"
#include "src/os/cpus.h"
#include "tools/gemma/io/system_text.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/doctor_findings.h"

namespace gemma::tools {
namespace {

// Less memory is little for a model and the other programs that run.
constexpr uint64_t kLittleMemory = uint64_t{1} << 30;

nlohmann::ordered_json OrNull(const std::optional<uint64_t>& bytes) {
  if (!bytes.has_value()) return nullptr;
  return *bytes;
}

}  // namespace

Finding FindCpu() {
  std::string name = ReadField("/proc/cpuinfo", "model name");
  if (name.empty()) name = "unknown CPU";
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  const size_t cpus = std::max(1L, online);
  const size_t allowed = AllowedCpus();
  const size_t quota = CpuQuota();
  const size_t usable = UsableCpus();
  Finding finding;
  finding.about = "cpu";
  finding.text = absl::StrCat(name, ", ", cpus, " processors");
  if (allowed < cpus) {
    absl::StrAppend(&finding.text, ", allowed to run on ", allowed);
  }
  if (quota != 0) {
    absl::StrAppend(&finding.text, ", the control group's quota is ", quota);
  }
  finding.facts = {{"name", name},
                   {"processors", cpus},
                   {"allowed", allowed},
                   {"quota", nullptr},
                   {"usable", usable}};
  if (quota != 0) finding.facts["quota"] = quota;
  return finding;
}

Finding FindSimd() {
  const SimdUse use = GetSimdUse();
  Finding finding;
  finding.about = "simd";
  finding.text = absl::StrCat(use.chosen, ", chosen from ",
                              absl::StrJoin(use.compiled, ", "),
                              "; the CPU has ", absl::StrJoin(use.cpu, ", "));
  nlohmann::ordered_json products = nlohmann::ordered_json::object();
  for (const SimdProducts& product : use.products) {
    products[product.weights] = {{"decode", product.decode},
                                 {"prefill", product.prefill}};
    if (product.decode == use.chosen && product.prefill == use.chosen) continue;
    std::vector<std::string> uses;
    if (product.decode != use.chosen) uses.push_back(product.decode);
    if (product.prefill != product.decode) {
      uses.push_back(product.prefill + " for prompts");
    }
    absl::StrAppend(&finding.text, "; ", product.weights,
                    " weights: ", absl::StrJoin(uses, ", "));
  }
  if (!use.cap.empty()) {
    absl::StrAppend(&finding.text, "; capped to ", use.cap);
  }
  if (!use.note.empty()) {
    finding.level = Level::kWarning;
    finding.cure = use.note;
  } else if (use.compiled.size() > 1 && use.chosen == use.compiled.back() &&
             use.cap.empty()) {
    finding.level = Level::kWarning;
    finding.cure =
        "the CPU, or its virtual machine, supports only the oldest of these "
        "instruction sets: with a newer one, models run several times faster";
  }
  finding.facts = {{"cpu", use.cpu},       {"compiled", use.compiled},
                   {"chosen", use.chosen}, {"products", products},
                   {"cap", use.cap},       {"caps", use.caps}};
  return finding;
}

Finding FindThreads(const ModelOptions& options) {
  const size_t usable = UsableCpus();
  LoadOptions load;
  load.num_threads = options.threads;
  load.num_decode_threads = options.decode_threads;
  const auto [threads, decode] = ThreadsFor(load);
  Finding finding;
  finding.about = "threads";
  finding.text =
      absl::StrCat(threads, " for prompts, ", decode, " for decoding");
  if (threads > usable) {
    finding.level = Level::kWarning;
    finding.cure = absl::StrCat("more threads than the ", usable,
                                " available processors wait for each other: "
                                "omit --threads");
  }
  finding.facts = {{"prefill", threads}, {"decode", decode}};
  return finding;
}

Finding FindMemory(const Memory& memory) {
  Finding finding;
  finding.about = "memory";
  const std::optional<Memory::Room> room = memory.LeastRoom();
  if (!room.has_value()) {
    finding.level = Level::kWarning;
    finding.text = "unknown: the system does not report it";
  } else {
    if (memory.total.has_value()) {
      absl::StrAppend(&finding.text, Bytes(*memory.total), ", ");
    }
    absl::StrAppend(&finding.text, Bytes(room->bytes), " left of ", room->of);
    if (memory.group_limit.has_value()) {
      absl::StrAppend(&finding.text, "; the control group's limit is ",
                      Bytes(*memory.group_limit));
    }
    if (memory.address_limit.has_value()) {
      absl::StrAppend(&finding.text, "; ulimit -v is ",
                      Bytes(*memory.address_limit));
    }
    if (room->bytes < kLittleMemory) {
      finding.level = Level::kWarning;
      finding.cure =
          "only the smallest models fit: end other programs or "
          "raise the limit";
    }
  }
  const long page = sysconf(_SC_PAGESIZE);
  finding.facts = {{"total", OrNull(memory.total)},
                   {"available", OrNull(memory.available)},
                   {"group_limit", OrNull(memory.group_limit)},
                   {"group_available", OrNull(memory.group_available)},
                   {"address_limit", OrNull(memory.address_limit)},
                   {"address_available", OrNull(memory.address_available)},
                   {"page_size", page}};
  return finding;
}

Finding FindHugePages(const std::string& setting) {
  Finding finding;
  finding.about = "huge pages";
  // "always [madvise] never". With madvise, we ask for them.
  const bool used = absl::StrContains(setting, "[always]") ||
                    absl::StrContains(setting, "[madvise]");
  if (used) {
    finding.text = "used for weights";
  } else {
    finding.level = Level::kWarning;
    finding.text = setting.empty() ? "not supported by the system"
                                   : "switched off: weights are read a little "
                                     "more slowly";
    if (!setting.empty()) {
      finding.cure =
          "as root: echo madvise > "
          "/sys/kernel/mm/transparent_hugepage/enabled";
    }
  }
  const size_t begin = setting.find('[') + 1;
  finding.facts = {
      {"setting", setting.substr(begin, setting.find(']') - begin)},
      {"used", used}};
  return finding;
}

}  // namespace gemma::tools
