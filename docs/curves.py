#!/usr/bin/env python3
"""Bits a weight of each kind of quantizer at equal error, on real models: a table and a plot for each.

usage: curves.py NQ MODEL[,IMPORTANCE]... > docs/curves.md

Calls `nq curve`; plots and points go to curves/ beside this script. With importance all errors are
weighted by it, those of k-means without importance, too.
"""

import csv
import io
import math
import os
import subprocess
import sys

import plot

HERE = os.path.dirname(os.path.abspath(__file__))
RATES = [2, 3, 4, 5, 6]  # of uniform quantization: whose errors the tables stand at

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

What each kind of quantizer takes, in bits of the whole file a weight, at equal error. The error is the sum of
h (w - v)^2 over all weights w and the values v that come back, h being the importance of a weight (the
diagonal of a Gauss-Newton matrix) where there is one, and 1 otherwise. Every design but plain k-means uses
that importance. All layers share a codebook but for *equal slope*, where each has its own step; codes are the
smallest of all for each tensor (`--codec auto`). Rows stand at the error that uniform quantization has at so
many bits a weight; between the points that `nq curve` gives, bits are interpolated over the logarithm of the
error. A dash is where a curve does not reach.

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


def row(rate, curves):
    """Bits of each curve at the error that the uniform one has at that rate."""
    error = error_at(rate, dict(curves)["uniform"])
    if error is None:
        return None
    cells = [bits_at(error, p) for _, p in curves]
    told = " | ".join("–" if bits is None else f"{bits:.2f}" for bits in cells)
    return f"| {error:.3g} | {told} |"


def section(nq, model, importance):
    name = os.path.basename(model).removesuffix(".safetensors")
    methods = [KMEANS, *([WEIGHTED] if importance else []), *METHODS]
    rows = {label: curve(nq, model, importance, options) for label, options in methods}
    curves = [(label, points(r)) for label, r in rows.items()]
    os.makedirs(os.path.join(HERE, "curves"), exist_ok=True)
    with open(os.path.join(HERE, "curves", name + ".csv"), "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, ["curve", *rows["uniform"][0]], lineterminator="\n")
        writer.writeheader()
        for label, r in rows.items():
            writer.writerows({"curve": label, **point} for point in r)
    with open(os.path.join(HERE, "curves", name + ".svg"), "w", encoding="utf-8") as f:
        f.write(plot.svg(name, "bits a weight", "weighted error" if importance else "squared error",
                         [(label, [p for p in c if p[0] <= 7]) for label, c in curves], is_log_y=True))
    kind = "errors weighted by importance" if importance else "without importance"
    yield f"## {name}\n\n{os.path.getsize(model)} bytes, {kind}.\n\n![](curves/{name}.svg)\n"
    yield f"| error | {' | '.join(label for label, _ in curves)} |"
    yield "|" + "---|" * (len(curves) + 1)
    yield from filter(None, (row(rate, curves) for rate in RATES))
    yield ""


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    print(INTRODUCTION)
    for argument in sys.argv[2:]:
        model, _, importance = argument.partition(",")
        for line in section(sys.argv[1], model, importance):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
