#!/usr/bin/env python3
"""Which room of lib/ may include which: reads the #include lines and fails on a step upwards.

usage: layers.py SOURCE_ROOT DECODER_SOURCE...

The decoder's sources (what libnqdec is made of) are followed through every header they reach: none
may come to the allocator, the runners, an encoder, or a header of the hosted C library.
"""

import os
import re
import sys

# Room: what it may include besides itself and the public headers. "room" is all of it; "room/header"
# is that one alone.
MAY = {
    "base": [],
    "cpu": ["base"],
    "par": ["base"],
    "distortion": ["base", "cpu", "par"],
    "stats": ["base", "cpu", "par", "distortion/view.h"],
    "codec": ["base", "cpu"],
    "cluster": ["base", "cpu", "par", "distortion", "stats"],
    # of codec only the view of code lengths
    "ecsq": ["base", "cpu", "par", "distortion", "stats", "codec/cost.h"],
    # of codec only the checksum and what describes formats
    "container": ["base", "codec/checksum.h", "codec/*_fmt.h"],
    # of container only what sizes are computed with
    "model": ["base", "cpu", "par", "distortion", "stats", "codec", "cluster", "ecsq",
              "container/format.h", "container/writer.h"],
    "api": ["base", "cpu", "par", "distortion", "stats", "codec", "cluster", "ecsq", "container",
            "model"],
}

# C headers that only these files may include. Headers for intrinsics are free to kernels and cpu.
ANYWHERE = {"assert.h", "float.h", "limits.h", "stdalign.h", "stdatomic.h", "stdbool.h", "stddef.h",
            "stdint.h", "string.h"}
INTRINSICS = {"immintrin.h", "cpuid.h", "arm_neon.h", "arm_acle.h"}
SPECIAL = {"stdlib.h": {"base/alloc.c"}, "pthread.h": {"par/pool.c"}, "signal.h": {"par/pool.c"}}

# What the decoder never reaches.
DECODER_NEVER = re.compile(r"base/alloc\.h$|par/|_enc\.h$|container/writer\.h$|"
                           r"(distortion|stats|cluster|ecsq|model)/")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def includes(path):
    with open(path, encoding="utf-8") as f:
        return INCLUDE.findall(f.read())


def allowed(room, target):
    """Whether files of `room` may include lib/`target`."""
    for rule in [room] + MAY[room]:
        pattern = re.escape(rule).replace(r"\*", "[^/]*")
        if re.fullmatch(pattern if "/" in rule else pattern + "/.*", target):
            return True
    return False


def check_system(name, header):
    if header in ANYWHERE or name in SPECIAL.get(header, ()):
        return None
    if header in INTRINSICS and (name.startswith("cpu/") or "/x86/" in name or "/arm/" in name
                                 or re.search(r"_(x86|arm|avx2|avx512|neon)\.[ch]$", name)):
        return None
    return f"lib/{name}: <{header}> has no place here"


def check_file(lib, name):
    room = name.split("/")[0]
    for kind, target in includes(os.path.join(lib, name)):
        if kind == "<":
            yield check_system(name, target)
        elif target.startswith("nq/"):
            continue
        elif "/" not in target or target.startswith("."):
            yield f'lib/{name}: "{target}": write the room too'
        elif not allowed(room, target):
            yield f"lib/{name}: {room} may not include {target}"


def check_decoder(lib, name, via=(), seen=None):
    """Follows all headers of a file of the decoder."""
    seen = set() if seen is None else seen
    for kind, target in includes(os.path.join(lib, name)):
        chain = " -> ".join([*via, name, target])
        if kind == "<":
            if target in SPECIAL or target not in ANYWHERE | INTRINSICS:
                yield f"decoder: {chain}: not a freestanding header"
        elif not target.startswith("nq/"):
            if DECODER_NEVER.search(target):
                yield f"decoder: {chain}"
            elif target not in seen:
                seen.add(target)
                yield from check_decoder(lib, target, (*via, name), seen)


def main():
    lib = os.path.join(sys.argv[1], "lib")
    names = sorted(os.path.relpath(os.path.join(folder, f), lib).replace(os.sep, "/")
                   for folder, _, files in os.walk(lib) for f in files if f.endswith((".c", ".h")))
    problems = [f"lib/{n}: not in a room of the table" for n in names if n.split("/")[0] not in MAY]
    problems += [p for n in names if n.split("/")[0] in MAY for p in check_file(lib, n) if p]
    decoder = [os.path.relpath(p, lib).replace(os.sep, "/") for p in sys.argv[2:]]
    for name in decoder:
        problems += list(check_decoder(lib, name))
    for problem in problems:
        print(problem)
    print(f"{len(names)} files, {len(decoder)} of the decoder, {len(problems)} problems")
    return 1 if problems or not names or not decoder else 0


if __name__ == "__main__":
    sys.exit(main())
