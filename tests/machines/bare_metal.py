#!/usr/bin/env python3
"""Decodes files on a Cortex-M4 without an operating system, in qemu-system-arm.

usage: bare_metal.py NQ BUILD_FOLDER

BUILD_FOLDER holds lib/libnqdec.a for that processor. `nq` of this machine compresses the LeNet-5 of
examples/lenet with every codec; bare_metal.c, linked with the file as an array, decodes every tensor
in static memory, and the checksum of all values must be that of what `nq decompress` brings out.
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MODEL = os.path.join(ROOT, "examples", "lenet", "lenet5.safetensors")
CPU = ["-mcpu=cortex-m4", "-mthumb"]
CASES = [("fixed", ["--codec", "fixed"]), ("huffman", ["--codec", "huffman"]), ("rans", ["--codec", "rans"]),
         ("gaps", ["--codec", "huffman-gaps", "--density", "0.1"])]


def run(*command):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=300)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {result.returncode}\n{result.stdout}")


def values(path):
    """All bytes behind the header, in the order of the file's tensors."""
    with open(path, "rb") as f:
        raw = f.read()
    n_header = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + n_header])
    tensors = [(name, t) for name, t in header.items() if name != "__metadata__"]
    return [raw[8 + n_header:][slice(*t["data_offsets"])] for _, t in tensors]


def check(folder, nq, library, name, options):
    compressed, decoded = (os.path.join(folder, name + end) for end in (".nq", ".safetensors"))
    run(nq, "compress", MODEL, "-o", compressed, "--step", "0.02", "--quiet", *options)
    run(nq, "decompress", compressed, "-o", decoded, "--quiet")
    with open(compressed, "rb") as f:
        numbers = ",".join(str(byte) for byte in f.read())
    expected = zlib.crc32(b"".join(values(decoded)))
    with open(os.path.join(folder, "file.h"), "w", encoding="ascii") as f:
        f.write(f"static const unsigned char file_bytes[] = {{{numbers}}};\n")
        f.write(f"#define EXPECTED_CRC UINT32_C({expected})\n")
    image = os.path.join(folder, name + ".elf")
    run("arm-none-eabi-gcc", *CPU, "-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-ffreestanding",
        "-nostdlib", "-I", folder, "-I", os.path.join(ROOT, "include"),
        os.path.join(HERE, "bare_metal.c"), library, "-lgcc",
        "-T", os.path.join(HERE, "bare_metal.ld"), "-o", image)
    run("qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "none",
        "-semihosting-config", "enable=on,target=native", "-kernel", image)


def main():
    nq, build = (os.path.abspath(path) for path in sys.argv[1:3])
    library = os.path.join(build, "lib", "libnqdec.a")
    with tempfile.TemporaryDirectory(prefix="nq-bare-") as folder:
        for name, options in CASES:
            check(folder, nq, library, name, options)
            print(f"  decoded: {name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
