#!/usr/bin/env python3
"""Hosts, keys, web pages and clients of the ASGI application."""
import asyncio
import contextlib
import pathlib
import tempfile
import unittest

from asgi_app import TEXT, AppTest, ask, runs
from access_table import ORIGINS, RULES, WRONG_KEYS, WRONG_ORIGINS
from libgemma.asgi import asgi


class AccessTest(AppTest):
    @runs
    async def test_unknown_clients(self, app):
        for server in (None, ("127.0.0.1", 80)):
            await self.refused(app, 403, "host_not_allowed", client=None, server=server,
                               headers={"host": "any"})
        response = await ask(app, client=None, server=("/run/gemma", None), headers={"host": "any"})
        self.assertEqual(response.status, 200)

    @runs
    async def test_bodies_are_json(self, app):
        for kind in ("text/plain", "application/x-www-form-urlencoded", None):
            await self.refused(app, 415, "wrong_content_type", "POST", "/v1/completions", TEXT,
                               headers={"content-type": kind})
        response = await ask(app, "POST", "/v1/completions", TEXT,
                             headers={"content-encoding": "gzip"})
        self.assertEqual(response.status, 415)

    @runs
    async def test_other_machines(self, app):
        for client in (("192.168.0.9", 1), ("2001:db8::1", 1), ("other", 1)):
            await self.refused(app, 403, "no_keys", "POST", "/v1/completions", TEXT, client=client)
            self.assertEqual((await ask(app, client=client)).status, 200)  # /health
        for client in (("::1", 1), ("::ffff:127.0.0.1", 1), ("127.0.0.5", 1)):
            response = await ask(app, "POST", "/v1/completions", TEXT, client=client)
            self.assertEqual(response.status, 200)
        for client, server in ((None, ("127.0.0.1", 80)), (None, None), (("", 0), ("::1", 80))):
            await self.refused(app, 403, "no_keys", "POST", "/v1/completions", TEXT, client=client,
                               server=server)
        response = await ask(app, "POST", "/v1/completions", TEXT, client=None,
                             server=("/run/gemma", None))
        self.assertEqual(response.status, 200)
        everybody = asgi(self.MODEL, no_auth=True)
        await asyncio.wrap_future(everybody.open())
        response = await ask(everybody, "POST", "/v1/completions", TEXT, client=("192.168.0.9", 1))
        self.assertEqual(response.status, 200)
        everybody.close()

    @runs
    async def test_prefixes(self, app):
        for prefix in ("/gemma", "/gemma/"):
            response = await ask(app, "POST", "/gemma/v1/completions", TEXT, root_path=prefix)
            self.assertEqual(response.status, 200)
        response = await ask(app, "POST", "/v1/completions", TEXT, root_path="/gemma")
        self.assertEqual(response.status, 200)
        await self.refused(app, 404, "unknown_path", path="/gemmas/health", root_path="/gemma")

    def test_iterators_are_read_once(self):
        app = asgi(self.MODEL, api_keys=iter(["a"]), allow_hosts=iter(["b"]),
                   cors=iter(["https://c.example"]))
        self.assertEqual((len(app._access._digests), app._access._hosts, app._access._origins),
                         (1, {"b"}, {"https://c.example"}))

    def test_requests_after_the_end(self):
        async def run():
            app = asgi(self.MODEL)
            await asyncio.wrap_future(app.open())
            app.close()
            for path, body in (("/v1/completions", TEXT), ("/v1/completions", b"")):
                await self.refused(app, 503, "stopped", "POST", path, body)
        asyncio.run(run())

    def test_options_are_checked(self):
        for error, options in ((TypeError, {"cors": "https://a.example"}),
                               (ValueError, {"ping": 0}),
                               (ValueError, {"cors": ["https://a.example/path"]}),
                               (ValueError, {"api_keys": ["a b"]}), (TypeError, {"thread": 1}),
                               (ValueError, {"api_keys": ["a"], "api_key_file": "b"})):
            with self.subTest(options), self.assertRaises(error):
                asgi(self.MODEL, **options)


class RulesTest(AppTest):
    """The rules of tests/testdata/serve/access.json, to which gemma serve keeps, too."""

    @contextlib.contextmanager
    def keys_file(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "keys"
            path.write_bytes(text)
            yield path

    def app(self, rules):
        options = {"allow_hosts": rules.hosts, "cors": rules.origins}
        if rules.keys is None:
            return asgi(self.MODEL, **options)
        with self.keys_file(rules.keys) as path:
            return asgi(self.MODEL, api_key_file=path, **options)

    async def check(self, app, rules, **changes):
        await asyncio.wrap_future(app.open())
        for case in rules.cases:
            with self.subTest(case.text, rules=rules.about):
                done = await ask(app, case.method, case.target, headers=case.headers,
                                 http_version=case.version, **changes)
                case.check(self, done.status, done.headers, done.body)
        app.close()

    def test_rules_of_access(self):
        for rules in RULES:
            unix = {"client": None, "server": ("/run/gemma", None)} if rules.is_unix else {}
            asyncio.run(self.check(self.app(rules), rules, **unix))

    def test_keys_admit_other_machines(self):
        rules = next(rules for rules in RULES if rules.keys)
        asyncio.run(self.check(self.app(rules), rules, client=("192.168.0.9", 1)))

    def test_wrong_keys_and_origins(self):
        for text in WRONG_KEYS:
            with self.keys_file(text) as path, self.assertRaisesRegex(ValueError, str(path)):
                asgi(self.MODEL, api_key_file=path)
        for origin in WRONG_ORIGINS:
            with self.assertRaisesRegex(ValueError, "cors"):
                asgi(self.MODEL, cors=[origin])
        asgi(self.MODEL, cors=ORIGINS)


if __name__ == "__main__":
    unittest.main()
