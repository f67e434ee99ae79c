"""The command line: help, mistakes, and options that stand anywhere."""

import os
import re

from files import f32, gauss, safetensors
from harness import demand

VERBS = {
    "compress": ["-o", "--method", "--step", "--levels", "--lambda", "--target", "--rdo", "--allocate", "--scope", "--level", "--importance",
                 "--importance-power", "--importance-floor", "--importance-mean", "--codec", "--keep",
                 "--min-elems", "--rule", "--threads", "--dry-run", "--force", "--json", "--quiet"],
    "decompress": ["-o", "--dtype", "--tensor", "--threads", "--force", "--json", "--quiet"],
    "info": ["--json", "--quiet"],
    "verify": ["--threads", "--json", "--quiet"],
    "compare": ["--importance", "--threads", "--json", "--quiet"],
    "curve": ["--method", "--codec", "--rdo", "--allocate", "--scope", "--importance", "--json"],
}


def model(nq, name="m.safetensors"):
    return nq.write(name, safetensors([("a", "F32", [50, 40], f32(gauss(2000))),
                                       ("b.bias", "F32", [1500], f32(gauss(1500, 2)))]))


def check_nothing_given(nq):
    output = nq.run(expected=2)
    demand(output == b"" and "usage: nq" in output.err, "no usage")


def check_help_and_version(nq):
    text = nq.run("--help").decode()
    for verb in VERBS:
        demand(re.search(rf"\bnq {verb}\b", text), f"--help without {verb}")
    demand("Exit codes" in text, "--help without exit codes")
    demand(nq.run("--version") == b"nq 0.1.0\n", "--version")
    demand(nq.run("-h") == nq.run("--help"), "-h")


def check_help_of_each_verb(nq):
    for verb, options in VERBS.items():
        text = nq.run(verb, "--help").decode()
        demand(text.startswith(f"usage: nq {verb} "), f"{verb} --help")
        demand(nq.run("-h", verb).decode() == text, f"-h {verb}")
        for option in options:
            demand(re.search(rf"(^|\s){option}\b", text), f"{verb} --help without {option}")
        demand(max(len(line) for line in text.split("\n")) <= 100, f"{verb} --help: too wide")


def check_mistakes(nq):
    model(nq)
    before = nq.files()
    for arguments in (
            ["frobnicate"], ["compress"],
            ["compress", "--step", "1"], ["compress", "m.safetensors", "x", "--step", "1"],
            ["compress", "m.safetensors", "--step"], ["compress", "m.safetensors", "--step", ""],
            ["compress", "m.safetensors", "--step", "0"], ["compress", "m.safetensors", "--step", "-1"],
            ["compress", "m.safetensors", "--step", "nan"], ["compress", "m.safetensors", "--step", "inf"],
            ["compress", "m.safetensors", "--step", "1x"], ["compress", "m.safetensors", "--step", " 1"],
            ["compress", "m.safetensors", "--step", "1e999"],
            ["compress", "m.safetensors", "--levels", "0"],
            ["compress", "m.safetensors", "--levels", "65537"],
            ["compress", "m.safetensors", "--levels", "-3"],
            ["compress", "m.safetensors", "--levels", "2.5"],
            ["compress", "m.safetensors", "--levels", "99999999999999999999"],
            ["compress", "m.safetensors", "--levels", "4", "--step", "1"],
            ["compress", "m.safetensors", "--levels", "4", "--target", "3bpw"],
            ["compress", "m.safetensors", "--lambda", "-1"],
            ["compress", "m.safetensors", "--allocate", "evenly"],
            ["compress", "m.safetensors", "--levels", "5", "--allocate", "slope"],
            ["compress", "m.safetensors", "--lambda", "1", "--step", "1"],
            ["compress", "m.safetensors", "--lambda", "1", "--target", "3bpw"],
            ["compress", "m.safetensors", "--level", "grid", "--method", "ecsq"],
            ["compress", "m.safetensors", "--target", "3"],
            ["compress", "m.safetensors", "--target", "3 bpw"],
            ["compress", "m.safetensors", "--target", "0x"],
            ["compress", "m.safetensors", "--target", "bpw"],
            ["compress", "m.safetensors", "--target", "1e3B"],
            ["compress", "m.safetensors", "--target", "1..5M"],
            ["compress", "m.safetensors", "--step", "1", "--method", "kmeans"],
            ["compress", "m.safetensors", "--lambda", "1", "--method", "kmeans"],
            ["compress", "m.safetensors", "--step", "1", "--codec", "zip"],
            ["compress", "m.safetensors", "--step", "1", "--scope", "row"],
            ["compress", "m.safetensors", "--step", "1", "--level", "median"],
            ["compress", "m.safetensors", "--step", "1", "--method", "magic"],
            ["compress", "m.safetensors", "--step", "1", "--min-elems", "-1"],
            ["compress", "m.safetensors", "--step", "1", "--min-elems", "x"],
            ["compress", "m.safetensors", "--step", "1", "--threads", "0"],
            ["compress", "m.safetensors", "--step", "1", "--threads", "1025"],
            ["compress", "m.safetensors", "--step", "1", "--importance-power", "-1"],
            ["compress", "m.safetensors", "--step", "1", "--importance-floor", "1"],
            ["compress", "m.safetensors", "--step", "1", "--importance-mean", "row"],
            ["compress", "m.safetensors", "--step", "1", "--rule", "a"],
            ["compress", "m.safetensors", "--step", "1", "--rule", "a:step"],
            ["compress", "m.safetensors", "--step", "1", "--rule", "a:step=0"],
            ["compress", "m.safetensors", "--step", "1", "--rule", "a:"],
            ["compress", "m.safetensors", "--step", "1", "--rule", "a:step=1,"],
            ["compress", "m.safetensors", "--step", "1", "--rule", "a:step=1,levels=2"],
            ["compress", "m.safetensors", "--step", "1", "--rule", "a:color=red"],
            ["compress", "m.safetensors", "--step", "1", "--rule", "a:keep=maybe"],
            ["compress", "m.safetensors", "--step", "1", "--force=yes"],
            ["compress", "m.safetensors", "--step", "1", "--frobnicate"],
            ["compress", "m.safetensors", "--step", "1", "-x"],
            ["compress", "m.safetensors", "--step", "1", "-o", ""],
            ["compress", "m.safetensors", "--step", "1", "--tensor", "a"],
            ["compress", "m.safetensors", "--step", "1", "--json", "-o", "-"],
            ["compress", "-", "--step", "1", "--importance", "-"],
            ["decompress"], ["decompress", "x.nq", "--dtype", "f64"], ["decompress", "x.nq", "--step", "1"],
            ["info"], ["info", "a", "b"], ["info", "a", "--force"], ["verify"], ["verify", "a", "--keep", "b"],
            ["compare", "a"], ["compare", "a", "b", "c"], ["compare", "-", "-"],
            ["compress", "m.safetensors", "--rule", "a:lambda=1,step=2"],
            ["compress", "m.safetensors", "--density", "0"], ["compress", "m.safetensors", "--density", "1.1"],
            ["compress", "m.safetensors", "--rule", "a:density=2"],
            ["compress", "m.safetensors", "--kmeans", "best"], ["compress", "m.safetensors", "--seed", "-1"],
            ["compress", "m.safetensors", "--axis", "8"], ["compress", "m.safetensors", "--axis", "-1"],
            ["compress", "m.safetensors", "--rule", "a:axis=x"],
            ["curve"], ["curve", "m.safetensors", "--step", "1"], ["curve", "m.safetensors", "-o", "x"],
            ["curve", "m.safetensors", "--method", "magic"],
            ["compress", "m.safetensors", "--st", "1"]):
        output = nq.run(*arguments, expected=2)
        demand(output == b"", f"{arguments}: prints on standard output")
        demand(nq.files() == before, f"{arguments}: leaves {nq.files()}")


def check_what_this_version_lacks(nq):
    model(nq)
    for arguments in (["compress", "m.safetensors", "--step", "1", "--rule", "a:rdo=1"],
                      ["compress", "m.safetensors", "--step", "1", "--rule", "a:target=3bpw"]):
        demand("does not have this" in nq.run(*arguments, expected=2).err, f"{arguments}: not said so")
    demand(nq.files() == ["m.safetensors"], "something was written")


def check_options_stand_anywhere(nq):
    model(nq)
    nq.run("compress", "m.safetensors", "-o", "ref.nq", "--step", "0.01", "--min-elems", "0")
    reference = nq.read("ref.nq")
    for number, arguments in enumerate((
            ["--step", "0.01", "--min-elems", "0", "-o", "OUT", "compress", "m.safetensors"],
            ["--min-elems=0", "compress", "--step=0.01", "m.safetensors", "--output=OUT"],
            ["compress", "-oOUT", "m.safetensors", "--min-elems", "0", "--step", "1e-2"],
            ["compress", "--step", "7", "-o", "OUT", "--min-elems", "0", "--step", "0.01", "m.safetensors"],
            ["compress", "--step", "0.01", "--min-elems", "0", "-o", "OUT", "--", "m.safetensors"])):
        name = f"{number}.nq"
        nq.run(*[a.replace("OUT", name) for a in arguments])
        demand(nq.read(name) == reference, f"{arguments}: other bytes")


def check_names_that_look_like_options(nq):
    model(nq, "--step")
    nq.run("compress", "--step", "0.1", "-o", "--help.nq", "--", "--step")
    demand("--help.nq" in nq.files(), "no output")
    nq.run("info", "--", "--help.nq")
    os.rename(nq.path("--step"), nq.path("-x"))
    nq.run("compress", "--step", "0.1", "--", "-x")
    demand("-x.nq" in nq.files(), "no output for -x")


def check_words_behind_keep(nq):
    model(nq)

    def kept(*arguments):
        output = nq.json("compress", *arguments, "--step", "0.01", "--force")
        return [t["name"] for t in output["tensors"] if t["codec"] == "stored"]

    demand(kept("m.safetensors", "--keep", "a") == ["a"], "one glob behind the input")
    demand(kept("--keep", "a", "m.safetensors") == ["a"], "one glob before the input")
    demand(kept("m.safetensors", "--keep", "a", "*.bias") == ["a", "b.bias"], "two globs behind it")
    demand(kept("--keep", "a", "*.bias", "m.safetensors") == ["a", "b.bias"], "two globs before it")
    demand(kept("m.safetensors", "--keep=a", "--keep", "b*") == ["a", "b.bias"], "given twice")
    demand(kept("--keep=a", "m.safetensors") == ["a"], "with =")
    nq.run("compress", "m.safetensors", "--keep=a", "x", "--step", "1", expected=2)
