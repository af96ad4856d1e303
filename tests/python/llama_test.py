#!/usr/bin/env python3
"""The class with the common calls of llama_cpp.Llama."""
import pickle
import unittest
import warnings

import numpy as np

import libgemma
from libgemma.llama import Llama
from served import EMBEDDER, NEVER_ENDS, TOY

CAT = [{"role": "user", "content": "the cat"}]


class LlamaTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.llama = Llama(TOY, n_ctx=256, n_threads=1, seed=7, verbose=False)
        cls.addClassCleanup(cls.llama.close)
        cls.llm = libgemma.LLM(TOY, threads=1, context=256)
        cls.addClassCleanup(cls.llm.close)

    def text(self, answer):
        return answer["choices"][0]["text"]

    def test_completions(self):
        wanted = self.llm.create_completion("the cat", max_tokens=9, temperature=0.8, top_k=40,
                                            min_p=0.05, seed=7)
        answer = self.llama("the cat", max_tokens=9)
        self.assertEqual(answer["choices"], wanted["choices"])
        self.assertEqual(answer["object"], "text_completion")
        self.assertEqual(answer["usage"]["completion_tokens"], 9)
        self.assertEqual(self.text(self.llama(b"the cat", None, 9)), self.text(answer))
        self.assertNotEqual(self.text(self.llama("the cat", max_tokens=9, seed=8)),
                            self.text(answer))
        pieces = list(self.llama("the cat", max_tokens=9, stream=True, model="mine"))
        self.assertEqual("".join(self.text(piece) for piece in pieces), self.text(answer))
        self.assertEqual({piece["model"] for piece in pieces}, {"mine"})

    def test_limits_of_answers(self):
        bias = {int(token): value for token, value in NEVER_ENDS.items()}
        for most in (None, 0, -1):
            answer = self.llama.create_completion("the", max_tokens=most, logit_bias=bias)
            self.assertEqual(answer["usage"]["total_tokens"], 256)
        self.assertEqual(self.llama.create_completion("the", logit_bias=bias)["usage"]
                         ["completion_tokens"], 16)
        self.assertEqual(self.llama("the", logit_bias=bias)["usage"]["completion_tokens"], 16)

    def test_completions_take_turns(self):
        wanted = [self.text(self.llama(prompt, max_tokens=9)) for prompt in ("the cat", "the")]
        first, second = (self.llama(prompt, max_tokens=9, stream=True)
                         for prompt in ("the cat", "the"))
        begin = self.text(next(first))
        self.assertEqual("".join(map(self.text, second)), wanted[1])
        self.assertEqual(begin + "".join(map(self.text, first)), wanted[0])
        self.assertEqual(self.llama._llm._options["sequences"], 1)

    def test_chats(self):
        wanted = self.llm.create_chat_completion(CAT, max_tokens=9, temperature=0.2, top_k=40,
                                                 min_p=0.05, seed=7)
        answer = self.llama.create_chat_completion(CAT, max_tokens=9)
        self.assertEqual(answer["choices"], wanted["choices"])
        form = {"type": "json_object", "schema": {"enum": ["a", "b"]}}
        answer = self.llama.create_chat_completion(CAT, max_tokens=20, response_format=form)
        self.assertIn(answer["choices"][0]["message"]["content"], ('"a"', '"b"'))

    def test_tokens(self):
        self.assertEqual(self.llama.tokenize(b"the cat"),
                         [self.llama.token_bos(), *self.llm.tokenize("the cat")])
        self.assertEqual(self.llama.tokenize(b"the cat", add_bos=False),
                         self.llm.tokenize("the cat"))
        control = self.llama.tokenize(b"<end_of_turn>", add_bos=False, special=True)
        self.assertEqual(len(control), 1)
        self.assertGreater(len(self.llama.tokenize(b"<end_of_turn>", add_bos=False)), 1)
        self.assertEqual(self.llama.detokenize(control), b"")
        self.assertEqual(self.llama.detokenize(control, special=True), b"<end_of_turn>")
        for text in ("the cat", "  two\n\n blanks ", "naïve \U0001f600"):
            tokens = self.llama.tokenize(text.encode(), add_bos=False)
            self.assertEqual(self.llama.detokenize(tokens), text.encode())
            # Also where a token ends within a character.
            self.assertEqual(b"".join(self.llama.detokenize([token]) for token in tokens),
                             text.encode())

    def test_numbers(self):
        self.assertEqual(self.llama.n_ctx(), 256)
        self.assertEqual(self.llama.n_vocab(), self.llm._model.vocab_size)
        self.assertEqual(self.llama.n_embd(), self.llm._model.model_dim)
        self.assertEqual(self.llama.detokenize([self.llama.token_nl()]), b"\n")
        self.assertIn(self.llama.token_eos(), self.llm._model.stop_tokens)
        with Llama(TOY, n_ctx=0, n_threads=1) as llama:
            self.assertEqual(llama.n_ctx(), self.llm._model.max_context)

    def test_eval_equals_logits(self):
        tokens = self.llama.tokenize(b"the cat and the cat")
        wanted = self.llm.logits(tokens)
        with Llama(TOY, n_ctx=256, n_threads=1, logits_all=True) as llama:
            llama.eval(tokens[:3])
            llama.eval(tokens[3:])
            self.assertEqual(llama.n_tokens, len(tokens))
            self.assertEqual(list(llama.eval_tokens), tokens)
            self.assertEqual(llama.input_ids.tolist(), tokens)
            np.testing.assert_array_equal(llama.scores, wanted)
            self.assertEqual(list(llama.eval_logits), wanted.tolist())
        self.llama.eval(tokens)
        np.testing.assert_array_equal(self.llama.scores, wanted[-1:])
        self.llama("the", max_tokens=3)
        self.assertEqual(self.llama.n_tokens, len(tokens))
        self.llama.reset()
        self.assertEqual((self.llama.n_tokens, len(self.llama.scores)), (0, 0))
        self.llama.eval(tokens[:2])
        np.testing.assert_array_equal(self.llama.scores, wanted[1:2])
        self.llama.reset()

    def test_states_go_on(self):
        tokens = self.llama.tokenize(b"the cat and the cat")
        self.llama.reset()
        self.llama.eval(tokens[:3])
        state = pickle.loads(pickle.dumps(self.llama.save_state()))
        self.assertEqual((state.n_tokens, state.llama_state_size), (3, len(state.llama_state)))
        scores = self.llama.scores
        with Llama(TOY, n_ctx=256, n_threads=1) as other:
            other.load_state(state)
            self.assertEqual(other.n_tokens, 3)
            np.testing.assert_array_equal(other.scores, scores)
            other.eval(tokens[3:])
            np.testing.assert_array_equal(other.scores, self.llm.logits(tokens)[-1:])
        with Llama(TOY, n_ctx=128, n_threads=1) as other:
            with self.assertRaisesRegex(libgemma.InvalidArgumentError, "n_ctx 256, wanted 128"):
                other.load_state(state)
        with Llama(TOY, n_ctx=256, n_threads=1, logits_all=True) as other:
            with self.assertRaisesRegex(libgemma.InvalidArgumentError, "logits_all"):
                other.load_state(state)
        state.llama_state = state.llama_state[:-1]
        with self.assertRaises(libgemma.GemmaError):
            self.llama.load_state(state)
        self.assertEqual(self.llama.n_tokens, 3)
        self.llama.reset()

    def test_undone_calls(self):
        for name in ("sample", "generate"):
            with self.assertRaisesRegex(libgemma.UnimplementedError, name):
                getattr(self.llama, name)([2, 3], temp=0.5)
        self.llama.set_cache(None)

    def test_embeddings(self):
        with Llama(EMBEDDER, n_threads=1, embedding=True) as llama, \
                libgemma.LLM(EMBEDDER, threads=1, context=512) as llm:
            wanted = llm.create_embedding(["a", "us"])
            self.assertEqual(llama.create_embedding(["a", "us"])["data"], wanted["data"])
            self.assertEqual(llama.embed("us"), wanted["data"][1]["embedding"])
            self.assertEqual(len(llama.embed(["a", "us"])), 2)
        with self.assertRaises(libgemma.InvalidArgumentError):
            self.llama.embed("us")

    def test_undone_arguments(self):
        for name, value in (("rope_freq_scale", 0.5), ("draft_model", object()), ("type_k", 8),
                            ("chat_format", "chatml"), ("kv_overrides", {"a": 1}),
                            ("spm_infill", True), ("last_n_tokens_size", 0),
                            ("last_n_tokens_size", -1)):
            with self.subTest(name), self.assertRaisesRegex(libgemma.UnimplementedError, name):
                Llama(TOY, **{name: value})
        for name, value in (("mirostat_mode", 2), ("tfs_z", 0.5), ("grammar", object()),
                            ("logits_processor", [print]), ("stopping_criteria", [print])):
            with self.subTest(name), self.assertRaisesRegex(libgemma.UnimplementedError, name):
                self.llama("the", **{name: value})
        with self.assertRaisesRegex(libgemma.InvalidArgumentError, "temperature"):
            self.llama("the", temperature=-1.0)
        # The arguments after seed have another order in llama_cpp.
        positions = (None, 5, 0.8, 0.95, 0.05, 1.0, None, False, None, 0.0, 0.0, 1.0, 40, False, 7)
        self.llama("the", *positions)
        for call in (lambda: Llama(TOY, n_contxt=5), lambda: self.llama("the", max_tokns=5),
                     lambda: self.llama("the", *positions, 1.0)):
            with self.assertRaises(TypeError):
                call()
        with self.assertRaisesRegex(libgemma.UnimplementedError, "gemma pull hf://a/b/c.gguf"):
            Llama.from_pretrained("a/b", "c.gguf")

    def test_arguments_of_hardware(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            Llama(TOY, n_threads=1, flash_attn=True, use_mlock=False).close()
            self.assertEqual(caught, [])
            Llama(TOY, n_threads=1, n_gpu_layers=-1).close()
        self.assertIn("n_gpu_layers", str(caught[0].message))
        self.assertEqual(self.text(self.llama("the", mirostat_mode=0, mirostat_tau=5.0, seed=1)),
                         self.text(self.llama("the", seed=1)))


if __name__ == "__main__":
    unittest.main()
