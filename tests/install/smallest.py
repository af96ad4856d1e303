#!/usr/bin/env python3
"""Measures the smallest static program that runs a model: tools/examples/smallest.cc, with the options of the page.

Builds it with the commands of include/gemma/README.md, runs it where no other file is, and prints its size. Fails if the
page's figure differs by more than a tenth. tools/test.sh parts runs this; it needs what tools/setup.sh provides."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "include/gemma/README.md"
MODEL = ROOT / "tests/testdata/gguf/gemma3_mixed.gguf"


def main():
    page = PAGE.read_text(encoding="utf-8")
    [commands] = [block for block in re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
                  if "--target smallest" in block]
    [stated] = re.findall(r"([\d,]+) bytes", page)
    subprocess.run(["sh", "-euc", commands], cwd=ROOT, check=True, stdout=sys.stderr)
    program = ROOT / "build/smallest/smallest"
    if "NEEDED" in subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout:
        sys.exit(f"{program} is not static")
    with tempfile.TemporaryDirectory() as name:
        shutil.copy(program, name)
        shutil.copy(MODEL, name)
        # With root's rights, the folder becomes the root: no library, no configuration, no /proc.
        alone = (lambda: os.chroot(name)) if os.geteuid() == 0 else None
        path = "/" if alone else f"{name}/"
        answer = subprocess.run([f"{path}smallest", f"{path}{MODEL.name}", "hello the cat"], cwd=name, preexec_fn=alone,
                                capture_output=True, check=True).stdout
    if not answer.strip():
        sys.exit("the program printed nothing")
    size = program.stat().st_size
    print(f"smallest static program: {size} bytes")
    if abs(size - int(stated.replace(",", ""))) > size / 10:
        sys.exit(f"{PAGE.relative_to(ROOT)} states {stated} bytes")


if __name__ == "__main__":
    main()
