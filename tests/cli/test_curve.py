"""nq curve: the points are what compress gives, in CSV and in JSON."""

import json

from files import f32, gauss, safetensors
from harness import demand
from test_targets import laplace

FIELDS = ["method", "codec", "target_bits_per_weight", "compressed_bytes", "ratio", "bits_per_weight",
          "levels", "mse", "sqnr_db", "max_abs_error", "weighted_distortion"]


def model(nq):
    nq.write("m.safetensors", safetensors([("a", "F32", [20_000], f32(gauss(20_000, 1, 0.05))),
                                           ("b", "F32", [20_000], f32(laplace(20_000, 2)))]))


def rows(text):
    lines = text.decode().strip().split("\n")
    demand(lines[0].split(",") == FIELDS, f"fields: {lines[0]}")
    return [dict(zip(FIELDS, line.split(","))) for line in lines[1:]]


def check_every_method(nq):
    model(nq)
    found = rows(nq.run("curve", "m.safetensors"))
    demand(nq.files() == ["m.safetensors"], "something was written")
    for method in ("uniform", "kmeans", "ecsq"):
        mine = [r for r in found if r["method"] == method]
        demand(len(mine) >= 8, f"{method}: {len(mine)} points")
        bits = [float(r["bits_per_weight"]) for r in mine]
        noise = [float(r["sqnr_db"]) for r in mine]
        demand(bits == sorted(bits) and noise == sorted(noise), f"{method}: {bits}, {noise}")
        demand(all(float(r["bits_per_weight"]) <= float(r["target_bits_per_weight"]) for r in mine), "rates")


def check_points_are_what_compress_gives(nq):
    model(nq)
    options = ["--codec", "huffman", "--level", "mean", "--scope", "tensor"]
    found = rows(nq.run("curve", "m.safetensors", "--method", "uniform", *options))
    point = next(r for r in found if r["target_bits_per_weight"] == "3")
    report = nq.json("compress", "m.safetensors", "--target", "3bpw", *options)
    demand(point["codec"] == "huffman", point["codec"])
    for field in FIELDS[3:6] + FIELDS[7:]:
        demand(float(point[field]) == report[field], f"{field}: {point[field]}, {report[field]}")
    demand(int(point["levels"]) == max(t["levels"] for t in report["tensors"]), "levels")


def check_json(nq):
    model(nq)
    arguments = ["curve", "m.safetensors", "--method", "kmeans", "--codec", "fixed", "--codec", "huffman"]
    points = json.loads(nq.run(*arguments, "--json"))["points"]
    table = rows(nq.run(*arguments))
    demand(len(points) == len(table) > 8, f"{len(points)} and {len(table)} points")
    demand({p["codec"] for p in points} == {"fixed", "huffman"}, "codecs")
    for point, row in zip(points, table):
        for field in FIELDS[2:]:
            demand(float(row[field]) == float(point[field]), f"{field}: {row[field]}, {point[field]}")
