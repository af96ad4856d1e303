// What the CPU can do, as far as kernels differ. This is the only code that
// asks the CPU or the system for it; Highway asks on its own (ops/targets.h).

#ifndef GEMMA_OPS_CPU_H_
#define GEMMA_OPS_CPU_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gemma::internal {

// Bits of a set of instruction sets. The system must also save their registers.
using CpuFeatures = uint32_t;
inline constexpr CpuFeatures kSse2 = 1u << 0;
inline constexpr CpuFeatures kAvx2 = 1u << 1;  // and FMA
inline constexpr CpuFeatures kAvxVnni = 1u << 2;
inline constexpr CpuFeatures kAvx512 = 1u << 3;  // F, BW, DQ and VL
inline constexpr CpuFeatures kAvx512Vnni = 1u << 4;
inline constexpr CpuFeatures kAvx512Bf16 = 1u << 5;
inline constexpr CpuFeatures kAmxBf16 = 1u << 6;  // and AMX-TILE
inline constexpr CpuFeatures kNeon = 1u << 7;     // ARM's Advanced SIMD
inline constexpr CpuFeatures kNeonDotProd = 1u << 8;
inline constexpr CpuFeatures kNeonI8mm = 1u << 9;
inline constexpr CpuFeatures kNeonBf16 = 1u << 10;
inline constexpr CpuFeatures kAmxInt8 = 1u << 11;  // and AMX-TILE

// Returns what this CPU and the system have.
CpuFeatures FeaturesOfCpu();

// Returns the names that the CPU's makers give these features: "AVX-512 VNNI".
std::vector<std::string> FeatureNames(CpuFeatures features);

// Forbids all other features. Only while no kernel runs. It does not limit
// Highway's dispatch.
void AllowFeatures(CpuFeatures features);

// Whether kernels may use these features: the CPU has them, and they are not
// forbidden.
bool MayUse(CpuFeatures features);

// Whether the tiles of bfloat16 of x86's AMX may be used, or the dot products
// of x86's AVX-512 BF16.
inline bool HasAmxBf16() { return MayUse(kAmxBf16); }
inline bool HasAvx512Bf16() { return MayUse(kAvx512Bf16); }

// Makes FeaturesOfCpu return these features, or those that the CPU has if
// nullopt. Only while no kernel runs.
void SetCpuForTest(std::optional<CpuFeatures> features);

// Whether AMD made the CPU.
bool IsAmd();

// Sets what IsAmd returns, or the truth if nullopt. Only while no kernel runs.
void SetAmdForTest(std::optional<bool> is_amd);

}  // namespace gemma::internal

#endif  // GEMMA_OPS_CPU_H_
