#!/usr/bin/env python3
"""Builds the kernel tests for another machine and runs them in an emulator.

usage: emulate.py SOURCE_ROOT BUILD_FOLDER neon|old-x86 FILE...

The files are those of the library and of the tests. neon: 64-bit ARM, with the cross compiler and
qemu-aarch64; old-x86: an x86-64 processor without AVX, and one with all that the emulator knows. Exits
with 77, which meson calls skipped, where compiler or emulator are not installed.
"""

import os
import shutil
import subprocess
import sys

TARGETS = {
    "neon": ("aarch64-linux-gnu-gcc", ["-march=armv8-a+crc"], [["qemu-aarch64"], ["qemu-aarch64", "-cpu", "max"]]),
    "old-x86": ("x86_64-linux-gnu-gcc", [], [["qemu-x86_64", "-cpu", "Nehalem"],
                                             ["qemu-x86_64", "-cpu", "max"]]),
}


def main():
    root, build, target = sys.argv[1:4]
    compiler, options, emulators = TARGETS[target]
    for program in [compiler] + [e[0] for e in emulators]:
        if not shutil.which(program):
            print("skipped: no " + program)
            return 77
    program = os.path.join(build, "test_kernels_" + target)
    subprocess.run([compiler, "-std=c11", "-O2", "-static", "-ffp-contract=off", *options,
                    "-I" + os.path.join(root, "include"), "-I" + os.path.join(root, "lib"),
                    "-o", program] + sys.argv[4:], check=True)
    for emulator in emulators:
        print(" ".join(emulator), flush=True)
        subprocess.run(emulator + [program], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
