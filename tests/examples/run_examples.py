#!/usr/bin/env python3
"""Runs the small programs of examples/c as their comments say, the later ones on the first one's
file.

usage: run_examples.py NAME=PROGRAM...

Each must end with 0 and print what is expected of it. Prints TAP.
"""

import os
import re
import subprocess
import sys
import tempfile

# Program: its arguments ({file} is the .nq file), and a pattern that its output must match.
CALLS = [
    ("01_compress", ["{file}"], r"^\d\.\d\d bits a weight, \d+\.\d times smaller, \d+\.\d dB\n$"),
    ("02_decode", ["{file}"], r"^hidden\.weight: F32, 32768 elements, \d+ levels, \d+ bytes\n"
                              r"    from 16382 on: .*\noutput\.weight: F32, 1280 elements, .*\n"),
    ("03_decode_no_malloc", ["{file}"], r"^hidden\.weight: sum \S+\noutput\.weight: sum \S+\n$"),
    ("04_context", [], r"^300000 weights in \d+ bytes, the same with hooks; "
                       r"stopped: NQ_E_CANCELLED; 0 bytes of memory left in use\n$"),
    ("05_codec", [], r"^fixed length: 4\.\d+ bits an index\nHuffman: [12]\.\d+ bits an index\n$"),
    ("06_multiply", ["{file}"], r"^(-?\d\S* ){9}-?\d\S*\n$"),
]


def call(program, arguments, pattern):
    """What is wrong, or None."""
    result = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        return f"exit {result.returncode}: {result.stdout.strip()}"
    return None if re.match(pattern, result.stdout) else f"printed {result.stdout!r}"


def main():
    programs = dict(argument.split("=", 1) for argument in sys.argv[1:])
    good = set(programs) == {name for name, _, _ in CALLS}
    print(f"1..{len(CALLS)}")
    with tempfile.TemporaryDirectory(prefix="nq-examples-") as folder:
        file = os.path.join(folder, "example.nq")
        for number, (name, arguments, pattern) in enumerate(CALLS, 1):
            problem = call(programs[name], [a.format(file=file) for a in arguments], pattern)
            good = good and problem is None
            print(f"ok {number} - {name}" if problem is None else f"not ok {number} - {name}\n# {problem}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
