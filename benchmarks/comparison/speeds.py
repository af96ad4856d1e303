"""Speeds of many files on a machine whose own speed changes meanwhile, as a virtual one's does.

A sample is {"tokens_per_second", "beside"}: the file's speed, and that of one file, the same for all, which our engine
ran just before it.
"""
import statistics


def samples(rows, engine, test):
    """All that an engine has of a test."""
    return [sample for row in rows for sample in row.get("speed", {}).get(engine, {}).get(test, [])]


def typical(rows, row, engine, test):
    """The median share of the file beside, times that file's median; None if the row was not measured."""
    own = samples([row], engine, test)
    if not own:
        return None
    beside = statistics.median(sample["beside"] for sample in samples(rows, "gemma", test))
    return beside * statistics.median(sample["tokens_per_second"] / sample["beside"] for sample in own)


def spread(rows, engine, test):
    """The median width of the middle half of a row's shares, over their median."""
    widths = []
    for row in rows:
        shares = [sample["tokens_per_second"] / sample["beside"] for sample in samples([row], engine, test)]
        if len(shares) > 1:
            low, middle, high = statistics.quantiles(shares, n=4)
            widths.append((high - low) / middle)
    return statistics.median(widths) if widths else 0.0
