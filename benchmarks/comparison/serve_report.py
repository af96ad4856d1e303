"""The results of serve.py: cells with the samples of each server, and their table."""
import math
import statistics

from comparison.report import table

NOTES = """\
A test is streams x tokens of a prompt; "common": prompts share their first three quarters. Medians; in brackets, the
lowest and the highest ratio of neighbouring runs. tokens/s: of prompts and answers together. First token: from the
request to the first event, the median (the time that 95 % do not exceed), in milliseconds. Between tokens: from one
event to the next, likewise. /health: the time that 99 % do not exceed while the server is loaded, in milliseconds.
Clients: the share of one processor that they took while each server ran.
"""
KEY = ("model", "streams", "prompt", "beginning", "generated", "requests")


def name_of(cell):
    return f"{cell['streams']} x {cell['prompt']:,}" + (", common" if cell["beginning"] == "common" else "")


def add(results, model, cell, found):
    """Adds a sample of each server: {its name: its figures}."""
    key = {"model": model} | cell
    for known in results["cells"]:
        if all(known[name] == key[name] for name in KEY):
            break
    else:
        known = key | {"samples": {}}
        results["cells"].append(known)
    for name, sample in found.items():
        known["samples"].setdefault(name, []).append(sample)


def column(cell, server, key):
    return [sample[key] for sample in cell["samples"].get(server, [])]


def ratios(cell, names, key):
    """Returns ours over theirs, for neighbouring runs."""
    ours, theirs = (column(cell, name, key) for name in names)
    return [a / b for a, b in zip(ours, theirs)]


def was_cut(cell, server):
    return any(column(cell, server, "cut"))


def spread(values):
    if not values:
        return "-"
    low, high = (f"{value:.2f}" for value in (min(values), max(values)))
    return f"{statistics.median(values):.2f}" + (f" ({low} - {high})" if len(values) > 1 else "")


def _median(cell, server, key):
    values = [value for value in column(cell, server, key) if value is not None]
    return statistics.median(values) if values else math.nan


def milliseconds(seconds):
    if math.isnan(seconds):
        return "-"
    return f"{1e3 * seconds:,.0f}" if seconds >= 0.01 else f"{1e3 * seconds:.1f}"


def _pair(cell, server, name):
    least = "≥ " if name == "ttft" and was_cut(cell, server) else ""
    return (f"{least}{milliseconds(_median(cell, server, f'{name}_median'))} "
            f"({milliseconds(_median(cell, server, f'{name}_95'))})")


def _row(cell, names):
    cells = [name_of(cell)] + [f"{_median(cell, name, 'tokens_per_second'):,.0f}" for name in names]
    cells += [spread(ratios(cell, names, "tokens_per_second"))] if len(names) == 2 else []
    cells += [_pair(cell, name, "ttft") for name in names]
    cells += [spread(ratios(cell, names, "ttft_median"))] if len(names) == 2 else []
    cells += [_pair(cell, name, "gap") for name in names]
    cells += [milliseconds(_median(cell, name, "health_99")) for name in names]
    return cells + [" / ".join(f"{100 * _median(cell, name, 'client_cpu'):.0f} %" for name in names)]


def _header(names):
    ratio = [" / ".join(names)] if len(names) == 2 else []
    return (["test"] + [f"tokens/s, {name}" for name in names] + ratio + [f"first token, {name}" for name in names] + ratio
            + [f"between tokens, {name}" for name in names] + [f"/health, {name}" for name in names] + ["clients"])


def _alone(cells):
    """Says how fast one stream decodes over HTTP, relative to gemma run."""
    rows = []
    for cell in cells:
        if cell["samples"].get("gemma run"):
            pairs = zip(column(cell, "gemma serve", "decode_per_second"), column(cell, "gemma run", "decode_per_second"))
            shares = [http / alone for http, alone in pairs if http is not None]
            rows.append([name_of(cell), f"{_median(cell, 'gemma serve', 'decode_per_second'):.1f}",
                         f"{_median(cell, 'gemma run', 'decode_per_second'):.1f}", spread(shares)])
    if not rows:
        return ""
    return "\n" + table(["test", "gemma serve, tokens/s after the first", "gemma run", "gemma serve / gemma run"], rows)


def _section(model, cells, names):
    title = f"## {model}\n\n"
    work = sorted({(cell["requests"], cell["generated"]) for cell in cells})
    said = "; ".join(f"{requests} requests of each stream, answers of {generated} tokens" for requests, generated in work)
    return title + said + ".\n\n" + table(_header(names), [_row(cell, names) for cell in cells]) + _alone(cells)


def markdown(results):
    names = list(results["servers"])
    cap = f" with --simd {results['simd_cap']}" if results["simd_cap"] else ""
    versions = "".join(f"- {name}: {about['version']}" + (f", {about['simd']}\n" if "simd" in about else "\n")
                       for name, about in results["servers"].items())
    models = list(dict.fromkeys(cell["model"] for cell in results["cells"]))
    sections = [_section(model, [cell for cell in results["cells"] if cell["model"] == model], names)
                for model in models]
    return (f"# Serving{cap}\n\n{results['machine']}, {results['threads']} threads per server.\n\n{versions}\n"
            + "\n".join(sections) + "\n" + NOTES)
