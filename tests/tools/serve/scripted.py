"""A server that sends the page of gemma serve and answers as a test tells it, and a browser that shows it."""
import http.server
import json
import pathlib
import threading
import unittest

from browser import ENTER, Browser
from command import TESTDATA
from serving import Serving, request

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "tools/gemma/serve/page"
FILES = {"/" if path.name == "index.html" else f"/page/{path.name}": path for path in FOLDER.iterdir() if path.suffix != ".in"}

MODEL = {"id": "toy", "object": "model", "created": 0, "owned_by": "gemma", "max_model_len": 4096, "embeds": False,
         "moderates": False, "chats": True, "instruction_tuned": True, "thinks": False,
         "sampling": {"temperature": 1, "top_k": 64, "top_p": 0.95}}


def chunk(delta=None, logprobs=None, **choice):
    """An event of a stream. `logprobs` are (token, log-probability, [(token, log-probability)])."""
    def scored(token, logprob):
        return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
    content = [{**scored(*one[:2]), "top_logprobs": [scored(*other) for other in one[2]]} for one in logprobs or []]
    return {"seed": 7, "choices": [{"index": 0, "delta": delta or {}, "logprobs": {"content": content} if logprobs else None,
                                    "finish_reason": None, **choice}]}


def answer(*texts, finish="stop", detail="stop_token", usage=(9, 4)):
    """The events of an answer, with its texts as they come."""
    yield chunk({"role": "assistant", "content": ""})
    for text in texts:
        yield chunk({"content": text})
    yield chunk({}, finish_reason=finish, stop_reason=detail)
    prompt, completion = usage
    yield {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": sum(usage),
                                    "prompt_tokens_details": {"cached_tokens": 5}}}
    yield None  # the end


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path in self.server.files:
            return self.send(200, *self.server.files[self.path])
        if self.path == "/ready":
            return self.reply(*self.server.ready())
        return self.reply(*self.server.get(self.path, self.headers["authorization"]))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append((self.path, body))
        reply = self.server.post(self.path, body)
        if isinstance(reply, tuple):
            return self.reply(*reply)
        # A stream.
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            for event in reply:
                text = "[DONE]" if event is None else json.dumps(event)
                self.wfile.write(f"data: {text}\n\n".encode())
                self.wfile.flush()
        except ConnectionError:
            self.server.left.set()

    def reply(self, status, body):
        self.send(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


class ScriptedServer(http.server.ThreadingHTTPServer):
    """`files` are those of the page: path to (headers, body). `answers` are the next ones: streams, or (status, JSON)."""
    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.reset()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"

    def reset(self, models=(MODEL,), replies=None):
        self.models = models
        self.replies = replies or {}  # of other paths
        self.requests = []
        self.answers = []
        self.left = threading.Event()  # a client left its stream
        self.is_ready = True
        self.authorization = None  # the header of the last request for models
        self.refuses = None  # what /v1/models answers instead

    def ready(self):
        return (200, {"status": "ready"}) if self.is_ready else error(503, "not yet")

    def get(self, path, authorization):
        if path == "/v1/models":
            self.authorization = authorization
            return self.refuses or (200, {"object": "list", "data": list(self.models)})
        return error(404, f"no path {path}")

    def post(self, path, body):
        if path == "/v1/chat/completions":
            return self.answers.pop(0)
        return self.replies[path](body)

    def chats(self):
        """The bodies of the requests for answers."""
        return [body for path, body in self.requests if path == "/v1/chat/completions"]

    def end(self):
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, request, client_address):
        pass


def error(status, message, code=None):
    return status, {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


class Gate:
    """Events that come when the test lets them."""

    def __init__(self, *events):
        self.events = events
        self.permits = threading.Semaphore(0)

    def __iter__(self):
        for event in self.events:
            if not self.permits.acquire(timeout=60):
                return
            yield event

    def let(self, count):
        self.permits.release(count)


class PageTest(unittest.TestCase):
    """A browser, and a server that sends the files of gemma serve and the answers of a test."""

    browser = None  # that of all classes of a script

    @classmethod
    def setUpClass(cls):
        if PageTest.browser:
            return
        PageTest.real = cls.real = Serving(
            "--guard", TESTDATA / "classify" / "shield.gguf", "--sae",
            TESTDATA / "scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4/params.npz")
        unittest.addModuleCleanup(cls.real.end)
        files = {}
        for path in FILES:
            response = cls.real.ask(request(path=path))
            files[path] = {name: value for name, value in response.headers.items()
                           if name not in ("date", "connection", "content-length")}, response.body
        PageTest.server = ScriptedServer(files)
        unittest.addModuleCleanup(cls.server.end)
        PageTest.browser = Browser()
        unittest.addModuleCleanup(cls.browser.end)

    def setUp(self):
        self.server.reset()
        self.browser.size(1280, 900)

    def tearDown(self):
        """The page broke no rule, and asked no other server."""
        for entry in self.browser.log("browser"):
            # Responses that are errors are logged, too.
            self.assertRegex(entry["message"], r"the server responded with a status of|net::ERR_INCOMPLETE|net::ERR_CONNECTION")
        events = [json.loads(entry["message"])["message"] for entry in self.browser.log("performance")]
        for event in events:
            # The browser's own first page is not ours.
            if event["method"] == "Network.requestWillBeSent" and event["params"]["documentURL"].startswith("http"):
                self.assertRegex(event["params"]["request"]["url"], r"^(http://127\.0\.0\.1:\d+/|blob:http://127\.0\.0\.1:\d+/)")

    def open(self, url=None, is_ready=True):
        """Opens the page as for the first time."""
        url = url or self.server.url
        self.browser.devtools("Storage.clearDataForOrigin", origin=url.rstrip("/"), storageTypes="local_storage")
        self.browser.open(url)
        if is_ready:
            self.browser.wait("return document.querySelector('#model').value")

    def chat(self, text, *events):
        """Sends a message and waits for the end of the answer."""
        self.server.answers.append(list(events))
        number = len(self.shown()) + 2
        self.browser.type("#input", text + ENTER)
        self.ended(number)

    def ended(self, number):
        self.browser.wait("return document.querySelectorAll('.message').length === arguments[0] && !document.querySelector('.running')",
                          number)

    def shown(self):
        """The messages as they are drawn."""
        return self.browser.run("return [...document.querySelectorAll('.message .body')].map((one) => one.innerText.trim())")
