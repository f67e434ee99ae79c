#!/usr/bin/env python3
"""The functions in README.md compile without a warning and do what they say in a program
(readme_main.c, which includes them as readme.c).

usage: readme.py README MAIN INCLUDE LIBRARY COMPILER...

LIBRARY is the static library, or "none": then the program is only compiled.
"""

import os
import re
import subprocess
import sys
import tempfile

WARNINGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow",
            "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wmaybe-uninitialized", "-Werror"]
PRINTS = r"^[34]\.\d\d bits a weight; -?0\.\d{3} is now -?0\.\d{3}\n$"


def run(*command):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    return result.returncode, result.stdout


def check(folder, code, main, include, library, compiler):
    """What is wrong with the program, or None."""
    program = os.path.join(folder, "readme")
    with open(os.path.join(folder, "readme.c"), "w", encoding="utf-8") as f:
        f.write(code)
    link = ["-c"] if library == "none" else [library, "-pthread"]
    status, output = run(*compiler, *WARNINGS, "-Wno-unknown-warning-option", "-I", include, "-I", folder,
                         main, *link, "-o", program)
    if status != 0:
        return output
    if library == "none":
        return None
    status, output = run(program)
    return None if status == 0 and re.match(PRINTS, output) else f"exit {status}: {output!r}"


def main():
    readme, program, include, library, *compiler = sys.argv[1:]
    with open(readme, encoding="utf-8") as f:
        blocks = re.findall(r"^```c\n(.*?)^```$", f.read(), re.M | re.S)
    problem = None if len(blocks) == 1 else f"{len(blocks)} blocks of C, where one is expected"
    with tempfile.TemporaryDirectory(prefix="nq-readme-") as folder:
        problem = problem or check(folder, blocks[0], program, include, library, compiler)
    print(problem or "compiled and run" if library != "none" else problem or "compiled")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
