#!/usr/bin/env python3
"""libgemma.ray on a cluster of two nodes on this machine: every row once, even if a node is killed,
with the bits of one process.

Needs tests/python/ray_requirements.txt.
"""
import asyncio
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import numpy
import pyarrow
import pyarrow.parquet
import ray
import ray.data

import ray_cluster
from ray_cluster import NEVER_ENDS, ROOT, SECONDS, TESTDATA, TOY

import libgemma
import libgemma.ray

EMBEDDER = str(TESTDATA / "gguf" / "gemma_embedding.gguf")
SHIELD = str(TESTDATA / "classify" / "shield.gguf")
EXAMPLES = ROOT / "tools" / "python" / "examples"
WORDS = "the cat model was for a is of it time".split()
PROMPTS = [" ".join(WORDS[number % 10:]) + f" {number}" for number in range(48)]
SAMPLING = {"max_tokens": 12, "seed": 7}
LONG_SAMPLING = {"max_tokens": 400, "seed": 7,
                 "logit_bias": {int(token): bias for token, bias in NEVER_ENDS.items()}}
TOO_LONG = "cat " * 500


def numbered(values):
    return [{"id": number, "prompt": value} for number, value in enumerate(values)]


def in_order(rows):
    return sorted(rows, key=lambda row: row["id"])


def dataset(rows, path, task, blocks=8, batch_size=4, actors=1, nodes=None, kind=libgemma.ray.Rows,
            **options):
    """The rows, with what models make of the column `prompt`, beginning with so many actors."""
    pool = libgemma.ray.pool(batch_size=batch_size, nodes=nodes)
    pool["compute"].initial_size = actors
    return ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
        kind, fn_constructor_args=(path, task),
        fn_constructor_kwargs={"column": "prompt", **options},
        **pool)


def mapped(rows, *arguments, **options):
    return in_order(dataset(rows, *arguments, **options).take_all())


class Overlapping(libgemma.ray.Rows):
    """The first batch waits until a second one is there."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._calls, self._second = 0, asyncio.Event()

    async def __call__(self, batch):
        self._calls += 1
        if self._calls == 1:
            await asyncio.wait_for(self._second.wait(), SECONDS)
        self._second.set()
        return await super().__call__(batch)


def vectors_of(rows):
    return numpy.array([row["embedding"] for row in rows], numpy.float32)


def pages_of(path):
    """The resident and the proportional kB of a file's pages, in each process that maps it."""
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "smaps").read_text()
        except OSError:
            continue
        sizes = [0, 0]
        for part in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.MULTILINE):
            if str(path) in part.split("\n", 1)[0]:
                for place, name in enumerate(("Rss", "Pss")):
                    sizes[place] += int(re.search(rf"^{name}: +(\d+) kB", part, re.MULTILINE)[1])
        if sizes[0]:
            found[process.name] = sizes
    return found


class PoolTest(unittest.TestCase):
    """What pool() says of clusters of other sizes."""

    def pool(self, *nodes, **options):
        """Returns the CPUs that an actor reserves, and the most actors."""
        found = [{"Alive": cpus >= 0, "Resources": {"CPU": float(abs(cpus))} if cpus else {}}
                 for cpus in nodes]
        with mock.patch("ray.is_initialized", lambda: True), mock.patch("ray.nodes", lambda: found):
            made = libgemma.ray.pool(**options)
        self.assertEqual(made["compute"].min_size, 1)  # a lost node ends no job
        return made["num_cpus"], made["compute"].max_size

    def test_nodes_have_one_actor(self):
        for cpus, reserved in ((1, 1), (2, 1), (3, 2), (4, 3), (16, 9), (63, 32)):
            self.assertEqual(self.pool(cpus, cpus, cpus), (reserved, 3))
        self.assertEqual(self.pool(16, 0, -16, 16), (9, 2))  # one without CPUs, one dead
        self.assertEqual(self.pool(4, 16, 16), (3, 3))
        self.assertEqual(self.pool(4, 16, 16, cpus=16), (9, 2))
        self.assertEqual(self.pool(16, 16, 16, nodes=2), (9, 2))
        with self.assertRaisesRegex(ValueError, "no node"):
            self.pool(0, -16)


class RowsTest(unittest.TestCase):
    def check(self, rows, prompts, sampling, path=TOY):
        """Each row came once, with the answer of one process."""
        self.assertEqual([row["id"] for row in rows], list(range(len(prompts))))
        with libgemma.LLM(path, threads=1, deterministic=True) as llm:
            wanted = [(done.text, done.finish_reason, done.prompt_tokens, len(done.tokens),
                       done.seed) for done in llm.generate(prompts, **sampling)]
        self.assertEqual([(row["answer"], row["finish_reason"], row["prompt_tokens"],
                           row["answer_tokens"], row["seed"]) for row in rows], wanted)


class RayDataTest(RowsTest):
    """Both nodes compute."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = ray_cluster.start()
        cls.addClassCleanup(cls.cluster.shutdown)
        ray.init(address=cls.cluster.address, log_to_driver=False)
        cls.addClassCleanup(ray.shutdown)

    def test_rows_equal_one_process(self):
        rows = mapped(numbered(PROMPTS), TOY, "generate", arguments=SAMPLING)
        self.check(rows, PROMPTS, SAMPLING)

    def test_batches_overlap(self):
        """An actor begins a batch before the one before it ends."""
        rows = dataset(numbered(PROMPTS), TOY, "generate", kind=Overlapping, nodes=1,
                       arguments=SAMPLING).take_all()
        self.check(in_order(rows), PROMPTS, SAMPLING)

    def test_chats_and_tokens(self):
        chat = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "was"},
                {"role": "user", "content": "for a time"}]
        tokens = [2, 17, 4, 99]
        chats = mapped(numbered([chat, chat[:1]]), TOY, "generate", arguments=SAMPLING)
        rows = mapped(numbered([tokens]), TOY, "generate", arguments=SAMPLING)
        with libgemma.LLM(TOY, threads=1, deterministic=True) as llm:
            self.assertEqual([row["answer"] for row in chats],
                             [done.text for done in llm.chat([chat, chat[:1]], **SAMPLING)])
            self.assertEqual(rows[0]["answer"], llm.generate(tokens, **SAMPLING).text)

    def test_refused_rows_have_errors(self):
        prompts = PROMPTS[:6] + [TOO_LONG] + PROMPTS[6:9]
        rows = mapped(numbered(prompts), TOY, "generate", arguments=SAMPLING,
                      options={"context": 64}, errors="column")
        self.assertEqual([row["id"] for row in rows if row["error"]], [6])
        self.assertIsNone(rows[6]["answer"])
        self.assertIn("64", rows[6]["error"])
        del rows[6]
        for number, row in enumerate(rows):
            row["id"] = number
        self.check(rows, PROMPTS[:9], SAMPLING)

    def test_refused_row_ends_job(self):
        with self.assertRaisesRegex(Exception, "64"):
            mapped(numbered([TOO_LONG]), TOY, "generate", options={"context": 64})

    def test_wrong_column_is_named(self):
        with self.assertRaisesRegex(Exception, "no column 'text', only id, prompt"):
            mapped(numbered(PROMPTS), TOY, "generate", column="text")

    def test_embeddings_equal_one_process(self):
        rows = mapped(numbered(PROMPTS), EMBEDDER, "embed")
        with libgemma.LLM(EMBEDDER, threads=1, deterministic=True) as llm:
            numpy.testing.assert_array_equal(vectors_of(rows), llm.embed(PROMPTS))

    def test_policies_equal_one_process(self):
        turns = [row | {"reply": "it is" if row["id"] % 2 else None}
                 for row in numbered(PROMPTS[:6])]
        rows = mapped(turns, SHIELD, "classify", response_column="reply")
        with libgemma.LLM(SHIELD, threads=1, deterministic=True) as llm:
            wanted = llm.classify([(turn["prompt"], turn["reply"]) if turn["reply"]
                                   else turn["prompt"] for turn in turns])
        self.assertEqual([{name: row[name] for name in wanted[0]} for row in rows], wanted)

    def test_scores_equal_one_process(self):
        choices = ["cat", "a time"]
        rows = mapped(numbered(PROMPTS[:6]), TOY, "score", arguments={"choices": choices})
        with libgemma.LLM(TOY, threads=1, deterministic=True) as llm:
            self.assertEqual([row["log_probabilities"] for row in rows],
                             [llm.score(prompt, choices) for prompt in PROMPTS[:6]])

    def test_actors_share_weights(self):
        """Two actors map the file, and have its pages in memory once."""
        actor = ray.remote(num_cpus=1)(libgemma.ray.Rows)
        batch = pyarrow.table({"prompt": PROMPTS[:4]})
        with tempfile.TemporaryDirectory() as folder:
            packed = f"{folder}/packed.gguf"
            libgemma.quantize(TOY, packed, "q8")
            actors = [actor.remote(packed, "generate", column="prompt", arguments=SAMPLING)
                      for _ in range(2)]
            tables = ray.get([each.__call__.remote(batch) for each in actors])
            self.assertEqual(tables[0], tables[1])
            seen = pages_of(packed)
            for each in actors:
                ray.kill(each)
        self.assertEqual(len(seen), 2)
        resident, shared = (sum(sizes[place] for sizes in seen.values()) for place in (0, 1))
        print(f"two actors map {resident} kB, and share {shared} kB", file=sys.stderr)
        self.assertLess(shared, 0.75 * resident)


class LostNodeTest(RowsTest):
    def test_killed_node_loses_nothing(self):
        cluster = ray_cluster.start()
        self.addCleanup(cluster.shutdown)
        ray.init(address=cluster.address, log_to_driver=False)
        self.addCleanup(ray.shutdown)
        rows, killed_at = [], None
        with tempfile.TemporaryDirectory() as folder:
            packed = f"{folder}/packed.gguf"
            libgemma.quantize(TOY, packed, "q8")
            for row in dataset(numbered(PROMPTS), packed, "generate", blocks=24, batch_size=2,
                               actors=2, arguments=LONG_SAMPLING).iter_rows():
                rows.append(row)
                if killed_at is None and len(pages_of(packed)) == 2:  # both nodes compute
                    killed_at = len(rows)
                    cluster.remove_node(cluster.second, allow_graceful=False)
            self.assertIsNotNone(killed_at, "only one node computed")
            self.assertLess(killed_at, len(PROMPTS))
            print(f"killed a node after {killed_at} of {len(rows)} rows", file=sys.stderr)
            self.check(in_order(rows), PROMPTS, LONG_SAMPLING, packed)


class ExamplesTest(unittest.TestCase):
    """The programs in tools/python/examples, on both nodes."""
    TEXTS = [f"{prompt} {number}" for number in range(4) for prompt in PROMPTS]

    @classmethod
    def setUpClass(cls):
        cls.cluster = ray_cluster.start()
        cls.addClassCleanup(cls.cluster.shutdown)

    def run_example(self, name, model, *options, **columns):
        """Returns the rows that a program makes of four Parquet files."""
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(f"{folder}/in")
            table = pyarrow.table({"id": range(len(self.TEXTS)), **columns})
            for number in range(4):
                pyarrow.parquet.write_table(table.slice(number * len(PROMPTS), len(PROMPTS)),
                                            f"{folder}/in/{number}.parquet")
            subprocess.run([sys.executable, EXAMPLES / name, model, f"{folder}/in",
                            f"{folder}/out", "--address", self.cluster.address, *options],
                           check=True)
            rows = in_order(pyarrow.parquet.read_table(f"{folder}/out").to_pylist())
        self.assertEqual([row["id"] for row in rows], list(range(len(self.TEXTS))))
        return rows

    def test_embed_parquet(self):
        rows = self.run_example("embed_parquet.py", EMBEDDER, "--dimensions", "16",
                                text=self.TEXTS)
        with libgemma.LLM(EMBEDDER, deterministic=True) as llm:
            numpy.testing.assert_array_equal(vectors_of(rows),
                                             llm.embed(self.TEXTS, dimensions=16))

    def test_shieldgemma_parquet(self):
        texts = [*self.TEXTS[:-1], TOO_LONG * 20]
        rows = self.run_example("shieldgemma_parquet.py", SHIELD, text=texts)
        with libgemma.LLM(SHIELD, deterministic=True) as llm:
            wanted = llm.classify(texts[:-1])
        refused = rows.pop()
        self.assertEqual([{name: row[name] for name in wanted[0]} for row in rows], wanted)
        self.assertEqual({row["error"] for row in rows}, {None})
        self.assertEqual([refused[name] for name in wanted[0]], [None] * len(wanted[0]))
        self.assertIn("tokens", refused["error"])

    def test_shieldgemma_judges_answers(self):
        rows = self.run_example("shieldgemma_parquet.py", SHIELD, "--column", "prompt",
                                "--response", "answer", "--policy", "hate",
                                prompt=self.TEXTS, answer=self.TEXTS[::-1])
        with libgemma.LLM(SHIELD, deterministic=True) as llm:
            wanted = llm.classify(list(zip(self.TEXTS, self.TEXTS[::-1])),
                                  policies=["hate"])
        self.assertEqual([row["hate"] for row in rows],
                         [probabilities["hate"] for probabilities in wanted])


if __name__ == "__main__":
    unittest.main()
