#!/usr/bin/env python3
"""gemma tokenize: ids, pieces and JSON of a text, and back."""
import json
import os
import pty
import subprocess
import unittest

from command import BINARY, TESTDATA, CommandTest

MODEL = TESTDATA / "gguf" / "gemma3_mixed.gguf"
TEXT = "Hello  user \u65e5\n\tthe"


class TokenizeTest(CommandTest):
    def tokenize(self, *arguments, **options):
        return self.succeeds_quietly("tokenize", MODEL, *arguments, **options)

    def test_ids_and_back(self):
        ids = self.tokenize(TEXT).rstrip("\n")
        self.assertEqual(self.tokenize("--decode", ids), TEXT + "\n")
        self.assertEqual(self.tokenize("-d", stdin=(ids + "\n").encode()), TEXT + "\n")
        self.assertEqual(self.tokenize("-d", f"[{ids.replace(' ', ', ')}]"), TEXT + "\n")
        self.assertEqual(self.tokenize("-d", *ids.split()), TEXT + "\n")
        # BOS has no text.
        self.assertEqual(self.tokenize("-d", self.tokenize(TEXT, "--bos")), TEXT + "\n")
        self.assertEqual(self.tokenize("-d", ""), "\n")

    def test_terminal_gets_no_escapes(self):
        title = "\x1b]0;x\x07"
        ids = self.tokenize(title)
        self.assertEqual(self.tokenize("--decode", ids), title + "\n")  # a pipe gets the text
        terminal, output = pty.openpty()
        subprocess.run([BINARY, "tokenize", MODEL, "--decode", ids], stdin=subprocess.DEVNULL, stdout=output, check=True)
        os.close(output)
        self.assertEqual(os.read(terminal, 1000), b"\\x1b]0;x\\x07\r\n")
        os.close(terminal)

    def test_json_and_pieces(self):
        ids = [int(token) for token in self.tokenize(TEXT, "--bos").split()]
        report = json.loads(self.tokenize(TEXT, "--bos", "--json"))
        self.assertEqual(list(report), ["schema_version", "gemma_version", "model", "path", "options", "text", "tokens"])
        self.assertEqual(report["options"], {"bos": True, "decode": False, "parse_control": False})
        self.assertEqual((report["model"], report["text"]), (str(MODEL), TEXT))
        self.assertEqual([token["id"] for token in report["tokens"]], ids)
        self.assertEqual(report["tokens"][0], {"id": 2, "piece": "<bos>", "control": True})
        self.assertFalse(any(token["control"] for token in report["tokens"][1:]))
        text = b"".join(bytes.fromhex(piece[3:5]) if len(piece) == 6 and piece.startswith("<0x") else piece.encode()
                        for piece in (token["piece"] for token in report["tokens"][1:]))
        self.assertEqual(text.decode().replace("\u2581", " "), TEXT)
        lines = self.tokenize(TEXT, "--bos", "--pieces").splitlines()
        self.assertEqual([int(line.split("\t")[0]) for line in lines], ids)
        self.assertEqual(lines[0], "2\t<bos>")
        decoded = json.loads(self.tokenize("--decode", " ".join(map(str, ids)), "--json"))
        self.assertEqual(decoded.pop("options"), {"bos": False, "decode": True, "parse_control": False})
        self.assertEqual(decoded, {key: value for key, value in report.items() if key != "options"})

    def test_wrong_use(self):
        self.fails(2, "tokenize", MODEL, "two", "words", says="found more: 'words'", cure="quote a text")
        self.fails(2, "tokenize", MODEL, "-d", "5 x", says="TEXT: 'x' is not a whole number from 0 to ")
        self.fails(2, "tokenize", MODEL, "-d", "99999999", says="'99999999'")
        self.fails(2, "tokenize", MODEL, "-d", "--bos", "5", says=["--decode", "--bos"])
        self.fails(2, "tokenize", MODEL, "-d", "--parse-control", "5", says=["--decode", "--parse-control"])
        self.fails(2, "tokenize", MODEL, "--pieces", "--json", "x", says=["--pieces", "--json"])


if __name__ == "__main__":
    unittest.main()
