#!/usr/bin/env python3
"""The ABI gate must go red: breaks the library on purpose, in a copy, once for each way.

usage: self_test.py SOURCE_ROOT FOLDER

FOLDER is for the copy and its build. Each break says which checks of gate.py must fail; the unbroken
copy must pass them all, and so must one that only adds. Prints a line for each.
"""

import filecmp
import os
import shutil
import sys

import gate


def replace(root, path, old, new):
    text = gate.read(root, *path.split("/"))
    if text.count(old) < 1:
        raise SystemExit(f"{path}: {old!r} is not there; the self-test is out of date")
    gate.write(text.replace(old, new, 1), root, *path.split("/"))


PARTS = ["include", "lib", "pkgconfig", "examples", "tests/abi", "tests/checks"]
STATUS, TYPES, CONTEXT = "include/nq/status.h", "include/nq/types.h", "include/nq/context.h"
MAP = "lib/libnq.map"
# Name, replacements (path, old, new), checks that must fail.
BREAKS = [
    ("nothing", [], set()),
    ("a struct that grows at its end", [
        (TYPES, "    const void *data;\n} nq_tensor;", "    const void *data;\n    uint64_t more;\n} nq_tensor;")],
     {"ledger", "program"}),  # until it is appended, and the library takes the old size, too
    ("a member in the middle of a struct", [
        (STATUS, "    uint64_t tensor; ", "    uint64_t more;\n    uint64_t tensor; ")],
     {"abidiff", "ledger", "program"}),
    ("a member of another width", [
        (TYPES, "    uint32_t rank; ", "    uint64_t rank; ")], {"ledger", "program"}),
    ("a member that is gone", [
        (CONTEXT, "    void *unused; ", "    /* */ ")], {"abidiff", "ledger"}),
    ("another number of a status", [
        (STATUS, "NQ_E_TRUNCATED = -5", "NQ_E_TRUNCATED = -105")], {"ledger", "program"}),
    ("another type of an argument", [
        (TYPES, "NQ_API uint32_t nq_dtype_bits(uint32_t dtype)", "NQ_API uint32_t nq_dtype_bits(uint64_t dtype)"),
        ("lib/base/status.c", "nq_dtype_bits(uint32_t dtype)", "nq_dtype_bits(uint64_t dtype)")],
     {"abidiff"}),
    ("a function that the version script lost", [
        (MAP, "    nq_status_text;\n", "")], {"symbols", "abidiff", "program"}),
    ("a function that no header declares", [
        (MAP, "    nq_status_text;\n", "    nq_status_text;\n    nqi_alloc;\n")], {"symbols"}),
    ("a library that refuses structs of yesterday", [
        ("lib/base/versioned.h", "if (given_size < first_size ||", "if (given_size < first_size + 8 ||")],
     {"program"}),
]


def synchronize(root, copy):
    """Only what differs is written, with the time of now: that is what the build then compiles."""
    for part in PARTS:
        for folder, _, names in os.walk(os.path.join(root, part)):
            for name in names if "__pycache__" not in folder else []:
                source = os.path.join(folder, name)
                target = os.path.join(copy, os.path.relpath(source, root))
                os.makedirs(os.path.dirname(target), exist_ok=True)
                if not os.path.exists(target) or not filecmp.cmp(source, target, shallow=False):
                    shutil.copyfile(source, target)
    for name in ("meson.build", "meson_options.txt"):
        shutil.copyfile(os.path.join(root, name), os.path.join(copy, name))


def failing(copy, build):
    """The names of checks that fail; "build", if it comes to none."""
    checks = gate.Gate(copy, build)
    try:
        checks.make()
    except gate.Broken as problem:
        return {"build"}, str(problem)
    found = gate.check(checks)
    return {name for name, problem in found if problem}, "\n".join(p for _, p in found if p)


def main():
    root, folder = sys.argv[1:3]
    copy, build = os.path.join(folder, "source"), os.path.join(folder, "build")
    good = True
    for name, replacements, expected in BREAKS:
        synchronize(root, copy)
        for path, old, new in replacements:
            replace(copy, path, old, new)
        if not shutil.which("abidw"):
            expected = expected - {"abidiff"}
        failed, why = failing(copy, build)
        right = failed == expected
        good = good and right
        print(f"{'ok' if right else 'not ok'} - {name}: {', '.join(sorted(failed)) or 'all pass'}", flush=True)
        if not right:
            print(f"# expected {', '.join(sorted(expected)) or 'nothing'}")
            print("".join(f"# {line}\n" for line in why.splitlines()[:30]), end="")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
