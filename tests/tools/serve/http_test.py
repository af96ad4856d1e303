#!/usr/bin/env python3
"""gemma serve as HTTP: requests in pieces, one after the other, in chunks, wrong, too large and too slow."""
import json
import select
import socket
import time
import unittest

from serving import LONG, NAME, SECONDS, ServeTest, completion, endless, is_readable, request


class HttpTest(ServeTest):
    ARGUMENTS = ("--max-body", "100000", "--head-timeout", SECONDS, "--body-timeout", SECONDS, *LONG)

    def test_answers_with_json(self):
        response = self.ask(request(path="/v1/models"))
        self.assertEqual([model["id"] for model in response.json()["data"]], [NAME])
        self.assertEqual(response.headers["content-type"], "application/json")
        self.assertEqual(response.headers["connection"], "keep-alive")
        self.assertRegex(response.headers["date"], r"^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT$")
        self.assertEqual(response.headers["x-content-type-options"], "nosniff")

    def test_text_equals_stream(self):
        client = self.connect()
        text = client.send(completion(max_tokens=8, seed=1)).response().json()["choices"][0]["text"]
        response = client.send(completion(max_tokens=8, seed=1, stream=True)).response()
        self.assertEqual(response.headers["content-type"], "text/event-stream")
        self.assertEqual(response.headers["transfer-encoding"], "chunked")
        *events, last, end = response.body.decode().split("\n\n")
        self.assertEqual((last, end), ("data: [DONE]", ""))
        pieces = [json.loads(event.removeprefix("data: ")) for event in events]
        self.assertEqual("".join(choice["text"] for piece in pieces for choice in piece["choices"]), text)

    def test_requests_come_in_pieces(self):
        client = self.connect()
        for piece in completion():
            client.send(bytes([piece]))
        self.assertEqual(client.response().status, 200)

    def test_connections_are_kept(self):
        client = self.connect()
        for _ in range(3):
            self.assertEqual(client.send(request()).response().json(), {"status": "ok"})
        response = client.send(request(Connection="close")).response()
        self.assertEqual(response.headers["connection"], "close")
        self.assertTrue(client.is_closed())

    def test_pipelined_requests_keep_order(self):
        client = self.connect().send(completion(X_Request_Id="a") + request(X_Request_Id="b") +
                                     b"\r\n" + completion(stream=True, X_Request_Id="c") +
                                     request(path="/no", X_Request_Id="d"))
        responses = [client.response() for _ in range(4)]
        self.assertEqual([response.headers["x-request-id"] for response in responses], list("abcd"))
        self.assertEqual([response.status for response in responses], [200, 200, 200, 404])

    def test_pipelines_have_a_limit(self):
        client = self.connect().send(endless())
        try:
            for _ in range(100):
                client.send(request() * 100)
        except ConnectionError:
            pass
        self.assertTrue(client.is_closed())
        self.serving.logged(r'"POST /v1/completions" 0 .*\(the client sends too far ahead\)')

    def test_http_1_0(self):
        response = self.ask(request(version="1.0", Host=None))
        self.assertEqual(response.headers["connection"], "close")
        client = self.connect().send(request("POST", "/v1/completions", {"prompt": "a", "max_tokens": 3, "stream": True},
                                             version="1.0", Connection="keep-alive"))
        client.until(b"data: [DONE]\n\n")
        self.assertNotIn(b"transfer-encoding", client.data)
        self.assertIn(b"connection: close", client.data)
        self.assertTrue(client.is_closed())

    def test_head_has_no_body(self):
        client = self.connect()
        size = client.send(request()).response().headers["content-length"]
        response = client.send(request("HEAD")).response(has_body=False)
        self.assertEqual((response.status, response.headers["content-length"]), (200, size))
        self.assertEqual(client.send(request("HEAD", "/no")).response(has_body=False).status, 404)
        self.assertEqual(client.send(request()).response().status, 200)

    def test_options_name_methods(self):
        for path in ("/v1/chat/completions", "*"):
            response = self.ask(request("OPTIONS", path), 204)
            self.assertEqual(response.headers["allow"], "GET, HEAD, POST, OPTIONS")
            self.assertNotIn("access-control-allow-origin", response.headers)
            self.assertNotIn("content-length", response.headers)

    def test_other_methods(self):
        for method in ("PUT", "DELETE", "TRACE", "PATCH", "FLY"):
            self.assertEqual(self.ask(request(method), 405).headers["allow"], "GET")

    def test_absolute_targets(self):
        self.ask(request(path="http://localhost:1/health"))
        self.ask(request(path="http://127.0.0.1"))  # the page, whose path is "/"
        self.ask(request(path="http://127.0.0.1/no"), 404)
        self.ask(request(path="http://evil.example/health"), 403)
        self.ask(request("CONNECT", "localhost:443"), 400)

    def test_expect_continue(self):
        data = completion(Expect="100-continue")
        head, body = data.split(b"\r\n\r\n")
        client = self.connect().send(head + b"\r\n\r\n").until(b"\r\n\r\n")
        self.assertEqual(client.data, b"HTTP/1.1 100 Continue\r\n\r\n")
        client.data = b""
        self.assertEqual(client.send(body).response().status, 200)
        # No body is wanted that would be refused.
        self.refused(request("POST", "/v1/completions", Content_Length=200000, Expect="100-continue"), 413, "200000")
        self.refused(request(Expect="200-ok"), 417, "100-continue")


class WrongRequestsTest(ServeTest):
    ARGUMENTS = HttpTest.ARGUMENTS

    def test_malformed_requests(self):
        for data in (b"\0", b"GET\r\n\r\n", b" GET / HTTP/1.1\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/1.1\r\nHost\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", b"GET / HTTP/1.1\r\n : a\r\n\r\n", b"GET /\x7f HTTP/1.1\r\n\r\n",
                     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)):
            with self.subTest(data):
                self.refused(data + b"\r\n\r\n", 400)

    def test_other_versions(self):
        for data in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.2\r\n\r\n", b"GET / HTTP/0.9\r\n\r\n",
                     b"GET / HTTP/1.1\nHost: a\n\n\r\n"):
            self.refused(data, 505, "HTTP/1.1")

    def test_header_floods(self):
        lines = "".join(f"X-{i}: a\r\n" for i in range(101))
        self.refused(f"GET / HTTP/1.1\r\n{lines}\r\n".encode(), 431, "100 headers")
        self.refused(b"GET / HTTP/1.1\r\nX: " + b"a" * 40000 + b"\r\n\r\n", 431, "32768 bytes")
        self.refused(b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\n\r\n", 431, "32768 bytes")
        self.refused(b"GET /" + b"a" * 1000000, 431)  # without end

    def test_host_stands_once(self):
        self.ask(request(Host=None), 400)
        self.ask(b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400)

    def test_lengths_agree(self):
        body = b'{"prompt": "a", "max_tokens": 1}'
        for fields in ({"Transfer_Encoding": "chunked"}, {"Content_Length": "1, 1"}, {"Content_Length": "-1"},
                       {"Content_Length": "+32"}, {"Content_Length": "0x20"}, {"Content_Length": "9" * 30}):
            with self.subTest(fields):
                self.refused(request("POST", "/v1/completions", body, **fields), 400)
        twice = request("POST", "/v1/completions", body).replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n")
        self.refused(twice, 400)

    def test_other_encodings(self):
        for value in ("gzip", "gzip, chunked", "identity", "chunked, identity"):
            self.refused(request("POST", "/v1/completions", Transfer_Encoding=value), 501, "chunked")
        self.refused(request("POST", "/v1/completions", Transfer_Encoding="chunked", version="1.0"), 400)
        self.refused(request("POST", "/v1/completions", b"x", Content_Encoding="gzip"), 415, "compressed")

    def test_large_bodies(self):
        self.refused(request("POST", "/v1/completions", b"a" * 100001), 413, "100001 bytes")
        chunks = b"186a1\r\n" + b"a" * 100001 + b"\r\n0\r\n\r\n"
        self.refused(request("POST", "/v1/completions", Transfer_Encoding="chunked") + chunks, 413, "100000 bytes")
        many = b"c350\r\n" + b"a" * 50000 + b"\r\n"
        self.refused(request("POST", "/v1/completions", Transfer_Encoding="chunked") + many * 3, 413, "100000 bytes")
        self.refused(request("POST", "/v1/completions", Transfer_Encoding="chunked") + b"f" * 16 + b"\r\n", 413)
        self.ask(request("POST", "/tokenize", {"prompt": "a" * 99000}))

    def chunked(self, chunks, **headers):
        return request("POST", "/v1/completions", Transfer_Encoding="chunked", Content_Type="application/json",
                       **headers) + chunks

    def test_bodies_in_chunks(self):
        body = b'{"prompt": "a", "max_tokens": 1}'
        ones = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
        for chunks in (ones, b"20;a=b;c=\"d\"\r\n" + body + b"\r\n", b"00020\r\n" + body + b"\r\n"):
            for end in (b"0\r\n\r\n", b"0;x\r\nX-Trailer: 1\r\nHost: evil.example\r\n\r\n"):
                self.ask(self.chunked(chunks + end))

    def test_wrong_chunks(self):
        for chunks in (b"x\r\n", b"-1\r\n", b"1 \r\nab\r\n0\r\n\r\n", b"1\r\nabc\r\n0\r\n\r\n", b"\r\n\r\n",
                       b"10000000000000000\r\n", b"0x1\r\na\r\n0\r\n\r\n"):
            with self.subTest(chunks):
                self.refused(self.chunked(chunks), 400)
        self.refused(self.chunked(b"1;" + b"a" * 50000), 400, "too long")
        self.refused(self.chunked(b"1\r\na\r\n" * 65537), 413, "65536 chunks")

    def test_unread_bodies_lose_no_response(self):
        for _ in range(5):
            client = self.connect()
            client.send(request("POST", "/no", Content_Length=90000, Host="evil.example"))
            client.send(b"a" * 90000)
            self.assertEqual(client.response().status, 403)

    def test_bodies_together_are_limited(self):
        head = request("POST", "/v1/completions", Content_Length=100000, Content_Type="application/json")
        clients = [self.connect().send(head + b"a" * 99999) for _ in range(40)]
        waiting = {client.socket for client in clients}
        while len(waiting) > 32:  # the server holds as many bodies
            refused = select.select(waiting, [], [], SECONDS)[0]
            self.assertTrue(refused)
            waiting -= set(refused)
        statuses = []
        for client in clients:
            if not is_readable(client, 0):
                client.send(b"a")
            response = client.response()
            statuses.append(response.status)
            if response.status == 503:
                self.assertEqual((response.code, response.headers["retry-after"]), ("overloaded", "1"))
        self.assertEqual(set(statuses), {400, 503})  # 400: the body is not JSON
        self.assertGreaterEqual(statuses.count(503), 40 - 32)
        self.ask(completion())

    def test_end_of_sending_is_leaving(self):
        client = self.connect().send(request())
        client.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(client.response().status, 200)  # it was complete
        client = self.connect().send(endless(X_Request_Id="half-closed"))
        client.socket.shutdown(socket.SHUT_WR)
        self.assertTrue(client.is_closed())
        self.assertIn("(the client left)", self.serving.logged("half-closed"))


class SlowRequestsTest(ServeTest):
    ARGUMENTS = ("--head-timeout", "2", "--body-timeout", "2")

    def test_slow_requests(self):
        begin = time.monotonic()
        silent = self.connect()
        head = self.connect().send(b"GET / HTTP/1.1\r\n")
        body = self.connect().send(request("POST", "/v1/completions", Content_Length=10000))
        for client, piece in ((head, b"X: a\r\n"), (body, b"a")):
            while not is_readable(client, 0.1):
                client.send(piece)
            self.assertEqual(client.response().status, 408)
            self.assertTrue(client.is_closed())
        self.assertTrue(silent.is_closed())
        self.assertGreaterEqual(time.monotonic() - begin, 2)

    def test_slow_bodies_delay_nobody(self):
        serving = self.starts(*HttpTest.ARGUMENTS)
        slow = [serving.connect().send(completion()[:-1]) for _ in range(20)]
        self.assertEqual(serving.ask(completion()).status, 200)
        for client in slow:
            self.addCleanup(client.close)
            self.assertEqual(client.send(completion()[-1:]).response().status, 200)

    def test_idle_connections_end(self):
        serving = self.starts("--head-timeout", SECONDS, "--idle-timeout", 1)
        client = serving.connect()
        self.addCleanup(client.close)
        begin = time.monotonic()
        client.send(request()).response()
        self.assertTrue(client.is_closed())
        seconds = time.monotonic() - begin
        self.assertTrue(1 <= seconds < SECONDS, seconds)


if __name__ == "__main__":
    unittest.main()
