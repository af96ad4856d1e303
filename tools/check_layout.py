#!/usr/bin/env python3
"""Checks includes between folders, the names at the top level, that no code
matches words of messages, that no two headers define types of one name, that
tests have short names, that calls which macOS lacks are guarded, that links
between pages lead somewhere, and that README.md stays short.

Prints one line for each breach and exits with 1 if there is any.
--self-test shows that each rule can fail.
"""

import pathlib
import posixpath
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

TOP_LEVEL = set("""
    .ci .clang-format .clang-tidy .gitignore ARCHITECTURE.md CHANGELOG.md
    CMakeLists.txt CMakePresets.json LICENSE README.md SECURITY.md
    benchmarks compression include ops src tests tools
    """.split())

# Tools that may include the library's internal headers. All others use its
# public headers and src/base and src/os, which do not depend on models.
INSIDERS = r"tools/gemma/(machine/(doctor|file_type|verify)|measure/(importance|verify)|io/npy)\w*\."

# The rooms (folders) of src. Each may include its own headers, the public ones
# and those of the rooms listed here, which are below it.
ROOMS = {
    "base": "",
    "os": "src/base",
    "formats": "src/os src/base compression",
    "jinja": "src/base",
    "text/tokenizer": "src/jinja src/formats src/os src/base",
    "text/turns": "src/text/tokenizer src/jinja src/formats src/os src/base",
    "grammar": "src/text src/base",
    "model": "src/grammar src/text src/formats src/os src/base ops compression",
    "forward": "src/model src/base ops",
    "session": "src/forward src/model src/text src/formats src/os src/base ops",
    "generate": "src/session src/forward src/grammar src/text src/base ops",
    "batch": "src/embed src/generate src/session src/forward src/base",
    "embed": "src/session src/forward src/base",
    "classify": "src/session src/forward src/text src/base",
    "serve": "src/batch src/generate src/text src/base",
    "scope": "src/session src/model src/formats src/os src/base ops compression",
    "quantize": "src/model src/formats src/os src/base ops compression",
    "c_api": "src/base",
}
PUBLIC_OF = {"base": r"gemma/error_reason\.h", "os": r"gemma/error_reason\.h"}


def room_arrow(room):
    folders = [f"src/{room}"] + ROOMS[room].split()
    return rf"src/{room}/", rf"({PUBLIC_OF.get(room, 'gemma/')}|({'|'.join(folders)})/)"


# The first entry whose first pattern matches a file's path applies. The file may
# include only those of our own and Highway's headers that the second pattern
# matches. Headers of other libraries are not checked here.
ARROWS = [
    (r"include/gemma/", r"gemma/"),
    (r"compression/", r"(compression|hwy)/"),
    (r"ops/", r"(ops|compression|hwy)/"),
    *map(room_arrow, ROOMS),
    (INSIDERS, r"(gemma|src|ops|compression|tools)/"),
    (r"tools/python/", r"(gemma|tools/python)/|tools/gemma/(io/errors|pull/resolve"
                       r"|machine/(memory|model_json|summary))\.h"),
    (r"tools/gemma/io/", r"(gemma|src/(os|base)|tools/gemma/io)/"),
    (r"tools/", r"(gemma|src/(os|base)|tools)/"),
    (r"benchmarks/", r"(gemma|src|ops|compression|hwy|tests/support|benchmarks)/"),
    (r"tests/", r""),
]
OURS = r"(gemma|src|ops|compression|hwy|tests|tools|benchmarks)/"

# Messages are for people. Programs must use an error's code and its payload
# (gemma/error_reason.h).
WORDS = re.compile(
    r"(?:StrContains|StartsWith|EndsWith|ConsumePrefix|ConsumeSuffix|StripPrefix)\w*\(\s*[\w.>()*-]*\bmessage\b"
    r"|\bmessage\(\)\s*(?:[=!]=|\.\s*(?:find|rfind|starts_with|ends_with|contains|compare)\b)")
READERS = r"(src|ops|compression|include|tools|benchmarks)/"

# Calls and constants that macOS lacks; most are Linux's own. They may stand only
# where a condition of the preprocessor names Linux, its C library, or the name.
LINUX_CALLS = """
    accept4 copy_file_range dup3 epoll_\\w+ eventfd execvpe fallocate fdatasync getauxval getdents64 get_nprocs
    getrandom gettid inotify_\\w+ malloc_trim mallinfo2? mallopt memfd_create memrchr mempcpy mremap pipe2
    posix_fadvise posix_fallocate ppoll prctl pthread_[gs]etaffinity_np readahead renameat2 sched_[gs]etaffinity
    secure_getenv sendfile signalfd splice statx strchrnul sync_file_range syscall sysinfo timerfd_\\w+ vmsplice
    """.split()
LINUX_NAMES = """
    CPU_COUNT(_S)? EFD_\\w+ F_OFD_\\w+ F_SETPIPE_SZ GRND_\\w+ MADV_HUGEPAGE MADV_NOHUGEPAGE MAP_HUGETLB
    MAP_POPULATE MFD_\\w+ MREMAP_\\w+ MSG_NOSIGNAL O_PATH O_TMPFILE RENAME_NOREPLACE SOCK_CLOEXEC SOCK_NONBLOCK
    SYNC_FILE_RANGE_\\w+ SYS_\\w+ cpu_set_t program_invocation_(short_)?name
    """.split()
LINUX_HEADERS = r"(linux/.*|sys/(auxv|epoll|eventfd|inotify|prctl|sendfile|signalfd|syscall|sysinfo|timerfd|vfs)\.h|malloc\.h)"
LINUX = re.compile(rf"(?<![\w.>])(?<!\w::)(?:({'|'.join(LINUX_CALLS)})\s*\(|({'|'.join(LINUX_NAMES)})\b)"
                   rf"|#\s*include\s+<({LINUX_HEADERS})>")
LINUX_GUARD = r"__linux__|__GLIBC__"

# Tests are named by their behaviour, in few words. Each entry: the ending of a
# file, what finds a test's behaviour, what matches a good one, and what to say
# about another. Q4_0 is one word.
TEST_NAMES = [
    (".cc", r"^[ \t]*TEST(?:_[FP])?\(\s*\w+,\s*(\w+)\s*\)",
     r"([A-Z][a-z0-9]*(_[0-9]+)*){1,4}", "at most four words, as in KeepsOrder"),
    (".py", r"^[ \t]*def test_(\w+)",
     r"[a-z0-9]+(_[a-z0-9]+){0,4}", "at most five words, as in test_keeps_order"),
]

# README.md is a first look; the folders' pages have the rest.
README_LINES = 180
README_COLUMNS = 120

# Public headers may include the standard library, abseil and each other.
PUBLIC = r"<\w+>|<std(def|int|bool)\.h>|\"(absl|gemma)/"


def check(files):
    """Returns the breaches in files, a dictionary of path to text."""
    breaches = []
    for path, text in files.items():
        if path.split("/")[0] not in TOP_LEVEL:
            breaches.append(f"{path}: not allowed at the top level")
        if re.search(r"\.(h|cc|cpp|c)$", path):
            breaches += [f"{path}:{line}: {what}" for line, what in check_code(path, text)]
            breaches += [f"{path}:{line}: {what}" for line, what in check_linux(path, text)]
        if path.startswith("tests/"):
            breaches += [f"{path}:{line}: {what}" for line, what in check_test_names(path, text)]
        if path.endswith(".md"):
            breaches += [f"{path}:{line}: {what}" for line, what in check_page(path, text, files)]
    return breaches + check_types(files)


def check_types(files):
    """Types of one name in one namespace: the linker would take one for the other."""
    breaches, seen = [], {}
    for path, text in files.items():
        if not re.match(r"(include|src|ops|compression|tools)/.*\.h$", path):
            continue
        spaces = []
        for number, line in enumerate(text.splitlines(), 1):
            if space := re.match(r"namespace ([\w:]+) \{", line):
                spaces.append(space[1])
            elif re.match(r"\}  // namespace", line) and spaces:
                spaces.pop()
            elif name := re.match(r"(?:struct|class|enum(?: class)?) (?:GEMMA_EXPORT )?([\w:]+)[^;]*\{", line):
                other = seen.setdefault("::".join([*spaces, name[1]]), path)
                if other != path:
                    breaches.append(f"{path}:{number}: {name[1]} is also a type of {other}")
    return breaches


def anchors(page):
    """Returns the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_page(path, text, files):
    if path == "README.md":
        lines = text.splitlines()
        if len(lines) > README_LINES:
            yield README_LINES + 1, f"wanted at most {README_LINES} lines"
        yield from ((number, f"wanted at most {README_COLUMNS} columns")
                    for number, line in enumerate(lines, 1) if len(line) > README_COLUMNS)
    for link in re.finditer(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", text):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link[1])) if link[1] else path
        line = text.count("\n", 0, link.start()) + 1
        if target not in files and not any(name.startswith(target + "/") for name in files):
            yield line, f"{link[1]}: no such file"
        elif link[2] is not None and link[2] not in anchors(files.get(target, "")):
            yield line, f"#{link[2]}: no such heading"


def check_test_names(path, text):
    for ending, test, good, wanted in TEST_NAMES:
        if not path.endswith(ending):
            continue
        for match in re.finditer(test, text, re.MULTILINE):
            if not re.fullmatch(good, match[1]):
                yield text.count("\n", 0, match.start(1)) + 1, f"{match[1]}: wanted {wanted}"


def check_code(path, text):
    allowed = next((a for p, a in ARROWS if re.match(p, path)), None)
    if allowed is None:
        yield 1, "code in a folder that has no rule"
        return
    if re.match(READERS, path):
        for match in WORDS.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, "must not match words of a message"
    for number, line in enumerate(text.splitlines(), 1):
        include = re.match(r'\s*#\s*include\s+([<"]([^>"]+)[>"])', line)
        if include:
            quoted, name = include.groups()
            if re.match(OURS, name) and not re.match(allowed, name):
                yield number, f"must not include {quoted}"
            elif path.startswith("include/") and not re.match(PUBLIC, quoted):
                yield number, f"a public header must not include {quoted}"
            elif "sentencepiece" in name and not path.startswith("tests/"):
                yield number, f"only tests may include {quoted}"
            elif re.match("absl/container/(flat|node)_hash", name) and path.startswith("src/"):
                yield number, f"{quoted} is not safe when memory runs out: see src/base/hash_table.h"
        if re.match(r"src/(?!base/format_text\.h)", path) and re.search(r"absl::Str(Append)?Format\(", line):
            yield number, "absl::StrFormat ends the process when memory runs out: see src/base/format_text.h"
        target = re.match(r"\s*#\s*define\s+HWY_TARGET_INCLUDE\s+(.*)", line)
        if target and target[1].strip() != f'"{path}"':
            yield number, f'HWY_TARGET_INCLUDE must be "{path}"'


def blank(text):
    """Returns the code with blanks for comments and the contents of texts; lines stay."""
    found = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"', re.DOTALL)
    return found.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def check_linux(path, text):
    """What macOS lacks, outside of conditions that name it."""
    if not re.match(r"(src|ops|compression|include|tools)/", path) or re.search(r"/windows/|_win32\.cc$", path):
        return
    guards = []  # of each open #if: names that it makes sure of, and those that its #else does
    for number, line in enumerate(blank(text).splitlines(), 1):
        if begun := re.match(r"\s*#\s*(if|ifdef|ifndef)\b(.*)", line):
            negates = begun[1] == "ifndef" or re.search(r"!\s*defined", begun[2]) is not None
            guards.append(("", begun[2]) if negates else (begun[2], ""))
        elif re.match(r"\s*#\s*else\b", line) and guards:
            guards[-1] = (guards[-1][1], "")
        elif re.match(r"\s*#\s*elif\b", line) and guards:
            guards[-1] = (line, "")
        elif re.match(r"\s*#\s*endif\b", line) and guards:
            guards.pop()
        elif match := LINUX.search(line):
            name = next(group for group in match.groups() if group)
            if not any(re.search(rf"{LINUX_GUARD}|\b{re.escape(name)}\b", guard) for guard, _ in guards):
                yield number, f"macOS has no {name}: wanted #ifdef __linux__ around it, and what other systems do"


def repository_files():
    """Returns path -> text of tracked files and of new files that git does not ignore; "" for those without a rule."""
    names = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached",
         "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return {name: (ROOT / name).read_text(errors="replace")
            if re.search(r"\.(h|cc|cpp|c|md)$|^tests/.*\.py$", name) else ""
            for name in names if name and (ROOT / name).is_file()}


def self_test():
    def one(path, line):
        return check({path: line + "\n"})

    good = [
        ("README.md", ""),
        ("include/gemma/a.h", '#include "absl/status/status.h"'),
        ("include/gemma/a.h", "#include <vector>"),
        ("ops/a.cc", '#define HWY_TARGET_INCLUDE "ops/a.cc"'),
        ("ops/a.cc", '#include "compression/a.h"'),
        ("src/forward/a.cc", '#include "src/model/a.h"'),
        ("src/batch/a.cc", '#include "src/generate/a.h"'),
        ("src/model/a.cc", '#include "src/text/a.h"'),
        ("src/text/turns/a.cc", '#include "src/jinja/a.h"'),
        ("src/text/turns/a.cc", '#include "src/text/tokenizer/a.h"'),
        ("src/model/a.cc", '#include "src/text/turns/a.h"'),
        ("src/os/a.cc", '#include "src/base/a.h"'),
        ("src/formats/a.cc", '#include "src/os/a.h"'),
        ("tools/gemma/chat/chat.cc", '#include "src/os/a.h"'),
        ("tools/python/binding/a.cc", '#include "gemma/serve.h"'),
        ("tools/python/binding/a.cc", '#include "tools/python/binding/a.h"'),
        ("tools/python/binding/a.cc", '#include "tools/gemma/machine/model_json.h"'),
        ("tools/python/binding/a.cc", '#include "tools/gemma/pull/resolve.h"'),
        ("src/quantize/a.cc", '#include "src/model/a.h"'),
        ("src/classify/a.cc", '#include "src/session/a.h"'),
        ("tests/text/a_test.cc", "#include <sentencepiece_processor.h>"),
        ("tools/gemma/chat/chat.cc", '#include "gemma/gemma.h"'),
        ("tools/gemma/measure/verify.cc", '#include "src/model/a.h"'),
        ("tests/ops/a_test.cc", '#include "hwy/highway.h"'),
        ("tests/ops/a_test.cc", 'EXPECT_TRUE(status.message() == "late");'),
        ("tools/gemma/a.cc", "Note(absl::StrCat(path, status.message()));"),
        ("README.md", "[a](README.md), [b](https://a/b.md), [c](#a-b-1)\n# A: b (1)"),
        ("src/a.md", "x" * 200 + "[a](../src)"),
        ("src/os/a.cc", "#ifdef __linux__\npipe2(ends, O_CLOEXEC);\n#else\npipe(ends);\n#endif"),
        ("src/os/a.cc", "#if defined(__linux__) && A\n#if B\n  syscall(SYS_a);\n#endif\n#endif"),
        ("src/os/a.cc", "#ifndef __linux__\nint a;\n#else\nsplice(a, b);\n#endif"),
        ("src/os/a.cc", "#ifdef O_TMPFILE\nopen(a, O_TMPFILE);\n#endif"),
        ("src/os/a.cc", "list.splice(list.end(), other);  // not pipe2(a)"),
        ("src/os/a.cc", 'Note("pipe2(a)");'),
        ("tests/os/a_test.cc", "prctl(PR_SET_DUMPABLE, 0);"),
        ("tests/os/a_test.cc", "TEST(A, AtAStopToken) {}"),
        ("tests/os/a_test.cc", "TEST_F(A, TrainedQ4_0KeepsCodes) {}"),
        ("tests/os/a_test.cc", "INSTANTIATE_TEST_SUITE_P(Toys, A, Values(1));"),
        ("tests/os/a_test.py", "    def test_one_two_three_four_five(self):"),
        ("tests/os/a_test.py", "    def run_one_two_three_four_five_six(self):"),
        ("tools/a_test.py", "    def test_one_two_three_four_five_six(self):"),
    ]
    bad = [
        ("notes.txt", ""),
        ("src/os/a.cc", "pipe2(ends, O_CLOEXEC);"),
        ("src/os/a.cc", "if (::memfd_create(name, 0) < 0) {"),
        ("ops/a.cc", "open(path, O_TMPFILE | O_WRONLY);"),
        ("tools/gemma/io/a.cc", "#include <sys/eventfd.h>"),
        ("tools/python/binding/a.cc", "#ifdef __linux__\nint a;\n#else\nsplice(a, b);\n#endif"),
        ("tools/gemma/io/a.cc", "#ifndef __linux__\naccept4(a);\n#endif"),
        ("tools/gemma/io/a.cc", "#ifdef __linux__\n#endif\naccept4(a);"),
        ("tools/gemma/io/a.cc", "#ifdef O_TMPFILE\nfallocate(a);\n#endif"),
        ("README.md", "\n" * 180),
        ("README.md", "x" * 121),
        ("README.md", "[a](b.md)"),
        ("README.md", "[a](#b)\n# A"),
        ("README.md", "[a](#a)\n```\n# A\n```"),
        ("src/a.md", "[a](README.md)"),
        ("extra/a.cc", ""),
        ("src/a.cc", ""),
        ("include/gemma/a.h", '#include "src/model/a.h"'),
        ("include/gemma/a.h", '#include "hwy/base.h"'),
        ("include/gemma/a.h", "#include <nlohmann/json.hpp>"),
        ("compression/a.cc", '#include "ops/ops.h"'),
        ("compression/a.cc", '#include "gemma/gemma.h"'),
        ("ops/a.cc", '#include "gemma/gemma.h"'),
        ("ops/a.cc", '#include "src/model/a.h"'),
        ("ops/a.cc", '#define HWY_TARGET_INCLUDE "ops/b.cc"'),
        ("src/base/a.cc", '#include "src/os/a.h"'),
        ("src/base/a.cc", '#include "gemma/a.h"'),
        ("src/os/a.cc", '#include "src/formats/a.h"'),
        ("src/formats/a.cc", '#include "src/model/a.h"'),
        ("src/text/turns/a.cc", '#include "src/session/a.h"'),
        ("src/text/tokenizer/a.cc", '#include "src/text/turns/a.h"'),
        ("src/text/a.cc", ""),
        ("src/jinja/a.cc", '#include "src/text/a.h"'),
        ("src/model/a.cc", '#include "src/forward/a.h"'),
        ("src/model/a.cc", '#include "src/quantize/a.h"'),
        ("src/quantize/a.cc", '#include "src/session/a.h"'),
        ("src/forward/a.cc", '#include "src/formats/a.h"'),
        ("src/forward/a.cc", '#include "src/session/a.h"'),
        ("src/session/a.cc", '#include "src/generate/a.h"'),
        ("src/generate/a.cc", '#include "src/batch/a.h"'),
        ("src/embed/a.cc", '#include "src/generate/a.h"'),
        ("src/model/a.cc", '#include "hwy/base.h"'),
        ("src/model/a.cc", '#include "tests/support/a.h"'),
        ("src/text/turns/a.cc", "#include <sentencepiece_processor.h>"),
        ("src/text/turns/a.cc", '#include "absl/container/flat_hash_map.h"'),
        ("src/text/turns/a.cc", 'return absl::StrFormat("%d", 1);'),
        ("src/text/turns/a.cc", 'absl::StrAppendFormat(&out, "%d", 1);'),
        ("tools/gemma/chat/chat.cc", '#include "src/model/a.h"'),
        ("tools/gemma/measure/perplexity.cc", '#include "ops/ops.h"'),
        ("tools/gemma/measure/verify.cc", '#include "hwy/base.h"'),
        ("tools/gemma/io/a.cc", '#include "tools/gemma/cli/a.h"'),
        ("tools/python/binding/a.cc", '#include "src/base/a.h"'),
        ("tools/python/binding/a.cc", '#include "tools/gemma/io/a.h"'),
        ("benchmarks/a_benchmark.cc", '#include "tools/gemma/a.h"'),
        ("tests/os/a_test.cc", "TEST(A, OneTwoThreeFourFive) {}"),
        ("tests/os/a_test.cc", "TEST_F(A, OneTwoThreeFourFive) {"),
        ("tests/os/a_test.cc", "TEST_P(A,\n       OneTwoThreeFourFive) {"),
        ("tests/os/a_test.cc", "TEST(A, lower) {}"),
        ("tests/os/a_test.cc", "TEST(A, One_Two) {}"),
        ("tests/os/a_test.py", "    def test_one_two_three_four_five_six(self):"),
        ("tests/os/a_test.py", "def test_One(self):"),
        ("src/text/turns/a.cc", 'if (status.message() == "late") {'),
        ("tools/gemma/a.cc", 'if (absl::StrContains(message, "late")) {'),
        ("tools/gemma/a.cc", 'if (absl::StartsWith(\n  error->status().message(), "late")) {'),
        ("tools/gemma/a.cc", 'if (status.message().find("late") != npos) {'),
    ]
    wrong = [f"allowed, but reported: {case}" for case in good if one(*case)]
    wrong += [f"forbidden, but not reported: {case}" for case in bad if not one(*case)]
    types = [{"src/os/a.h": "namespace a {\nstruct B {", "src/os/b.h": f"namespace {space} {{\nclass B : C {{"}
             for space in "ab"]
    if [len(check(files)) for files in types] != [1, 0]:
        wrong.append("two types of one name in one namespace")
    return wrong


def main():
    breaches = self_test() if "--self-test" in sys.argv[1:] else check(repository_files())
    print("\n".join(breaches) or "layout: no breach")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
