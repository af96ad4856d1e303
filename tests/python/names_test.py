"""Names of models, and the memory that they need before they are loaded."""
import json
import os
import pathlib
import tempfile
import unittest
from unittest import mock

from command import gemma
from toys import BARE, TUNED, load, room, run_json

import libgemma
from libgemma import _core
from libgemma._serving import Serving
from libgemma.llama import Llama


class Names(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = pathlib.Path(folder.name)
        environment = mock.patch.dict(os.environ, {"GEMMA_MODELS": str(self.store)})
        environment.start()
        self.addCleanup(environment.stop)

    def pull(self, name, complete=True, text=None, source="s"):
        (self.store / name).mkdir()
        (self.store / name / "m.gguf").symlink_to(TUNED)
        record = {"version": 1, "source": source, "revision": "", "main_file": "m.gguf",
                  "pulled_at": "", "complete": complete, "files": []}
        (self.store / name / "gemma-pull.json").write_text(text or json.dumps(record))

    def words_of_command(self, name):
        """Returns the cause and the cure that `gemma run NAME` prints."""
        result = gemma("run", name, "-n", 1, "--", "Hi")
        self.assertNotEqual(result.returncode, 0, result)
        lines = result.stderr.decode().splitlines()
        return "; ".join(line.removeprefix("gemma: ") for line in lines)

    def test_pulled_names_load(self):
        self.pull("toy")
        with load("toy") as llm:
            self.assertEqual(llm.path, str(self.store / "toy" / "m.gguf"))
            self.assertEqual(llm.name, "toy")
            self.assertEqual(llm.__reduce__()[1][0], "toy")
        self.assertEqual(run_json("toy", "Hi", "-n", 1)["model"], "toy")

    def test_sources_load(self):
        self.pull("toy-q4_0", source="hf://owner/toy-GGUF:Q4_0")
        for name in ("owner/toy-GGUF:q4_0", "hf://owner/toy-GGUF:Q4_0"):
            with load(name) as llm:
                self.assertEqual(llm.path, str(self.store / "toy-q4_0" / "m.gguf"))
                self.assertEqual(llm.__reduce__()[1][0], name)
        with self.assertRaisesRegex(libgemma.NotFoundError, "toy-q4_0 is pulled from the same"):
            load("owner/toy-GGUF:q8_0")

    def test_missing_names_have_cures(self):
        self.pull("half", complete=False)
        self.pull("broken", text="[]")
        self.pull("odd", text='{"main_file": 5, "complete": true}')
        for name, error in (("toy", libgemma.NotFoundError),
                            ("gemma-3-270m", libgemma.NotFoundError),
                            ("gema-3-270m", libgemma.NotFoundError),
                            ("gemma-3-270m.gguf", libgemma.NotFoundError),
                            ("owner/toy-GGUF:q4_0", libgemma.NotFoundError),
                            ("hf://owner/toy", libgemma.NotFoundError),
                            ("https://localhost/m.gguf", libgemma.NotFoundError),
                            ("half", libgemma.FailedPreconditionError),
                            ("broken", libgemma.GemmaError), ("odd", libgemma.GemmaError)):
            with self.subTest(name):
                with self.assertRaises(error) as raised:
                    load(name)
                self.assertEqual(str(raised.exception), self.words_of_command(name))
        with self.assertRaisesRegex(libgemma.InvalidArgumentError, "path is ''"):
            load("")

    def test_paths_come_first(self):
        with self.assertRaisesRegex(libgemma.NotFoundError, "no/file.gguf"):
            load("no/file.gguf")
        with load(pathlib.Path(TUNED)) as llm:
            self.assertEqual(llm.path, TUNED)


# The toy needs 8.80 TB with them: 512 bytes for each token.
HUGE = {"context": 1 << 24, "sequences": 1024}


class Memory(unittest.TestCase):

    def test_too_much_is_refused(self):
        with self.assertRaisesRegex(
                libgemma.ResourceExhaustedError,
                r"needs 8\... TB more memory \(.*cache .* for 1024 contexts of 16777216, .*\), but "
                r"the (machine|control group) has .* left; (sequences|context)=\d+"
                r"(, context=\d+)? fits; ignore_memory=True tries anyway$"):
            load(**HUGE)

    def test_cures_name_arguments(self):
        for size, sequences, cure in ((1 << 30, 1, r"for a context .*; context=\d+ fits;"),
                                      (1 << 30, 8, r"for 8 contexts .*; context=\d+ fits;"),
                                      (1 << 27, 1024, r"; sequences=1, context=\d+ fits;")):
            with self.subTest(sequences), room(size):
                with self.assertRaisesRegex(libgemma.ResourceExhaustedError, cure):
                    load(context=1 << 24, sequences=sequences, threads=1)

    def test_llama_has_one_sequence(self):
        cure = r"for a context of 8388608, .*; n_ctx=\d+ fits; ignore_memory=True"
        with room(1 << 30), self.assertRaisesRegex(libgemma.ResourceExhaustedError, cure):
            Llama(TUNED, n_ctx=1 << 23, n_threads=1)
        with room(1 << 30), Llama(TUNED, n_ctx=1 << 18, n_threads=1) as llama:
            self.assertGreater(llama("Hi", max_tokens=1)["usage"]["prompt_tokens"], 0)

    def test_nothing_is_read_before(self):
        calls = []
        with self.assertRaises(libgemma.ResourceExhaustedError):
            load(**HUGE, progress=lambda done, total: calls.append(done))
        self.assertEqual(calls, [])

    def test_wrong_amounts_are_named(self):
        for options in ({"context": 0}, {"context": (1 << 24) + 1}, {"context": 1 << 40},
                        {"sequences": 0}, {"sequences": 1025}):
            most = (1 << 24) if "context" in options else 1024
            for ignored in (False, True):
                with self.subTest(options, ignored=ignored):
                    with self.assertRaisesRegex(libgemma.InvalidArgumentError,
                                                f"wanted 1 to {most}$"):
                        load(**options, ignore_memory=ignored)

    def test_memory_can_be_ignored(self):
        with load(**HUGE, ignore_memory=True) as llm:
            self.assertTrue(llm.generate("Hi", seed=1, max_tokens=1).tokens)

    def test_limits_make_it_fit(self):
        with load(context=4096, sequences=1024, memory=1 << 28) as llm:
            self.assertTrue(llm.generate("Hi", max_tokens=1).tokens)

    def test_engines_share_the_limit(self):
        with load(memory=1 << 28, reuse_bytes=0) as llm:
            llm.generate("Hi", max_tokens=1)
            one = llm._budget.bytes
            self.assertGreater(one, 0)
            chat = [{"role": "user", "content": "Hi"}]
            llm.create_chat_completion(chat, max_tokens=1)
            self.assertEqual(llm._budget.bytes, 2 * one)
            with self.assertRaises(libgemma.InvalidArgumentError):
                load(memory=one // 2).close()

    def test_served_models_fit_together(self):
        """Each of them fits alone: its caches need 1.07 GB."""
        long = {"context": 1 << 18, "threads": 1}
        two = {"a": TUNED, "b": TUNED}
        with room(3 << 29):
            for models, options in ((TUNED, long), (two, {**long, "sequences": 4}),
                                    (two, {**long, "max_memory": 1 << 30}),
                                    (two, {**long, "ignore_memory": True})):
                serving = Serving(models, **options)
                self.addCleanup(serving.close)
                serving.open()
                serving.close()
            for models, options in ((two, {}), (TUNED, {"guard": ("g", TUNED)})):
                serving = Serving(models, **long, **options)
                self.addCleanup(serving.close)
                with self.assertRaisesRegex(
                        libgemma.ResourceExhaustedError,
                        r"(a, b|gguf, g): needs .* for 8 contexts of 262144, .*; "
                        r"(sequences|context)=\d+ fits"):
                    serving.open()
                self.assertEqual(serving._loaded, [])  # nothing was loaded before
            with load(**long) as first, load(**long) as second:
                serving = Serving({"a": first, "b": second})
                self.addCleanup(serving.close)
                with self.assertRaisesRegex(libgemma.ResourceExhaustedError, r"a, b: needs 2\.1"):
                    serving.open()

    def test_served_models_share_rest(self):
        serving = Serving({"a": TUNED, "b": TUNED}, context=64, threads=1)
        self.addCleanup(serving.close)
        kept = []
        with mock.patch.object(_core, "check_memory", lambda engines, most: 5000):
            with mock.patch.object(_core.Server, "create") as create:
                create.return_value.add = lambda *given, **_: kept.append(given[2]["reuse_bytes"])
                serving.open()
        self.assertEqual(kept, [2500, 2500])

    def test_no_tokenizer_no_engine(self):
        """Only sequences that were asked for need memory."""
        with load(BARE, **HUGE) as llm:
            self.assertEqual(len(llm.logits([2, 3])), 2)
        with room(1 << 24), self.assertRaisesRegex(
                libgemma.ResourceExhaustedError, "needs .* for a context of 1, scratch"):
            load(BARE, threads=1, prefill_chunk=8192)

    def test_kept_bytes_have_room(self):
        with load(reuse_bytes=None) as llm:
            left = llm._model.bytes_left
            self.assertEqual(llm._engine_options()["reuse_bytes"], min(left, 1 << 30))
        with load(reuse_bytes=None, ignore_memory=True) as llm:
            self.assertEqual(llm._engine_options()["reuse_bytes"], 1 << 30)


if __name__ == "__main__":
    unittest.main()
