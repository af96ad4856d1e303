"""The Python environment of the other engines, made once and kept in the cache."""
import os
import pathlib
import subprocess
import sys
import venv

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "gemma"
DIRECTORY = CACHE / "compare-venv"
PACKAGES = ["llama-cpp-python", "gguf", "matplotlib", "numpy"]
# For this CPU, and without the parts for images.
CMAKE_ARGS = "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF"


class SetupError(Exception):
    pass


def python():
    return DIRECTORY / "bin" / "python"


def python_with_transformers():
    if not _has("transformers"):
        _install("transformers", ["torch", "transformers"])
    return python()


def ensure():
    """Makes the environment unless it is there."""
    if _has("peers"):
        return
    print(f"making {DIRECTORY}; llama.cpp is built from source, which takes minutes", file=sys.stderr)
    venv.create(DIRECTORY, with_pip=True)
    _install("peers", ["--no-binary", "llama-cpp-python"] + PACKAGES)


def _has(step):
    return (DIRECTORY / f"{step}.txt").exists()


def _install(step, arguments):
    """Installs packages; <step>.txt, which lists what there is then, tells that it worked."""
    variables = {"CMAKE_ARGS": CMAKE_ARGS, "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count())}
    log = DIRECTORY / f"{step}.log"
    with open(log, "wb") as file:
        done = subprocess.run([python(), "-m", "pip", "install", "--verbose", *arguments],
                              env=os.environ | variables, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise SetupError(f"pip failed to install {' '.join(arguments)}; see {log}")
    frozen = subprocess.run([python(), "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    (DIRECTORY / f"{step}.txt").write_text(frozen, encoding="utf-8")
