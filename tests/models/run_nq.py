"""Running `nq` and the oracle, for the tests on real models."""

import json
import os
import subprocess


class Failed(Exception):
    """Something is not as it must be; its text says what."""


def demand(condition, message):
    if not condition:
        raise Failed(message)


def close(got, expected, tolerance=1e-9):
    """Equal but for the rounding of sums; infinities may be written as null."""
    if got is None:
        return abs(expected) == float("inf")
    return abs(got - expected) <= tolerance * max(abs(got), abs(expected))


def run(program, *arguments, text=None, expected=0):
    result = subprocess.run([program, *arguments], input=text, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True,
                            stdin=None if text is not None else subprocess.DEVNULL)
    demand(result.returncode == expected,
           f"{os.path.basename(program)} {' '.join(arguments)}: exit {result.returncode}, "
           f"not {expected}: {result.stderr.strip()}")
    return result.stdout


def run_json(program, *arguments, text=None, expected=0):
    output = run(program, *arguments, text=text, expected=expected)
    try:
        return json.loads(output)
    except ValueError:
        raise Failed(f"{' '.join(arguments)}: no JSON: {output[:80]!r}") from None


def find_data(root):
    """The folder with real data, or None: $NQ_DATA, or shared/data beside the checkout."""
    folder = os.environ.get("NQ_DATA") or os.path.join(os.path.dirname(root), "shared", "data")
    return folder if os.path.isdir(os.path.join(folder, "models")) else None
