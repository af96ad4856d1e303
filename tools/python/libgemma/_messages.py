"""Messages of chats, from dictionaries as in OpenAI's API."""

from __future__ import annotations

import json
import numbers
from collections.abc import Set
from typing import Any, Iterable, Mapping, Sequence

from libgemma import _core
from libgemma._errors import InvalidArgumentError

_KEYS = {
    "assistant": ("content", "tool_calls", "thoughts", "reasoning_content"),
    "tool": ("content", "name", "tool_call_id"),
}


def is_chat(value: Any) -> bool:
    """Returns whether this is a list of messages."""
    return (isinstance(value, (list, tuple)) and len(value) > 0
            and all(isinstance(message, Mapping) for message in value))


def _wrong(name: str, value: Any, wanted: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name} is {value!r:.100}, wanted {wanted}")


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(where, value, "a text")
    return value


def _read_call(where: str, call: Any) -> _core.ToolCall:
    if not isinstance(call, Mapping):
        raise _wrong(where, call, "a dictionary with 'name' and 'arguments'")
    function = call.get("function", call)
    if not isinstance(function, Mapping):
        raise _wrong(f"{where}.function", function, "a dictionary with 'name' and 'arguments'")
    for key in function:
        if key not in ("name", "arguments", "id", "type"):
            raise InvalidArgumentError(f"{where} has {key!r}, wanted 'id', 'name' and 'arguments'")
    if function is not call:
        for key in call:
            if key not in ("id", "type", "function", "index"):
                raise InvalidArgumentError(f"{where} has {key!r}, wanted 'id', 'type' and "
                                           "'function'")
    if call.get("type", "function") != "function":
        raise _wrong(f"{where}.type", call["type"], "'function'")
    arguments = function.get("arguments", "")
    if isinstance(arguments, Mapping):
        arguments = json.dumps(arguments, ensure_ascii=False)
    if not isinstance(arguments, str):
        raise _wrong(f"{where}.arguments", arguments, "a dictionary or its JSON")
    name = _text(f"{where}.name", function.get("name"))
    return _core.ToolCall(name, arguments, _text(f"{where}.id", call.get("id") or ""))


def _read_content(where: str, role: str, content: Any) -> dict[str, str]:
    if content is None:
        return {}
    if isinstance(content, str):
        return {"text": content}
    if isinstance(content, (list, tuple)) or role == "tool":
        return {"content_json": json.dumps(content, ensure_ascii=False)}
    raise _wrong(f"{where}.content", content, "a text or a list of parts")


def _read_message(where: str, message: Mapping[str, Any]) -> _core.Message:
    role = _text(f"{where}.role", message.get("role"))
    if role == "model":
        role = "assistant"
    for key in message:
        if key != "role" and key not in _KEYS.get(role, ("content",)):
            wanted = ", ".join(repr(name) for name in ("role", *_KEYS.get(role, ("content",))))
            raise InvalidArgumentError(
                f"{where}, of the role {role!r}, has {key!r}, wanted {wanted}")
    fields: dict[str, Any] = _read_content(where, role, message.get("content"))
    calls = message.get("tool_calls") or []
    if not isinstance(calls, (list, tuple)):
        raise _wrong(f"{where}.tool_calls", calls, "a list of calls")
    if not fields and not calls:
        raise InvalidArgumentError(f"{where} has no 'content'")
    fields["tool_calls"] = [_read_call(f"{where}.tool_calls[{index}]", call)
                            for index, call in enumerate(calls)]
    if message.get("thoughts") is not None and message.get("reasoning_content") is not None:
        raise InvalidArgumentError(f"{where} has both 'thoughts' and 'reasoning_content', which "
                                   "are the same")
    for key, name in (("thoughts", "thoughts"), ("reasoning_content", "thoughts"),
                      ("name", "tool_name"), ("tool_call_id", "call_id")):
        if message.get(key) is not None:
            fields[name] = _text(f"{where}.{key}", message[key])
    return _core.Message(role, **fields)


def read_messages(messages: Sequence[Mapping[str, Any]], system: str | None) -> list[_core.Message]:
    """Converts a chat. `system` comes first unless the chat has instructions of its own."""
    if not is_chat(messages):
        raise _wrong("messages", messages, "a list of dictionaries with 'role' and 'content'")
    read = [_read_message(f"messages[{index}]", message) for index, message in enumerate(messages)]
    if system is None:
        return read
    if messages[0].get("role") in ("system", "developer"):
        raise InvalidArgumentError("both the chat and the option 'system' have instructions")
    return [_core.Message("system", text=_text("system", system)), *read]


def is_one(prompts: Any) -> bool:
    """Returns whether this is one prompt, not a list of them."""
    if isinstance(prompts, str) or is_chat(prompts):
        return True
    if isinstance(prompts, Iterable) and not isinstance(prompts, (Mapping, Set, bytes, bytearray)):
        first = next(iter(prompts), None) if isinstance(prompts, Sequence) else None
        return hasattr(prompts, "dtype") or isinstance(first, (numbers.Integral, _core.InputRows))
    raise InvalidArgumentError(f"the prompt is {prompts!r:.100}, wanted a text, a list of tokens "
                               "or a chat, or a list of them")
