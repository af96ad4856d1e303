"""The formats of quality.py: what our command and llama.cpp make of the same reference."""
import dataclasses
import pathlib

from comparison.engines import EngineError, run

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Format:
    """A file of another type."""
    maker: str  # "gemma" or "llama.cpp"
    name: str
    options: tuple
    importance: bool = False  # whether the maker is told which channels matter

    @property
    def title(self):
        return self.name + (" + importance" if self.importance else "")

    @property
    def file_name(self):
        return f"{self.maker}-{self.title}".replace(" ", "-") + ".gguf"


def _ours(name, *options):
    return Format("gemma", name, options)


def _theirs(name, pure=False):
    return Format("llama.cpp", name + (" pure" if pure else ""), (name, "--pure") if pure else (name,))


OURS = [
    _ours("q8", "--type", "q8"),
    _ours("q6", "--type", "q6"),
    _ours("6 bits", "--type", "q4", "--bits", "6"),
    _ours("5.5 bits", "--type", "q4", "--bits", "5.5"),
    _ours("5 bits", "--type", "q4", "--bits", "5"),
    _ours("4.5 bits", "--type", "q4", "--bits", "4.5"),
    _ours("q4", "--type", "q4"),
    _ours("q4_0", "--type", "q4_0"),
    _ours("q8, GGUF", "--type", "q8", "--layout", "gguf"),
    _ours("q4, GGUF", "--type", "q4", "--layout", "gguf"),
]
THEIRS = [
    _theirs(name, pure)
    for name in ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "IQ4_NL")
    for pure in (False, True)
]


def all_formats():
    """Each, and the same with importance where that may help: at fewer than eight bits."""
    formats = []
    for plain in OURS + THEIRS:
        formats.append(plain)
        if not plain.name.startswith(("q8", "Q8_0")):
            formats.append(dataclasses.replace(plain, importance=True))
    return formats


class Makers:
    """Writes formats. Errors are EngineErrors that name the command and have its own words."""

    def __init__(self, gemma, python, importance):
        self._gemma = gemma
        self._python = python  # has llama_cpp and gguf
        self._importance = importance
        self._why_no_importance = "not measured yet"

    def make(self, wanted, source, target):
        importance = []
        if wanted.importance:
            if self._why_no_importance:
                raise EngineError(self._why_no_importance)
            importance = ["--importance", self._importance]
        if wanted.maker == "gemma":
            command = [self._gemma, "quantize", source, target, *wanted.options, "--force", *importance]
            what = "gemma quantize"
        else:
            command = [self._python, HERE / "llama_cpp_quantize.py", source, target, *wanted.options, *importance]
            what = "llama_cpp_quantize.py"
        run(command, " ".join([what, *wanted.options]))

    def make_reference(self, source, target):
        """The source's weights as bfloat16, written by llama.cpp, so that ours is not its own judge."""
        self.make(_theirs("BF16"), source, target)

    def measure_importance(self, source, text):
        """For formats that want it. If that fails, they tell why."""
        command = [self._gemma, "importance", source, "--file", text, "-o", self._importance]
        try:
            run(command, "gemma importance")
            self._why_no_importance = ""
        except EngineError as error:
            self._why_no_importance = str(error)
