"""llama.cpp for the instruction sets that `gemma --simd` names: how it is built, and what it says of itself."""
import dataclasses
import re

from comparison.engines import EngineError

AVX2 = ("AVX", "AVX2", "BMI2", "F16C", "FMA")
AVX512_VNNI = (*AVX2, "AVX512", "AVX512_VBMI", "AVX512_VNNI")
# What llama.cpp calls the instructions of each x86 CPU; as in ggml's own variants x64, haswell, alderlake, skylakex,
# icelake and zen4.
X86 = {"sse2": (), "avx2": AVX2, "avx2-vnni": (*AVX2, "AVX_VNNI"), "avx512": (*AVX2, "AVX512"),
       "avx512-vnni": AVX512_VNNI, "avx512-bf16": (*AVX512_VNNI, "AVX512_BF16")}
ALL_X86 = (*AVX2, "AVX_VNNI", "AVX512", "AVX512_VBMI", "AVX512_VNNI", "AVX512_BF16")
# The architecture of g++ for each ARM CPU, and what llama.cpp then has.
ARM = {"neon": ("armv8-a", ()), "neon-dotprod": ("armv8.2-a+dotprod", ("DOTPROD",)),
       "neon-i8mm": ("armv8.2-a+dotprod+i8mm+bf16", ("DOTPROD", "MATMUL_INT8"))}
ALL_ARM = ("DOTPROD", "MATMUL_INT8", "FP16_VA", "SVE", "SME")
WITHOUT = {"amx": "llama.cpp crashes with AMX (see benchmarks/comparison/environment.py)"}


@dataclasses.dataclass(frozen=True)
class Build:
    """A build of llama.cpp."""
    cmake_arguments: tuple
    features: frozenset  # those of `known` that the build has
    known: frozenset  # names in llama_print_system_info that tell builds apart


def _switch(name, on):
    return f"-DGGML_{name}={'ON' if on else 'OFF'}"


def build_for(simd):
    """Returns llama.cpp's build for a CPU that `gemma --simd` names. Raises EngineError if there is none."""
    if simd in X86:
        features = frozenset(X86[simd])
        options = [_switch("NATIVE", False), _switch("SSE42", "AVX" in features)]
        options += [_switch(name, name in features) for name in ALL_X86]
        # AMX has more names; all are off unless asked for.
        return Build(tuple(options), features, frozenset((*ALL_X86, "AMX_INT8")))
    if simd in ARM:
        architecture, features = ARM[simd]
        return Build((_switch("NATIVE", False), f"-DGGML_CPU_ARM_ARCH={architecture}"), frozenset(features),
                     frozenset(ALL_ARM))
    why = WITHOUT.get(simd, "it has no build of llama.cpp with that name")
    raise EngineError(f"compare.py cannot compare --simd {simd}: {why}; it can {', '.join((*X86, *ARM))}")


def check(system_info, simd):
    """Raises EngineError if llama.cpp was built for another CPU, according to llama_print_system_info."""
    build = build_for(simd)
    found = build.known & set(re.findall(r"(\w+) = 1\b", system_info))
    if found != build.features:
        raise EngineError(f"llama.cpp for --simd {simd} has {_show(found)}, wanted {_show(build.features)}; is it "
                          "replaced through LLAMA_CPP_LIB_PATH?")


def _show(features):
    return " ".join(sorted(features)) or "no more than the baseline"
