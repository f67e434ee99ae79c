"""What `nq compress` reads: safetensors from files, pipes and standard input, models in several files,
.npy; and what comes back of it."""

import json
import os
import struct
import threading

from files import bf16, f16, f32, f64, gauss, npy, parse, safetensors
from harness import demand


def tensors():
    return [("z.weight", "F32", [40, 50], f32(gauss(2000))), ("a", "F32", [3], f32([1.0, 2.0, 3.0])),
            ("m.weight", "BF16", [2000], bf16(gauss(2000, 3)))]


def check_order_and_metadata(nq):
    metadata = {"z": "1", "a": "", "format": "pt", "\u00e9\"\n": "\u0000\U0001d11e"}
    nq.write("m.safetensors", safetensors(tensors(), metadata))
    nq.run("compress", "m.safetensors", "--step", "0.01")
    nq.run("decompress", "m.nq", "-o", "back.safetensors")
    back, got = parse(nq.read("back.safetensors"))
    demand([t[:3] for t in back] == [t[:3] for t in tensors()], "names, order, types, shapes")
    demand(list(got.items()) == list(metadata.items()), "metadata")
    demand(back[1][3] == tensors()[1][3], "a small tensor is stored as it is")


def check_without_metadata(nq):
    nq.write("m.safetensors", safetensors(tensors()))
    nq.run("compress", "m.safetensors", "--step", "0.01")
    nq.run("decompress", "m.nq", "-o", "back.safetensors")
    data = nq.read("back.safetensors")
    demand(b"__metadata__" not in data, "metadata where there were none")
    demand((8 + struct.unpack("<Q", data[:8])[0]) % 8 == 0, "data not aligned")


def check_key_order_wins(nq):
    """The header's keys and the data stand in different orders: the keys' order is what comes back."""
    a, b = f32(gauss(2000)), f32(gauss(2000, 2))
    header = json.dumps({"second": {"dtype": "F32", "shape": [2000], "data_offsets": [8000, 16000]},
                         "first": {"dtype": "F32", "shape": [2000], "data_offsets": [0, 8000]}}).encode()
    nq.write("m.safetensors", struct.pack("<Q", len(header)) + header + a + b)
    nq.run("compress", "m.safetensors", "--step", "0.01", "--min-elems", "5000")
    nq.run("decompress", "m.nq", "-o", "back.safetensors")
    back, _ = parse(nq.read("back.safetensors"))
    demand([(t[0], t[3]) for t in back] == [("second", b), ("first", a)], "order")


def check_unusual_names(nq):
    names = ["", " ", "a/b.c", "\u0000", "a\u0000b", "\"quoted\"", "back\\slash", "line\nbreak", "\ttab",
             "\u00e9\u20ac\U0001d11e", "*", "[x]", "__metadata", "n" * 300, "\u007f", "\ufffd"]
    source = [(name, "F32", [1100], f32(gauss(1100, i))) for i, name in enumerate(names)]
    nq.write("m.safetensors", safetensors(source))
    told = nq.json("compress", "m.safetensors", "--step", "0.01")
    demand([t["name"] for t in told["tensors"]] == names, "names in the report")
    demand([t["name"] for t in nq.json("info", "m.nq")["tensors"]] == names, "names in info")
    nq.run("info", "m.nq")
    nq.run("decompress", "m.nq", "-o", "back.safetensors")
    demand([t[0] for t in parse(nq.read("back.safetensors"))[0]] == names, "names that came back")
    nq.run("decompress", "m.nq", "-o", "one.safetensors", "--tensor", "line\nbreak")
    demand([t[0] for t in parse(nq.read("one.safetensors"))[0]] == ["line\nbreak"], "--tensor")


def check_a_name_too_long(nq):
    nq.write("m.safetensors", safetensors([("n" * 5000, "F32", [1], f32([1.0]))]))
    nq.run("compress", "m.safetensors", "--step", "1", expected=6)
    demand(nq.files() == ["m.safetensors"], "something was written")


def check_standard_input(nq):
    data = safetensors(tensors(), {"k": "v"})
    nq.write("m.safetensors", data)
    nq.run("compress", "m.safetensors", "--step", "0.01")
    reference = nq.read("m.nq")
    demand(nq.run("compress", "-", "--step", "0.01", data=data) == reference, "a pipe")
    with open(nq.path("m.safetensors"), "rb") as f:
        demand(nq.run("compress", "-", "--step", "0.01", stdin=f) == reference, "a file as input")
    nq.run("compress", "-", "-o", "x.nq", "--step", "0.01", data=data)
    demand(nq.read("x.nq") == reference, "-o")
    back = nq.run("decompress", "-", data=reference)
    nq.run("decompress", "m.nq", "-o", "back.safetensors")
    demand(back == nq.read("back.safetensors"), "decompress")
    demand(nq.json("info", "-", data=reference) == nq.json("info", "m.nq"), "info")
    nq.run("verify", "-", data=reference)
    nq.run("compare", "m.safetensors", "-", data=data)
    nq.run("compare", "-", "m.nq", data=data, expected=1)
    demand(sorted(nq.files()) == ["back.safetensors", "m.nq", "m.safetensors", "x.nq"], "files left")


def check_standard_input_that_was_read_before(nq):
    """A regular file as standard input, but not at its start: what follows is the input."""
    data = safetensors(tensors())
    nq.write("x", b"read already" + data)
    with open(nq.path("x"), "rb", buffering=0) as f:
        f.seek(12)
        nq.run("compress", "-", "-o", "x.nq", "--step", "0.01", stdin=f)


def check_a_pipe_with_a_name(nq):
    data = safetensors(tensors())
    os.mkfifo(nq.path("pipe"))

    def feed():
        with open(nq.path("pipe"), "wb") as f:
            f.write(data)

    thread = threading.Thread(target=feed)
    thread.start()
    nq.run("compress", "pipe", "-o", "p.nq", "--step", "0.01")
    thread.join()
    nq.write("m.safetensors", data)
    nq.run("compress", "m.safetensors", "--step", "0.01")
    demand(nq.read("p.nq") == nq.read("m.nq"), "other bytes")


def check_files_that_are_not_there(nq):
    os.mkdir(nq.path("folder"))
    for name in ("nothing.safetensors", "folder", "m.safetensors/x", "nothing.npy"):
        output = nq.run("compress", name, "--step", "1", expected=3)
        demand(name in output.err, f"{name} is not named")
    for verb in ("decompress", "info", "verify"):
        nq.run(verb, "nothing.nq", expected=3)
    nq.run("compare", "nothing", "nothing", expected=3)


def check_an_input_that_is_compressed_already(nq):
    nq.write("m.safetensors", safetensors(tensors()))
    nq.run("compress", "m.safetensors", "--step", "0.01")
    demand("already" in nq.run("compress", "m.nq", "-o", "x.nq", "--step", "0.01", expected=2).err,
           "message")


# ---- Models in several files ------------------------------------------------------------------


def shards(nq, index=None):
    t = tensors()
    nq.write("model-00001-of-00002.safetensors", safetensors([t[0], t[1]], {"format": "pt"}))
    nq.write("model-00002-of-00002.safetensors", safetensors([t[2]], {"format": "pt", "more": "2"}))
    plain = {"metadata": {"total_size": 12012, "text": "x"},
             "weight_map": {"m.weight": "model-00002-of-00002.safetensors",
                            "z.weight": "model-00001-of-00002.safetensors",
                            "a": "model-00001-of-00002.safetensors"}}
    index = json.dumps(plain) if index is None else index
    nq.write("model.safetensors.index.json", index.encode() if isinstance(index, str) else index)
    return plain


def check_a_model_in_several_files(nq):
    shards(nq)
    told = nq.json("compress", "model.safetensors.index.json", "--step", "0.01")
    sizes = sum(os.path.getsize(nq.path(n)) for n in nq.files() if not n.endswith(".nq"))
    demand(told["original_bytes"] == sizes, "original_bytes is the size of all files")
    nq.run("verify", "model.nq")
    nq.run("decompress", "model.nq")
    back, metadata = parse(nq.read("model.safetensors"))
    t = {name: (name, dtype, shape) for name, dtype, shape, _ in tensors()}
    demand([b[:3] for b in back] == [t["m.weight"], t["z.weight"], t["a"]], "order of the index")
    demand(list(metadata.items()) == [("format", "pt"), ("more", "2"), ("text", "x")], "metadata")
    demand(nq.json("compare", "model.safetensors.index.json", "model.nq", expected=1)["elements"] == 4003,
           "compare reads an index")
    os.mkdir(nq.path("elsewhere"))
    process = nq.start("compress", nq.path("model.safetensors.index.json"), "-o", "x.nq", "--step", "0.01")
    process.communicate()
    demand(process.returncode == 0 and nq.read("x.nq") == nq.read("model.nq"), "by its whole path")


def check_indices_that_are_wrong(nq):
    plain = shards(nq)
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    maps = {
        "names a file that is not there": {**plain["weight_map"], "b": "x.safetensors"},
        "names a tensor that is not there": {**plain["weight_map"], "b": first},
        "leaves a tensor out": {"m.weight": second, "a": first},
        "leads upwards": {**plain["weight_map"], "b": "../" + first},
        "leads upwards further on": {**plain["weight_map"], "b": "x/../../" + first},
        "is absolute": {**plain["weight_map"], "b": nq.path(first)},
        "names an empty file": {**plain["weight_map"], "b": ""},
        "names no text": {**plain["weight_map"], "b": 1},
        "has a NUL": {**plain["weight_map"], "b": first + "\0"},
    }
    texts = {what: json.dumps({"weight_map": m}) for what, m in maps.items()}
    texts["has no map"] = "{}"
    texts["is no object"] = "[]"
    texts["has two maps"] = '{"weight_map":{},"weight_map":{}}'
    texts["has a tensor twice"] = json.dumps({"weight_map": {"a": first}}).replace(
        '"a"', f'"a": "{first}", "a"')
    texts["is cut off"] = json.dumps(plain)[:-1]
    texts["goes on"] = json.dumps(plain) + "x"
    for what, text in texts.items():
        shards(nq, text)
        nq.run("compress", "model.safetensors.index.json", "--step", "0.01", expected=3)
    demand("model.nq" not in nq.files(), "something was written")


# ---- .npy ------------------------------------------------------------------------------------


def check_npy(nq):
    w = gauss(2000)
    for version in (1, 2, 3):
        nq.write("w.npy", npy("<f4", [40, 50], f32(w), version))
        nq.run("compress", "w.npy", "--step", "0.01", "--force")
        nq.run("decompress", "w.nq", "--force")
        ((name, dtype, shape, data),), metadata = parse(nq.read("w.safetensors"))
        demand((name, dtype, shape, metadata) == ("array", "F32", [40, 50], {}), "name, type, shape")
        nq.run("compare", "w.nq", "w.safetensors")
        nq.run("compare", "w.npy", "w.nq", expected=1)
    nq.run("compress", "-", "-o", "x.nq", "--step", "0.01", data=nq.read("w.npy"))
    demand(nq.read("x.nq") == nq.read("w.nq"), "standard input")
    nq.write("h.npy", npy("<f8", [50], f64([float(i + 1) for i in range(50)])))
    nq.run("compress", "w.npy", "-o", "y.nq", "--step", "0.01", "--importance", "h.npy")
    demand(nq.read("y.nq") != nq.read("x.nq"), "importance from .npy")


def check_npy_of_all_types(nq):
    payload = bytes(range(48))
    for descr, dtype, size in (("<f4", "F32", 4), ("<f2", "F16", 2), ("<f8", "F64", 8), ("|b1", "BOOL", 1),
                               ("|u1", "U8", 1), ("|i1", "I8", 1), ("<u2", "U16", 2), ("<i2", "I16", 2),
                               ("<u4", "U32", 4), ("<i4", "I32", 4), ("<u8", "U64", 8), ("<i8", "I64", 8),
                               ("<c8", "C64", 8)):
        nq.write("w.npy", npy(descr, [len(payload) // size], payload))
        nq.run("compress", "w.npy", "--step", "1", "--force")
        nq.run("decompress", "w.nq", "--force")
        ((_, got, shape, data),), _ = parse(nq.read("w.safetensors"))
        demand((got, shape, data) == (dtype, [len(payload) // size], payload), descr)


def check_npy_that_is_refused(nq):
    for data in (npy(">f4", [2], bytes(8)), npy("<f4", [2, 2], bytes(16), fortran=True),
                 npy("<f4", [3], bytes(8)), npy("<f4", [1], bytes(8)), npy("|O", [1], bytes(8)),
                 npy("<f4", [2], bytes(8), version=4), npy("<f4", [2], bytes(8))[:20], b"\x93NUMPY",
                 npy("<f4", [1 << 40, 1 << 40], b"")[:-1]):
        nq.write("w.npy", data)
        demand("w.npy" in nq.run("compress", "w.npy", "--step", "1", expected=3).err, "not named")
    nq.write("w.npy", npy("<f4", [2000, 1], f32(gauss(2000)), fortran=True))
    nq.run("compress", "w.npy", "--step", "1")
