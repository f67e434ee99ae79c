"""Which tensors are quantized, how, and what comes back of each type."""

import random
import struct

import files
from files import (PACK, SIZES, bf16, bf16_bits, cell, f16, f16_bits, f32, gauss, levels_of, near_floats,
                   parse, safetensors, to_f32, values)
from harness import demand

STEP = 0.01


def road(nq, tensors, *options, back=()):
    """There and back; returns what info tells and the tensors."""
    nq.write("m.safetensors", safetensors(tensors))
    nq.run("compress", "m.safetensors", "--force", *options)
    nq.run("verify", "m.nq")
    nq.run("decompress", "m.nq", "-o", "back.safetensors", "--force", *back)
    return nq.json("info", "m.nq")["tensors"], parse(nq.read("back.safetensors"))[0]


def check_uniform(nq):
    """Each weight becomes the mean of its cell, as a float."""
    w = gauss(5000) + [to_f32(x) for x in (0.0, -0.0, 0.005, -0.005, 0.015, 1e-30, 3.0, -3.0)]
    for codec in ("auto", "fixed", "huffman", "rans", "huffman-gaps"):
        info, back = road(nq, [("w", "F32", [len(w)], f32(w))], "--step", repr(STEP), "--codec", codec)
        levels = levels_of(w, STEP)
        got = values("F32", back[0][3])
        demand(near_floats(got, [levels[cell(x, STEP)] for x in w]), f"{codec}: values")
        demand(info[0]["levels"] == len(levels) and info[0]["step"] == STEP, f"{codec}: levels, step")
        demand(info[0]["codec"] == codec or codec == "auto" and info[0]["codec"] in ("fixed", "huffman", "rans", "huffman-gaps"),
               f"{codec}: codec {info[0]['codec']}")


def check_level_rules(nq):
    w = gauss(5000)
    _, grid = road(nq, [("w", "F32", [5000], f32(w))], "--step", "0.01", "--level", "grid")
    demand(values("F32", grid[0][3]) == [to_f32(0.01 * cell(x, 0.01)) for x in w], "grid")
    _, mean = road(nq, [("w", "F32", [5000], f32(w))], "--step", "0.01", "--level", "mean")
    _, weighted = road(nq, [("w", "F32", [5000], f32(w))], "--step", "0.01")
    demand(mean == weighted, "weighted without importance is the mean")


def check_scopes(nq):
    a, b = gauss(3000, 1), gauss(3000, 2, 0.5)
    tensors = [("a", "F32", [3000], f32(a)), ("b", "F32", [3000], f32(b))]
    info, back = road(nq, tensors, "--step", "0.02")
    levels = levels_of(a + b, 0.02)
    demand(info[0]["levels"] == info[1]["levels"] == len(levels), "model: one codebook")
    demand(near_floats(values("F32", back[0][3]), [levels[cell(x, 0.02)] for x in a]), "model: values")
    info, back = road(nq, tensors, "--step", "0.02", "--scope", "tensor")
    for i, w in enumerate((a, b)):
        levels = levels_of(w, 0.02)
        demand(info[i]["levels"] == len(levels), "tensor: its own codebook")
        demand(near_floats(values("F32", back[i][3]), [levels[cell(x, 0.02)] for x in w]), "tensor: values")


def check_number_of_levels(nq):
    """--levels K: the smallest step whose used cells number at most K."""
    w = gauss(3000)
    for k in (1, 2, 3, 7, 16, 255):
        info, _ = road(nq, [("w", "F32", [3000], f32(w))], "--levels", str(k))
        step = info[0]["step"]
        demand(info[0]["levels"] == len({cell(x, step) for x in w}) <= k, f"{k}: used cells")
        smaller = len({cell(x, step * (1 - 1e-12)) for x in w})
        demand(smaller > k, f"{k}: a smaller step has {smaller} cells only")


def check_which_are_quantized(nq):
    tensors = [("n1023", "F32", [1023], f32(gauss(1023))), ("n1024", "F32", [1024], f32(gauss(1024))),
               ("scalar", "F32", [], f32([0.5])), ("empty", "F32", [0, 3], b""),
               ("cube", "F16", [11, 10, 10], f16(gauss(1100))), ("brain", "BF16", [1, 1024, 1], bf16(gauss(1024))),
               ("double", "F64", [1024], files.f64(gauss(1024))), ("ints", "I32", [1024], bytes(4096))]

    def quantized(*options):
        info, back = road(nq, tensors, "--step", "0.01", *options)
        for source, got, told in zip(tensors, back, info):
            demand(source[:3] == got[:3], f"{source[0]}: name, type or shape")
            demand(told["codec"] != "stored" or source[3] == got[3], f"{source[0]}: stored, but changed")
        return [t["name"] for t in info if t["codec"] != "stored" and t["elements"] > 0]

    demand(quantized() == ["n1024", "cube", "brain"], "default")
    demand(quantized("--min-elems", "1023") == ["n1023", "n1024", "cube", "brain"], "1023")
    demand(quantized("--min-elems", "0") == ["n1023", "n1024", "scalar", "cube", "brain"], "0")
    demand(quantized("--min-elems", "1025") == ["cube"], "1025")
    demand(quantized("--keep", "*") == [], "--keep '*'")
    demand(quantized("--keep", "n*", "--keep", "b?ai[m-o]") == ["cube"], "two globs")
    demand(quantized("--keep", "n102") == ["n1024", "cube", "brain"], "the whole name must match")
    demand(quantized("--rule", "scalar:keep=no") == ["n1024", "scalar", "cube", "brain"], "keep=no")
    demand(quantized("--rule", "cube:keep=yes") == ["n1024", "brain"], "keep=yes")
    demand(quantized("--keep", "*", "--rule", "cube:keep=no") == ["cube"], "keep=no beats --keep")
    demand(quantized("--rule", "ints:keep=no") == ["n1024", "cube", "brain"], "integers stay")


def check_stars_match_all(nq):
    tensors = [(name, "F32", [1024], f32(gauss(1024, i)))
               for i, name in enumerate(("a.b/c.weight", "a.weight", "weight", "a.weight.x"))]
    info, _ = road(nq, tensors, "--step", "0.01", "--keep", "*.weight")
    demand([t["codec"] == "stored" for t in info] == [True, True, False, False], "globs")


def check_lossless(nq):
    """16-bit floats and integers come back bit for bit and smaller; F32 as without the option."""
    r = random.Random(4)
    halves = b"".join(struct.pack("<H", r.choice((r.randrange(65536), 0x7e5a, 0xfc01, 0x8000, 0x3c00 + r.randrange(99))))
                      for _ in range(9000))
    ints = bytes(min(255, max(0, round(r.gauss(128, 20)))) for _ in range(9000))
    w = gauss(9000)
    tensors = [("f16", "F16", [9000], halves), ("bf16", "BF16", [90, 100], bf16(w)),
               ("f32", "F32", [9000], f32(w)), ("kept", "F32", [9000], f32(w)), ("few", "F32", [900], f32(w[:900])),
               ("u8", "U8", [9000], ints), ("i8", "I8", [9000], bytes(x ^ 128 for x in ints)),
               ("i16", "I16", [9000], struct.pack("<9000h", *(x * 9 - 900 for x in ints))),
               ("noise", "U16", [9000], r.randbytes(18000)), ("i32", "I32", [900], bytes(3600)),
               ("tiny", "F16", [3], halves[:6]), ("empty", "BF16", [0], b"")]
    keep = ("--step", "0.01", "--keep", "kept")
    for codec in ("auto", "huffman", "rans"):
        info, back = road(nq, tensors, *keep, "--lossless", "--codec", codec)
        _, lossy = road(nq, tensors, *keep, "--keep", "*f16", "--codec", codec)
        for source, got, told, other in zip(tensors, back, info, lossy):
            name = source[0]
            demand(source[:3] == got[:3], f"{codec} {name}: name, type or shape")
            demand(got[3] == (other[3] if name == "f32" else source[3]), f"{codec} {name}: bits")
            demand((told["codec"] == "stored") == (name in ("noise", "i32", "tiny", "empty")),
                   f"{codec} {name}: {told['codec']}")
            demand((told["levels"] > 0) == (name == "f32") == (told["method"] is not None), f"{codec} {name}: levels")
            limit = {"f16": 0.9, "bf16": 0.75, "kept": 0.9, "few": 0.95, "u8": 0.85, "i8": 0.85, "i16": 0.85}.get(name)
            demand(not limit or told["bytes"] < limit * len(source[3]), f"{codec} {name}: {told['bytes']} bytes")
        nq.run("compress", "m.safetensors", "--force", *keep, "--lossless", "--codec", codec)
        told = nq.json("compare", "m.safetensors", "m.nq", expected=1)
        demand(told["elements"] == 9000 * 4 + 903, "compare: elements")
        demand([t["name"] for t in told["tensors"] if not t["equal"]] == ["f32"], "compare: equal")
    info, back = road(nq, tensors, *keep, "--lossless", "--rule", "bf16:step=0.02", "--rule", "f32:lossless=yes",
                      "--rule", "u8:lossless=no", "--rule", "f16:keep=yes", "--rule", "few:keep=no")
    told = {t["name"]: t for t in info}
    demand(told["bf16"]["levels"] > 0 and told["few"]["levels"] > 0, "a rule's goal, keep=no")
    demand(told["f32"]["levels"] == 0 and told["f32"]["codec"] != "stored" and back[2][3] == f32(w), "lossless=yes")
    demand(told["u8"]["codec"] == "stored" and told["f16"]["codec"] != "stored", "lossless=no, keep=yes")
    demand("lossless" in nq.run("compress", "m.safetensors", "--rule", "a:lossless=maybe", expected=2).err, "maybe")


def check_rules(nq):
    w = [gauss(2000, i) for i in range(3)]
    tensors = [(n, "F32", [2000], f32(x)) for n, x in zip(("a.0", "a.1", "b"), w)]
    info, back = road(nq, tensors, "--step", "0.01", "--codec", "huffman", "--rule", "a.*:step=0.05",
                      "--rule", "a.1:step=0.1,codec=fixed,level=grid", "--rule", "c:step=1")
    demand([t["step"] for t in info] == [0.05, 0.1, 0.01], "the last rule that matches wins")
    demand([t["codec"] for t in info] == ["huffman", "fixed", "huffman"], "codec of a rule")
    demand(values("F32", back[1][3]) == [to_f32(0.1 * cell(x, 0.1)) for x in w[1]], "level of a rule")
    levels = levels_of(w[0], 0.05)
    demand(near_floats(values("F32", back[0][3]), [levels[cell(x, 0.05)] for x in w[0]]),
           "a tensor with a target of its own has a codebook of its own")
    info, _ = road(nq, tensors, "--step", "0.01", "--rule", "a.1:step=0.1", "--rule", "a.*:codec=fixed")
    demand([t["step"] for t in info] == [0.01] * 3, "the last rule holds alone")
    info, _ = road(nq, tensors, "--step", "0.01", "--rule", "b:levels=5")
    demand(info[2]["levels"] <= 5 and info[0]["levels"] > 5, "levels of a rule")
    info, _ = road(nq, tensors, "--step", "0.01", "--rule", "*:scope=tensor")
    demand(len({t["levels"] for t in info}) > 1, "scope of a rule")


def check_globs_that_match_nothing_are_told(nq):
    nq.write("m.safetensors", safetensors([("a", "F32", [2000], f32(gauss(2000)))]))
    output = nq.run("compress", "m.safetensors", "--step", "0.01", "--keep", "x*", "--rule", "y:step=1")
    demand("'x*'" in output.err and "'y:step=1'" in output.err, "notes")
    output = nq.run("compress", "m.safetensors", "--step", "0.01", "--keep", "x*", "--force", "--quiet")
    demand(output == b"" and output.err == "", "--quiet")


# ---- Types -------------------------------------------------------------------------------------


def check_all_types_byte_for_byte(nq):
    payload = bytes(range(256)) * 30
    tensors = [(dtype, dtype, [int(len(payload) / size)], payload) for dtype, size in SIZES.items()]
    info, back = road(nq, tensors, "--step", "1", "--keep", "*")
    demand(back == tensors, "something changed")
    demand(all(t["codec"] == "stored" for t in info), "not stored")
    others = [t for t in tensors if t[1] not in ("F32", "F16", "BF16")]
    _, back = road(nq, others, "--step", "1", "--min-elems", "0")
    demand(back == others, "other types changed")


def check_halves_round_to_nearest_even(nq):
    """Quantized values round once, from the float level to the source's type."""
    w = gauss(4000) + [60000.0, -60000.0, 1e-7, 6e-8]
    for dtype, bits in (("F16", f16_bits), ("BF16", bf16_bits)):
        source = PACK[dtype](w)
        exact = values(dtype, source)
        _, back = road(nq, [("w", dtype, [len(w)], source)], "--step", "0.013", "--min-elems", "0")
        got = struct.unpack(f"<{len(w)}H", back[0][3])
        _, wide = road(nq, [("w", dtype, [len(w)], source)], "--step", "0.013", "--min-elems", "0",
                       back=["--dtype", "f32"])
        demand(wide[0][1] == "F32", "--dtype f32")
        levels = levels_of(exact, 0.013)
        floats = values("F32", wide[0][3])
        demand(near_floats(floats, [levels[cell(x, 0.013)] for x in exact]), f"{dtype}: levels")
        demand(list(got) == [bits(x) for x in floats], f"{dtype}: rounding")


def check_dtype(nq):
    """--dtype changes floating tensors, quantized or stored, and no others."""
    special = [1.0, -0.0, 65504.0, 65519.99, 65520.0, 1e-8, 2.0 ** -25, 1.5 * 2.0 ** -25, 0.1, 3e38]
    w = gauss(2000)
    tensors = [("q", "F32", [2000], f32(w)), ("s", "F32", [10], f32(special)), ("d", "F64", [1], bytes(8)),
               ("i", "I32", [2], bytes(8)), ("h", "F16", [2], f16([0.1, 7.0])), ("b", "BF16", [2], bf16([0.1, 7.0]))]
    _, wide = road(nq, tensors, "--step", "0.01")
    for option, dtype, bits in (("f16", "F16", f16_bits), ("bf16", "BF16", bf16_bits)):
        _, back = road(nq, tensors, "--step", "0.01", back=["--dtype", option])
        demand([t[1] for t in back] == [dtype, dtype, "F64", "I32", dtype, dtype], f"{option}: types")
        for i in (0, 1):
            expected = [bits(x) for x in values("F32", wide[i][3])]
            demand(list(struct.unpack(f"<{len(expected)}H", back[i][3])) == expected,
                   f"{option}: rounding of {tensors[i][0]}")
        demand(back[2][3] == bytes(8) and back[3][3] == bytes(8), f"{option}: others")
    _, back = road(nq, tensors, "--step", "0.01", back=["--dtype", "f32"])
    demand([t[1] for t in back] == ["F32", "F32", "F64", "I32", "F32", "F32"], "f32: types")
    demand(values("F32", back[4][3]) == values("F16", tensors[4][3]), "f32 of f16")


def check_non_finite_values_in_kept_tensors(nq):
    odd = struct.pack("<6I", 0x7fc00001, 0xffc12345, 0x7f800001, 0x7f800000, 0xff800000, 0x80000000)
    tensors = [("odd", "F32", [6], odd), ("w", "F32", [2000], f32(gauss(2000))),
               ("large", "F32", [1500], f32([float("nan")] * 1500))]
    _, back = road(nq, tensors, "--step", "0.01", "--keep", "large")
    demand(back[0][3] == odd and back[2][3] == tensors[2][3], "changed")


def check_select(nq):
    tensors = [(n, "F32", [1100], f32(gauss(1100, i))) for i, n in enumerate(("a.w", "b.w", "b.x", "c"))]
    _, whole = road(nq, tensors, "--step", "0.01")
    for globs, names in ((["b.*"], ["b.w", "b.x"]), (["c", "a.*"], ["a.w", "c"]), (["*"], ["a.w", "b.w", "b.x", "c"])):
        options = [o for g in globs for o in ("--tensor", g)]
        nq.run("decompress", "m.nq", "-o", "part.safetensors", "--force", *options)
        demand(parse(nq.read("part.safetensors"))[0] == [t for t in whole if t[0] in names], f"{globs}")
    nq.run("decompress", "m.nq", "-o", "none.safetensors", "--tensor", "c", "--tensor", "d", expected=2)
    demand("none.safetensors" not in nq.files(), "written for a glob that matches nothing")


def check_threads_make_no_difference(nq):
    nq.write("m.safetensors", safetensors([("a", "F32", [700, 811], f32(gauss(700 * 811))),
                                           ("b", "BF16", [5000], bf16(gauss(5000, 2)))]))
    made = set()
    for threads in (1, 2, 5):
        nq.run("compress", "m.safetensors", "--step", "0.003", "--force", "--threads", str(threads))
        nq.run("decompress", "m.nq", "-o", "back.safetensors", "--force", "--threads", str(threads))
        made.add((nq.read("m.nq"), nq.read("back.safetensors")))
    demand(len(made) == 1, "other bytes")


def check_models_without_tensors(nq):
    info, back = road(nq, [], "--step", "0.01")
    demand(info == [] and back == [], "tensors out of nothing")
    _, back = road(nq, [("e", "F32", [0], b"")], "--step", "0.01", "--min-elems", "0")
    demand(back == [("e", "F32", [0], b"")], "an empty tensor")


def check_one_value_only(nq):
    for value in (0.0, -0.0, 0.3, -7.25):
        _, back = road(nq, [("w", "F32", [2000], f32([value] * 2000))], "--step", "0.5")
        demand(values("F32", back[0][3]) == [to_f32(value)] * 2000, f"{value}")
