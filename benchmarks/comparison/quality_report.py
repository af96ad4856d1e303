"""Results of quality.py as Markdown."""
from comparison import speeds
from comparison.report import table

NOTES = """\
Bits: bits of the file's tensors for each weight. KL: the mean and the 99 % quantile of the Kullback-Leibler divergence
from the reference, in nats, over {tokens} tokens of English that no calibration used, with activations and caches in
float32; "int8": with activations rounded to int8, as the command computes by default. Top-1: how often the most
probable token is the reference's. Perplexity: relative to the reference's, which is {perplexity:.3f}. On grid: the
share of weights with the same type as in the file from which the reference was made. Such a type finds its own values
again, almost without loss; the larger this share, the less the row says about the type. + importance: `gemma
importance` measured on another text which channels matter.
"""
SPEED_NOTES = """\
Speeds are tokens/s of our engine: a prompt of 512 tokens, 64 tokens one by one; in brackets llama.cpp's with the same
file. The machine's own speed changes meanwhile, so {beside} ran before each measurement; a speed is the median of
{repetitions} shares of {beside}'s speed, times {beside}'s median. For the median file, half of the shares lie within
{prefill:.0f} % (prompts) and {decode:.0f} % (one by one).
"""
SYNTHETIC = """\
Relative RMS error on random matrices of [9216, 2304], without importance. gemma.cpp's SFP, which has 8 bits with two or
three for the mantissa, has an error of 2.7 % on both.
"""


def speed_cell(rows, entry, test):
    """Returns our speed, and theirs in brackets."""
    ours, theirs = (speeds.typical(rows, entry, engine, test) for engine in ("gemma", "llama.cpp"))
    if ours is None:
        return "-"
    return f"{ours:.0f}" + (f" ({theirs:.0f})" if theirs else "")


def title_of(entry):
    same = "".join(f", {title}" for title in entry.get("same_as", []))
    return f"{entry['maker']} {entry['title']}{same}".strip()


def cells(rows, entry):
    exact, rounded = entry["float32"], entry["int8"]
    return [title_of(entry), f"{entry['bits']:.2f}", f"{entry['bytes'] / 1e6:.0f}",
            f"{exact['mean_kl']:.2e} ± {exact['mean_kl_error']:.0e}", f"{exact['kl_99']:.2e}",
            f"{100 * exact['top1_agreement']:.1f} %", f"{exact['perplexity_ratio']:.4f}", f"{rounded['mean_kl']:.2e}",
            speed_cell(rows, entry, "prefill"), speed_cell(rows, entry, "decode"), f"{100 * entry['same_grid']:.0f} %"]


def quality_table(results):
    header = ["Format", "Bits", "MB", "Mean KL", "99 % KL", "Top-1", "Perplexity", "KL, int8", "Prefill", "Decode",
              "On grid"]
    measured = [entry for entry in results["rows"] if "error" not in entry]
    return table(header, [cells(measured, entry) for entry in sorted(measured, key=lambda entry: -entry["bits"])])


def synthetic_table(results):
    """Returns the types of both makers, by bits."""
    synthetic = results["synthetic"]
    rows = []
    for maker in ("gemma", "llama.cpp"):
        for name, about in synthetic["gaussian"][maker].items():
            errors = [synthetic[kind][maker][name]["error"] for kind in ("gaussian", "student_t5")]
            rows.append((about["bits"], [f"{maker} {name}", f"{about['bits']:.2f}",
                                         *(f"{100 * error:.2f} %" for error in errors)]))
    rows.sort(key=lambda each: -each[0])
    return table(["Format", "Bits", "Gaussian", "Student-t(5)"], [each for _, each in rows])


def errors(results):
    """Returns a line for each failed measurement."""
    return "".join(f"- {title_of(entry)}: {about['error']}\n" for entry in results["rows"]
                   for about in (entry, *entry.get("speed", {}).values()) if "error" in about)


def heading(results):
    machine = results["machine"]
    types = ", ".join(f"{each['type']} {100 * each['values'] / sum(t['values'] for t in results['types']):.0f} %"
                      for each in results["types"])
    return (f"# Quality, {results['date']}\n\n{results['model']} ({types} of its weights), on {machine['cpu']}, "
            f"{results['threads']} threads. {results['gemma']}, {results['llama_cpp']}. The text's SHA-256 begins with "
            f"{results['text_sha256'][:12]}.\n")


def speed_facts(results):
    rows = [entry for entry in results["rows"] if "error" not in entry]
    return {"beside": results["beside"], "repetitions": len(speeds.samples(rows[:1], "gemma", "decode")),
            **{test: 100 * speeds.spread(rows, "gemma", test) for test in ("prefill", "decode")}}


def markdown(results):
    first = next(entry["float32"] for entry in results["rows"] if "error" not in entry)
    parts = [heading(results), quality_table(results),
             NOTES.format(tokens=first["scored_tokens"], perplexity=first["base_perplexity"])]
    if any("speed" in entry for entry in results["rows"]):
        parts.append(SPEED_NOTES.format(**speed_facts(results)))
    if errors(results):
        parts.append("Not measured:\n\n" + errors(results))
    if "synthetic" in results:
        parts += [synthetic_table(results), SYNTHETIC]
    return "\n".join(parts)
