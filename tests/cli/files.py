"""Files that the tests are made of: safetensors, .npy, values of all types. Standard library alone;
nothing of it is shared with the program."""

import json
import math
import random
import struct

SIZES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2,
         "U32": 4, "I32": 4, "U64": 8, "I64": 8, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "C64": 8,
         "F6_E2M3": 0.75, "F6_E3M2": 0.75, "F4": 0.5}


def product(shape):
    return math.prod(shape)


def raw_safetensors(header, data=b"", length=None):
    """Bytes of a file with any header, of text or bytes."""
    header = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def safetensors(tensors, metadata=None):
    """tensors: a list of (name, dtype, shape, bytes)."""
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, dtype, shape, payload in tensors:
        assert len(payload) == product(shape) * SIZES[dtype], name
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(payload)]}
        data += payload
    return raw_safetensors(json.dumps(header), data)


def parse(data):
    """What is in a safetensors file: list of (name, dtype, shape, bytes), and metadata."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = []
    for name, t in header.items():
        begin, end = t["data_offsets"]
        tensors.append((name, t["dtype"], t["shape"], data[8 + length + begin:8 + length + end]))
    assert sum(len(t[3]) for t in tensors) == len(data) - 8 - length
    return tensors, metadata


def npy(descr, shape, payload, version=1, fortran=False):
    text = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {tuple(shape)!r}, }}".encode()
    width = 2 if version == 1 else 4
    text += b" " * (-(len(text) + 9 + width) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(width, "little") + text + payload


# ---- Numbers --------------------------------------------------------------------------------


def f32(values):
    return struct.pack(f"<{len(values)}f", *values)


def f64(values):
    return struct.pack(f"<{len(values)}d", *values)


def to_f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def f16_bits(value):
    """Nearest half, ties to even, of a double; past the largest, infinity."""
    if math.isnan(value):
        return 0x7e00
    try:
        return struct.unpack("<H", struct.pack("<e", value))[0]
    except OverflowError:
        return 0xfc00 if value < 0 else 0x7c00


def f16(values):
    return b"".join(struct.pack("<H", f16_bits(v)) for v in values)


def bf16_bits(value):
    """Nearest bfloat16, ties to even, of a value that a float holds."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    if value != value:
        return (bits >> 16) | 0x40
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16


def bf16(values):
    return b"".join(struct.pack("<H", bf16_bits(v)) for v in values)


PACK = {"F32": f32, "F16": f16, "BF16": bf16, "F64": f64}


def values(dtype, payload):
    """Numbers of a floating type."""
    if dtype == "BF16":
        return [struct.unpack("<f", b"\0\0" + payload[i:i + 2])[0] for i in range(0, len(payload), 2)]
    letter = {"F32": "f", "F16": "e", "F64": "d"}[dtype]
    return list(struct.unpack(f"<{len(payload) // SIZES[dtype]}{letter}", payload))


def gauss(n, seed=1, sigma=0.1):
    r = random.Random(seed)
    return [to_f32(r.gauss(0, sigma)) for _ in range(n)]


# ---- The quantizer, as the manual has it ----------------------------------------------------


def cell(value, step):
    """Nearest multiple of the step, halves away from zero."""
    magnitude = math.floor(abs(value) / step + 0.5)
    return -magnitude if value < 0 else magnitude


def levels_of(weights, step, importance=None):
    """The level of each used cell: the weighted mean, as a float."""
    sums = {}
    for w, h in zip(weights, importance or [1.0] * len(weights)):
        total, mass = sums.get(cell(w, step), (0.0, 0.0))
        sums[cell(w, step)] = (total + h * w, mass + h)
    return {k: to_f32(total / mass) for k, (total, mass) in sums.items()}


def entropy(cells):
    counts = {}
    for c in cells:
        counts[c] = counts.get(c, 0) + 1
    return sum(n * math.log2(len(cells) / n) for n in counts.values()) / len(cells) if cells else 0.0


def near(a, b, tolerance=1e-9):
    return a == b or abs(a - b) <= tolerance * max(abs(a), abs(b))


def near_floats(got, expected):
    """Equal to within one unit in the last place of a float."""
    return all(abs(a - b) <= 1.2e-7 * max(abs(a), abs(b)) for a, b in zip(got, expected)) \
        and len(got) == len(expected)
