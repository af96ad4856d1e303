"""Who may use an ASGI application: hosts, keys and web pages, by the rules of `gemma serve`.

Texts of headers stand for bytes, as in Latin-1.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
from typing import Any, Awaitable, Callable, Iterable, MutableMapping, Union

# As the ASGI specification has them.
Headers = list[tuple[bytes, bytes]]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

_PUBLIC = ("/health", "/v1/health", "/ready")  # everybody may know whether a server is ready

_BLANKS = " \t\n\v\f\r"


class Problem(Exception):
    """Why a request is refused: an HTTP status, a message and a word for programs."""

    def __init__(self, status: int, message: str, code: str | None = None,
                 retry_seconds: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.retry_seconds = retry_seconds

    def headers(self) -> Headers:
        headers = [(b"content-type", b"application/json")]
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if self.retry_seconds:
            headers.append((b"retry-after", str(self.retry_seconds).encode()))
        return headers

    def error(self) -> dict[str, Any]:
        """Returns the body of the response, as a dictionary in the form of OpenAI's errors."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": None, "code": self.code}}


def read_keys(path: str | os.PathLike[str]) -> list[str]:
    """Returns the keys of a file, one a line.

    Blanks around a key, empty lines and lines that begin with "#" do not count. ValueError if the
    file has no key, or one that no header can carry.
    """
    with open(path, "rb") as file:
        lines = [line.strip() for line in file.read().split(b"\n")]
    keys = [line for line in lines if line and not line.startswith(b"#")]
    if not all(re.fullmatch(b"[!-~]+", key) for key in keys):
        raise ValueError(f"{path}: a key has a byte that no header can carry; a key is printable "
                         "ASCII without blanks, one a line")
    if not keys:
        raise ValueError(f"{path}: no key in it")
    return [key.decode() for key in keys]


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _as_header(text: str) -> str:
    """Returns the text as a header has it."""
    return text.encode().decode("latin-1")


def _lower(text: str) -> str:
    """Returns the text of a header with small letters, of those of ASCII."""
    return text.encode("latin-1").lower().decode("latin-1")


def _address(name: str) -> _Address | None:
    """Returns the IP address that a text is, or None."""
    try:
        return None if "%" in name else ipaddress.ip_address(name)
    except ValueError:
        return None


def _host_name(host: str) -> str:
    """Returns "localhost" of "localhost:8080", "::1" of "[::1]:8080"; "" if the text is neither."""
    match = re.fullmatch(r"(?:\[([^\]]*)\]|((?!\[)[^:]*))(?::[0-9]*)?", host)
    if not match:
        return ""
    name = match[1] if match[1] is not None else match[2]
    return _lower(name.removesuffix("."))


def _peer(scope: Scope) -> str | None:
    """Returns the address that a request comes from; None for a Unix socket; "unknown" if the
    server does not tell."""
    client = scope.get("client")
    if client and client[0]:
        return str(client[0])
    server = scope.get("server")
    return None if server and server[1] is None else "unknown"  # a Unix socket has no port


class Request:
    """The head of a request, as an ASGI server gives it.

    `target` (bytes) is path and query, without the prefix under which the application is mounted.
    `target_host` is the host that it named, as "http://HOST/PATH" does, or None.
    `headers` are pairs of bytes, with names in lower case.
    """

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"].upper()
        self.headers: Headers = [(bytes(name).lower(), bytes(value))
                                 for name, value in scope["headers"]]
        self.version: str = scope.get("http_version", "1.1")
        self.peer = _peer(scope)
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        path = path.partition(b"?")[0]
        query: bytes = scope.get("query_string", b"")
        target = path + b"?" + query if query else path
        absolute = re.match(b"https?://([^/]*)", target, re.IGNORECASE)
        self.target_host = absolute[1].decode("latin-1") if absolute else None
        if absolute:
            path = path[absolute.end():] or b"/"
        prefix = scope.get("root_path", "").rstrip("/").encode()
        if prefix and (path == prefix or path.startswith(prefix + b"/")):
            path = path[len(prefix):] or b"/"
        self.path = path.decode("latin-1")
        self.target: bytes = path + b"?" + query if query else path

    def all(self, name: bytes) -> list[str]:
        """Returns the values of a header."""
        return [value.decode("latin-1") for key, value in self.headers if key == name]

    def find(self, name: bytes) -> str:
        """Returns the first value of a header, or ""."""
        return next(iter(self.all(name)), "")

    def client(self) -> str:
        """Returns whom a request without a key counts against: an address, or a network of IPv6."""
        address = _address(self.peer) if self.peer else None
        if address is not None and address.version == 6:
            return str(ipaddress.ip_network((address, 64), strict=False).network_address)
        return self.peer or "unix"

    def is_local(self) -> bool:
        """Returns whether the request comes from this machine."""
        if self.peer is None:
            return True
        address = _address(self.peer)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return address is not None and address.is_loopback


class Access:
    """The rules.

    keys: texts; empty: requests need no key.
    no_auth: without keys, other machines may use the models, too.
    hosts: names under which clients reach the server, besides addresses and localhost; "*": any.
    origins: web pages of other servers that may use this one, as "https://example.com"; "*": all.
    """

    def __init__(self, keys: Iterable[str] = (), no_auth: bool = False, hosts: Iterable[str] = (),
                 origins: Iterable[str] = ()) -> None:
        for name, value in (("api_keys", keys), ("allow_hosts", hosts), ("cors", origins)):
            if isinstance(value, (str, bytes)):
                raise TypeError(f"{name} is one text, wanted a list of texts")
        keys, hosts, origins = list(keys), list(hosts), list(origins)  # iterators are read once
        for number, key in enumerate(keys):
            if not re.fullmatch(r"[!-~]+", key):
                raise ValueError(f"api_keys[{number}] is not printable ASCII without blanks")
        for origin in origins:
            _, separator, name = origin.partition("://")
            if origin != "*" and (not separator or "/" in name):
                raise ValueError(f"cors: {origin!r} is not an origin, such as "
                                 "https://example.com, or '*'")
        self._digests = [_digest(key.encode()) for key in keys]
        self._no_auth = no_auth
        self._hosts = {_lower(_as_header(host)) for host in hosts}
        self._origins = set(map(_as_header, origins))

    def check(self, request: Request) -> str:
        """Returns the client that a request counts against. Raises Problem if it is refused."""
        self._check_host(request)
        self._check_target(request)
        self._check_origin(request)
        if request.path in _PUBLIC or request.method == "OPTIONS":
            return request.client()
        if self._digests:
            return self._check_key(request)
        if not self._no_auth and not request.is_local():
            raise Problem(403, "other machines need a key: asgi(api_keys=[KEY]) or "
                          "asgi(api_key_file=FILE) names keys, asgi(no_auth=True) lets everybody "
                          "who reaches the server use the models", "no_keys")
        return request.client()

    def _is_own_host(self, host: str) -> bool:
        name = _host_name(host)
        return ("*" in self._hosts or name == "localhost" or name.endswith(".localhost")
                or _address(name) is not None or (name != "" and name in self._hosts))

    def _check_host(self, request: Request) -> None:
        # A web page may reach a local server under a name of its own, by DNS.
        hosts = request.all(b"host")
        if len(hosts) > 1 or (not hosts and request.version == "1.1"):
            raise Problem(400, "a request has one Host header")
        if hosts and request.peer is not None and not self._is_own_host(hosts[0]):
            raise Problem(403, f"the server does not answer to the host {hosts[0]!r}: "
                          "asgi(allow_hosts=[NAME]) adds a name", "host_not_allowed")

    def _check_target(self, request: Request) -> None:
        host = request.target_host
        if host is not None:
            if request.peer is not None and not self._is_own_host(host):
                raise Problem(403, "the target names another host", "host_not_allowed")
        elif not (request.path.startswith("/")
                  or request.path == "*" and request.method == "OPTIONS"):
            raise Problem(400, "the target is not a path")

    def _check_origin(self, request: Request) -> None:
        origin = request.find(b"origin")
        host = _lower(request.find(b"host"))
        own = (f"http://{host}", f"https://{host}") if host else ()
        if origin and _lower(origin) not in own and not self._is_named(origin):
            raise Problem(403, f"the server does not answer pages of {origin!r}: "
                          "asgi(cors=[ORIGIN]) adds an origin", "origin_not_allowed")

    def _is_named(self, origin: str) -> bool:
        return "*" in self._origins or origin in self._origins

    def _check_key(self, request: Request) -> str:
        value = request.find(b"authorization")
        is_bearer = len(value) > 7 and value[:7].lower() == "bearer "
        key = value[7:].strip(_BLANKS) if is_bearer else request.find(b"x-api-key")
        digest = _digest(key.encode("latin-1"))
        found = 0
        for number, each in enumerate(self._digests, 1):  # the same time for every wrong key
            if hmac.compare_digest(digest, each) and not found:
                found = number
        if not found:
            message = ("the server does not know this key" if key else
                       "the request has no key: send 'Authorization: Bearer KEY'")
            raise Problem(401, message, "invalid_api_key")
        return f"key {found}"

    def cors_headers(self, request: Request) -> Headers:
        """Returns the headers with which a browser lets a page read the response."""
        origin = request.find(b"origin")
        if not origin or not self._is_named(origin):
            return []
        headers = [(b"access-control-allow-origin", origin.encode("latin-1")),
                   (b"access-control-expose-headers", b"x-request-id, retry-after"),
                   (b"vary", b"origin")]
        if request.method == "OPTIONS":
            headers += [(b"access-control-allow-methods", b"GET, HEAD, POST"),
                        (b"access-control-max-age", b"600")]
            wanted = request.find(b"access-control-request-headers")
            if re.fullmatch(r"[A-Za-z0-9_, -]+", wanted):
                headers.append((b"access-control-allow-headers", wanted.encode()))
        return headers
