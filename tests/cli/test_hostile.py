"""safetensors that are not: each is refused, with exit 3 and the file's name, and leaves nothing."""

import json

from files import f32, gauss, raw_safetensors, safetensors
from harness import demand


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def hostile():
    """What is wrong, bytes of the file, and a part of the message."""
    one, four = json.dumps({"t": entry()}), bytes(4)
    yield "empty", b"", "header"
    yield "seven bytes", bytes(7), "header"
    yield "no header", bytes(8), "does not start"
    yield "header past the end", raw_safetensors("{}", length=3), "cut off"
    yield "a huge header", raw_safetensors("{}", length=2**64 - 1), "cut off"
    yield "a header that overflows", raw_safetensors("{}", length=2**64 - 8), "cut off"
    yield "a header over 100 MB", raw_safetensors(b"{}" + b" " * 100_000_000), "100 MB"
    yield "no object", raw_safetensors("[]"), "does not start"
    yield "text", b"hello, this is no safetensors file at all", "cut off"
    yield "half an object", raw_safetensors("{"), "byte 9"
    yield "more behind it", raw_safetensors("{}{}"), "byte 10"
    yield "not UTF-8", raw_safetensors(b"{\"\xff\":{}}"), "UTF-8"
    yield "half a surrogate pair", raw_safetensors('{"\\ud800":{}}'), "surrogate"
    yield "deeply nested", raw_safetensors('{"t":' + "[" * 100_000), "byte"
    yield "deeply nested where unknown", \
        raw_safetensors('{"t":{"x":' + "[" * 100_000 + "]" * 100_000 + "}}"), "nested too deep"
    yield "a tensor that is a number", raw_safetensors('{"t":1}'), "object"
    yield "no dtype", raw_safetensors('{"t":{"shape":[1],"data_offsets":[0,4]}}', four), '"t"'
    yield "no shape", raw_safetensors('{"t":{"dtype":"F32","data_offsets":[0,4]}}', four), '"t"'
    yield "no offsets", raw_safetensors('{"t":{"dtype":"F32","shape":[1]}}', four), '"t"'
    yield "an unknown type", raw_safetensors(one.replace("F32", "F33"), four), "F33"
    yield "a type that is a number", raw_safetensors(one.replace('"F32"', "32"), four), "string"
    for shape in ("[-1]", "[1.0]", "[1e0]", "[null]", "[[1]]", "1", "[99999999999999999999]"):
        yield f"shape {shape}", raw_safetensors(one.replace("[1]", shape), four), "expected"
    for offsets in ("[0]", "[0, 4, 4]", "[-4, 0]", "[0.0, 4]", '"0"', "{}"):
        yield f"offsets {offsets}", raw_safetensors(one.replace("[0, 4]", offsets), four), "expected"
    yield "offsets turned around", raw_safetensors(one.replace("[0, 4]", "[4, 0]"), four), "do not lie"
    yield "offsets past the end", raw_safetensors(one.replace("[0, 4]", "[0, 8]"), four), "do not lie"
    yield "offsets past 2^63", \
        raw_safetensors(one.replace("[0, 4]", "[18446744073709551612, 18446744073709551615]"), four), \
        "do not lie"
    yield "shape and offsets differ", raw_safetensors(one.replace("[1]", "[2]"), four), "8 bytes"
    for shape in ([2**32, 2**32], [2**62], [2**63, 2], [2**31, 2**31, 2**31]):
        yield f"shape {shape}", raw_safetensors(json.dumps({"t": entry(shape=shape)}), four), \
            "too many elements"
    yield "data cut off", safetensors([("t", "F32", [2], bytes(8))])[:-1], "do not lie"
    yield "data too long", safetensors([("t", "F32", [2], bytes(8))]) + b"x", "no tensor"
    yield "a gap", raw_safetensors(json.dumps({"t": entry(), "u": entry(offsets=(8, 12))}), bytes(12)), \
        '"u"'
    yield "a gap in front", raw_safetensors(json.dumps({"t": entry(offsets=(4, 8))}), bytes(8)), "gap"
    yield "an overlap", raw_safetensors(json.dumps({"t": entry(), "u": entry(offsets=(2, 6))}), bytes(6)), \
        "overlap"
    yield "the same data twice", raw_safetensors(json.dumps({"t": entry(), "u": entry()}), four), "overlap"
    yield "a name twice", raw_safetensors(
        '{"t":%s,"t":%s}' % (json.dumps(entry()), json.dumps(entry(offsets=(4, 8)))), bytes(8)), "twice"
    yield "a name twice, once escaped", raw_safetensors(
        '{"t":%s,"\\u0074":%s}' % (json.dumps(entry()), json.dumps(entry(offsets=(4, 8)))), bytes(8)), \
        "twice"
    yield "a key twice", raw_safetensors('{"t":{"dtype":"F32","dtype":"F32"}}'), "twice"
    yield "metadata twice", raw_safetensors('{"__metadata__":{},"__metadata__":{}}'), "twice"
    yield "a metadata key twice", raw_safetensors('{"__metadata__":{"a":"","a":""}}'), "twice"
    yield "metadata of numbers", raw_safetensors('{"__metadata__":{"a":1}}'), "string"
    yield "metadata that is text", raw_safetensors('{"__metadata__":"a"}'), "object"
    yield "half bytes", raw_safetensors(json.dumps({"t": entry("F4", (3,), (0, 2))}), bytes(2)), \
        "whole bytes"


def check_each_is_refused(nq):
    for what, data, message in hostile():
        nq.write("bad.safetensors", data)
        output = nq.run("compress", "bad.safetensors", "--step", "1", expected=_code(message))
        demand("bad.safetensors" in output.err and message in output.err, f"{what}: {output.err}")
        demand(nq.files() == ["bad.safetensors"], f"{what}: leaves {nq.files()}")
        nq.run("compare", "bad.safetensors", "bad.safetensors", expected=_code(message))


def _code(message):
    """Too much for any machine is over a limit, not a defect."""
    return 6 if message == "too many elements" else 3


def check_too_many_dimensions(nq):
    nq.write("m.safetensors", raw_safetensors(json.dumps({"t": entry("U8", [1] * 9, (0, 1))}), b"x"))
    demand("dimensions" in nq.run("compress", "m.safetensors", "--step", "1", expected=6).err, "message")


def check_as_importance(nq):
    nq.write("m.safetensors", safetensors([("t", "F32", [2000], f32(gauss(2000)))]))
    nq.write("h.safetensors", b"garbage that is no file of tensors")
    output = nq.run("compress", "m.safetensors", "--step", "1", "--importance", "h.safetensors", expected=3)
    demand("h.safetensors" in output.err, "not named")
    nq.run("compress", "m.safetensors", "--step", "1", "--importance", "nothing", expected=3)


def check_each_cut_and_some_changes(nq):
    """Nothing crashes: exit 0 or 3, or 5 or 6 for what a changed byte made of it."""
    data = safetensors([("a", "F32", [2, 2], f32([1.0, 2.0, 3.0, 4.0])), ("b", "U8", [3], b"xyz")],
                       {"k": "v"})
    for n in range(0, len(data), 5):
        nq.write("m.safetensors", data[:n])
        nq.run("compress", "m.safetensors", "--step", "1", "--force", expected=3)
    for i in range(0, len(data), 3):
        nq.write("m.safetensors", data[:i] + bytes([data[i] ^ 0x11]) + data[i + 1:])
        process = nq.start("compress", "m.safetensors", "--step", "1", "--min-elems", "0", "--force")
        process.communicate()
        demand(process.returncode in (0, 3, 5, 6), f"byte {i}: exit {process.returncode}")
