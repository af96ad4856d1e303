"""Reads tests/testdata/serve/access.json: the rules of access that gemma serve and the ASGI
application share, as requests and what becomes of them."""
import json
import pathlib

_TABLE = json.loads((pathlib.Path(__file__).resolve().parents[2] / "testdata" / "serve"
                     / "access.json").read_text(encoding="utf-8"))
WRONG_KEYS = [text.encode("latin-1") for text in _TABLE["wrong_keys"]]
ORIGINS, WRONG_ORIGINS = _TABLE["origins"], _TABLE["wrong_origins"]


class Rules:
    """Options of a server, and requests to it. `keys`: bytes of a file, or None."""

    def __init__(self, about, requests, hosts=(), origins=(), keys=None, socket="tcp"):
        self.about, self.hosts, self.origins = about, hosts, origins
        self.keys = None if keys is None else keys.encode("latin-1")
        self.is_unix = socket == "unix"
        self.cases = [Case(*fields) for fields in requests]


class Case:
    """A request: method, target, version, and headers as pairs of bytes. And what is wanted: the
    status, the code of the error, and headers of the response, of which None is missing."""

    def __init__(self, line, headers, status, code=None, wanted_headers=None):
        self.method, self.target, *version = line.split(" ")
        self.version = version[0].removeprefix("HTTP/") if version else "1.1"
        self.headers = []
        for header in headers:
            name, _, value = header.encode("latin-1").partition(b":")
            self.headers.append((name, value.strip(b" \t")))
        self.text = f"{line} {headers}"
        self.data = (f"{self.method} {self.target} HTTP/{self.version}\r\n"
                     + "".join(f"{header}\r\n" for header in headers) + "\r\n").encode("latin-1")
        self.status, self.code = status, code
        self.wanted_headers = wanted_headers or {}

    def check(self, test, status, headers, body):
        """Lets the test fail unless this is the response."""
        test.assertEqual(status, self.status, body)
        code = json.loads(body)["error"]["code"] if status >= 400 else None
        test.assertEqual(code, self.code)
        for name, value in self.wanted_headers.items():
            test.assertEqual(headers.get(name), value, name)


RULES = [Rules(**fields) for fields in _TABLE["rules"]]
