#!/usr/bin/env python3
"""gemma scope, --steer and --ablate on a toy model, against transformers and NumPy; see tools/reference/scope_sites.py."""
import html.parser
import json
import re
import shutil
import unittest

from command import TESTDATA, CommandTest, read_npz

MODEL = TESTDATA / "gguf/gemma3_mixed.gguf"
SCOPE = TESTDATA / "scope"
SAE = SCOPE / "gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4/params.npz"
TEXT = "The quick brown fox jumps over the lazy dog. It was not what you have."
EXACT = ["--activations", "float32", "--cache-type", "float32"]
# Would become an element, or a part of the script, if the page did not escape it.
ATTACK = "<h1></h1></script><img src=x onerror=alert(1)> <!-- <script> \u2028 \" ' & \\u003c {{data}} \t\r\n \u202e"


class ScopeTest(CommandTest):
    @classmethod
    def setUpClass(cls):
        cls.reference = read_npz(SCOPE / "gemma3_mixed.npz")
        cls.ids = list(cls.reference["ids"][1])
        cls.feature, = cls.reference["res_feature"][1]
        cls.strength, = cls.reference["res_strength"][1]

    def scope(self, *arguments, text=TEXT, sae=SAE, **options):
        return json.loads(self.succeeds_quietly("scope", MODEL, text, "--sae", sae, "--json", *EXACT, *arguments,
                                                **options))

    def expected(self, site):
        """The active features of each token, with their values."""
        (count, width), values = self.reference[f"{site}_features"]
        rows = [values[row * width : (row + 1) * width] for row in range(count)]
        return [{index: value for index, value in enumerate(row) if value > 0} for row in rows]

    def assert_features(self, token_features, expected):
        found = {feature["index"]: feature["value"] for feature in token_features}
        self.assertEqual(found.keys(), expected.keys())
        for index, value in expected.items():
            self.assertAlmostEqual(found[index], value, delta=1e-4 * max(1, value))


class NumbersTest(ScopeTest):
    def test_features_equal_the_reference(self):
        for sae_type in ("float32", "bfloat16"):
            report = self.scope("--top", 16, "--sae-type", sae_type)
            self.assertEqual(report["model"], str(MODEL))
            self.assertEqual(report["autoencoders"], [{"file": str(SAE), "site": "res@1", "features": 16}])
            self.assertEqual([token["id"] for token in report["tokens"]], self.ids)
            for token, expected in zip(report["tokens"], self.expected("res")):
                features, = token["features"]
                self.assert_features(features, expected)
                values = [feature["value"] for feature in features]
                self.assertEqual(values, sorted(values, reverse=True))

    def test_int8_weights_are_close(self):
        exact = self.scope("--top", 16)["tokens"]
        small = self.scope("--top", 16, "--sae-type", "int8")["tokens"]
        same = total = 0
        for a, b in zip(exact, small):
            a, b = ({f["index"]: f["value"] for f in token["features"][0]} for token in (a, b))
            total += len(a)
            same += len(a.keys() & b.keys())
            for index in a.keys() & b.keys():
                self.assertAlmostEqual(a[index], b[index], delta=0.05 * max(1, a[index]))
        self.assertGreater(same, 0.9 * total)

    def test_sites(self):
        sites = {"res@1": "res", "att@0": "att", "mlp@1": "mlp", "transcoder@0": "transcoder", "embedding": "embedding"}
        for words, site in sites.items():
            with self.subTest(words):
                report = self.scope("--top", 16, sae=f"{SAE}:{words}")
                self.assertEqual(report["autoencoders"][0]["site"], words)
                for token, expected in zip(report["tokens"], self.expected(site)):
                    self.assert_features(token["features"][0], expected)

    def test_several_at_once(self):
        report = self.scope("--sae", f"{SAE}:mlp@1", "--sae", f"{SAE}:att@0", "--top", 2)
        self.assertEqual([of["site"] for of in report["autoencoders"]], ["res@1", "mlp@1", "att@0"])
        for i, site in enumerate(("res@1", "mlp@1", "att@0")):
            alone = self.scope("--top", 2, sae=f"{SAE}:{site}")
            self.assertEqual([token["features"][i] for token in report["tokens"]],
                             [token["features"][0] for token in alone["tokens"]])

    def test_chosen_features_without_activation(self):
        report = self.scope("--features", "7,0,3")
        for token, expected in zip(report["tokens"], self.expected("res")):
            features, = token["features"]
            self.assertEqual([feature["index"] for feature in features], [0, 3, 7])
            for feature in features:
                value = expected.get(feature["index"], 0)
                self.assertAlmostEqual(feature["value"], value, delta=1e-4 * max(1, value))

    def test_same_for_threads_and_chunks(self):
        expected = self.scope("--top", 16)["tokens"]
        report = self.scope("--top", 0)  # all of its 16 features
        self.assertEqual((report["tokens"], report["top"]), (expected, None))
        for arguments in (["--threads", 1], ["--threads", 3, "--chunk", 5], ["--chunk", 1]):
            self.assertEqual(self.scope("--top", 16, *arguments)["tokens"], expected)

    def test_where_the_text_comes_from(self):
        expected = self.scope()
        path = self.folder / "text.txt"
        path.write_text(TEXT)
        for arguments, stdin in ((["--file", path], b""), (["--file", "-"], TEXT.encode()), ([], TEXT.encode()),
                                 (["-"], TEXT.encode())):
            report = json.loads(self.succeeds_quietly("scope", MODEL, *arguments, "--sae", SAE, "--json", *EXACT,
                                                      stdin=stdin))
            self.assertEqual(report, expected)

    def test_control_tokens_are_text(self):
        plain = self.scope(text="<start_of_turn>user")
        parsed = self.scope("--parse-control", text="<start_of_turn>user")
        self.assertNotIn("<start_of_turn>", [token["piece"] for token in plain["tokens"]])
        self.assertEqual([token["piece"] for token in parsed["tokens"]][:2], ["<bos>", "<start_of_turn>"])

    def test_table(self):
        tokens = self.scope(text="The\ncat")["tokens"]
        lines = self.succeeds_quietly("scope", MODEL, "The\ncat", "--sae", SAE, *EXACT).splitlines()
        self.assertEqual(lines[0], f"{SAE}: 16 features, res@1")
        self.assertEqual(len(lines), 1 + len(tokens))
        for position, (line, token) in enumerate(zip(lines[1:], tokens)):
            piece = token["piece"].replace("\n", "\\n")
            told = [f"{feature['index']}:" for feature in token["features"][0][:5]]
            self.assertTrue(line.startswith(f"{position:5}  {piece}"), line)
            self.assertEqual(re.findall(r"\d+:", line.removeprefix(f"{position:5}  {piece}")), told)
        self.assertIn("\\n", "".join(lines))


    def test_json_has_all_active_features(self):
        report = self.scope()
        self.assertIsNone(report["top"])
        for token, expected in zip(report["tokens"], self.expected("res")):
            values = [feature["value"] for feature in token["features"][0]]
            self.assert_features(token["features"][0], expected)
            self.assertEqual(values, sorted(values, reverse=True))
        self.assertGreater(max(len(token["features"][0]) for token in report["tokens"]), 5)
        cut = self.scope("--top", 2)
        self.assertEqual(cut["top"], 2)
        for token, whole in zip(cut["tokens"], report["tokens"]):
            self.assertEqual(token["features"][0], whole["features"][0][:2])


class SteeringTest(ScopeTest):
    def answer(self, *arguments):
        report = json.loads(self.succeeds(
            "run", MODEL, TEXT, "--raw", "-q", "--temperature", 0, "-n", 8, "--json", "--logprobs", 1, *EXACT,
            *arguments))
        return [token["id"] for token in report["tokens"]], [token["logprob"] for token in report["tokens"]]

    def test_steered_equals_reference(self):
        _, greedy = self.reference["greedy"]
        _, log_probabilities = self.reference["log_probabilities"]
        plain, _ = self.answer()
        tokens, logprobs = self.answer("--steer", f"{SAE}:{self.feature}={self.strength}")
        self.assertEqual(tokens, list(greedy)[: len(tokens)])
        self.assertNotEqual(tokens, plain)
        for found, expected in zip(logprobs, log_probabilities):
            self.assertAlmostEqual(found, expected, delta=1e-3)

    def test_sites_and_sums(self):
        res = f"{SAE}:{self.feature}"
        once = self.answer("--steer", f"{res}=3")
        self.assertEqual(self.answer("--steer", f"{SAE}:res@1:{self.feature}=3"), once)
        self.assertNotEqual(self.answer("--steer", f"{SAE}:res@0:{self.feature}=3"), once)
        _, twice = self.answer("--steer", f"{res}=1", "--steer", f"{res}=2")
        for a, b in zip(twice, once[1]):
            self.assertAlmostEqual(a, b, delta=1e-4)
        self.assertEqual(self.answer("--steer", f"{res}=0"), self.answer())

    def test_ablated(self):
        res, (_, expected) = f"{SAE}:{self.feature}", self.reference["res_ablated"]
        self.assertNotEqual(self.answer("--ablate", res), self.answer())
        # The first token's logits are the last ones of the reference.
        size = len(expected) // 2
        best = max(range(size), key=lambda i: expected[size + i])
        self.assertEqual(self.answer("--ablate", res)[0][0], best)

    def test_chat(self):
        def answers(*arguments):
            return self.succeeds("chat", MODEL, "--chat", "-q", "--temperature", 0, "-n", 8, *arguments,
                                 stdin=b"hello\nthe cat\n")
        plain = answers()
        self.assertNotEqual(answers("--steer", f"{SAE}:{self.feature}=40"), plain)
        self.assertEqual(answers("--steer", f"{SAE}:{self.feature}=0"), plain)


class RefusalTest(ScopeTest):
    def test_arguments(self):
        self.fails(2, "scope", MODEL, "a", says="--sae")
        self.fails(2, "scope", MODEL, "a", "--sae", SAE, "--features", "16", says=["--features: 16", "0 to 15"])
        self.fails(2, "scope", MODEL, "a", "--sae", SAE, "--top", "-1", says="--top")
        self.fails(2, "scope", MODEL, "a", "--sae", SAE, "--sae-type", "int4", says="--sae-type")
        # Without an autoencoder, its type would be ignored.
        for command in (["run", MODEL, "a"], ["chat", MODEL]):
            self.fails(2, *command, "--sae-type", "int8", says="--sae-type needs --steer or --ablate")
        for command in ("bench", "serve"):
            self.fails(2, command, MODEL, "--sae-type", "int8", says="--sae-type requires --sae", cure="explains both")
        self.fails(2, "scope", MODEL, "a", "--sae", SAE, "--file", "F", says="--file and TEXT")
        self.fails(2, "scope", MODEL, "\udcff", "--sae", SAE, says="TEXT: byte 0")
        for site in ("rez@1", "res", "res@", "res@x", "res@+1", "res@ 1", "embedding@0", "layer 1", ""):
            self.fails(2, "scope", MODEL, "a", "--sae", f"{SAE}:{site}", says=[f"'{site}' is not res@LAYER"])

    def test_steering(self):
        for text, says in ((f"{SAE}:3", "SAE:FEATURE=STRENGTH"), ("3=2", "SAE:FEATURE=STRENGTH"),
                           (f"{SAE}:x=2", "'x'"), (f"{SAE}:=2", "''"), (f"{SAE}:3=much", "'much'"),
                           (f"{SAE}:3=inf", "'inf'"), (f"{SAE}:-1=2", "'-1'"), (f"{SAE}:16=2", "0 to 15"),
                           (f"{SAE}:rez@1:3=2", "'rez@1'")):
            self.fails(2, "run", MODEL, "a", "--steer", text, says=["--steer", says])
        self.fails(2, "run", MODEL, "a", "--ablate", f"{SAE}:16", says=["--ablate", "0 to 15"])
        self.fails(2, "run", MODEL, "--batch", "F", "--steer", f"{SAE}:3=2", says="--batch")
        self.fails(1, "run", MODEL, "a", "-q", "--steer", f"{SAE}:res@2:3=2", says=["--steer", "layer 2", "0 to 1"])

    def test_files(self):
        self.fails(1, "scope", MODEL, "a", "--sae", self.folder / "none.npz", says="none.npz")
        broken = self.folder / "params.npz"
        broken.write_bytes(SAE.read_bytes()[:1000])
        self.fails(1, "scope", MODEL, "a", "--sae", f"{broken}:res@1", says=str(broken))
        # A file outside of its folders does not give its site.
        alone = shutil.copy(SAE, self.folder / "alone.npz")
        self.fails(1, "scope", MODEL, "a", "--sae", alone, says="alone.npz", cure="res@12")

    def test_another_width_or_layer(self):
        other = SCOPE / "gemma-scope-toy-pt-att/layer_1/width_24/average_l0_6/params.npz"
        self.fails(1, "scope", MODEL, "a", "--sae", other, says=[f"--sae {other}", "144 columns", "256"])
        self.fails(1, "scope", MODEL, "a", "--sae", f"{SAE}:res@2", says=[f"--sae {SAE}:res@2", "layer 2", "0 to 1"])
        self.fails(1, "bench", MODEL, "-p", 1, "-n", 0, "--sae", f"{SAE}:res@2", says="layer 2")

    def test_text_longer_than_the_context(self):
        self.fails(1, "scope", MODEL, TEXT, "--sae", SAE, "--context", 8, says="8", cure="--context")

    def test_paths_with_colons(self):
        for name in ("a:b", "a:res@0", "res@1"):
            path = self.folder / name / "params.npz"
            path.parent.mkdir()
            shutil.copy(SAE, path)
            self.assertEqual(self.scope(sae=f"{path}:res@1")["tokens"], self.scope()["tokens"])
            # An existing folder is a path, even if its name looks like a site.
            report = self.scope(sae=f"{path.parent}:mlp@1")
            self.assertEqual(report["autoencoders"][0], {"file": str(path.parent), "site": "mlp@1", "features": 16})


class Page(html.parser.HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.inside, self.title = [], [], None, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data
        if self.inside == "title":
            self.title += data


class PageTest(ScopeTest):
    def page(self, *arguments, text=TEXT):
        path = self.folder / "page.html"
        self.scope("--html", path, "--force", *arguments, text=text)
        source = path.read_text()
        page = Page(source)
        return source, page, json.loads(page.scripts[0])

    def test_has_every_active_feature(self):
        _, _, data = self.page("--top", 1)
        self.assertEqual([token[0] for token in data["tokens"]], self.ids)
        self.assertEqual([token[2] for token in data["tokens"]], [True] + [False] * (len(self.ids) - 1))
        self.assertEqual(data["autoencoders"], [{"file": str(SAE), "site": "res@1", "features": 16}])
        values, = data["values"]
        for pairs, expected in zip(values, self.expected("res")):
            self.assertEqual(set(pairs[::2]), expected.keys())
            self.assertEqual(pairs[1::2], sorted(pairs[1::2], reverse=True))
            for index, value in zip(pairs[::2], pairs[1::2]):
                self.assertAlmostEqual(value, expected[index], delta=1e-3 * max(1, expected[index]))

    def test_outlier_leaves_the_colours(self):
        _, _, data = self.page(text="hello the cat")
        tops = dict(zip(data["tops"][0][::2], data["tops"][0][1::2]))
        self.assertTrue(tops)
        for feature in range(16):
            values = sorted(pairs[pairs[::2].index(feature) * 2 + 1] for pairs in data["values"][0][1:]
                            if feature in pairs[::2])
            # Nine in ten of its tokens are in the lower half of the scale.
            top = 2 * values[(len(values) - 1) * 9 // 10] if values else 0
            if values and top < values[-1]:
                self.assertAlmostEqual(tops.pop(feature), top, delta=2e-3 * top)
        self.assertEqual(tops, {})

    def test_terminal_gets_one_line(self):
        path = self.folder / "page.html"
        printed = self.succeeds_quietly("scope", MODEL, TEXT, "--sae", SAE, "--html", path)
        self.assertEqual(printed, f"{path}: {len(self.ids)} tokens, 16 features\n")
        long = self.succeeds_quietly("scope", MODEL, "the " * 1200, "--sae", SAE, "--sae", f"{SAE}:mlp@1", "--html", path,
                                     "--force")
        self.assertRegex(long, r": \d,\d\d\d tokens, 32 features\n\Z")

    def test_title_names_text_and_model(self):
        _, page, _ = self.page(text="The <b> cat")
        self.assertEqual(page.title, f'"The <b> cat": features in {MODEL}')
        _, page, _ = self.page(text=ATTACK)
        self.assertIn("</script>", page.title)
        self.assertLess(len(page.title), len(ATTACK) + len(str(MODEL)))
        file = self.folder / "notes & more.txt"
        file.write_text(TEXT)
        path = self.folder / "page.html"
        self.succeeds_quietly("scope", MODEL, "--file", file, "--sae", SAE, "--html", path, "--force")
        self.assertEqual(Page(path.read_text()).title, f"notes & more.txt: features in {MODEL}")

    def test_needs_nothing_else(self):
        source, page, _ = self.page("--sae", f"{SAE}:mlp@1")
        self.assertNotRegex(source, r"https?:|//[a-z]|@import|url\(")
        for tag, attributes in page.elements:
            self.assertFalse({"src", "href", "srcset", "action"} & attributes.keys(), tag)
            self.assertNotIn(tag, ("link", "img", "iframe", "object", "embed", "base"))
        policy, = (attributes["content"] for _, attributes in page.elements
                   if attributes.get("http-equiv") == "Content-Security-Policy")
        self.assertIn("default-src 'none'", policy)

    def test_page_escapes_text(self):
        _, harmless, _ = self.page(text="hello")
        source, page, data = self.page(text=ATTACK)
        self.assertEqual([tag for tag, _ in page.elements], [tag for tag, _ in harmless.elements])
        self.assertEqual(len(page.scripts), 2)
        self.assertEqual(page.scripts[1], harmless.scripts[1])
        self.assertEqual(source.count("<h1>"), 1)  # the page's own
        # The data still contains the text.
        pieces = "".join(token[1] for token in data["tokens"][1:])
        self.assertIn("<h1></h1>", pieces)  # pieces of the vocabulary
        self.assertIn("{{data}}", pieces)

    def test_page_escapes_names(self):
        path = self.folder / "<img src=x>" / "params.npz"
        path.parent.mkdir()
        shutil.copy(SAE, path)
        page_path = self.folder / "page.html"
        self.scope("--html", page_path, sae=f"{path}:res@1")
        source = page_path.read_text()
        self.assertNotIn("<img", source)
        self.assertEqual(json.loads(Page(source).scripts[0])["autoencoders"][0]["file"], str(path))

    def test_scripts_write_text_only(self):
        _, page, _ = self.page()
        self.assertNotRegex(page.scripts[1], r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(")

    def test_chosen_features_alone(self):
        _, _, data = self.page("--features", "3,0")
        for pairs in data["values"][0]:
            self.assertLessEqual(set(pairs[::2]), {0, 3})

    def test_what_fails_leaves_no_page(self):
        path = self.folder / "page.html"
        path.write_text("old")
        self.fails(1, "scope", MODEL, "a", "--sae", f"{SAE}:res@1", "--html", path, says="already exists", cure="--force")
        self.fails(1, "scope", MODEL, "a", "--sae", f"{SAE}:res@2", "--html", path, "--force")
        self.assertEqual(path.read_text(), "old")
        self.fails(1, "scope", MODEL, "a", "--sae", SAE, "--html", self.folder / "none/page.html", says="page.html")


class BenchTest(ScopeTest):
    def test_measures_with_an_autoencoder(self):
        for arguments, count in (([], 0), (["--sae", SAE], 1), (["--sae", SAE, "--sae", f"{SAE}:mlp@0"], 2)):
            results = json.loads(self.succeeds_quietly(
                "bench", MODEL, "-p", 4, "-n", 3, "-b", "1,2", "-r", 1, "--json", "-q", *arguments))
            self.assertEqual([result["n_autoencoders"] for result in results], [count] * 3)
        self.assertIn("tg3 + 1 SAE", self.succeeds_quietly("bench", MODEL, "-p", 0, "-n", 3, "-r", 1, "--sae", SAE))


if __name__ == "__main__":
    unittest.main()
