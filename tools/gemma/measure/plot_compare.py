"""Plots what `gemma compare --per-token` writes:

    python3 plot_compare.py BASE OTHER < tokens.jsonl > plot.png

BASE and OTHER are the models' paths. Without them, it only checks that matplotlib is installed. It is part of
the gemma command, which runs it for --plot.
"""
import itertools
import json
import pathlib
import sys

NO_MATPLOTLIB = 3  # exit code; see comparison_plot.cc

try:
    import matplotlib
except ModuleNotFoundError as error:
    if error.name != "matplotlib":
        raise
    sys.exit(NO_MATPLOTLIB)

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

FLOOR = 1e-10  # nats; smaller values, including 0, are drawn here


def draw_along(axes, kl):
    means = [total / count for count, total in enumerate(itertools.accumulate(kl), 1)]
    axes.plot([max(value, FLOOR) for value in kl], ".", markersize=2, alpha=0.4, label="a token")
    axes.plot([max(value, FLOOR) for value in means], label="mean of the text so far")
    axes.set(title="along the text", xlabel="token of the text", ylabel="KL, nats", yscale="log")
    axes.legend()


def draw_shares(axes, kl):
    shares = [100 * (rank + 1) / len(kl) for rank in range(len(kl))]
    axes.plot(shares, [max(value, FLOOR) for value in sorted(kl, reverse=True)])
    axes.set(title="sorted", xlabel="share of tokens with at least this KL, %", ylabel="KL, nats", xscale="log",
             yscale="log")


def main(base, other):
    kl = [json.loads(line)["kl"] for line in sys.stdin]
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4))
    for draw, each in zip((draw_along, draw_shares), axes):
        draw(each, kl)
        each.grid(alpha=0.3)
    names = [pathlib.PurePath(path).name or path for path in (other, base)]
    figure.suptitle(f"{names[0]} compared with {names[1]}: mean KL {sum(kl) / len(kl):.2e} nats", parse_math=False)
    figure.tight_layout()
    figure.savefig(sys.stdout.buffer, format="png", dpi=120)


if __name__ == "__main__" and len(sys.argv) > 1:
    main(*sys.argv[1:])
