"""Speeds of many files on a machine whose own speed changes meanwhile, such as a virtual machine.

A sample is {"tokens_per_second", "beside"}: the file's speed, and the speed of one fixed file that our engine ran just
before it.
"""
import statistics


def samples(rows, engine, test):
    """Returns all samples of a test with an engine."""
    return [sample for row in rows for sample in row.get("speed", {}).get(engine, {}).get(test, [])]


def typical(rows, row, engine, test):
    """Returns the median share of the fixed file's speed, times that file's median; None if there are no samples."""
    own = samples([row], engine, test)
    if not own:
        return None
    beside = statistics.median(sample["beside"] for sample in samples(rows, "gemma", test))
    return beside * statistics.median(sample["tokens_per_second"] / sample["beside"] for sample in own)


def spread(rows, engine, test):
    """Returns the median, over rows, of the width of the middle half of a row's shares, over their median."""
    widths = []
    for row in rows:
        shares = [sample["tokens_per_second"] / sample["beside"] for sample in samples([row], engine, test)]
        if len(shares) > 1:
            low, middle, high = statistics.quantiles(shares, n=4)
            widths.append((high - low) / middle)
    return statistics.median(widths) if widths else 0.0
