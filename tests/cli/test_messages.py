"""What errors say: which file, which tensor, where, and what to do."""

import math
import re

from files import bf16, f16, f32, f64, gauss, safetensors
from harness import demand


def model(nq):
    return nq.write("m.safetensors", safetensors([("w", "F32", [50, 40], f32(gauss(2000)))]))


def check_mistakes_in_plain_words(nq):
    model(nq)
    for arguments, words in (
            (["--step", "0"], '--step: "0" is not a number above 0'),
            (["--importance-power", "-1"], '--importance-power: "-1" is not a number from 0'),
            (["--min-elems", "x"], '--min-elems: "x" is not a whole number from 0'),
            (["--threads", "0"], '--threads: "0" is not a whole number from 1 to 1024'),
            (["--target", "3"], '--target: "3" is not a rate (3.2bpw), ratio'),
            (["--rule", "a:step"], '"step" is not key=value')):
        error = nq.run("compress", "m.safetensors", *arguments, expected=2).err
        demand(words in error, f"{arguments}: {error}")
    error = nq.run("frobnicate", expected=2).err
    demand('"frobnicate" is not a verb' in error, error)


def check_help_tells_who_has_a_codebook(nq):
    text = " ".join(nq.run("compress", "--help").decode().split())
    demand(re.search("each tensor with .* of its own has a codebook of its own", text), text)


# ---- Numbers that may not be ---------------------------------------------------------------


def refused(nq, weights, importance=None):
    nq.write("m.safetensors", safetensors(weights))
    more = []
    if importance is not None:
        nq.write("h.safetensors", safetensors(importance))
        more = ["--importance", "h.safetensors"]
    return nq.run("compress", "m.safetensors", "--step", "0.01", *more, expected=5).err


def check_bad_weights(nq):
    """File, tensor, place, value, and what to do."""
    for value, shown in ((math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")):
        w = gauss(2000)
        w[57] = value
        error = refused(nq, [("w", "F32", [40, 50], f32(w))])
        demand(error == 'nq: m.safetensors: tensor "w": element 57 [1, 7]: a weight that is not finite '
                        f"({shown}); store the tensor as it is with --keep 'w'\n", error)
    nq.run("compress", "m.safetensors", "--step", "0.01", "--keep", "w")


def check_keep_is_named_where_it_would_work(nq):
    bad = f32([math.nan] * 2000)
    for name in ("a b.weight", "é", "x" * 60):
        error = refused(nq, [(name, "F32", [2000], bad)])
        demand(error.endswith(f"--keep '{name}'\n"), error)
        nq.run("compress", "m.safetensors", "--step", "0.01", "--keep", name, "--dry-run")
    for name in ("", "a*", "a?", "[a", "it's", "back\\slash", 'a"b', "-x", "x" * 2000, "new\nline"):
        error = refused(nq, [(name, "F32", [2000], bad)])
        demand(error.endswith("with --keep\n"), error)


def check_bad_importance_is_blamed_on_its_file(nq):
    """It was blamed on the file of the weights."""
    weights = [("w", "F32", [40, 50], f32(gauss(2000)))]
    for value, shown in ((math.nan, "nan"), (math.inf, "inf"), (-0.5, "-0.5")):
        for dtype, pack in (("F32", f32), ("F16", f16), ("BF16", bf16), ("F64", f64)):
            for shape, n, bad, place in (([40, 50], 2000, 57, "57 [1, 7]"), ([50], 50, 7, "7"),
                                         ([40, 1], 40, 3, "3 [3, 0]"), ([], 1, 0, "0")):
                h = [1.0] * n
                h[bad] = value
                error = refused(nq, weights, [("w", dtype, shape, pack(h))])
                demand(error == f'nq: h.safetensors: tensor "w": element {place}: importance that is negative or '
                                f"not finite ({shown}); make it 0 or more, or store the tensor as it is with "
                                "--keep 'w'\n", error)
                nq.write("b.safetensors", safetensors([("w", "F32", [40, 50], f32([0.0] * 2000))]))
                error = nq.run("compare", "m.safetensors", "b.safetensors", "--importance", "h.safetensors",
                               expected=5).err
                demand(error.startswith(f'nq: h.safetensors: tensor "w": element {place}: importance that is '),
                       error)
                demand(f"({shown})" in error, error)
    error = refused(nq, weights, [])
    demand(error.endswith("store the tensor as it is with --keep 'w'\n"), error)


# ---- Tensors that grow ---------------------------------------------------------------------


def check_tensors_that_grow_are_told(nq):
    """Codes are chosen among each other; that a tensor is larger quantized is said."""
    many = f32([i / 7 for i in range(2000)])
    nq.write("m.safetensors", safetensors([("w", "F32", [2000], many)]))
    err = nq.run("compress", "m.safetensors", "--levels", "2000").err
    demand('note: tensor "w": ' in err and "8000 if stored as it is (--keep 'w')" in err, err)
    nq.write("m.safetensors", safetensors([(n, "F32", [2000], many) for n in "wxy"]))
    err = nq.run("compress", "m.safetensors", "--levels", "2000", "--scope", "tensor", "--force").err
    demand('note: tensor "w" and 2 more: ' in err and "24000 if stored" in err, err)
    for options in (["--levels", "2000"], ["--levels", "16", "--scope", "tensor"]):
        demand(nq.run("compress", "m.safetensors", *options, "--force").err == "", f"{options}")
    demand(nq.run("compress", "m.safetensors", "--levels", "2000", "--scope", "tensor", "--force",
                  "--quiet").err == "", "--quiet")
