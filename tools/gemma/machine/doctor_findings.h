// The findings of gemma doctor.

#ifndef GEMMA_TOOLS_GEMMA_MACHINE_DOCTOR_FINDINGS_H_
#define GEMMA_TOOLS_GEMMA_MACHINE_DOCTOR_FINDINGS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "gemma/gemma.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/machine/memory.h"

namespace gemma::tools {

// A warning: something is slower than it could be, or may go wrong. A problem:
// something will go wrong.
enum class Level { kOk, kWarning, kProblem };

struct Finding {
  Level level = Level::kOk;
  std::string about;             // "cpu"
  std::string text;              // on one line
  std::string cure;              // of a warning or problem, or ""
  nlohmann::ordered_json facts;  // an object; memory in bytes
};

Finding FindCpu();
Finding FindSimd();
Finding FindThreads(const ModelOptions& options);
Finding FindMemory(const Memory& memory);
// `setting`: the system's text for transparent huge pages, such as
// "always [madvise] never"; "" if it has no such pages.
Finding FindHugePages(const std::string& setting);
Finding FindVersions();
// The parts of the command that were built, and those that were left out.
Finding FindParts();
Finding FindStore();
// Checks the model that the options name. If it fits, and continues texts, a
// second finding says how fast it may decode.
std::vector<Finding> FindModel(const ModelOptions& options, Memory memory);
// Measures how fast the memory is read, for some tenths of a second, and
// divides by MemoryUse::weights_per_token, which must not be 0. Returns nullopt
// if it cannot allocate memory.
std::optional<Finding> FindSpeed(const Model& model, uint64_t weights_per_token,
                                 const Memory& memory);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MACHINE_DOCTOR_FINDINGS_H_
