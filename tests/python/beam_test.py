#!/usr/bin/env python3
"""libgemma.beam on the DirectRunner, with two processes: every element once, with the bits of one
process; refused ones in an output of their own.

Needs tests/python/beam_requirements.txt.
"""
import json
import os
import pathlib
import pickle
import shutil
import tempfile
import unittest

import apache_beam as beam
from apache_beam.ml.inference.base import (KeyedModelHandler, KeyModelMapping, ModelMetadata,
                                           RunInference)
from apache_beam.options.pipeline_options import PipelineOptions

import libgemma
import libgemma.beam

TESTDATA = pathlib.Path(__file__).resolve().parents[1] / "testdata"
TOY = str(TESTDATA / "gguf" / "gemma3_mixed.gguf")
SECOND = str(TESTDATA / "gguf" / "gemma_fill.gguf")
EMBEDDER = str(TESTDATA / "gguf" / "gemma_embedding.gguf")
SHIELD = str(TESTDATA / "classify" / "shield.gguf")
WORDS = "the cat model was for a is of it time".split()
PROMPTS = [" ".join(WORDS[number % 10:]) + f" {number}" for number in range(40)]
TOO_LONG = "cat " * 500
SAMPLING = {"max_tokens": 12, "seed": 7}
TWO_PROCESSES = PipelineOptions(runner="DirectRunner", direct_num_workers=2,
                                direct_running_mode="multi_processing")


def handler(task="generate", path=TOY, **options):
    options.setdefault("arguments", SAMPLING if task == "generate" else {})
    options["options"] = {"threads": 1} | options.get("options", {})
    return libgemma.beam.Handler(path, task, **options)


def answers(prompts, path=TOY):
    with libgemma.LLM(path, threads=1, deterministic=True) as llm:
        return dict(zip(prompts, (done.text for done in llm.generate(list(prompts), **SAMPLING))))


class Worker(beam.DoFn):
    """Writes the process that saw an element."""

    def process(self, element):  # pylint: disable=arguments-differ
        yield {"process": os.getpid(), **element}


class BatchSizes(libgemma.beam.Handler):
    """Infers the number of examples of the batch."""

    def load_model(self):
        return self

    def run_inference(self, batch, model, inference_args=None):
        assert batch
        return [len(batch)] * len(batch)

    def share_model_across_processes(self):
        return False


class BeamTest(unittest.TestCase):
    def run_pipeline(self, build, options=None):
        """Runs a pipeline whose outputs are dictionaries, and returns the lists of these."""
        with tempfile.TemporaryDirectory() as folder:
            with beam.Pipeline(options=options) as pipeline:
                outputs = build(pipeline)
                for number, output in enumerate(outputs):
                    _ = (output | f"Text {number}" >> beam.Map(json.dumps)
                         | f"Write {number}" >> beam.io.WriteToText(f"{folder}/{number}-"))
            return [[json.loads(line) for file in sorted(pathlib.Path(folder).glob(f"{number}-*"))
                     for line in file.read_text().splitlines()]
                    for number in range(len(outputs))]

    def test_two_processes_equal_one(self):
        def build(pipeline):
            results, refused = (
                pipeline | beam.Create(PROMPTS + [TOO_LONG]) | beam.Reshuffle()
                | libgemma.beam.Run(handler(errors="output", options={"context": 64})))
            return (results | "Row" >> beam.Map(lambda result: {
                        "prompt": result.example, "model": result.model_id, **result.inference})
                    | beam.ParDo(Worker()),
                    refused | "Bad" >> beam.Map(lambda pair: {
                        "prompt": pair[0], "code": pair[1].code, "message": pair[1].message}))

        rows, refused = self.run_pipeline(build, TWO_PROCESSES)
        self.assertEqual(sorted(row["prompt"] for row in rows), sorted(PROMPTS))
        self.assertEqual({row["prompt"]: row["answer"] for row in rows}, answers(PROMPTS))
        self.assertEqual({row["model"] for row in rows}, {TOY})
        self.assertEqual([row["prompt"] for row in refused], [TOO_LONG])
        self.assertIn("64", refused[0]["message"])

    def test_two_processes_share_model(self):
        """Both processes compute, and only one of them maps the file."""
        def maps():
            return packed in pathlib.Path("/proc/self/maps").read_text()

        def build(pipeline):
            return (pipeline | beam.Create(PROMPTS) | beam.Reshuffle()
                    | RunInference(handler(path=packed, max_batch_size=2))
                    | beam.Map(lambda _: {"process": os.getpid(), "maps": maps()}),)

        with tempfile.TemporaryDirectory() as folder:
            packed = f"{folder}/packed.gguf"
            libgemma.quantize(TOY, packed, "q8")
            rows, = self.run_pipeline(build, TWO_PROCESSES)
        mapping = {row["process"]: row["maps"] for row in rows}
        self.assertEqual(sorted(mapping.values()), [False, True])

    def test_refused_batch_raises(self):
        def build(pipeline):
            return (pipeline | beam.Create([TOO_LONG])
                    | RunInference(handler(options={"context": 64})),)

        with self.assertRaisesRegex(Exception, "64"):
            self.run_pipeline(build)
        with self.assertRaisesRegex(ValueError, "errors='output'"):
            libgemma.beam.Run(handler())

    def test_keys_stay_with_results(self):
        def build(pipeline):
            results, refused = (
                pipeline | beam.Create(list(enumerate(PROMPTS[:6] + [TOO_LONG])))
                | libgemma.beam.Run(KeyedModelHandler(
                    handler(errors="output", options={"context": 64}))))
            return (results | "Row" >> beam.Map(lambda pair: {
                        "key": pair[0], "answer": pair[1].inference["answer"]}),
                    refused | "Bad" >> beam.Map(lambda pair: {
                        "key": pair[0], "message": pair[1][1].message}))

        rows, refused = self.run_pipeline(build)
        wanted = answers(PROMPTS)
        self.assertEqual({row["key"]: row["answer"] for row in rows},
                         {key: wanted[prompt] for key, prompt in enumerate(PROMPTS[:6])})
        self.assertEqual([row["key"] for row in refused], [6])

    def test_keys_choose_the_model(self):
        def build(pipeline):
            handlers = KeyedModelHandler([KeyModelMapping(["first"], handler()),
                                          KeyModelMapping(["second"], handler(path=SECOND))])
            return (pipeline
                    | beam.Create([(key, prompt) for key in ("first", "second")
                                   for prompt in PROMPTS[:4]])
                    | RunInference(handlers) | "Row" >> beam.Map(lambda pair: {
                        "key": pair[0], "prompt": pair[1].example,
                        "answer": pair[1].inference["answer"]}),)

        rows, = self.run_pipeline(build)
        for key, path in (("first", TOY), ("second", SECOND)):
            self.assertEqual({row["prompt"]: row["answer"] for row in rows if row["key"] == key},
                             answers(PROMPTS[:4], path))

    def test_new_path_changes_model(self):
        """Beam's automatic model refresh sends a path while the pipeline runs."""
        # Beam writes files beside the new model.
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        new = shutil.copy(SECOND, folder.name)

        def build(pipeline):
            path = pipeline | "Path" >> beam.Create([ModelMetadata(new, "second")])
            return (pipeline | beam.Create(PROMPTS[:4])
                    | RunInference(handler(), model_metadata_pcoll=path) | beam.Map(lambda result: {
                        "prompt": result.example, "model": result.model_id,
                        "answer": result.inference["answer"]}),)

        rows, = self.run_pipeline(build)
        self.assertEqual({row["prompt"]: row["answer"] for row in rows},
                         answers(PROMPTS[:4], SECOND))
        self.assertEqual({row["model"] for row in rows}, {new})

    def test_inference_args_come_first(self):
        def build(pipeline):
            return (pipeline | beam.Create(PROMPTS[:3])
                    | RunInference(handler(), inference_args={"max_tokens": 2})
                    | beam.Map(lambda result: {"tokens": result.inference["answer_tokens"]}),)

        rows, = self.run_pipeline(build)
        self.assertTrue(all(row["tokens"] <= 2 for row in rows), rows)

    def test_embeddings_and_policies(self):
        def build(pipeline):
            texts = pipeline | beam.Create(PROMPTS[:5])
            vectors = texts | "Embed" >> RunInference(handler("embed", EMBEDDER))
            policies = texts | "Classify" >> RunInference(handler("classify", SHIELD))
            return (vectors | beam.Map(lambda result: {
                        "text": result.example, "vector": result.inference["embedding"].tolist()}),
                    policies | "Row" >> beam.Map(lambda result: {
                        "text": result.example, **result.inference}))

        vectors, policies = self.run_pipeline(build)
        with libgemma.LLM(EMBEDDER, deterministic=True) as llm:
            wanted = dict(zip(PROMPTS, llm.embed(PROMPTS[:5]).tolist()))
        self.assertEqual({row["text"]: row["vector"] for row in vectors}, wanted)
        with libgemma.LLM(SHIELD, deterministic=True) as llm:
            wanted = dict(zip(PROMPTS, llm.classify(PROMPTS[:5])))
        self.assertEqual({row.pop("text"): row for row in policies}, wanted)


class HandlerTest(unittest.TestCase):
    def test_batches_weigh_prompt_tokens(self):
        made = handler(max_batch_size=50, max_batch_tokens=100)
        weigh = pickle.loads(pickle.dumps(made)).batch_elements_kwargs()["element_size_fn"]
        with libgemma.LLM(TOY, deterministic=True) as llm:
            count = len(llm.tokenize(PROMPTS[0]))
        self.assertEqual(weigh(PROMPTS[0]), count)
        self.assertEqual(weigh([2, 17, 4]), 3)
        self.assertEqual(weigh((PROMPTS[0], PROMPTS[0])), 2 * count)
        self.assertEqual((weigh([2]), weigh(TOO_LONG)), (2, 100))

    def test_batches_have_bounds(self):
        """The batches that Beam makes: neither too many examples, nor too many tokens."""
        for examples, bounds, wanted in (
                ([[2, 3]] * 10, {"max_batch_size": 4}, [4] * 8 + [2] * 2),
                ([[2] * 60] * 4, {"max_batch_size": 4, "max_batch_tokens": 120}, [2] * 4),
                ([[2] * 500] * 3, {"max_batch_size": 4, "max_batch_tokens": 120}, [1] * 3)):
            with tempfile.TemporaryDirectory() as folder:
                with beam.Pipeline() as pipeline:
                    _ = (pipeline | beam.Create(examples) | beam.Reshuffle()
                         | RunInference(BatchSizes(TOY, **bounds))
                         | beam.Map(str) | beam.io.WriteToText(f"{folder}/sizes"))
                sizes = [int(line) for file in pathlib.Path(folder).iterdir()
                         for line in file.read_text().splitlines()]
            self.assertEqual(sorted(sizes, reverse=True), wanted)

    def test_wrong_values_are_refused(self):
        model = handler(errors="output").load_model()
        values = [None, 7, ["a", 1], "", "the cat"]
        results = model.run(values, {})
        for value, result in list(zip(values, results))[:3]:
            self.assertIn(repr(value), result.message)
        self.assertIn("answer", results[4])

    def test_wrong_arguments_are_errors(self):
        for error, arguments in ((libgemma.InvalidArgumentError, {"temperature": -1}),
                                 (TypeError, {"temprature": 1})):
            with self.assertRaisesRegex(error, next(iter(arguments))):
                handler(arguments=arguments, errors="output").load_model()
        for task, path, wrong in (("embed", EMBEDDER, {"dimensions": 0}),
                                  ("embed", EMBEDDER, {"prompt": "sing"}),
                                  ("classify", SHIELD, {"policies": ["sing"]}),
                                  ("classify", SHIELD, {"wording": "sing"}),
                                  ("score", TOY, {"choices": []})):
            with self.assertRaisesRegex(libgemma.GemmaError, "sing|dimensions|choices"):
                handler(task, path, arguments=wrong, errors="output").load_model()
        with self.assertRaises(libgemma.GemmaError):
            handler("embed", TOY).load_model()
        handler(arguments={"system": "be short", "min_tokens": 2, "max_tokens": 3}).load_model()

    def test_unknown_task_is_named(self):
        with self.assertRaisesRegex(ValueError, "'sing'"):
            handler("sing").load_model()


if __name__ == "__main__":
    unittest.main()
