#!/usr/bin/env python3
"""Writes the manual page nq.1 from what the program says of itself, so that there is one text.

usage: man.py NQ > docs/nq.1
       man.py --check docs/nq.1 NQ
"""

import re
import subprocess
import sys

HEAD = """.\\" Made by docs/man.py from `nq --help`: do not edit.
.TH NQ 1 "" "libnq" "User Commands"
.SH NAME
nq \\- compress the weights of neural networks
"""
EXAMPLES = [
    ("nq compress model.safetensors --target 4bpw", "four bits a weight, everything counted, in model.nq"),
    ("nq compress model.safetensors --importance hessian.safetensors --rdo --target 10x",
     "a tenth of the size, errors weighed by the loss's curvature, assignment by error and rate"),
    ("nq decompress model.nq -o back.safetensors", "and back"),
    ("nq compare model.safetensors model.nq", "what it cost"),
]


def help_of(nq, *verb):
    return subprocess.run([nq, *verb, "--help"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          check=True, text=True).stdout


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


def paragraphs(lines):
    """Lines of roff for running text, a paragraph at each blank line."""
    for line in lines:
        yield ".PP" if not line else escape(line)


def options(lines):
    """Lines of roff for a list of options: their names, and an indented description."""
    for line in lines:
        match = re.match(r"  (\S.*?)(?:  +(\S.*))?$", line)
        if match and not line.startswith("     "):
            yield ".TP"
            yield ".B " + escape(match.group(1))
            if match.group(2):
                yield escape(match.group(2))
        elif line.strip():
            yield escape(line.strip())


def split_help(text):
    """Usage, description, options, and what follows them, of a help text."""
    usage, _, rest = text.partition("\n\n")
    lines = rest.rstrip("\n").split("\n")
    first = next((i for i, line in enumerate(lines) if line.startswith("  ")), len(lines))
    last = max((i + 1 for i, line in enumerate(lines) if line.startswith("  ")), default=first)
    return usage.replace("usage: ", ""), lines[:first], lines[first:last], lines[last:]


def verb_section(nq, verb):
    usage, description, list_, _ = split_help(help_of(nq, verb))
    yield f'.SS "nq {verb}"'
    yield ".B " + escape(usage)
    yield ".PP"
    yield from paragraphs(description[:-1] if description and not description[-1] else description)
    yield from options(list_)


def page(nq):
    top = help_of(nq)
    _, description, _, _ = split_help(top)
    verbs = re.findall(r"^  nq ([a-z]+) ", top, re.M)
    codes = re.search(r"^Exit codes: (.*?)\Z", top, re.M | re.S).group(1)
    yield HEAD.rstrip("\n")
    yield ".SH SYNOPSIS"
    for i, verb in enumerate(verbs):
        yield from [".br"] * (i > 0)
        yield ".B " + escape(split_help(help_of(nq, verb))[0])
    yield ".SH DESCRIPTION"
    yield from paragraphs(description[:-1])
    yield ".SH VERBS"
    for verb in verbs:
        yield from verb_section(nq, verb)
    yield ".SH EXIT STATUS"
    for code, meaning in re.findall(r"(\d) ([^;.]+)", codes.replace("\n", " ")):
        yield from (".TP", f".B {code}", escape(meaning.strip()))
    yield ".SH EXAMPLES"
    for command, meaning in EXAMPLES:
        yield from (".TP", ".B " + escape(command), escape(meaning))


def main():
    check = sys.argv[1] == "--check"
    text = "\n".join(page(sys.argv[-1])) + "\n"
    if not check:
        sys.stdout.write(text)
        return 0
    with open(sys.argv[2], encoding="utf-8") as f:
        same = f.read() == text
    print("as the program says" if same else "differs from what the program says: run docs/man.py again")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
