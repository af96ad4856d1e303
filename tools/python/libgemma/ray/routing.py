"""Which replica gets a request: the one that has read the beginning of its prompt before."""

from __future__ import annotations

import collections
import hashlib
import json
import weakref
from typing import Any

from ray.serve.request_router import RequestRouter

# What decides about a prompt's place. Less text would bring unrelated prompts together, and more
# would part those that share an instruction of usual length.
_CHARACTERS = 1024
_TOKENS = 256


def prompt_key(body: bytes) -> str:
    """Returns a short text, the same for requests that belong on one replica. "": any will do.

    body: the bytes of a request, which is not trusted.
    The key is the request's prompt_cache_key, or else the beginning of its prompt: of a chat, up to
    the first message of the user, so that a chat that goes on keeps its key.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(fields, dict):
        return ""
    named = fields.get("prompt_cache_key")
    if isinstance(named, str) and named:
        return _digest("key " + named)
    beginning = _beginning(fields)
    if not beginning:
        return ""
    return _digest(f"prompt {fields.get('model')!r} {beginning}")


def _digest(text: str) -> str:
    """Returns 64 characters for a text of any length, which may have halves of surrogate pairs."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _beginning(fields: dict[str, Any]) -> str:
    messages = fields.get("messages")
    if isinstance(messages, list) and messages:
        first = []
        for message in messages:
            first.append(message)
            if not isinstance(message, dict) or message.get("role") == "user":
                break
        return json.dumps(first)[:_CHARACTERS]
    for name in ("prompt", "input", "input_prefix", "content"):
        prompt = fields.get(name)
        if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
            prompt = prompt[0]
        if isinstance(prompt, str):
            return prompt[:_CHARACTERS]
        if isinstance(prompt, list) and prompt:
            return json.dumps(prompt[:_TOKENS])
    return ""


def _weight(key: str, replica: Any) -> bytes:
    """Returns bytes; the replica with the greatest ones has the key (rendezvous hashing). If a
    replica goes or comes, only the keys that it had, or gets, change their place."""
    return hashlib.sha256(f"{replica.replica_id.unique_id} {key}".encode()).digest()


class PrefixRouter(RequestRouter):
    """Sends requests with the same `key`, an argument of the call, to one replica, and requests
    without a key to the one with the fewest. A replica with `full` requests gets further ones only
    if no other has fewer; one of `refused`, an argument of the call, only if all are."""

    def initialize_state(self, full: int = 8) -> None:  # pylint: disable=arguments-differ
        self._full = full
        # The replica of each request, by the request's id. A request that is not routed yet counts
        # too, until it is routed or forgotten: else many that come at once would go to one replica.
        self._chosen: dict[Any, Any] = {}
        self._routed: dict[Any, Any] = {}

    def on_request_routed(self, pending_request: Any, replica_id: Any, result: Any) -> None:
        number = pending_request.metadata.internal_request_id
        self._chosen.pop(number, None)
        self._routed[number] = replica_id

    def on_request_completed(self, replica_id: Any, internal_request_id: Any) -> None:
        # Also called for a request that the replica did not accept.
        self._chosen.pop(internal_request_id, None)
        self._routed.pop(internal_request_id, None)

    async def choose_replicas(self, candidate_replicas: Any,
                              pending_request: Any = None) -> list[list[Any]]:
        """Returns lists of one replica each, the best one first."""
        if pending_request is None:
            return [list(candidate_replicas)]
        pending_request.routing_context.should_backoff = True
        number = pending_request.metadata.internal_request_id
        self._chosen.pop(number, None)  # after an attempt that failed
        running = collections.Counter([*self._chosen.values(), *self._routed.values()])
        key = pending_request.kwargs.get("key", "")
        refused = pending_request.kwargs.get("refused", ())

        def rank(replica: Any) -> tuple[bool, int, bytes]:
            has_refused = replica.replica_id.unique_id in refused
            count = running[replica.replica_id]
            if not key:
                return has_refused, count, b""
            return (has_refused, max(0, count - self._full + 1), _inverse(_weight(key, replica)))

        ranked = sorted(candidate_replicas, key=rank)
        self._chosen[number] = ranked[0].replica_id
        weakref.finalize(pending_request, self._chosen.pop, number, None)
        return [[replica] for replica in ranked]


def _inverse(digest: bytes) -> bytes:
    return bytes(255 - byte for byte in digest)
