#!/usr/bin/env python3
"""Bits a weight of each kind of quantizer at equal error, on real models: a table and a plot for each.

usage: curves.py NQ MODEL[,IMPORTANCE]... > docs/curves.md

Calls `nq curve`; plots and points go to curves/ beside this script. With - for NQ tables and plots are
made of the points that are there. With importance all errors are weighted by it, those of k-means
without importance, too.
"""

import csv
import io
import math
import os
import subprocess
import sys

import plot

HERE = os.path.dirname(os.path.abspath(__file__))
RATES = [1, 2, 3, 4, 5, 6]  # of uniform quantization: whose errors the tables stand at
SUMMARY = 3
MOST_BITS = 7  # in plots
MOST_MORE = 2

# Name, options of `nq curve`; those with importance only.
KMEANS = ("k-means", ["--method", "kmeans", "--importance-power", "0"])
WEIGHTED = ("weighted k-means", ["--method", "kmeans"])
METHODS = [
    ("uniform", ["--method", "uniform"]),
    ("iterative ECSQ", ["--method", "ecsq"]),
    ("rdo", ["--method", "uniform", "--rdo"]),
    ("rdo, equal slope", ["--method", "uniform", "--rdo", "--allocate", "slope", "--scope", "tensor"]),
]

INTRODUCTION = """# Rate and distortion on real models

What each kind of quantizer takes at equal error, in bits of the whole file a weight: levels, code tables,
index and tensors that are stored as they are included. The error is the sum of h (w - v)^2 over all
weights w and the values v that come back, h being the importance of a weight (the diagonal of a
Gauss-Newton matrix) where there is one, and 1 otherwise.

| curve | options of `nq curve` |
|---|---|
%s
All layers share a codebook but with *equal slope*, where each has its own, whose levels and code table
count; importance is heeded by every design but plain k-means. Codes are the smallest for each tensor
(`--codec auto`), so that k-means is better here than with the codes of fixed length that it is best for.

Rows stand at the error that uniform quantization has at so many bits a weight; between the points that
`nq curve` gives, bits are interpolated over the logarithm of the error. A dash is where a curve does not
reach. The second plot of each model has the same curves, as bits more or less than uniform quantization
takes for the same error.

    python3 docs/curves.py NQ MODEL[,IMPORTANCE]... > docs/curves.md
"""


def curve(nq, model, importance, options):
    """Rows of `nq curve`."""
    weigh = ["--importance", importance] if importance else []
    if not importance and "--importance-power" in options:
        options = options[:options.index("--importance-power")]
    result = subprocess.run([nq, "curve", model, "--quiet", *options, *weigh], text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    if result.returncode != 0:
        raise SystemExit(f"nq curve {model} {' '.join(options)}: exit {result.returncode}")
    return list(csv.DictReader(io.StringIO(result.stdout)))


def stored(path):
    """Rows of each curve, as they were written."""
    rows = {}
    with open(path, newline="", encoding="utf-8") as f:
        for point in csv.DictReader(f):
            rows.setdefault(point.pop("curve"), []).append(point)
    return rows


def points(rows):
    """(bits, error) of what no other point beats in both, from few bits to many."""
    best = []
    for bits, error in sorted((float(r["bits_per_weight"]), float(r["weighted_distortion"])) for r in rows):
        if error > 0 and (not best or error < best[-1][1]):
            best.append((bits, error))
    return best


def bits_at(error, curve_points):
    """None where the curve does not reach."""
    for (b0, e0), (b1, e1) in zip(curve_points, curve_points[1:]):
        if e1 <= error <= e0:
            return b0 + (b1 - b0) * math.log(e0 / error) / math.log(e0 / e1)
    return None


def error_at(bits, curve_points):
    for (b0, e0), (b1, e1) in zip(curve_points, curve_points[1:]):
        if b0 <= bits <= b1:
            return e0 * (e1 / e0) ** ((bits - b0) / (b1 - b0))
    return None


def bits_of_all(rate, curves):
    """The error that the uniform curve has at a rate, and the bits of each curve there; None if it has not
    got so far."""
    error = error_at(rate, curves["uniform"])
    return error and (error, {label: bits_at(error, p) for label, p in curves.items()})


def told(bits):
    return "–" if bits is None else f"{bits:.2f}"


def compared(curves):
    """(Bits of uniform quantization, bits more than that) along each curve."""
    base = curves["uniform"]
    for label, curve_points in curves.items():
        pairs = [(bits_at(error, base), bits) for bits, error in curve_points]
        yield label, [(b, bits - b) for b, bits in pairs if b is not None and b <= MOST_BITS]


def measure(nq, model, importance, path):
    methods = [KMEANS, *([WEIGHTED] if importance else []), *METHODS]
    rows = {label: curve(nq, model, importance, options) for label, options in methods}
    with open(path, "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, ["curve", *rows["uniform"][0]], lineterminator="\n")
        writer.writeheader()
        for label, r in rows.items():
            writer.writerows({"curve": label, **point} for point in r)
    return rows


def draw(name, curves, is_weighted):
    error = "weighted error" if is_weighted else "squared error"
    less = list(compared(curves))
    values = [more for _, pairs in less for _, more in pairs]
    limits = max(min(values) - 0.05, -MOST_MORE), min(max(values) + 0.05, MOST_MORE)
    plots = {"": ("bits a weight", error, [(label, [p for p in c if p[0] <= MOST_BITS])
                                           for label, c in curves.items()], True, None),
             "-less": ("bits a weight of uniform quantization with the same error", "bits more than that",
                       less, False, limits)}
    for end, (x, y, lines, is_log, y_limits) in plots.items():
        with open(os.path.join(HERE, "curves", f"{name}{end}.svg"), "w", encoding="utf-8") as f:
            f.write(plot.svg(name, x, y, lines, is_log_y=is_log, y_limits=y_limits))


def section(name, size, curves, is_weighted):
    kind = "errors weighted by importance" if is_weighted else "without importance"
    yield f"## {name}\n\n{size} bytes, {kind}.\n\n![](curves/{name}.svg)\n\n![](curves/{name}-less.svg)\n"
    yield f"| error | {' | '.join(curves)} |"
    yield "|---|" + "---:|" * len(curves)
    for rate in RATES:
        found = bits_of_all(rate, curves)
        if found:
            yield f"| {found[0]:.3g} | {' | '.join(told(bits) for bits in found[1].values())} |"
    yield ""


def summary(models):
    labels = [KMEANS[0], WEIGHTED[0], *(label for label, _ in METHODS)]
    yield f"Where uniform quantization takes {SUMMARY} bits a weight, the others take for the same error:\n"
    yield f"| model | {' | '.join(labels)} |"
    yield "|---|" + "---:|" * len(labels)
    for name, (_, curves, _) in models.items():
        found = bits_of_all(SUMMARY, curves)
        if found:
            yield f"| {name} | {' | '.join(told(found[1].get(label)) for label in labels)} |"
    yield ""


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    models = {}
    os.makedirs(os.path.join(HERE, "curves"), exist_ok=True)
    for argument in sys.argv[2:]:
        model, _, importance = argument.partition(",")
        name = os.path.basename(model).removesuffix(".safetensors")
        path = os.path.join(HERE, "curves", name + ".csv")
        rows = stored(path) if sys.argv[1] == "-" else measure(sys.argv[1], model, importance, path)
        models[name] = os.path.getsize(model), {label: points(r) for label, r in rows.items()}, bool(importance)
        draw(name, *models[name][1:])
    print(INTRODUCTION % "".join(f"| {label} | `{' '.join(options)}` |\n" for label, options in
                                 [KMEANS, WEIGHTED, *METHODS]))
    for line in summary(models):
        print(line)
    for name, about in models.items():
        for line in section(name, *about):
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
