#!/usr/bin/env python3
"""Tests an installed libgemma as other projects use it.

Builds and runs programs with CMake and with pkg-config, with the static and the shared library, from a prefix that was
moved and from packages. Also runs the programs and commands of README.md and include/gemma/README.md, unchanged.

The folder of $GEMMA_BINARY is the build folder."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["GEMMA_BINARY"]).resolve().parent
EXAMPLES = ROOT / "tools/examples"
MODEL = ROOT / "tests/testdata/gguf/gemma3_mixed.gguf"
GEMMA4 = ROOT / "tests/testdata/gguf/gemma4_chat.gguf"
AUTOENCODER = ROOT / "tests/testdata/scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4"


def run(*command, **options):
    """Runs a command and returns its standard output. The test fails if the command fails."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def blocks(page, language):
    """Returns the code blocks of a page that are in a language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def build(folder, *options, targets=("all",)):
    """Builds the examples without optimizing and without debug information, which only takes time."""
    run("cmake", "-S", EXAMPLES, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=",
        "-DCMAKE_CXX_FLAGS_DEBUG=", *options)
    run("cmake", "--build", folder, "--target", *targets)


class Consumers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.home = dict(os.environ, HOME=str(cls.folder))
        [line] = re.findall("^cmake --install .*$", "".join(blocks("include/gemma/README.md", "sh")), re.MULTILINE)
        run("sh", "-c", line.replace("build/release", str(BUILD)), env=cls.home)
        # Moves the prefix, because no file may contain the folder of the installation.
        cls.prefix = (cls.folder / "gemma").rename(cls.folder / "moved")
        (cls.folder / "gemma").symlink_to(cls.prefix)
        cls.tools = cls.folder / "tools.json"
        cls.tools.write_text('[{"type": "function", "function": {"name": "now", "description": '
                             '"Returns the date and the time."}}]')
        cls.expected = run(cls.prefix / "bin/gemma", "run", MODEL, "hello the cat", "--chat", "--seed", 0, "-n", 256, "-q")

    def abseil(self):
        [path] = self.prefix.glob("lib/**/absl/status/status.h")
        return path.parents[2]

    def check_chats(self, folder):
        self.assertEqual(run(folder / "hello_in_c", MODEL, "hello the cat").rstrip("\n"), self.expected.rstrip("\n"))
        continued = run(self.prefix / "bin/gemma", "run", GEMMA4, "hello the cat", "--raw", "--seed", 0, "-n", 256, "-q",
                        stdin=subprocess.DEVNULL)
        self.assertEqual(run(folder / "hello_in_c", GEMMA4, "hello the cat").rstrip("\n"), continued.rstrip("\n"))
        # The toy's answer calls no tool.
        thinking = run(self.prefix / "bin/gemma", "run", GEMMA4, "hello", "--chat", "--think", "--tools", self.tools,
                       "--seed", 0, "-n", 1024, "-q")
        self.assertEqual(run(folder / "tools_in_c", GEMMA4, "hello").rstrip("\n"), thinking.rstrip("\n"))
        spoken = run(folder / "chat", MODEL, input="hello\nthe cat\n")
        first = run(self.prefix / "bin/gemma", "run", MODEL, "hello", "--chat", "--seed", 0, "-n", 256, "-q")
        self.assertTrue(spoken.startswith("> " + first.rstrip("\n")), spoken)
        self.assertTrue(spoken.endswith("\n> "), spoken)

    def check_examples(self, folder):
        self.check_chats(folder)
        prompts = self.folder / "prompts.txt"
        prompts.write_text("hello\nhello the cat\nhello\n")
        answers = run(folder / "batch", MODEL, prompts).split("\n---\n")
        self.assertEqual(len(answers), 4)
        self.assertEqual(answers[0], answers[2])
        self.assertEqual(answers[1].rstrip("\n"), self.expected.rstrip("\n"))
        together = run(folder / "engine_in_c", MODEL, "hello", "hello the cat", "hello")
        self.assertEqual(together.split("\n---\n"), answers)
        plain = run(folder / "steer", MODEL, "hello", "the cat", "0")
        steered = run(folder / "steer", MODEL, "hello", "the cat", "30")
        self.assertNotEqual(plain, steered)
        lines = run(folder / "features", MODEL, AUTOENCODER, "hello the cat").splitlines()
        self.assertGreater(len(lines), 1)
        for line in lines:
            self.assertRegex(line, r"^.*\t( \d+:[0-9.e+-]+){0,3}$")
        self.assertIn(":", "".join(line.split("\t")[-1] for line in lines))

    def test_first_program(self):
        page = "include/gemma/README.md"
        project = self.folder / "hello"
        project.mkdir()
        [program] = [block for block in blocks(page, "cpp") if "int main" in block]
        [cmake] = blocks(page, "cmake")
        self.assertLessEqual(len(program.splitlines()), 30)
        self.assertLessEqual(len(cmake.splitlines()), 10)
        (project / "hello.cc").write_text(program)
        (project / "CMakeLists.txt").write_text(
            cmake + "target_compile_options(hello PRIVATE -Wall -Wextra -Werror)\n")
        (project / "model.gguf").symlink_to(MODEL)
        [lines] = [block.splitlines() for block in blocks(page, "sh") if "build/hello" in block]
        *building, running = lines
        for line in building:
            run("sh", "-c", line, cwd=project, env=self.home)
        answer = run("sh", "-c", running, cwd=project, env=self.home)
        expected = run(self.prefix / "bin/gemma", "run", MODEL, "Once upon a time, there was a little", "--temperature", 0,
                       "-n", 64, "-q", stdin=subprocess.DEVNULL)
        self.assertTrue(expected.strip())
        self.assertEqual(answer.rstrip("\n"), expected.rstrip("\n"))

    def test_page_on_using_the_library(self):
        page = "include/gemma/README.md"
        folder = self.folder / "page"
        folder.mkdir()
        shutil.copy(EXAMPLES / "hello_in_c.c", folder)
        (folder / "model.gguf").symlink_to(MODEL)
        [lines] = [block for block in blocks(page, "sh") if "hello_in_c" in block]
        answer = run("sh", "-euc", lines, cwd=folder, env=self.home)
        expected = run(self.prefix / "bin/gemma", "run", MODEL, "Why is the sky blue?", "--seed", 0, "-n", 256, "-q",
                       stdin=subprocess.DEVNULL)
        self.assertTrue(expected.strip())
        self.assertEqual(answer.rstrip("\n"), expected.rstrip("\n"))

        fragments = [block for block in blocks(page, "cpp") if "int main" not in block]
        self.assertGreaterEqual(len(fragments), 3)
        functions = [f"void F{i}(absl::StatusOr<gemma::Model> model) {{\n{fragment}}}\n"
                     for i, fragment in enumerate(fragments)]
        [whole] = blocks("README.md", "cpp")
        functions.append(f"void Whole() {{\n{whole}}}\n")
        program = folder / "fragments.cc"
        program.write_text('#include <iostream>\n\n#include "gemma/gemma.h"\n\n' + "".join(functions))
        run("c++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", self.prefix / "include",
            "-isystem", self.abseil(), program)

    def test_find_package(self):
        folder = self.folder / "shared"
        build(folder, f"-DCMAKE_PREFIX_PATH={self.prefix}")
        self.check_examples(folder)
        self.assertIn("libgemma.so", run("ldd", folder / "chat"))

    def test_find_package_static(self):
        folder = self.folder / "static"
        build(folder, f"-DCMAKE_PREFIX_PATH={self.prefix}", "-DGEMMA_COMPONENTS=static")
        self.check_examples(folder)
        self.assertNotIn("libgemma", run("ldd", folder / "chat"))

    def test_pkg_config(self):
        [pc] = self.prefix.glob("lib/**/pkgconfig/gemma.pc")
        environment = dict(os.environ, PKG_CONFIG_PATH=str(pc.parent))
        flags = run("pkg-config", "--cflags", "--libs", "gemma", env=environment).split()
        program = self.folder / "with_cc"
        for example in ("engine_in_c.c", "hello_in_c.c"):
            run("cc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", EXAMPLES / example, "-o", program, *flags)
        answer = run(program, MODEL, "hello the cat", env=dict(os.environ, LD_LIBRARY_PATH=str(pc.parents[1])))
        self.assertEqual(answer.rstrip("\n"), self.expected.rstrip("\n"))
        version = run("pkg-config", "--modversion", "gemma", env=environment)
        self.assertEqual(run(self.prefix / "bin/gemma", "--version").split(), ["gemma", version.strip()])

    def test_another_version_is_not_found(self):
        project = self.folder / "version"
        project.mkdir()
        (project / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(p CXX)\nfind_package(gemma 99 REQUIRED)\n")
        result = subprocess.run(["cmake", "-S", project, "-B", project / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}"],
                                capture_output=True, text=True)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("99", result.stderr)

    def test_only_our_names_are_exported(self):
        [library] = self.prefix.glob("lib/**/libgemma.so")
        symbols = run("nm", "-D", "-C", "--defined-only", library)
        self.assertIn(" T gemma_model_load\n", symbols)
        self.assertIn(" T gemma::Model::Load(", symbols)
        for line in symbols.splitlines():
            _, kind, name = line.split(" ", 2)
            # Skips weak and unique symbols: headers, including other libraries', put them into every program.
            if kind not in "WVu":
                self.assertRegex(name, r"^(gemma_|gemma::|(vtable|typeinfo|typeinfo name) for gemma::)", line)

    def test_static_names_are_public(self):
        [library] = self.prefix.glob("lib/**/libgemma.a")
        headers = "".join(header.read_text() for header in (self.prefix / "include/gemma").glob("*.h"))
        names = set(re.findall(r" [BDRT] gemma::(\w+)", run("nm", "-C", "--defined-only", library)))
        self.assertIn("Model", names)
        for name in sorted(names - {"internal"}):
            self.assertRegex(headers, rf"\b{name}\b")

    def test_licences_are_there(self):
        names = {path.name for path in (self.prefix / "share/doc/gemma").rglob("*") if path.is_file()}
        self.assertLessEqual({"LICENSE", "highway", "abseil", "nlohmann-json", "CLI11"}, names)

    def test_headers_stand_alone(self):
        include = self.prefix / "include"
        for header in sorted(include.glob("gemma/*.h")):
            with self.subTest(header=header.name):
                run("c++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", include,
                    "-isystem", self.abseil(), "-x", "c++", header)
        for header in sorted(include.glob("gemma/c_*.h")):
            run("cc", "-std=c99", "-fsyntax-only", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I", include, "-x", "c",
                header)

    def test_packages(self):
        out = self.folder / "packages"
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", out)
        [archive] = out.glob("*.tar.gz")
        [package] = out.glob("*.deb")
        unpacked = self.folder / "unpacked"
        unpacked.mkdir()
        run("tar", "-xzf", archive, "-C", unpacked, "--strip-components=1")
        self.assertIn("gemma ", run(unpacked / "bin/gemma", "--version"))
        listing = run("dpkg-deb", "--contents", package)
        for wanted in ("usr/bin/gemma", "usr/include/gemma/c_api.h", "libgemma.so", "gemmaConfig.cmake", "gemma.pc",
                       "usr/share/man/man1/gemma.1", "usr/share/bash-completion/completions/gemma",
                       "usr/share/zsh/vendor-completions/_gemma", "usr/share/fish/vendor_completions.d/gemma.fish"):
            self.assertIn(wanted, listing)
        fields = run("dpkg-deb", "--field", package)
        self.assertRegex(fields, r"(?m)^Depends: .*libc6")
        run("dpkg-deb", "--extract", package, self.folder / "deb")
        # The files are those of the other tests, in other folders.
        folder = self.folder / "from_deb"
        build(folder, f"-DCMAKE_PREFIX_PATH={self.folder / 'deb/usr'}", targets=("chat", "hello_in_c", "tools_in_c"))
        self.check_chats(folder)


if __name__ == "__main__":
    unittest.main()
