"""What the verbs print: JSON for programs, tables for people, progress for those who watch."""

import json
import math
import os
import pty
import re

from files import bf16, cell, entropy, f32, f64, gauss, near, parse, product, safetensors, values
from harness import demand

TOTALS = ["original_bytes", "compressed_bytes", "ratio", "bits_per_weight", "elements"]
TENSOR = ["name", "dtype", "shape", "elements", "method", "codec", "levels", "step", "bytes",
          "bits_per_weight", "entropy_bits"]
ERRORS = ["mse", "sqnr_db", "max_abs_error", "weighted_distortion"]


def tensors():
    return [("a.weight", "F32", [60, 50], f32(gauss(3000))), ("b", "BF16", [2000], bf16(gauss(2000, 2))),
            ("small", "F32", [2, 2], f32([1.0, 2.0, 3.0, 4.0])), ("ids", "I64", [3], bytes(24)),
            ("none", "F32", [0], b"")]


def model(nq):
    nq.write("m.safetensors", safetensors(tensors(), {"k": "v"}))


def check_json_of_compress(nq):
    model(nq)
    told = nq.json("compress", "m.safetensors", "--step", "0.02")
    demand(list(told) == TOTALS + ERRORS + ["tensors"], f"keys {list(told)}")
    for t in told["tensors"]:
        demand(list(t) == TENSOR + ERRORS, f"keys of a tensor: {list(t)}")
    size, packed = os.path.getsize(nq.path("m.safetensors")), os.path.getsize(nq.path("m.nq"))
    demand(told["original_bytes"] == size and told["compressed_bytes"] == packed, "sizes")
    demand(told["elements"] == 5004, "elements count every floating one")
    demand(near(told["ratio"], size / packed) and near(told["bits_per_weight"], 8 * packed / 5004), "rates")
    for t, (name, dtype, shape, _) in zip(told["tensors"], tensors()):
        n = product(shape)
        demand((t["name"], t["dtype"], t["shape"], t["elements"]) == (name, dtype, shape, n), f"{name}")
        demand(near(t["bits_per_weight"], 8 * t["bytes"] / n if n else 0.0), f"{name}: bits_per_weight")
        is_coded = name in ("a.weight", "b")
        demand((t["codec"] != "stored") == is_coded, f"{name}: codec")
        demand(t["method"] == ("uniform" if is_coded else None), f"{name}: method")
        demand(t["step"] == (0.02 if is_coded else None), f"{name}: step")
        demand((t["entropy_bits"] is not None) == is_coded, f"{name}: entropy_bits")


def check_errors_of_compress(nq):
    model(nq)
    told = nq.json("compress", "m.safetensors", "--step", "0.02")
    nq.run("decompress", "m.nq", "-o", "back.safetensors")
    total = [0.0, 0.0, 0.0, 0]
    for t, source, got in zip(told["tensors"], tensors(), parse(nq.read("back.safetensors"))[0]):
        if source[1] == "I64":
            demand([t[k] for k in ERRORS] == [0, None, 0, 0], "integers have no errors")
            continue
        w, v = values(source[1], source[3]), values(got[1], got[3])
        squares, energy = sum((x - y) ** 2 for x, y in zip(w, v)), sum(x * x for x in w)
        worst = max([abs(x - y) for x, y in zip(w, v)], default=0.0)
        demand_errors(t, squares, energy, worst, len(w))
        total = [total[0] + squares, total[1] + energy, max(total[2], worst), total[3] + len(w)]
    demand_errors(told, *total)


def demand_errors(told, squares, energy, worst, n):
    demand(near(told["mse"], squares / n if n else 0.0), f"mse {told['mse']}")
    demand(near(told["max_abs_error"], worst), "max_abs_error")
    demand(near(told["weighted_distortion"], squares), "weighted_distortion without importance")
    if squares == 0:
        demand(told["sqnr_db"] is None, "an infinite sqnr_db is null")
    else:
        demand(abs(told["sqnr_db"] - 10 * math.log10(energy / squares)) < 1e-9, "sqnr_db")


def check_entropy(nq):
    model(nq)
    told = nq.json("compress", "m.safetensors", "--step", "0.02")
    info = nq.json("info", "m.nq")
    for t, i, source in zip(told["tensors"], info["tensors"], tensors()):
        if t["codec"] == "stored":
            continue
        true = entropy([cell(x, 0.02) for x in values(source[1], source[3])])
        demand(abs(t["entropy_bits"] - true) < 1e-9 and abs(i["entropy_bits"] - true) < 1e-9,
               f"{t['name']}: {t['entropy_bits']}, {i['entropy_bits']}, not {true}")


def check_json_of_info(nq):
    model(nq)
    made = nq.json("compress", "m.safetensors", "--step", "0.02")
    info = nq.json("info", "m.nq")
    demand(list(info) == TOTALS + ["tensors"], f"keys {list(info)}")
    for key in TOTALS:
        demand(info[key] == made[key], f"{key}: {info[key]}, compress said {made[key]}")
    for a, b in zip(info["tensors"], made["tensors"]):
        demand(list(a) == TENSOR, f"keys of a tensor: {list(a)}")
        for key in TENSOR:
            same = near(a[key], b[key]) if isinstance(a[key], float) else a[key] == b[key]
            demand(same, f"{a['name']}: {key}: {a[key]}, compress said {b[key]}")


def check_numbers_have_the_digits_they_need(nq):
    """All that they need to be read back, and no more."""
    w = gauss(3000)
    nq.write("m.safetensors", safetensors([("w", "F32", [3000], f32(w))]))
    for step in (0.012345678901234567, 0.1, 0.02):
        text = nq.run("compress", "m.safetensors", "--step", repr(step), "--json", "--force").decode()
        demand(f'"step": {step!r},' in text, f"the step: {text}")
        demand(json.loads(text)["tensors"][0]["step"] == step, "the step")
        demand("inf" not in text.lower() and "nan" not in text.lower(), "no JSON")
        for number in re.findall(r"-?\d[-+.\de]*", text):
            demand(len(number) <= len(f"{float(number)!r}") + 1, f"{number} has needless digits")


def check_dry_run_tells_the_same(nq):
    model(nq)
    dry = nq.json("compress", "m.safetensors", "--step", "0.02", "--dry-run")
    demand(nq.files() == ["m.safetensors"], "wrote something")
    demand(dry == nq.json("compress", "m.safetensors", "--step", "0.02"), "another report")


def check_weighted_distortion(nq):
    w, h = gauss(3000), [abs(x) + 0.01 for x in gauss(3000, 5, 1.0)]
    nq.write("m.safetensors", safetensors([("w", "F32", [3000], f32(w)), ("s", "F32", [2], f32([1.0, 2.0]))]))
    nq.write("h.safetensors", safetensors([("w", "F64", [3000], f64(h))]))
    told = nq.json("compress", "m.safetensors", "--step", "0.05", "--importance", "h.safetensors",
                   "--importance-power", "0.5")
    nq.run("decompress", "m.nq", "-o", "back.safetensors")
    v = values("F32", parse(nq.read("back.safetensors"))[0][0][3])
    true = sum(i * (x - y) ** 2 for i, x, y in zip(h, w, v))
    demand(near(told["weighted_distortion"], true), "with importance as given, before shaping")
    demand(near(told["tensors"][0]["weighted_distortion"], true), "of the tensor")
    for other in ("m.nq", "back.safetensors"):
        compared = nq.json("compare", "m.safetensors", other, "--importance", "h.safetensors", expected=1)
        demand(near(compared["weighted_distortion"], true), f"compare with {other}")


def check_json_of_the_others(nq):
    model(nq)
    nq.run("compress", "m.safetensors", "--step", "0.02")
    demand(nq.json("verify", "m.nq") == {"tensors": 5, "damaged": []}, "verify")
    told = nq.json("decompress", "m.nq", "-o", "x.safetensors", "--tensor", "b", "--dtype", "f32")
    demand(told == {"bytes": os.path.getsize(nq.path("x.safetensors")),
                    "tensors": [{"name": "b", "dtype": "F32", "shape": [2000], "elements": 2000}]},
           f"decompress: {told}")


def check_tables(nq):
    model(nq)
    text = nq.run("compress", "m.safetensors", "--step", "0.02").decode()
    for word in ("m.nq", "original", "compressed", "ratio", "bits/weight", "SQNR"):
        demand(word in text, f"compress without {word}")
    text = nq.run("info", "m.nq").decode()
    lines = text.split("\n")
    demand(lines[0].split() == ["tensor", "type", "shape", "codec", "levels", "step", "bytes", "bits/weight"],
           "headings of info")
    demand([line.split()[:3] for line in lines[1:6]] == [
        ["a.weight", "F32", "60x50"], ["b", "BF16", "2000"], ["small", "F32", "2x2"], ["ids", "I64", "3"],
        ["none", "F32", "0"]], "lines of info")
    demand("0.02" in lines[1] and "bits/weight" in text[len(lines[0]):], "step, totals")
    demand("all in order" in nq.run("verify", "m.nq").decode(), "verify")
    demand("x.safetensors: 5 tensors" in nq.run("decompress", "m.nq", "-o", "x.safetensors").decode(), "decompress")
    text = nq.run("compare", "m.safetensors", "m.nq", expected=1).decode()
    demand("a.weight" in text and "differs" in text and "exact" in text, "compare")


def check_quiet(nq):
    model(nq)
    for arguments, code in ((["compress", "m.safetensors", "--step", "0.02"], 0), (["info", "m.nq"], 0),
                            (["verify", "m.nq"], 0), (["decompress", "m.nq", "-o", "x.safetensors"], 0),
                            (["compare", "m.safetensors", "m.nq"], 1)):
        output = nq.run(*arguments, "--quiet", expected=code)
        demand(output == b"" and output.err == "", f"{arguments}: {output} {output.err}")
    nq.run("info", "nothing", "--quiet", expected=3)


def check_nothing_but_the_report(nq):
    model(nq)
    for arguments, code in ((["compress", "m.safetensors", "--step", "0.02"], 0), (["info", "m.nq"], 0),
                            (["verify", "m.nq"], 0), (["decompress", "m.nq", "-o", "x.safetensors"], 0),
                            (["compare", "m.safetensors", "m.nq"], 1)):
        demand(nq.run(*arguments, expected=code).err == "", f"{arguments}: on standard error")


def watched(nq, *arguments):
    """What standard error shows if it is a terminal."""
    parent, child = pty.openpty()
    process = nq.start(*arguments, stderr=child)
    os.close(child)
    shown = b""
    while True:
        try:
            piece = os.read(parent, 4096)
        except OSError: # the other end is closed
            break
        if not piece:
            break
        shown += piece
    process.communicate()
    os.close(parent)
    demand(process.returncode == 0, f"{arguments}: exit {process.returncode}")
    return shown


def check_progress_on_a_terminal(nq):
    n = 3_000_000
    nq.write("m.safetensors", safetensors([("w", "F32", [n], f32(gauss(1000)) * (n // 1000))]))
    for arguments in (["compress", "m.safetensors", "--step", "0.02"], ["decompress", "m.nq", "-o", "x.safetensors"]):
        shown = watched(nq, *arguments)
        demand(b"%" in shown and b"\r" in shown, f"{arguments}: no progress")
        demand(shown.endswith(b"\r\x1b[K"), f"{arguments}: progress stays: {shown[-20:]}")
    demand(watched(nq, "verify", "m.nq", "--quiet") == b"", "--quiet")
