"""Files that are damaged, cut off, newer, or something else: found, named, and never believed."""

import struct

from files import f32, gauss, parse, safetensors
from harness import demand

HEADER_BYTES = 64


def crc32c(data):
    """Castagnoli's, bit by bit."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def with_crc(data):
    """The file with the checksum of its header made right again (docs/format/nq-v1.md)."""
    return data[:8] + struct.pack("<I", crc32c(data[12:HEADER_BYTES])) + data[12:]


def flip(data, at, bits=0x40):
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1:]


def tensors(n=60):
    return [(name, "F32", [n], f32(gauss(n, i))) for i, name in enumerate(("first", "second", "third"))]


def model(nq, n=60, codec="huffman", *options):
    nq.write("m.safetensors", safetensors(tensors(n)))
    nq.run("compress", "m.safetensors", "--step", "0.05", "--codec", codec, "--min-elems", "0",
           "--force", *options)
    return nq.read("m.nq")


def check_not_a_nq_file(nq):
    nq.write("m.safetensors", safetensors(tensors()))
    for name, data in (("empty.nq", b""), ("short.nq", b"\x89NQ\r\n"), ("text.nq", b"hello" * 100),
                       ("zeros.nq", bytes(1000)), ("st.nq", nq.read("m.safetensors"))):
        nq.write(name, data)
        for verb in ("info", "verify", "decompress"):
            demand(name in nq.run(verb, name, expected=4).err, f"{verb} {name}: not named")
        nq.run("compare", name, "m.safetensors", expected=4)
        nq.run("compare", "m.safetensors", name, expected=4)
    demand("text.safetensors" not in nq.files(), "something was written")


def check_every_byte_counts(nq):
    """Whatever bit is flipped: verify says 4. (Every bit of many files is for the library's own tests.)"""
    for codec, step in (("huffman", 1), ("fixed", 5), ("rans", 3), ("huffman-gaps", 3)):
        data = model(nq, 60, codec)
        for i in range(0, len(data), step * (7 if nq.sanitized else 1)):
            nq.write("x.nq", flip(data, i, 1 << i % 8))
            nq.run("verify", "x.nq", "--threads", "1", expected=4)


def check_every_length(nq):
    data = model(nq)
    for n in range(0, len(data), 3 if not nq.sanitized else 15):
        nq.write("x.nq", data[:n])
        nq.run("verify", "x.nq", "--threads", "1", expected=4)
        if n % 30 == 0:
            nq.run("decompress", "x.nq", expected=4)
    nq.write("x.nq", data + b"\0")
    nq.run("verify", "x.nq", expected=4)
    demand("x.safetensors" not in nq.files(), "something was written")


def check_newer_files(nq):
    """Intact, but of another version or with a feature that is not known: 7. Damaged there: 4."""
    data = model(nq)
    demand(with_crc(data) == data, "the test's checksum")
    for at in (12, 16):
        newer = flip(data, at, 0x02)
        nq.write("x.nq", newer)
        for verb in ("info", "verify", "decompress"):
            nq.run(verb, "x.nq", expected=4)
        nq.write("x.nq", with_crc(newer))
        for verb in ("info", "verify", "decompress"):
            nq.run(verb, "x.nq", expected=7)
        nq.run("compare", "x.nq", "m.safetensors", expected=7)


def payload_places(nq, data):
    """A byte within each tensor's payload: found by looking at which tensor a flip damages."""
    places = {}
    at = len(data)
    while len(places) < 3 and at > HEADER_BYTES:
        at -= 40
        nq.write("x.nq", flip(data, at))
        told = nq.run("verify", "x.nq", "--json", expected=4)
        for name in ("first", "second", "third"):
            if f'"{name}"'.encode() in told:
                places.setdefault(name, at)
    demand(len(places) == 3, f"payloads not found: {places}")
    return places


def check_damaged_tensors_are_named(nq):
    data = model(nq, 3000)
    places = payload_places(nq, data)
    nq.write("x.nq", flip(flip(data, places["first"]), places["third"]))
    output = nq.run("verify", "x.nq", expected=4)
    demand('"first"' in output.err and '"third"' in output.err and '"second"' not in output.err, output.err)
    told = nq.run("verify", "x.nq", "--json", expected=4)
    demand(told.count(b'"name"') == 2 and b'"tensors": 3' in told, "JSON of verify")
    output = nq.run("decompress", "x.nq", expected=4)
    demand('"first"' in output.err and '"third"' in output.err and '"second"' not in output.err,
           f"decompress: {output.err}")
    demand("x.safetensors" not in nq.files(), "decompress wrote something")
    demand(nq.run("decompress", "x.nq", "-o", "-", expected=4) == b"", "decompress printed something")


def check_what_is_whole_comes_out(nq):
    data = model(nq, 3000)
    places = payload_places(nq, data)
    nq.run("decompress", "m.nq", "-o", "whole.safetensors")
    whole = {t[0]: t for t in parse(nq.read("whole.safetensors"))[0]}
    nq.write("x.nq", flip(data, places["second"]))
    nq.run("decompress", "x.nq", "-o", "x.safetensors", "--tensor", "first", "--tensor", "third")
    demand(parse(nq.read("x.safetensors"))[0] == [whole["first"], whole["third"]], "whole tensors")
    for globs in (["second"], ["first", "second"], ["*"]):
        options = [o for g in globs for o in ("--tensor", g)]
        demand('"second"' in nq.run("decompress", "x.nq", "-o", "y.safetensors", *options, expected=4).err, "name")
        demand("y.safetensors" not in nq.files(), f"{globs}: written")


def check_stored_tensors_are_checked(nq):
    data = model(nq, 3000, "auto", "--keep", "*")
    places = payload_places(nq, data)
    nq.write("x.nq", flip(data, places["third"]))
    demand('"third"' in nq.run("decompress", "x.nq", expected=4).err, "not named")
    nq.run("decompress", "x.nq", "--tensor", "first")
    demand(parse(nq.read("x.safetensors"))[0] == tensors(3000)[:1], "a stored tensor")


def check_info_of_damaged_files(nq):
    """The index is whole: the table needs no more. Entropies need the payloads."""
    data = model(nq, 3000)
    places = payload_places(nq, data)
    nq.write("x.nq", flip(data, places["second"]))
    demand(b"second" in nq.run("info", "x.nq"), "table")
    output = nq.run("info", "x.nq", "--json", expected=4)
    demand('"second"' in output.err, output.err)
    demand(output.count(b'"entropy_bits": null') == 1, "one entropy is unknown")
    nq.write("x.nq", flip(data, 70))
    nq.run("info", "x.nq", expected=4)


def check_compare_with_damaged_files(nq):
    data = model(nq, 3000)
    nq.write("x.nq", flip(data, payload_places(nq, data)["second"]))
    output = nq.run("compare", "m.safetensors", "x.nq", expected=4)
    demand('"second"' in output.err and output == b"", f"{output.err}")


def check_standard_input(nq):
    data = model(nq)
    output = nq.run("verify", "-", data=data[:-1], expected=4)
    demand("standard input" in output.err, output.err)
    demand(nq.files() == ["m.nq", "m.safetensors"], "files left")
