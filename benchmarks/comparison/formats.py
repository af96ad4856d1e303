"""The formats of quality.py: our command and llama.cpp make them from the same reference."""
import dataclasses
import pathlib

from comparison.engines import EngineError, run

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Format:
    """A format that a maker can write."""
    maker: str  # "gemma" or "llama.cpp"
    name: str
    options: tuple
    importance: bool = False  # whether the maker knows which channels matter

    @property
    def title(self):
        return self.name + (" + importance" if self.importance else "")

    @property
    def file_name(self):
        return f"{self.maker}-{self.title}".replace(" ", "-") + ".gguf"


def _type(name):
    return Format("gemma", name, ("--type", name))


def _mix(bits):
    return Format("gemma", f"{bits} bits", ("--bits", bits))


def _theirs(name, pure=False):
    return Format("llama.cpp", name + (" pure" if pure else ""), (name, "--pure") if pure else (name,))


OURS = [_type(name) for name in ("q8", "q6", "q5", "q4", "q4s", "q4_0")] + [_mix(bits) for bits in ("6.5", "5.5", "5", "4.5")]
THEIRS = [_theirs(name) for name in ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0")]
THEIRS += [_theirs(name, pure=True) for name in ("Q5_K_M", "Q4_K_M", "IQ4_NL", "Q4_0")]
WITH_IMPORTANCE = ("5 bits", "q4", "4.5 bits", "Q4_K_M pure", "IQ4_NL pure", "Q4_0 pure")


def all_formats():
    """Returns each format, and some once more with importance."""
    plain = OURS + THEIRS
    return plain + [dataclasses.replace(each, importance=True) for each in plain if each.name in WITH_IMPORTANCE]


class Makers:
    """Writes formats. Errors are EngineErrors with the command's name and its own message."""

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

    def make_reference(self, source, target, config):
        """Writes the source's weights as bfloat16, with llama.cpp, so that our command does not judge itself.

        With a table in bfloat16 the scale of embeddings would be rounded to bfloat16 too, and every file made from the
        reference would have to keep that scale. llama.cpp's files do not, so the reference states the source's scale
        from `config`.
        """
        key = f"{config['architecture']}.embedding_scale"
        command = [self._python, HERE / "llama_cpp_quantize.py", source, target, "BF16",
                   "--set", f"{key}={config['embedding_scale']!r}"]
        run(command, "llama_cpp_quantize.py BF16")

    def measure_importance(self, source, text):
        """Measures importance for the formats that use it. If that fails, these formats report the reason."""
        command = [self._gemma, "importance", source, "--file", text, "--output", self._importance, "--force"]
        try:
            run(command, "gemma importance")
            self._why_no_importance = ""
        except EngineError as error:
            self._why_no_importance = str(error)
