#!/usr/bin/env python3
"""Accuracy and loss of ResNet-32 on CIFAR-10 over compression ratio, without retraining: the methods of
"Towards the Limit of Network Quantization" and libnq's best, with importance and without.

usage: curves.py DATA [--build BUILD] [--out FOLDER] [--network NAME]... [--curve TEXT]... [--report]

DATA      holds models/ and cifar10/, see examples/resnet/README.md
--build   where libnq was built (default: build)
--out     where results go (default: docs/results/resnet32). Points that its points.csv holds are not
          measured again, so that the script may be stopped and started
--network dense or pruned92 (default: both)
--curve   curves whose name contains this (default: all)
--report  measure nothing, write the report of what is there

A ratio is the size of the original safetensors file over that of the .nq file that the accuracy was
measured from.
"""

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile

import correct
import model
import report

NETWORKS = {"dense": "resnet32_dense", "pruned92": "resnet32_pruned92"}

# What is asked of a curve. Ratios, where the whole network is quantized; of survivors alone, numbers of
# levels, or widths of a cell from which steps and lambdas follow: the ratio is known only in the end.
RATIOS = {"dense": {"k-means": [5, 6, 7, 8], "Hessian-weighted k-means": [6, 7, 8, 9, 10],
                    "paper": [7.5, 8, 8.5, 9, 9.5, 10, 10.5, 11, 12], "best": [9, 10, 11, 12, 13],
                    "corrected": [9, 9.5, 10, 10.5, 11, 11.5, 12]},
          "pruned92": {"best": [19, 22, 25], "corrected": [20, 21, 22, 23, 24]}}
LEVELS = [12, 16, 24, 32, 48, 64]
STEPS = [0.03, 0.035, 0.04, 0.05, 0.06, 0.08, 0.1]

HUFFMAN = ["--codec", "huffman"]
RANS = ["--codec", "rans"]
SLOPE = ["--allocate", "slope", "--scope", "tensor"]
BEST = ["--rdo", *SLOPE]


class Curve:
    """paper: one of the paper's methods. survivors: quantizes those alone where the network is pruned, as
    the paper's methods do.
    corrected: folded terms make up for what quantization does to means, see correct.py."""

    def __init__(self, name, method, options, importance=None, power=1.0, paper=False, mean=None,
                 corrected=False, survivors=False):
        self.name, self.method, self.options, self.paper = name, method, options, paper
        self.corrected, self.survivors = corrected, survivors or paper
        self.importance, self.power, self.mean = importance, power, mean

    def parameters(self, network):
        if not (self.survivors and "pruned" in network):
            ratios = RATIOS[network]
            kind = "paper" if self.paper else "corrected" if self.corrected else "best"
            return [f"{r}x" for r in ratios.get(self.name, ratios[kind])]
        return [str(k) for k in LEVELS] if self.method == "kmeans" else [str(s) for s in STEPS]

    def weigh(self, path):
        """Options for importance from that file."""
        if not self.importance:
            return []
        mean = ["--importance-mean", self.mean] if self.mean else []
        return ["--importance", path, "--importance-power", str(self.power), *mean]


CURVES = [
    Curve("k-means", "kmeans", HUFFMAN, paper=True),
    Curve("Hessian-weighted k-means", "kmeans", HUFFMAN, "hessian", paper=True),
    Curve("uniform", "uniform", HUFFMAN, paper=True),
    Curve("uniform, Hessian-weighted levels", "uniform", HUFFMAN, "hessian", paper=True),
    Curve("iterative ECSQ", "ecsq", HUFFMAN, paper=True),
    Curve("iterative ECSQ, Hessian", "ecsq", HUFFMAN, "hessian", paper=True),
    Curve("rdo", "uniform", ["--rdo"]),
    Curve("rdo, slope", "uniform", BEST),
    Curve("rdo, slope, Hessian^0.5", "uniform", BEST, "hessian", 0.5),
    Curve("rdo, slope, Hessian", "uniform", BEST, "hessian", 1.0),
    Curve("rdo, slope, Hessian^0.5 of tensors", "uniform", BEST, "hessian", 0.5, mean="tensor"),
    Curve("ECSQ, rANS", "ecsq", RANS),
    Curve("ECSQ, rANS, Hessian^0.5", "ecsq", RANS, "hessian", 0.5),
    Curve("uniform, Huffman, corrected", "uniform", HUFFMAN, corrected=True, survivors=True),
    Curve("rdo, corrected", "uniform", ["--rdo"], corrected=True),
    Curve("ECSQ, rANS, corrected", "ecsq", RANS, corrected=True),
    Curve("rdo, slope, Hessian^0.5 of tensors, corrected", "uniform", BEST, "hessian", 0.5, mean="tensor",
          corrected=True),
    Curve("ECSQ, slope, Hessian^0.5 of tensors, corrected", "ecsq", RANS + SLOPE, "hessian", 0.5,
          mean="tensor", corrected=True),
]


def run(*command):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip()}")
    return result.stdout


class Network:
    """One of the networks, and what is made of it once."""

    def __init__(self, name, data, build, folder):
        self.name, self.folder = name, folder
        self.models = os.path.join(data, "models")
        self.original = os.path.join(self.models, NETWORKS[name] + ".safetensors")
        self.images = os.path.join(data, "cifar10", "test_batch.bin")
        self.nq = os.path.join(build, "examples", "nq", "nq")
        self.resnet = os.path.join(build, "examples", "resnet", "resnet")
        self.original_bytes = os.path.getsize(self.original)
        self.tensors = model.read(self.original)
        self.folded = model.fold(self.tensors)
        self.source = self.path("folded.safetensors")
        model.write(self.source, self.folded)

    def path(self, name):
        return os.path.join(self.folder, f"{self.name}-{name}")

    def importance(self, kind):
        return os.path.join(self.models, f"{NETWORKS[self.name]}_{kind}.safetensors")

    def compress(self, source, out, *options):
        """Bytes of the file that was made."""
        run(self.nq, "compress", source, "-o", out, "--force", "--quiet", "--keep", model.NORMS,
            "--min-elems", "400", *options)
        return os.path.getsize(out)

    def measure(self, file):
        told = run(self.resnet, file, self.images)
        accuracy, loss = re.fullmatch(r"([\d.]+) %, loss ([\d.]+)\n", told).groups()
        return float(accuracy), float(loss)

    def compress_whole(self, curve, parameter):
        """All weights, zeros like all others."""
        out = self.path("out.nq")
        target = f"{int(self.original_bytes / float(parameter[:-1]))}B"
        weigh = curve.weigh(self.importance(curve.importance))
        options = ["--method", curve.method, "--target", target, *curve.options, *weigh]
        n_bytes = self.compress(self.source, out, *options)
        if curve.corrected:
            n_bytes = self.compress(self.correct(out), out, *options)
        return out, n_bytes

    def correct(self, compressed):
        """The folded network for a second time with the same options: its weights become the same."""
        decoded, source = self.path("decoded.safetensors"), self.path("corrected.safetensors")
        run(self.nq, "decompress", compressed, "-o", decoded, "--force", "--quiet")
        model.write(source, correct.corrected(self.tensors, self.folded, model.read(decoded)))
        return source

    def goal(self, curve, parameter, importance):
        if curve.method == "kmeans":
            return ["--levels", parameter]
        if curve.method == "uniform":
            return ["--step", parameter]
        # At high rates, D falls by 2 ln 2 h step^2 / 12 for each bit.
        values = [v for t in importance.values() for v in model.floats(t)]
        mean = sum(values) / len(values) if values else 1.0
        return ["--lambda", repr(0.1155 * float(parameter) ** 2 * mean)]

    def compress_survivors(self, curve, parameter):
        """As the paper does it: a codebook for the weights that are not zero, and Huffman codes of their
        values and of the gaps between them; or of zero as one more level, where that is smaller."""
        importance = model.read(self.importance(curve.importance)) if curve.importance else None
        kept, kept_importance = model.survivors(self.folded, importance)
        source, weight_file = self.path("kept.safetensors"), self.path("kept-importance.safetensors")
        model.write(source, kept)
        model.write(weight_file, kept_importance)
        coded, decoded, out = (self.path(n) for n in ("kept.nq", "kept-decoded.safetensors", "out.nq"))
        self.compress(source, coded, "--min-elems", "0", "--method", curve.method, *HUFFMAN,
                      *self.goal(curve, parameter, kept_importance), *curve.weigh(weight_file))
        run(self.nq, "decompress", coded, "-o", decoded, "--force", "--quiet")
        quantized, n_levels = model.scatter(self.folded, model.read(decoded))
        if curve.corrected:
            terms = correct.corrected(self.tensors, self.folded, quantized)[model.NORMS]
            quantized = {**quantized, model.NORMS: terms}
        model.write(self.path("quantized.safetensors"), quantized)
        exact = ["--method", "kmeans", "--levels", str(n_levels)]
        sizes = {codec: self.compress(self.path("quantized.safetensors"), out, "--codec", codec, *exact)
                 for codec in ("huffman-gaps", "huffman")}
        smallest = min(sizes, key=sizes.get)
        return out, self.compress(self.path("quantized.safetensors"), out, "--codec", smallest, *exact)

    def point(self, curve, parameter):
        survivors = curve.survivors and "pruned" in self.name
        out, n_bytes = (self.compress_survivors if survivors else self.compress_whole)(curve, parameter)
        accuracy, loss = self.measure(out)
        return {"network": self.name, "curve": curve.name, "parameter": parameter, "bytes": n_bytes,
                "ratio": f"{self.original_bytes / n_bytes:.4f}", "accuracy": f"{accuracy:.2f}",
                "loss": f"{loss:.4f}"}

    def origin(self):
        """The network as it was published, and only folded."""
        accuracy, loss = self.measure(self.original)
        row = {"network": self.name, "curve": "original", "parameter": "", "bytes": self.original_bytes,
               "ratio": "1", "accuracy": f"{accuracy:.2f}", "loss": f"{loss:.4f}"}
        out = self.path("out.nq")
        n_bytes = self.compress(self.source, out, "--keep", "*")
        accuracy, loss = self.measure(out)
        folded = {**row, "curve": "folded", "bytes": n_bytes,
                  "ratio": f"{self.original_bytes / n_bytes:.4f}", "accuracy": f"{accuracy:.2f}",
                  "loss": f"{loss:.4f}"}
        return [row, folded]


class Points:
    """points.csv, which grows by a line for each point that was measured."""

    FIELDS = ["network", "curve", "parameter", "bytes", "ratio", "accuracy", "loss"]

    def __init__(self, path):
        self.path, self.rows = path, []
        if os.path.exists(path):
            with open(path, newline="", encoding="utf-8") as f:
                self.rows = list(csv.DictReader(f))

    def has(self, network, curve, parameter):
        return any((r["network"], r["curve"], r["parameter"]) == (network, curve, parameter)
                   for r in self.rows)

    def add(self, row):
        self.rows.append({k: str(v) for k, v in row.items()})
        with open(self.path, "a", newline="", encoding="utf-8") as f:
            writer = csv.DictWriter(f, self.FIELDS, lineterminator="\n")
            if len(self.rows) == 1:
                writer.writeheader()
            writer.writerow(row)
        print(" ".join(str(v) for v in row.values()), flush=True)


def measure_all(points, network, wanted):
    if not points.has(network.name, "original", ""):
        for row in network.origin():
            points.add(row)
    for curve in [c for c in CURVES if not wanted or any(w in c.name for w in wanted)]:
        for parameter in curve.parameters(network.name):
            if points.has(network.name, curve.name, parameter):
                continue
            try:
                points.add(network.point(curve, parameter))
            except RuntimeError as problem:
                if "target" not in str(problem) and "reach" not in str(problem):
                    raise
                print(f"{network.name} {curve.name} {parameter}: {problem}", file=sys.stderr)


def missing(data, names):
    paths = [os.path.join("cifar10", "test_batch.bin")]
    for name in names:
        paths += [os.path.join("models", NETWORKS[name] + ending + ".safetensors")
                  for ending in ("", "_hessian", "_fisher")]
    return [p for p in paths if not os.path.exists(os.path.join(data, p))]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("data")
    parser.add_argument("--build", default="build")
    parser.add_argument("--out", default=os.path.join("docs", "results", "resnet32"))
    parser.add_argument("--network", action="append", choices=list(NETWORKS))
    parser.add_argument("--curve", action="append")
    parser.add_argument("--report", action="store_true")
    o = parser.parse_args()
    names = o.network or list(NETWORKS)
    lacking = missing(o.data, names)
    if lacking and not o.report:
        print(f"{o.data} lacks {', '.join(lacking)}.\nexamples/resnet/README.md tells where images and "
              "networks come from.", file=sys.stderr)
        return 1
    os.makedirs(o.out, exist_ok=True)
    points = Points(os.path.join(o.out, "points.csv"))
    with tempfile.TemporaryDirectory(prefix="nq-resnet-") as folder:
        for name in [] if o.report else names:
            measure_all(points, Network(name, o.data, o.build, folder), o.curve)
    report.write(o.out, points.rows, [c.name for c in CURVES], [c.name for c in CURVES if c.paper])
    return 0


if __name__ == "__main__":
    sys.exit(main())
