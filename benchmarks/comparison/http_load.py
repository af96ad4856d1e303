"""Clients of a server that streams completions: many at once, in one thread, at little cost.

Each stream sends its requests one after the other, each on a connection of its own. Arrivals are recorded as bytes and
read after the run, so that the clients take little time from a server on the same processors.
"""
import asyncio
import dataclasses
import gc
import json
import math
import statistics
import time

EVENT = b"data: "
HEALTH_SECONDS = 0.05  # between two requests of /health


class LoadError(Exception):
    pass


@dataclasses.dataclass
class Answer:
    """What came of a request. Times are those of time.perf_counter."""
    sent: float
    arrivals: list = dataclasses.field(default_factory=list)  # (time, number of events) of each read that had any
    data: bytearray = dataclasses.field(default_factory=bytearray)

    def usage(self):
        """Returns what the last event counts, or None if the answer is not complete."""
        if b"data: [DONE]" not in self.data:
            return None
        for line in reversed(bytes(self.data).split(b"\n")):
            if line.startswith(EVENT) and b'"usage":{' in line.replace(b": ", b":"):
                return json.loads(line[len(EVENT):])["usage"]
        raise LoadError("a stream has no usage")


class _Exchange(asyncio.Protocol):
    """A connection with one request. Sets `done` when it ends."""

    def __init__(self, request, done):
        self._request = request
        self._done = done
        self.answer = Answer(0.0)

    def connection_made(self, transport):
        self.answer.sent = time.perf_counter()
        transport.write(self._request)

    def data_received(self, data):
        # An event's first bytes may have come with the data before.
        count = (bytes(self.answer.data[1 - len(EVENT):]) + data).count(EVENT)
        if count:
            self.answer.arrivals.append((time.perf_counter(), count))
        self.answer.data += data

    def connection_lost(self, _):
        if not self._done.done():
            self._done.set_result(time.perf_counter())


def request_text(path, body=None):
    """Returns the bytes of a request, whose connection the server closes."""
    text = json.dumps(body).encode() if body is not None else b""
    head = (f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n")
    return head.encode() + text


async def _ask(port, request, answers=None):
    """Sends a request and waits for the end of its response."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    transport, exchange = await loop.create_connection(lambda: _Exchange(request, done), "127.0.0.1", port)
    if answers is not None:
        answers.append(exchange.answer)
    try:
        ended = await done
    finally:
        transport.abort()
    if not exchange.answer.data.startswith(b"HTTP/1.1 200 "):
        raise LoadError(f"a request failed: {bytes(exchange.answer.data[-300:]).decode(errors='replace')}")
    return ended - exchange.answer.sent


async def _watch_health(port, seconds):
    request = request_text("/health")
    while True:
        seconds.append(await _ask(port, request))
        await asyncio.sleep(HEALTH_SECONDS)


async def _run(port, streams, limit):
    answers, health = [], []

    async def send(requests):
        for request in requests:
            await _ask(port, request, answers)

    # One stream is also compared with gemma run, which nobody asks for its health.
    watch = asyncio.create_task(_watch_health(port, health) if len(streams) > 1 else asyncio.sleep(0))
    senders = [asyncio.create_task(send(requests)) for requests in streams]
    _, late = await asyncio.wait(senders, timeout=limit, return_when=asyncio.FIRST_EXCEPTION)
    for task in (*late, watch):
        task.cancel()
    for failure in await asyncio.gather(*senders, watch, return_exceptions=True):
        if isinstance(failure, Exception):
            raise failure
    return answers, health, bool(late)


def percentile(values, share):
    """Returns the smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _summary(answers, prompt, generated, ended):
    """Returns figures of the answers. Those that a limit cut count as far as they came."""
    first, gaps, tokens, cached = [], [], 0, 0
    for answer in answers:
        usage = answer.usage()
        if usage is not None and (usage["prompt_tokens"], usage["completion_tokens"]) != (prompt, generated):
            raise LoadError(f"an answer has {usage['prompt_tokens']} + {usage['completion_tokens']} tokens, wanted "
                            f"{prompt} + {generated}")
        if not answer.arrivals:
            first.append(ended - answer.sent)  # at least
            continue
        first.append(answer.arrivals[0][0] - answer.sent)
        tokens += prompt + (generated if usage is not None else sum(count for _, count in answer.arrivals))
        cached += ((usage or {}).get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        times = [time for time, _ in answer.arrivals]
        gaps += [after - before for before, after in zip(times, times[1:])]
    return {"tokens": tokens, "cached_tokens": cached, "ttft_median": statistics.median(first),
            "ttft_95": percentile(first, 0.95), "gap_median": statistics.median(gaps or [math.nan]),
            "gap_95": percentile(gaps or [math.nan], 0.95)}


def run(port, streams, prompt, generated, limit=None):
    """Runs the streams, lists of bodies for /v1/completions, and returns a dictionary of figures.

    `prompt`, `generated`: the tokens of each prompt and answer, which are checked. `limit`: seconds, after which
    answers are cut; the times to first tokens that have not come are then those until the limit. Times are in seconds.
    """
    requests = [[request_text("/v1/completions", body) for body in bodies] for bodies in streams]
    gc.collect()
    gc.disable()
    try:
        cpu, begin = time.process_time(), time.perf_counter()
        answers, health, cut = asyncio.run(_run(port, requests, limit))
        cpu, ended = time.process_time() - cpu, time.perf_counter()
    finally:
        gc.enable()
    if not cut:
        ended = max(answer.arrivals[-1][0] for answer in answers)
    figures = _summary(answers, prompt, generated, ended)
    seconds = ended - begin
    decode = sum(answer.arrivals[-1][0] - answer.arrivals[0][0] for answer in answers if answer.arrivals)
    return figures | {"seconds": seconds, "cut": cut, "tokens_per_second": figures["tokens"] / seconds,
                      "client_cpu": cpu / seconds, "health_median": statistics.median(health or [math.nan]),
                      "health_99": percentile(health or [math.nan], 0.99),
                      # Those of each stream, after the first tokens.
                      "decode_per_second": len(answers) * (generated - 1) / decode if decode and not cut else None}
