"""The report on ResNet-32: what each method reaches, read off interpolated curves, with plots."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs"))
import plot

UNIFORM = "uniform"
UNIFORM_CORRECTED = "uniform, Huffman, corrected"  # neither the paper's nor what we would take
CORRECTED = ", corrected"
RISES = (0, 0.01, 0.02, 0.05)  # of the loss, nats
FLOOR = {"dense": 90.5, "pruned92": 89.0}  # of the plots: what is below is out of sight

# The paper's table: ResNet-32, after pruning to a file 4.52 times smaller, and fine-tuning.
PAPER = {"k-means": 18.25, "Hessian-weighted k-means": 20.51, "uniform": 22.17, "iterative ECSQ": 21.01}

INTRODUCTION = """# ResNet-32 on CIFAR-10 without retraining

Accuracy on the 10,000 test images over compression ratio, for the methods of "Towards the Limit of Network
Quantization" (Huffman codes, one codebook for all layers) and for libnq's best. Nothing is trained or tuned
after quantization. Made by

    python3 examples/resnet/curves.py DATA

which says what it needs; all points are in [points.csv](points.csv).

A ratio is the size of the original safetensors file (1,879,032 bytes, batch norms as four vectors of floats
each) over the size of the `.nq` file that was measured, which holds everything: weights, codebooks, code tables,
names, and batch norms as a factor and a term for each channel, F16, which changes no accuracy (row *folded*).

What a curve reaches at an accuracy is read off its points after they were made to fall with the ratio (the
nearest falling sequence, by least squares, as one image more or less is chance: ten thousand images tell
accuracies to about 0.1 %), and in a straight line between them. "<" and ">" stand where a curve ends before.
Nothing was held out to choose among the methods, nor among some ten more that were tried and left out
(weights scaled by channel, other corrections): the best of several is flattered a little. The loss is no
substitute: the original is surer of itself than it should be, so that a coarser network may lose less and yet
err more often. Ratios are read off its curves as well.

*Corrected* are networks whose folded terms take back what quantization does to each channel's mean, by what
the batch norms tell of the inputs: bias correction without data (Nagel et al. 2019, in
[correct.py](../../../examples/resnet/correct.py)). It needs no image and no byte. The paper has no such step, so
that its methods stand without it; row *uniform, Huffman, corrected* tells what it alone would do for
the best of them.
"""

ALEXNET = """
## AlexNet

The paper's third network is not here: AlexNet's weights cannot be had where these reports are made, nor the
images of ImageNet. Nothing is said about it.
"""


def falling(values):
    """The nearest sequence that does not rise, by least squares (pool adjacent violators)."""
    pools = []
    for value in values:
        pools.append([value, 1])
        while len(pools) > 1 and pools[-2][0] < pools[-1][0]:
            mean, n = pools.pop()
            pools[-1] = [(pools[-1][0] * pools[-1][1] + mean * n) / (pools[-1][1] + n), pools[-1][1] + n]
    return [mean for mean, n in pools for _ in range(n)]


def reach(points, accuracy):
    """(what precedes the number, ratio) of a curve's points (ratio, accuracy) at an accuracy."""
    points = sorted(points)
    heights = falling([a for _, a in points])
    if heights[0] < accuracy:
        return "<", points[0][0]
    for (r0, _), (r1, _), a0, a1 in zip(points, points[1:], heights, heights[1:]):
        if a0 >= accuracy > a1:
            return "", r0 + (r1 - r0) * (a0 - accuracy) / (a0 - a1)
    return ">", points[-1][0]


class Network:
    def __init__(self, name, rows):
        self.name = name
        self.original, self.folded = None, None
        self.curves, self.losses = {}, {}
        for row in rows:
            ratio, accuracy, loss = (float(row[k]) for k in ("ratio", "accuracy", "loss"))
            if row["curve"] in ("original", "folded"):
                setattr(self, row["curve"], row)
            else:
                self.curves.setdefault(row["curve"], []).append((ratio, accuracy))
                self.losses.setdefault(row["curve"], []).append((ratio, loss))
        self.accuracy, self.loss = (float(self.original[k]) for k in ("accuracy", "loss"))
        self.bytes = int(self.original["bytes"])


def told(mark_and_ratio):
    mark, ratio = mark_and_ratio
    return f"{mark} {ratio:.2f}".strip()


def table(network, names, paper, heads, cells, is_last=False):
    """A row for each curve; cells(name) are its numbers."""
    is_paper_told = is_last and "pruned" in network.name
    heads = [*heads, "paper"] if is_paper_told else heads
    yield f"| | {' | '.join(heads)} |"
    yield "|---|" + "---|" * len(heads)
    for name in names:
        line = [name if name in paper else f"**{name}**", *map(told, cells(name))]
        yield f"| {' | '.join(line + [str(PAPER.get(name, '–'))] * is_paper_told)} |"


def accuracies(network, names, paper, drops):
    def cells(name):
        return [reach(network.curves[name], network.accuracy - d) for d in drops]
    yield "Ratios at accuracies below the original's (in bold: ours):\n"
    yield from table(network, names, paper, [f"−{d:g} %" for d in drops], cells, True)


def losses(network, names, paper, rises):
    """The same of the loss, which rises where accuracy falls."""
    def cells(name):
        falling_points = [(r, -v) for r, v in network.losses[name]]
        return [reach(falling_points, -network.loss - d) for d in rises]
    yield "\nRatios at losses above the original's:\n"
    yield from table(network, names, paper, [f"+{d:g}" for d in rises], cells)
    yield ""


def furthest(at, names):
    """(name, ratio) of the one that reaches most; None where no curve has points at so high an accuracy."""
    reached = [n for n in names if n in at and at[n][0] != "<"]
    return max(((n, at[n][1]) for n in reached), key=lambda pair: pair[1], default=None)


def verdict(network, paper, drop):
    """The goals: of ours the best, against uniform quantization and the best of the paper's methods."""
    at = {n: reach(p, network.accuracy - drop) for n, p in network.curves.items()}
    ours = [n for n in at if n not in paper and n != UNIFORM_CORRECTED]
    best, strongest = furthest(at, ours), furthest(at, paper)
    if not best or not strongest:
        yield (f"At −{drop:g} % nothing can be said: {'our' if not best else 'the paper’s'} curves have no "
               "points at so high an accuracy.")
        return
    yield (f"At −{drop:g} % the furthest of ours is *{best[0]}* with {told(at[best[0]])}, of the paper's methods "
           f"*{strongest[0]}* with {told(at[strongest[0]])}.")
    uniform, plain = furthest(at, [UNIFORM]), furthest(at, [n for n in ours if not n.endswith(CORRECTED)])
    if uniform:
        yield (f"That is {100 * uniform[1] / best[1]:.1f} % of the bytes of uniform quantization with Huffman "
               "codes.")
    if plain:
        yield f"Without correction the furthest of ours is *{plain[0]}* with {told(at[plain[0]])}."
    if UNIFORM_CORRECTED in at:
        yield f"With correction alone, uniform quantization with Huffman codes comes to {told(at[UNIFORM_CORRECTED])}."


def section(out, network, order, paper, drops, goal):
    names = [n for n in order if n in network.curves]
    title = {"dense": "The dense network", "pruned92": "The network pruned to 20 %"}[network.name]
    yield (f"\n## {title}\n\nOriginal: {network.accuracy:.2f} %, loss {network.original['loss']}, "
           f"{network.bytes} bytes; folded, not quantized: {network.folded['accuracy']} %, "
           f"{network.folded['bytes']} bytes.\n")
    yield from accuracies(network, names, paper, drops)
    yield from losses(network, names, paper, RISES)
    yield from verdict(network, paper, goal)
    lacking = [n for n in order if n not in network.curves]
    if lacking:
        yield f"\nNot measured: {', '.join(lacking)}."
    for kind, curves, label in (("accuracy", network.curves, "accuracy, %"), ("loss", network.losses, "loss, nats")):
        picture = f"{network.name}-{kind}.svg"
        sorted_curves = [(n, sorted(curves[n])) for n in names]
        values = [v for _, p in sorted_curves for _, v in p]
        if kind == "accuracy":
            limits, lines = (FLOOR[network.name], network.accuracy + 0.3), [("original", network.accuracy)]
        else:
            limits, lines = (min(values) - 0.01, min(max(values), 0.6)), [("original", float(network.original["loss"]))]
        with open(os.path.join(out, picture), "w", encoding="utf-8") as f:
            f.write(plot.svg(title, "ratio", label, sorted_curves, y_limits=limits, lines=lines))
        yield f"\n![]({picture})"


NOTES = {
    "pruned92": "\nThe paper's methods quantize the weights that pruning left, as the paper does: codebooks for "
                "them alone, gaps between them Huffman-coded (or zero as one more level, where that is smaller). "
                "Ours take zeros as weights like all others, and may add to them. The paper's column is its "
                "table's, after retraining, and at another accuracy (92.6 to 92.7 %) of another network.",
}


def write(out, rows, order, paper):
    lines = [INTRODUCTION]
    for name, drops, goal in (("dense", (0.1, 0.2, 0.3, 0.5, 1), 0.2), ("pruned92", (0.1, 0.2, 0.3, 0.5, 1), 0.3)):
        mine = [r for r in rows if r["network"] == name]
        if mine:
            lines += section(out, Network(name, mine), order, paper, drops, goal)
            lines += filter(None, [NOTES.get(name)])
    with open(os.path.join(out, "README.md"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines + [ALEXNET]))
