"""Inputs of five gibibytes, beyond what 32 bits can count: files with holes, which take no space on the
disk. Zeros but for a few weights, in front, around 2^32 bytes, and at the end."""

import json
import os
import struct

from files import f32, gauss, parse
from harness import Skipped, demand

N = 5 << 28  # weights of four bytes
STEP = 0.05
PLACES = (0, (1 << 30) - 700, N - 1500)  # of runs of 1,500 weights


def write_sparse(nq, name, head, tail=b""):
    """The header, N weights, and what is behind them."""
    with open(nq.path(name), "wb") as f:
        f.write(head)
        for seed, place in enumerate(PLACES):
            f.seek(len(head) + 4 * place)
            f.write(f32(gauss(1500, seed + 1)))
        f.seek(len(head) + 4 * N)
        f.write(tail)
        f.truncate()
    status = os.stat(nq.path(name))
    demand(status.st_size == len(head) + 4 * N + len(tail), "the test's own file")
    if status.st_blocks * 512 > 64 << 20:
        os.remove(nq.path(name))
        raise Skipped("this file system fills holes")


def guard(nq):
    if nq.sanitized:
        raise Skipped("takes too long with sanitizers")
    if struct.calcsize("P") < 8:
        raise Skipped("larger than this machine can address")


def demand_compressed(nq, name, more=b""):
    """Everything is there, as near as the step says, and takes hardly any space."""
    nq.run("verify", "m.nq")
    info = nq.json("info", "m.nq")
    demand(info["tensors"][0]["elements"] == N, "elements")
    demand(info["compressed_bytes"] < 8 << 20, f"{info['compressed_bytes']} bytes")
    compared = nq.json("compare", name, "m.nq", expected=1)
    demand(0 < compared["max_abs_error"] <= STEP, f"error {compared['max_abs_error']}")
    weights = b"".join(f32(gauss(1500, seed + 1)) for seed in range(len(PLACES))) + more
    energy = sum(w * w for (w,) in struct.iter_unpack("<f", weights))
    found = compared["mse"] * compared["elements"] * 10 ** (compared["sqnr_db"] / 10)
    demand(abs(found - energy) < 1e-6 * energy, f"energy {found}, not {energy}")


def check_safetensors(nq):
    guard(nq)
    tail = f32(gauss(300, 9))
    header = json.dumps({"big": {"dtype": "F32", "shape": [5, 1 << 28], "data_offsets": [0, 4 * N]},
                         "tail": {"dtype": "F32", "shape": [300], "data_offsets": [4 * N, 4 * N + 1200]}})
    write_sparse(nq, "m.safetensors", struct.pack("<Q", len(header)) + header.encode(), tail)
    nq.run("compress", "m.safetensors", "--step", str(STEP), "--codec", "rans")
    demand_compressed(nq, "m.safetensors", tail)
    nq.run("decompress", "m.nq", "--tensor", "tail", "-o", "tail.safetensors")
    demand(parse(nq.read("tail.safetensors"))[0] == [("tail", "F32", [300], tail)], "what lies behind five gibibytes")


def check_npy(nq):
    guard(nq)
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({N},), }}".ljust(117) + "\n"
    write_sparse(nq, "m.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode())
    nq.run("compress", "m.npy", "--step", str(STEP), "--codec", "huffman-gaps")
    demand_compressed(nq, "m.npy")
