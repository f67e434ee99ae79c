#!/usr/bin/env python3
"""What the scripts that make reports compute: falling sequences, ratios and bits read off curves, plots
that are XML; and what corrects means. By hand-made curves and networks, whose answers are known.

usage: test_reports.py SOURCE_ROOT
"""

import math
import os
import struct
import sys
import xml.etree.ElementTree as xml

ROOT = sys.argv[1]
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(ROOT, "examples", "resnet"), os.path.join(ROOT, "docs")]
import correct
import model
import plot
import report


def load_docs_curves():
    """docs/curves.py, which has the name of the script in examples/resnet."""
    import importlib.util
    spec = importlib.util.spec_from_file_location("docs_curves", os.path.join(ROOT, "docs", "curves.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def near(a, b):
    return abs(a - b) < 1e-9


def test_falling():
    assert report.falling([5, 4, 3]) == [5, 4, 3]
    assert report.falling([3, 4, 1]) == [3.5, 3.5, 1]
    assert report.falling([1, 2, 6]) == [3, 3, 3]


def test_reach():
    points = [(12, 80.0), (8, 92.0), (10, 90.0)]
    mark, ratio = report.reach(points, 91)
    assert mark == "" and near(ratio, 9)
    mark, ratio = report.reach(points, 85)
    assert mark == "" and near(ratio, 11)
    assert report.reach(points, 95) == ("<", 8) and report.reach(points, 79) == (">", 12)


def test_bits():
    curves = load_docs_curves()
    line = [(1.0, 16.0), (2.0, 4.0), (3.0, 1.0)]
    assert near(curves.bits_at(8, line), 1.5) and near(curves.error_at(2.5, line), 2)
    assert curves.bits_at(17, line) is None and curves.bits_at(0.5, line) is None
    rows = [{"bits_per_weight": b, "weighted_distortion": d} for b, d in (("2", "5"), ("1", "9"), ("3", "6"))]
    assert curves.points(rows) == [(1.0, 9.0), (2.0, 5.0)]
    error, bits = curves.bits_of_all(2, {"uniform": line, "other": [(1.0, 8.0), (2.0, 2.0)]})
    assert near(error, 4) and near(bits["uniform"], 2) and near(bits["other"], 1.5)
    assert curves.bits_of_all(4, {"uniform": line}) is None


def test_plot():
    curves = [("a & <b>", [(1.0, 0.5), (2.0, 0.001)]), ("none", [])]
    root = xml.fromstring(plot.svg("t", "x", "y", curves, is_log_y=True, lines=[("l", 0.1)]))
    texts = [t.text for t in root.iter() if t.text and t.text.strip()]
    assert "a & <b>" in texts and "0.1" in texts and "l" in texts
    assert len([c for c in root.iter() if c.tag.endswith("circle")]) == 2


def test_rectified():
    """Against sums over a fine grid."""
    for mean, deviation in ((0.0, 1.0), (1.5, 0.5), (-2.0, 1.0), (-0.3, 3.0)):
        n, step = 20000, 16 * deviation / 20000
        places = [mean - 8 * deviation + (i + 0.5) * step for i in range(n)]
        weights = [step * math.exp(-((x - mean) / deviation) ** 2 / 2) / (deviation * math.sqrt(2 * math.pi))
                   for x in places]
        first, second = (sum(w * max(x, 0) ** power for w, x in zip(weights, places)) for power in (1, 2))
        found, variance = correct.rectified(mean, deviation ** 2)
        assert abs(found - first) < 1e-6 and abs(variance - (second - first ** 2)) < 1e-6
    assert correct.rectified(-1.0, 0.0) == (0.0, 0.0) and correct.rectified(2.0, 0.0) == (2.0, 0.0)


def tiny_resnet():
    """A first convolution and one block of two channels, with batch norms whose channels are constant or
    of unit variance around zero."""
    tensors = {}
    for layer, n_in, gamma, beta in (("", 3, 0.0, 2.0), ("layer1.0.", 2, 1.0, 0.0), ("layer1.0.", 2, 0.0, 1.0)):
        number = 2 if f"{layer}conv1.weight" in tensors else 1
        tensors[f"{layer}conv{number}.weight"] = ("F32", [2, n_in, 3, 3], model.pack([0.25] * 18 * n_in))
        for part, value in (("weight", gamma), ("bias", beta), ("running_mean", 0.5), ("running_var", 4.0)):
            tensors[f"{layer}bn{number}.{part}"] = ("F32", [2], model.pack([value] * 2))
    return tensors


def test_corrected():
    tensors = tiny_resnet()
    first, second = "layer1.0.conv1.weight", "layer1.0.conv2.weight"
    means = correct.input_means(tensors)
    assert means["conv1.weight"] == [0] * 3 and means[first] == [2] * 2
    assert all(near(m, 1 / math.sqrt(2 * math.pi)) for m in means[second])
    folded = model.fold(tensors)
    assert correct.corrected(tensors, folded, folded) == folded
    # Of the block's first convolution, the weights of channel 1 grow by 1 / 8: 18 inputs of mean 2.
    values = [0.25] * 18 + [0.375] * 18
    quantized = {**folded, first: ("F32", [2, 2, 3, 3], model.pack(values))}
    _, shape, data = correct.corrected(tensors, folded, quantized)[model.NORMS]
    was, now = (struct.unpack("<12e", d) for d in (folded[model.NORMS][2], data))
    changed = [i for i, (a, b) in enumerate(zip(was, now)) if a != b]
    assert shape == [2, 6] and changed == [9]
    assert abs(was[9] - now[9] - was[3] * 18 * 2 / 8) < 2e-3


def main():
    for test in (test_falling, test_reach, test_bits, test_plot, test_rectified, test_corrected):
        test()
        print(f"{test.__name__} passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
