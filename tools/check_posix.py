#!/usr/bin/env python3
"""Compiles the files that call the system as if on a system that has POSIX 2008 and is not Linux.

macOS cannot be tried on our machines. This finds calls that it lacks: headers of the C library declare only what POSIX
has, and __linux__ is not defined, so that what other systems do is compiled too. Nothing is linked or run.

Prints one line for each breach and exits with 1 if there is any. --self-test shows that breaches are found. Needs what
tools/setup.sh provides. tools/check_layout.py looks for known names of Linux in all files.
"""

import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPTIONS = ["-std=c++20", "-fsyntax-only", "-w", "-U_GNU_SOURCE", "-D_POSIX_C_SOURCE=200809L", "-U__linux__", "-U__linux",
           "-Ulinux", "-U__gnu_linux__", "-I.", "-Iinclude", "-isystem", "build/deps/include", '-DGEMMA_VERSION="0"']
SYSTEM_HEADER = re.compile(
    r"#include <(arpa/.*|fcntl|langinfo|limits|netdb|netinet/.*|poll|pthread|pwd|sched|signal|spawn|stdio|stdlib|sys/.*"
    r"|termios|time|unistd)\.h>")
FOLDERS = ["src", "ops", "compression", "tools/gemma"]

# What macOS has although POSIX 2008 does not. The C library of GNU hides realpath, too, which POSIX 2008 has.
PRELUDE = """
#include <spawn.h>
#include <stddef.h>
#include <sys/mman.h>
extern "C" {
int madvise(void* begin, size_t size, int advice) noexcept;
#define MADV_RANDOM 1
#define MADV_DONTNEED 4
int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t* actions, const char* path) noexcept;
char* realpath(const char* path, char* resolved) noexcept;
}
"""

GOOD = [
    '#include <unistd.h>\nint F(int* ends) { return pipe(ends); }\n',
    '#include <sys/mman.h>\nint F(void* a) { return madvise(a, 1, MADV_RANDOM); }\n',
    '#include <fcntl.h>\n#ifdef __linux__\nint F(int* ends) { return pipe2(ends, O_CLOEXEC); }\n#endif\n',
]
BAD = [
    '#include <fcntl.h>\n#include <unistd.h>\nint F(int* ends) { return pipe2(ends, O_CLOEXEC); }\n',
    '#include <fcntl.h>\nint F() { return open("a", O_TMPFILE); }\n',
    '#include <fcntl.h>\nint F() { return fallocate(0, 0, 0, 1); }\n',
    '#include <string.h>\nconst void* F(const char* a) { return memrchr(a, 0, 1); }\n',
    '#include <unistd.h>\n#ifndef __linux__\nint F() { return gettid(); }\n#endif\n',
]


def breaches_of(path, prelude):
    """Returns the compiler's errors in a file, but not those in headers of libraries, which on Linux need Linux."""
    result = subprocess.run(["c++", *OPTIONS, "-include", prelude, path], cwd=ROOT, capture_output=True, text=True)
    errors = [line for line in result.stderr.splitlines() if "error: " in line]
    return [line for line in errors if not re.match(r"/usr/|build/deps/", line)]


def system_files():
    names = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *FOLDERS],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted({name for name in names if name.endswith(".cc") and not re.search(r"/windows/|_win32\.cc$", name)
                   and (ROOT / name).is_file() and SYSTEM_HEADER.search((ROOT / name).read_text())})


def self_test(folder, prelude):
    for texts, wanted in ((GOOD, False), (BAD, True)):
        for number, text in enumerate(texts):
            path = folder / f"{number}.cc"
            path.write_text(text)
            if bool(breaches_of(path, prelude)) != wanted:
                yield f"{'not found' if wanted else 'found'}: {text!r}"


def main():
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor(2) as pool:
        folder = pathlib.Path(name)
        prelude = folder / "prelude.h"
        prelude.write_text(PRELUDE)
        if "--self-test" in sys.argv[1:]:
            breaches = list(self_test(folder, prelude))
        else:
            files = [argument for argument in sys.argv[1:] if not argument.startswith("-")] or system_files()
            breaches = sum(pool.map(lambda path: breaches_of(path, prelude), files), [])
    print("\n".join(breaches) or "POSIX: no breach")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
