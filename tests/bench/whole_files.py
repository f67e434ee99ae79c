#!/usr/bin/env python3
"""Whole programs on a whole file: nq compress and decompress beside zstd, single-threaded. Nothing
depends on the outcome.

usage: whole_files.py NQ [-r RUNS] [-m MEGABYTES] [-t TARGET] [--models FOLDER] [--folder FOLDER]

The file has the tensors of trained models again and again under new names, until there are 400 MB of
f32 weights; it is made in a temporary folder in FOLDER (default: /dev/shm where there is one, so that
no disk has a say), which goes away at the end. Without the models that lie beside a checkout, the tensors are drawn: Gaussian, of many sizes.
What is compared is CPU time, the system's work for the program included, of runs in turn."""

import argparse
import array
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(HERE, "..", "..", "..", "shared", "data", "models")
NAMES = ("esrgan_x2", "movenet_thunder", "ppocr_rec", "silero_vad_v5", "resnet32_dense", "lenet5_dense",
         "resnet20_cifar10", "stories260k", "lenet_300_100")


def read_model(path):
    """Header without metadata, and the tensors' bytes."""
    with open(path, "rb") as f:
        n = int.from_bytes(f.read(8), "little")
        header = json.loads(f.read(n))
        header.pop("__metadata__", None)
        return header, f.read()


def draw_model():
    """About 20 MB in 40 tensors of 256 to 2^20 elements."""
    draw = random.Random(1)
    values = array.array("f", (draw.gauss(0, 0.02) for _ in range(1 << 20)))
    header, data = {}, bytearray()
    for i in range(40):
        n = 1 << (8 + i % 13)
        header[f"t{i}"] = {"dtype": "F32", "shape": [n], "data_offsets": [len(data), len(data) + 4 * n]}
        data += values[:n].tobytes()
    return header, bytes(data)


def find_models(folder):
    paths = [os.path.join(folder, name + ".safetensors") for name in NAMES]
    found = [read_model(p) for p in paths if os.path.exists(p)]
    if not found:
        print(f"no models in {folder}: drawing weights", file=sys.stderr)
    return found or [draw_model()]


def write_file(path, models, n_bytes):
    """Repeats the models; returns the bytes of the largest tensor."""
    header, parts, at, largest = {}, [], 0, 0
    while at < n_bytes:
        tensors, data = models[len(parts) % len(models)]
        for name, tensor in tensors.items():
            begin, end = tensor["data_offsets"]
            header[f"{len(parts)}.{name}"] = dict(tensor, data_offsets=[at + begin, at + end])
            largest = max(largest, end - begin)
        parts.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for part in parts:
            f.write(part)
    return largest


def cpu_time(command, limit=None):
    """Seconds of the user's and the system's time; None if the program failed."""
    def restrict():
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    process = subprocess.Popen(command, preexec_fn=restrict if limit else None)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime if process.returncode == 0 else None


def must_run(command, limit=None):
    seconds = cpu_time(command, limit)
    if seconds is None:
        sys.exit(f"failed: {' '.join(command)}")
    return seconds


def compare(what, ours, theirs, runs):
    """Runs both in turn and prints a line; the fastest runs count."""
    times = [(must_run(ours), must_run(theirs)) for _ in range(runs)]
    mine, peer = (sorted(t) for t in zip(*times))
    verdict = "yes" if mine[0] < peer[0] else "no"
    print(f"{what:12} {mine[0]:6.2f} .. {mine[-1]:5.2f} s   {peer[0]:6.2f} .. {peer[-1]:5.2f} s"
          f"   {mine[0] / peer[0]:5.2f}   below 1   {verdict}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nq")
    parser.add_argument("-r", "--runs", type=int, default=5)
    parser.add_argument("-m", "--megabytes", type=int, default=400)
    parser.add_argument("-t", "--target", default="4bpw")
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--folder", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    options = parser.parse_args()
    if not shutil.which("zstd"):
        sys.exit("zstd is not installed")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        model, nq_file, zst_file, back, plain = (
            os.path.join(folder, n) for n in ("m.safetensors", "m.nq", "m.zst", "back.safetensors", "m"))
        largest = write_file(model, find_models(options.models), options.megabytes * 10**6)
        one = ["--threads", "1", "--force", "--quiet"]
        compress = [options.nq, "compress", model, "-o", nq_file, "--target", options.target, *one]
        decompress = [options.nq, "decompress", nq_file, "-o", back, *one]
        zstd = ["zstd", "-q", "-f", "--single-thread"]
        print(f"{'':12} {'nq':^18}   {'zstd -3':^18}   ratio   goal      met")
        compare("compress", compress, [*zstd, "-3", model, "-o", zst_file], options.runs)
        compare("decompress", decompress, [*zstd, "-d", zst_file, "-o", plain], options.runs)
        sizes = [os.path.getsize(p) for p in (model, nq_file, zst_file)]
        print(f"bytes        {sizes[0]}: nq {sizes[1]}, zstd {sizes[2]}")
        limit = 2 * largest + (64 << 20)
        kept = all(cpu_time(c, limit) is not None for c in (compress, decompress))
        print(f"memory       {limit} bytes are enough (twice the largest tensor, 64 MiB): {'yes' if kept else 'no'}")


if __name__ == "__main__":
    main()
