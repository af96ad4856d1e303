"""The metrics of several replicas as one page for Prometheus."""


def merged(pages):
    """Returns the pages of replicas, {name: text}, as one: each family of samples once, and in each
    sample a label `replica`."""
    families = {}  # the samples of a family, by its lines of comments
    for replica, page in sorted(pages.items()):
        head, samples = "", None
        for line in page.splitlines(keepends=True):
            if line.startswith("#"):
                head, samples = (head if samples is None else "") + line, None
                continue
            if samples is None:
                samples = families.setdefault(head, [])
            samples.append(_labelled(line, replica))
    return "".join(head + "".join(samples) for head, samples in families.items())


def _labelled(sample, replica):
    name, brace, rest = sample.partition("{")
    if brace:
        return f'{name}{{replica="{replica}",{rest}'
    name, blank, value = sample.partition(" ")
    return f'{name}{{replica="{replica}"}}{blank}{value}'
