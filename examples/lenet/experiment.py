#!/usr/bin/env python3
"""The paper's experiment on LeNet-5: measures all curves, chooses on the images held out of training,
judges what was chosen on the test images, and writes the report.

usage: experiment.py LENET NQ IMAGES NETWORKS REPORT

NETWORKS is a folder with dense, pruned, thin and sparse .safetensors: see reproduce.sh.
Everything measured is kept there, so that a run that was broken off goes on.
"""

import sys

import curves
import report
from lab import Lab

ALLOWED_LOSS = 0.1  # of accuracy, in points of a hundred, against the unpruned network
TUNED_STEPS = 215   # minibatches of 128: half of the images
IMPORTANCE = "newton"
NETWORKS = ("dense", "pruned", "thin", "sparse")


def say(text):
    print(text, file=sys.stderr, flush=True)


def choose(points, floor):
    """The smallest file that is good enough; None where there is none."""
    good = [p for p in points if p["held_out"] >= floor - 1e-9]
    return max(good, key=lambda p: p["ratio"], default=None)


def measure(lab, curve, floor, tunes):
    """All points of a curve; with `tunes` those near the floor are fine-tuned, too."""
    plain = [lab.measure(point) for point in curve["points"]]
    tuned = []
    if tunes:
        chosen = choose(plain, floor)
        least = 0.97 * chosen["ratio"] if chosen else 0
        tuned = [lab.measure({**point, "tuned": TUNED_STEPS})
                 for point, found in zip(curve["points"], plain)
                 if floor - 0.8 <= found["held_out"] and found["ratio"] >= least]
    say(f"  {curve['name']}: {len(plain)} points, {len(tuned)} tuned")
    return {**curve, "plain": plain, "tuned": tuned, "chosen": choose(plain, floor),
            "chosen_tuned": choose(tuned, floor)}


def sections():
    yield ("paper", "The paper's methods on the pruned network",
           curves.paper("pruned", IMPORTANCE), True)
    yield ("paper-codes", "The same with other codes", curves.paper_codes("pruned", IMPORTANCE), False)
    yield ("paper-layers", "The same layer by layer", curves.paper_layers("pruned", IMPORTANCE), False)
    yield ("zero", "Zero as a symbol, on the pruned network, Huffman-coded gaps",
           curves.with_zero("pruned", IMPORTANCE, "huffman-gaps"), True)
    yield ("scope", "Together and layer by layer, on the pruned network",
           curves.scopes("pruned", IMPORTANCE), True)
    yield ("importance", "Kinds of importance, on the pruned network",
           curves.importances("pruned"), False)
    yield ("unpruned", "Without pruning", curves.unpruned(IMPORTANCE), False)
    yield ("thin-paper", "The paper's methods on the thin network",
           curves.paper("thin", IMPORTANCE), True)
    yield ("thin-zero", "Zero as a symbol, on the thin network, Huffman-coded gaps",
           curves.with_zero("thin", IMPORTANCE, "huffman-gaps"), False)
    yield ("sparse-paper", "The paper's methods on the sparse network",
           curves.paper("sparse", IMPORTANCE, curves.FEW_LEVELS, curves.FEW_STEPS,
                        curves.LAMBDAS[4::2]), False)
    yield ("sparse-zero", "Zero as a symbol, on the sparse network, Huffman-coded gaps",
           curves.with_zero("sparse", IMPORTANCE, "huffman-gaps"), True)
    yield ("sparse-scope", "Together and layer by layer, on the sparse network",
           curves.scopes("sparse", IMPORTANCE), True)


def codes(lab, section):
    """What each code makes of what was chosen on one curve each."""
    rows = []
    for curve in section["curves"]:
        point = curve["chosen"]
        if point:
            plain = {key: point[key] for key in
                     ("network", "over", "importance", "options", "tuned")}
            rows.append((curve["name"],
                         {codec: lab.size({**plain, "codec": codec}) for codec in
                          ("fixed", "huffman", "huffman-gaps", "rans", "auto")}))
    return rows


def networks(lab):
    found = {}
    for name in NETWORKS:
        path = lab.network(name)
        found[name] = {"held_out": lab.remember("held out " + name, lambda: lab.accuracy(path)),
                       "test": lab.judge(path), "density": lab.density(name)}
    return found


def main():
    if len(sys.argv) != 6:
        raise SystemExit(__doc__)
    lenet, nq, images, folder, out = sys.argv[1:]
    lab = Lab(lenet, nq, images, folder)
    nets = networks(lab)
    floor = nets["dense"]["held_out"] - ALLOWED_LOSS
    done = {}
    for key, title, list_of_curves, tunes in sections():
        say(title)
        done[key] = {"title": title,
                     "curves": [measure(lab, c, floor, tunes) for c in list_of_curves]}
    report.write(out, lab, nets, floor, done, codes(lab, done["paper"]))


if __name__ == "__main__":
    main()
