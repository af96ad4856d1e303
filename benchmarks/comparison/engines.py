"""The engines. Each measurement is a process of its own: it loads the model, warms up and runs one test once."""
import dataclasses
import json
import pathlib
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent


class EngineError(Exception):
    pass


@dataclasses.dataclass(frozen=True, order=True)
class Test:
    """`prompt` tokens at once, or `generated` one by one in each of `batch` sequences, after `depth` other tokens."""
    prompt: int = 0
    generated: int = 0
    depth: int = 0
    batch: int = 1

    @property
    def name(self):
        name = f"pp{self.prompt}" if self.prompt else f"tg{self.generated}"
        name += f" x {self.batch}" if self.batch > 1 else ""
        return name + (f" @ d{self.depth}" if self.depth else "")

    @property
    def positions(self):
        return self.depth + self.prompt + self.generated

    @property
    def tokens(self):
        return self.prompt + self.generated * self.batch

    def fields(self):
        return {"name": self.name} | dataclasses.asdict(self)


def run(command, what):
    """Returns the standard output of a command."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise EngineError(f"{what}: {lines[-1]}")
    return done.stdout


class Engine:
    """The interface of all engines. Samples are dictionaries that go into the results unchanged."""
    name = ""

    def reads(self, model):
        """Returns whether the engine runs this file or directory."""
        raise NotImplementedError

    def version(self):
        """Returns the entry about the engine for the results."""
        raise NotImplementedError

    def measure(self, model, test):
        """Runs a test. Returns {"tokens_per_second", "peak_memory_bytes", ...}."""
        raise NotImplementedError

    def first_token(self, model, prompt):
        """Times from the start of the process to the first token: {"seconds", ...}; see the note in report.py."""
        raise NotImplementedError

    @staticmethod
    def show(sample):
        """Describes a sample in a few words."""
        if "tokens_per_second" in sample:
            return f"{sample['tokens_per_second']:.2f} tokens/s"
        return f"{sample['seconds']:.3f} s"


class Gemma(Engine):
    name = "gemma"

    def __init__(self, binary, threads, simd=""):
        """`simd` names a CPU with fewer instructions, or is ""."""
        if not binary.exists():
            raise EngineError(f"{binary} is missing; build the target gemma_command")
        self._binary = binary
        self.simd = simd or "all"  # which prevails over $GEMMA_SIMD
        self._options = ["--threads", threads, "--simd", self.simd]

    def reads(self, model):
        return True

    def version(self):
        """Also says which instructions run. Fails if this CPU or our build lacks what `simd` names."""
        findings = json.loads(run([self._binary, "doctor", "--json", "--simd", self.simd], "gemma doctor"))["findings"]
        facts = next(each["facts"] for each in findings if each["about"] == "simd")
        return {"version": run([self._binary, "--version"], "gemma --version").strip(), "simd": facts["chosen"],
                "simd_cap": facts["cap"]}

    def describe(self, model):
        """Returns the sizes that the tables need."""
        inspected = json.loads(run([self._binary, "inspect", model, "--json"], "gemma inspect"))
        config = inspected["config"]
        return {
            "architecture": config["architecture"],
            "max_context": config["max_context"],
            "parameters": inspected["parameters"],
            "weight_bytes": inspected["weight_bytes"],
            "embedding_parameters": config["vocab_size"] * config["model_dim"],
            "types": {entry["type"]: entry["bytes"] for entry in inspected["types"]},
        }

    def measure(self, model, test):
        command = [self._binary, "bench", model, "-p", test.prompt, "-n", test.generated, "-d", test.depth,
                   "-b", test.batch, *self._options, "-r", 1, "--json"]
        [result] = json.loads(run(command, "gemma bench"))
        return {"tokens_per_second": test.tokens * 1e9 / result["samples_ns"][0],
                "peak_memory_bytes": result["peak_memory_bytes"], "load_seconds": result["load_ms"] / 1e3}

    def first_token(self, model, prompt):
        command = [self._binary, "run", "--raw", "--quiet", "--temperature", "0", "--max-tokens", "1",
                   *self._options, model, prompt]
        start = time.monotonic()
        with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            # A token without text shows only when the output ends.
            process.stdout.read(1)
            seconds = time.monotonic() - start
            _, errors = process.communicate()
        if process.returncode != 0:
            raise EngineError(f"gemma run: {errors.decode(errors='replace').strip()}")
        return {"seconds": seconds}


class _Child(Engine):
    """An engine that one of our scripts drives."""

    def __init__(self, python, script, options):
        self._command = [python, HERE / script, *options]

    def _run(self, *arguments):
        return json.loads(run([*self._command, *arguments], self.name).splitlines()[-1])

    def version(self):
        return self._run("--version")

    def measure(self, model, test):
        result = self._run(model, "--prompt", test.prompt, "--generate", test.generated, "--depth", test.depth,
                           "--batch", test.batch)
        return {"tokens_per_second": test.tokens / result.pop("seconds")} | result

    def first_token(self, model, prompt):
        start = time.monotonic()
        result = self._run(model, "--text", prompt)
        # All processes share this clock.
        return {"seconds": result["first_token_at"] - start, "imports_seconds": result["imported_at"] - start,
                "prompt_tokens": result["prompt_tokens"]}


class LlamaCpp(_Child):
    name = "llama.cpp"

    def __init__(self, python, threads):
        super().__init__(python, "llama_cpp_child.py", ["--threads", threads])

    def reads(self, model):
        return model.is_file()


class Transformers(_Child):
    name = "transformers"

    def __init__(self, python, threads, dtype):
        super().__init__(python, "transformers_child.py", ["--threads", threads, "--dtype", dtype])

    def reads(self, model):
        return model.is_dir()
