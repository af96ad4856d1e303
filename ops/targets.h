// The vector instructions that the kernels use, and a cap on them.
//
// Most kernels are compiled once for each of Highway's targets, and the best
// that the CPU has runs. A few are compiled for one instruction set only
// (ops/cpu.h). The cap limits both, so that the process runs what a CPU with
// fewer instructions would run.

#ifndef GEMMA_OPS_TARGETS_H_
#define GEMMA_OPS_TARGETS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/cpu.h"

namespace gemma::internal {

// Return the instruction sets that kernels were compiled for, and the one of
// them that most kernels use now, in the words of CPUs' makers. The best comes
// first.
std::vector<std::string> CompiledTargets();
std::string ChosenTarget();

// Whether most kernels use AVX2, and none of AVX-512; AVX-512 VNNI; or any kind
// of NEON.
bool ChoseAvx2();
bool ChoseAvx512Vnni();
bool ChoseNeon();

// A cap. Its name stands for CPUs that have these features.
struct SimdCap {
  std::string_view name;  // "avx2-vnni"
  CpuFeatures features;
};

// Returns all caps, of all architectures. The lowest of each comes first.
std::span<const SimdCap> SimdCaps();

// Returns the names of the caps that this CPU and this build can keep to.
std::vector<std::string> PossibleCaps();

enum class CapResult {
  kOk,
  kUnknown,     // no cap has this name
  kImpossible,  // not one of PossibleCaps
  kTooLate,     // FixSimd was called before
};

// Caps what kernels use. Succeeds at any time if this is the cap already.
CapResult SetSimdCap(std::string_view name);

// Returns the name of the cap, or "".
std::string_view CurrentCap();

// Whether under the cap some kernel runs that would not run under any lower
// one. True without a cap.
bool CapHasKernels();

// From now on, kernels may run, and SetSimdCap fails. Any thread may call it.
void FixSimd();

// Removes the cap, as if no kernel had run. Only while no kernel runs.
void UncapSimdForTest();

// Returns Highway's version, for example "1.2.0".
std::string HighwayVersion();

}  // namespace gemma::internal

#endif  // GEMMA_OPS_TARGETS_H_
