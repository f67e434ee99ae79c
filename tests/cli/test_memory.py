"""Peak memory: twice the largest tensor and 64 MiB, pages of the mapped input not counted. A limit on
private memory that can be written to enforces it: with more, the program would fail."""

import json
import os
import random
import resource

from files import f32, gauss, safetensors
from harness import Skipped, demand

MIB = 1 << 20
LARGEST = 64 * MIB
SIZES = [LARGEST, 40 * MIB, 60 * MIB, 36 * MIB] # bytes: 200 MiB


def write_model(nq, name, values):
    """The same values again and again, written piece by piece."""
    block = f32(values)
    header, at = {}, 0
    for i, size in enumerate(SIZES):
        header[f"t{i}"] = {"dtype": "F32", "shape": [size // 4096, 1024], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(nq.path(name), "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for size in SIZES:
            for _ in range(size // len(block)):
                f.write(block)


def limit_of(n_bytes):
    return lambda: resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, n_bytes))


def limited(extra):
    """For two threads; nothing that the program does may need more."""
    return {"preexec_fn": limit_of(2 * LARGEST + 64 * MIB - extra)}


def check_peak_memory(nq):
    if nq.sanitized:
        raise Skipped("a sanitizer takes more memory than that")
    write_model(nq, "m.safetensors", gauss(1 << 16, 1))
    two = ["--threads", "2"]
    for codec in ("auto", "fixed", "huffman", "rans"):
        nq.run("compress", "m.safetensors", "--step", "0.01", "--codec", codec, "--force", *two, **limited(0))
    nq.run("compress", "m.safetensors", "--levels", "64", "--dry-run", *two, **limited(0))
    nq.run("decompress", "m.nq", "-o", "back.safetensors", *two, **limited(0))
    nq.run("decompress", "m.nq", "-o", "half.safetensors", "--dtype", "f16", *two, **limited(0))
    nq.run("verify", "m.nq", *two, **limited(0))
    nq.run("info", "m.nq", "--json", *two, **limited(0))
    for a, b in (("m.safetensors", "back.safetensors"), ("m.safetensors", "m.nq"), ("m.nq", "m.nq")):
        nq.run("compare", a, b, *two, expected=1 if a != b else 0, **limited(0))
    demand(os.path.getsize(nq.path("back.safetensors")) > 200 * MIB, "the test's own model")


def check_decompress_holds_pieces_only(nq):
    """Far less than the largest tensor."""
    if nq.sanitized:
        raise Skipped("a sanitizer takes more memory than that")
    write_model(nq, "m.safetensors", gauss(1 << 16, 2))
    nq.run("compress", "m.safetensors", "--step", "0.01", "--threads", "1")
    nq.run("decompress", "m.nq", "-o", "x.safetensors", "--threads", "1", **limited(2 * LARGEST))


def check_importance_and_scope(nq):
    if nq.sanitized:
        raise Skipped("a sanitizer takes more memory than that")
    write_model(nq, "m.safetensors", gauss(1 << 16, 3))
    write_model(nq, "h.safetensors", [abs(x) for x in gauss(1 << 16, 4)])
    two = ["--importance", "h.safetensors", "--threads", "2"]
    nq.run("compress", "m.safetensors", "--step", "0.01", "--scope", "tensor", *two, **limited(0))
    nq.run("compare", "m.safetensors", "m.nq", *two, expected=1, **limited(0))


def write_many(nq, name, n_tensors, n):
    """Tensors of different weights each, all of one sign and within an octave."""
    draw = random.Random(6)
    ones = int.from_bytes(b"\xff\xff\x7f\x00" * n, "little")
    exponents = int.from_bytes(b"\x00\x00\x00\x3c" * n, "little")
    nq.write(name, safetensors([
        (f"t{i}", "F32", [n], (draw.getrandbits(32 * n) & ones | exponents).to_bytes(4 * n, "little"))
        for i in range(n_tensors)]))


def check_many_tensors(nq):
    """What is kept of each tensor from one design to the next must not add up."""
    if nq.sanitized:
        raise Skipped("a sanitizer takes more memory than that")
    write_many(nq, "m.safetensors", 60, 50_000)
    for options in (["--method", "kmeans"], ["--method", "ecsq"], ["--method", "kmeans", "--scope", "tensor"],
                    ["--rdo", "--scope", "tensor"]):
        nq.run("compress", "m.safetensors", "--step" if "--rdo" in options else "--target",
               "1e-3" if "--rdo" in options else "3bpw", *options, "--threads", "1", "--force",
               preexec_fn=limit_of(64 * MIB + 400_000))


def check_many_tensors_with_importance(nq):
    """Eight bytes for each weight would be far too much."""
    if nq.sanitized:
        raise Skipped("a sanitizer takes more memory than that")
    write_many(nq, "m.safetensors", 200, 50_000)
    write_many(nq, "h.safetensors", 200, 50_000)
    for options in (["--method", "ecsq", "--target", "1bpw"], ["--rdo", "--step", "3e-3"]):
        nq.run("compress", "m.safetensors", *options, "--importance", "h.safetensors", "--threads", "1", "--force",
               preexec_fn=limit_of(64 * MIB + 400_000))
