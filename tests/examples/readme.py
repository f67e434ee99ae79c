#!/usr/bin/env python3
"""The program in README.md is one that compiles without a warning and runs.

usage: readme.py README INCLUDE LIBRARY COMPILER...

LIBRARY is the static library, or "none": then the program is only compiled.
"""

import os
import re
import subprocess
import sys
import tempfile

WARNINGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow",
            "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wmaybe-uninitialized", "-Werror"]
PRINTS = r"^\d\.\d times smaller; -?0\.\d{3} is now -?0\.\d{3}\n$"


def run(*command):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    return result.returncode, result.stdout


def check(folder, code, include, library, compiler):
    """What is wrong with the program, or None."""
    source, program = os.path.join(folder, "readme.c"), os.path.join(folder, "readme")
    with open(source, "w", encoding="utf-8") as f:
        f.write(code)
    link = ["-c"] if library == "none" else [library, "-pthread"]
    status, output = run(*compiler, *WARNINGS, "-Wno-unknown-warning-option", "-I", include, source,
                         *link, "-o", program)
    if status != 0:
        return output
    if library == "none":
        return None
    status, output = run(program)
    return None if status == 0 and re.match(PRINTS, output) else f"exit {status}: {output!r}"


def main():
    readme, include, library, *compiler = sys.argv[1:]
    with open(readme, encoding="utf-8") as f:
        blocks = re.findall(r"^```c\n(.*?)^```$", f.read(), re.M | re.S)
    problem = "there is none" if not blocks else None
    with tempfile.TemporaryDirectory(prefix="nq-readme-") as folder:
        for code in blocks:
            problem = problem or check(folder, code, include, library, compiler)
    print(problem or f"{len(blocks)} compiled")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
