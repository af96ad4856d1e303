#!/usr/bin/env python3
"""Tools from the Python package openai: declared, forced, streamed, answered; every call is valid."""
import json
import typing
import unittest

import openai
import pydantic

from command import CommandTest
from openai_test import THINKER, gguf, options_of
from serving import NAME, TOY, Serving

CITIES = ["Paris", "Rome"]
WEATHER = {"type": "function", "function": {
    "name": "weather", "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"enum": CITIES}, "metric": {"type": "boolean"}},
                   "required": ["city", "metric"], "additionalProperties": False}}}
NOW = {"type": "function", "function": {"name": "now", "description": "The time."}}
NAMED = {"type": "function", "function": {"name": "weather"}}
ASKED = [{"role": "user", "content": "the cat"}]


class GetTime(pydantic.BaseModel):
    """The time at a place."""

    zone: typing.Literal["CET", "GMT"]


class ToolsTest(CommandTest):
    @classmethod
    def setUpClass(cls):
        cls.serving = Serving(models=(TOY, gguf(THINKER)))
        cls.addClassCleanup(cls.serving.end)
        cls.client = openai.OpenAI(**options_of(cls.serving))
        cls.addClassCleanup(cls.client.close)

    def chat(self, model, messages=None, tools=(WEATHER, NOW), seed=1, max_tokens=200, **fields):
        return self.client.chat.completions.create(
            model=model, messages=messages or ASKED, tools=list(tools), seed=seed, max_tokens=max_tokens, **fields)

    def check(self, name, arguments):
        values = json.loads(arguments)
        if name == "now":
            self.assertEqual(values, {})
            return
        self.assertEqual((name, set(values)), ("weather", {"city", "metric"}))
        self.assertIn(values["city"], CITIES)
        self.assertIsInstance(values["metric"], bool)

    def test_forced_calls_are_valid(self):
        for model in (NAME, THINKER):
            for seed in range(1, 4):
                answer = self.chat(model, seed=seed, tool_choice="required", parallel_tool_calls=False)
                [choice] = answer.choices
                self.assertEqual(choice.finish_reason, "tool_calls", answer)
                [call] = choice.message.tool_calls
                self.assertEqual(call.type, "function")
                self.check(call.function.name, call.function.arguments)
                [named] = self.chat(model, seed=seed, tool_choice=NAMED).choices[0].message.tool_calls
                self.assertEqual(named.function.name, "weather")
                self.check("weather", named.function.arguments)
                self.assertNotEqual(call.id, named.id)

    def test_streams_have_deltas(self):
        for model in (NAME, THINKER):
            pieces, ids, names, ends = {}, {}, {}, []
            for chunk in self.chat(model, tool_choice=NAMED, stream=True):
                [choice] = chunk.choices
                ends.append(choice.finish_reason)
                for call in choice.delta.tool_calls or []:
                    if call.id:
                        self.assertNotIn(call.index, ids)
                        ids[call.index], names[call.index] = call.id, call.function.name
                    pieces[call.index] = pieces.get(call.index, "") + (call.function.arguments or "")
            self.assertEqual((list(ids), names), ([0], {0: "weather"}))
            self.check("weather", pieces[0])
            self.assertEqual(ends[-1], "tool_calls")
            whole = self.chat(model, tool_choice=NAMED).choices[0].message.tool_calls[0]
            self.assertEqual(pieces[0], whole.function.arguments)

    def test_choices_of_tools(self):
        for model in (NAME, THINKER):
            none = self.chat(model, tool_choice="none", max_tokens=20).choices[0]
            self.assertIsNone(none.message.tool_calls)
            self.assertIn(none.finish_reason, ("stop", "length"))
            free = self.chat(model, max_tokens=20).choices[0]
            for call in free.message.tool_calls or []:
                self.check(call.function.name, call.function.arguments)
            with self.assertRaises(openai.BadRequestError) as caught:
                self.chat(model, tool_choice={"type": "function", "function": {"name": "other"}})
            self.assertIn("tool_choice", caught.exception.param)

    def test_results_go_back(self):
        for model in (NAME, THINKER):
            message = self.chat(model, tool_choice=NAMED).choices[0].message
            [call] = message.tool_calls
            result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
            answer = self.chat(model, messages=[*ASKED, message.model_dump(exclude_none=True), result], max_tokens=8)
            self.assertGreater(answer.usage.prompt_tokens, 8)

    def test_classes_become_tools(self):
        tool = openai.pydantic_function_tool(GetTime)
        for model in (NAME, THINKER):
            answer = self.client.chat.completions.parse(
                model=model, messages=ASKED, tools=[tool], tool_choice="required", parallel_tool_calls=False, seed=1,
                max_tokens=200)
            [call] = answer.choices[0].message.tool_calls
            self.assertIsInstance(call.function.parsed_arguments, GetTime)


if __name__ == "__main__":
    unittest.main()
