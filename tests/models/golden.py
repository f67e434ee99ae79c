#!/usr/bin/env python3
"""Published numbers: what an independent program found for uniform quantization with importance.

usage: golden.py SOURCE_ROOT NQ

golden.json in the data folder tells, for each of some networks and steps, the number of levels, the
weighted distortion D, the squared error, the entropy, the bits of a Huffman code, and for some the
levels and their counts. Its `recipe` says how: all weights that have importance, concatenated (of
pruned networks only those that are not zero), importance floored at a thousandth of its mean, levels
at the importance-weighted mean of each cell. Here they are brought into one tensor, and `nq` has to
find the same. Prints TAP.
"""

import json
import os
import struct
import sys
import tempfile
from array import array

import safetensors
from run_nq import Failed, close, demand, find_data, run, run_json

FLOOR = 1e-3


def floats(path, tensors):
    """The values of each float32 tensor."""
    values = {}
    with open(path, "rb") as f:
        for name, _, _, offset, n_bytes in tensors:
            f.seek(offset)
            values[name] = array("f")
            values[name].frombytes(f.read(n_bytes))
            if sys.byteorder == "big":
                values[name].byteswap()
    return values


def weights_and_importance(data, name):
    """Both concatenated in the file's order, importance floored, zeros of pruned networks left out."""
    path = os.path.join(data, "models", name + ".safetensors")
    path_h = os.path.join(data, "models", name + "_hessian.safetensors")
    tensors = safetensors.read_header(path)[0]
    w = floats(path, tensors)
    h = floats(path_h, safetensors.read_header(path_h)[0])
    names = [t[0] for t in tensors
             if t[0] in h and (not name.startswith("resnet") or t[0].endswith(".weight"))]
    all_w = [v for n in names for v in w[n]]
    all_h = [v for n in names for v in h[n]]
    floor = FLOOR * (sum(all_h) / len(all_h))
    pairs = [(x, max(y, floor)) for x, y in zip(all_w, all_h) if "pruned" not in name or x != 0]
    return [p[0] for p in pairs], [p[1] for p in pairs]


def store(path, dtype, letter, values):
    safetensors.write(path, [("w", dtype, [len(values)], struct.pack(f"<{len(values)}{letter}", *values))])


def check_codebook(item, decoded):
    """The levels of the decoded file, where the golden row lists them."""
    tensors = safetensors.read_header(decoded)[0]
    levels = sorted(set(floats(decoded, tensors)["w"]))
    demand(len(levels) == len(item["codebook"]), "levels of the decoded file")
    for got, expected in zip(levels, sorted(item["codebook"])):
        demand(close(got, expected, 1e-6), f"level {got}, not {expected}")


def check(nq, folder, item, n):
    source, importance, file, decoded = (os.path.join(folder, name) for name in (
        "w.safetensors", "h.safetensors", "w.nq", "back.safetensors"))
    demand(n == item["n"], f"{n} values, not {item['n']}")
    run(nq, "compress", source, "-o", file, "--force", "--step", repr(item["param"]), "--codec",
        "huffman", "--importance", importance, "--importance-floor", "0", "--min-elems", "0")
    info = run_json(nq, "info", file, "--json")["tensors"][0]
    demand(info["levels"] == item["k"], f"{info['levels']} levels, not {item['k']}")
    demand(close(info["entropy_bits"], item["entropy"], 1e-6), f"entropy {info['entropy_bits']}")
    bits = 8 * info["bytes"]
    demand(item["huffman_bits"] <= bits + 64 <= 1.01 * item["huffman_bits"] + 2048,
           f"{bits} bits, Huffman's are {item['huffman_bits']}")
    compared = run_json(nq, "compare", source, file, "--importance", importance, "--json", expected=1)
    demand(close(compared["weighted_distortion"], item["D"], 1e-6), f"D {compared['weighted_distortion']}")
    demand(close(compared["mse"] * n, item["sse"], 1e-6), f"squared error {compared['mse'] * n}")
    run(nq, "decompress", file, "-o", decoded, "--force")
    if "codebook" in item:
        check_codebook(item, decoded)


def main():
    root, nq = sys.argv[1:3]
    data = find_data(root)
    if data is None or not os.path.exists(os.path.join(data, "golden.json")):
        print("1..0 # SKIP no data: set NQ_DATA to a folder that holds golden.json")
        return 0
    with open(os.path.join(data, "golden.json"), encoding="utf-8") as f:
        golden = json.load(f)
    good, number = True, 0
    with tempfile.TemporaryDirectory(prefix="nq-golden-") as folder:
        for name in [key for key in golden if key != "recipe"]:
            w, h = weights_and_importance(data, name)
            store(os.path.join(folder, "w.safetensors"), "F32", "f", w)
            store(os.path.join(folder, "h.safetensors"), "F64", "d", h)
            for item in [i for i in golden[name]["items"] if i["method"] == "uniform_hmean"]:
                number += 1
                try:
                    check(nq, folder, item, len(w))
                    print(f"ok {number} - {name}, step {item['param']}", flush=True)
                except (Failed, KeyError) as problem:
                    good = False
                    print(f"not ok {number} - {name}, step {item['param']}\n# {problem!r}", flush=True)
    print(f"1..{number}")
    return 0 if good and number else 1


if __name__ == "__main__":
    sys.exit(main())
