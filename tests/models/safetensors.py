"""Reading and writing safetensors with the standard library alone."""

import json
import struct


def read_header(path):
    """Returns the list of (name, dtype, shape, offset in the file, bytes) and the metadata."""
    with open(path, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(length))
    metadata = header.pop("__metadata__", {})
    tensors = [(name, t["dtype"], t["shape"], 8 + length + t["data_offsets"][0],
                t["data_offsets"][1] - t["data_offsets"][0]) for name, t in header.items()]
    return tensors, metadata


def write(path, tensors, metadata=None):
    """tensors: list of (name, dtype, shape, bytes)."""
    header, at = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, dtype, shape, data in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, _, _, data in tensors:
            f.write(data)
