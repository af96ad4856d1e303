#!/usr/bin/env python3
"""Compares our grammars with Python's validators, text by text.

Reads a file of lines, each an object:
  schema or regex   the grammar
  text              the text: for a schema, of a JSON value
  valid             whether Python must find it valid; null if unknown
  matches           whether our grammar accepts it; then it must be valid
  exact             whether our grammar must accept every valid text
Prints a line for each disagreement, and exits with 1 if there is any.
"""

import functools
import json
import re
import sys

import jsonschema


# The name of the checker depends on the version of jsonschema.
FORMATS = (getattr(jsonschema.Draft202012Validator, "FORMAT_CHECKER", None)
           or jsonschema.draft202012_format_checker)


@functools.lru_cache(maxsize=1)
def validator(schema):
    schema = json.loads(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(
        schema, format_checker=FORMATS)


def refuse(name):
    raise ValueError(f"{name} is not JSON")


def is_valid(line):
    if "regex" in line:
        return re.fullmatch(line["regex"], line["text"], re.ASCII) is not None
    try:
        value = json.loads(line["text"], parse_constant=refuse)
    except ValueError:
        return False
    return validator(json.dumps(line["schema"])).is_valid(value)


def main():
    wrong = 0
    with open(sys.argv[1], encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            valid = is_valid(line)
            expected = line["valid"]
            if (line["matches"] and not valid or line["exact"] and valid and not line["matches"]
                    or expected is not None and valid != expected):
                print(f"valid: {valid}, {json.dumps(line)}")
                wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
