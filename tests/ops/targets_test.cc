// The reported targets are those that dispatch uses, and a cap limits all
// dispatch.

#include "ops/targets.h"

#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "ops/cpu.h"
#include "ops/products/kernel_table.h"
#include "tests/support/for_each_target.h"

namespace gemma::internal {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::Not;

// Returns the names of the compiled targets, by their bit: a lower bit is a
// better target.
std::map<int64_t, std::string> NamesByBit() {
  std::map<int64_t, std::string> names;
  int64_t rest = HWY_TARGETS;
  for (const std::string& name : CompiledTargets()) {
    names[rest & -rest] = name;
    rest &= rest - 1;
  }
  EXPECT_EQ(rest, 0);
  return names;
}

TEST(Targets, RunnableWereCompiled) {
  const std::vector<std::string> compiled = CompiledTargets();
  ForEachTarget([&] { EXPECT_THAT(compiled, Contains(ChosenTarget())); });
}

TEST(Targets, ChoosesBestSupported) {
  const std::map<int64_t, std::string> names = NamesByBit();
  EXPECT_EQ(ChosenTarget(),
            names.at(hwy::SupportedAndGeneratedTargets().front()));
  // A CPU with fewer instructions gets a different target.
  for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    EXPECT_EQ(ChosenTarget(), names.at(target));
  }
  hwy::SetSupportedTargetsForTest(0);
}

TEST(Targets, HighwayHasAVersion) {
  EXPECT_THAT(HighwayVersion(),
              ::testing::MatchesRegex("[0-9]+[.][0-9]+[.][0-9]+"));
}

class SimdCapTest : public ::testing::Test {
 protected:
  SimdCapTest() { UncapSimdForTest(); }
  ~SimdCapTest() override { UncapSimdForTest(); }

  // Caps, and returns what kernels use.
  static std::string TargetUnder(std::string_view cap) {
    EXPECT_EQ(SetSimdCap(cap), CapResult::kOk) << cap;
    EXPECT_EQ(CurrentCap(), cap);
    return ChosenTarget();
  }
};

TEST_F(SimdCapTest, ChoosesTheTarget) {
  const int64_t supported = hwy::SupportedTargets();
  const bool has_dl = (supported & HWY_TARGETS & HWY_AVX3_DL) != 0;
  const std::string best = has_dl ? "AVX-512 VNNI" : "AVX2";
  const std::map<std::string, std::string> want = {
      {"sse2", "SSE2"},   {"avx2", "AVX2"},      {"avx2-vnni", "AVX2"},
      {"avx512", "AVX2"}, {"avx512-vnni", best}, {"avx512-bf16", best},
      {"amx", best},      {"neon", "NEON"},      {"neon-dotprod", "NEON"}};
  if ((HWY_TARGETS & (HWY_TARGETS - 1)) == 0) GTEST_SKIP() << "one target";
  for (const std::string& cap : PossibleCaps()) {
    UncapSimdForTest();
    const std::string target = TargetUnder(cap);
    if (cap == "neon-i8mm") continue;  // depends on bfloat16
    EXPECT_EQ(target, want.at(cap)) << cap;
    // Asking Highway again does not undo the cap.
    EXPECT_THAT(PossibleCaps(), Contains(cap));
    hwy::SupportedTargets();
    EXPECT_EQ(ChosenTarget(), target) << cap;
  }
}

TEST_F(SimdCapTest, LimitsOurOwnChecks) {
  const CpuFeatures cpu = FeaturesOfCpu();
  for (const std::string& cap : PossibleCaps()) {
    UncapSimdForTest();
    ASSERT_EQ(SetSimdCap(cap), CapResult::kOk);
    EXPECT_EQ(HasAmxBf16(), cap == "amx") << cap;
    EXPECT_EQ(MayUse(kAmxInt8), cap == "amx") << cap;
    EXPECT_EQ(HasAvx512Bf16(), cap == "amx" || cap == "avx512-bf16") << cap;
    for (const ProductKernels& kernels : KernelsInUse()) {
      if (cap.starts_with("neon-") && kernels.weights == "quantized") {
        EXPECT_EQ(kernels.decode, "FEAT_DotProd") << cap;
        EXPECT_EQ(kernels.prefill,
                  cap == "neon-i8mm" ? "FEAT_I8MM" : "FEAT_DotProd");
        continue;
      }
      EXPECT_EQ(kernels.decode, ChosenTarget()) << cap << kernels.weights;
      if (cap == "amx" || cap == "avx512-bf16") continue;
      // The kernels for AVX-VNNI take the place of those for AVX2.
      const bool vnni = cap == "avx2-vnni" && kernels.weights == "quantized" &&
                        ChosenTarget() == "AVX2";
      EXPECT_EQ(kernels.prefill, vnni ? "AVX-VNNI" : ChosenTarget())
          << cap << kernels.weights;
    }
  }
  UncapSimdForTest();
  EXPECT_EQ(HasAmxBf16(), (cpu & kAmxBf16) != 0);
  EXPECT_EQ(MayUse(kAmxInt8), (cpu & kAmxInt8) != 0);
  EXPECT_EQ(HasAvx512Bf16(), (cpu & kAvx512Bf16) != 0);
}

TEST_F(SimdCapTest, OnlyWhatCpuHas) {
  const std::vector<std::string> possible = PossibleCaps();
  for (const SimdCap& cap : SimdCaps()) {
    const bool has = (FeaturesOfCpu() & cap.features) == cap.features;
    if (has) continue;
    EXPECT_THAT(possible, Not(Contains(cap.name)));
    EXPECT_EQ(SetSimdCap(cap.name), CapResult::kImpossible) << cap.name;
  }
  for (const char* name : {"", "AVX2", "avx3", "avx2 "}) {
    EXPECT_EQ(SetSimdCap(name), CapResult::kUnknown) << name;
  }
  EXPECT_EQ(CurrentCap(), "");
}

TEST_F(SimdCapTest, TellsCapsWithoutKernels) {
  EXPECT_TRUE(CapHasKernels());
  for (const bool amd : {true, false}) {
    SetAmdForTest(amd);
    std::vector<std::string> without;
    for (const std::string& cap : PossibleCaps()) {
      UncapSimdForTest();
      ASSERT_EQ(SetSimdCap(cap), CapResult::kOk);
      if (!CapHasKernels()) without.push_back(cap);
    }
    if ((FeaturesOfCpu() & kAvx512Bf16) && (FeaturesOfCpu() & kAvxVnni) &&
        (HWY_TARGETS & HWY_AVX3_DL)) {
      const std::vector<std::string> expected = {"avx512", "avx512-bf16"};
      EXPECT_THAT(without, ElementsAreArray(expected.data(), amd ? 1 : 2));
    }
    EXPECT_THAT(without, Not(Contains("sse2")));
  }
  SetAmdForTest(std::nullopt);
}

TEST_F(SimdCapTest, ComesBeforeKernelsRun) {
  const std::vector<std::string> possible = PossibleCaps();
  if (possible.size() < 2) GTEST_SKIP() << "one cap";
  FixSimd();
  EXPECT_EQ(SetSimdCap(possible[0]), CapResult::kTooLate);
  EXPECT_EQ(CurrentCap(), "");
  UncapSimdForTest();
  ASSERT_EQ(SetSimdCap(possible[0]), CapResult::kOk);
  FixSimd();
  EXPECT_EQ(SetSimdCap(possible[0]), CapResult::kOk);
  EXPECT_EQ(SetSimdCap(possible[1]), CapResult::kTooLate);
  EXPECT_EQ(CurrentCap(), possible[0]);
}

// The table of kernels, for matrices [16, cols].
TEST(KernelTable, WeightsRowsAndCpu) {
  const auto choose = [](Layout layout, size_t cols, size_t rows,
                         Arithmetic arithmetic) {
    return ChooseKernel({layout, 16, cols, nullptr}, rows, rows, arithmetic);
  };
  const bool dots = ChoseNeon() && MayUse(kNeonDotProd);
  const Kernel int8 =
      dots ? (MayUse(kNeonI8mm) ? Kernel::kNeonI8mm : Kernel::kNeonDotProd)
      : !ChoseAvx2()     ? Kernel::kInt8
      : MayUse(kAvxVnni) ? Kernel::kAvxVnni
                         : Kernel::kAvx2;
  const Kernel many =
      ChoseAvx512Vnni() && MayUse(kAmxInt8) ? Kernel::kAmxInt8 : int8;
  const Kernel more =
      ChoseAvx512Vnni() && many == int8 ? Kernel::kAvx512Vnni : many;
  const bool dots_of_bf16 = IsAmd() && HasAvx512Bf16();
  const Kernel bf16 = HasAmxBf16()   ? Kernel::kAmxBf16
                      : dots_of_bf16 ? Kernel::kAvx512Bf16
                                     : Kernel::kFloat;
  constexpr Layout kCodes = LayoutOf(Format::kQ4_0);
  EXPECT_EQ(choose(kCodes, 64, 1, Arithmetic::kFastest),
            dots ? Kernel::kNeonFewRows : Kernel::kInt8);
  EXPECT_EQ(choose(kCodes, 64, 15, Arithmetic::kFastest), int8);
  EXPECT_EQ(choose(kCodes, 64, 16, Arithmetic::kFastest), many);
  EXPECT_EQ(choose(kCodes, 64, 16, Arithmetic::kInt8), many);
  EXPECT_EQ(choose(kCodes, 64, 95, Arithmetic::kInt8), many);
  EXPECT_EQ(choose(kCodes, 64, 96, Arithmetic::kInt8), more);
  constexpr Layout kGroupsOf16 = LayoutOf(Format::kQ6_K);
  EXPECT_EQ(choose(kGroupsOf16, 64, 31, Arithmetic::kInt8), many);
  EXPECT_EQ(choose(kGroupsOf16, 64, 32, Arithmetic::kInt8), more);
  EXPECT_EQ(choose(kCodes, 64, 32, Arithmetic::kFloat32), Kernel::kFloat);
  EXPECT_EQ(choose(Layout::kBF16, 64, 31, Arithmetic::kFastest),
            Kernel::kFloat);
  EXPECT_EQ(choose(Layout::kBF16, 64, 32, Arithmetic::kFastest), bf16);
  EXPECT_EQ(choose(Layout::kBF16, 65, 32, Arithmetic::kFastest),
            Kernel::kFloat);
  EXPECT_EQ(choose(Layout::kBF16, 64, 32, Arithmetic::kInt8), Kernel::kFloat);
  EXPECT_EQ(choose(Layout::kF32, 64, 32, Arithmetic::kFastest), Kernel::kFloat);
}

// Other CPUs multiply float32 faster than bfloat16.
TEST(KernelTable, Bfloat16DotsOnAmd) {
  if (!HasAvx512Bf16()) GTEST_SKIP() << "no AVX-512 BF16";
  const PackedView w = {Layout::kBF16, 16, 64, nullptr};
  SetCpuForTest(FeaturesOfCpu() & ~kAmxBf16);
  for (const bool amd : {true, false}) {
    SetAmdForTest(amd);
    EXPECT_EQ(ChooseKernel(w, 64, 64, Arithmetic::kFastest),
              amd ? Kernel::kAvx512Bf16 : Kernel::kFloat);
    EXPECT_EQ(RowsMatter(w, Arithmetic::kFastest), amd);
  }
  SetAmdForTest(std::nullopt);
  SetCpuForTest(std::nullopt);
}

// The table takes them for many rows, wherever Highway chose AVX2.
TEST(KernelTable, UnpacksForManyRows) {
  if (!(HWY_TARGETS & HWY_AVX2) || !MayUse(kAvx2)) GTEST_SKIP() << "no AVX2";
  const PackedView w = {LayoutOf(Format::kQ4_0), 16, 64, nullptr};
  const auto choose = [&](size_t rows, size_t pass_rows) {
    return ChooseKernel(w, rows, pass_rows, Arithmetic::kInt8);
  };
  const Kernel many = MayUse(kAvxVnni) ? Kernel::kAvxVnni : Kernel::kAvx2;
  hwy::SetSupportedTargetsForTest(HWY_AVX2);
  EXPECT_EQ(choose(1, 1), Kernel::kInt8);
  EXPECT_EQ(choose(1, 64), Kernel::kInt8);
  EXPECT_EQ(choose(64, 64), many);
  EXPECT_EQ(choose(64, 1), many);
  EXPECT_EQ(ChooseKernel(w, 64, 64, Arithmetic::kFloat32), Kernel::kFloat);
  hwy::SetSupportedTargetsForTest(0);
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    if (target == HWY_AVX2) continue;
    hwy::SetSupportedTargetsForTest(target);
    EXPECT_EQ(choose(64, 64), Kernel::kInt8);
  }
  hwy::SetSupportedTargetsForTest(0);
}

TEST(Cpu, NamesAreTheMakers) {
  EXPECT_THAT(FeatureNames(kNeon | kNeonDotProd | kNeonI8mm | kNeonBf16),
              ElementsAre("NEON", "FEAT_DotProd", "FEAT_I8MM", "FEAT_BF16"));
  EXPECT_THAT(FeatureNames(kAvx2 | kAvxVnni), ElementsAre("AVX2", "AVX-VNNI"));
}

// tools/test.sh arm names the CPU that it emulates.
TEST(Cpu, FindsWhatArmsHave) {
  const char* cpu = std::getenv("QEMU_CPU");
  if (cpu == nullptr) GTEST_SKIP() << "QEMU_CPU is not set";
  const std::map<std::string, CpuFeatures> want = {
      {"cortex-a72", kNeon},
      {"cortex-a76", kNeon | kNeonDotProd},
      {"neoverse-n1", kNeon | kNeonDotProd},
      {"max", kNeon | kNeonDotProd | kNeonI8mm | kNeonBf16}};
  EXPECT_EQ(FeaturesOfCpu(), want.at(cpu));
}

// On ARM, it takes those that a cap allows.
TEST_F(SimdCapTest, ArmsProductsOfBytes) {
  if (!ChoseNeon()) GTEST_SKIP() << "no NEON";
  const PackedView w = {LayoutOf(Format::kQ4_0), 16, 64, nullptr};
  const auto choose = [&](size_t rows) {
    return ChooseKernel(w, rows, rows, Arithmetic::kFastest);
  };
  using Kernels = std::pair<Kernel, Kernel>;
  const std::map<std::string, Kernels> want = {
      {"neon", {Kernel::kInt8, Kernel::kInt8}},
      {"neon-dotprod", {Kernel::kNeonFewRows, Kernel::kNeonDotProd}},
      {"neon-i8mm", {Kernel::kNeonFewRows, Kernel::kNeonI8mm}}};
  std::vector<std::string> caps = {"neon"};
  if (MayUse(kNeonDotProd)) caps.push_back("neon-dotprod");
  if (MayUse(kNeonI8mm)) caps.push_back("neon-i8mm");
  EXPECT_EQ(PossibleCaps(), caps);
  for (const std::string& cap : caps) {
    UncapSimdForTest();
    ASSERT_EQ(SetSimdCap(cap), CapResult::kOk);
    EXPECT_TRUE(CapHasKernels()) << cap;
    EXPECT_EQ(Kernels(choose(1), choose(4)), want.at(cap)) << cap;
    EXPECT_EQ(ChooseKernel(w, 4, 4, Arithmetic::kFloat32), Kernel::kFloat);
  }
}

}  // namespace
}  // namespace gemma::internal
