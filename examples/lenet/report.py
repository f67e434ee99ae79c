"""The report of experiment.py: Markdown, a CSV of all points, and a plot for each section. Nothing is
measured here but accuracy on the test images, of what was chosen before."""

import csv
import os

import plot

DOWN = 0.1  # of accuracy on the test images that is allowed

PREFIXES = ("", "thin-", "sparse-")  # of sections, by network

# The paper's table: accuracy and ratio, what was to be reached here, and the curves it is reached by.
ROWS = [
    ("k-means + Huffman", "99.27, 44.58", 48, [("paper", 0)]),
    ("Hessian-weighted k-means + Huffman", "99.27, 47.16", 54, [("paper", 1)]),
    ("uniform + Huffman", "99.28, 51.25", 53, [("paper", 2)]),
    ("the same with rate-distortion optimal assignment", "–", 70, [("zero", 1), ("zero", 2)]),
    ("iterative ECSQ + Huffman, over the surviving weights", "99.27, 49.01", 53, [("paper", 3)]),
    ("the same over all weights, zero a symbol", "–", 80, [("zero", 3), ("zero", 4)]),
    ("best of libnq", "–", 100,
     [("scope", i) for i in range(5)] + [("zero", i) for i in range(5)]),
]


def percent(value):
    return f"{value:.2f} %"


def best(points):
    return max((p for p in points if p), key=lambda p: p["ratio"], default=None)


def found(done, prefix, places, key):
    """The smallest of the points chosen on those curves of the network with that prefix."""
    return best(done[prefix + section]["curves"][i][key] for section, i in places
                if prefix + section in done)


class Writer:
    def __init__(self, folder, lab, nets, floor):
        self.folder, self.lab, self.nets, self.floor = folder, lab, nets, floor
        self.lines = []
        self.allowed = nets["dense"]["test"] - DOWN

    def say(self, *lines):
        self.lines += lines

    def table(self, head, rows):
        self.say("| " + " | ".join(head) + " |", "|" + "---|" * len(head))
        self.say(*("| " + " | ".join(row) + " |" for row in rows), "")

    def test(self, point):
        return self.lab.judge(self.lab.path(point_of(point)))

    def cell(self, point):
        """Ratio, and accuracy on the test images."""
        if not point:
            return "none good enough"
        accuracy = self.test(point)
        mark = "" if accuracy >= self.allowed - 1e-9 else " (!)"
        return f"{point['ratio']:.2f}, {percent(accuracy)}{mark}"


def point_of(measured):
    keys = ("network", "over", "importance", "codec", "tuned", "options")
    return {key: measured[key] for key in keys}


def settings(point):
    words = " ".join(point["options"])
    if point["importance"]:
        words += f" --importance {point['importance']}"
    verb = "lenet survivors" if point["over"] == "survivors" else "nq compress"
    return f"`{verb} {words} --codec {point['codec']}`"


# ---- The parts ----------------------------------------------------------------------------------

def write_networks(w):
    w.say("## The networks", "")
    w.table(["network", "weights left", "held out", "test"],
            [[name, percent(100 * w.nets[name]["density"]), percent(w.nets[name]["held_out"]),
              percent(w.nets[name]["test"])] for name in w.nets])


def verdict(w, goal, points):
    """Of points that are good enough on the test images, too, the smallest against the goal."""
    passed = best(p for p in points if p and w.test(p) >= w.allowed - 1e-9)
    if not passed:
        return "none good enough"
    lacking = goal - passed["ratio"]
    if lacking <= 0:
        return f"{passed['ratio']:.2f}: reached"
    near = [f"{p['ratio']:.2f} has {100 * (w.allowed - w.test(p)):.0f} images too many wrong"
            for p in points if p and p["ratio"] >= goal]
    return "; ".join([f"{passed['ratio']:.2f}: lacks {lacking:.2f}", *near])


def write_table(w, done):
    w.say("## The paper's table", "",
          "Ratio and accuracy on the test images; chosen on the held-out images alone. (!) marks what "
          f"is below the {percent(w.allowed)} that are allowed there.", "")
    rows = []
    for name, paper, goal, places in ROWS:
        points = [found(done, prefix, places, key) for prefix in PREFIXES
                  for key in ("chosen", "chosen_tuned")]
        rows.append([name, paper, f"≥ {goal}", *(w.cell(p) for p in points), verdict(w, goal, points)])
    w.table(["", "paper", "to reach", "pruned", "levels trained", "thin", "levels trained", "sparse",
             "levels trained", "outcome"], rows)


def write_winner(w, done):
    places = ROWS[-1][-1]
    point = best(found(done, prefix, places, key) for prefix in PREFIXES
                 for key in ("chosen", "chosen_tuned"))
    if point:
        w.say(f"The smallest file is {point['bytes']:,} bytes, from "
              f"{settings(point)} on the {point['network']} network"
              + (", with its levels trained." if point["tuned"] else "."), "")


def write_codes(w, rows):
    w.say("## Codes", "",
          "The same values (those chosen in the table, before training) in each code, bytes of the "
          "whole file. `fixed` and `huffman` have a word for each weight, zeros included; "
          "`huffman-gaps` Huffman-coded gaps between the others; `rans` goes below a bit a weight.",
          "")
    codecs = ("fixed", "huffman", "huffman-gaps", "rans", "auto")
    w.table(["", *codecs], [[name, *(f"{sizes[c]:,}" for c in codecs)] for name, sizes in rows])


def write_section(w, key, section):
    w.say(f"## {section['title']}", "", f"![{section['title']}]({key}.svg)", "")
    has_tuned = any(c["tuned"] for c in section["curves"])
    head = ["", "ratio, test accuracy"] + (["levels trained"] if has_tuned else []) + ["by"]
    rows = []
    for curve in section["curves"]:
        chosen = best([curve["chosen"], curve["chosen_tuned"]])
        rows.append([curve["name"], w.cell(curve["chosen"])]
                    + ([w.cell(curve["chosen_tuned"])] if has_tuned else [])
                    + [settings(chosen) if chosen else ""])
    w.table(head, rows)


def draw_section(w, key, section):
    lines = [(c["name"], [(p["ratio"], p["held_out"]) for p in c["plain"]])
             for c in section["curves"]]
    lines += [(c["name"] + ", trained", [(p["ratio"], p["held_out"]) for p in c["tuned"]])
              for c in section["curves"] if c["tuned"]]
    good = [x for _, points in lines for x, y in points if y >= w.floor - 1]
    low, high = (min(good), max(good)) if good else (0, 100)
    plot.draw(os.path.join(w.folder, key + ".svg"), section["title"],
              "original bytes / bytes of the .nq file", "right of the 5,000 held out, %", lines,
              (0.95 * low, 1.05 * high + 1), (w.floor - 1, w.floor + 0.25),
              (w.floor, "unpruned - 0.1 %"))


def write_csv(w, done):
    with open(os.path.join(w.folder, "points.csv"), "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["section", "curve", "network", "over", "importance", "codec", "options",
                      "tuned_steps", "bytes", "ratio", "held_out_percent", "test_percent"])
        for key, section in done.items():
            for curve in section["curves"]:
                chosen = [curve["chosen"], curve["chosen_tuned"]]
                for p in curve["plain"] + curve["tuned"]:
                    out.writerow([key, curve["name"], p["network"], p["over"],
                                  p["importance"] or "none", p["codec"], " ".join(p["options"]),
                                  p["tuned"], p["bytes"], f"{p['ratio']:.3f}",
                                  f"{p['held_out']:.2f}",
                                  f"{w.test(p):.2f}" if p in chosen else ""])


def write(folder, lab, nets, floor, done, codes):
    os.makedirs(folder, exist_ok=True)
    w = Writer(folder, lab, nets, floor)
    w.say("# LeNet-5 on MNIST", "",
          "Made by `sh examples/lenet/reproduce.sh`. The paper's experiment, with the networks "
          "trained, pruned and measured by `examples/lenet` and compressed by libnq. A ratio is the "
          "bytes of the safetensors file over the bytes of the whole `.nq` file. All networks are "
          "trained on 55,000 images; settings are chosen on the other 5,000 of the training set, as "
          f"the smallest file with at least {percent(floor)} of them right, the dense network's minus "
          "0.1 %, and judged once on the 10,000 test images. 0.1 % are five of the "
          "one and ten of the other, and about one standard deviation of the first: neighbours in a "
          "table are often no more than luck apart, and what training levels won on the held-out "
          "images may be lost on the others.", "")
    write_networks(w)
    write_table(w, done)
    write_winner(w, done)
    write_codes(w, codes)
    for key, section in done.items():
        write_section(w, key, section)
        draw_section(w, key, section)
    write_csv(w, done)
    with open(os.path.join(folder, "README.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(w.lines).rstrip() + "\n")
