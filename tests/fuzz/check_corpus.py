#!/usr/bin/env python3
"""The files of tests/fuzz/corpus: each is read as its name says, and is what the generator makes.

usage: check_corpus.py MAKE_CORPUS REPLAY FOLDER

FOLDER has corpus/. Reading is the library's, every way (replay --statuses), and that of the
independent decoder, tests/format/nq_decode.py. Prints TAP.
"""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "format"))
import nq_decode  # noqa: E402

# Names that leave it open which of several refusals it is.
ANY_REFUSAL = {"corrupt", "truncated"}


def expected(name):
    """Words, of which one is what must be said."""
    begin, second = name.split("_")[:2]
    if begin in ("good", "unsupported"):
        return {begin}
    return {second} if second in ("corrupt", "truncated", "checksum", "limit") else ANY_REFUSAL


def what_the_other_says(data):
    """The same from the decoder in Python."""
    try:
        file = nq_decode.File(data)
        for i in range(len(file.tables)):
            if file.tables[i].kind != nq_decode.KIND_CODE:
                file.levels(i)
        for tensor in file.tensors:
            if tensor.codec == nq_decode.STORED:
                list(file.blocks(tensor))
            else:
                file.indices(tensor)
    except nq_decode.Refused as refusal:
        return {"damaged": "checksum"}.get(refusal.kind, refusal.kind)
    return "good"


def differences(made, corpus, make):
    """What the folder and the generator do not have in common, and what the README says otherwise."""
    lines = subprocess.run([make, made], check=True, capture_output=True, text=True).stdout
    for name in sorted({*os.listdir(made), *os.listdir(corpus)} - {"README.md", ".gitattributes"}):
        paths = [os.path.join(folder, name) for folder in (made, corpus)]
        if not all(map(os.path.exists, paths)) or len({open(p, "rb").read() for p in paths}) != 1:
            yield name
    with open(os.path.join(corpus, "README.md"), encoding="utf-8") as f:
        if lines not in f.read():
            yield "README.md"


def main():
    make, replay, folder = sys.argv[1:4]
    corpus = os.path.join(folder, "corpus")
    names = sorted(name for name in os.listdir(corpus) if name.endswith(".nq"))
    print("1..3")
    with tempfile.TemporaryDirectory(prefix="nq-corpus-") as made:
        different = list(differences(made, corpus, make))
    print("ok 1 - what the generator makes" if not different else
          f"not ok 1 - what the generator makes\n# different: {' '.join(different)}")
    told = subprocess.run([replay, "--statuses", *(os.path.join(corpus, n) for n in names)],
                          check=True, capture_output=True, text=True).stdout.split("\n")
    said = {os.path.basename(line.split(" ", 1)[1]): line.split(" ", 1)[0] for line in told if line}
    wrong = [f"{name}: {said.get(name)}" for name in names if said.get(name) not in expected(name)]
    print(("not " if wrong or len(names) < 50 else "") + f"ok 2 - what reading says of {len(names)} files")
    wrong2 = []
    for name in names:
        with open(os.path.join(corpus, name), "rb") as f:
            other = what_the_other_says(f.read())
        # The format has no limits on elements, which are a reader's own.
        if other not in (expected(name) if "_limit_" not in name else {"good", "corrupt"}):
            wrong2.append(f"{name}: {other}")
    print("".join(f"# {line}\n" for line in wrong), end="")
    print(("not " if wrong2 else "") + "ok 3 - what the decoder in Python says")
    print("".join(f"# {line}\n" for line in wrong2), end="")
    return 1 if different or wrong or wrong2 else 0


if __name__ == "__main__":
    sys.exit(main())
