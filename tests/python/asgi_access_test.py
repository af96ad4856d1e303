#!/usr/bin/env python3
"""Hosts, keys, web pages and clients of the ASGI application."""
import asyncio
import pathlib
import tempfile
import unittest

from asgi_app import TEXT, AppTest, ask, runs
from libgemma.asgi import asgi


class AccessTest(AppTest):
    OPTIONS = {"allow_hosts": ["Gemma.Example"], "cors": ["https://page.example"]}

    @runs
    async def test_hosts(self, app):
        for host in ("localhost", "LOCALHOST:80", "localhost.", "a.localhost", "127.0.0.1:1",
                     "[::1]:80", "[::1]", "gemma.example:8080", "GEMMA.example"):
            self.assertEqual((await ask(app, headers={"host": host})).status, 200, host)
        for host in ("evil.example", "localhost.evil.example", "evil.example:localhost", "",
                     "127.0.0.1.evil.example", "localhost:80@evil.example", "[::1", "a b", "1.2.3",
                     "[::1]evil.example", "gemma.example.evil"):
            await self.refused(app, 403, "host_not_allowed", headers={"host": host})
        self.assertEqual((await ask(app, headers={"host": None})).status, 400)
        for server in (None, ("127.0.0.1", 80)):  # the client is not known
            await self.refused(app, 403, "host_not_allowed", client=None, server=server,
                               headers={"host": "any"})
        response = await ask(app, client=None, server=("/run/gemma", None), headers={"host": "any"})
        self.assertEqual(response.status, 200)

    @runs
    async def test_pages(self, app):
        self.assertEqual((await ask(app, headers={"origin": "http://localhost"})).status, 200)
        for origin in ("https://evil.example", "null", "http://localhost:1",
                       "https://page.example.evil"):
            response = await self.refused(app, 403, "origin_not_allowed", "POST",
                                          "/v1/completions", TEXT, headers={"origin": origin})
            self.assertNotIn("access-control-allow-origin", response.headers)
        page = {"origin": "https://page.example"}
        response = await ask(app, "POST", "/v1/completions", TEXT, headers=page)
        self.assertEqual(response.headers["access-control-allow-origin"], page["origin"])
        self.assertEqual(response.headers["vary"], "origin")
        response = await ask(app, "OPTIONS", "/v1/completions", headers={
            **page, "access-control-request-headers": "authorization, x-stainless-os"})
        self.assertEqual(response.headers["access-control-allow-headers"],
                         "authorization, x-stainless-os")

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


class KeysTest(AppTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        keys = pathlib.Path(folder.name) / "keys"
        keys.write_text("# the keys\n\n first-key \nsecond\n")
        cls.OPTIONS = {"api_key_file": keys}

    @runs
    async def test_requests_need_a_key(self, app):
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "first-key"},
                        {"authorization": "Bearer "}, {"authorization": "Bearer # the keys"},
                        {"authorization": "Bearer first-ke"}, {"authorization": "Basic first-key"}):
            for arguments in (("POST", "/v1/completions", TEXT), ("GET", "/v1/models"),
                              ("GET", "/metrics"), ("GET", "/health/../v1/models")):
                response = await self.refused(app, 401, "invalid_api_key", *arguments,
                                              headers=headers)
                self.assertEqual(response.headers["www-authenticate"], "Bearer")
        for headers in ({"authorization": "Bearer first-key"}, {"authorization": "bearer second"},
                        {"x-api-key": "second"}):
            response = await ask(app, "POST", "/v1/completions", TEXT, headers=headers,
                                 client=("192.168.0.9", 1))
            self.assertEqual(response.status, 200)
        self.assertEqual((await ask(app, path="/ready?a")).status, 200)


if __name__ == "__main__":
    unittest.main()
