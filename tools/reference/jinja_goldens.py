#!/usr/bin/env python3
"""Writes what Python's jinja2 makes of the templates in tests/testdata/jinja.

Reads templates/*.jinja, conversations.json and expressions.txt (one template a
line, with the variables of the conversation "expressions"), and writes
goldens.json: for each, the text or "error", or "raised" with the message of
raise_exception. The environment is that of transformers' chat templates.
"""

import argparse
import datetime
import json
import pathlib

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

TESTDATA = pathlib.Path(__file__).resolve().parents[2] / "tests/testdata/jinja"
NOW = datetime.datetime(2026, 2, 3, 14, 5, 9)  # the tests' local time


class Generation(jinja2.ext.Extension):
    """The tag that marks what a model writes. It prints its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_render", [])
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent,
                          separators=separators, sort_keys=sort_keys)

    result = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True,
        extensions=[Generation, jinja2.ext.loopcontrols])
    result.filters["tojson"] = tojson
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = NOW.strftime
    return result


def render(source, variables):
    """Returns the golden entry of one template."""
    try:
        return {"text": environment().from_string(source).render(**variables)}
    except jinja2.exceptions.TemplateError as error:
        if type(error) is jinja2.exceptions.TemplateError:
            return {"raised": str(error)}
        return {"error": f"{type(error).__name__}: {error}"}
    except Exception as error:  # Python's own errors pass through jinja2
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, default=TESTDATA)
    output = parser.parse_args().output
    conversations = json.loads((TESTDATA / "conversations.json").read_text())
    variables = conversations.pop("expressions")
    goldens = {"templates": {}, "expressions": []}
    for path in sorted((TESTDATA / "templates").glob("*.jinja")):
        # As a string of JSON has it: jinja2 itself normalizes line ends.
        source = path.read_text(encoding="utf-8")
        goldens["templates"][path.stem] = {
            name: render(source, conversation)
            for name, conversation in conversations.items()}
    for line in (TESTDATA / "expressions.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("##"):
            source = line.replace("\\N", "\n")
            goldens["expressions"].append({"source": source, **render(source, variables)})
    text = json.dumps(goldens, ensure_ascii=False, indent=0)
    (output / "goldens.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
