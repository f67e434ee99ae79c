#!/usr/bin/env python3
"""What the text of the repository must not hold: places of one machine, unfinished corners, compiler
extensions outside their header, and untidy whitespace.

usage: text.py SOURCE_ROOT
"""

import os
import re
import subprocess
import sys

TEXT = (".c", ".h", ".py", ".sh", ".md", ".build", ".txt", ".in", ".map", ".cmake", ".cpp")
CODE = (".c", ".h", ".cpp")

# Written in pieces so that this file does not match itself.
RULES = [
    (TEXT, re.compile("(?<![\\w.])/(" + "|".join(["wo" "rk", "ho" "me", "ro" "ot", "tm" "p"]) + ")/"),
     "a place on one machine"),
    (TEXT, re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b"), "unfinished"),
    (TEXT, re.compile(r"[ \t]+$"), "space at the end"),
    (CODE, re.compile(r"\t"), "a tab"),
]
DIALECT = re.compile(r"\b(__builtin_\w+|__attribute__|__asm__|asm|typeof|__typeof__)\b")
DIALECT_FREE = ("lib/base/common.h", "include/nq/export.h")


def files(root):
    """What git tracks; everything, where there is no git."""
    try:
        run = subprocess.run(["git", "-C", root, "ls-files", "-z"], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
        if run.returncode == 0 and run.stdout:
            return run.stdout.decode().strip("\0").split("\0")
    except FileNotFoundError:
        pass
    return [os.path.relpath(os.path.join(folder, name), root)
            for folder, _, names in os.walk(root) if "/." not in folder and "/build" not in folder
            for name in names]


def check(name, lines):
    for number, line in enumerate(lines, 1):
        for endings, pattern, complaint in RULES:
            if name.endswith(endings) and pattern.search(line):
                yield f"{name}:{number}: {complaint}: {line.strip()[:60]}"
        if name.startswith(("lib/", "include/")) and name.endswith(CODE) and \
                name not in DIALECT_FREE and DIALECT.search(line):
            yield f"{name}:{number}: a compiler extension belongs in lib/base/common.h"


def main():
    root = sys.argv[1]
    problems, n_files = [], 0
    for name in files(root):
        path = os.path.join(root, name)
        if name.endswith(TEXT) and os.path.isfile(path):
            n_files += 1
            with open(path, encoding="utf-8") as f:
                problems += check(name, f.read().split("\n"))
    for problem in problems:
        print(problem)
    print(f"{n_files} files, {len(problems)} problems")
    return 1 if problems or n_files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
