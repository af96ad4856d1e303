#!/usr/bin/env python3
"""Compares the binary interface of C with the list of tests/c_api/abi.txt: functions and their types, sizes of structs,
places of their fields, numbers of enumerations, and the symbols of libgemma.so. The list is that of 64-bit systems.

The folder of $GEMMA_BINARY is the build folder.

    tests/install/c_abi_test.py --update           adds what is new to the list; refuses what breaks older programs
    tests/install/c_abi_test.py --update --break   also writes that, for a version that may change the interface
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIST = ROOT / "tests/c_api/abi.txt"
HEAD = "# The binary interface of C. c_abi_test.py --update in tests/install writes this list.\n"

EXPORT = r'__attribute__\(\(visibility\("default"\)\)\)\s*'


def preprocessed():
    """Returns what a C compiler reads of all headers, without comments."""
    return subprocess.run(["cc", "-std=c99", "-E", "-P", "-I", ROOT / "include", ROOT / "include/gemma/c_api.h"],
                          check=True, capture_output=True, text=True).stdout


def squeezed(text):
    """Returns a declaration with one blank between words."""
    return re.sub(r"\s+", " ", text).strip()


def functions(source):
    """Returns the declarations of exported functions by name."""
    found = [squeezed(text) for text in re.findall(EXPORT + r"([^;]*);", source)]
    return {re.search(r"(\w+)\(", text)[1]: text for text in found}


def bodies(source, kind):
    """Returns the definitions between the braces of all structs or enums of the library by name."""
    return dict(re.findall(rf"typedef {kind} (gemma_\w+) \{{(.*?)\}} \1;", source, re.DOTALL))


def fields(body):
    """Returns the fields of a struct: their names and declarations."""
    for text in filter(None, map(squeezed, body.split(";"))):
        name = re.search(r"\(\*(\w+)\)\(", text) or re.search(r"(\w+)(?:\[\w+\])?$", text)
        yield name[1], text


def measured(source):
    """Compiles and runs a program that prints sizes, places and numbers. Returns them by name."""
    lines = []
    for name, body in bodies(source, "struct").items():
        lines.append(f'printf("struct {name}\\t%zu\\n", sizeof({name}));')
        lines += [f'printf("field {name}.{field}\\t%zu\\t%s\\n", offsetof({name}, {field}), "{text}");'
                  for field, text in fields(body)]
    for body in bodies(source, "enum").values():
        lines += [f'printf("value {name}\\t%d\\n", {name});' for name in re.findall(r"\b(GEMMA_\w+)\s*=", body)]
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "abi.c"
        program.write_text('#include <stdio.h>\n#include "gemma/c_api.h"\nint main(void) {\n' + "\n".join(lines) +
                           "\nreturn 0;\n}\n")
        subprocess.run(["cc", "-std=c99", "-I", ROOT / "include", program, "-o", program.with_suffix("")], check=True)
        out = subprocess.run([program.with_suffix("")], check=True, capture_output=True, text=True).stdout
    return dict(line.split("\t", 1) for line in out.splitlines())


def interface():
    """Returns the interface of the headers: descriptions by name."""
    source = preprocessed()
    types = re.findall(r"typedef ([^;{}]*\(\*(gemma_\w+)\)\([^;]*\));", source)
    return {**{f"function {name}": text for name, text in functions(source).items()},
            **{f"type {name}": squeezed(text) for text, name in types}, **measured(source)}


def read(text):
    """Returns the interface of a list."""
    return dict(line.split("\t", 1) for line in text.splitlines() if not line.startswith("#"))


def written(names):
    return HEAD + "".join(f"{name}\t{text}\n" for name, text in names.items())


def breaches(old, new):
    """Returns why programs that were compiled with `old` may fail with `new`."""
    for name, text in old.items():
        kind, _, what = name.partition(" ")
        if name not in new:
            yield f"{name} is gone"
        elif kind == "struct" and f"field {what}.struct_size" in old:
            if int(new[name]) < int(text):
                yield f"{name} has {new[name]} bytes, wanted {text} or more"
        elif new[name] != text:
            yield f"{name} is now {new[name]!r}, wanted {text!r}"
    for name in new.keys() - old.keys():
        struct = "struct " + name.removeprefix("field ").partition(".")[0]
        if name.startswith("field ") and struct in old and int(new[name].partition("\t")[0]) < int(old[struct]):
            yield f"{name} is not at the end: an older program has something else there"


class Interface(unittest.TestCase):
    def test_equals_the_list(self):
        old, new = read(LIST.read_text(encoding="utf-8")), interface()
        self.assertGreater(len(new), 500)
        help_text = "run tests/install/c_abi_test.py --update"
        self.assertEqual(sorted(breaches(old, new)), [], help_text)
        self.assertEqual(sorted(new.keys() - old.keys()), [], help_text)
        self.assertEqual(old, new, help_text)

    def test_library_exports_it(self):
        library = pathlib.Path(os.environ["GEMMA_BINARY"]).resolve().parent / "libgemma.so"
        symbols = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True,
                                 text=True).stdout
        exported = sorted(re.findall(r" T (gemma_\w+)$", symbols, re.MULTILINE))
        declared = sorted(functions(preprocessed()))
        self.assertEqual(exported, declared)

    def test_structs_begin_with_size(self):
        """All structs but those whose comment says that they never grow."""
        source = preprocessed()
        headers = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "include/gemma").glob("c_*.h")))
        fixed = set(re.findall(r"This struct never\s+(?:\* )?grows\. \*/\ntypedef struct (\w+)", headers))
        for name, body in bodies(source, "struct").items():
            first = next(fields(body))[1]
            self.assertEqual(first == "size_t struct_size", name not in fixed, name)

    def test_breaches_are_found(self):
        old = {"function gemma_f": "void gemma_f(int a)", "struct S": "16", "field S.struct_size": "0\tsize_t struct_size",
               "field S.a": "8\tbool a", "struct F": "8", "field F.a": "0\tsize_t a", "value A": "1"}
        def found(**changes):
            names = {key.replace("__", ".").replace("_", " ", 1): text for key, text in changes.items()}
            return len(list(breaches(old, {**old, **names})))
        self.assertEqual(found(), 0)
        self.assertEqual(found(function_gemma_g="void gemma_g(void)", value_B="2"), 0)
        self.assertEqual(found(struct_S="24", field_S__b="16\tbool b"), 0)
        self.assertEqual(found(field_S__b="9\tbool b"), 1)
        self.assertEqual(found(struct_F="16", field_F__b="8\tsize_t b"), 1)
        self.assertEqual(found(field_S__a="8\tint a"), 1)
        self.assertEqual(found(value_A="2"), 1)
        self.assertEqual(found(function_gemma_f="void gemma_f(long a)"), 1)
        self.assertEqual(found(struct_S="8"), 1)
        self.assertEqual(len(list(breaches(old, {}))), len(old))


def update(may_break):
    """Writes the list. Returns the exit status."""
    new = interface()
    found = sorted(breaches(read(LIST.read_text(encoding="utf-8")), new)) if LIST.exists() else []
    for line in found:
        print(line)
    if found and not may_break:
        print("Older programs would break: nothing written. Add fields at the end, or see --break.")
        return 1
    LIST.write_text(written(new), encoding="utf-8")
    return 0


if __name__ == "__main__":
    if "--update" in sys.argv:
        sys.exit(update("--break" in sys.argv))
    unittest.main()
