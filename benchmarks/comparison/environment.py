"""The Python environment of the other engines and of the plots, made once and kept in the cache."""
import os
import pathlib
import platform
import subprocess
import sys
import venv

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "gemma"
DIRECTORY = CACHE / "compare-venv"
# The packages that pip installs for each purpose.
PACKAGES = {
    "plots": ["matplotlib"],
    "llama-cpp": ["--no-binary", "llama-cpp-python", "llama-cpp-python", "numpy"],
    "gguf": ["gguf"],
    "transformers": ["torch", "transformers"],
}
# Builds for this CPU, without the parts for images, and without AMX: with AMX, g++ 12 and version 0.3.36, llama.cpp
# crashes in the first prefill (SIGSEGV in ggml_backend_amx_mul_mat, its issue 20824).
CMAKE_ARGS = "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF"
X86_FLAGS = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"


class SetupError(Exception):
    pass


def python(purpose):
    """Returns an interpreter that has the packages for `purpose`; installs them if necessary."""
    interpreter = DIRECTORY / "bin" / "python"
    if not interpreter.exists():
        venv.create(DIRECTORY, with_pip=True, clear=True)
    if not _record(purpose).exists():
        _install(interpreter, purpose)
    return interpreter


def _record(purpose):
    """Returns the file that records a successful installation and its packages."""
    return DIRECTORY / f"{purpose}.txt"


def _install(interpreter, purpose):
    log = DIRECTORY / f"{purpose}.log"
    print(f"installing packages for {purpose} into {DIRECTORY}; llama.cpp takes minutes; see {log}", file=sys.stderr)
    flags = X86_FLAGS if platform.machine() == "x86_64" else ""
    variables = {"CMAKE_ARGS": CMAKE_ARGS, "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count()),
                 "CFLAGS": flags, "CXXFLAGS": flags}
    with open(log, "wb") as file:
        done = subprocess.run([interpreter, "-m", "pip", "install", "--verbose", *PACKAGES[purpose]],
                              env=os.environ | variables, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise SetupError(f"pip failed to install {' '.join(PACKAGES[purpose])}; see {log}")
    frozen = subprocess.run([interpreter, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    _record(purpose).write_text(frozen, encoding="utf-8")
