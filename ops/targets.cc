#include "ops/targets.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/targets.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {

int64_t TargetOfThis() { return HWY_TARGET; }

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gemma::internal {
namespace {

HWY_EXPORT(TargetOfThis);

constexpr SimdCap kCaps[] = {
    {"sse2", kSse2},
    {"avx2", kSse2 | kAvx2},
    {"avx2-vnni", kSse2 | kAvx2 | kAvxVnni},
    // CPUs with AVX-512 and without BF16 have no AVX-VNNI.
    {"avx512", kSse2 | kAvx2 | kAvx512},
    {"avx512-vnni", kSse2 | kAvx2 | kAvx512 | kAvx512Vnni},
    {"avx512-bf16", kSse2 | kAvx2 | kAvx512 | kAvx512Vnni | kAvx512Bf16},
    {"amx",
     kSse2 | kAvx2 | kAvx512 | kAvx512Vnni | kAvx512Bf16 | kAmxBf16 | kAmxInt8},
    {"neon", kNeon},
    {"neon-dotprod", kNeon | kNeonDotProd},
    {"neon-i8mm", kNeon | kNeonDotProd | kNeonI8mm | kNeonBf16}};

// A target of Highway, and the features that CPUs need for it. (For AVX3_DL,
// they also need what else Intel's Ice Lake has; Highway knows.)
struct Target {
  int64_t bit;
  CpuFeatures features;
  const char* name;
};
constexpr Target kTargets[] = {
    {HWY_SSE2, kSse2, "SSE2"},
    {HWY_AVX2, kSse2 | kAvx2, "AVX2"},
    {HWY_AVX3, kAvx512, "AVX-512"},
    {HWY_AVX3_DL, kAvx512 | kAvx512Vnni, "AVX-512 VNNI"},
    {HWY_NEON_WITHOUT_AES, kNeon, "NEON"},
    {HWY_NEON, kNeon, "NEON with FEAT_AES"},
    {HWY_NEON_BF16, kNeon | kNeonDotProd | kNeonBf16, "NEON with FEAT_BF16"},
    {HWY_EMU128, 0, "plain C++"}};

std::string NameOf(int64_t bit) {
  for (const Target& target : kTargets) {
    if (target.bit == bit) return target.name;
  }
  return hwy::TargetName(bit);
}

// Lower bits are better targets.
std::vector<std::string> Names(int64_t targets) {
  std::vector<std::string> names;
  for (; targets != 0; targets &= targets - 1) {
    names.push_back(NameOf(targets & -targets));
  }
  return names;
}

// Returns the compiled targets that this CPU can run, without a cap.
int64_t RunnableTargets() {
  static const int64_t targets = [] {
    const int64_t supported = hwy::SupportedTargets();
    // This call chose a target, and no kernel must run on it after a cap.
    hwy::GetChosenTarget().DeInit();
    return supported & HWY_TARGETS;
  }();
  return targets;
}

// Returns those of them that need only these features.
int64_t TargetsWith(CpuFeatures features) {
  int64_t targets = 0;
  for (const Target& target : kTargets) {
    if ((features & target.features) == target.features) targets |= target.bit;
  }
  return targets & RunnableTargets();
}

// The kernels of a CPU with these features, on this CPU.
struct Kernels {
  explicit Kernels(CpuFeatures features) {
    const int64_t targets = TargetsWith(features);
    best = targets & -targets;
    others = features & FeaturesOfCpu() &
             (kAmxBf16 | (IsAmd() ? kAvx512Bf16 : 0) |
              (best == HWY_AVX2 ? kAvxVnni : 0) |
              (best == HWY_AVX3_DL ? kAmxInt8 : 0) |
              (best & HWY_ALL_NEON ? kNeonDotProd | kNeonI8mm : 0));
  }
  bool operator==(const Kernels&) const = default;

  int64_t best = 0;        // 0: this build has no target as low
  CpuFeatures others = 0;  // of kernels compiled for one instruction set
};

bool IsPossible(const SimdCap& cap) {
  return (FeaturesOfCpu() & cap.features) == cap.features &&
         Kernels(cap.features).best != 0;
}

std::mutex cap_mutex;
std::optional<SimdCap> current_cap;  // guarded by the mutex
std::atomic<bool> is_fixed = false;

std::optional<SimdCap> Current() {
  const std::lock_guard lock(cap_mutex);
  return current_cap;
}

}  // namespace

std::vector<std::string> CompiledTargets() { return Names(HWY_TARGETS); }

std::string ChosenTarget() {
  return NameOf(HWY_DYNAMIC_DISPATCH(TargetOfThis)());
}

bool ChoseAvx2() { return HWY_DYNAMIC_DISPATCH(TargetOfThis)() == HWY_AVX2; }
bool ChoseAvx512Vnni() {
  return HWY_DYNAMIC_DISPATCH(TargetOfThis)() == HWY_AVX3_DL;
}
bool ChoseNeon() {
  return (HWY_DYNAMIC_DISPATCH(TargetOfThis)() & HWY_ALL_NEON) != 0;
}

std::span<const SimdCap> SimdCaps() { return kCaps; }

std::vector<std::string> PossibleCaps() {
  std::vector<std::string> names;
  for (const SimdCap& cap : kCaps) {
    if (IsPossible(cap)) names.emplace_back(cap.name);
  }
  return names;
}

CapResult SetSimdCap(std::string_view name) {
  const auto cap =
      std::find_if(std::begin(kCaps), std::end(kCaps),
                   [&](const SimdCap& each) { return each.name == name; });
  if (cap == std::end(kCaps)) return CapResult::kUnknown;
  if (!IsPossible(*cap)) return CapResult::kImpossible;
  const std::lock_guard lock(cap_mutex);
  if (current_cap.has_value() && current_cap->name == name)
    return CapResult::kOk;
  if (is_fixed) return CapResult::kTooLate;
  // After DisableTargets, any call of hwy::SupportedTargets would choose a
  // target as if nothing had been disabled.
  hwy::SetSupportedTargetsForTest(TargetsWith(cap->features));
  AllowFeatures(cap->features);
  current_cap = *cap;
  // Chooses the target now, not when several threads begin at once.
  HWY_DYNAMIC_DISPATCH(TargetOfThis)();
  return CapResult::kOk;
}

std::string_view CurrentCap() {
  const std::optional<SimdCap> cap = Current();
  return cap.has_value() ? cap->name : "";
}

bool CapHasKernels() {
  const std::optional<SimdCap> cap = Current();
  if (!cap.has_value()) return true;
  for (const SimdCap& lower : kCaps) {
    if (lower.name == cap->name) break;
    if (IsPossible(lower) && Kernels(lower.features) == Kernels(cap->features))
      return false;
  }
  return true;
}

void FixSimd() { is_fixed = true; }

void UncapSimdForTest() {
  const std::lock_guard lock(cap_mutex);
  hwy::SetSupportedTargetsForTest(0);
  AllowFeatures(~CpuFeatures{0});
  current_cap.reset();
  is_fixed = false;
}

std::string HighwayVersion() {
  return std::to_string(HWY_MAJOR) + "." + std::to_string(HWY_MINOR) + "." +
         std::to_string(HWY_PATCH);
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
