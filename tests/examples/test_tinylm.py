#!/usr/bin/env python3
"""examples/tinylm on stories260K: products straight from compressed blocks say what floats say, and
losses are within bounds.

usage: test_tinylm.py SOURCE_ROOT NQ TINYLM

The oracles: the loss that another program (PyTorch) found for this model on the same 1,978 tokens,
1.2453 nats a token; and, for straight products, the same program on decoded floats. Prints TAP, and
skips where the model is not there.
"""

import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models"))
from run_nq import Failed, demand, find_data, run

KNOWN_LOSS = 1.2453
N_TOKENS = 1978


class Tinylm:
    def __init__(self, program, words, text):
        self.program, self.words, self.text = program, words, text

    def __call__(self, file, *options):
        """The story, and what the last line tells: memory of the weights in KB, loss, scored tokens."""
        output = run(self.program, file, self.words, "--tokens", "120", *options)
        story, _, last = output.rstrip("\n").rpartition("\n")
        told = re.fullmatch(r"(?:floats|compressed): \d+ tokens/s, weights in ([\d.]+) KB, peak memory "
                            r"([\d.]+) MB(?:, loss ([\d.]+) nats a token \((\d+) tokens\))?", last)
        demand(told is not None, f"last line is {last!r}")
        demand(float(told[2]) * 1000 > float(told[1]), "peak memory is less than that of the weights")
        return story, float(told[1]), float(told[3] or "nan"), int(told[4] or 0)

    def whole_loss(self, file):
        """Over all of the text, with floats, which is faster."""
        _, _, loss, n_tokens = self(file, "--floats", "--text", self.text)
        demand(n_tokens == N_TOKENS, f"{n_tokens} tokens, not {N_TOKENS}")
        return loss

    def check_straight(self, file, short):
        """The same story and the same loss on a short text, from floats and from blocks."""
        floats, floats_kb, floats_loss, _ = self(file, "--floats", "--text", short)
        straight, straight_kb, loss, n_tokens = self(file, "--text", short)
        demand(n_tokens > 50, f"{n_tokens} tokens were scored")
        demand(floats[:150] == straight[:150] and len(straight) > 150,
               f"{straight!r} from blocks, {floats!r} from floats")
        demand(abs(loss - floats_loss) <= 2e-4, f"loss {loss} from blocks, {floats_loss} from floats")
        return straight, straight_kb / floats_kb


def check_uncompressed(tinylm, file, short):
    loss = tinylm.whole_loss(file)
    demand(abs(loss - KNOWN_LOSS) < 0.003, f"loss {loss}, not about {KNOWN_LOSS}")
    story, _ = tinylm.check_straight(file, short)
    return loss, story


def check_compressed(tinylm, file, short, raw, ratio, most_loss):
    """raw: loss and story of the uncompressed model."""
    size = os.path.getsize(file)
    demand(size * ratio <= 1044552, f"{size} bytes are not {ratio} times fewer")
    loss = tinylm.whole_loss(file)
    demand(abs(loss - raw[0]) < most_loss, f"loss {loss}, of the original {raw[0]}")
    story, memory = tinylm.check_straight(file, short)
    demand(memory < 0.3, f"weights take {memory:.2f} of what floats take")
    demand(story[:60] == raw[1][:60], f"begins {story[:60]!r}, not {raw[1][:60]!r}")


def check_refusals(program, file, words, folder):
    with open(file, "rb") as f:
        damaged = bytearray(f.read())
    damaged[len(damaged) // 2] ^= 16
    path = os.path.join(folder, "damaged.nq")
    with open(path, "wb") as f:
        f.write(damaged)
    for arguments, code in (([path, words], 1), ([file, file], 1), ([words, words], 1),
                            ([file, words, "--heads", "7"], 1), ([file], 2),
                            ([file, words, "--tokens", "x"], 2)):
        result = subprocess.run([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)
        demand(result.returncode == code and result.stderr,
               f"{arguments}: exit {result.returncode}, not {code}: {result.stderr!r}")


def main():
    root, nq, program = sys.argv[1:4]
    data = find_data(root)
    paths = [os.path.join(data or "", *p) for p in (
        ("models", "stories260k.safetensors"), ("models", "stories260k_hessian.safetensors"),
        ("llm", "tok512.bin"), ("llm", "tinystories_valid_sample.txt"))]
    if data is None or not all(map(os.path.exists, paths)):
        print("1..0 # SKIP no data: set NQ_DATA to a folder that holds models/stories260k.safetensors "
              "and llm/")
        return 0
    model, importance, words, text = paths
    weigh = ["--importance", importance, "--importance-floor", "0.01"]
    tinylm = Tinylm(program, words, text)
    good, raw = True, None
    with tempfile.TemporaryDirectory(prefix="nq-tinylm-") as folder:
        short = os.path.join(folder, "short.txt")
        with open(text, encoding="utf-8") as source, open(short, "w", encoding="utf-8") as f:
            f.write(source.read()[:300])

        def compress(name, *options):
            file = os.path.join(folder, name + ".nq")
            run(nq, "compress", model, "-o", file, "--quiet", *options)
            return file

        def test_raw():
            nonlocal raw
            raw = check_uncompressed(tinylm, compress("raw", "--keep", "*"), short)

        def test_rdo():
            check_compressed(tinylm, compress("rdo", "--target", "5x", "--rdo", *weigh), short, raw, 5,
                             0.02)

        def test_fixed():
            check_compressed(tinylm, compress("fixed", "--method", "kmeans", "--levels", "64", "--codec",
                                              "fixed", "--scope", "tensor", *weigh),
                             short, raw, 4.9, 0.02)

        def test_refusals():
            check_refusals(program, os.path.join(folder, "rdo.nq"), words, folder)

        tests = [("as stored floats", test_raw), ("rate-distortion optimal, 5x", test_rdo),
                 ("k-means, fixed length", test_fixed), ("refusals", test_refusals)]
        print(f"1..{len(tests)}")
        for number, (name, test) in enumerate(tests, 1):
            try:
                test()
                print(f"ok {number} - {name}", flush=True)
            except (Failed, TypeError) as problem:
                good = False
                print(f"not ok {number} - {name}\n# {problem!r}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
