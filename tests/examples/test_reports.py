#!/usr/bin/env python3
"""What the scripts that make reports compute: falling sequences, ratios and bits read off curves, plots
that are XML. By hand-made curves, whose answers are known.

usage: test_reports.py SOURCE_ROOT
"""

import os
import sys
import xml.etree.ElementTree as xml

ROOT = sys.argv[1]
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(ROOT, "examples", "resnet"), os.path.join(ROOT, "docs")]
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


def main():
    for test in (test_falling, test_reach, test_bits, test_plot):
        test()
        print(f"{test.__name__} passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
