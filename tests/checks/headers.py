#!/usr/bin/env python3
"""Every public header compiles alone, and twice, as C11 and as C++17, without a warning.

usage: headers.py SOURCE_ROOT

Uses whichever of gcc, g++, clang and clang++ there are.
"""

import glob
import os
import shutil
import subprocess
import sys

COMPILERS = [("gcc", "c", "-std=c11"), ("clang", "c", "-std=c11"), ("g++", "c++", "-std=c++17"),
             ("clang++", "c++", "-std=c++17")]
FALLBACK = [("cc", "c", "-std=c11")]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wundef", "-Werror"]


def compiles(compiler, language, standard, include, headers):
    source = "".join(f'#include "nq/{h}"\n' for h in headers)
    command = [compiler, standard, *WARNINGS, "-I", include, "-fsyntax-only", "-x", language, "-"]
    run = subprocess.run(command, input=source, text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)
    if run.returncode != 0:
        print(" ".join(command), "with", headers)
        print(run.stdout)
    return run.returncode == 0


def main():
    include = os.path.join(sys.argv[1], "include")
    headers = sorted(os.path.basename(p) for p in glob.glob(os.path.join(include, "nq", "*.h")))
    found = [c for c in COMPILERS if shutil.which(c[0])]
    found = found or FALLBACK
    good = True
    for compiler in found:
        for header in headers:
            good = compiles(*compiler, include, [header, header]) and good
        good = compiles(*compiler, include, headers[::-1]) and good
    with open(os.path.join(include, "nq", "nq.h"), encoding="utf-8") as f:
        umbrella = f.read()
    for header in headers:
        if header != "nq.h" and f'#include "{header}"' not in umbrella:
            print(f"nq.h does not include {header}")
            good = False
    print(f"{len(headers)} headers with {', '.join(c[0] for c in found)}")
    return 0 if good and headers else 1


if __name__ == "__main__":
    sys.exit(main())
