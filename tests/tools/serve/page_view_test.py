#!/usr/bin/env python3
"""How the chat page draws answers: Markdown, hostile texts, narrow screens, names for screen readers; and what it keeps:
conversations in several tabs, and their settings."""
import json
import threading
import time
import unittest

from browser import ENTER, ESCAPE, TAB
from command import compares_results
from scripted import MODEL, Gate, PageTest, answer

# Markdown, and the markup that it becomes: that of markdown-it-py with tables and breaks, but for what models write and
# CommonMark does not read so: ** beside CJK, <br>, lists that are indented too little, --- below a text, bars in code.
# Images become links.
MARKDOWN = [
    ("a **b** *c* ***d*** `e*` ~~f~~ __g__ _h_", "<p>a <strong>b</strong> <em>c</em> <em><strong>d</strong></em> <code>e*</code> "
                                                "<del>f</del> <strong>g</strong> <em>h</em></p>"),
    ("snake_case_name 2 * 3 * 4 \\*a\\* **open `a", "<p>snake_case_name 2 * 3 * 4 *a* **open `a</p>"),
    ("**“中文”**字", "<p><strong>“中文”</strong>字</p>"),
    ("*a **b* c**", "<p><em>a <em><em>b</em> c</em></em></p>"),
    ("# One\n### Three ##\n####### no", "<h3>One</h3><h5>Three</h5><p>####### no</p>"),
    ("one\ntwo\n\nthree<br>four", "<p>one<br>two</p><p>three<br>four</p>"),
    ("- a\n- b\n  - c\n\n1. d\n2. e", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul><ol><li>d</li><li>e</li></ol>"),
    ("3) a\n\n   b\n4) c", "<ol><li><p>a</p><p>b</p></li><li><p>c</p></li></ol>"),
    ("*   **A:** x\n    *   y\n        z", "<ul><li><strong>A:</strong> x<ul><li>y<br>z</li></ul></li></ul>"),
    ("1. a\n  - b\n2. c", "<ol><li>a<ul><li>b</li></ul></li><li>c</li></ol>"),
    ("> a\nb\n> > c\n\nd", "<blockquote><p>a<br>b</p><blockquote><p>c</p></blockquote></blockquote><p>d</p>"),
    ("a\n---\n***\n- - -", "<p>a</p><hr><hr><hr>"),
    ("Text:\n| a | b |\n|:-|-:|\n| `x|y` | \\| |\n| 1 |\n\nend",
     "<p>Text:</p><div><table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td><code>x|y</code></td><td>|</td></tr>"
     "<tr><td>1</td></tr></tbody></table></div><p>end</p>"),
    ("```c++\n<b> *x*\n\n  y\n```\nz", "<div><div><span>c++</span></div><pre><code>&lt;b&gt; *x*\n\n  y</code></pre></div><p>z</p>"),
    ("- a\n  ~~~\n  b\n  ~~~", "<ul><li>a<div><div><span>text</span></div><pre><code>b</code></pre></div></li></ul>"),
    ("    code\n\n      more\ntext", "<div><div><span>text</span></div><pre><code>code\n\n  more</code></pre></div><p>text</p>"),
    ("[a *b*](https://x.example/?q=1) <http://y.example> see https://z.example/a_(b).",
     "<p><a>a <em>b</em></a> <a>http://y.example</a> see <a>https://z.example/a_(b)</a>.</p>"),
    ("[a](<https://x.example> \"t\") ![i](https://x.example/i.png) [b] [c](d)",
     "<p><a>a</a> <a>i</a> [b] [c](d)</p>"),
    ("&lt;b&gt; &amp;amp; &#x41;&#66; &nope; &#0;", "<p>&lt;b&gt; &amp;amp; AB &amp;nope; &amp;#0;</p>"),
]

# None of this may become an element, an address or a script.
HOSTILE = """<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">
<iframe srcdoc="<script>parent.hacked = 3</script>"></iframe><svg onload=window.hacked=4><style>body{display:none}</style>

[a](javascript:window.hacked=5) [b](JaVaScRiPt:window.hacked=6) [c](data:text/html,<script>1</script>) [d](//evil.example)
[e](\tjavascript:window.hacked=7) <javascript:window.hacked=8> [f](vbscript:x) ![g](http://evil.example/track.png)
[h](https://x.example" onclick="window.hacked=9) <a href="http://evil.example">x</a> &lt;script&gt;window.hacked=10&lt;/script&gt;

```html"><script>window.hacked=11</script>
</code></pre><script>window.hacked = 12</script>
```

| <img src=x onerror=window.hacked=13> | `</td><script>` |
|-|-|
| <b>x | [y](javascript:window.hacked=14) |

<form action="http://evil.example"><input name=q><meta http-equiv=refresh content="0;url=http://evil.example">"""

# Each would take very long if its time grew with the square of its length, or would nest too deeply.
ENDLESS = ["*a ", "**a* ", "[", "[a](", "![", "`", "` `` ", "_a", "~~a", "> ", "- ", "1. ", "|", "|-", "<http://", "http://a(", "&#x",
           "\\", "# ", "*a*", "***", "a**b*", "[a](http://x.example)", "~", "\t", " ", "-", "* _ ", "(", "![a](http://x.example/ "]

DRAW = """
const [text, step] = arguments;
const { MarkdownView } = await import('/page/markdown.js');
const root = document.createElement('div');
const view = new MarkdownView(root, () => {});
for (let size = step; step > 0 && size < text.length; size += step) view.update(text.slice(0, size));
view.update(text, true);
for (const one of root.querySelectorAll('*')) {
  if (one.matches('button')) one.remove();
  for (const name of one.getAttributeNames()) one.removeAttribute(name);
}
return root.innerHTML;"""


MEASURE = """
const { MarkdownView } = await import('/page/markdown.js');
const root = document.createElement('div');
const begin = performance.now();
new MarkdownView(root, () => {}).update(arguments[0], true);
const seconds = (performance.now() - begin) / 1000;
const depthOf = (one) => 1 + [...one.children].reduce((depth, child) => Math.max(depth, depthOf(child)), 0);
return [seconds, depthOf(root)];"""


@compares_results
class MarkdownTest(PageTest):
    def setUp(self):
        super().setUp()
        self.open()

    def draw(self, text, step=0):
        return self.browser.run(DRAW, text, step)

    def test_markdown_becomes_elements(self):
        for text, markup in MARKDOWN:
            with self.subTest(text):
                self.assertEqual(self.draw(text), markup)

    def test_pieces_give_the_same(self):
        text = "\n\n".join(text for text, _ in MARKDOWN)
        whole = self.draw(text)
        for step in (1, 2, 7, 50):
            self.assertEqual(self.draw(text, step), whole)

    def test_long_texts_take_little(self):
        for piece in ENDLESS:
            text = piece * (60000 // len(piece)) + "x"
            seconds, depth = self.browser.run(MEASURE, text)
            self.assertLess(seconds, 8, piece)
            self.assertLess(depth, 100, piece)

    def test_hostile_text_stays_text(self):
        self.chat("Go", *answer(*[HOSTILE[i:i + 5] for i in range(0, len(HOSTILE), 5)]))
        found = self.browser.run(
            "return [...document.querySelectorAll('.message:last-child .text *')].map((one) => "
            "[one.localName, ...one.getAttributeNames().filter((name) => !['class', 'dir', 'd'].includes(name))])")
        allowed = {"p", "br", "a", "div", "span", "button", "svg", "path", "pre", "code", "table", "thead", "tbody", "tr", "th", "td"}
        self.assertLessEqual({name for name, *_ in found}, allowed)
        attributes = {name for _, *names in found for name in names}
        self.assertLessEqual(attributes, {"href", "title", "target", "rel", "tabindex", "role", "aria-label", "scope", "type",
                                          "viewBox", "aria-hidden"})
        links = self.browser.run("return [...document.querySelectorAll('.text a')].map((one) => [one.href, one.rel])")
        # What the text shows as addresses.
        self.assertEqual(links, [[url, "noopener noreferrer"] for url in (
            "http://evil.example/track.png", "https://x.example/", *["http://evil.example/"] * 3)])
        self.assertIsNone(self.browser.run("return window.hacked ?? null"))
        text = self.browser.run("return document.querySelector('.text').innerText")
        for line in ("<script>window.hacked = 1</script><img src=x onerror=\"window.hacked = 2\">", "[a](javascript:window.hacked=5)",
                     "<form action=\"http://evil.example\">"):
            self.assertIn(line, text)

    def test_only_last_block_is_redrawn(self):
        self.assertEqual(self.browser.run("""
            const { MarkdownView } = await import('/page/markdown.js');
            const root = document.createElement('div');
            const read = [];
            const view = new MarkdownView(root, () => {}, (block) => read.push(block.textContent));
            view.update('one\\n\\ntwo\\n\\nthree');
            const [first] = root.children;
            view.update('one\\n\\ntwo\\n\\nthree four\\n');
            return [first === root.firstChild, root.children.length, ...read];"""), [True, 3, "one", "two"])


@compares_results
class LayoutTest(PageTest):
    def test_phones_scroll_only_down(self):
        self.server.reset(models=({**MODEL, "id": "a-model-with-a-very-long-name-q4_k_m"},))
        self.browser.size(360, 640)
        self.open()
        table = "| " + " | ".join(["a long cell"] * 9) + " |\n" + "|-" * 9 + "|\n| x |\n"
        self.chat("W" * 300, *answer(f"```\n{'code ' * 60}\n```\n\n{table}\n" + "y" * 400, "\n\n[z](https://x.example/" + "z" * 200 + ")"))
        for panel in (None, "sidebar", "settings"):
            if panel:
                self.browser.click(f"#open-{panel}")
            wide = self.browser.run("return [...document.querySelectorAll('html, body, #scroller, nav, aside')]"
                                    ".filter((one) => one.scrollWidth > Math.max(one.clientWidth, 0) && one.clientWidth > 0)"
                                    ".map((one) => one.localName)")
            self.assertEqual(wide, [], panel)
            if panel:
                self.assertTrue(self.browser.run("return document.querySelector('#main').inert"))
                self.browser.keys(ESCAPE)
                self.assertFalse(self.browser.run("return document.querySelector('#main').inert"))
                self.assertEqual(self.browser.run("return document.activeElement.id"), f"open-{panel}")

    def test_controls_have_names(self):
        self.server.reset(models=(MODEL, {**MODEL, "id": "shield", "moderates": True}),
                          replies={"/v1/moderations": lambda body: (200, {"results": [{"category_scores": {"hate": 0.1}}]})})
        self.open()
        self.chat("Go", *answer("```\nx\n```"))
        self.browser.click("#open-settings")
        nameless = self.browser.run(
            "return [...document.querySelectorAll('button, input, select, textarea, progress')].filter((one) => one.checkVisibility())"
            ".filter((one) => !(one.getAttribute('aria-label') || one.innerText.trim() || one.labels?.length)).map((one) => one.outerHTML)")
        self.assertEqual(nameless, [])
        self.assertEqual(self.browser.run("return document.documentElement.lang"), "en")

    def test_tab_goes_through_page(self):
        self.open()
        self.chat("Go", *answer("x"))
        self.browser.run("document.querySelector('.skip').focus()")
        order = ["Go to the message field"]
        for _ in range(11):
            self.browser.keys(TAB)
            order.append(self.browser.run("const one = document.activeElement; return one.getAttribute('aria-label') || one.id || one.innerText"))
        self.assertEqual(order, ["Go to the message field", "new", "Go", "More for Go", "theme", "Settings", "Copy the message",
                                 "Edit the message", "Copy the message", "Answer again", "input", "Send"])

    def test_colours_follow_system_and_switch(self):
        self.open()
        background = "return getComputedStyle(document.body).backgroundColor"
        self.browser.colours("light")
        light = self.browser.run(background)
        self.browser.colours("dark")
        dark = self.browser.run(background)
        self.assertNotEqual(light, dark)
        self.browser.type("#theme", "light")
        self.browser.reload()
        self.assertEqual(self.browser.run(background), light)
        self.browser.colours("light")


STORED = "return Object.entries(localStorage).filter(([name]) => name.startsWith('gemma.chat.')).map(([, text]) => text)"
TITLES = "return [...document.querySelectorAll('#conversations .open')].map((one) => one.textContent)"


class KeepingTest(PageTest):
    def stored(self):
        """The conversations that the browser keeps, when the page has stored what it has."""
        self.browser.run("window.dispatchEvent(new Event('pagehide'))")
        return [json.loads(text) for text in self.browser.run(STORED)]

    def delete(self):
        self.browser.click("#conversations .icon")
        self.browser.click("[value=delete]")
        self.browser.click("#delete-dialog [value=yes]")

    def waits_for_titles(self, *titles):
        self.browser.wait(f"{TITLES}.join() === arguments[0]", ",".join(titles))


@compares_results
class TabsTest(KeepingTest):
    def setUp(self):
        super().setUp()
        self.open()
        self.first = self.browser.tab()
        self.second = None

    def tearDown(self):
        if self.second:
            self.browser.close_tab(self.second)
            self.browser.switch(self.first)
        super().tearDown()

    def open_second(self):
        self.second = self.browser.add_tab()
        self.browser.switch(self.second)
        self.browser.open(self.server.url)
        self.browser.wait("return document.querySelector('#model').value")

    def test_deleted_chats_stay_deleted(self):
        gate = Gate(*answer("A", "B"))
        self.server.answers = [gate]
        self.browser.type("#input", "One" + ENTER)
        gate.let(2)
        self.browser.wait("return document.querySelector('.running .text')?.textContent === 'A'")
        self.delete()
        self.waits_for_titles()
        gate.let(10)
        time.sleep(0.3)
        self.assertEqual(self.stored(), [])
        self.waits_for_titles()

    def test_scores_bring_nothing_back(self):
        judges = threading.Event()

        def moderate(_):
            judges.wait(60)
            return 200, {"results": [{"category_scores": {"hate": 0.1}}]}
        self.server.reset(models=(MODEL, {**MODEL, "id": "shield", "moderates": True}), replies={"/v1/moderations": moderate})
        self.open()
        self.chat("One", *answer("A"))
        self.delete()
        judges.set()
        time.sleep(0.3)
        self.assertEqual(self.stored(), [])

    def test_deletion_reaches_other_tabs(self):
        self.chat("One", *answer("A"))
        self.open_second()
        self.delete()
        self.browser.switch(self.first)
        self.waits_for_titles()
        self.browser.click("#open-settings")
        self.browser.type("#system", "x")
        self.assertEqual((self.shown(), self.stored()), ([], []))

    def test_tabs_keep_all_turns(self):
        gate = Gate(*answer("A", "B"))
        self.server.answers = [gate]
        self.browser.type("#input", "One" + ENTER)
        gate.let(2)
        self.browser.wait("return document.querySelector('.running .text')?.textContent === 'A'")
        self.stored()
        self.open_second()
        self.assertEqual(self.shown(), ["One", "A"])
        self.chat("Two", *answer("C"))
        self.browser.switch(self.first)
        gate.let(10)
        self.ended(4)
        turns = ["One", "AB", "Two", "C"]
        self.assertEqual(self.shown(), turns)
        [conversation] = self.stored()
        self.assertEqual([message["content"] for message in conversation["messages"].values()], turns)
        self.browser.switch(self.second)
        self.browser.wait("return document.querySelectorAll('.message')[1].innerText.includes('AB')")
        self.assertEqual(self.shown(), turns)

    def test_tabs_do_not_disturb(self):
        self.chat("One", *answer("line\n\n" * 200))
        self.browser.wait("return document.querySelector('#scroller').scrollTop > 0")
        self.browser.run("document.querySelector('#scroller').scrollTop = 0")
        self.browser.wait("return !document.querySelector('#to-end').hidden")
        at = "return document.querySelector('#scroller').scrollTop"
        self.open_second()
        self.chat("Two", *answer("B"))
        self.browser.click("#new")
        self.chat("Other", *answer("C"))
        self.browser.switch(self.first)
        self.waits_for_titles("Other", "One")
        self.assertEqual(len(self.shown()), 4)
        self.assertEqual(self.browser.run(at), 0)


@compares_results
class SettingsTest(KeepingTest):
    def test_models_follow_chats(self):
        second = {**MODEL, "id": "second"}
        self.server.reset(models=(MODEL, second))
        self.open()
        gate = Gate(*answer("A"))
        self.server.answers = [gate]
        self.browser.type("#input", "One" + ENTER)
        gate.let(2)
        self.browser.wait("return document.querySelector('.running .text')?.textContent === 'A'")
        self.browser.type("#model", "second")
        gate.let(10)
        self.ended(2)
        self.assertIn("toy", self.browser.run("return document.querySelector('.details').textContent"))
        self.browser.click("#new")
        self.browser.type("#model", "toy")
        self.browser.click("#conversations .open")
        self.assertEqual(self.browser.run("return document.querySelector('#model').value"), "second")
        # The server has the model no longer.
        self.server.models = (MODEL,)
        self.browser.reload()
        self.browser.wait("return document.querySelector('#notice:not([hidden])')?.textContent.includes('second: toy answers')")
        self.chat("Two", *answer("B"))
        self.assertEqual(self.server.chats()[1]["model"], "toy")
        self.assertTrue(self.browser.run("return document.querySelector('#notice').hidden"))

    def test_new_chats_are_plain(self):
        self.open()
        self.chat("One", *answer("A"))
        [conversation] = self.stored()
        own = {"steer": [{"autoencoder": "res", "feature": 3, "strength": 2}], "seed": 5, "response_format": {"type": "json_object"}}
        conversation["sampling"] = {"temperature": 0.5, **own}
        self.browser.run("localStorage[`gemma.chat.${arguments[0].id}`] = JSON.stringify(arguments[0])", conversation)
        self.browser.reload()
        self.browser.wait("return document.querySelector('#model').value")
        self.chat("Two", *answer("B"))
        details = self.browser.run("return [...document.querySelectorAll('.details')].map((one) => one.textContent.includes('steered'))")
        self.assertEqual(details, [False, True])
        self.browser.click("#new")
        self.chat("Three", *answer("C"))
        _, steered, plain = self.server.chats()
        self.assertEqual({name: steered.get(name) for name in own}, own)
        self.assertEqual({name: plain.get(name) for name in own}, dict.fromkeys(own))
        self.assertEqual((steered["temperature"], plain["temperature"]), (0.5, 0.5))

    def test_wrong_settings_stop_requests(self):
        self.open()
        self.chat("One", *answer("A"))
        for field, right, wrong, reason in (("field-temperature", "1", "-1", "greater than or equal to 0"),
                                            ("schema", '{"type":"object"}', '{"type":"object"} x', "Not JSON yet")):
            self.browser.click("#open-settings")
            self.browser.run("document.getElementById(arguments[0]).value = ''", field)
            self.browser.type(f"#{field}", wrong)
            self.browser.click("#close-settings")
            self.browser.type("#input", "Two" + ENTER)
            self.assertEqual(self.browser.wait("return document.activeElement.id"), field)
            self.assertIn(reason, self.browser.run("return document.querySelector('#settings').innerText"))
            self.assertIn(reason, self.browser.run("return document.querySelector('#said').textContent"))
            self.browser.click("[aria-label='Answer again']")
            self.assertEqual(self.browser.run("return document.getElementById(arguments[0]).value", field), wrong)
            self.assertEqual(len(self.server.chats()), 1)
            self.browser.run("const one = document.getElementById(arguments[0]); one.value = ''", field)
            self.browser.type(f"#{field}", right)
            self.browser.click("#close-settings")
            self.browser.run("document.querySelector('#input').value = ''")
        self.chat("Two", *answer("B"))
        body = self.server.chats()[1]
        self.assertEqual((body["temperature"], body["response_format"]["json_schema"]["schema"]), (1, {"type": "object"}))


if __name__ == "__main__":
    unittest.main()
