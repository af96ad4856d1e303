#!/usr/bin/env python3
"""gemma serve does the same over TCP, a Unix socket and TLS: pipelines, chunks, clients that leave, wrong names of the host."""
import contextlib
import pathlib
import socket
import ssl
import subprocess
import tempfile
import unittest

from serving import LONG, SECONDS, Serving, ServeTest, completion, endless, request


class Transport:
    """The cases of each transport. `name` is how a client may call the server."""
    ARGUMENTS = ("--batch-size", "1", *LONG)

    def end_sending(self, client):
        """Ends the client's side; it still reads."""
        client.socket.shutdown(socket.SHUT_WR)

    def test_pipelines_keep_order(self):
        chunked = request("POST", "/v1/completions", Transfer_Encoding="chunked", Content_Type="application/json")
        body = b'{"prompt": "a", "max_tokens": 1}'
        client = self.connect().send(
            request(X_Request_Id="a") + chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) +
            completion(stream=True, X_Request_Id="b") + request("HEAD", X_Request_Id="c"))
        responses = [client.response() for _ in range(3)] + [client.response(has_body=False)]
        self.assertEqual([response.status for response in responses], [200] * 4)
        self.assertEqual(responses[0].headers["x-request-id"], "a")
        self.assertEqual(responses[1].json()["usage"]["completion_tokens"], 1)
        self.assertEqual([response.headers["x-request-id"] for response in responses[2:]], ["b", "c"])
        self.assertEqual(client.data, b"")

    def test_wrong_requests_end_pipelines(self):
        # What follows a wrong request may be a part of it, so that nobody may read it as one.
        hidden = request(X_Request_Id="hidden")
        for wrong in (b"GET /\r\n\r\n", request("POST", "/v1/completions", Transfer_Encoding="chunked") + b"2\r\nabc\r\n"):
            client = self.connect().send(request() + wrong + hidden)
            self.assertEqual([client.response().status for _ in range(2)], [200, 400])
            self.assertTrue(client.is_closed())
        client = self.connect().send(request(Connection="close") + hidden)
        self.assertEqual(client.response().status, 200)
        self.assertTrue(client.is_closed())
        self.assertEqual([line for line in self.serving.log if "hidden" in line], [])

    def test_other_hosts(self):
        for host, status in (("localhost", 200), ("evil.example", self.status_of_others)):
            self.ask(request(Host=host), status)

    def test_unfinished_bodies(self):
        head = request("POST", "/v1/completions", Transfer_Encoding="chunked", Content_Type="application/json")
        for sent in (b"", b"5", b"5\r\nab", b"5\r\nabcde", b"5\r\nabcde\r\n", b"5\r\nabcde\r\n0\r\n"):
            with self.subTest(sent):
                client = self.connect().send(head + sent)
                self.end_sending(client)
                with self.assertRaises(EOFError) as caught:
                    client.response()
                self.assertEqual(caught.exception.args, (b"",))
        self.ask(request())

    def test_clients_that_leave(self):
        for i, leave in enumerate((lambda client: client.close(), self.end_sending)):
            client = self.connect().send(endless(stream=True, X_Request_Id=f"left-{i}")).until(b"data: ")
            leave(client)
            self.assertIn("(the client left)", self.serving.logged(f"left-{i}"))
            self.ask(completion())  # one request runs at a time

    def test_end_after_complete_responses(self):
        client = self.connect().send(completion(max_tokens=2))
        response = client.response()
        self.end_sending(client)
        self.assertEqual(response.status, 200)
        self.assertTrue(client.is_closed())


class TcpTest(Transport, ServeTest):
    status_of_others = 403


class FilesTest(ServeTest):
    """Has a folder for the files of a transport."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.serving = cls.starts_in(pathlib.Path(folder.name))
        cls.addClassCleanup(cls.serving.end)


class UnixTest(Transport, FilesTest):
    status_of_others = 200  # no web page can name a socket

    @classmethod
    def starts_in(cls, folder):
        serving = Serving(*cls.ARGUMENTS, "--unix-socket", folder / "socket")
        serving.address = str(folder / "socket")
        return serving


class TlsTest(Transport, FilesTest):
    status_of_others = 403

    @classmethod
    def starts_in(cls, folder):
        certificate, key = folder / "cert.pem", folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
                       check=True, capture_output=True)
        cls.tls = ssl.create_default_context(cafile=certificate)
        return Serving(*cls.ARGUMENTS, "--tls-cert", certificate, "--tls-key", key)

    def connect(self, **options):
        return super().connect(tls=self.tls, **options)

    def ask(self, data, status=200, has_body=True):
        with contextlib.closing(self.connect()) as client:
            response = client.send(data).response(has_body)
        self.assertEqual(response.status, status, response.body)
        return response

    def end_sending(self, client):
        # The message of TLS, without an answer to it.
        client.socket.settimeout(0)
        with contextlib.suppress(ssl.SSLError):
            client.socket.unwrap()
        client.socket.settimeout(SECONDS)

    def test_unknown_certificates_are_refused(self):
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.serving.connect(tls=ssl.create_default_context())


if __name__ == "__main__":
    unittest.main()
