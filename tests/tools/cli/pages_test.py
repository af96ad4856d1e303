#!/usr/bin/env python3
"""README.md, the other pages and --help are true of the command."""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import unittest

from command import BINARY, COMMANDS, OTHER_COMMANDS, STORE_COMMANDS, TESTDATA, CommandTest

ROOT = pathlib.Path(__file__).resolve().parents[3]
README, COMMAND, LIBRARY = "README.md", "tools/gemma/README.md", "include/gemma/README.md"
ALL = COMMANDS + STORE_COMMANDS + OTHER_COMMANDS

# Sections that people search for, by the name of a task or a model.
HEADINGS = {
    README: ["Install", "Coming from llama.cpp, Ollama or transformers", "Quantization", "Models and files",
             "The C++ and C library", "Speed", "Limits"],
    COMMAND: ["Quantization", "Safety classifier (ShieldGemma)", "Interpretability (Gemma Scope)",
              "Fill-in-the-middle (CodeGemma)", "Embeddings (EmbeddingGemma)"],
    LIBRARY: ["A first program", "Installing", "Lifetimes", "Base models", "Many requests",
              "Safety classifier (ShieldGemma)", "Fill-in-the-middle (CodeGemma)", "Headers"],
}


def sections(page):
    """Returns the text of each section of a page, by its title, with single blanks."""
    text = re.sub(r"(?ms)^```.*?^```$", lambda block: block[0].replace("\n#", "\n"), (ROOT / page).read_text("utf-8"))
    first, *others = re.split(r"(?m)^## ", text)
    return {"": " ".join(first.split()),
            **{title: " ".join(body.split()) for title, _, body in (other.partition("\n") for other in others)}}


def blocks(page, *languages):
    return re.findall(rf"(?ms)^```(?:{'|'.join(languages)})\n(.*?)^```$", (ROOT / page).read_text("utf-8"))


def typed(block):
    """Returns (command, output) for each command of a console block. A command's lines may end in a backslash."""
    return re.findall(r"(?ms)^\$ ((?:[^\n]*\\\n)*[^\n]*\n)(.*?)(?=^\$ |\Z)", block)


class PageTest(CommandTest):
    """Runs what pages show in an empty folder, where no model, network or other program is found."""

    def setUp(self):
        super().setUp()
        bin_folder = self.folder / "bin"
        self.work = self.folder / "work"
        for folder in (bin_folder, self.work, self.folder / "store"):
            folder.mkdir()
        for name in ("cat", "head", "tail", "sed"):
            (bin_folder / name).symlink_to(shutil.which(name))
        # Notes each command, with its exit code.
        self.log = self.folder / "log"
        self.log.touch()
        program = bin_folder / "gemma"
        program.write_text(f'#!/bin/sh\n{shlex.quote(BINARY)} "$@"\ncode=$?\n'
                           f'printf "%s %s\\0" $code "$*" >> {shlex.quote(str(self.log))}\nexit $code\n')
        program.chmod(0o755)
        nowhere = "http://127.0.0.1:1"
        self.environment = {"PATH": str(bin_folder), "HOME": str(self.work), "GEMMA_MODELS": str(self.folder / "store"),
                            "HF_ENDPOINT": nowhere, "https_proxy": nowhere, "http_proxy": nowhere, "LC_ALL": "C.UTF-8"}

    def shell(self, script, cwd=None):
        """Returns what a script prints on both streams. Words that stand for a number or a hash become one."""
        script = re.sub(r"\b[NX]\b", "1", script).replace("HASH", "0" * 64)
        return subprocess.run([shutil.which("bash"), "-c", "exec 2>&1\n" + script], stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, env=self.environment, cwd=cwd or self.work, timeout=60).stdout.decode()

    def misused(self):
        """Returns the commands that were wrong use, and how many were run, since the last call."""
        lines = self.log.read_text().split("\0")[:-1]
        self.log.write_text("")
        return [line for line in lines if not re.match("[01] ", line)], len(lines)


class CommandsTest(PageTest):
    def examples_of(self, command):
        return self.succeeds_quietly(command, "--help-all").split("\nUsage:")[0].split(":\n", 1)[1]

    def test_blocks_use_known_words(self):
        for page, least in ((README, 5), (COMMAND, 30)):
            for block in blocks(page, "sh"):
                self.shell(block)
            for block in blocks(page, "console"):
                self.shell("".join(command for command, _ in typed(block)))
            wrong, count = self.misused()
            self.assertEqual([line for line in wrong if "--temperature -1" not in line], [])
            self.assertGreaterEqual(count, least)

    def test_cheat_sheet_uses_known_words(self):
        table = (ROOT / README).read_text("utf-8").split("## Coming from", 1)[1].split("\n## ", 1)[0]
        rows = [line.replace(r"\|", "\0").split("|")[2] for line in table.splitlines() if line.startswith("| `")]
        commands = [code.replace("\0", "|") for row in rows for code in re.findall("`([^`]+ [^`]+)`", row)]
        (self.work / "F").write_text("x")
        for command in commands:
            self.assertIn("gemma ", command)
            self.shell(command)
        wrong, count = self.misused()
        self.assertEqual((wrong, count), ([], len(commands)))
        self.assertGreaterEqual(len(commands), 10)

    def test_examples_use_known_words(self):
        for command in ALL:
            examples = self.examples_of(command)
            self.shell(examples)
            wrong, count = self.misused()
            self.assertEqual(wrong, [], command)
            self.assertGreaterEqual(count, 1, command)

    def test_examples_use_known_models(self):
        listed = json.loads(self.succeeds_quietly("list", "--all", "--json", env=self.environment))
        names = {model["name"] for model in listed["models"]}
        for command in ALL:
            written = set()  # by quantize in an example before
            lines = self.examples_of(command).replace("\\\n", " ").replace("&&", "\n").replace("|", "\n").splitlines()
            for words in map(shlex.split, lines):
                if words[:1] != ["gemma"] or words[1] in ("list", "completion", "man", "pull"):
                    continue
                models = [word for word in words[2:4 if words[1] in ("compare", "quantize") else 3]]
                if words[1] == "quantize":
                    written.add(models.pop())
                for model in models:
                    # A path that ends in "/" is a folder.
                    self.assertTrue(model in names | written or model.endswith("/"), (command, model))

    def test_messages_use_known_models(self):
        listed = json.loads(self.succeeds_quietly("list", "--all", "--json", env=self.environment))
        known = {model["name"] for model in listed["models"]}
        # Without the breaks inside of strings.
        sources = [re.sub(r'"\s*\n\s*"', "", path.read_text("utf-8"))
                   for path in (ROOT / "tools/gemma").rglob("*.cc")]
        # A name of a model has a digit, and other sources of models a slash.
        pattern = re.compile(r"gemma pull ([a-z][\w.-]*\d[\w.-]*)(?![\w/:.-])")
        names = {name for text in sources for name in pattern.findall(text)}
        self.assertGreaterEqual(len(names), 3)
        self.assertEqual(names - known, set())

    def test_toys_print_what_is_shown(self):
        shown = [block for page in (README, COMMAND) for block in blocks(page, "console")
                 if "tests/testdata" in block or "--temperature -1" in block]
        self.assertEqual(len(shown), 3)
        number = r"\b0\.\d+"  # the last digits depend on the CPU
        for block in shown:
            commands = typed(block)
            parts = self.shell("".join(f"{command}code=$?; echo '&'; (exit $code)\n" for command, _ in commands), cwd=ROOT)
            for (command, expected), found in zip(commands, parts.split("&\n")):
                self.assertEqual(re.sub(number, "P", found), re.sub(number, "P", expected))
                for one, other in zip(re.findall(number, found), re.findall(number, expected)):
                    self.assertAlmostEqual(float(one), float(other), delta=2e-3, msg=command)

    def test_precision_has_the_defaults(self):
        [row] = re.findall(r"(?m)^\| `--activations .*$", (ROOT / COMMAND).read_text("utf-8"))
        exact = set(re.findall("`([a-z]+)`", row))
        [row] = re.findall(r"(?m)^\| `--chunk .*$", (ROOT / COMMAND).read_text("utf-8"))
        small = set(re.findall("`([a-z]+)`", row.split("; `gemma bench`")[0]))
        for command in COMMANDS:
            text = " ".join(self.succeeds_quietly(command, "--help-all").split())
            if "--activations " not in text:
                continue
            defaults = dict(re.findall(r"(--activations|--chunk) [^(]*\(default: (\w+)\)", text))
            self.assertEqual(defaults, {"--activations": "float32" if command in exact else "int8",
                                        "--chunk": "64" if command in small else "256"}, command)


class ClaimsTest(CommandTest):
    def test_headings_name_tasks(self):
        for page, titles in HEADINGS.items():
            self.assertEqual(set(titles) - set(sections(page)), set(), page)

    def test_first_screen_shows_an_answer(self):
        screen = (ROOT / README).read_text("utf-8").split("\n## ", 1)[0]
        self.assertLessEqual(screen.count("\n"), 30)
        [(command, answer)] = typed(blocks(README, "console")[0])
        self.assertIn(command, screen)
        self.assertGreater(len(answer.split()), 40)

    def test_speed_claims_are_the_tables(self):
        said = sections(README)
        rows = re.findall(r"\| ((?:[\d.]+ : [\d.]+ \([\d.]+\) \| ?)+)", said["Speed"])
        ratios = [re.findall(r"\(([\d.]+)\)", row) for row in rows]
        self.assertGreater(len(ratios), 3)
        for column, words in ((1, "llama.cpp's decode"), (0, "its prefill"), (2, "its speed with eight sequences")):
            [found] = re.findall(rf"([\d.]+) to ([\d.]+) times {re.escape(words)}", said[""])
            measured = sorted((row[column] for row in ratios if len(row) > column), key=float)
            self.assertEqual(found, (measured[0], measured[-1]), words)

    def test_served_claims_are_the_tables(self):
        said = " ".join(sections(README)["Speed"].split())
        table = (ROOT / "benchmarks/README.md").read_text("utf-8").split("\n## Served\n", 1)[1].split("alone (`--simd", 1)[0]
        rows = re.findall(r"\| (?:8|32) x [^|]*\|[^|]*\(([\d.]+)[^|]*\|[^|]*\(([\d.]+)\)", table)
        self.assertGreater(len(rows), 8)
        for values, words in zip(zip(*rows), (r"times as many tokens per second", r"of its time")):
            [found] = re.findall(rf"([\d.]+) to ([\d.]+) {words}", said)
            self.assertEqual(found, (min(values, key=float), max(values, key=float)), words)

    def test_commands_name_their_models(self):
        listed = self.succeeds_quietly("--help")
        for command, name in (("scope", "Gemma Scope"), ("classify", "ShieldGemma"), ("embed", "EmbeddingGemma")):
            self.assertRegex(listed, rf"(?m)^  {command} .*\({name}\)")

    def test_json_of_commands_is_explained(self):
        titles = re.findall(r"(?m)^## (.*)$", (ROOT / "tools/gemma/json.md").read_text("utf-8"))
        for command in ALL:
            has_json = "\n  --json " in self.succeeds_quietly(command, "--help-all")
            self.assertEqual(has_json, command in titles, command)  # whose fields json_page_test.py holds

    def test_front_page_of_reference(self):
        [page] = re.findall(r"(?m)^USE_MDFILE_AS_MAINPAGE *= *(\S+)$", (ROOT / "tools/Doxyfile").read_text("utf-8"))
        self.assertEqual(page, LIBRARY)  # whose first program consumers_test.py builds

    def test_sizes_are_the_catalogues(self):
        listed = json.loads(self.succeeds_quietly("list", "--all", "--json", env={**os.environ, "GEMMA_MODELS": "/none"}))
        models = {model["name"]: model for model in listed["models"]}
        texts = [(ROOT / page).read_text("utf-8") for page in (README, COMMAND, "tools/quickstart.sh")]
        sizes = [found for text in texts for found in re.findall(r"(gemma-3-1b-it-q4|Gemma 3 270M)\b[^\n]*?(\d+) MB", text)]
        self.assertGreaterEqual(len(sizes), 4)
        for name, megabytes in sizes:
            model = models["gemma-3-270m" if "M" in name else name]
            self.assertEqual(round(model["bytes"] / 1e6), int(megabytes), name)
        for name, gigabytes in re.findall(r"(gemma-[\w-]+)\b[^\n]*? about (\d+) GB", texts[0]):
            self.assertEqual(round(models[name]["memory"] / 1e9), int(gigabytes), name)


class ScriptTest(PageTest):
    """tools/quickstart.sh and tools/setup.sh, in a checkout where other programs are replaced."""

    def setUp(self):
        super().setUp()
        self.tools = self.work / "tools"
        self.tools.mkdir()
        for name in ("bash", "dirname"):
            (self.folder / "bin" / name).symlink_to(shutil.which(name))

    def script(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/bash\n" + text)
        path.chmod(0o755)

    def test_quickstart_ends_with_answer(self):
        shutil.copy(ROOT / "tools/quickstart.sh", self.tools)
        self.script(self.tools / "setup.sh", "")
        self.script(self.tools / "fetch_model.sh", f"echo {shlex.quote(str(TESTDATA / 'gguf/gemma_fill.gguf'))}")
        self.script(self.folder / "bin/cmake", "")
        (self.work / "build/release").mkdir(parents=True)
        (self.work / "build/release/gemma").symlink_to(BINARY)
        result = subprocess.run([self.tools / "quickstart.sh"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                env=self.environment, check=False)
        self.assertEqual(result.returncode, 0, result)
        self.assertTrue(result.stdout.strip())
        self.assertRegex(result.stderr, r"answer: \d+ tokens?, [\d.]+ tok/s")
        # The prompt and the length are those that README.md shows.
        [(command, _)] = typed(blocks(README, "console")[0])
        prompt, length = re.search(r'"(.*)" -n (\d+)', command).groups()
        self.assertIn(f'--max-tokens {length} --verbose', result.stderr)
        self.assertIn(f'gemma_fill.gguf "{prompt}"\n', result.stderr)
        # What to try next
        following = result.stderr.split("\nNext:\n", 1)[1]
        self.shell("\n".join(line for line in following.splitlines() if line.startswith("  gemma ")))
        wrong, count = self.misused()
        self.assertEqual(wrong, [])
        self.assertGreaterEqual(count, 4)
        for words in ("ln -s", "export PATH", "gemma chat ", "gemma list --all"):
            self.assertIn(words, following)

    def test_setup_names_roots_line(self):
        shutil.copy(ROOT / "tools/setup.sh", self.tools)
        self.script(self.folder / "bin/dpkg-query", "exit 1\n")
        for name in ("mkdir", "flock", "rm", "mktemp"):
            (self.folder / "bin" / name).symlink_to(shutil.which(name))
        for folder in (self.folder, self.work):
            folder.chmod(0o777)
        as_user = {} if os.geteuid() else {"user": 65534, "extra_groups": []}
        result = subprocess.run([self.tools / "setup.sh", "--release-only"], capture_output=True, text=True,
                                env=self.environment, check=False, **as_user)
        self.assertEqual((result.returncode, result.stdout), (1, ""), result)
        self.assertRegex(result.stderr, r"setup.sh: as root, run: apt-get update && apt-get install ca-certificates cmake ")


if __name__ == "__main__":
    unittest.main()
