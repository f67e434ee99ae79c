#!/usr/bin/env python3
"""Real networks through the whole program, against an oracle that shares no code with the library.

usage: models.py SOURCE_ROOT NQ ORACLE [NAME_PART]

Each file in models/ of the data folder ($NQ_DATA, or shared/data beside the checkout) is compressed
with every codec at steps of 0.1 and 0.5 standard deviations of the quantized elements, verified,
listed, decompressed and compared. Demanded: names, order, shapes, types and metadata come back; kept
tensors come back bit for bit; all elements of a cell decode to one value, the cell's mean; `info` and
`compare` tell what the oracle finds; the file is at most 1 % larger than an independent code for the
same indices, plus 6 bytes for each level and 200 for each tensor; with rANS, hardly larger than with
Huffman codes. Prints TAP.
"""

import glob
import os
import sys
import tempfile

from run_nq import Failed, close, demand, find_data, run, run_json
from safetensors import read_header

MIN_ELEMENTS = 1024
STEPS = (0.1, 0.5)
CODECS = ("rans", "huffman", "fixed")
MAX_CELLS = 65536


def elements(shape):
    product = 1
    for dimension in shape:
        product *= dimension
    return product


def oracle_lines(source, decoded):
    """What the oracle wants to know of each tensor."""
    return "".join(f"{int(elements(s[2]) >= MIN_ELEMENTS)} {elements(s[2])} {s[3]} {d[3]}\n"
                   for s, d in zip(source, decoded))


def check_description(source, info, path, file):
    size, packed = os.path.getsize(path), os.path.getsize(file)
    n = sum(elements(t[2]) for t in source)
    demand(info["original_bytes"] == size, "info: original_bytes")
    demand(info["compressed_bytes"] == packed, "info: compressed_bytes")
    demand(info["elements"] == n, "info: elements")
    demand(close(info["ratio"], size / packed, 1e-6), "info: ratio")
    demand(close(info["bits_per_weight"], 8 * packed / n, 1e-6), "info: bits_per_weight")
    demand([(t["name"], t["dtype"].upper(), t["shape"], t["elements"]) for t in info["tensors"]]
           == [(name, dtype, shape, elements(shape)) for name, dtype, shape, _, _ in source],
           "info: names, types and shapes of tensors")


def check_tensors(source, info, truth, codec, step):
    for (name, _, shape, _, _), told, true in zip(source, info["tensors"], truth["tensors"]):
        if elements(shape) < MIN_ELEMENTS:
            demand(told["codec"] == "stored", f"info: {name} was to be kept")
            continue
        demand(told["codec"] == codec and told["method"] == "uniform", f"info: {name}: codec, method")
        demand(close(told["step"], step), f"info: {name}: step")
        demand(told["levels"] == truth["used_cells"], f"info: {name}: levels")
        demand(abs(told["entropy_bits"] - true["entropy"]) < 1e-6, f"info: {name}: entropy_bits")


def errors_of(truth):
    mse = truth["squared_error"] / truth["n"] if truth["n"] else 0.0
    return {"mse": mse, "max_abs_error": truth["max_abs_error"]}


def check_comparison(source, comparison, truth):
    """The errors that `compare` tells, in total and by tensor."""
    for key, expected in errors_of(truth).items():
        demand(close(comparison[key], expected), f"compare: {key}: {comparison[key]}, not {expected}")
    for (name, _, shape, _, _), told, true in zip(source, comparison["tensors"], truth["tensors"]):
        for key, expected in errors_of(true).items() if elements(shape) else ():
            demand(close(told[key], expected), f"compare: {name}: {key}: {told[key]}, not {expected}")


def check_size(source, truth, codec, file):
    kept = sum(t[4] for t in source if elements(t[2]) < MIN_ELEMENTS)
    code = truth["fixed_bits" if codec == "fixed" else "huffman_bits"] / 8
    bound = 1.01 * (code + kept) + 6 * truth["used_cells"] + 200 * len(source)
    demand(os.path.getsize(file) <= bound, f"{os.path.getsize(file)} bytes, at most {bound:.0f} allowed")


class Model:
    def __init__(self, nq, oracle, path, folder):
        self.nq, self.oracle, self.path = nq, oracle, path
        self.file = os.path.join(folder, "model.nq")
        self.decoded = os.path.join(folder, "decoded.safetensors")
        self.source, self.metadata = read_header(path)
        demand(all(t[1] == "F32" for t in self.source), "the oracle reads F32 only")

    def deviation(self):
        lines = oracle_lines(self.source, self.source)
        return run_json(self.oracle, "deviation", self.path, text=lines)["deviation"]

    def road(self, codec, step):
        """There and back again; returns the file's size."""
        made = run_json(self.nq, "compress", self.path, "-o", self.file, "--force", "--json",
                        "--step", repr(step), "--codec", codec)
        run(self.nq, "verify", self.file)
        info = run_json(self.nq, "info", self.file, "--json")
        run(self.nq, "decompress", self.file, "-o", self.decoded, "--force")
        back, metadata = read_header(self.decoded)
        demand([t[:3] for t in back] == [t[:3] for t in self.source], "names, order, types or shapes")
        demand(metadata == self.metadata, "metadata")
        truth = run_json(self.oracle, "check", self.path, self.decoded, repr(step),
                         text=oracle_lines(self.source, back))
        demand(truth["strays"] == 0, f"{truth['strays']} elements are no level of their cell")
        demand(truth["level_ulps"] <= 1, f"a level is {truth['level_ulps']} ulp off its cell's mean")
        demand(truth["kept_differ"] == 0, "a kept tensor came back changed")
        check_description(self.source, info, self.path, self.file)
        check_tensors(self.source, info, truth, codec, step)
        differs = 1 if truth["squared_error"] > 0 else 0
        for other in (self.decoded, self.file):
            comparison = run_json(self.nq, "compare", self.path, other, "--json", expected=differs)
            check_comparison(self.source, comparison, truth)
        check_comparison(self.source, made, truth)
        check_size(self.source, truth, codec, self.file)
        return os.path.getsize(self.file)

    def check(self):
        deviation = self.deviation()
        told = []
        for factor in STEPS:
            sizes = {codec: self.road(codec, factor * deviation) for codec in CODECS}
            demand(sizes["rans"] <= 1.005 * sizes["huffman"], "rANS takes more than Huffman codes")
            told += [f"{size} ({codec}, {factor})" for codec, size in sizes.items()]
        return f"{os.path.getsize(self.path)} -> {', '.join(told)}"


def main():
    root, nq, oracle = sys.argv[1:4]
    part = sys.argv[4] if len(sys.argv) > 4 else ""
    data = find_data(root)
    if data is None:
        print("1..0 # SKIP no data: set NQ_DATA to a folder that holds models/")
        return 0
    paths = [p for p in sorted(glob.glob(os.path.join(data, "models", "*.safetensors")))
             if part in os.path.basename(p)]
    print(f"1..{len(paths)}")
    good = bool(paths)
    with tempfile.TemporaryDirectory(prefix="nq-models-") as folder:
        for number, path in enumerate(paths, 1):
            name = os.path.basename(path).removesuffix(".safetensors")
            try:
                print(f"ok {number} - {name}: {Model(nq, oracle, path, folder).check()}", flush=True)
            except (Failed, KeyError) as problem:
                good = False
                print(f"not ok {number} - {name}\n# {problem!r}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
