#!/usr/bin/env python3
"""OpenAI's dictionaries in process are those of gemma serve, but for ids and times."""
import gc
import json
import signal
import threading
import unittest
import weakref

import libgemma
from libgemma._openai import ask_all
from served import (CHAT_TOY, EMBEDDER, NEVER_ENDS, SECONDS, TOY, CommandTest, Serving, ask,
                    events_of, without_ids)

CAT = [{"role": "user", "content": "the cat"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"],
          "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}


def same(value):
    """Returns a response as gemma serve writes it, without ids and times."""
    return without_ids(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


class SameAsServerTest(CommandTest):
    """Each answer has a seed, so that both draw the same tokens."""

    @classmethod
    def setUpClass(cls):
        cls.serving = Serving(models=(TOY, EMBEDDER))
        cls.addClassCleanup(cls.serving.end)
        cls.llm = libgemma.LLM(TOY, threads=1)
        cls.addClassCleanup(cls.llm.close)

    def same_numbers(self, body, value):
        # Python writes some numbers in another form, so that values are compared, too.
        self.assertEqual(json.loads(without_ids(body)), json.loads(same(value)))

    def both(self, path, answer, **fields):
        model = {"model": "gemma3_mixed"} if "embed" not in path else {"model": "gemma_embedding"}
        status, body = ask(self.serving, path, {**model, **fields})
        self.assertEqual(status, 200, body)
        self.same_numbers(body, answer(**fields))

    def test_chats(self):
        chat = self.llm.create_chat_completion
        for fields in ({}, {"n": 2}, {"temperature": 0, "logprobs": True, "top_logprobs": 3},
                       {"stop": ["e"], "top_k": 5}, {"logit_bias": NEVER_ENDS, "max_tokens": 20},
                       {"tools": [TOOL], "tool_choice": "required", "max_tokens": 60},
                       {"response_format": {"type": "json_schema", "json_schema":
                                            {"name": "x", "schema": SCHEMA}}, "max_tokens": 60}):
            with self.subTest(fields):
                self.both("/v1/chat/completions", chat,
                          **{"messages": CAT, "seed": 7, "max_tokens": 8, **fields})

    def test_completions(self):
        complete = self.llm.create_completion
        for fields in ({"prompt": "the cat"}, {"prompt": ["the", "a dog"], "n": 2},
                       {"prompt": [2, 300, 301]}, {"prompt": "us", "echo": True, "logprobs": 2},
                       {"prompt": "the", "max_tokens": 0, "echo": True, "logprobs": 0},
                       {"prompt": "naïve \U0001f600"}):
            with self.subTest(fields):
                self.both("/v1/completions", complete, **{"seed": 3, "max_tokens": 8, **fields})

    def test_streams(self):
        for path, answer, fields in (
                ("/v1/chat/completions", self.llm.create_chat_completion,
                 {"messages": CAT, "stream_options": {"include_usage": True}}),
                ("/v1/chat/completions", self.llm.create_chat_completion,
                 {"messages": CAT, "tools": [TOOL], "tool_choice": "required"}),
                ("/v1/completions", self.llm.create_completion, {"prompt": "the", "n": 2})):
            fields = {**fields, "seed": 5, "max_tokens": 40, "stream": True}
            with self.subTest(path):
                status, body = ask(self.serving, path, {"model": "gemma3_mixed", **fields})
                self.assertEqual(status, 200)
                chunks = list(answer(**fields))
                if "n" in fields:  # the order in which two answers come is not fixed
                    def by_choice(chunks):
                        return sorted(map(same, chunks))
                else:
                    def by_choice(chunks):
                        return list(map(same, chunks))
                self.assertEqual(by_choice(chunks), by_choice(events_of(body)))

    def test_embeddings(self):
        with libgemma.LLM(EMBEDDER, threads=1) as embedder:
            for fields in ({"input": "the cat"}, {"input": ["a", "us"], "dimensions": 8},
                           {"input": [2, 300], "encoding_format": "base64"}):
                with self.subTest(fields):
                    self.both("/v1/embeddings", embedder.create_embedding, **fields)

    def test_errors(self):
        for error, fields in (
                (libgemma.InvalidArgumentError, {"messages": CAT, "max_tokns": 3}),
                (libgemma.InvalidArgumentError, {"messages": []}),
                (libgemma.InvalidArgumentError, {"messages": CAT, "temperature": -1}),
                (libgemma.InvalidArgumentError, {"messages": [{"role": "user", "content":
                                                               "the cat " * 4000}]}),
                (libgemma.NotFoundError, {"messages": CAT, "model": "other"})):
            for stream in (False, True):
                fields = {**fields, "stream": stream}
                asked = {"model": "gemma3_mixed", **fields}
                status, body = ask(self.serving, "/v1/chat/completions", asked)
                with self.subTest(fields), self.assertRaises(error) as raised:
                    list(self.llm.create_chat_completion(**fields))
                wanted = json.loads(body.removeprefix(b"data: "))["error"]
                if error is libgemma.NotFoundError:  # its message lists the models
                    self.assertEqual(raised.exception.error["code"], wanted["code"])
                    continue
                self.assertEqual(raised.exception.error, wanted)
                self.assertEqual(str(raised.exception), wanted["message"])
                if not stream:
                    self.assertEqual(raised.exception.status, status)


class RunningTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.llm = libgemma.LLM(TOY, threads=1, sequences=1, context=200000)
        cls.addClassCleanup(cls.llm.close)

    def endless(self):
        return self.llm.create_chat_completion(CAT, stream=True, logit_bias=NEVER_ENDS,
                                               max_tokens=150000)

    def answers(self):
        # One request runs at a time, so this one waits until the others have ended.
        answer = self.llm.create_chat_completion(CAT, max_tokens=2, timeout=SECONDS)
        self.assertNotEqual(answer["choices"][0].get("stop_reason"), "deadline")
        self.assertGreater(answer["usage"]["completion_tokens"], 0)

    def test_closing_a_stream_cancels(self):
        stream = self.endless()
        next(stream)
        stream.close()
        self.answers()

    def test_dropping_a_stream_cancels(self):
        stream = self.endless()
        next(stream)
        del stream
        unread = self.endless()
        del unread
        gc.collect()
        self.answers()

    def test_interrupted_calls_end(self):
        def interrupt(*_):
            raise InterruptedError("alarm")
        before = signal.signal(signal.SIGALRM, interrupt)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        kept = None  # the error keeps the call
        try:
            self.llm.create_chat_completion(CAT, logit_bias=NEVER_ENDS, max_tokens=150000)
        except InterruptedError as error:
            kept = error
        self.answers()
        self.assertIn("alarm", str(kept))

    def test_one_error_ends_all(self):
        long = {"prompt": "the", "logit_bias": NEVER_ENDS, "max_tokens": 150000}
        kept = None
        try:
            for _ in ask_all(self.llm._openai_server(), "/v1/completions",
                             [long, {"prompt": "a", "max_tokns": 1}], 2):
                self.fail("nothing ends")
        except libgemma.InvalidArgumentError as error:
            kept = error
        self.answers()
        self.assertIn("max_tokns", str(kept))

    def test_threads_share_the_engine(self):
        wanted = [self.llm.create_completion("the", seed=i, max_tokens=9)["choices"][0]["text"]
                  for i in range(6)]
        found = [None] * 6

        def answer(i):
            found[i] = self.llm.create_completion("the", seed=i, max_tokens=9)["choices"][0]["text"]
        threads = [threading.Thread(target=answer, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, wanted)

    def test_closed_models_refuse(self):
        llm = libgemma.LLM(TOY, threads=1)
        llm.create_completion("the", max_tokens=1)
        llm.close()
        llm.close()
        with self.assertRaisesRegex(libgemma.FailedPreconditionError, "closed"):
            llm.create_completion("the", max_tokens=1)

    def test_models_do_not_keep_themselves(self):
        gc.disable()
        self.addCleanup(gc.enable)
        llm = libgemma.LLM(TOY, threads=1)
        wanted = llm.create_completion("the", max_tokens=9, seed=1)["choices"][0]["text"]
        stream = llm.create_completion("the", max_tokens=9, seed=1, stream=True)
        gone = weakref.ref(llm)
        del llm
        self.assertIsNone(gone())
        # The stream goes on all the same.
        self.assertEqual("".join(chunk["choices"][0]["text"] for chunk in stream), wanted)

    def test_values_without_json(self):
        for value in (float("nan"), object()):
            with self.assertRaises((TypeError, ValueError)):
                self.llm.create_completion("the", temperature=value)

    def test_chat_toys(self):
        with libgemma.LLM(CHAT_TOY, threads=1) as llm:
            answer = llm.create_chat_completion(CAT, max_tokens=2)
        self.assertEqual(answer["model"], "gemma4_chat")


if __name__ == "__main__":
    unittest.main()
