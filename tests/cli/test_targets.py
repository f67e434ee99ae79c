"""Targets: met from the safe side, close, the same for any number of threads, or refused."""

import math
import random
import re

from files import f16, f32, gauss, parse, product, safetensors, values
from harness import demand

N = 60_000
SLACK = 0.005  # how far from a target is near enough, where the method allows it


def laplace(n, seed, scale=0.02):
    draw = random.Random(seed)
    return [draw.choice((-scale, scale)) * math.log(1 - draw.random()) for _ in range(n)]


def pruned(n, seed):
    return [w if abs(w) > 0.06 else 0.0 for w in laplace(n, seed)]


def model(nq, name="m.safetensors"):
    """Layers of different sizes, kinds and types, and some that are kept."""
    nq.write(name, safetensors([
        ("a", "F32", [N], f32(gauss(N, 1, 0.05))), ("b", "F32", [100, 200], f32(laplace(20_000, 2))),
        ("c", "F16", [N // 2], f16(laplace(N // 2, 3))), ("d", "F32", [N], f32(pruned(N, 4))),
        ("bias", "F32", [300], f32(gauss(300, 5))), ("ids", "I32", [10], bytes(40))]))


def attained(report, unit):
    return {"bpw": report["bits_per_weight"], "x": report["ratio"], "dB": report["sqnr_db"],
            "B": report["compressed_bytes"]}[unit]


def is_safe(value, target, unit):
    return value <= target if unit in ("bpw", "B") else value >= target


TARGETS = ((4, "bpw"), (2.5, "bpw"), (1.2, "bpw"), (8, "x"), (20, "x"), (30, "dB"), (12.5, "dB"),
           (80_000, "B"), (25_000, "B"))


def check_fine_methods_meet_them(nq):
    """Huffman codes cannot go far below two bits without leaps: whole codewords are what they have."""
    model(nq)
    for codec in (["--codec", "auto"], ["--codec", "huffman"], ["--method", "ecsq"], ["--rdo"],
                  ["--rdo", "--level", "grid"]):
        for target, unit in TARGETS:
            if "huffman" in codec and (target, unit) in ((1.2, "bpw"), (20, "x"), (25_000, "B")):
                continue
            report = nq.json("compress", "m.safetensors", "--force", "--target", f"{target}{unit}", *codec)
            value = attained(report, unit)
            demand(is_safe(value, target, unit), f"{codec}, {target}{unit}: {value}")
            slack = 2 * SLACK if "ecsq" in codec else SLACK  # iterations end in one basin or another
            demand(abs(value - target) <= slack * target, f"{codec}, {target}{unit}: only {value}")
            demand(nq.json("info", "m.nq")["compressed_bytes"] == len(nq.read("m.nq")), "size")


def check_kmeans_comes_close(nq):
    """Where a level more or less is a leap, it is the last number of levels that keeps the promise."""
    model(nq)
    for target, unit in TARGETS:
        options = ["compress", "m.safetensors", "--force", "--method", "kmeans"]
        report = nq.json(*options, "--target", f"{target}{unit}")
        value = attained(report, unit)
        demand(is_safe(value, target, unit), f"{target}{unit}: {value}")
        levels = report["tensors"][0]["levels"]
        more = levels + 1 if unit != "dB" else levels - 1
        if more > 0 and abs(value - target) > SLACK * target:
            other = nq.json(*options, "--levels", str(more))
            demand(not is_safe(attained(other, unit), target, unit),
                   f"{target}{unit}: {levels} levels, but {more} would do")


def check_codebooks_of_their_own(nq):
    model(nq)
    for method in ("uniform", "kmeans"):
        for target, unit in ((3, "bpw"), (25, "dB")):
            report = nq.json("compress", "m.safetensors", "--force", "--scope", "tensor", "--method",
                             method, "--target", f"{target}{unit}")
            value = attained(report, unit)
            demand(is_safe(value, target, unit), f"{method}, {target}{unit}: {value}")
            demand(abs(value - target) <= 0.06 * target, f"{method}, {target}{unit}: only {value}")


def check_fixed_length_codes(nq):
    """Rates between whole numbers of bits cannot be had."""
    model(nq)
    report = nq.json("compress", "m.safetensors", "--codec", "fixed", "--target", "5.5bpw")
    demand(5 < report["bits_per_weight"] <= 5.5, f"{report['bits_per_weight']} bits")
    levels = {t["levels"] for t in report["tensors"] if t["levels"]}
    demand(levels == {32}, f"{levels} levels")


def check_the_default(nq):
    """Without a target: 30 dB."""
    model(nq)
    report = nq.json("compress", "m.safetensors")
    demand(30 <= report["sqnr_db"] <= 30.15, f"{report['sqnr_db']} dB")
    nq.run("compress", "m.safetensors", "-o", "x.nq", "--target", "30dB")
    demand(nq.read("m.nq") == nq.read("x.nq"), "not the same as --target 30dB")


def check_units(nq):
    model(nq)
    sizes = {}
    for text in ("102400B", "102.4K", "0.1024M", "0.0001024G", "100KiB", "0.09765625MiB",
                 "0.000095367431640625GiB"):
        nq.run("compress", "m.safetensors", "--force", "--target", text)
        sizes[text] = nq.read("m.nq")
    demand(len(set(sizes.values())) == 1, f"{ {t: len(s) for t, s in sizes.items()} }")


def check_any_number_of_threads(nq):
    nq.write("m.safetensors", safetensors([("w", "F32", [700_000], f32(laplace(700_000, 9))),
                                           ("v", "F32", [3000], f32(gauss(3000, 2)))]))
    for method in ("uniform", "kmeans", "ecsq"):
        for target in ("2.2bpw", "21dB"):
            files = []
            for threads in ("1", "2", "5"):
                nq.run("compress", "m.safetensors", "--force", "--method", method, "--target", target,
                       "--threads", threads)
                files.append(nq.read("m.nq"))
            demand(files[0] == files[1] == files[2], f"{method}, {target}: not the same bytes")


def check_refusals_name_what_can_be_had(nq):
    model(nq)
    before = nq.files()
    for target in ("100B", "2000x", "0.01bpw", "400dB"):
        for method in ("uniform", "kmeans"):
            message = nq.run("compress", "m.safetensors", "--method", method, "--target", target,
                             expected=1).err
            nearest = re.search(r"the nearest is (\S+)$", message.strip())
            demand(nearest, f"{target}: {message}")
            demand(nq.files() == before, f"leaves {nq.files()}")
            if not target.endswith("dB"):
                continue
            worse = f"{float(nearest[1][:-2]) * 0.999}dB"
            nq.run("compress", "m.safetensors", "--method", method, "--target", worse, "-o", "-")


def check_more_room_than_there_is_use_for(nq):
    """Weights of few values are all kept apart long before the size is reached."""
    nq.write("m.safetensors", safetensors([("w", "F32", [5000], f32([0.25, -1.5, 3.0, 0.5, 0.0] * 1000))]))
    for method in ("uniform", "kmeans"):
        nq.run("compress", "m.safetensors", "--force", "--method", method, "--target", "15000B")
        nq.run("decompress", "m.nq", "-o", "back.safetensors", "--force")
        back = parse(nq.read("back.safetensors"))[0]
        demand(values("F32", back[0][3]) == [0.25, -1.5, 3.0, 0.5, 0.0] * 1000, f"{method}: not exact")


def check_edges(nq):
    """Nothing to quantize, one weight, one value, zeros, extremes: targets that hold are met."""
    cases = {
        "nothing": [("i", "I8", [100], bytes(100))], "empty": [("e", "F32", [0, 3], b"")],
        "one weight": [("w", "F32", [1], f32([0.3]))], "one value": [("w", "F32", [2000], f32([0.3] * 2000))],
        "zeros": [("w", "F32", [2000], bytes(8000))], "negative zeros": [("w", "F32", [2000], f32([-0.0] * 2000))],
        "denormals": [("w", "F32", [2000], f32([1e-45 * (i % 9) for i in range(2000)]))],
        "extremes": [("w", "F32", [2000], f32([3.4e38, -3.4e38, 1e-40, 1.0] * 500))],
        "far apart": [("w", "F32", [2000], f32([1e8, 1e-6, -1e-6, 2e-6] * 500))],
        "two types": [("w", "F32", [1000], f32([70000.0 + i for i in range(1000)])),
                      ("v", "F16", [1000], f16([65504.0 - 32 * i for i in range(1000)]))]}
    for what, tensors in cases.items():
        nq.write("m.safetensors", safetensors(tensors))
        for method in ("uniform", "kmeans", "ecsq"):
            for target in ("20dB", "100bpw", "100K"):
                options = ["compress", "m.safetensors", "--force", "--min-elems", "0", "--method", method,
                           "--target", target]
                if target == "100bpw" and sum(product(t[2]) for t in tensors if t[1] != "I8") < 100:
                    nq.run(*options, expected=1)  # the file's frame alone is larger
                    continue
                report = nq.json(*options)
                sqnr = report["sqnr_db"]
                if target.endswith("dB"):
                    demand(sqnr is None or sqnr >= 20, f"{what}, {method}: {sqnr} dB")
                nq.run("verify", "m.nq")


def check_rules_keep_their_own(nq):
    """A tensor with a goal of its own does not follow the target, but counts."""
    model(nq)
    report = nq.json("compress", "m.safetensors", "--target", "3bpw", "--rule", "d:levels=5")
    rows = {t["name"]: t for t in report["tensors"]}
    demand(rows["d"]["levels"] <= 5, f"{rows['d']['levels']} levels")
    demand(2.985 <= report["bits_per_weight"] <= 3, f"{report['bits_per_weight']} bits")
    demand(rows["a"]["step"] == rows["c"]["step"] != rows["d"]["step"], "steps")


def check_equal_slopes(nq):
    """Layers that matter more get finer steps: less weighted error in as many bytes."""
    model(nq)
    draw = random.Random(5)
    scales = {"a": 1.0, "b": 100.0, "c": 0.01, "d": 1.0}
    sizes = {"a": [N], "b": [100, 200], "c": [N // 2], "d": [N]}
    nq.write("h.safetensors", safetensors([
        (name, "F32", shape, f32([scales[name] * draw.random() for _ in range(product(shape))]))
        for name, shape in sizes.items()]))
    for method in ("uniform", "kmeans", "ecsq"):
        found = {}
        for how in ([], ["--allocate", "slope"]):
            report = nq.json("compress", "m.safetensors", "--force", "--target", "2.5bpw", "--method", method,
                             "--scope", "tensor", "--importance", "h.safetensors", *how)
            demand(2.3 <= report["bits_per_weight"] <= 2.5, f"{method}: {report['bits_per_weight']} bits")
            found[bool(how)] = report["weighted_distortion"]
        demand(found[True] < 0.8 * found[False], f"{method}: {found}")


def check_equal_slopes_for_a_step(nq):
    """Without importance all steps come near the one that is given, or the one that suits a lambda."""
    model(nq)
    for options in (["--step", "0.01"], ["--lambda", str(0.01 ** 2 * math.log(2) / 6)]):
        report = nq.json("compress", "m.safetensors", "--force", "--scope", "tensor", "--allocate", "slope",
                         *options)
        steps = [t["step"] for t in report["tensors"] if t["step"]]
        demand(len(steps) == 4 and all(0.006 < s < 0.02 for s in steps), f"{options}: {steps}")


def check_leaps_of_equal_slopes(nq):
    """What is best for a slope leaps from one step to another; targets in between are met all the same."""
    draw = random.Random(5)
    weights = [draw.gauss(0, 0.1) * (0.02 if draw.random() < 0.7 else 1) for _ in range(20000)]
    importance = [draw.lognormvariate(0, 2) for _ in range(20000)]
    others = [draw.gauss(0, 0.1) for _ in range(2000)]
    nq.write("m.safetensors", safetensors([("a", "F32", [20000], f32(weights)), ("b", "F32", [2000], f32(others))]))
    nq.write("h.safetensors", safetensors([("a", "F32", [20000], f32(importance)),
                                           ("b", "F32", [2000], f32([1.0] * 2000))]))
    for rate in (1, 6):
        report = nq.json("compress", "m.safetensors", "--dry-run", "--rdo", "--allocate", "slope", "--scope",
                         "tensor", "--importance", "h.safetensors", "--target", f"{rate}bpw")
        demand(0.995 * rate <= report["bits_per_weight"] <= rate, f"{rate}: {report['bits_per_weight']} bits")
