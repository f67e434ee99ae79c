#!/usr/bin/env python3
"""Lines and branches of the library that a build with gcc's coverage has run.

usage: coverage.py BUILD_FOLDER [--list]

Prints a line for each room, and for the two that have a floor: what decodes (the files of libnqdec)
and floor 0 (base, cpu). Fails when one of these has run less than 95 % of its lines or 90 % of its
branches. --list names the lines that were not run, and those whose branches were not all taken.

Counted is what gcov counts in files of lib/, over all objects and threads: a line or branch in a
header is run if it was run in any file that includes it. Left out are files and functions that this
processor cannot run, and lines where a comment says "unreachable"; both are reported.
"""

import collections
import json
import os
import re
import subprocess
import sys

LINES, BRANCHES = 95.0, 90.0


def objects(folder):
    """The data of the shared library's objects, which the static one consists of as well."""
    for place, _, names in os.walk(os.path.join(folder, "lib")):
        if "libnq.so" in place or "libnq.a" in place:
            yield from (os.path.join(place, n) for n in names if n.endswith(".gcno"))


def measure(folder):
    """For each source: line -> (runs, [runs of each branch]), the most of any object."""
    sources = collections.defaultdict(dict)
    for note in sorted(objects(folder)):
        result = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities",
                                 os.path.abspath(note)], cwd=folder, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, check=True)
        for text in result.stdout.splitlines():
            for file in json.loads(text)["files"]:
                path = os.path.normpath(os.path.join(folder, file["file"]))
                if "lib/" in path and "/usr/" not in path:
                    add(sources[os.path.relpath(path)], file["lines"])
    return sources


def add(source, lines):
    for line in lines:
        key = (line["line_number"], line.get("function_name"))
        runs, branches = source.get(key, (0, []))
        taken = [b["count"] for b in line["branches"] if not b.get("throw")]
        if len(taken) == len(branches):
            branches = [max(a, b) for a, b in zip(branches, taken)]
        elif line["count"] or not branches:
            branches = taken
        source[key] = (max(runs, line["count"]), branches)


def merged(source):
    """Line -> (runs, branches), of functions that were inlined under several names the one most run."""
    result = {}
    for (number, _), (runs, branches) in source.items():
        old = result.get(number, (0, []))
        if len(old[1]) == len(branches):
            branches = [max(a, b) for a, b in zip(old[1], branches)]
        elif sum(1 for b in old[1] if b) > sum(1 for b in branches if b):
            branches = old[1]
        result[number] = (max(old[0], runs), branches)
    return result


def decoder_files(folder):
    with open(os.path.join(folder, "build.ninja"), encoding="utf-8") as f:
        found = set(re.findall(r"libnqdec\.a\.p/([\w.]+)\.o:", f.read()))
    return found


def count(sources):
    """(lines, run, branches, taken)"""
    lines = [entry for source in sources for entry in source.values()]
    branches = [b for _, bs in lines for b in bs]
    return len(lines), sum(1 for runs, _ in lines if runs), len(branches), sum(1 for b in branches if b)


def figure(name, counted):
    lines, run, branches, taken = counted
    line, branch = 100.0 * run / max(lines, 1), 100.0 * taken / max(branches, 1)
    print(f"{name:12} lines {line:5.1f} % of {lines:5}, branches {branch:5.1f} % of {branches:5}")
    return line >= LINES and branch >= BRANCHES


def main():
    folder = sys.argv[1]
    all_sources = measure(folder)
    decoder_objects = decoder_files(folder)
    sources, left_out = {}, []
    for path, source in sorted(all_sources.items()):
        with open(path, encoding="utf-8") as f:
            text = f.read().split("\n")
        lines = {n: entry for n, entry in merged(source).items() if "unreachable" not in text[n - 1]}
        left_out += [f"{path}:{n}" for n in merged(source) if n not in lines]
        if lines:
            sources[path] = lines
    rooms = collections.defaultdict(list)
    for path, lines in sources.items():
        rooms[path.split("/")[1]].append(lines)
    for room in sorted(rooms):
        figure(room, count(rooms[room]))
    decoding = {p: s for p, s in sources.items() if p.replace("/", "_")[len("lib/"):] in decoder_objects}
    floor = {p: s for p, s in sources.items() if p.split("/")[1] in ("base", "cpu")}
    good = [figure("decoding", count(decoding.values())), figure("floor 0", count(floor.values()))]
    if left_out:
        print(f"left out: {', '.join(left_out)}")
    if "--list" in sys.argv:
        for path, lines in sorted({**decoding, **floor}.items()):
            missed = [str(n) for n, (runs, _) in sorted(lines.items()) if not runs]
            partly = [f"{n}({sum(1 for b in bs if not b)})" for n, (runs, bs) in sorted(lines.items())
                      if runs and not all(bs)]
            print(f"{path}: not run: {' '.join(missed) or 'none'}; not taken: {' '.join(partly) or 'none'}")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
