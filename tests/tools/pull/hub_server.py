"""A server on 127.0.0.1 that answers like the Hugging Face Hub, and gives wrong answers on demand.

Large files ("lfs") are on a second port; the first port redirects to it.
"""
import hashlib
import http.server
import json
import re
import sys
import threading
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "owner/toy"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def git_blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Request:
    def __init__(self, handler):
        self.port = handler.server.server_address[1]
        self.path = handler.path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        hub = self.server.hub
        with hub.lock:
            hub.requests.append(Request(self))
        hub.answer(self)

    def log_message(self, *arguments):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Ignores clients that disconnect, as interrupted ones do."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Hub:
    """Serves `files`, a dictionary of path to contents, as the repository owner/toy."""

    def __init__(self, files=None, lfs=r"\.(safetensors|gguf)$"):
        self.files = dict(files or {})
        self.lfs = lfs
        self.commit = COMMIT
        self.token = None          # the token that every request to the first port needs
        self.listing = {}          # path -> members of its entry that replace the true ones
        self.etags = True
        self.etag_salt = ""        # a different salt gives different ETags, like a new version
        self.cut_after = None      # closes the connection after so many bytes of a large file
        self.hold = None           # an event: instead of closing it, waits there until the event is set
        self.redirect = None       # the URL of large files, in place of the second port
        self.status = None         # the status of every answer
        self.content_range = None  # replaces the true Content-Range
        self.requests = []
        self.lock = threading.Lock()
        self.servers = []
        for _ in range(2):
            server = Server(("127.0.0.1", 0), Handler)
            server.hub = self
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            self.servers.append(server)
        self.url, self.blob_url = (
            f"http://127.0.0.1:{server.server_address[1]}" for server in self.servers)

    def close(self):
        if self.hold:
            self.hold.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def is_large(self, path):
        return re.search(self.lfs, path) is not None

    def take_requests(self):
        with self.lock:
            requests, self.requests = self.requests, []
        return requests

    def answer(self, handler):
        is_first = handler.server is self.servers[0]
        path = urllib.parse.unquote(urllib.parse.urlsplit(handler.path).path)
        if self.status:
            return handler.reply(self.status, b"no")
        if is_first and self.token and handler.headers["Authorization"] != f"Bearer {self.token}":
            return handler.reply(401, b"Access to this repository is restricted.")
        if path.startswith(f"/api/models/{REPOSITORY}/revision/"):
            if path.rsplit("/", 1)[1] not in ("main", "v1", self.commit):
                return handler.reply(404, b"Revision Not Found")
            return handler.reply(200, json.dumps(self.listing_json()).encode())
        prefix = f"/{REPOSITORY}/resolve/{self.commit}/"
        if is_first and path.startswith(prefix):
            name = path.removeprefix(prefix)
            if name in self.files and self.is_large(name):
                target = self.redirect or f"{self.blob_url}/blob/{name}?signature=secret"
                return handler.reply(302, b"Found", Location=target)
            path = f"/blob/{name}"
        name = path.removeprefix("/blob/")
        if name not in self.files or name == path:
            return handler.reply(404, b"Entry not found")
        return self.send_file(handler, name)

    def listing_json(self):
        siblings = []
        for path, data in self.files.items():
            entry = {"rfilename": path, "size": len(data), "blobId": git_blob(data)}
            if self.is_large(path):
                entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 134}
            entry.update(self.listing.get(path, {}))
            siblings.append(entry)
        return {"id": REPOSITORY, "sha": self.commit, "siblings": siblings}

    def etag(self, name):
        return f'"{sha256(self.files[name] + self.etag_salt.encode())}"'

    def send_file(self, handler, name):
        data, etag = self.files[name], self.etag(name)
        if self.etags and handler.headers["If-None-Match"] == etag:
            return handler.reply(304, ETag=etag)
        start = 0
        ranged = re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"] or "")
        condition = handler.headers["If-Range"]
        if ranged and (condition is None or (self.etags and condition == etag)):
            start = int(ranged[1])
            if start >= len(data):
                return handler.reply(416, Content_Range=f"bytes */{len(data)}")
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range",
                                self.content_range or f"bytes {start}-{len(data) - 1}/{len(data)}")
        if self.etags:
            handler.send_header("ETag", etag)
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        cut = self.cut_after if self.is_large(name) else None
        if cut is None or cut >= len(data) - start:
            handler.wfile.write(data[start:])
            return None
        handler.wfile.write(data[start:start + cut])
        handler.wfile.flush()
        if not self.hold:
            handler.close_connection = True
            return None
        self.hold.wait(60)
        handler.wfile.write(data[start + cut:])
        return None
