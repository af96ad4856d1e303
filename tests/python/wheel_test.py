"""Tests the wheel: what it contains, and that users can install and run it.

GEMMA_WHEEL  the wheel; by default tools/python/build.sh builds one

Installs it with the packages that it needs, from the index that pip uses, into an
empty environment of this Python and of each other one from 3.10 that is in PATH.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODEL = ROOT / "tests/testdata/gguf/gemma4_chat.gguf"
TOOLS = ROOT / "build/wheel-tools"
# Part of every Linux with the glibc that the name of the wheel promises.
SYSTEM = r"(lib(c|m|dl|rt|pthread|stdc\+\+|gcc_s)\.so\.[0-9]+|ld-linux\S*)"
# Copied or linked into the files of the wheel.
LICENSED = {"LICENSE", "CLI11", "nlohmann-json", "abseil", "highway", "nanobind", "curl", "boost",
            "bsd", "edit", "md", "ncurses", "ssl", "zlib1g"}

# What mypy --strict must accept, and where each line marked "wrong" is an error.
PROGRAM = '''\
import asyncio
import libgemma


def one(path: str) -> str:
    with libgemma.LLM(path, threads=2, context=512) as llm:
        answer: libgemma.Completion = llm.generate("Once", max_tokens=8, seed=1)
        answers: list[libgemma.Completion] = llm.generate(["Once", "Twice"], max_tokens=8)
        tokens: list[int] = llm.tokenize("Once")
        llm.generate("Once", max_token=8)  # wrong
        llm.detokenize("Once")  # wrong
        return answer.text + answers[0].text + llm.detokenize(tokens)


async def pieces(llm: libgemma.LLM) -> None:
    async for piece in llm.astream("Once", max_tokens=8):
        print(piece)


asyncio.run(pieces(libgemma.LLM("model.gguf")))
'''

# The command and the package, installed.
ANSWERS = '''\
import sys, libgemma
with libgemma.LLM(sys.argv[1], threads=1) as llm:
    print(llm.generate("hello", max_tokens=6, temperature=0).tokens)
'''


def other_pythons():
    """Returns one command for each other version of Python from 3.10 that works here."""
    for minor in range(10, 20):
        command = shutil.which(f"python3.{minor}")
        if not command or minor == sys.version_info.minor:
            continue
        works = subprocess.run([command, "-c", "import ensurepip, ssl"], capture_output=True, check=False)
        if works.returncode == 0:
            yield command


def run(*command, **options):
    """Returns the output of a command without the settings of this environment."""
    env = {key: value for key, value in os.environ.items()
           if not key.startswith(("GEMMA_", "PYTHON"))}
    env.update(options.pop("env", {}))
    done = subprocess.run([str(word) for word in command], env=env, capture_output=True, text=True,
                          check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class WheelTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        path = os.environ.get("GEMMA_WHEEL") or run(ROOT / "tools/python/build.sh").strip()
        cls.wheel = pathlib.Path(path).resolve()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.files = cls.folder / "files"
        with zipfile.ZipFile(cls.wheel) as archive:
            archive.extractall(cls.files)
        cls.version = re.search(r'VERSION_STRING "(.*)"', (ROOT / "include/gemma/version.h").read_text())[1]
        cls.module = cls.files / "libgemma/_core.abi3.so"
        cls.command = cls.files / f"libgemma-{cls.version}.data/scripts/gemma"

    def install(self, python):
        """Returns the bin folder of a new environment of a Python, with the wheel."""
        env = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        run(python, "-m", "venv", env)
        run(env / "bin/pip", "install", "--quiet", "--disable-pip-version-check", self.wheel)
        return env / "bin"

    def test_name_promises_linux(self):
        self.assertRegex(self.wheel.name, rf"^libgemma-{re.escape(self.version)}-cp310-abi3-"
                                          r"(manylinux_2_(\d|[12]\d|3[0-6])_\w+\.?)+\.whl$")

    def test_contains_only_the_package(self):
        info = f"libgemma-{self.version}.dist-info"
        found = {str(path.relative_to(self.files)) for path in self.files.rglob("*") if path.is_file()}
        sources = {f"libgemma/{path.relative_to(ROOT / 'tools/python/libgemma')}"
                   for path in (ROOT / "tools/python/libgemma").rglob("*")
                   if path.is_file() and path.suffix != ".pyc"}
        licenses = {f"{info}/licenses/{name}" for name in LICENSED}
        made = {"libgemma/_core.abi3.so", "libgemma/_core.pyi", str(self.command.relative_to(self.files))}
        about = {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL")}
        self.assertEqual(found, sources | licenses | made | about)
        for name in licenses:
            self.assertGreater((self.files / name).stat().st_size, 500, name)

    def test_module_shows_only_entry(self):
        symbols = run("nm", "-D", "--defined-only", self.module)
        self.assertEqual([line.split()[-1] for line in symbols.splitlines()], ["PyInit__core"])

    def test_needs_only_the_system(self):
        for file in (self.module, self.command):
            needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", file))
            self.assertIn("libc.so.6", needed)
            for library in needed:
                self.assertRegex(library, f"^{SYSTEM}$", file)

    def test_command_needs_nothing_newer(self):
        """auditwheel examines modules alone: the command must need no newer symbols of the system."""
        newest = {}
        for file in (self.module, self.command):
            symbols = re.findall(r"(GLIBC|GLIBCXX|CXXABI)_([0-9.]+)", run("objdump", "-T", file))
            self.assertTrue(symbols)
            for library, version in symbols:
                found = newest.setdefault(file, {})
                found[library] = max(found.get(library, []), [int(part) for part in version.split(".")])
        for library, version in newest[self.command].items():
            self.assertLessEqual(version, newest[self.module][library], library)

    def test_runs_on_each_python(self):
        pythons = [sys.executable, *other_pythons()]
        answers = set()
        for python in pythons:
            with self.subTest(python=python):
                installed = self.install(python)
                self.assertEqual(run(installed / "gemma", "--version").split()[1], self.version)
                answers.add(run(installed / "python", "-c", ANSWERS, MODEL, cwd=self.folder))
                command = run(installed / "gemma", "run", MODEL, "hello", "-n", "6",
                              "--temperature", "0", "--json")
                self.assertIn('"text"', command)
        self.assertEqual(len(answers), 1, answers)

    def check_types(self, *arguments):
        """Returns what mypy --strict finds with the types of the wheel."""
        return subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", self.folder / "mypy", *arguments],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(TOOLS), "MYPYPATH": str(self.files)},
            cwd=self.folder, capture_output=True, text=True, check=False)

    def test_modules_have_types(self):
        """All modules of the package, those for Ray, Beam and lm-eval included: these and NumPy are Any."""
        checked = self.check_types("--no-site-packages", "--ignore-missing-imports", "--allow-subclassing-any",
                                   "--allow-untyped-decorators", "--allow-any-generics", "-p", "libgemma")
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_types_are_complete(self):
        """mypy reads the wheel's types as those of a user: only the wrong calls are errors."""
        (self.folder / "program.py").write_text(PROGRAM)
        checked = self.check_types("program.py")
        errors = {int(line) for line in re.findall(r"^program\.py:(\d+): error:", checked.stdout, re.MULTILINE)}
        wrong = {number for number, line in enumerate(PROGRAM.splitlines(), 1) if line.endswith("# wrong")}
        self.assertEqual(errors, wrong, checked.stdout + checked.stderr)

    def test_page_examples_run(self):
        """The examples of the Python page, with the installed wheel."""
        installed = self.install(sys.executable)
        run(installed / "python", ROOT / "tests/python/page_test.py", cwd=ROOT,
            env={"GEMMA_BINARY": str(installed / "gemma")})


if __name__ == "__main__":
    unittest.main()
