"""Types of the options of benchmarks."""


def positive(text):
    """Parses a number of 1 or more."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def counts(text):
    """Parses a list of numbers of 1 or more, such as "1,8,32"."""
    return [positive(part) for part in text.split(",")]


def numbers(text):
    """Parses a list of numbers of 0 or more, such as "0,4000,16000"."""
    values = [int(part) for part in text.split(",")]
    if min(values) < 0:
        raise ValueError
    return values
