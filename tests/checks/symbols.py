#!/usr/bin/env python3
"""What the libraries offer and need.

usage: symbols.py SOURCE_ROOT NM SHARED_LIBRARY STATIC_LIBRARY DECODER_LIBRARY

The version script, the public headers and the shared library name the same functions; every global
of the static libraries begins nq_ or nqi_; the decoder needs four functions of the C library at most.
"""

import glob
import os
import re
import subprocess
import sys

# Helpers that compilers call by themselves: libgcc's and the sanitizers' and profilers'.
HELPERS = re.compile(r"_GLOBAL_OFFSET_TABLE_|__(aeabi|ubsan|asan|tsan|msan|sanitizer|gcov|llvm|profc|"
                     r"stack_chk|u?div|u?mod|ash|lsh|mul|clz|ctz|popcount|fix|float|extend|trunc|"
                     r"cmp|add|sub|neg|eq|ne|lt|gt|le|ge|unord|x86)\w*")
DECODER_NEEDS = {"memcpy", "memset", "memmove", "memcmp"}


def header_functions(root):
    names = set()
    for path in glob.glob(os.path.join(root, "include", "nq", "*.h")):
        with open(path, encoding="utf-8") as f:
            text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
        text = re.sub(r"^\s*#.*(\\\n.*)*$", "", text, flags=re.M)
        for declaration in re.findall(r"\bNQ_API\b([^;]*);", text):
            names.add(re.search(r"\b(\w+)\s*\(", declaration).group(1))
    return names


def map_functions(root):
    with open(os.path.join(root, "lib", "libnq.map"), encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    lists = re.findall(r"global:(.*?)local:", text, flags=re.S)
    return [name for part in lists for name in re.findall(r"(\w+);", part)]


def nm(program, *arguments):
    output = subprocess.run([program, "-P", *arguments], check=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True).stdout
    return [line.split()[:2] for line in output.splitlines() if len(line.split()) >= 2]


def exported(program, library):
    names = {name.split("@")[0] for name, kind in nm(program, "-D", "--defined-only", library)
             if kind in "TDBRVWi"}
    return names


def compare(problems, left_name, left, right_name, right):
    for name in sorted(set(left) - set(right)):
        problems.append(f"{name}: in {left_name}, not in {right_name}")
    for name in sorted(set(right) - set(left)):
        problems.append(f"{name}: in {right_name}, not in {left_name}")


def check_static(problems, program, library):
    for name, kind in nm(program, "-g", "--defined-only", library):
        if not name.startswith(("nq_", "nqi_")) and not HELPERS.fullmatch(name):
            problems.append(f"{name}: a global of {os.path.basename(library)}")


def check_decoder(problems, program, library):
    symbols = nm(program, "-g", library)
    defined = {name for name, kind in symbols if kind != "U"}
    needed = {name for name, kind in symbols if kind == "U"} - defined - DECODER_NEEDS
    for name in sorted(n for n in needed if not HELPERS.fullmatch(n)):
        problems.append(f"{name}: needed by {os.path.basename(library)}")


def main():
    root, program, shared, static, decoder = sys.argv[1:6]
    problems = []
    in_map = map_functions(root)
    in_headers = header_functions(root)
    if in_map != sorted(set(in_map)):
        problems.append("libnq.map: not sorted, or a name twice")
    compare(problems, "libnq.map", in_map, "the headers", in_headers)
    compare(problems, "libnq.map", in_map, os.path.basename(shared),
            exported(program, shared) - {"NQ_0"})
    check_static(problems, program, static)
    check_static(problems, program, decoder)
    check_decoder(problems, program, decoder)
    for problem in problems:
        print(problem)
    print(f"{len(in_map)} functions, {len(problems)} problems")
    return 1 if problems or not in_map else 0


if __name__ == "__main__":
    sys.exit(main())
