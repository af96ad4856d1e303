// The vector instructions of the CPU that this process uses.

#ifndef GEMMA_SIMD_H_
#define GEMMA_SIMD_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gemma/export.h"

namespace gemma {

// Makes the whole process compute as on a CPU with fewer instructions: for
// measuring, for tests and to report faults. The names stand for CPUs with
//   sse2, avx2 (with FMA), avx2-vnni (and AVX-VNNI), avx512 (F, BW, DQ and VL),
//   avx512-vnni, avx512-bf16, amx (AMX-TILE, AMX-BF16 and AMX-INT8), each with
//   those before it, except that avx512 and avx512-vnni are without AVX-VNNI;
//   neon, neon-dotprod (FEAT_DotProd), neon-i8mm (FEAT_I8MM and FEAT_BF16),
//   likewise.
// Call it before anything loads weights or writes a model; later, it succeeds
// only if the name is the cap already. Returns InvalidArgument for an unknown
// name and for one that the CPU or this build lacks, and FailedPrecondition if
// it is too late. Errors name the possible caps. Not every name has kernels of
// its own; see SimdUse::note.
GEMMA_EXPORT absl::Status CapSimd(std::string_view name);

// The instruction sets that compute products of one kind of weights.
struct SimdProducts {
  std::string weights;  // "quantized", "bfloat16" or "float32 and float16"
  std::string decode;   // in passes of few tokens: "AVX2"
  std::string prefill;  // in passes of 32 tokens and more, with
                        // Activations::kRounded and not deterministic
};

// What the CPU has, and what is used of it, in the words of CPUs' makers.
struct SimdUse {
  std::vector<std::string> cpu;  // what CPU and system have: "AVX-512 VNNI"
  std::vector<std::string> compiled;   // what kernels were compiled for, the
                                       // best first, without those for some
                                       // products of prompts only
  std::vector<std::string> caps;       // names that CapSimd takes here
  std::string cap;                     // the cap, or ""
  std::string chosen;                  // one of `compiled`: what kernels use
  std::vector<SimdProducts> products;  // what products use
  // What to know of the cap: it may have no kernels of its own. Or "".
  std::string note;
};

// Returns what this process uses now.
GEMMA_EXPORT SimdUse GetSimdUse();

// Returns the names of CPUs of this architecture, even if this CPU has less.
GEMMA_EXPORT std::vector<std::string> SimdNames();

}  // namespace gemma

#endif  // GEMMA_SIMD_H_
