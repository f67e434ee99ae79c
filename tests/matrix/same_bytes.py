#!/usr/bin/env python3
"""Builds of `nq` that differ in compiler and optimisation must write the same files, from any number
of threads.

usage: same_bytes.py [--threads N,N...] NAME=PROGRAM...

The first program with one thread makes the reference; what each other program writes with 1, 2 and 5
threads (or those named) is compared, and so is what it decodes from the reference. Inputs: the LeNet-5 of
examples/lenet, and a model made here with odd shapes, all three floating types, values of very
different size, and importance. Prints TAP.
"""

import argparse
import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def write_safetensors(path, tensors):
    """tensors: (name, dtype, shape, bytes)."""
    header, data = {}, b""
    for name, dtype, shape, payload in tensors:
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(payload)]}
        data += payload
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def f32(values):
    return struct.pack(f"<{len(values)}f", *values)


def bf16(values):
    return b"".join(struct.pack("<f", v)[2:] for v in values)


def make_model(folder):
    r = random.Random(20)
    gauss = [r.gauss(0, 0.1) for _ in range(700 * 811)]
    wide = [r.gauss(0, 1) * 10 ** r.uniform(-6, 4) for _ in range(3001)]
    halves = [r.gauss(0, 2) for _ in range(64 * 65)]
    shapes = [("gauss", [700, 811]), ("halves", [64, 65]), ("brain", [64, 65])]
    model = os.path.join(folder, "model.safetensors")
    write_safetensors(model, [
        ("gauss", "F32", [700, 811], f32(gauss)),
        ("wide", "F32", [3001], f32(wide)),
        ("halves", "F16", [64, 65], struct.pack(f"<{len(halves)}e", *halves)),
        ("brain", "BF16", [64, 65], bf16(halves)),
        ("small", "F32", [3], f32([1.0, -0.0, 1e-40])),
        ("ints", "I32", [2, 2], struct.pack("<4i", 1, -2, 3, -4)),
        ("empty", "F32", [0, 7], b""),
        ("scalar", "F32", [], f32([2.5])),
    ])
    importance = os.path.join(folder, "importance.safetensors")
    counts = {"gauss": 700 * 811, "halves": 4160, "brain": 4160}
    write_safetensors(importance, [
        (name, "F32", shape, f32([10 ** r.uniform(-9, 2) for _ in range(counts[name])]))
        for name, shape in shapes])
    return model, importance


def cases(folder):
    """Name, input, options of `nq compress`."""
    model, importance = make_model(folder)
    wide = ["--keep", "wide"]
    yield "step, huffman", model, ["--step", "0.01", "--codec", "huffman", *wide]
    yield "step, fixed", model, ["--step", "0.05", "--codec", "fixed", *wide]
    yield "step, auto, everything", model, ["--step", "3", "--min-elems", "0"]
    yield "levels", model, ["--levels", "31", *wide]
    yield "levels, grid, per tensor", model, ["--levels", "255", "--level", "grid", "--scope", "tensor"]
    yield "importance", model, ["--step", "0.02", "--importance", importance, *wide]
    lenet = os.path.join(ROOT, "examples", "lenet", "lenet5.safetensors")
    if os.path.exists(lenet):
        yield "lenet", lenet, ["--step", "0.02"]
        yield "lenet, levels", lenet, ["--levels", "16"]
        yield "lenet, k-means", lenet, ["--method", "kmeans", "--levels", "16", "--codec", "rans"]
        yield "lenet, ecsq", lenet, ["--method", "ecsq", "--lambda", "1e-5"]
        yield "lenet, target", lenet, ["--target", "10x", "--allocate", "slope", "--rdo"]
        yield "lenet, pruned", lenet, ["--density", "0.1", "--step", "0.02", "--codec", "huffman-gaps"]


def run(program, *arguments):
    result = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"nq {' '.join(arguments)}: exit {result.returncode}: {result.stdout.strip()}")


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def check(folder, programs, all_threads, source, options):
    """Raises what is wrong."""
    first = os.path.join(folder, "reference.nq")
    decoded = os.path.join(folder, "reference.safetensors")
    other = os.path.join(folder, "other")
    reference = programs[0][1]
    run(reference, "compress", source, "-o", first, "--force", "--threads", "1", *options)
    run(reference, "decompress", first, "-o", decoded, "--force", "--threads", "1")
    for name, program in programs:
        for threads in all_threads:
            run(program, "compress", source, "-o", other + ".nq", "--force", "--threads", threads,
                *options)
            if digest(other + ".nq") != digest(first):
                raise RuntimeError(f"{name} with {threads} threads writes another file")
        run(program, "decompress", first, "-o", other + ".safetensors", "--force")
        if digest(other + ".safetensors") != digest(decoded):
            raise RuntimeError(f"{name} decodes to other values")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", default="1,2,5")
    parser.add_argument("programs", nargs="+", metavar="NAME=PROGRAM")
    arguments = parser.parse_args()
    programs = [argument.split("=", 1) for argument in arguments.programs]
    all_threads = arguments.threads.split(",")
    good, number = True, 0
    with tempfile.TemporaryDirectory(prefix="nq-same-") as folder:
        for number, (name, source, options) in enumerate(cases(folder), 1):
            try:
                check(folder, programs, all_threads, source, options)
                print(f"ok {number} - {name}", flush=True)
            except RuntimeError as problem:
                good = False
                print(f"not ok {number} - {name}\n# {problem}", flush=True)
    print(f"1..{number}")
    return 0 if good and number else 1


if __name__ == "__main__":
    sys.exit(main())
