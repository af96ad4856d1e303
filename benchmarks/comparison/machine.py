"""The machine of the measurements."""
import json
import os
import platform
import re
import subprocess

# The CPU's flags that decide which kernels run.
FLAGS = r"(avx|fma|f16c|amx|sse4_2|asimd|sve|i8mm|bf16|dotprod)\w*"


def describe():
    text = _read("/proc/cpuinfo")
    flags = re.search(r"^(flags|Features)\s*:(.*)$", text, re.M)
    return {
        "cpu": _value(text, "model name") or platform.processor(),
        "cpus": os.cpu_count(),
        "flags": sorted(flag for flag in (flags[2].split() if flags else []) if re.fullmatch(FLAGS, flag)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "transparent_huge_pages": _read("/sys/kernel/mm/transparent_hugepage/enabled").strip(),
        "system": platform.platform(),
        # They set options of our command.
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith("GEMMA_")},
    }


def ceilings(build, threads, simd=""):
    """Runs ceilings_benchmark, on a CPU that `gemma --simd` names, and returns its result."""
    program = build / "benchmarks" / "ceilings_benchmark"
    if not program.exists():
        raise OSError(f"{program} is missing; build the target ceilings_benchmark")
    command = [program, "--threads", str(threads), "--json", *(["--simd", simd] if simd else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{program} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def _value(text, key):
    found = re.search(rf"^{key}\s*:\s*(.*)$", text, re.M)
    return found[1] if found else None
