#!/usr/bin/env python3
"""The experiment of examples/lenet, shortened: the pruned networks that come with it, a few of the
paper's methods at one setting each, a short training of levels.

usage: lenet_experiment.py SOURCE_ROOT LENET NQ

Accuracy is that on the last 2,000 training images, which the networks were not trained on; bounds are
what the whole experiment found, and some room. Prints TAP; without images all is skipped.
"""

import os
import sys
import tempfile

from run_nq import Failed, demand, find_data, run

HELD_OUT = "2000"
ALLOWED_LOSS = 0.4  # eight images

# Ratios.
PLAIN, WEIGHTED, UNIFORM, ZERO, SMALLEST = 46, 52, 57, 70, 110


class Network:
    def __init__(self, lenet, nq, images, source, folder):
        self.lenet, self.nq, self.images, self.folder = lenet, nq, images, folder
        self.path = os.path.join(folder, "network.safetensors")
        self.importance = os.path.join(folder, "importance.safetensors")
        self.file = os.path.join(folder, "file.nq")
        run(nq, "decompress", source, "-o", self.path, "--force", "--quiet")
        run(lenet, "importance", self.importance, self.path, images, "--images", "640")
        self.whole = self.accuracy(self.path)

    def accuracy(self, path):
        return float(run(self.lenet, "eval", path, self.images, "--hold-out", HELD_OUT).split()[0])

    def check(self, ratio, path=None):
        """At least so much smaller, and nearly as good."""
        path = path or self.file
        found = os.path.getsize(self.path) / os.path.getsize(path)
        accuracy = self.accuracy(path)
        demand(found >= ratio, f"{found:.2f} times smaller, not {ratio}")
        demand(accuracy >= self.whole - ALLOWED_LOSS,
               f"{accuracy} % right, {self.whole} % before it was compressed")
        return f"{found:.2f} times smaller, {accuracy} % of {self.whole} %"

    def survivors(self, *options):
        run(self.lenet, "survivors", self.path, self.file, *options)

    def compress(self, *options):
        run(self.nq, "compress", self.path, "-o", self.file, "--force", "--quiet", "--min-elems", "0",
            *options)


def paper_methods(net):
    """Over the weights that are not zero; with importance more is reached."""
    told = []
    for ratio, options in ((PLAIN, ["--levels", "16"]),
                           (WEIGHTED, ["--levels", "12", "--importance", net.importance]),
                           (UNIFORM, ["--step", "0.1", "--importance", net.importance])):
        net.survivors(*options, "--codec", "huffman-gaps")
        told.append(net.check(ratio))
    return "; ".join(told)


def zero_as_a_symbol(net):
    net.compress("--step", "0.06", "--rdo", "--codec", "huffman-gaps", "--importance",
                 net.importance)
    return net.check(ZERO)


def training_of_levels(net):
    """Too few levels; their training makes up for most of it."""
    net.survivors("--levels", "6", "--codec", "huffman-gaps")
    tuned = os.path.join(net.folder, "tuned.nq")
    before = net.accuracy(net.file)
    run(net.lenet, "tune", net.file, tuned, net.images, "--steps", "20", "--batch", "64", "--rate",
        "0.003", "--hold-out", HELD_OUT)
    after = net.accuracy(tuned)
    demand(os.path.getsize(tuned) == os.path.getsize(net.file), "levels changed the file's size")
    demand(after >= before + 0.5, f"{before} % before, {after} % after")
    return f"{before} % before, {after} % after"


def smallest(net):
    net.compress("--step", "0.06", "--rdo", "--importance", net.importance)
    return net.check(SMALLEST)


def main():
    root, lenet, nq = sys.argv[1:4]
    data = find_data(root)
    images = os.path.join(data, "mnist") if data else ""
    if not os.path.exists(os.path.join(images, "train-images-idx3-ubyte")):
        print("1..0 # SKIP no images: set NQ_DATA to a folder that holds mnist/")
        return 0
    tests = [("pruned", paper_methods), ("pruned", zero_as_a_symbol),
             ("pruned", training_of_levels), ("sparse", smallest)]
    print(f"1..{len(tests)}")
    good = True
    with tempfile.TemporaryDirectory(prefix="nq-lenet-") as folder:
        nets = {}
        for number, (name, test) in enumerate(tests, 1):
            title = f"{name}, {test.__name__.replace('_', ' ')}"
            try:
                if name not in nets:
                    source = os.path.join(root, "examples", "lenet", f"lenet5-{name}.nq")
                    nets = {name: Network(lenet, nq, images, source, folder)}
                print(f"ok {number} - {title}: {test(nets[name])}", flush=True)
            except Failed as problem:
                good = False
                print(f"not ok {number} - {title}\n# {problem}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
