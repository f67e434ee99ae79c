"""What errors say: which file, which tensor, where, and what to do."""

from files import f32, gauss, safetensors
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
    demand("each tensor with a step or levels of its own has a codebook of its own" in text, text)
