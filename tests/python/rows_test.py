"""InputRows: rows of values among the tokens of a prompt."""
import unittest

import numpy as np
from toys import TUNED, load

import libgemma


class Rows(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.llm = load(TUNED)
        cls.addClassCleanup(cls.llm.close)
        cls.tokens = cls.llm.tokenize("the cat and the other cat", bos=True)
        cls.logits, cache = cls.llm.run_with_cache(cls.tokens, "embedding")
        cls.embeddings = cache["embedding"]

    def words(self, begin=2, end=5, **options):
        """Returns the tokens, some of which are rows with the same values."""
        rows = libgemma.InputRows(self.embeddings[begin:end], **options)
        self.assertEqual((len(rows), rows.model_dim), (end - begin, self.llm.model_dim))
        return [*self.tokens[:begin], rows, *self.tokens[end:]]

    def test_rows_equal_their_tokens(self):
        session = self.llm.session()
        np.testing.assert_array_equal(session.forward_all(self.words()), self.logits)
        self.assertEqual(session.tokens, [*self.tokens[:2], -1, -1, -1, *self.tokens[5:]])
        session.rewind(0)
        np.testing.assert_array_equal(session.forward(self.words()), self.logits[-1])
        session.rewind(0)
        session.append(self.words()[:-1])
        np.testing.assert_array_equal(session.forward(self.tokens[-1:]), self.logits[-1])

    def test_measures_equal_sessions(self):
        for words in (self.words(), tuple(self.words(0, 4)), self.words(5, len(self.tokens))):
            np.testing.assert_array_equal(self.llm.logits(words), self.logits)
            logits, cache = self.llm.run_with_cache(words, "embedding")
            np.testing.assert_array_equal(logits, self.logits)
            np.testing.assert_array_equal(cache["embedding"], self.embeddings)

    def test_answers_equal_their_tokens(self):
        wanted = self.llm.generate(self.tokens, seed=1, max_tokens=20)
        self.assertEqual(self.llm.generate(self.words(), seed=1, max_tokens=20).tokens,
                         wanted.tokens)
        many = self.llm.generate([self.words(0, 2), self.tokens], seed=1, max_tokens=20)
        self.assertEqual([answer.tokens for answer in many], [wanted.tokens] * 2)
        self.assertEqual("".join(self.llm.stream(self.words(), seed=1, max_tokens=20)),
                         wanted.text)

    def test_masks_differ(self):
        logits = self.llm.session().forward_all(self.words(bidirectional=True))
        np.testing.assert_array_equal(logits[:2], self.logits[:2])
        self.assertFalse(np.array_equal(logits[2], self.logits[2]))

    def test_wrong_rows_are_refused(self):
        width = self.llm.model_dim
        for values, says in ((np.zeros((0, width)), "at least one row"),
                             (np.full((2, width), np.nan), "finite"),
                             (np.zeros((2, 0)), "at least one row")):
            with self.assertRaisesRegex(libgemma.InvalidArgumentError, says):
                libgemma.InputRows(values)
        for values in (np.zeros(width), "x", [[1j]]):
            with self.assertRaises((TypeError, ValueError)):
                libgemma.InputRows(values)
        narrow = libgemma.InputRows(np.zeros((2, width - 1)))
        session = self.llm.session(max_tokens=4)
        for call in (session.forward, session.forward_all, session.append,
                     lambda words: self.llm.generate(words, max_tokens=1)):
            with self.assertRaisesRegex(libgemma.InvalidArgumentError, "model_dim|values"):
                call([2, narrow])
            with self.assertRaises((TypeError, ValueError)):
                call([2, libgemma.InputRows(np.zeros((1, width))), "x"])
        with self.assertRaisesRegex(libgemma.OutOfRangeError, "do not fit"):
            session.forward_all(self.words())
        self.assertEqual(session.position, 0)

    def test_wrong_tokens_have_places(self):
        rows = libgemma.InputRows(np.zeros((3, self.llm.model_dim)))
        session = self.llm.session()
        for words, place in ((["x", rows], 0), ([2, "x", rows], 1), ([2, rows, "x"], 2),
                             ((2, rows, rows, 5, "x"), 4)):
            with self.assertRaisesRegex(libgemma.InvalidArgumentError,
                                        f"token {place} of tokens is 'x'"):
                session.forward(words)
        with self.assertRaisesRegex(libgemma.InvalidArgumentError,
                                    "token 2 of the prompt is 'x'"):
            self.llm.generate([2, rows, "x"])

    def test_requests_refuse_rows(self):
        rows = libgemma.InputRows(np.zeros((3, self.llm.model_dim)))
        for call in (self.llm.create_completion, self.llm.create_embedding):
            for words in (rows, [2, rows]):
                with self.assertRaisesRegex(libgemma.InvalidArgumentError,
                                            "InputRows; generate and stream"):
                    call(words)
        with self.assertRaisesRegex(TypeError, "not JSON serializable"):
            self.llm.create_completion([2, object()])


if __name__ == "__main__":
    unittest.main()
