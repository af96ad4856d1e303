#include "ops/cpu.h"

#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__linux__) && defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace gemma::internal {
namespace {

#if defined(__x86_64__)

// The registers after CPUID of leaf 7, "structured extended feature flags".
struct Leaf7 {
  explicit Leaf7(unsigned subleaf) {
    __get_cpuid_count(7, subleaf, &eax, &ebx, &ecx, &edx);
  }
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// Returns the kinds of tiles that the CPU has.
CpuFeatures TilesOfCpu() {
  constexpr unsigned kBf16Bit = 1u << 22;
  constexpr unsigned kTileBit = 1u << 24;
  constexpr unsigned kInt8Bit = 1u << 25;
  const unsigned edx = Leaf7(0).edx;
  if (!(edx & kTileBit)) return 0;
  return (edx & kBf16Bit ? kAmxBf16 : 0) | (edx & kInt8Bit ? kAmxInt8 : 0);
}

// Linux gives a process the tiles' registers only on request; see
// Documentation/arch/x86/xstate.rst. All threads of the process get them.
bool SystemGivesTiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// The compiler's function also checks that the system saves the registers.
CpuFeatures Detect() {
  constexpr unsigned kAvxVnniBit = 1u << 4;
  CpuFeatures features = kSse2;  // which all CPUs of 64 bits have
  const auto add = [&](CpuFeatures feature, bool has) {
    if (has) features |= feature;
  };
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  add(kAvx2, avx2);
  add(kAvxVnni, avx2 && (Leaf7(1).eax & kAvxVnniBit));
  add(kAvx512, avx512);
  add(kAvx512Vnni, avx512 && __builtin_cpu_supports("avx512vnni"));
  add(kAvx512Bf16, avx512 && __builtin_cpu_supports("avx512bf16"));
  const CpuFeatures tiles = TilesOfCpu();
  add(tiles, tiles != 0 && SystemGivesTiles());
  return features;
}

#elif defined(__aarch64__)

CpuFeatures Detect() {
  CpuFeatures features = kNeon;  // which all CPUs of 64 bits have
#if defined(__linux__)
  // Documentation/arch/arm64/elf_hwcaps.rst
  constexpr unsigned long kAsimdDp = 1ul << 20;  // HWCAP_ASIMDDP
  constexpr unsigned long kI8mm = 1ul << 13;     // HWCAP2_I8MM
  constexpr unsigned long kBf16 = 1ul << 14;     // HWCAP2_BF16
  if (getauxval(AT_HWCAP) & kAsimdDp) features |= kNeonDotProd;
  if (getauxval(AT_HWCAP2) & kI8mm) features |= kNeonI8mm;
  if (getauxval(AT_HWCAP2) & kBf16) features |= kNeonBf16;
#else
  // Those without which no CPU could run what the compiler makes. Apple's does
  // so for its M1. (Its system has more in sysctl's hw.optional.arm.FEAT_I8MM
  // and FEAT_BF16, but there was no machine to try it.)
#if defined(__ARM_FEATURE_DOTPROD)
  features |= kNeonDotProd;
#endif
#endif
  return features;
}

#else

CpuFeatures Detect() { return 0; }

#endif

CpuFeatures allowed_features = ~CpuFeatures{0};
std::optional<CpuFeatures> features_for_test;
std::optional<bool> is_amd_for_test;

}  // namespace

CpuFeatures FeaturesOfCpu() {
  static const CpuFeatures features = Detect();
  return features_for_test.value_or(features);
}

std::vector<std::string> FeatureNames(CpuFeatures features) {
  static constexpr std::pair<CpuFeatures, const char*> kNames[] = {
      {kSse2, "SSE2"},
      {kAvx2, "AVX2"},
      {kAvxVnni, "AVX-VNNI"},
      {kAvx512, "AVX-512"},
      {kAvx512Vnni, "AVX-512 VNNI"},
      {kAvx512Bf16, "AVX-512 BF16"},
      {kAmxBf16, "AMX-BF16"},
      {kAmxInt8, "AMX-INT8"},
      {kNeon, "NEON"},
      {kNeonDotProd, "FEAT_DotProd"},
      {kNeonI8mm, "FEAT_I8MM"},
      {kNeonBf16, "FEAT_BF16"}};
  std::vector<std::string> names;
  for (const auto& [feature, name] : kNames) {
    if (features & feature) names.emplace_back(name);
  }
  return names;
}

void AllowFeatures(CpuFeatures features) { allowed_features = features; }

bool MayUse(CpuFeatures features) {
  const CpuFeatures usable = FeaturesOfCpu() & allowed_features;
  return (usable & features) == features;
}

void SetCpuForTest(std::optional<CpuFeatures> features) {
  features_for_test = features;
}

void SetAmdForTest(std::optional<bool> is_amd) { is_amd_for_test = is_amd; }

bool IsAmd() {
  if (is_amd_for_test.has_value()) return *is_amd_for_test;
#if defined(__x86_64__)
  return __builtin_cpu_is("amd");
#else
  return false;
#endif
}

}  // namespace gemma::internal
