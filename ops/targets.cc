#include "ops/targets.h"

#include <cstdint>

#include "hwy/base.h"
#include "hwy/detect_targets.h"
#include "hwy/targets.h"

namespace gemma::internal {
namespace {

// Lower bits are better targets.
std::vector<std::string> Names(int64_t targets) {
  std::vector<std::string> names;
  for (; targets != 0; targets &= targets - 1) {
    names.emplace_back(hwy::TargetName(targets & -targets));
  }
  return names;
}

}  // namespace

std::vector<std::string> CompiledTargets() { return Names(HWY_TARGETS); }

std::string ChosenTarget() {
  return Names(HWY_TARGETS & hwy::SupportedTargets()).front();
}

std::string HighwayVersion() {
  return std::to_string(HWY_MAJOR) + "." + std::to_string(HWY_MINOR) + "." +
         std::to_string(HWY_PATCH);
}

}  // namespace gemma::internal
