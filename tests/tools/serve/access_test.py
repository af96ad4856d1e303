#!/usr/bin/env python3
"""gemma serve is closed by default: addresses, names of the host, keys, web pages, content types, TLS, and what is logged."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import ssl
import stat
import subprocess
import tempfile
import unittest
import warnings

from access_table import ORIGINS, RULES, WRONG_KEYS, WRONG_ORIGINS
from command import MODELS, TESTDATA, CommandTest
from serving import NAME, TOY, Client, ServeTest, Serving, completion, request


class RulesTest(CommandTest):
    """The rules of tests/testdata/serve/access.json, to which the ASGI application keeps, too."""

    def starts(self, rules):
        arguments = ["--no-page"]
        for name, values in (("--allow-host", rules.hosts), ("--cors", rules.origins)):
            for value in values:
                arguments += [name, value]
        if rules.keys is not None:
            keys = self.folder / "keys"
            keys.write_bytes(rules.keys)
            arguments += ["--api-key-file", keys]
        path = self.folder / "socket"
        if rules.is_unix:
            arguments += ["--unix-socket", path]
        serving = Serving(*arguments)
        self.addCleanup(serving.end)
        if rules.is_unix:
            serving.address = str(path)
        return serving

    def test_rules_of_access(self):
        for rules in RULES:
            serving = self.starts(rules)
            for case in rules.cases:
                with self.subTest(case.text, rules=rules.about):
                    response = serving.ask(case.data)
                    case.check(self, response.status, response.headers, response.body)
            serving.end()

    def test_wrong_keys_and_origins(self):
        keys = self.folder / "keys"
        for text in WRONG_KEYS:
            keys.write_bytes(text)
            self.fails(1, "serve", TOY, "--api-key-file", keys, says=str(keys), cure="")
        for origin in WRONG_ORIGINS:
            self.fails(2, "serve", TOY, "--cors", origin, says="--cors")
        for origin in ORIGINS:  # the next check fails
            self.fails(1, "serve", "no-such-model", "--cors", origin, says="no-such-model", cure="")


class BodiesTest(ServeTest):
    ARGUMENTS = ("--log-prompts", "-v")

    def test_bodies_are_json(self):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", None):
            self.ask(completion(Content_Type=kind), 415)
        self.ask(completion(Content_Type="Application/JSON; charset=utf-8"))

    def test_prompts_are_logged_if_asked(self):
        self.ask(completion(prompt="the \x1b dog", X_Request_Id="with-prompt"))
        line = self.serving.logged("with-prompt")
        self.assertRegex(line, r'^\S+Z 127\.0\.0\.1 "POST /v1/completions" 200 \d+ B \d+\.\d{3} s with-prompt '
                               r'\{"prompt": "the \\+u001b dog", .*\}$')
        self.serving.logged("127.0.0.1 connected")


class KeysTest(ServeTest):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        keys = pathlib.Path(folder.name) / "keys"
        keys.write_text("# the keys\n\n first-key \nsecond\n")
        cls.serving = Serving("--api-key-file", keys, "--cors", "https://page.example", host="127.0.0.1")
        cls.addClassCleanup(cls.serving.end)

    def test_prompts_are_not_logged(self):
        self.ask(completion(prompt="the secret cat", X_Request_Id="no-prompt", Authorization="Bearer second"))
        self.ask(request(path="/v1/models?secret=1", X_Request_Id="no-query", Authorization="Bearer second"))
        self.serving.logged("no-prompt")
        self.assertIn('"GET /v1/models" 200', self.serving.logged("no-query"))
        self.assertEqual([line for line in self.serving.log if "secret" in line or "second" in line], [])


class AddressTest(CommandTest):
    def refused(self, *arguments, **options):
        return self.fails(2, "serve", TOY, "--port", 0, *arguments, **options)

    def serving(self, *arguments, **options):
        serving = Serving(*arguments, **options)
        self.addCleanup(serving.end)
        return serving

    def test_other_addresses_need_keys(self):
        for host in ("0.0.0.0", "::"):
            self.refused("--host", host, says=f"--host {host}: other machines", cure="--api-key-file")
        serving = self.serving("--host", "0.0.0.0", "--no-auth")
        self.assertEqual(serving.ask(request()).status, 200)

    def test_ports_in_use(self):
        with contextlib.closing(socket.socket()) as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            self.fails(1, "serve", TOY, "--port", port, says=f"127.0.0.1:{port}: Address already in use", cure="--port 0")
        self.fails(1, "serve", TOY, "--host", "192.0.2.1", says="192.0.2.1:8080: Cannot assign", cure="--host")
        self.fails(1, "serve", TOY, "--host", "no.such.host.invalid", says="no.such.host.invalid", cure="--host")

    def test_keys_that_are_none(self):
        keys = self.folder / "keys"
        self.fails(1, "serve", TOY, "--api-key-file", keys, says="No such file")
        for text, says in (("# no key\n\n", "no key in it"), ("a b\n", "no header can carry"), ("k\xfcy\n", "no header")):
            keys.write_text(text)
            self.fails(1, "serve", TOY, "--api-key-file", keys, says=says, cure="")
        self.refused("--api-key-file", keys, "--no-auth", says="--no-auth")
        self.refused("--cors", "page.example", says="'page.example' is not an origin")
        self.refused("--tls-cert", keys, says="--tls-cert requires --tls-key", cure="")

    def test_unix_sockets_are_private(self):
        path = self.folder / "socket"
        for _ in range(2):  # the second one replaces the file that the first one left
            serving = self.serving("--unix-socket", path)
            self.assertEqual(serving.line, f"unix:{path} serves {NAME}\n")
            self.assertEqual(stat.S_IMODE(os.lstat(path).st_mode), 0o600)
            with contextlib.closing(Client(str(path))) as client:
                self.assertEqual(client.send(request(Host="any.name")).response().status, 200)
            self.fails(1, "serve", TOY, "--unix-socket", path, says="Address already in use", cure="another server")
            serving.process.kill()
            serving.process.wait()
        serving = self.serving("--unix-socket", path)
        self.assertEqual((serving.stop(), path.exists()), (0, False))
        path.write_text("mine")
        self.fails(1, "serve", TOY, "--unix-socket", path, says="not a socket", cure="new file")
        self.assertEqual(path.read_text(), "mine")

    def test_https(self):
        certificate, key = self.make_certificate()
        for wrong, says in ((["--tls-cert", key, "--tls-key", key], "no certificate in PEM form"),
                            (["--tls-cert", certificate, "--tls-key", certificate], "no key in PEM form")):
            self.fails(1, "serve", TOY, *wrong, says=says, cure="--tls-")
        serving = self.serving("--tls-cert", certificate, "--tls-key", key)
        self.assertRegex(serving.line, r"^https://127\.0\.0\.1:\d+ serves gemma3_mixed\n$")
        tls = ssl.create_default_context(cafile=certificate)
        client = serving.connect(tls=tls)
        self.addCleanup(client.close)
        text = client.send(completion(max_tokens=30, seed=1)).response().json()["choices"][0]["text"]
        self.assertEqual(client.send(completion(max_tokens=30, seed=1)).response().json()["choices"][0]["text"], text)
        self.assertIn(b"[DONE]", client.send(completion(stream=True, Connection="close")).response().body)
        self.assertTrue(client.is_closed())
        hasty = self.serving("--tls-cert", certificate, "--tls-key", key, "--head-timeout", 1)
        silent, plain = hasty.connect(), hasty.connect().send(request())
        for client in (silent, plain):  # no handshake
            self.addCleanup(client.close)
            self.assertTrue(client.is_closed())
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with warnings.catch_warnings(action="ignore"):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            serving.connect(tls=old)

    def make_certificate(self):
        certificate, key = self.folder / "cert.pem", self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
                       check=True, capture_output=True)
        return certificate, key

    def test_certificates_are_read_again(self):
        certificate, key = self.make_certificate()
        old = ssl.create_default_context(cafile=certificate)
        serving = self.serving("--tls-cert", certificate, "--tls-key", key)
        first = serving.connect(tls=old)
        self.addCleanup(first.close)
        self.make_certificate()
        new = ssl.create_default_context(cafile=certificate)
        with self.assertRaises(ssl.SSLError):
            serving.connect(tls=new)
        serving.process.send_signal(signal.SIGHUP)
        serving.logged(f"read {certificate} again")
        second = serving.connect(tls=new)
        self.addCleanup(second.close)
        certificate.write_text("none")
        serving.process.send_signal(signal.SIGHUP)
        serving.logged("the certificate from before stays in use")
        third = serving.connect(tls=new)
        self.addCleanup(third.close)
        for client in (first, second, third):
            self.assertEqual(client.send(request()).response().status, 200)
        self.assertEqual(serving.stop(), 0)

    def test_models_have_names(self):
        embedder = TOY.parent / "gemma_embedding.gguf"
        serving = self.serving(models=[TOY, f"small={TOY.parent / 'gemma4_chat.gguf'}", embedder])
        self.assertTrue(serving.line.endswith(f" serves {NAME}, small, gemma_embedding\n"), serving.line)
        for name, status in ((NAME, 200), ("small", 200), ("large", 404)):
            self.assertEqual(serving.ask(completion(model=name)).status, status)
        for models, says in (([TOY, TOY], f"two models have the name '{NAME}'"), (["a=", TOY], "'a=' is not NAME=MODEL")):
            self.fails(2, "serve", *models, says=says, cure="NAME=MODEL" if TOY == models[0] else None)
        self.fails(2, "serve", TOY, f"b={TOY}", "--lora", "x", says="--lora changes one model")
        self.fails(1, "serve", "no-such-model", says="no-such-model", cure="")

    def test_guards_judge_texts(self):
        shield = TESTDATA / "classify" / "shield.gguf"
        serving = self.serving("--guard", shield)
        self.assertTrue(serving.line.endswith(f" serves {NAME}, shield\n"), serving.line)
        text = "the model"
        expected = json.loads(self.succeeds_quietly("classify", shield, "--json", "--", text))["probabilities"]
        response = self.moderate(serving, model="shield", input=text)
        self.assertEqual(response.status, 200, response.body)
        scores = response.json()["results"][0]["category_scores"]
        self.assertEqual(sorted(scores), sorted(expected))
        for policy, score in expected.items():
            self.assertAlmostEqual(scores[policy], score, places=5)
        # The most texts of a request find room.
        self.assertEqual(len(self.moderate(serving, model="shield", input=["x"] * 64).json()["results"]), 64)
        self.assertEqual(self.moderate(serving, model=NAME, input=text).code, "wrong_model")
        self.fails(1, "serve", TOY, "--port", 0, "--guard", f"guard={TOY}", says="no piece 'Yes'", cure="shieldgemma")
        self.fails(2, "serve", TOY, "--port", 0, "--guard", TOY, says="two models have the name", cure="NAME=MODEL")

    def moderate(self, serving, **fields):
        return serving.ask(request("POST", "/v1/moderations", fields))

    def test_models_that_do_not_fit(self):
        self.fails(1, "serve", "-q", TOY, "--port", 0, "--context", "16m", "--batch-size", 1024,
                   says=[f"{NAME}: needs", "for 1024 contexts"], cure="--batch-size")

    def test_models_without_tokenizer(self):
        self.fails(1, "serve", "-q", MODELS / "gemma2", "--port", 0, says="the model has no tokenizer",
                   cure="put tokenizer.model or tokenizer.json")


if __name__ == "__main__":
    unittest.main()
