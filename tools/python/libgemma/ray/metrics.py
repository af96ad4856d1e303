"""The metrics of several replicas as one page for Prometheus."""

from __future__ import annotations

from typing import Mapping


def merged(pages: Mapping[str, str]) -> str:
    """Returns the pages of replicas, {name: text}, as one: each family of samples once, and in each
    sample a label `replica`."""
    # The samples of a family, by its lines of comments.
    families: dict[str, list[str]] = {}
    for replica, page in sorted(pages.items()):
        head = ""
        samples: list[str] | None = None
        for line in page.splitlines(keepends=True):
            if line.startswith("#"):
                head, samples = (head if samples is None else "") + line, None
                continue
            if samples is None:
                samples = families.setdefault(head, [])
            samples.append(_labelled(line, replica))
    return "".join(head + "".join(samples) for head, samples in families.items())


def _labelled(sample: str, replica: str) -> str:
    name, brace, rest = sample.partition("{")
    if brace:
        return f'{name}{{replica="{replica}",{rest}'
    name, blank, value = sample.partition(" ")
    return f'{name}{{replica="{replica}"}}{blank}{value}'
