#!/usr/bin/env python3
"""The model for lm-eval, with a toy and with the real Gemma 3 270M ($GEMMA_TEST_MODEL).

Needs lm_eval and tqdm of tests/clients/real_requirements.txt.
"""
import json
import os
import pathlib
import unittest

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing comes from the network

# pylint: disable=wrong-import-position
import lm_eval  # noqa: E402
from lm_eval.api.instance import Instance  # noqa: E402

import libgemma  # noqa: E402
from libgemma.lm_eval import GemmaLM  # noqa: E402
from served import TOY  # noqa: E402
from command import real_model  # noqa: E402

CLIENTS = pathlib.Path(__file__).resolve().parent.parent / "clients"
MOST_NATS = 0.02  # by which a log-likelihood may differ from that of transformers


def instances(kind, *arguments):
    return [Instance(request_type=kind, doc={}, arguments=each, idx=i)
            for i, each in enumerate(arguments)]


class ToyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lm = GemmaLM(str(TOY), max_length=64, batch_size=4, threads=1)
        cls.addClassCleanup(cls.lm._llm.close)
        cls.llm = libgemma.LLM(TOY, threads=1, context=256)
        cls.addClassCleanup(cls.llm.close)
        cls.bos = cls.llm._model.bos_token

    def logprobs(self, tokens):
        """Returns the log-probability of each token but the first one."""
        answer = self.llm.create_completion(tokens, max_tokens=0, echo=True, logprobs=0)
        return answer["choices"][0]["logprobs"]["token_logprobs"][1:]

    def test_log_likelihoods(self):
        pairs = [("the cat", " and us"), ("the cat", " dog"), ("the ", "model"), ("", "us"),
                 ("a dog", " and the cat"), ("the cat", " and us")]
        found = self.lm.loglikelihood(instances("loglikelihood", *pairs), disable_tqdm=True)
        for (context, continuation), (sum_found, greedy) in zip(pairs, found, strict=True):
            whole = [self.bos, *self.llm.tokenize(context + continuation)]
            begin = len(self.llm.tokenize(context.rstrip())) + 1
            self.assertAlmostEqual(sum_found, sum(self.logprobs(whole)[begin - 1:]), places=4)
            answer = self.llm.create_completion(
                whole[:begin], max_tokens=len(whole) - begin, temperature=0, logprobs=0)
            chosen = answer["choices"][0]["text"]
            self.assertEqual(greedy, chosen == self.llm.detokenize(whole[begin:]))

    def test_greedy_continuations(self):
        answer = self.llm.create_completion("the cat", max_tokens=1, temperature=0)
        text = answer["choices"][0]["text"]
        [(_, greedy)] = self.lm.loglikelihood(instances("loglikelihood", ("the cat", text)),
                                              disable_tqdm=True)
        tokens = self.llm.tokenize("the cat" + text)
        self.assertEqual(greedy, len(tokens) == len(self.llm.tokenize("the cat")) + 1)

    def test_rolling_log_likelihoods(self):
        short, long = "the cat and us", "the cat and the dog " * 20
        found = self.lm.loglikelihood_rolling(
            instances("loglikelihood_rolling", (short,), (long,)), disable_tqdm=True)
        self.assertAlmostEqual(found[0], sum(self.logprobs([self.bos, *self.llm.tokenize(short)])),
                               places=4)
        tokens = self.llm.tokenize(long)
        self.assertGreater(len(tokens), 64)
        wanted = sum(self.logprobs([self.bos, *tokens[:64]]))
        for begin in range(64, len(tokens), 64):
            end = min(begin + 64, len(tokens))
            # The last window is as long as the others, and begins earlier.
            window = tokens[max(0, end - 65):end]
            wanted += sum(self.logprobs(window)[-(end - begin):])
        self.assertAlmostEqual(found[1], wanted, places=3)

    def test_generation(self):
        settings = [{"until": ["e"], "max_gen_toks": 9}, {"until": [], "max_gen_toks": 5},
                    {"until": ["\n"], "do_sample": True, "temperature": 0.7, "max_gen_toks": 7}]
        found = self.lm.generate_until(
            instances("generate_until", *(("the cat", each) for each in settings)),
            disable_tqdm=True)
        for text, each in zip(found, settings, strict=True):
            wanted = self.llm.create_completion(
                "the cat", stop=each["until"], max_tokens=each["max_gen_toks"], seed=0,
                temperature=each.get("temperature", 0))
            self.assertEqual(text, wanted["choices"][0]["text"])
        with self.assertRaisesRegex(ValueError, "num_beams"):
            self.lm.generate_until(
                instances("generate_until",
                          ("the", {"until": [], "num_beams": 4, "max_gen_toks": 4})),
                disable_tqdm=True)

    def test_repeats_differ_where_sampled(self):
        settings = {"until": [], "max_gen_toks": 12}
        sampled, greedy = instances(
            "generate_until", ("the cat", {**settings, "do_sample": True, "temperature": 1.0}),
            ("the cat", settings))
        found = self.lm.generate_until([sampled, greedy] * 3, disable_tqdm=True)
        self.assertEqual(len(set(found[::2])), 3)
        self.assertEqual(len(set(found[1::2])), 1)
        wanted = [self.llm.create_completion("the cat", max_tokens=12, temperature=1, seed=seed)
                  ["choices"][0]["text"] for seed in range(3)]
        self.assertEqual(found[::2], wanted)

    def test_prompts_that_do_not_fit(self):
        with self.assertRaisesRegex(ValueError, "max_length is 64"):
            self.lm.loglikelihood(instances("loglikelihood", ("the cat " * 60, "us")),
                                  disable_tqdm=True)
        requests = [((), [5] * length, [6]) for length in (64, 65, 66)]
        self.lm._loglikelihood_tokens(requests[:1], disable_tqdm=True)
        for request in requests[1:]:
            with self.assertRaisesRegex(ValueError, f"{len(request[1])} tokens"):
                self.lm._loglikelihood_tokens([request], disable_tqdm=True)
        prompt = len(self.lm.tok_encode("the cat"))
        for most, fits in ((64 - prompt, True), (65 - prompt, False)):
            asked = instances("generate_until", ("the cat", {"until": [], "max_gen_toks": most}))
            if fits:
                self.lm.generate_until(asked, disable_tqdm=True)
                continue
            with self.assertRaisesRegex(ValueError, f"max_gen_toks, {most}.*max_length, 64"):
                self.lm.generate_until(asked, disable_tqdm=True)

    def test_chat_templates(self):
        with libgemma.LLM(TOY, threads=1) as llm:
            messages = [{"role": "user", "content": "the  cat\n\nna\u00efve \U0001f600"},
                        {"role": "assistant", "content": "a dog"},
                        {"role": "user", "content": "us"}]
            lm = GemmaLM(str(TOY), max_length=200, threads=1)
            text = lm.apply_chat_template(messages)
            self.assertIn("<start_of_turn>user\n", text)
            self.assertEqual(lm.tok_encode(text), llm.tokens(messages))
            lm._llm.close()


class RealTest(unittest.TestCase):
    def test_questions_as_transformers(self):
        def texts(line):
            return [f"Question: {line['question']}\nAnswer: {choice}" for choice in line["choices"]]

        task = {"task": "gemma_questions", "dataset_path": "json", "test_split": "test",
                "dataset_kwargs": {"data_files": {"test": str(CLIENTS / "questions.jsonl")}},
                "output_type": "multiple_choice", "doc_to_text": lambda line: "",
                "doc_to_choice": texts, "doc_to_target": lambda line: line["answer"],
                "target_delimiter": "", "metric_list": [
                    {"metric": "acc", "aggregation": "mean", "higher_is_better": True}]}
        result = lm_eval.simple_evaluate(
            model="libgemma", tasks=[task], bootstrap_iters=0, log_samples=True,
            model_args={"path": real_model(), "max_length": 1024, "activations": "float32",
                        "cache": "float32"})
        wanted = json.loads((CLIENTS / "likelihoods.json").read_text(encoding="utf-8"))
        found = {sample["doc_id"]: [pair[0] for pair in sample["filtered_resps"]]
                 for sample in result["samples"]["gemma_questions"]}
        self.assertEqual(sorted(found), list(range(len(wanted))))
        largest = max(abs(a - b) for i, row in enumerate(wanted)
                      for a, b in zip(found[i], row, strict=True))
        self.assertLessEqual(largest, MOST_NATS)
        accuracy = result["results"]["gemma_questions"]["acc,none"]
        print(f"lm-eval {lm_eval.__version__}: {len(wanted)} questions, largest difference "
              f"{largest:.4f} nats, accuracy {accuracy:.3f}")


if __name__ == "__main__":
    unittest.main()
