"""llama-server for serve.py: built once, from the sources inside the package llama-cpp-python, without its web page."""
import os
import pathlib
import platform
import subprocess
import sys
import tarfile
import tempfile

from comparison import environment, simd

DIRECTORY = environment.CACHE / "llama-server"
# Only the server, and nothing that is fetched from elsewhere.
ARGUMENTS = ("-DCMAKE_BUILD_TYPE=Release", "-DLLAMA_BUILD_COMMON=ON", "-DLLAMA_BUILD_TOOLS=ON", "-DLLAMA_BUILD_SERVER=ON",
             "-DLLAMA_BUILD_UI=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF", "-DLLAMA_BUILD_APP=OFF", "-DLLAMA_BUILD_TESTS=OFF",
             "-DLLAMA_BUILD_EXAMPLES=OFF")


def binary(cap=""):
    """Returns llama-server for this CPU, or for the CPU that `gemma --simd` calls `cap`; builds it if necessary."""
    arguments = simd.build_for(cap).cmake_arguments if cap else environment.NATIVE
    build = DIRECTORY / (cap or "native")
    record = build / "complete.txt"
    if not record.exists():
        _build(_sources(), build, arguments)
        record.write_text(" ".join(arguments) + "\n", encoding="utf-8")
    return build / "bin" / "llama-server"


def _sources():
    """Returns llama.cpp's folder; fetches the package if necessary."""
    found = sorted(DIRECTORY.glob("llama_cpp_python-*/vendor/llama.cpp"))
    if not found:
        python = environment.python("plots")
        with tempfile.TemporaryDirectory() as folder:
            _run([python, "-m", "pip", "download", "--no-deps", "--no-binary", "llama-cpp-python", "llama-cpp-python"],
                 "download", folder)
            [archive] = pathlib.Path(folder).glob("llama_cpp_python-*.tar.gz")
            with tarfile.open(archive) as package:
                package.extractall(DIRECTORY)
        found = sorted(DIRECTORY.glob("llama_cpp_python-*/vendor/llama.cpp"))
    return found[-1]


def _build(sources, build, arguments):
    flags = environment.X86_FLAGS if platform.machine() == "x86_64" else ""
    compiler = [f"-DCMAKE_C_FLAGS={flags}", f"-DCMAKE_CXX_FLAGS={flags}"]
    _run(["cmake", "-S", sources, "-B", build, *ARGUMENTS, *arguments, *compiler], "configure")
    _run(["cmake", "--build", build, "--target", "llama-server", "--parallel", os.cpu_count()], "build")


def _run(command, step, folder=None):
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    log = DIRECTORY / f"{step}.log"
    print(f"llama-server: {step}, which may take minutes; see {log}", file=sys.stderr)
    with open(log, "wb") as file:
        done = subprocess.run(list(map(str, command)), cwd=folder, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise environment.SetupError(f"llama-server: {step} failed; see {log}")
