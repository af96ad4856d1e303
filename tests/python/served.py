"""Compares what Python answers with what gemma serve answers."""
import json
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(TESTS / "tools"), str(TESTS / "tools" / "serve")]

# pylint: disable=wrong-import-position,unused-import
from command import TESTDATA, CommandTest  # noqa: E402
from serving import (LONG, NAME, NEVER_ENDS, SECONDS, TOY, Client, Serving,  # noqa: E402
                     completion, endless, request)

CHAT_TOY = TESTDATA / "gguf" / "gemma4_chat.gguf"
EMBEDDER = TESTDATA / "gguf" / "gemma_embedding.gguf"
_OWN = [(rb'"(id|call_id)":"[^"]*"', rb'"\1":"-"'), (rb'"created":\d+', b'"created":0'),
        (rb'"(\w*time\w*|\w*seconds\w*|\w*_ms)":[-+.e\d]+', rb'"\1":0')]


def without_ids(body):
    """Returns the bytes of a response without ids and times, which no two responses share."""
    for pattern, text in _OWN:
        body = re.sub(pattern, text, body)
    return body


def ask(serving, path, fields):
    """Returns the status and the body of gemma serve for these fields."""
    response = serving.ask(request("POST", path, fields))
    return response.status, response.body


def events_of(body):
    """Returns the dictionaries of a stream's events."""
    events = [line[6:] for line in body.split(b"\n\n") if line.startswith(b"data: ")]
    assert events.pop() == b"[DONE]", body
    return [json.loads(event) for event in events]
