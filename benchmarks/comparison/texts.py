"""English texts for quality.py: one to predict, and one to measure which weights matter.

Both are free, and come from Debian packages that apt fetches by name.
"""
import gzip
import pathlib
import re
import shutil
import subprocess
import tempfile

from comparison import environment

HERE = pathlib.Path(__file__).resolve().parent
OWN = HERE.parent.parent / "tests" / "testdata" / "real270m" / "text.txt"
CACHE = environment.CACHE / "texts"


class TextError(Exception):
    pass


def evaluation():
    """Returns 2,000 tokens: the text of our own tests, and folklore from the Jargon File, which is public domain."""
    text = _document("jargon-text", "usr/share/doc/jargon-text/jargon.txt.gz")
    folklore = re.search(r"\nAppendix\sA\.\sHacker Folklore\n(.*?)\nAppendix\sB\.\s", text, re.DOTALL)
    if not folklore:
        raise TextError("the Jargon File of package jargon-text has no appendix A as that of version 4.4.7")
    return OWN.read_text(encoding="utf-8").rstrip() + "\n\n" + _prose(folklore[1], 1700)


def calibration():
    """Returns 20,000 tokens of the Debian FAQ, which shares nothing with `evaluation`."""
    return _prose(_document("debian-faq", "usr/share/doc/debian/FAQ/debian-faq.en.txt.gz"), 90000)


def _prose(text, size):
    """Returns the first `size` or a few more characters of longer paragraphs: no headings, lists, tables or code."""
    kept, total = [], 0
    for part in re.split(r"\n\s*\n", text):
        paragraph = " ".join(part.split())
        if len(paragraph) >= 200 and paragraph[-1] in ".?!”)" and total < size:
            kept.append(paragraph)
            total += len(paragraph)
    return "\n\n".join(kept) + "\n"


def _document(package, path):
    """Returns a gzipped text from a package's current version, without installing the package."""
    file = CACHE / package / path
    if not file.exists():
        _fetch(package)
    if not file.exists():
        raise TextError(f"package {package} has no {path}")
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        return stream.read()


def _fetch(package):
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        _run(["apt-get", "download", package], folder)
        [archive] = pathlib.Path(folder).glob("*.deb")
        _run(["dpkg-deb", "--extract", archive, "files"], folder)
        shutil.rmtree(CACHE / package, ignore_errors=True)
        (pathlib.Path(folder) / "files").rename(CACHE / package)


def _run(command, folder):
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise TextError(f"{command[0]} is missing: the texts come from Debian's packages") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise TextError(f"{' '.join(map(str, command))}: {lines[-1]} (apt-get update helps if the list is old)")
