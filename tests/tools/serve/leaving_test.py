#!/usr/bin/env python3
"""gemma serve and clients that leave, read slowly or come in crowds, and how it ends."""
import os
import re
import signal
import socket
import struct
import threading
import time
import unittest

from serving import LONG, NEVER_ENDS, SECONDS, ServeTest, completion, endless, is_readable, request


def reset(client):
    """Closes the connection with RST."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


class LeavingTest(ServeTest):
    """One request runs at a time, for minutes if nothing ends it: the next one shows that it has ended."""
    ARGUMENTS = ("--batch-size", "1", "--max-queued", "2", "--max-queued-per-client", "2", *LONG)

    def leaves(self, client, name, leave=None):
        (leave or type(client).close)(client)
        self.assertIn("(the client left)", self.serving.logged(f" {name}"))

    def until_running(self, number):
        deadline = time.monotonic() + SECONDS
        while not re.search(rb"^gemma:num_requests_running\{.*\} %d(\.0)?$" % number, self.ask(request(path="/metrics")).body,
                            re.MULTILINE):
            self.assertLess(time.monotonic(), deadline)

    def runs_next(self):
        begin = time.monotonic()
        self.ask(completion())
        self.assertLess(time.monotonic() - begin, SECONDS)

    def test_leaving_an_answer(self):
        for i, leave in enumerate((None, reset, lambda client: client.socket.shutdown(socket.SHUT_WR))):
            for stream in (True, False):
                name = f"answer-{i}-{stream}"
                self.until_running(0)
                client = self.connect().send(endless(stream=stream, X_Request_Id=name))
                if stream:
                    client.until(b"data: ")
                self.until_running(1)  # RST discards what the server has not read
                self.leaves(client, name, leave)
                self.runs_next()

    def test_leaving_a_prompt(self):
        client = self.connect().send(completion(prompt="the cat " * 60000, X_Request_Id="prompt"))
        self.assertFalse(is_readable(client, 0.3))
        self.leaves(client, "prompt")
        self.runs_next()

    def test_leaving_the_queue(self):
        first = self.connect().send(endless(stream=True, X_Request_Id="first")).until(b"data: ")
        second = self.connect().send(endless(stream=True, X_Request_Id="second"))
        second.until(b"\r\n\r\n")  # its head
        self.assertFalse(is_readable(second, 0.2))
        self.leaves(second, "second")
        self.leaves(first, "first")
        self.runs_next()

    def test_full_queues(self):
        running = self.connect().send(endless(stream=True, X_Request_Id="running")).until(b"data: ")
        waiting = [self.connect().send(endless(stream=True, X_Request_Id=f"waiting-{i}")).until(b"\r\n\r\n") for i in range(2)]
        client = self.connect().send(completion())
        response = client.response()
        self.assertEqual((response.status, response.code), (429, "queue_full"))
        self.assertRegex(response.headers["retry-after"], r"^[1-9]\d*$")
        for i, each in enumerate(waiting):
            self.leaves(each, f"waiting-{i}")
        self.leaves(running, "running")
        while client.send(completion()).response().status == 429:
            time.sleep(0.01)
        self.runs_next()

    def test_leaving_a_pipeline(self):
        client = self.connect().send(endless(X_Request_Id="pipeline") + endless())
        self.leaves(client, "pipeline")
        self.runs_next()

    def test_health_while_busy(self):
        client = self.connect().send(completion(prompt="the cat " * 60000, X_Request_Id="busy"))
        other = self.connect()
        for _ in range(20):
            self.assertEqual(other.send(request()).response().status, 200)
        self.leaves(client, "busy")
        self.runs_next()


class CrowdTest(ServeTest):
    ARGUMENTS = ("--max-connections", "250", "--max-connections-per-address", "240", "--write-timeout", "1", "--ping", "1",
                 "--max-queued", "240", "--max-queued-per-client", "240", *LONG)

    def test_slow_readers_harm_nobody(self):
        slow = self.connect(receive_bytes=4096).send(endless(stream=True, X_Request_Id="slow"))
        for _ in range(5):
            self.ask(completion(stream=True))
        # It reads nothing, so it loses its request.
        self.assertRegex(self.serving.logged(" slow"), r"\(the client reads too slowly\)")
        self.ask(completion())
        slow.close()

    def test_many_connections(self):
        clients = [self.connect() for _ in range(200)]
        for client in clients:
            client.send(completion(max_tokens=1, stream=True))
        for client in clients:
            response = client.response()
            self.assertEqual(response.status, 200, response.body)
            self.assertTrue(response.body.endswith(b"data: [DONE]\n\n"))
        others = [self.connect().send(request()) for _ in range(40)]
        for client in others:
            self.assertEqual(client.response().status, 200)
        over = self.connect()
        response = over.response()
        self.assertEqual((response.status, response.code, response.headers["retry-after"]), (503, "overloaded", "1"))
        self.assertIn("240 connections of this address", response.json()["error"]["message"])
        self.assertTrue(over.is_closed())
        for client in clients[:10]:
            client.close()
        deadline = time.monotonic() + SECONDS
        while self.serving.ask(request()).status == 503:
            self.assertLess(time.monotonic(), deadline)

    def test_streams_get_comments(self):
        serving = self.starts("--batch-size", "1", "--ping", "1", *LONG)
        clients = [serving.connect() for _ in range(2)]
        for client in clients:
            self.addCleanup(client.close)
        clients[0].send(endless(stream=True)).until(b"data: ")
        clients[1].send(completion(stream=True)).until(b": ping\n\n")  # waits for the first

    def test_clients_share_a_queue(self):
        serving = self.starts("--batch-size", "1", "--max-queued", "4", *LONG)

        def asks(source):
            client = serving.connect(source=source)
            self.addCleanup(client.close)
            return client.send(endless(stream=True)).until(b"\r\n\r\n").data

        for source, statuses in (("127.0.0.1", (200, 200, 200, 429)), ("127.0.0.2", (200, 200, 429))):
            for status in statuses:
                self.assertIn(b"HTTP/1.1 %d " % status, asks(source))


class EndTest(ServeTest):
    ARGUMENTS = ()

    def test_requests_finish(self):
        serving = self.starts("--grace", SECONDS)
        idle = serving.connect()
        self.assertEqual(idle.send(request()).response().status, 200)
        silent = serving.connect()
        client = serving.connect().send(completion(max_tokens=1000, stream=True, logit_bias=NEVER_ENDS)).until(b"data: ")
        serving.process.send_signal(signal.SIGTERM)
        serving.logged(f"ending within {SECONDS} s")
        self.assertTrue(idle.is_closed() and silent.is_closed())
        self.assertTrue(client.response().body.endswith(b"data: [DONE]\n\n"))
        self.assertTrue(client.is_closed())
        self.assertEqual(serving.process.wait(timeout=SECONDS), 0)
        with self.assertRaises(ConnectionError):
            serving.connect()
        for each in (idle, silent, client):
            each.close()

    def test_grace_ends(self):
        serving = self.starts("--grace", 1, *LONG)
        client = serving.connect().send(endless(stream=True)).until(b"data: ")
        self.addCleanup(client.close)
        self.assertEqual(serving.stop(signal.SIGINT), 0)
        serving.logged("1 connections did not finish in time")
        serving.logged(r"\(the server ends\)")

    def test_second_signal_ends_at_once(self):
        serving = self.starts("--grace", 1000, *LONG)
        client = serving.connect().send(endless(stream=True)).until(b"data: ")
        self.addCleanup(client.close)
        serving.process.send_signal(signal.SIGTERM)
        serving.logged("ending within 1000 s")
        self.assertEqual(serving.stop(signal.SIGTERM), 128 + signal.SIGTERM)

    def test_ends_while_clients_connect(self):
        for _ in range(3):
            serving = self.starts("-q", "--grace", SECONDS)
            crowd = [threading.Thread(target=self.connects, args=(serving,)) for _ in range(4)]
            for thread in crowd:
                thread.start()
            self.assertEqual(serving.stop(), 0)
            for thread in crowd:
                thread.join()

    @staticmethod
    def connects(serving):
        try:
            while True:
                serving.connect().close()
        except ConnectionError:
            pass

    def test_quiet_logs_nothing(self):
        serving = self.starts("-q")
        self.assertEqual(serving.ask(completion()).status, 200)
        self.assertEqual((serving.stop(), serving.log), (0, []))

    def test_log_that_nobody_reads(self):
        serving = self.starts("-v", reads_log=False)
        client = serving.connect()
        self.addCleanup(client.close)
        for _ in range(2000):
            self.assertEqual(client.send(request(path="/" + "a" * 200)).response().status, 404)
        # Not a byte more fits in, so that notes would wait, too.
        error = os.open(f"/proc/{serving.process.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, error)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(error, b"x")
        self.assertEqual(serving.stop(), 0)


if __name__ == "__main__":
    unittest.main()
