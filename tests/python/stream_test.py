"""Answers that arrive in parts, in threads and in event loops."""
import asyncio
import concurrent.futures
import gc
import threading
import unittest
from unittest import mock

from toys import ENDLESS, LONG_CONTEXT, SECONDS, TOOLS, cancelled, load, wait_until

import libgemma
from libgemma import _streams

PROMPTS = [f"Prompt {index % 5} {'word ' * (index % 9)}" for index in range(32)]


class StreamTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.llm = load(context=LONG_CONTEXT)
        cls.addClassCleanup(cls.llm.close)

    def assert_cancelled(self, before):
        self.assertEqual(cancelled(self.llm), before + 1)

    def setUp(self):
        self.before = cancelled(self.llm)


class Stream(StreamTest):

    def test_texts_are_the_answer(self):
        for seed in range(5):
            stream = self.llm.stream("Hi", seed=seed, max_tokens=50)
            text = "".join(stream)
            whole = self.llm.generate("Hi", seed=seed, max_tokens=50)
            self.assertEqual(text, whole.text)
            self.assertEqual(stream.completion.tokens, whole.tokens)
            self.assertEqual(list(stream), [])

    def test_texts_come_early(self):
        stream = self.llm.stream("Hi", **ENDLESS)
        self.assertTrue(next(stream))
        self.assertIsNone(stream.completion)
        stream.close()
        self.assertRaises(StopIteration, next, stream)
        self.assertIsNone(stream.completion)
        self.assert_cancelled(self.before)

    def test_garbage_cancels(self):
        stream = self.llm.stream("Hi", **ENDLESS)
        next(stream)
        del stream
        gc.collect()
        self.assert_cancelled(self.before)

    def test_close_from_other_threads(self):
        for _ in range(20):
            stream = self.llm.stream("Hi", **ENDLESS)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                rest = pool.submit(list, stream)
                stream.close()
                rest.result(timeout=SECONDS)
        self.assertEqual(cancelled(self.llm), self.before + 20)

    def test_context_manager_cancels(self):
        with self.llm.stream("Hi", **ENDLESS) as stream:
            for index, _ in enumerate(stream):
                if index == 3:
                    break
        self.assert_cancelled(self.before)

    def test_waiting_requests_are_cancelled(self):
        streams = [self.llm.stream("Hi", **ENDLESS) for _ in range(20)]
        next(streams[0])
        for stream in streams:
            stream.close()
        self.assertEqual(cancelled(self.llm), self.before + 20)

    def test_chats_stream(self):
        chat = [{"role": "user", "content": "Hi"}]
        self.assertEqual("".join(self.llm.stream(chat, seed=1, max_tokens=20)),
                         self.llm.chat(chat, seed=1, max_tokens=20).text)

    def test_pieces_of_tools(self):
        tools = [{"type": "function", "function": {
            "name": "weather", "parameters": {
                "type": "object", "properties": {"city": {"type": "string", "maxLength": 9}},
                "required": ["city"]}}}]
        with load(TOOLS) as llm:
            pieces = list(llm.stream([{"role": "user", "content": "Hi"}], tools=tools,
                                     tool_choice="required", parallel_tool_calls=False,
                                     seed=3).pieces())
        completion = pieces[-1].completion
        calls = [piece.tool_call for piece in pieces if piece.tool_call]
        self.assertEqual([call.name for call in calls if call.name], ["weather"])
        self.assertEqual("".join(call.arguments for call in calls),
                         completion.tool_calls[0].arguments)
        self.assertEqual({call.index for call in calls}, {0})

    def test_errors_come_at_once(self):
        with self.assertRaises(libgemma.InvalidArgumentError):
            self.llm.stream("Hi", temperature=-1)

    def test_threads_share_an_llm(self):
        texts = {}

        def answer(index):
            texts[index] = "".join(self.llm.stream(PROMPTS[index], seed=index, max_tokens=30))

        threads = [threading.Thread(target=answer, args=(index,)) for index in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for index, text in texts.items():
            self.assertEqual(text, self.llm.generate(PROMPTS[index], seed=index,
                                                     max_tokens=30).text)


class Async(StreamTest):

    async def gather(self, prompt, **options):
        texts, completion = [], None
        async for piece in self.llm.astream(prompt, **options):
            texts.append(piece.text)
            completion = piece.completion
        return "".join(texts), completion

    def test_many_at_once(self):
        async def main():
            return await asyncio.gather(*(self.gather(prompt, seed=seed, max_tokens=40)
                                          for seed, prompt in enumerate(PROMPTS)))

        for seed, (text, completion) in enumerate(asyncio.run(main())):
            alone = self.llm.generate(PROMPTS[seed], seed=seed, max_tokens=40)
            self.assertEqual((text, completion.tokens), (alone.text, alone.tokens))

    def test_agenerate_equals_generate(self):
        async def main():
            return (await self.llm.agenerate(PROMPTS, seed=1, max_tokens=20),
                    await self.llm.agenerate("Hi", seed=1, max_tokens=20))

        many, one = asyncio.run(main())
        self.assertEqual([answer.tokens for answer in many],
                         [answer.tokens
                          for answer in self.llm.generate(PROMPTS, seed=1, max_tokens=20)])
        self.assertEqual(one.tokens, self.llm.generate("Hi", seed=1, max_tokens=20).tokens)

    def test_break_cancels(self):
        async def main():
            async for piece in self.llm.astream("Hi", **ENDLESS):
                self.assertTrue(piece.text)
                break

        asyncio.run(main())
        self.assert_cancelled(self.before)

    def test_cancelled_tasks_cancel(self):
        async def main():
            tasks = [asyncio.create_task(self.gather("Hi", **ENDLESS)),
                     asyncio.create_task(self.llm.agenerate("Hi", **ENDLESS)),
                     asyncio.create_task(self.llm.agenerate(["Hi"], **ENDLESS))]
            await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task

        asyncio.run(main())
        self.assertEqual(cancelled(self.llm), self.before + 3)

    def test_aclose_ends(self):
        async def main():
            stream = self.llm.astream("Hi", **ENDLESS)
            await stream.__anext__()
            await stream.aclose()
            with self.assertRaises(StopAsyncIteration):
                await stream.__anext__()

        asyncio.run(main())
        self.assert_cancelled(self.before)

    def test_close_wakes_other_tasks(self):
        async def main():
            stream = self.llm.astream("A prompt to read. " * 2000, **ENDLESS)
            first = asyncio.create_task(stream.__anext__())
            await asyncio.sleep(0)
            stream.close()
            with self.assertRaises(StopAsyncIteration):
                await asyncio.wait_for(first, SECONDS)

        asyncio.run(main())
        self.assert_cancelled(self.before)

    def test_loop_goes_on(self):
        async def main():
            stream = self.llm.astream("Hi", **ENDLESS)
            turns = 0
            for _ in range(50):
                await asyncio.sleep(0)
                turns += 1
            async for _ in stream:
                break
            return turns

        self.assertEqual(asyncio.run(main()), 50)
        self.assert_cancelled(self.before)

    def test_two_readers_are_refused(self):
        async def main():
            stream = self.llm.astream("A prompt to read. " * 500, max_tokens=3)
            first = asyncio.create_task(stream.__anext__())
            await asyncio.sleep(0)
            with self.assertRaisesRegex(RuntimeError, "another task"):
                await stream.__anext__()
            await first

        asyncio.run(main())

    def test_loops_follow_each_other(self):
        async def main(seed):
            return (await self.gather("Hi", seed=seed, max_tokens=9))[0]

        texts = {asyncio.run(main(1)) for _ in range(3)}
        self.assertEqual(len(texts), 1)

    def test_loops_of_threads(self):
        texts = {}

        def run(index):
            texts[index] = asyncio.run(self.gather(PROMPTS[index], seed=1, max_tokens=20))[0]

        threads = [threading.Thread(target=run, args=(index,)) for index in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([texts[index] for index in range(6)],
                         [answer.text for answer in
                          self.llm.generate(PROMPTS[:6], seed=1, max_tokens=20)])

    def test_loop_ends_with_requests(self):
        async def main():
            streams.append(self.llm.astream("Hi", **ENDLESS))
            await streams[0].__anext__()

        streams = []
        asyncio.run(main())
        streams.clear()
        self.assert_cancelled(self.before)

    def test_pass_wakes_loop_once(self):
        read = _streams._LoopInbox._read
        wakes = []

        def counted(inbox):
            wakes.append(1)
            read(inbox)

        async def main(llm):
            async def tokens_of(prompt):
                async for piece in llm.astream(prompt, min_tokens=40, max_tokens=40):
                    completion = piece.completion
                return len(completion.tokens)

            return await asyncio.gather(*map(tokens_of, PROMPTS))

        with load(sequences=len(PROMPTS)) as llm, \
                mock.patch.object(_streams._LoopInbox, "_read", counted):
            self.assertEqual(asyncio.run(main(llm)), [40] * len(PROMPTS))
            passes = llm._engine.snapshot()["passes"]
        self.assertGreater(len(wakes), 0)
        self.assertLessEqual(len(wakes), passes)

    def test_astream_needs_a_loop(self):
        with self.assertRaisesRegex(RuntimeError, "no running event loop"):
            self.llm.astream("Hi")

    def test_wrong_prompts_raise(self):
        async def main():
            with self.assertRaises(libgemma.InvalidArgumentError):
                self.llm.astream("Hi", top_p=9)
            with self.assertRaises(libgemma.InvalidArgumentError):
                await self.llm.agenerate(["Hi"] * 3 + [[9999999]], **ENDLESS)

        asyncio.run(main())
        wait_until(lambda: self.llm._engine.snapshot()["running"] == 0)


del StreamTest

if __name__ == "__main__":
    unittest.main()
