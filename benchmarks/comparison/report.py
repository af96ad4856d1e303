"""Results as Markdown."""
import statistics

NOTES = """\
Speeds are tokens/s, median (lowest - highest). pp: tokens of a prompt read at once; tg: tokens one by one; x N: in N
sequences together; @ dN: after N other tokens. A ratio is ours over theirs, for neighbouring runs. Shares: for
tg, bytes of the weights in the file x tokens/s of the memory read ceiling (without keys and values; a head in Q8_0
counts as a whole, although ours reads three quarters of it); for pp,
2 x parameters without the embedding x tokens/s of the float32 multiply-add ceiling (above 100 % if matrix or integer
instructions are used; attention not counted). Peak memory is the process's VmHWM, which counts mapped files.
"""
FIRST_TOKEN_NOTE = """\
From the start of the process to the first token of a prompt of {tokens} tokens, with files in the page cache. Python
drives the other engines: "imports" is the part of their time that loads its modules, which a program in C++ would not
need.
"""


def spread(values, form="{:.1f}"):
    """Formats the median (lowest - highest)."""
    if len(values) == 1:
        return form.format(values[0])
    show = form.format
    return f"{show(statistics.median(values))} ({show(min(values))} - {show(max(values))})"


def ratios(ours, theirs):
    """Returns the ratios of neighbouring runs."""
    return [a / b for a, b in zip(ours, theirs)]


def column(measured, key):
    return [sample[key] for sample in measured["samples"] if key in sample]


def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def table(header, rows):
    alignment = ["---"] + ["---:"] * (len(header) - 1)
    return row(header) + row(alignment) + "".join(row(cells) for cells in rows)


def best_ceilings(results):
    return {key: max(each[key] for each in results["ceilings"])
            for key in ("read_bytes_per_second", "fma_flops_per_second")}


def share(test, speed, description, ceilings):
    """Returns the share of the ceiling that bounds the test, in percent."""
    if test["prompt"]:
        flops = 2 * (description["parameters"] - description["embedding_parameters"])
        return 100 * speed * flops / ceilings["fma_flops_per_second"]
    return 100 * speed / test["batch"] * description["weight_bytes"] / ceilings["read_bytes_per_second"]


def speed_cell(measured):
    speeds = column(measured, "tokens_per_second")
    return spread(speeds) if speeds else "-"


def share_cell(test, measured, description, ceilings):
    speeds = column(measured, "tokens_per_second")
    return f"{share(test, statistics.median(speeds), description, ceilings):.0f} %" if speeds else "-"


def memory_cell(measured):
    peaks = column(measured, "peak_memory_bytes")
    return f"{max(peaks) / 1e9:.2f}" if peaks else "-"


def ratio_cell(engines, ours, theirs, key="tokens_per_second"):
    values = ratios(column(engines[ours], key), column(engines[theirs], key))
    return spread(values, "{:.2f}") if values else "-"


def test_row(test, names, description, ceilings):
    engines = test["engines"]
    ours, peers = names[0], names[1:]
    return ([test["name"]] + [speed_cell(engines[name]) for name in names]
            + [ratio_cell(engines, ours, peer) for peer in peers]
            + [share_cell(test, engines[name], description, ceilings) for name in names]
            + [memory_cell(engines[name]) for name in names])


def speed_table(model, ceilings):
    names = model["engines"]
    header = (["test"] + names + [f"{names[0]} / {peer}" for peer in names[1:]]
              + [f"share, {name}" for name in names] + [f"peak GB, {name}" for name in names])
    return table(header, [test_row(test, names, model["description"], ceilings) for test in model["tests"]])


def first_token_table(model):
    measured = model["first_token"]
    rows = []
    for name in model["engines"]:
        seconds, imports = column(measured[name], "seconds"), column(measured[name], "imports_seconds")
        without = [a - b for a, b in zip(seconds, imports)]
        rows.append([name] + [spread(values, "{:.3f}") if values else "-" for values in (seconds, imports, without)])
    return table(["first token, seconds", "all", "imports", "without them"], rows)


def errors(model):
    lines = set()
    for measured in [test["engines"] for test in model["tests"]] + [model.get("first_token", {})]:
        lines |= {f"- {name}: {result['error']}\n" for name, result in measured.items() if "error" in result}
    return "".join(sorted(lines))


def describe_model(description):
    types = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in description["types"].items())
    return (f"{description['architecture']}, {description['parameters'] / 1e6:.1f} M parameters, "
            f"{description['weight_bytes'] / 1e9:.3f} GB of weights: {types}.\n")


def model_section(model, ceilings):
    parts = [f"## {model.get('title', model['name'])}\n", describe_model(model["description"]), speed_table(model, ceilings)]
    if "first_token" in model:
        parts.append(first_token_table(model))
    if errors(model):
        parts.append("Not measured:\n\n" + errors(model))
    return "\n".join(parts)


def prompt_tokens(results):
    for model in results["models"]:
        for measured in model.get("first_token", {}).values():
            for tokens in column(measured, "prompt_tokens"):
                return tokens
    return 5


def describe_engine(about):
    return about["version"] + (f", {about['simd']}" if "simd" in about else "")


def heading(results):
    machine, ceilings = results["machine"], results["ceilings"]
    reads = [each["read_bytes_per_second"] / 1e9 for each in ceilings]
    fmas = [each["fma_flops_per_second"] / 1e9 for each in ceilings]
    engines = "".join(f"- {name}: {describe_engine(about)}\n" for name, about in results["engines"].items())
    cap = f" with --simd {results['simd_cap']}" if results.get("simd_cap") else ""
    variables = [f"{name}={value}" for name, value in machine["variables"].items() if name != "GEMMA_SIMD"]
    set_by = f" Variables: {' '.join(variables)}." if variables else ""
    return (f"# Speed{cap}, {results['date']}\n\n{machine['cpu']}, {machine['cpus']} CPUs, {results['threads']} threads, "
            f"{machine['memory_bytes'] / 1e9:.0f} GB. Flags: {' '.join(machine['flags'])}.{set_by}\n\n"
            f"Ceilings with these threads, over the run: memory read {spread(reads)} GB/s, float32 multiply-add "
            f"{spread(fmas, '{:.0f}')} GFLOP/s ({ceilings[0]['simd_target']}).\n\n{engines}")


def markdown(results):
    ceilings = best_ceilings(results)
    sections = [model_section(model, ceilings) for model in results["models"]]
    notes = NOTES
    if any("first_token" in model for model in results["models"]):
        notes += "\n" + FIRST_TOKEN_NOTE.format(tokens=prompt_tokens(results))
    return "\n".join([heading(results), *sections, notes])
