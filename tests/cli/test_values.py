"""Weights and importance that may not be, limits, and what importance does."""

import math

from files import PACK, bf16, cell, f16, f32, f64, gauss, levels_of, near_floats, parse, safetensors, to_f32, values
from harness import demand

BAD = {"NaN": float("nan"), "infinity": float("inf"), "minus infinity": float("-inf")}


def refused(nq, weights, *options, importance=None, code=5):
    """compress is refused and leaves nothing; returns the message."""
    nq.write("m.safetensors", safetensors(weights))
    more = []
    if importance is not None:
        nq.write("h.safetensors", safetensors(importance))
        more = ["--importance", "h.safetensors"]
    before = nq.files()
    options = options or ("--step", "0.01")
    error = nq.run("compress", "m.safetensors", *options, *more, expected=code).err
    demand(nq.files() == before, f"leaves {nq.files()}")
    nq.run("compress", "m.safetensors", *options, *more, "--dry-run", expected=code)
    return error


def compressed(nq, weights, importance, *options):
    """The floats that come back, tensor by tensor, and what was said on standard error."""
    nq.write("m.safetensors", safetensors(weights))
    nq.write("h.safetensors", safetensors(importance))
    err = nq.run("compress", "m.safetensors", "--force", "--importance", "h.safetensors", *options).err
    nq.run("decompress", "m.nq", "-o", "back.safetensors", "--force")
    back = parse(nq.read("back.safetensors"))[0]
    return [values(t[1], t[3]) for t in back if t[1] in PACK], err


def check_non_finite_weights(nq):
    for what, bad in BAD.items():
        for dtype in ("F32", "F16", "BF16"):
            w = gauss(2000)
            w[1234] = bad
            message = refused(nq, [("fine", "F32", [2000], f32(gauss(2000))),
                                   ("the one", dtype, [40, 50], PACK[dtype](w))])
            demand('"the one"' in message and "1234" in message and "[24, 34]" in message,
                   f"{what}, {dtype}: {message}")


def check_the_first_of_many(nq):
    w = gauss(300_000)
    for i in (299_999, 270_000, 77):
        w[i] = float("nan")
    for threads in ("1", "4"):
        message = refused(nq, [("w", "F32", [300_000], f32(w))], "--step", "0.01", "--threads", threads)
        demand("element 77:" in message, f"{threads} threads: {message}")


def check_each_way_of_quantizing_sees_them(nq):
    w = gauss(2000)
    w[5] = float("nan")
    weights = [("w", "F32", [2000], f32(w))]
    for options in (["--levels", "16"], ["--step", "0.1", "--scope", "tensor"],
                    ["--step", "0.1", "--level", "grid"], ["--step", "0.1", "--codec", "fixed"],
                    ["--step", "1", "--keep", "x"], ["--step", "1", "--rule", "w:levels=3"]):
        demand("element 5:" in refused(nq, weights, *options), f"{options}")


# ---- Importance that may not be ------------------------------------------------------------


def check_missing_importance(nq):
    weights = [("a", "F32", [2000], f32(gauss(2000))), ("b", "F32", [2000], f32(gauss(2000, 2)))]
    ones = ("a", "F32", [2000], f32([1.0] * 2000))
    message = refused(nq, weights, importance=[ones])
    demand('"b"' in message and "h.safetensors" in message and "--keep" in message, message)
    compressed(nq, weights, [ones], "--step", "0.01", "--keep", "b")
    compressed(nq, weights, [ones], "--step", "0.01", "--rule", "b:keep=yes")
    compressed(nq, weights + [("c", "F32", [3], f32([1.0] * 3)), ("d", "I8", [2000], bytes(2000))],
               [ones, ("b", "F32", [1], f32([2.0]))], "--step", "0.01")


def check_bad_importance(nq):
    weights = [("w", "F32", [40, 50], f32(gauss(2000)))]
    for what, bad in {**BAD, "a negative number": -1.0}.items():
        for dtype in ("F32", "F16", "BF16", "F64"):
            h = [1.0] * 2000
            h[321] = bad
            message = refused(nq, weights, importance=[("w", dtype, [2000 // 50, 50], PACK[dtype](h))])
            demand('"w"' in message and "321" in message, f"{what}, {dtype}: {message}")
    h = [1.0] * 50
    h[7] = -1.0
    demand('"w"' in refused(nq, weights, importance=[("w", "F32", [50], f32(h))]), "broadcast")
    compressed(nq, weights, [("w", "F32", [50], f32([-0.0] + [1.0] * 49))], "--step", "0.01")


def check_types_and_shapes_of_importance(nq):
    weights = [("w", "F32", [4, 30, 20], f32(gauss(2400)))]
    for dtype, size in (("I32", 4), ("U8", 1), ("BOOL", 1), ("C64", 8)):
        message = refused(nq, weights, importance=[("w", dtype, [4, 30, 20], bytes(2400 * size))])
        demand(dtype in message, message)
    for shape in ([4], [30], [4, 30], [2, 30, 20], [1, 4, 30, 20], [0], [20, 30, 4]):
        message = refused(nq, weights, importance=[("w", "F32", shape, bytes(4 * math.prod(shape)))])
        demand("broadcast" in message and '"w"' in message, f"{shape}: {message}")
    for shape in ([], [1], [20], [30, 1], [4, 1, 1], [1, 30, 20], [4, 30, 20], [1, 1, 1]):
        n = math.prod(shape)
        compressed(nq, weights, [("w", "F32", shape, f32([1.0 + i for i in range(n)]))], "--step", "0.01")


# ---- What importance does ------------------------------------------------------------------


def expected_values(w, h, step):
    levels = levels_of(w, step, h)
    return [levels[cell(x, step)] for x in w]


def check_levels_are_weighted_means(nq):
    w, h = gauss(3000), [abs(x) for x in gauss(3000, 9, 2.0)]
    (got,), _ = compressed(nq, [("w", "F32", [3000], f32(w))], [("w", "F64", [3000], f64(h))],
                           "--step", "0.05", "--importance-floor", "0")
    demand(near_floats(got, expected_values(w, h, 0.05)), "weighted means")
    (got,), _ = compressed(nq, [("w", "F32", [3000], f32(w))], [("w", "F64", [3000], f64(h))],
                           "--step", "0.05", "--level", "mean")
    demand(near_floats(got, expected_values(w, None, 0.05)), "--level mean")


def check_broadcast_and_types(nq):
    w = gauss(2400)
    row, column = ([to_f32(abs(x) + 0.5) for x in gauss(n, n)] for n in (20, 30))
    for shape, h, spread in (([20], row, lambda i: row[i % 20]), ([30, 1], column, lambda i: column[i // 20 % 30])):
        for dtype in ("F32", "F64"):
            (got,), _ = compressed(nq, [("w", "F32", [4, 30, 20], f32(w))], [("w", dtype, shape, PACK[dtype](h))],
                                   "--step", "0.05", "--importance-floor", "0")
            demand(near_floats(got, expected_values(w, [spread(i) for i in range(2400)], 0.05)), f"{shape}")
    for pack, dtype in ((f16, "F16"), (bf16, "BF16")):
        h = values(dtype, pack(row))
        (got,), _ = compressed(nq, [("w", "F32", [4, 30, 20], f32(w))], [("w", dtype, [20], pack(row))],
                               "--step", "0.05", "--importance-floor", "0")
        demand(near_floats(got, expected_values(w, [h[i % 20] for i in range(2400)], 0.05)), dtype)


def check_floor_and_power(nq):
    w = gauss(3000)
    h = [math.exp(4 * x) if i % 3 else 0.0 for i, x in enumerate(gauss(3000, 9, 1.0))]
    mean = sum(h) / len(h)
    for floor, power in ((0.001, 1.0), (0.5, 1.0), (0.001, 0.5), (2.0, 2.0), (0.1, 0.0)):
        shaped = [max(x, floor * mean) ** power for x in h]
        (got,), _ = compressed(nq, [("w", "F32", [3000], f32(w))], [("w", "F64", [3000], f64(h))],
                               "--step", "0.05", "--importance-floor", str(floor), "--importance-power", str(power))
        demand(near_floats(got, expected_values(w, shaped, 0.05)), f"floor {floor}, power {power}")
    (default,), _ = compressed(nq, [("w", "F32", [3000], f32(w))], [("w", "F64", [3000], f64(h))], "--step", "0.05")
    (given,), _ = compressed(nq, [("w", "F32", [3000], f32(w))], [("w", "F64", [3000], f64(h))], "--step", "0.05",
                             "--importance-floor", "0.001", "--importance-power", "1")
    demand(default == given, "defaults are 0.001 and 1")


def check_mean_of_a_tensor(nq):
    """Averaged importance is one number a tensor: it only tells tensors apart."""
    w = [gauss(2000, 1), gauss(2000, 2)]
    h = [[abs(x) for x in gauss(2000, 3)], [10 * abs(x) for x in gauss(2000, 4)]]
    weights = [(n, "F32", [2000], f32(x)) for n, x in zip("ab", w)]
    importance = [(n, "F64", [2000], f64(x)) for n, x in zip("ab", h)]
    got, _ = compressed(nq, weights, importance, "--step", "0.05", "--importance-mean", "tensor")
    averaged = [sum(x) / len(x) for x in h for _ in x]
    demand(near_floats(got[0] + got[1], expected_values(w[0] + w[1], averaged, 0.05)), "tensor")


def check_mean_of_channels(nq):
    w = gauss(40 * 50)
    h = [abs(x) * (1 + i // 50) for i, x in enumerate(gauss(2000, 3))]
    (got,), _ = compressed(nq, [("w", "F32", [40, 50], f32(w))], [("w", "F64", [40, 50], f64(h))],
                           "--step", "0.05", "--importance-mean", "channel", "--importance-floor", "0")
    averaged = [sum(h[i // 50 * 50:i // 50 * 50 + 50]) / 50 for i in range(2000)]
    demand(near_floats(got, expected_values(w, averaged, 0.05)), "channel")


def check_ways_of_kmeans(nq):
    """The exact optimum is the least; Lloyd's method ends where no level and no cell gains by changing."""
    w = [x * x * x for x in gauss(5000, 2, 1.0)]
    w = [to_f32(x) for x in w]
    nq.write("m.safetensors", safetensors([("w", "F32", [5000], f32(w))]))
    error, files = {}, {}
    for way in (["exact"], ["optimal"], ["lloyd"], ["lloyd++"], ["lloyd++", "--seed", "1"]):
        made = nq.json("compress", "m.safetensors", "--method", "kmeans", "--levels", "9", "--force", "--kmeans", *way)
        (got,) = [values("F32", data) for data in parse_back(nq)]
        error[" ".join(way)], files[" ".join(way)] = made["mse"], nq.read("m.nq")
        if way[0] != "lloyd" and way[0] != "lloyd++":
            continue
        levels = sorted(set(got))
        for i, level in enumerate(levels):
            mine = [x for x, back in zip(w, got) if back == level]
            demand(abs(sum(mine) / len(mine) - level) < 1e-6 * max(1, abs(level)), f"{way}: level {i} is no mean")
        demand(all(abs(x - back) <= min(abs(x - level) for level in levels) + 1e-9 for x, back in zip(w, got)),
               f"{way}: not the nearest")
    demand(all(error["exact"] <= e * (1 + 1e-9) for e in error.values()), f"{error}")
    demand(error["optimal"] <= error["exact"] * (1 + 1e-5), f"{error}")
    demand(files["lloyd"] != files["lloyd++"], "two starts, one end")
    nq.run("compress", "m.safetensors", "--method", "kmeans", "--levels", "9", "-o", "n.nq")
    demand(nq.read("n.nq") == files["optimal"], "optimal is not the default")


def check_channels(nq):
    """Every channel has the levels that it would have alone, and they cost little more than that."""
    w = [to_f32(x * (1 + i // 7 % 6)) for i, x in enumerate(gauss(5 * 6 * 7))]
    h = [abs(x) for x in gauss(len(w), 3)]
    channel_of = [[i // 42 for i in range(210)], [i // 7 % 6 for i in range(210)], [i % 7 for i in range(210)]]
    for axis, channels in enumerate(channel_of):
        (got,), _ = compressed(nq, [("w", "F32", [5, 6, 7], f32(w))], [("w", "F64", [5, 6, 7], f64(h))],
                               "--step", "0.1", "--importance-floor", "0", "--min-elems", "0",
                               "--scope", "channel", "--axis", str(axis))
        for channel in set(channels):
            mine = [i for i in range(210) if channels[i] == channel]
            demand(near_floats([got[i] for i in mine],
                               expected_values([w[i] for i in mine], [h[i] for i in mine], 0.1)),
                   f"axis {axis}, channel {channel}")
        nq.run("verify", "m.nq")
        (made,) = nq.json("compress", "m.safetensors", "--step", "0.1", "--min-elems", "0", "--scope",
                          "channel", "--axis", str(axis), "--dry-run")["tensors"]
        (found,) = nq.json("info", "m.nq")["tensors"]
        demand(found["levels"] == made["levels"] and abs(found["entropy_bits"] - made["entropy_bits"]) < 1e-9,
               f"axis {axis}: {made}, {found}")


def check_channels_by_rule(nq):
    nq.write("m.safetensors", safetensors([(n, "F32", [40, 50], f32(gauss(2000, 3))) for n in "ab"]))
    sizes = []
    for rule in ("b:keep=no", "b:scope=channel", "b:scope=channel,axis=1"):
        sizes.append(nq.json("compress", "m.safetensors", "--levels", "4", "--method", "kmeans", "--rule", rule,
                             "--force")["compressed_bytes"])
        levels = len(set(values("F32", parse_back(nq)[1])))
        demand(levels == [4, 160, 200][len(sizes) - 1], f"{rule}: {levels} levels")
    demand(sizes[0] + 4 * 160 < sizes[1] + 100 and sizes[1] < sizes[2] < sizes[0] + 4 * 200 + 250, f"{sizes}")


def parse_back(nq):
    """The bytes of each tensor that comes back."""
    nq.run("decompress", "m.nq", "-o", "back.safetensors", "--force")
    return [t[3] for t in parse(nq.read("back.safetensors"))[0]]


def check_zero_importance(nq):
    """No say in the design, but coded; all zero: as if there were none, and said so."""
    w = gauss(2000)
    h = [1.0 if abs(x) < 0.1 else 0.0 for x in w]
    (got,), err = compressed(nq, [("w", "F32", [2000], f32(w))], [("w", "F32", [2000], f32(h))],
                             "--step", "0.3", "--importance-floor", "0")
    demand(err == "", err)
    demand(all(abs(a - b) < 0.31 for a, b in zip(w, got)), "values far off")
    inside = [x for x in w if cell(x, 0.3) == 0 and abs(x) < 0.1]
    level = sum(inside) / len(inside)
    demand(near_floats([got[i] for i in range(2000) if cell(w[i], 0.3) == 0][:1], [level]), "level")
    (got,), err = compressed(nq, [("w", "F32", [2000], f32(w))], [("w", "F32", [], f32([0.0]))], "--step", "0.05")
    demand(near_floats(got, expected_values(w, None, 0.05)), "not as if there were none")
    demand("zero" in err and '"w"' in err, f"not said: {err!r}")


# ---- Limits --------------------------------------------------------------------------------


def check_too_many_levels(nq):
    """Exit 6 names the smallest step that works: with it it works, with the next smaller one not."""
    n = 100_000
    w = [(i * 7919 % n) / n - 0.5 for i in range(n)]
    message = refused(nq, [("w", "F32", [n], f32(w))], "--step", "1e-6", code=6)
    step = message.split("smallest step that works is ")[1].split()[0].rstrip(".")
    nq.run("compress", "m.safetensors", "--step", step)
    info = nq.json("info", "m.nq")["tensors"][0]
    demand(info["step"] == float(step), "the step that was named")
    demand(60_000 < info["levels"] <= 65536, f"{info['levels']} levels")
    nq.run("compress", "m.safetensors", "--step", repr(math.nextafter(float(step), 0)), "--force", expected=6)
    nq.run("compress", "m.safetensors", "--levels", "65536", "--force")
    demand(nq.json("info", "m.nq")["tensors"][0]["step"] == float(step), "--levels 65536 finds the same step")


def check_huge_and_tiny_steps(nq):
    w = gauss(2000)
    nq.write("m.safetensors", safetensors([("w", "F32", [2000], f32(w))]))
    nq.run("compress", "m.safetensors", "--step", "1e300")
    demand(nq.json("info", "m.nq")["tensors"][0]["levels"] == 1, "one cell")
    nq.run("compress", "m.safetensors", "--step", "1e-12", "--force")
    demand(nq.json("info", "m.nq")["tensors"][0]["levels"] == len(set(w)), "every value its own cell")
    nq.run("compare", "m.safetensors", "m.nq")
    err = nq.run("compress", "m.safetensors", "--step", "1e-300", "--force", expected=6).err
    step = err.split("smallest step that works is ")[1].strip()
    nq.run("compress", "m.safetensors", "--step", step, "--force")
    nq.run("compare", "m.safetensors", "m.nq")
