"""`nq compare`: what counts as different, and what it reads."""

import struct

from files import bf16, f16, f32, f64, gauss, near, npy, safetensors
from harness import demand

ERRORS = ["mse", "sqnr_db", "max_abs_error", "weighted_distortion"]


def pair(nq, a, b):
    nq.write("a.safetensors", safetensors(a))
    nq.write("b.safetensors", safetensors(b))


def same(nq, a, b):
    pair(nq, a, b)
    told = nq.json("compare", "a.safetensors", "b.safetensors")
    demand(told["equal"] and all(t["equal"] for t in told["tensors"]), "not equal")
    return told


def other(nq, a, b, remark):
    pair(nq, a, b)
    told = nq.json("compare", "a.safetensors", "b.safetensors", expected=1)
    output = nq.run("compare", "a.safetensors", "b.safetensors", expected=1)
    demand(not told["equal"] and remark in output.decode() + output.err, f"without {remark!r}: {output.decode()}")
    return told


def check_equal_models(nq):
    a = [("x", "F32", [2, 3], f32([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])), ("y", "I32", [2], b"abcdefgh")]
    told = same(nq, a, a)
    demand(list(told) == ["equal", "elements", *ERRORS, "only_in_second", "tensors"], f"keys {list(told)}")
    demand(list(told["tensors"][0]) == ["name", "dtype", "shape", "elements", "equal", "remark", *ERRORS],
           "keys of a tensor")
    demand(told["only_in_second"] == [] and told["tensors"][0]["remark"] is None, "something lacks")
    demand(told["elements"] == 6 and told["mse"] == 0 and told["sqnr_db"] is None, "totals")
    same(nq, [], [])
    same(nq, [("e", "F32", [0, 2], b"")], [("e", "F32", [0, 2], b"")])


def check_order_and_metadata_do_not_matter(nq):
    a = [(n, "F32", [2], f32([float(i), 1.0])) for i, n in enumerate(("x", "y", "", "\u00e9"))]
    same(nq, a, a[::-1])
    nq.write("a.safetensors", safetensors(a, {"k": "1"}))
    nq.run("compare", "a.safetensors", "b.safetensors")


def check_different_values(nq):
    a, b = [1.0, 2.0, 3.0, 4.0], [1.0, 2.5, 3.0, 2.0]
    told = other(nq, [("x", "F32", [4], f32(a))], [("x", "F32", [4], f32(b))], "differs")
    demand(told["mse"] == 4.25 / 4 and told["max_abs_error"] == 2.0, "errors")
    demand(told["weighted_distortion"] == 4.25, "weighted without importance")
    for dtype, pack in (("F16", f16), ("BF16", bf16), ("F64", f64)):
        told = other(nq, [("x", dtype, [4], pack(a))], [("x", dtype, [4], pack(b))], "differs")
        demand(told["tensors"][0]["mse"] == 4.25 / 4, dtype)
        demand(told["elements"] == (0 if dtype == "F64" else 4), "F64 is no weight")


def check_special_values(nq):
    nan, inf = float("nan"), float("inf")
    same(nq, [("x", "F32", [3], f32([nan, inf, -inf]))], [("x", "F32", [3], f32([nan, inf, -inf]))])
    same(nq, [("x", "F32", [1], f32([0.0]))], [("x", "F32", [1], f32([-0.0]))])
    for a, b in ((nan, 1.0), (inf, -inf), (inf, 1.0)):
        told = other(nq, [("x", "F32", [1], f32([a]))], [("x", "F32", [1], f32([b]))], "differs")
        demand(told["mse"] is None and told["max_abs_error"] is None, "infinite errors are null")
    tiny = struct.pack("<I", 1)
    other(nq, [("x", "F32", [1], bytes(4))], [("x", "F32", [1], tiny)], "differs")
    other(nq, [("x", "F64", [1], bytes(8))], [("x", "F64", [1], tiny + bytes(4))], "differs")


def check_other_types_byte_for_byte(nq):
    for dtype, size in (("I64", 8), ("U8", 1), ("BOOL", 1), ("F8_E4M3", 1), ("C64", 8)):
        a = [("x", dtype, [4], bytes(4 * size))]
        same(nq, a, a)
        told = other(nq, a, [("x", dtype, [4], bytes(4 * size - 1) + b"\x01")], "differs")
        demand(told["mse"] == 0 and told["elements"] == 0, "errors are of floating elements")


def check_what_does_not_match(nq):
    x, y = ("x", "F32", [2], f32([1.0, 2.0])), ("y", "F32", [1], f32([1.0]))
    other(nq, [x, y], [x], "only in the first")
    other(nq, [x], [x, y], '"y" is only in b.safetensors')
    other(nq, [x], [("x", "F32", [2, 1], f32([1.0, 2.0]))], "other shape")
    other(nq, [x], [("x", "F32", [3], f32([1.0, 2.0, 3.0]))], "other shape")
    told = other(nq, [x], [("x", "F16", [2], f16([1.0, 2.0]))], "other type")
    demand(told["mse"] == 0, "values are compared over types")
    other(nq, [x], [("x", "I32", [2], f32([1.0, 2.0]))], "other type")


def check_what_was_not_compared_has_no_errors(nq):
    """It was reported with errors of 0, as if it were the same to the bit, and counted in totals."""
    x, y = ("x", "F32", [2], f32([1.0, 2.0])), ("y", "F32", [3], f32([1.0, 2.0, 3.0]))
    z = ("z\"", "F32", [1], f32([1.0]))
    for b, remark in (([x, z], "only in the first"), ([x, z, ("y", "F32", [1, 3], y[3])], "other shape"),
                      ([x, z, ("y", "I32", [3], y[3])], "other type")):
        told = other(nq, [x, y], b, remark)
        demand(told["elements"] == 2 and told["mse"] == 0, f"totals: {told}")
        demand(told["only_in_second"] == ['z"'], f"{told['only_in_second']}")
        row = told["tensors"][1]
        demand(row["remark"] == remark and not row["equal"] and row["elements"] == 3, f"{row}")
        demand([row[k] for k in ERRORS] == [None] * 4, f"errors of what was not compared: {row}")
        text = nq.run("compare", "a.safetensors", "b.safetensors", expected=1).decode()
        line = next(l for l in text.split("\n") if l.startswith("y "))
        demand(line.split()[3:6] == ["-", "-", "-"], f"table: {line}")
        demand("uncompared   1 tensor\n" in text and "2 weights" in text, f"summary: {text}")
    told = other(nq, [x], [], "only in the first")
    demand(told["elements"] == 0 and [told[k] for k in ERRORS] == [None] * 4, f"nothing was compared: {told}")
    told = other(nq, [("i", "I8", [1], b"0")], [("i", "I8", [1], b"1")], "differs")
    demand([told["tensors"][0][k] for k in ERRORS] == [None] * 4, "bytes that differ")


def check_all_formats(nq):
    w = gauss(3000)
    nq.write("w.npy", npy("<f4", [60, 50], f32(w)))
    nq.write("w.safetensors", safetensors([("array", "F32", [60, 50], f32(w))]))
    nq.run("compress", "w.npy", "--step", "0.02")
    nq.run("compress", "w.npy", "--step", "0.02", "--keep", "*", "-o", "kept.nq")
    nq.run("decompress", "w.nq", "-o", "back.safetensors")
    nq.run("compare", "w.npy", "w.safetensors")
    nq.run("compare", "w.nq", "w.nq")
    nq.run("compare", "kept.nq", "w.npy")
    nq.run("compare", "back.safetensors", "w.nq")
    a = nq.json("compare", "w.safetensors", "w.nq", expected=1)
    b = nq.json("compare", "w.safetensors", "back.safetensors", expected=1)
    demand(a == b, "a .nq file and what it becomes")
    c = nq.json("compare", "w.nq", "w.npy", expected=1)
    demand(near(c["mse"], a["mse"]), "the other way round")


def check_importance(nq):
    a, b = ("x", "F32", [2, 2], f32([1.0, 2.0, 3.0, 4.0])), ("x", "F32", [2, 2], f32([1.0, 2.5, 3.0, 2.0]))
    plain = ("y", "F32", [2], f32([1.0, 2.0]))
    pair(nq, [a, plain], [b, plain])

    def told(importance, **options):
        nq.write("h.safetensors", safetensors(importance))
        return nq.run("compare", "a.safetensors", "b.safetensors", "--importance", "h.safetensors", "--json",
                      **options)

    output = told([("x", "F32", [2], f32([3.0, 10.0]))], expected=1)
    demand(b'"weighted_distortion": 42.5' in output, "weights of columns")
    for importance in ([], [("y", "F32", [2], f32([1.0, 1.0]))], [("x", "F32", [3], f32([1.0] * 3))],
                       [("x", "F32", [2], f32([-1.0, 1.0]))], [("x", "F32", [2], f32([1.0, float("inf")]))],
                       [("x", "I32", [2], bytes(8))]):
        demand('"x"' in told(importance, expected=5).err, f"{importance}: not named")
