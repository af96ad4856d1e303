#!/usr/bin/env python3
"""Scenes of the chat page: each can be read in light and dark and on a phone, and what its buttons copy.

PAGE_SCREENSHOTS  a folder, which gets a picture of each scene
"""
import os
import pathlib
import unittest

from browser import ENTER
from command import compares_results
from scripted import MODEL, Gate, PageTest, answer, chunk, error

FOLDER = os.environ.get("PAGE_SCREENSHOTS")

CODE = 'def greet(name):\n    """Says <hello> & more."""\n    return f"Hello, {name}!"\n\n\tprint(greet("Ann"))'
WRITTEN = f"""Here is a function that greets **people**:

```python
{CODE}
```

1. Call it with a `name`.
2. Print what it *returns*:
   - on the screen, or
   - in a file.

| Name | Greeting | Letters |
|:-----|:--------:|--------:|
| Ann | Hello, Ann! | 11 |
| Bertram | Hello, Bertram! | 15 |

> A quote, and [a link](https://example.com/).
"""

# The contrast of each text with what is behind it, as WCAG computes it, if it is less than 4.5.
FAINT = """
const channels = (colour) => {
  const [, r, g, b, a] = colour.match(/^rgba?\\((\\d+), (\\d+), (\\d+)(?:, ([\\d.]+))?\\)$/) ?? [];
  if (r === undefined) throw new Error(colour);
  return [+r, +g, +b, a === undefined ? 1 : +a];
};
const luminance = (colour) => {
  const [r, g, b] = channels(colour).map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (one) => {
  for (; one; one = one.parentElement) {
    const colour = getComputedStyle(one).backgroundColor;
    if (channels(colour)[3] === 1) return colour;
  }
};
const faint = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const one = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !one.checkVisibility({ visibilityProperty: true })) continue;
  if (one.closest(":disabled, noscript")) continue;
  const [more, less] = [luminance(getComputedStyle(one).color), luminance(behind(one))].sort((a, b) => b - a);
  const contrast = (more + 0.05) / (less + 0.05);
  if (contrast < 4.5) faint.push([walker.currentNode.textContent.trim(), contrast]);
}
return faint;"""

# What does not fit into the width of the window, except where it can be scrolled to.
CUT = """
const cut = [];
for (const one of document.querySelectorAll("body *")) {
  if (!one.checkVisibility({ visibilityProperty: true }) || one.closest(".hidden, .skip, .code, .table, svg")) continue;
  const { left, right } = one.getBoundingClientRect();
  if (left < -1 || right > innerWidth + 1) cut.push(one.outerHTML.slice(0, 80));
}
return cut;"""


@compares_results
class ScenesTest(PageTest):
    def tearDown(self):
        self.browser.colours("light")
        super().tearDown()

    def looks_right(self, name, hover=None):
        """Checks the page as it is in both colours, wide and narrow, with the mouse over an element."""
        for width, height, size in ((1280, 900, "wide"), (390, 844, "phone")):
            self.browser.size(width, height)
            if hover:
                self.browser.hover(hover)
                self.browser.wait("return document.querySelector('.panel:not([hidden])')")
            for scheme in ("light", "dark"):
                with self.subTest(scene=name, scheme=scheme, size=size):
                    self.browser.colours(scheme)
                    self.browser.run("await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
                    self.assertEqual(self.browser.run(FAINT), [])
                    self.assertEqual(self.browser.run(CUT), [])
                    if FOLDER:
                        self.browser.screenshot(pathlib.Path(FOLDER) / f"{name}-{size}-{scheme}.png")
        self.browser.size(1280, 900)

    def test_empty_page(self):
        self.open()
        self.looks_right("empty")
        self.browser.click("#open-settings")
        self.looks_right("settings")

    def test_written_answer(self):
        self.open()
        self.chat("Write a function that greets people, and explain it.", *answer(WRITTEN))
        self.looks_right("code")

    def test_errors_and_thoughts(self):
        self.open()
        self.chat("Think", chunk({"reasoning_content": "I wonder"}), *answer("Yes"))
        self.browser.click(".thoughts summary")
        self.server.answers = [error(400, "the prompt has 5000 tokens, the context has room for 4095", "context_length_exceeded")]
        self.browser.type("#input", "Go" + ENTER)
        self.browser.wait("return document.querySelector('.error:not([hidden])')")
        self.looks_right("errors")
        self.browser.click("#conversations .icon")
        self.looks_right("dialog")

    def test_running_answer(self):
        gate = Gate(*answer("One, two"))
        self.open()
        self.chat("Count", *answer("1, 2, 3"))
        self.server.answers = [gate]
        self.browser.type("#input", "Count in words, and do not stop before you are told to" + ENTER)
        gate.let(2)
        self.browser.wait("return document.querySelector('.running .text')?.textContent === 'One, two'")
        self.assertEqual(self.browser.wait("return document.querySelector('#state').textContent"), "1 token. Escape stops.")
        # The mark of the end is in the line of the last words.
        self.assertEqual(self.browser.run("return ['.text', '.text p'].map((one) => "
                                          "getComputedStyle(document.querySelector('.running ' + one), '::after').content)"),
                         ["none", '""'])
        self.looks_right("running")
        gate.let(10)
        self.ended(4)

    def test_probabilities(self):
        scored = [("The", -0.1, [("The", -0.1), ("A", -2.5), ("Some", -4), ("One", -5), ("My", -6)]),
                  (" cat", -1.2, [(" dog", -0.7), (" cat", -1.2), (" bird", -3)]),
                  (" sat", -2.4, [(" lay", -0.4), (" sat", -2.4)]), (" on", -0.01, [(" on", -0.01)]),
                  (" moons", -7, [(" the", -0.1), (" moons", -7)]), (".", -3.1, [(".", -3.1)])]
        self.open()
        self.chat("Tell me a story", *[chunk({"content": one[0]}, [one]) for one in scored], *list(answer())[1:])
        self.browser.click("[data-mode=tokens]")
        self.looks_right("probabilities", hover=".token:nth-child(2)")

    def test_features_and_scores(self):
        coder = {"name": "res", "site": "res@12", "layer": 12, "features": 16384}
        pieces = ["<bos>", "q", "The", "\u2581cat", "\u2581sat", "\u2581on", "\u2581the", "\u2581mat", "."]
        tokens = [{"id": i, "piece": piece, "features": [[{"index": 3, "value": 2.5 * i}, {"index": 511, "value": 12.5},
                                                          {"index": 16383, "value": 1}]]} for i, piece in enumerate(pieces)]
        scores = {"dangerous": 0.75, "harassment": 0.1, "hate": 0.02, "sexual": 0}
        self.server.reset(models=({**MODEL, "autoencoders": [coder]}, {**MODEL, "id": "shield", "moderates": True}), replies={
            "/tokenize": lambda body: (200, {"count": 2}),
            "/v1/moderations": lambda body: (200, {"results": [{"category_scores": scores}]}),
            "/v1/features": lambda body: (200, {"autoencoders": [coder], "tokens": tokens})})
        self.open()
        self.chat("q", *answer("The cat sat on the mat."))
        self.browser.wait("return document.querySelectorAll('.scores details').length === 2")
        self.browser.click(".message:last-child .scores summary")
        colours = self.browser.run("return [...document.querySelectorAll('.message:last-child .scores tr')].map((one) => getComputedStyle(one).color)")
        self.assertNotEqual(colours[0], colours[1])  # only the policy that the text violates stands out
        self.assertEqual(len(set(colours[1:])), 1)
        self.browser.click("[data-mode=features]")
        self.browser.click(".features tr:first-child button")
        self.looks_right("features")


@compares_results
class CopyTest(PageTest):
    """The clipboard has what the buttons copy."""

    def setUp(self):
        super().setUp()
        self.open()
        self.browser.devtools("Browser.grantPermissions", origin=self.server.url.rstrip("/"),
                              permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
        self.browser.run("await navigator.clipboard.writeText('nothing yet')")
        self.chat("Write a function", *answer(WRITTEN))

    def copied(self, label):
        """Clicks a button and returns what the clipboard then has."""
        self.browser.run("document.querySelector('#said').textContent = ''")
        self.browser.click(f".message:last-child [aria-label='{label}']")
        self.browser.wait("return document.querySelector('#said').textContent === 'Copied'")
        return self.browser.run("return navigator.clipboard.readText()")

    def test_buttons_copy(self):
        self.assertEqual(self.copied("Copy the code"), CODE)
        self.assertEqual(self.copied("Copy the message"), WRITTEN)

    def test_copying_without_clipboard(self):
        # As on a page without HTTPS: the text is selected and copied as by hand.
        self.browser.run("navigator.clipboard.writeText = undefined")
        self.assertEqual(self.copied("Copy the code"), CODE)
        self.assertEqual(self.browser.run("return document.querySelectorAll('textarea.hidden').length"), 0)


if __name__ == "__main__":
    unittest.main()
