"""Forms of answers: schemas, expressions, choices and tools."""

from __future__ import annotations

import json
from typing import Any, Iterable, Mapping

from libgemma._errors import InvalidArgumentError

_FORMS = ("schema", "regex", "choices", "json")


def _schema_text(schema: Any) -> str:
    if isinstance(schema, str):
        return schema
    if hasattr(schema, "model_json_schema"):  # a class of pydantic
        schema = schema.model_json_schema()
    elif hasattr(schema, "json_schema"):  # its TypeAdapter
        schema = schema.json_schema()
    if isinstance(schema, (Mapping, bool)):
        return json.dumps(schema, ensure_ascii=False)
    raise InvalidArgumentError(
        f"schema is {schema!r:.100}, wanted a dictionary, its JSON or a class of pydantic")


def _read_choice(choice: Any) -> dict[str, Any]:
    if isinstance(choice, Mapping):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else choice.get("name")
        if choice.get("type", "function") == "function" and isinstance(name, str):
            return {"tool_choice": "required", "tool_names": [name]}
    elif choice in (None, "auto", "none", "required"):
        return {"tool_choice": choice or "auto"}
    elif isinstance(choice, str):
        return {"tool_choice": "required", "tool_names": [choice]}
    raise InvalidArgumentError(
        f"tool_choice is {choice!r:.100}, wanted 'auto', 'none', 'required' or the name of a tool")


def tools_text(options: Mapping[str, Any]) -> str:
    """Returns the declarations of tools as JSON, or ""."""
    tools = options.get("tools")
    if tools is None:
        return ""
    if not isinstance(tools, (list, tuple)):
        raise InvalidArgumentError(f"tools is {tools!r:.100}, wanted a list of declarations")
    if not tools:
        return ""
    return json.dumps(list(tools), ensure_ascii=False)


def read_form(options: Mapping[str, Any], dialect: str) -> dict[str, Any] | None:
    """Returns the source of the answer's grammar for Engine.compile, or None.

    dialect: how the model calls tools.
    """
    given = [name for name in _FORMS if options.get(name) is not None
             and not (name == "json" and options["json"] is False)]
    if len(given) > 1:
        raise InvalidArgumentError(f"'{given[0]}' excludes '{given[1]}': an answer has one form")
    thinking = bool(options.get("thinking"))
    tools = tools_text(options)
    choice = _read_choice(options.get("tool_choice"))
    if not tools and choice["tool_choice"] == "required":
        raise InvalidArgumentError("tool_choice asks for a call, but 'tools' is missing")
    if tools and dialect == "none":
        raise InvalidArgumentError("tools are given, but the model was not trained to call any")
    if given and tools and choice["tool_choice"] != "none":
        raise InvalidArgumentError(f"'{given[0]}' gives the answer a form that a call would not "
                                   "have: leave it out, or set tool_choice to 'none'")
    if given and thinking:
        raise InvalidArgumentError(f"'{given[0]}' leaves no room for thoughts: ask for one of them")
    if not given:
        if not tools:
            return None
        return {"kind": "tools", "text": tools, "dialect": dialect, "thinking": thinking,
                "parallel": options.get("parallel_tool_calls"), **choice}
    name = given[0]
    if name == "schema":
        return {"kind": "schema", "text": _schema_text(options["schema"])}
    if name == "regex":
        if not isinstance(options["regex"], str):
            raise InvalidArgumentError(f"regex is {options['regex']!r:.100}, wanted a text")
        return {"kind": "regex", "text": options["regex"]}
    if name == "choices":
        choices = options["choices"]
        if isinstance(choices, str) or not isinstance(choices, Iterable):
            raise InvalidArgumentError(f"choices is {choices!r:.100}, wanted a list of texts")
        return {"kind": "choices", "choices": list(choices)}
    return {"kind": "json"}
