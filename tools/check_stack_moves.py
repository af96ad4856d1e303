#!/usr/bin/env python3
"""Finds moves of vectors that need aligned memory, which a stack of Windows is not.

g++ for Windows keeps vectors of 32 and 64 bytes on a stack that is aligned to 16 only, and would move them with
instructions that fault there: https://gcc.gnu.org/bugzilla/show_bug.cgi?id=54412. Our option of the assembler turns these
into moves that need no alignment. This disassembles object files and libraries, prints one line for each aligned move
between a vector of 32 or 64 bytes and memory, whichever register has the address, and exits with 1 if there is any, or
if no file has any vector of 32 bytes, because then the check looked at the wrong files.

  tools/check_stack_moves.py FILE...
  tools/check_stack_moves.py --self-test
"""

import re
import subprocess
import sys
import tempfile

OBJDUMP = "x86_64-w64-mingw32-objdump"
ASSEMBLER = "x86_64-w64-mingw32-as"
# As objdump writes it: "vmovaps %ymm6,0x40(%rsp)" or "vmovdqa64 -0x40(%rbp),%zmm1".
WIDE = r"%[yz]mm\d+"
MEMORY = r"[^\s%(]*\(%[^)]*\)"
MOVE = re.compile(rf"\bv(?:movap[sd]|movdqa(?:32|64)?|movntp[sd]|movntdqa?)\s+(?:{WIDE},\s*{MEMORY}|{MEMORY},\s*{WIDE})")
ANY_WIDE = re.compile(r"%ymm\d+")

BAD = ["vmovaps %ymm6, 64(%rsp)", "vmovaps 64(%rsp), %zmm6", "vmovdqa %ymm1, (%rbp)", "vmovdqa64 -64(%rbp), %zmm30",
       "vmovapd %ymm9, 8(%rsp,%rax,8)", "vmovdqa32 %zmm1, (%r12)", "vmovaps 0(%rip), %ymm3"]
GOOD = ["vmovups %ymm6, 64(%rsp)", "vmovaps %xmm6, 64(%rsp)", "vmovdqu64 (%rbp), %zmm1",
        "vmovaps %ymm1, %ymm2"]


def breaches_of(path):
    """Returns the forbidden moves of a file, and whether it has any vector of 32 bytes."""
    text = subprocess.run([OBJDUMP, "-d", "--no-show-raw-insn", path], check=True, capture_output=True, text=True).stdout
    function, breaches = "", []
    for line in text.splitlines():
        if name := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            function = name[1]
        elif move := MOVE.search(line):
            breaches.append(f"{path}: {move[0]} in {function}")
    return breaches, bool(ANY_WIDE.search(text))


def self_test():
    for lines, wanted, options in [(BAD, True, []), (GOOD, False, []), (BAD, False, ["-muse-unaligned-vector-move"])]:
        for line in lines:
            with tempfile.NamedTemporaryFile(suffix=".o") as file:
                subprocess.run([ASSEMBLER, *options, "-o", file.name, "-"], input=line + "\n", check=True, text=True)
                if bool(breaches_of(file.name)[0]) != wanted:
                    yield f"{'not found' if wanted else 'found'}: {line} {' '.join(options)}"


def main():
    if "--self-test" in sys.argv[1:]:
        breaches = list(self_test())
    else:
        breaches, any_wide = [], False
        for path in sys.argv[1:]:
            found, wide = breaches_of(path)
            breaches += found
            any_wide = any_wide or wide
        if not any_wide:
            breaches.append("no file has a vector of 32 bytes")
    print("\n".join(breaches) or "stack: no aligned move of a vector")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
