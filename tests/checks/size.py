#!/usr/bin/env python3
"""How much code the decoder is where memory is short.

usage: size.py SOURCE_ROOT BUILD_FOLDER FILE...

Builds the decoder's files with -Os and NQI_SMALLEST (see lib/base/common.h: fixed and Huffman codes,
plain C, small tables) and links what is reachable from a set of functions, for this machine and, where
its compiler is installed, for a Cortex-M4. Text, read-only data included, may not outgrow the limits.
"""

import os
import shutil
import subprocess
import sys

# From which functions on, and bytes at most. Blocks alone; files with all their checks besides.
SETS = [
    ("blocks", ["nq_block_decoder_size", "nq_block_decode"], 12 * 1024),
    ("files", ["nq_reader_size", "nq_reader_init", "nq_reader_find", "nq_decoder_size",
               "nq_decoder_init", "nq_decoder_read"], 29 * 1024),
]
MACHINES = [("cc", [], "size"),
            ("arm-none-eabi-gcc", ["-mcpu=cortex-m4", "-mthumb"], "arm-none-eabi-size")]
FLAGS = ["-std=c11", "-Os", "-ffreestanding", "-DNQI_SMALLEST", "-DNDEBUG", "-ffp-contract=off",
         "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections",
         "-fno-asynchronous-unwind-tables"]
# What the decoder needs of a C library's headers; the bare compiler brings none.
HEADERS = {"assert.h": """#define assert(x) ((void)0)
#define static_assert _Static_assert
""", "string.h": """#include <stddef.h>
void *memcpy(void *restrict, const void *restrict, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
"""}


def build(root, folder, compiler, options, files):
    objects = []
    for path in files:
        objects.append(os.path.join(folder, os.path.relpath(path, root).replace("/", "_") + ".o"))
        subprocess.run([compiler, *options, *FLAGS, "-I" + os.path.join(root, "include"),
                        "-I" + os.path.join(root, "lib"), "-c", path, "-o", objects[-1]], check=True)
    return objects


def text_bytes(folder, compiler, options, size, objects, functions):
    linked = os.path.join(folder, "linked.o")
    subprocess.run([compiler, *options, "-nostdlib", "-r", "-Wl,--gc-sections",
                    "-Wl,-e," + functions[0], *["-Wl,-u," + f for f in functions], *objects,
                    "-o", linked], check=True)
    table = subprocess.run([size, linked], stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(table.splitlines()[1].split()[0])


def main():
    root, build_folder = sys.argv[1:3]
    files = [f for f in sys.argv[3:] if "rans" not in os.path.basename(f)]
    good = True
    for compiler, options, size in MACHINES:
        if not (shutil.which(compiler) and shutil.which(size)):
            print(f"{compiler}: not installed")
            continue
        folder = os.path.join(build_folder, "size-" + compiler)
        os.makedirs(folder, exist_ok=True)
        for name, text in HEADERS.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(text)
        objects = build(root, folder, compiler, [*options, "-idirafter", folder], files)
        for name, functions, limit in SETS:
            n = text_bytes(folder, compiler, options, size, objects, functions)
            good = good and n <= limit
            print(f"{compiler}, {name}: {n} of {limit} bytes{'' if n <= limit else ': too many'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
