"""Runs gemma serve with a toy, and talks to it over plain sockets."""
import contextlib
import json
import re
import select
import signal
import socket
import subprocess
import threading
import time
import unittest

from command import BINARY, TESTDATA

TOY = TESTDATA / "gguf" / "gemma3_mixed.gguf"
NAME = "gemma3_mixed"
NEVER_ENDS = {"1": -100, "6": -100}  # the toy's tokens that end a text
LONG = ("--context", "200000", "--ignore-memory")
SECONDS = 60  # in which things happen that happen at once, on a busy machine


class Response:
    """The parts of a response: status, headers (names in lower case), body, and what followed."""

    def __init__(self, data, has_body=True):
        head, self.rest = data.split(b"\r\n\r\n", 1)
        line, *lines = head.decode().split("\r\n")
        self.status = int(re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Z][\w -]*", line)[1])
        self.headers = {}
        for header in lines:
            name, value = header.split(": ", 1)
            assert name not in self.headers, header
            self.headers[name] = value
        self.body = b""
        if has_body and "content-length" in self.headers:
            size = int(self.headers["content-length"])
            if len(self.rest) < size:
                raise EOFError
            self.body, self.rest = self.rest[:size], self.rest[size:]
        elif self.headers.get("transfer-encoding") == "chunked":
            while True:
                size, self.rest = self.rest.split(b"\r\n", 1)
                if len(self.rest) < int(size, 16) + 2:
                    raise EOFError
                self.body += self.rest[:int(size, 16)]
                self.rest = self.rest[int(size, 16) + 2:]
                if int(size, 16) == 0:
                    break

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json()["error"]["code"]


class Client:
    """A connection. Numbers its requests with X-Request-Id, which the log repeats."""

    def __init__(self, address, tls=None, receive_bytes=None, source=None):
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(SECONDS)
        if source:
            self.socket.bind((source, 0))
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.data = b""

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)
        return self

    def response(self, has_body=True):
        """The next response. Raises EOFError if the connection ends before it."""
        while True:
            try:
                response = Response(self.data, has_body)
                self.data = response.rest
                return response
            except (ValueError, EOFError):
                pass
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError(self.data)
            self.data += data

    def until(self, text):
        """Reads until the text has come."""
        while text not in self.data:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError(self.data)
            self.data += data
        return self

    def is_closed(self):
        """Waits until the server closes the connection; what it sends before is lost."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionError:
            pass
        return True

    def close(self):
        self.socket.close()


def request(method="GET", path="/health", body=None, version="1.1", **headers):
    """The bytes of a request. A body that is not bytes becomes JSON. A header of None is left out."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    fields = {"Host": "localhost"}
    if body is not None:
        fields.update({"Content-Type": "application/json", "Content-Length": len(body)})
    fields.update({name.replace("_", "-"): value for name, value in headers.items()})
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"{method} {path} HTTP/{version}\r\n{lines}\r\n".encode() + (body or b"")


def completion(prompt="the cat", max_tokens=3, **fields):
    headers = {name: fields.pop(name) for name in list(fields) if name[0].isupper()}
    return request("POST", "/v1/completions", {"prompt": prompt, "max_tokens": max_tokens, **fields}, **headers)


def endless(**fields):
    """A request whose answer has many tokens and no end."""
    return completion(max_tokens=150000, logit_bias=NEVER_ENDS, **fields)


class Serving:
    """A running server. `log` has the lines of standard error."""

    def __init__(self, *arguments, models=(TOY,), host="127.0.0.1", reads_log=True):
        self.process = subprocess.Popen(
            [BINARY, "serve", *map(str, models), "--threads", "1", "--port", "0", *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.log = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        if reads_log:
            self.reader.start()
        self.line = self.process.stdout.readline().decode()
        match = re.match(r"https?://[^/ ]*:(\d+) serves ", self.line)
        self.address = (host, int(match[1])) if match else None

    def _read_log(self):
        for line in self.process.stderr:
            with self.changed:
                self.log.append(line.decode().rstrip("\n"))
                self.changed.notify_all()

    def logged(self, pattern, seconds=SECONDS):
        """Waits for a line of the log that has the pattern, and returns it."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                for line in self.log:
                    if re.search(pattern, line):
                        return line
                if not self.changed.wait(deadline - time.monotonic()):
                    raise AssertionError(f"no line {pattern} in {self.log}")

    def connect(self, **options):
        return Client(self.address, **options)

    def ask(self, data, has_body=True):
        """Sends a request on a connection of its own, and returns the response."""
        client = self.connect()
        with contextlib.closing(client):
            return client.send(data).response(has_body)

    def stop(self, number=signal.SIGTERM):
        """Sends a signal and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=SECONDS)

    def end(self):
        self.process.kill()
        self.process.wait()
        if self.reader.ident:
            self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()


class ServeTest(unittest.TestCase):
    """One server for all cases of a class, started with ARGUMENTS."""
    ARGUMENTS = ()

    @classmethod
    def setUpClass(cls):
        cls.serving = Serving(*cls.ARGUMENTS)
        cls.addClassCleanup(cls.serving.end)

    def connect(self, **options):
        client = self.serving.connect(**options)
        self.addCleanup(client.close)
        return client

    def ask(self, data, status=200, has_body=True):
        response = self.serving.ask(data, has_body)
        self.assertEqual(response.status, status, response.body)
        return response

    def refused(self, data, status, says=""):
        """Expects the status, in the form of OpenAI's errors, and then the end of the connection."""
        client = self.connect().send(data)
        response = client.response()
        self.assertEqual(response.status, status, response.body)
        error = response.json()["error"]
        self.assertEqual(list(error), ["message", "type", "param", "code"])
        self.assertIn(says, error["message"])
        self.assertEqual(response.headers["connection"], "close")
        self.assertTrue(client.is_closed())
        return response

    def starts(self, *arguments, **options):
        serving = Serving(*arguments, **options)
        self.addCleanup(serving.end)
        return serving


def is_readable(client, seconds):
    return bool(select.select([client.socket], [], [], seconds)[0])
