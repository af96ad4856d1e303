#!/usr/bin/env python3
"""The chat page of gemma serve: what the server sends, and what a browser makes of it."""
import gzip
import json
import pathlib
import re
import tempfile
import unittest

from browser import ENTER, ESCAPE, RIGHT, SHIFT
from command import compares_results
from scripted import FILES, MODEL, Gate, PageTest, answer, chunk, error
from serving import NAME, ServeTest, request


class FilesTest(ServeTest):
    def test_page_has_its_files(self):
        for path, file in FILES.items():
            response = self.ask(request(path=path))
            self.assertEqual(response.body, file.read_bytes(), path)
            self.assertRegex(response.headers["content-type"], r"^(text/(html|javascript|css); charset=utf-8|image/svg\+xml)$")
            self.assertEqual(response.headers["x-content-type-options"], "nosniff")
            self.assertEqual(response.headers["referrer-policy"], "no-referrer")
            policy = dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))
            for name in ("default-src", "base-uri", "form-action", "frame-ancestors", "trusted-types"):
                self.assertEqual(policy.pop(name), "'none'")
            for name in ("script-src", "style-src", "img-src", "connect-src"):
                self.assertEqual(policy.pop(name), "'self'")
            self.assertEqual(policy, {"require-trusted-types-for": "'script'"})
        self.assertEqual(self.ask(request(path="/?a=b")).body, FILES["/"].read_bytes())
        for path in ("/page/", "/page/no.js", "/page/../page/main.js", "/page/page_files.cc.in"):
            self.ask(request(path=path), 404)
        self.ask(request("POST", "/", {}), 404)
        self.ask(request(Host="evil.example"), 403)

    def test_known_files_are_not_resent(self):
        client = self.connect()
        for headers, text in (({}, lambda body: body), ({"Accept-Encoding": "br, GZIP;q=0.8"}, gzip.decompress)):
            response = client.send(request(path="/page/main.js", **headers)).response()
            self.assertEqual(text(response.body), FILES["/page/main.js"].read_bytes())
            self.assertEqual("content-encoding" in response.headers, bool(headers))
            tag = response.headers["etag"]
            again = client.send(request(path="/page/main.js", If_None_Match=f'"x", {tag}', **headers)).response(has_body=False)
            self.assertEqual((again.status, again.headers["etag"], again.rest), (304, tag, b""))
            self.assertNotIn("content-length", again.headers)
            self.assertEqual(client.send(request(path="/page/dom.js", If_None_Match=tag, **headers)).response().status, 200)
        head = client.send(request("HEAD", "/")).response(has_body=False)
        self.assertEqual((head.status, head.headers["content-length"]), (200, str(FILES["/"].stat().st_size)))

    def test_names_no_other_server(self):
        for path in FILES.values():
            text = re.sub(r"http://www\.w3\.org/2000/svg", "", path.read_text())
            found = re.search(r"https?://[\w.]|['\"(]//|@import|: *url\(|innerHTML|insertAdjacentHTML|document\.write|\beval\b|"
                              r"\sstyle=|\son\w+=", text)
            self.assertIsNone(found, path)
            self.assertLessEqual(text.count("\n"), 400, path.name)

    def test_can_be_left_out(self):
        serving = self.starts("--no-page")
        for path in ("/", "/page/main.js"):
            self.assertEqual(serving.ask(request(path=path)).status, 404)

    def test_needs_no_key(self):
        with tempfile.NamedTemporaryFile("w") as keys:
            keys.write("key\n")
            keys.flush()
            serving = self.starts("--api-key-file", keys.name)
        for path in FILES:
            self.assertEqual(serving.ask(request(path=path)).status, 200)
        self.assertEqual(serving.ask(request("POST", "/", {})).status, 401)
        closed = self.starts("--api-key-file", self.key_file(), "--no-page")
        self.assertEqual(closed.ask(request(path="/")).status, 401)

    def key_file(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / "keys"
        path.write_text("key\n")
        return path


@compares_results
class ChatTest(PageTest):
    def test_answers_come_in_pieces(self):
        gate = Gate(*answer("One ", "**two** ", "three"))
        self.open()
        self.server.answers = [gate]
        self.browser.type("#input", "Count" + SHIFT + ENTER + SHIFT + "slowly" + ENTER)
        gate.let(2)
        self.browser.wait("return document.querySelector('.running .text')?.textContent.trim() === 'One'")
        self.assertTrue(self.browser.run("return document.querySelector('#send').hidden"))
        gate.let(1)
        self.browser.wait("return document.querySelector('.running strong')?.textContent === 'two'")
        gate.let(10)
        self.ended(2)
        self.assertEqual(self.shown(), ["Count\nslowly", "One two three"])
        [body] = self.server.chats()
        self.assertEqual(body["messages"], [{"role": "user", "content": "Count\nslowly"}])
        self.assertEqual((body["model"], body["stream"], body["return_progress"], body["top_logprobs"]), ("toy", True, True, 5))
        details = self.browser.run("return document.querySelector('.details').textContent")
        for part in ("4 tokens", "tokens/s", "prompt of 9 tokens, 5 of them remembered", "seed 7"):
            self.assertIn(part, details)
        # Screen readers hear parts that are complete.
        self.browser.wait("return document.querySelector('#reader').textContent === 'One two three'")
        self.assertEqual(self.browser.run("return document.querySelector('#said').textContent"), "The answer is complete")

    def test_progress_of_prompts(self):
        gate = Gate(chunk({"role": "assistant", "content": ""}),
                    {"choices": [], "prompt_progress": {"prompt": 0, "processed": 512, "total": 2048, "time_ms": 9}},
                    *list(answer("x"))[1:])
        self.open()
        self.server.answers = [gate]
        self.browser.type("#input", "Read" + ENTER)
        gate.let(2)
        self.browser.wait("return document.querySelector('#progress-text').textContent === 'Reads the prompt: 512 of 2,048 tokens'")
        self.assertEqual(self.browser.run("const bar = document.querySelector('#progress-bar'); return [bar.value, bar.max]"), [512, 2048])
        gate.let(10)
        self.ended(2)
        self.assertTrue(self.browser.run("return document.querySelector('#progress').hidden"))

    def test_stopped_answers_go_on(self):
        self.open()
        for stop in (lambda: self.browser.keys(ESCAPE), lambda: self.browser.click("#stop")):
            gate = Gate(*answer("begins", *["."] * 1000))
            self.server.answers = [gate]
            self.server.left.clear()
            self.browser.type("#input", "Go" + ENTER)
            gate.let(2)
            self.browser.wait("return document.querySelector('.running .text')?.textContent === 'begins'")
            stop()
            self.browser.wait("return !document.querySelector('.running')")
            for _ in range(900):  # until a write fails
                gate.let(1)
                if self.server.left.wait(0.03):
                    break
            self.assertTrue(self.server.left.is_set())
        self.assertIn("stopped", self.browser.run("return document.querySelector('.message:last-child .details').textContent"))
        self.server.answers = [answer(" and ends")]
        self.browser.click(".message:last-child [aria-label^='Go on']")
        self.browser.wait("return document.querySelector('.message:last-child .text').innerText.includes('and ends')")
        self.ended(4)
        self.assertEqual(self.server.chats()[-1]["messages"][-1]["content"].rstrip("."), "begins")
        self.assertRegex(self.shown()[-1], r"^begins\.* and ends$")

    def test_history_survives_reloading(self):
        self.open()
        self.chat("First", *answer("A"))
        self.browser.click("#new")
        self.chat("Second", *answer("B"))
        self.browser.reload()
        self.browser.wait("return document.querySelector('#model').value")
        self.assertEqual(self.browser.run("return document.querySelectorAll('#conversations li').length"), 2)
        self.assertEqual(self.shown(), ["Second", "B"])
        self.browser.click("#conversations li:nth-child(2) .open")
        self.assertEqual(self.shown(), ["First", "A"])
        # A page that is closed while an answer comes keeps what has come.
        gate = Gate(*answer("half"))
        self.server.answers = [gate]
        self.browser.type("#input", "More" + ENTER)
        gate.let(2)
        self.browser.wait("return document.querySelector('.running .text')?.textContent === 'half'")
        self.browser.reload()
        gate.let(10)
        self.browser.wait("return document.querySelectorAll('.message').length === 4")
        self.assertEqual(self.shown(), ["First", "A", "More", "half"])

    def test_conversations_can_be_changed(self):
        self.open()
        self.chat("It's <b>", *answer("A"))
        self.browser.click("#conversations .icon")
        self.browser.run("document.querySelector('#chat-title').value = ''")
        self.browser.type("#chat-title", "My chat" + ENTER)
        self.browser.wait("return document.querySelector('#title').textContent === 'My chat'")
        self.browser.run("window.saved = []; const make = URL.createObjectURL; URL.createObjectURL = (blob) => { window.saved.push(blob.text()); return make(blob); }; "
                         "navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        self.browser.click("#conversations .icon")
        self.browser.click("[value=export]")
        self.browser.wait("return window.saved.length")
        exported = json.loads(self.browser.run("return window.saved[0]"))
        self.assertEqual(exported["shown"], [{"role": "user", "content": "It's <b>"}, {"role": "assistant", "content": "A"}])
        self.browser.click("#conversations .icon")
        self.browser.click("[value=curl]")
        command = self.browser.wait("return window.copied")
        self.assertIn(f"curl '{self.server.url}v1/chat/completions'", command)
        self.assertIn(r"""{"role":"user","content":"It'\''s <b>"}""", command)
        self.browser.click("#conversations .icon")
        self.browser.click("[value=delete]")
        self.browser.click("#delete-dialog [value=yes]")
        self.browser.wait("return document.querySelectorAll('#conversations li').length === 0")
        self.assertEqual(self.browser.run("return Object.keys(localStorage).filter((name) => name.includes('chat'))"), [])

    def test_messages_have_versions(self):
        self.open()
        self.chat("Question", *answer("A"))
        self.server.answers = [answer("B")]
        self.browser.click("[aria-label='Answer again']")
        self.browser.wait("return document.querySelector('.message:last-child .text').innerText === 'B'")
        self.ended(2)
        self.assertEqual(len(self.server.chats()[1]["messages"]), 1)
        self.assertEqual(self.browser.run("return document.querySelector('.count').textContent"), "2 / 2")
        self.browser.click("[aria-label='The version before']")
        self.assertEqual(self.shown(), ["Question", "A"])
        self.server.answers = [answer("C")]
        self.browser.click("[aria-label='Edit the message']")
        self.browser.type(".edit textarea", " 2" + ENTER)
        self.browser.wait("return document.querySelector('.message:last-child .text')?.innerText === 'C'")
        self.ended(2)
        self.assertEqual(self.shown(), ["Question 2", "C"])
        self.assertEqual(self.server.chats()[2]["messages"], [{"role": "user", "content": "Question 2"}])
        self.browser.click(".user [aria-label='The version before']")
        self.assertEqual(self.shown(), ["Question", "A"])
        self.browser.click("[aria-label='Edit the message']")
        self.browser.type(".edit textarea", "nothing" + ESCAPE)
        self.assertEqual(self.shown(), ["Question", "A"])

    def test_settings_reach_the_server(self):
        second = {**MODEL, "id": "second", "thinks": True, "sampling": {"temperature": 0.7}}
        self.server.reset(models=(MODEL, second))
        self.open()
        self.browser.wait("return document.querySelectorAll('#model option').length === 2")
        self.browser.click("#open-settings")
        self.assertEqual(self.browser.run("return [document.querySelector('#field-top_k').placeholder, document.querySelector('#think-field').hidden]"),
                         ["64", True])
        self.browser.type("#model", "second")
        self.assertEqual(self.browser.run("return document.querySelector('#field-temperature').placeholder"), "0.7")
        self.browser.type("#system", "Be brief.")
        self.browser.type("#field-temperature", "0.5")
        self.browser.type("#field-seed", "11")
        self.browser.type("#think", "on")
        self.browser.type("#schema", '{"type": "object"}')
        self.browser.click("#probabilities")
        self.chat("Hi", *answer("{}"))
        [body] = self.server.chats()
        self.assertEqual(body["messages"][0], {"role": "system", "content": "Be brief."})
        self.assertEqual({name: body.get(name) for name in ("model", "temperature", "top_p", "seed", "think", "logprobs")},
                         {"model": "second", "temperature": 0.5, "top_p": None, "seed": 11, "think": True, "logprobs": None})
        self.assertEqual(body["response_format"]["json_schema"]["schema"], {"type": "object"})
        self.browser.click("#defaults")
        self.chat("Again", *answer("x"))
        self.assertNotIn("temperature", self.server.chats()[1])

    def test_base_model_is_announced(self):
        base = {**MODEL, "id": "base", "instruction_tuned": False}
        self.server.reset(models=(MODEL, base))
        self.open()
        self.browser.wait("return document.querySelectorAll('#model option').length === 2")
        self.assertTrue(self.browser.run("return document.querySelector('#notice').hidden"))
        def choose(model):
            self.browser.run("const one = document.querySelector('#model'); one.value = arguments[0];"
                             " one.dispatchEvent(new Event('change'));", model)

        choose("base")
        self.assertIn("base was not tuned to chat", self.browser.run("return document.querySelector('#notice-text').textContent"))
        choose("toy")
        self.assertTrue(self.browser.run("return document.querySelector('#notice').hidden"))

    def test_thoughts_are_folded(self):
        self.open()
        self.chat("Think", chunk({"reasoning_content": "I <i>wonder</i>"}), *answer("Yes"))
        self.assertEqual(self.browser.run("const one = document.querySelector('.thoughts'); return [one.open, one.querySelector('div').textContent]"),
                         [False, "I <i>wonder</i>"])
        self.assertEqual(self.browser.run("return document.querySelector('.text').innerText"), "Yes")


@compares_results
class ServerTest(PageTest):
    """What the server says besides answers."""

    def test_key_is_asked_for(self):
        self.server.refuses = error(401, "no key", "invalid_api_key")
        self.open(is_ready=False)
        self.browser.wait("return document.querySelector('#key-dialog').open")
        self.browser.type("#key", "wrong" + ENTER)
        self.browser.wait("return document.querySelector('#key-text').textContent.includes('does not know')")
        self.server.refuses = None
        self.browser.type("#key", "right" + ENTER)
        self.browser.wait("return document.querySelector('#model').value")
        self.assertEqual(self.browser.run("return [sessionStorage['gemma.key'], localStorage['gemma.key'] ?? null]"), ["right", None])
        self.assertEqual(self.server.authorization, "Bearer right")
        self.browser.click("#open-settings")
        self.browser.click("#forget-key")
        self.browser.wait("return document.querySelector('#key-field').hidden && !sessionStorage['gemma.key']")

    def test_waits_for_models(self):
        self.server.is_ready = False
        self.open(is_ready=False)
        self.browser.wait("return document.querySelector('#notice-text').textContent.includes('loading')")
        self.server.is_ready = True
        self.browser.wait("return document.querySelector('#model').value === 'toy' && document.querySelector('#notice').hidden")

    def test_errors_are_shown(self):
        self.open()
        text = "the prompt has 5000 tokens, the context has room for 4095"
        broken = [chunk({"content": "half"}), {"error": {"message": "<b>broke</b>"}}]
        for reply, says, whole in ((error(400, text, "context_length_exceeded"), text, ""), (broken, "<b>broke</b>", "half"),
                                   ([chunk({"content": "half"})], "The connection ended", "half")):
            self.server.answers = [reply]
            self.browser.click("#new")
            self.browser.type("#input", "Go" + ENTER)
            self.browser.wait("return document.querySelector('.error:not([hidden])')?.textContent.includes(arguments[0])", says)
            self.assertEqual(self.browser.run("return document.querySelector('.text').innerText"), whole)
        self.server.answers = [answer("better")]
        self.browser.click("[aria-label='Answer again']")
        self.browser.wait("return document.querySelector('.text').innerText === 'better'")

    def test_probabilities_of_tokens(self):
        the = ("The", -0.1, [("The", -0.1), ("A", -2.5), ("<end>", -4)])
        cat = (" cat", -3.0, [(" dog", -0.2), (" cat", -3.0)])
        self.open()
        self.chat("Go", chunk({"content": "The"}, [the]), chunk({"content": " cat"}, [cat]), *list(answer())[1:])
        self.browser.click("[data-mode=tokens]")
        self.browser.hover(".token:nth-child(2)")
        panel = self.browser.wait("return document.querySelector('.panel:not([hidden])')?.innerText")
        for text in ("·cat", "5.0 %", "·dog", "81.9 %"):
            self.assertIn(text, panel)
        self.assertEqual(self.browser.run("return [...document.querySelectorAll('.token')].map((one) => one.className.slice(0, 8))"),
                         ["token s1", "token s5"])
        # By keyboard: the second token, its first other, go on.
        self.browser.run("document.querySelector('.token').focus()")
        self.server.answers = [answer(" barks")]
        self.browser.keys(RIGHT, ENTER)
        self.browser.wait("return document.activeElement.textContent === 'go on with it'")
        self.browser.keys(ENTER)
        self.browser.wait("return document.querySelector('.text')?.innerText === 'The dog barks'")
        self.assertEqual(self.server.chats()[1]["messages"][1], {"role": "assistant", "content": "The dog"})

    def test_shield_judges_messages(self):
        scores = {"dangerous": 0.75, "harassment": 0.1, "hate": 0.02, "sexual": 0}
        judged = []

        def moderate(body):
            judged.append((body["model"], body["input"], body.get("response")))
            return 200, {"results": [{"category_scores": scores if "response" in body else dict.fromkeys(scores, 0.01)}]}
        self.server.reset(models=(MODEL, {**MODEL, "id": "shield", "moderates": True}), replies={"/v1/moderations": moderate})
        self.open()
        self.browser.wait("return document.querySelectorAll('#model option').length === 1")
        self.chat("Question", *answer("Answer"))
        self.browser.wait("return document.querySelectorAll('.scores details').length === 2")
        self.assertEqual(sorted(judged, key=str), [("shield", "Question", "Answer"), ("shield", "Question", None)])
        summaries = self.browser.run("return [...document.querySelectorAll('.scores summary')].map((one) => one.textContent)")
        self.assertEqual(summaries, ["ShieldGemma: no violation (at most 1 %)", "ShieldGemma: Dangerous content"])

    def test_features_of_answers(self):
        coder = {"name": "res", "site": "res@1", "layer": 1, "features": 16}
        tokens = [{"id": i, "piece": piece, "features": [[{"index": 3, "value": value}, {"index": 5, "value": 1}]]}
                  for i, (piece, value) in enumerate([("<bos>", 90), ("q", 1), ("The", 2), ("\u2581cat", 8)])]
        self.server.reset(models=({**MODEL, "autoencoders": [coder]},), replies={
            "/tokenize": lambda body: (200, {"count": 2}),
            "/v1/features": lambda body: (200, {"autoencoders": [coder], "tokens": tokens})})
        self.open()
        self.chat("q", *answer("The cat"))
        self.browser.click("[data-mode=features]")
        self.browser.click(".features tr:first-child button")
        shown = self.browser.run("return [...document.querySelectorAll('.features .token')].map((one) => [one.textContent, one.className.trim()])")
        self.assertEqual(shown, [["The", "token f1"], [" cat", "token f4"]])
        self.server.answers = [answer("Steered")]
        self.browser.click(".steer button")
        self.browser.wait("return document.querySelector('.text').innerText === 'Steered'")
        self.assertEqual(self.server.chats()[1]["steer"], [{"autoencoder": "res", "feature": 3, "strength": 16}])

    def test_chats_with_real_server(self):
        self.open("http://127.0.0.1:%d/" % self.real.address[1])
        self.assertEqual(self.browser.run("return document.querySelector('#model').value"), NAME)
        self.browser.click("#open-settings")
        self.assertEqual(self.browser.run("return document.querySelector('#field-top_k').placeholder"), "64")
        self.browser.type("#field-max_completion_tokens", "5")
        self.browser.type("#input", "the cat" + ENTER)
        self.browser.wait("return document.querySelectorAll('.scores details').length === 2")
        details = self.browser.run("return document.querySelector('.details').textContent")
        self.assertRegex(details, r"^ended at the limit of tokens · 5 tokens · .*seed \d+$")
        self.browser.click("[data-mode=tokens]")
        self.assertEqual(self.browser.run("return document.querySelectorAll('.token').length"), 5)
        self.browser.click("[data-mode=features]")
        self.browser.wait("return document.querySelector('.features tr button')")
        self.assertRegex(self.browser.run("return document.querySelector('.features tr button').textContent"), r"^feature \d+$")


if __name__ == "__main__":
    unittest.main()
