"""The Python environments of the other engines and of the plots, made once and kept in the cache."""
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
    # Without the cache, where pip keeps what it built with other arguments.
    "llama-cpp": ["--no-cache-dir", "--no-binary", "llama-cpp-python", "llama-cpp-python", "numpy"],
    "gguf": ["gguf"],
    "transformers": ["torch", "transformers"],
}
# Builds for this CPU, without the parts for images, and without AMX: with AMX, g++ 12 and version 0.3.36, llama.cpp
# crashes in the first prefill (SIGSEGV in ggml_backend_amx_mul_mat, its issue 20824).
NATIVE = ("-DGGML_NATIVE=ON",)
CMAKE_ARGUMENTS = ("-DLLAVA_BUILD=OFF",)
X86_FLAGS = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"


class SetupError(Exception):
    pass


def python(purpose):
    """Returns an interpreter that has the packages for `purpose`; installs them if necessary."""
    return _python(DIRECTORY, purpose, NATIVE)


def llama_cpp_for(name, cmake_arguments):
    """Returns an interpreter that has llama.cpp with these arguments of CMake, in the environment of that name."""
    return _python(DIRECTORY.with_name(f"{DIRECTORY.name}-{name}"), "llama-cpp", cmake_arguments)


def _python(directory, purpose, cmake_arguments):
    interpreter = directory / "bin" / "python"
    if not interpreter.exists():
        venv.create(directory, with_pip=True, clear=True)
    # The file that records a successful installation and its packages.
    record = directory / f"{purpose}.txt"
    if not record.exists():
        _install(directory, purpose, cmake_arguments)
        frozen = subprocess.run([interpreter, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
        record.write_text(frozen, encoding="utf-8")
    return interpreter


def _install(directory, purpose, cmake_arguments):
    log = directory / f"{purpose}.log"
    print(f"installing packages for {purpose} into {directory}; llama.cpp takes minutes; see {log}", file=sys.stderr)
    flags = X86_FLAGS if platform.machine() == "x86_64" else ""
    variables = {"CMAKE_ARGS": " ".join((*cmake_arguments, *CMAKE_ARGUMENTS)),
                 "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count()), "CFLAGS": flags, "CXXFLAGS": flags}
    command = [directory / "bin" / "python", "-m", "pip", "install", "--verbose", *PACKAGES[purpose]]
    with open(log, "wb") as file:
        done = subprocess.run(command, env=os.environ | variables, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise SetupError(f"pip failed to install {' '.join(PACKAGES[purpose])}; see {log}")
