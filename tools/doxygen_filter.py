#!/usr/bin/env python3
"""Prints one of our headers with its comments in the form that doxygen reads.

// or /* before a declaration becomes /// or /**, and after a declaration ///< or /**<. Lines keep their numbers. Our
headers use no markup, so the program escapes text that doxygen would read as a command or a tag, except in `names`,
"words" and examples, which are indented by four blanks.

    tools/doxygen_filter.py HEADER
    tools/doxygen_filter.py --self-test
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

BLOCK_START = re.compile(r"\s*(//|/\*)")
# Code, a blank and a comment. Ends of blocks and forward declarations have no documentation.
TRAILING = re.compile(r'(?!\s*(?:#endif|\}|(?:class|struct) \w+;))(\s*[^\s/](?:[^"/]|"[^"]*"|/(?![/*]))*\s)(//|/\*)( .*)$')
# Destructors and moves: without a comment of their own, they do what every C++ programmer expects, and are left out.
SPECIAL_MEMBER = re.compile(r"\s*(~\w+\(\)|(\w+)\(\2&&\) noexcept|(\w+)& operator=\(\3&&\) noexcept);$")


def escape(text):
    if re.match(r"[\s*]*\s{4}", text):
        return text
    parts = re.split(r"""(`[^`]*`|"[^"]*")""", text)
    parts[::2] = [re.sub(r"([\\@<>&])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def block_end(lines, start):
    """Returns the index of the line after the comment that begins at lines[start]."""
    end = start + 1
    if lines[start].lstrip().startswith("/*"):
        while "*/" not in lines[end - 1]:
            end += 1
    else:
        while end < len(lines) and lines[end].lstrip().startswith("//"):
            end += 1
    return end


def mark(block, after=""):
    """Returns the lines of a comment, marked as documentation. `after` is "<" if they document the code before them."""
    out = []
    for line in block:
        indent, opening, text = re.match(r"(\s*)(//|/\*|)(.*)$", line, re.DOTALL).groups()
        out.append(indent + {"//": "///" + after, "/*": "/**" + after, "": ""}[opening] + escape(text))
    return out


def convert(text):
    lines = text.split("\n")
    out = []
    at = 0
    while at < len(lines):
        line = lines[at]
        trailing = TRAILING.match(line)
        if BLOCK_START.match(line):
            end = block_end(lines, at)
            block = lines[at:end]
            if at == 0:
                # Puts "@file" on the blank line below, or before the */.
                block = mark(block) + ["/// @file"] if line.startswith("//") else mark(block[:-1]) + [" @file */"]
                end += line.startswith("//")
            elif end < len(lines) and lines[end].strip():
                block = mark(block)
            out += block
            at = end
        elif trailing:
            code, opening, comment = trailing.groups()
            out.append(code + "".join(mark([opening + comment], "<")))
            at += 1
            # The comment goes on in the following lines, in the same column.
            while opening == "//" and at < len(lines) and re.match(rf"\s{{{len(code)}}}//", lines[at]):
                out += mark([lines[at]], "<")
                at += 1
        else:
            is_told = out and out[-1].lstrip().startswith("///")
            out.append("" if SPECIAL_MEMBER.match(line) and not is_told else line)
            at += 1
    return "\n".join(out)


def self_test():
    cases = [
        ("// A file.\n\n#ifndef A_H_", "/// A file.\n/// @file\n#ifndef A_H_"),
        ("/* A file.\n */\n\n#ifndef A_H_", "/** A file.\n @file */\n\n#ifndef A_H_"),
        ("\n// One\n// two.\nint f();", "\n/// One\n/// two.\nint f();"),
        ("\n  /* One\n   * two. */\n  int f();", "\n  /** One\n   * two. */\n  int f();"),
        ("\n// Of a section.\n\nint f();", "\n// Of a section.\n\nint f();"),
        ("\nint a;  // one\n        // two\n// Three.\nint b;", "\nint a;  ///< one\n        ///< two\n/// Three.\nint b;"),
        ("\nint a; /* one */", "\nint a; /**< one */"),
        ("\n#endif  // A_H_", "\n#endif  // A_H_"),
        ("\n}  // namespace a", "\n}  // namespace a"),
        ("\nclass A;  // a.h", "\nclass A;  // a.h"),
        ('\n#define A "//"', '\n#define A "//"'),
        ('\n#define A "http://a"  // b', '\n#define A "http://a"  ///< b'),
        ("\n// <b>, `<c>`, \"<d>\" and \\n.\nint f();", "\n/// \\<b\\>, `<c>`, \"<d>\" and \\\\n.\nint f();"),
        ("\n//     f(&a);\nint f();", "\n///     f(&a);\nint f();"),
        ("\n  ~A();", "\n"),
        ("\n  A(A&&) noexcept;\n  A& operator=(A&&) noexcept;", "\n\n"),
        ("\n// One.\nA(A&&) noexcept;", "\n/// One.\nA(A&&) noexcept;"),
        ("\n  B(A&&) noexcept;", "\n  B(A&&) noexcept;"),
    ]
    wrong = [f"{given!r} became {convert(given)!r}, wanted {wanted!r}" for given, wanted in cases
             if convert(given) != wanted]
    for header, good in [("\n// One.\nint f();", True), ("\nint f();", False), ("\n// One \\two.\nint f();", True),
                         ("\n// One.\nstruct A {\n  int a;  // two\n};", True),
                         ("\n// One.\nstruct A {\n  int a;\n};", False), ("\n#define A 1", False)]:
        if is_clean(f"// A file.\n\n#pragma once\n{header}\n") != good:
            wrong.append(f"doxygen {'refuses' if good else 'accepts'} {header!r}")
    return wrong


def is_clean(header):
    """Returns whether doxygen, with the settings of tools/Doxyfile, accepts a header without warnings."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "a.h").write_text(header)
        options = (ROOT / "tools/Doxyfile").read_text()
        options += f"\nINPUT = {folder}\nOUTPUT_DIRECTORY = {folder}\nUSE_MDFILE_AS_MAINPAGE =\n"
        return subprocess.run(["doxygen", "-"], input=options, text=True, cwd=ROOT, capture_output=True).returncode == 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        wrong = self_test()
        print("\n".join(wrong) or "doxygen_filter: as it should be")
        return 1 if wrong else 0
    sys.stdout.write(convert(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
