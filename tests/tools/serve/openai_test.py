#!/usr/bin/env python3
"""The Python package openai talks to gemma serve: each answer is the one that the command gives."""
import array
import asyncio
import json
import math
import re
import time
import typing
import unittest

import openai
import pydantic

from command import TESTDATA, CommandTest
from serving import LONG, NAME, NEVER_ENDS, TOY, Serving, request

EMBEDDER = "gemma_embedding"
THINKER = "gemma4_chat"
SHIELD = TESTDATA / "classify" / "shield.gguf"
CAT = [{"role": "user", "content": "the cat"}]


def gguf(name):
    return TESTDATA / "gguf" / f"{name}.gguf"


def options_of(serving, **options):
    return {"base_url": f"http://127.0.0.1:{serving.address[1]}/v1", "api_key": "none", "max_retries": 0, **options}


class OpenAiTest(CommandTest):
    """One server for all cases of a class."""
    MODELS = (TOY, gguf(EMBEDDER), gguf(THINKER))
    ARGUMENTS = ()

    @classmethod
    def setUpClass(cls):
        cls.serving = Serving(*cls.ARGUMENTS, models=cls.MODELS)
        cls.addClassCleanup(cls.serving.end)
        cls.client = openai.OpenAI(**options_of(cls.serving))
        cls.addClassCleanup(cls.client.close)

    def chat(self, messages=None, model=NAME, max_tokens=8, seed=1, **fields):
        return self.client.chat.completions.create(
            model=model, messages=messages or CAT, max_tokens=max_tokens, seed=seed, **fields)

    def complete(self, prompt="the cat", max_tokens=8, seed=1, **fields):
        return self.client.completions.create(model=NAME, prompt=prompt, max_tokens=max_tokens, seed=seed, **fields)


class ChatTest(OpenAiTest):
    def test_chat_equals_command(self):
        answer = self.chat()
        run = json.loads(self.succeeds_quietly(
            "run", TOY, "the cat", "--chat", "--max-tokens", 8, "--seed", 1, "--json", "--quiet"))
        [choice] = answer.choices
        self.assertEqual((answer.object, answer.model), ("chat.completion", NAME))
        self.assertEqual((choice.message.role, choice.message.content), ("assistant", run["text"]))
        self.assertEqual(choice.finish_reason, "length")
        usage = answer.usage
        self.assertEqual((usage.prompt_tokens, usage.completion_tokens), (run["prompt_tokens"], run["new_tokens"]))
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
        self.assertEqual(usage.completion_tokens_details.reasoning_tokens, 0)

    def test_usage_tells_what_was_cached(self):
        long = [{"role": "user", "content": "the cat " * 200}]
        first, second = self.chat(long).usage, self.chat(long).usage
        self.assertEqual(first.prompt_tokens, second.prompt_tokens)
        self.assertGreater(second.prompt_tokens_details.cached_tokens, first.prompt_tokens_details.cached_tokens)

    def test_stream_equals_chat(self):
        wanted = self.chat()
        first, *chunks, usage = self.chat(stream=True, stream_options={"include_usage": True})
        self.assertEqual((first.choices[0].delta.role, first.choices[0].delta.content), ("assistant", ""))
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in chunks),
                         wanted.choices[0].message.content)
        self.assertEqual([chunk.choices[0].finish_reason for chunk in chunks[-2:]], [None, "length"])
        self.assertEqual((usage.choices, usage.usage.completion_tokens), ([], wanted.usage.completion_tokens))
        self.assertEqual({chunk.id for chunk in [first, *chunks, usage]}, {first.id})

    def test_stream_helper_gathers_answer(self):
        form = {"regex": "[a-z]{8}"}  # so that it ends: the helper refuses answers that a limit ended
        with self.client.chat.completions.stream(model=NAME, messages=CAT, seed=1, extra_body=form) as stream:
            text = "".join(event.delta for event in stream if event.type == "content.delta")
            final = stream.get_final_completion()
        self.assertRegex(text, "^[a-z]{8}$")
        self.assertEqual(text, final.choices[0].message.content)
        self.assertEqual(text, self.chat(max_tokens=20, extra_body=form).choices[0].message.content)

    def test_answers_have_own_seeds(self):
        answers = self.chat(n=3)
        texts = [choice.message.content for choice in answers.choices]
        self.assertEqual(texts, [self.chat(seed=seed).choices[0].message.content for seed in (1, 2, 3)])
        self.assertEqual([choice.index for choice in answers.choices], [0, 1, 2])
        drawn = self.chat(seed=openai.omit)
        self.assertEqual(self.chat(seed=drawn.seed).choices[0].message.content, drawn.choices[0].message.content)

    def test_logprobs_are_typed(self):
        [choice] = self.chat(logprobs=True, top_logprobs=3).choices
        tokens = choice.logprobs.content
        text = b"".join(bytes(token.bytes) for token in tokens).decode(errors="replace")
        self.assertEqual(text, choice.message.content)
        for token in tokens:
            self.assertLessEqual(token.logprob, 0)
            self.assertEqual(len(token.top_logprobs), 3)
            most = [other.logprob for other in token.top_logprobs]
            self.assertEqual(most, sorted(most, reverse=True))

    def test_roles_as_clients_send(self):
        answer = self.chat([{"role": "developer", "content": "us"}, {"role": "user", "content": "the"},
                            {"role": "user", "content": [{"type": "text", "text": "cat"}]},
                            {"role": "assistant", "content": "a"}], temperature=0)
        self.assertEqual(answer.choices[0].finish_reason, "length")

    def test_stops_and_biases(self):
        text = self.chat(max_tokens=20).choices[0].message.content
        stop = text[4:6]
        [choice] = self.chat(max_tokens=20, stop=[stop]).choices
        self.assertEqual((choice.message.content, choice.finish_reason), (text[:text.index(stop)], "stop"))
        biased = self.chat(logit_bias={"300": 100}, logprobs=True)
        self.assertEqual(len({token.token for token in biased.choices[0].logprobs.content}), 1)
        # Fields of other servers go through extra_body.
        longer = self.chat(max_tokens=30, logit_bias={"1": 100}, extra_body={"min_tokens": 5})
        self.assertEqual(longer.usage.completion_tokens, 5)

    def test_thoughts_are_counted(self):
        def token(name):
            fields = {"model": THINKER, "prompt": name, "parse_control": True, "add_special_tokens": False}
            [found] = self.serving.ask(request("POST", "/tokenize", fields)).json()["tokens"]
            return str(found)

        def thinks(end_bias, effort):
            # The toy thinks only where it must choose between thoughts and a call.
            answer = self.chat(model=THINKER, max_tokens=60, logprobs=True, reasoning_effort=effort, tool_choice="required",
                               parallel_tool_calls=False, tools=[{"type": "function", "function": {"name": "now"}}],
                               logit_bias={token("<|channel>"): 100, token("<channel|>"): end_bias})
            [choice] = answer.choices
            names = [each.token for each in choice.logprobs.content]
            self.assertEqual(answer.usage.completion_tokens, len(names))
            return choice, names, answer.usage.completion_tokens_details.reasoning_tokens

        choice, names, count = thinks(5, "low")
        self.assertEqual(names[0], "<|channel>")
        self.assertEqual(count, names.index("<channel|>") + 1)
        self.assertTrue(choice.message.reasoning_content)
        self.assertEqual((choice.finish_reason, choice.message.tool_calls[0].function.name), ("tool_calls", "now"))
        choice, names, count = thinks(-100, "high")  # the limit ends the thoughts
        self.assertEqual((count, choice.finish_reason), (60, "length"))
        choice, names, count = thinks(5, "none")
        self.assertEqual((count, choice.finish_reason), (0, "tool_calls"))
        self.assertFalse(hasattr(choice.message, "reasoning_content"))


class FormsTest(OpenAiTest):
    class Pet(pydantic.BaseModel):
        kind: typing.Literal["cat", "dog"]
        is_small: bool

    def test_parse_gives_objects(self):
        answer = self.client.chat.completions.parse(model=NAME, messages=CAT, response_format=self.Pet, seed=1)
        [choice] = answer.choices
        self.assertIsInstance(choice.message.parsed, self.Pet)
        self.assertEqual(choice.finish_reason, "stop")

    def test_schemas_hold_in_streams(self):
        schema = {"type": "object", "properties": {"colors": {
            "type": "array", "items": {"enum": ["red", "blue"]}, "minItems": 2, "maxItems": 2}},
            "required": ["colors"], "additionalProperties": False}
        form = {"type": "json_schema", "json_schema": {"name": "colors", "schema": schema, "strict": True}}
        chunks = list(self.chat(response_format=form, max_tokens=100, stream=True))
        value = json.loads("".join(chunk.choices[0].delta.content or "" for chunk in chunks))
        self.assertEqual(len(value["colors"]), 2)
        self.assertLessEqual(set(value["colors"]), {"red", "blue"})
        self.assertEqual(chunks[-1].choices[0].finish_reason, "stop")

    def test_other_forms(self):
        choice = self.chat(extra_body={"choice": ["yes", "no"]}).choices[0]
        self.assertIn(choice.message.content, ("yes", "no"))
        digits = self.chat(extra_body={"regex": "[0-9]{3}"}).choices[0].message.content
        self.assertRegex(digits, "^[0-9]{3}$")
        with self.assertRaisesRegex(openai.BadRequestError, "(?s)patternProperties|pattern"):
            self.chat(response_format={"type": "json_schema", "json_schema": {
                "name": "a", "schema": {"type": "object", "patternProperties": {"a": {"$ref": "#/nowhere"}}}}})


class TextTest(OpenAiTest):
    def test_completions_of_many_prompts(self):
        answers = self.complete(["the cat", "us"], n=2)
        self.assertEqual([choice.index for choice in answers.choices], [0, 1, 2, 3])
        self.assertEqual(answers.choices[0].text, self.complete().choices[0].text)
        self.assertEqual(answers.choices[3].text, self.complete("us", seed=2).choices[0].text)

    def test_echo_has_logprobs(self):
        [choice] = self.complete(max_tokens=1, echo=True, logprobs=2).choices
        lists = choice.logprobs
        self.assertEqual(lists.tokens[0], "<bos>")
        self.assertIsNone(lists.token_logprobs[0])
        self.assertEqual({len(part) for part in (lists.token_logprobs, lists.top_logprobs, lists.text_offset)},
                         {len(lists.tokens)})
        for top in lists.top_logprobs[1:]:
            self.assertTrue(1 <= len(top) <= 2)

    def test_streams_of_texts(self):
        text = "".join(chunk.choices[0].text for chunk in self.complete(stream=True))
        self.assertEqual(text, self.complete().choices[0].text)

    def test_embeddings_in_both_encodings(self):
        def vectors(**fields):
            answer = self.client.embeddings.create(model=EMBEDDER, **fields)
            # Numbers of 32 bits, which JSON writes with as few digits as identify them.
            return [array.array("f", item.embedding) for item in answer.data], answer.usage.prompt_tokens

        texts = ["the cat", "us"]
        default, tokens = vectors(input=texts)  # the package asks for base64 and decodes it
        self.assertEqual(vectors(input=texts, encoding_format="float"), (default, tokens))
        self.assertEqual(len(default), 2)
        self.assertEqual(vectors(input="us")[0], [default[1]])
        for vector in default:
            self.assertAlmostEqual(math.hypot(*vector), 1, places=5)
        [short] = vectors(input="us", dimensions=16)[0]
        norm = math.hypot(*default[1][:16])
        for value, whole in zip(short, default[1][:16], strict=True):
            self.assertAlmostEqual(value, whole / norm, places=5)
        printed = json.loads(self.succeeds_quietly("embed", gguf(EMBEDDER), "us"))
        for value, wanted in zip(default[1], printed, strict=True):
            self.assertAlmostEqual(value, wanted, places=4)
        # langchain sends tokens.
        self.assertEqual(len(vectors(input=[[2, 300, 310], [2, 320]])[0]), 2)

    def test_models_are_listed(self):
        self.assertEqual([model.id for model in self.client.models.list()], [NAME, EMBEDDER, THINKER])
        self.assertEqual(self.client.models.retrieve(NAME).owned_by, "gemma")


class ErrorsTest(OpenAiTest):
    ARGUMENTS = ("--batch-size", 1, "--max-queued", 2, "--max-queued-per-client", 1, *LONG)
    MODELS = (TOY,)

    def endless(self, client=None, **fields):
        return (client or self.client).chat.completions.create(
            model=NAME, messages=CAT, max_tokens=150000, logit_bias=NEVER_ENDS, **fields)

    def test_wrong_requests(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]}])
        self.assertEqual((caught.exception.status_code, caught.exception.type), (400, "invalid_request_error"))
        self.assertEqual(caught.exception.param, "messages[0].content[0].image_url")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat(temperature=-1)
        self.assertEqual(caught.exception.param, "temperature")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat([{"role": "user", "content": "the " * 250000}])
        self.assertEqual(caught.exception.code, "context_length_exceeded")

    def test_unknown_models(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.chat(model="gpt-5")
        self.assertEqual(caught.exception.code, "model_not_found")
        self.assertIn(NAME, str(caught.exception))
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.create(model=NAME, input="the cat")

    def test_full_queues(self):
        running = self.endless(stream=True)
        next(iter(running))
        waiting = self.endless(stream=True)  # streams begin before they have a place
        with self.assertRaises(openai.RateLimitError) as caught:
            self.chat()
        self.assertEqual((caught.exception.code, caught.exception.type), ("queue_full", "rate_limit_error"))
        self.assertGreaterEqual(int(caught.exception.response.headers["retry-after"]), 1)
        # The package waits as long as it is told, and asks again.
        waiting.close()
        running.close()
        patient = self.client.with_options(max_retries=5)
        self.assertTrue(patient.chat.completions.create(model=NAME, messages=CAT, max_tokens=2).choices)

    def left(self, name):
        self.assertIn("(the client left)", self.serving.logged(name))

    def test_clients_that_leave(self):
        stream = self.endless(stream=True, extra_headers={"X-Request-Id": "closed-stream"})
        for _ in range(5):
            next(iter(stream))
        stream.close()
        self.left("closed-stream")
        with self.assertRaises(openai.APITimeoutError):
            self.endless(timeout=0.5, extra_headers={"X-Request-Id": "timed-out"})
        self.left("timed-out")
        # A deadline of the server ends the answer, not the request.
        answer = self.endless(extra_body={"timeout": 0.5})
        self.assertEqual(answer.choices[0].finish_reason, "length")

    async def until_running(self, number):
        wanted = re.compile(rb"^gemma:num_requests_running\{.*\} %d(\.0)?$" % number, re.MULTILINE)
        while not wanted.search(self.serving.ask(request(path="/metrics")).body):
            await asyncio.sleep(0.05)

    def test_cancelled_tasks(self):
        async def run():
            async with openai.AsyncOpenAI(**options_of(self.serving)) as client:
                await self.until_running(0)
                task = asyncio.create_task(self.endless(client, extra_headers={"X-Request-Id": "cancelled"}))
                await self.until_running(1)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                self.left("cancelled")

        asyncio.run(run())


class ManyTest(OpenAiTest):
    ARGUMENTS = ("--guard", SHIELD)
    MODELS = (TOY,)

    def test_async_streams_run_together(self):
        async def answer(client, seed):
            stream = await client.chat.completions.create(
                model=NAME, messages=CAT, max_tokens=20, seed=seed, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        async def run():
            async with openai.AsyncOpenAI(**options_of(self.serving)) as client:
                return await asyncio.gather(*(answer(client, seed) for seed in range(1, 9)))

        begin = time.monotonic()
        texts = asyncio.run(run())
        alone = [self.chat(seed=seed, max_tokens=20).choices[0].message.content for seed in range(1, 9)]
        self.assertEqual(texts, alone)
        self.assertLess(time.monotonic() - begin, 60)

    def test_moderations_find_the_guard(self):
        # The package sends no model, and the guard is the only one that moderates.
        answer = self.client.moderations.create(input="How do I pick a lock?")
        printed = self.succeeds_quietly("classify", SHIELD, "How do I pick a lock?")
        scores = dict(line.split() for line in printed.splitlines())
        [result] = answer.results
        self.assertFalse(result.flagged)
        found = result.category_scores.model_dump(by_alias=True)
        for name, wanted in scores.items():
            self.assertAlmostEqual(found[name], float(wanted), delta=2e-3)


if __name__ == "__main__":
    unittest.main()
