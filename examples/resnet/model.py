"""Models for the experiments on ResNet-32: safetensors files, batch norms folded, survivors of pruning
gathered and put back. Standard library alone."""

import json
import math
import struct
from array import array

NORMS = "norms"


def read(path):
    """Name: (type, shape, bytes) of each tensor, in the file's order."""
    with open(path, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(length))
        data = f.read()
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], data[t["data_offsets"][0]:t["data_offsets"][1]])
            for name, t in header.items()}


def write(path, tensors):
    header, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, _, data in tensors.values():
            f.write(data)


def floats(tensor):
    """The values of an F32 tensor."""
    dtype, _, data = tensor
    if dtype != "F32":
        raise ValueError(f"{dtype} where F32 is needed")
    return array("f", struct.unpack(f"<{len(data) // 4}f", data))


def pack(values):
    return struct.pack(f"<{len(values)}f", *values)


def fold(tensors):
    """The same network with each batch norm as a factor and a term for each channel, of all layers in
    one F16 tensor: the form in which networks are shipped."""
    folded, factors, terms = {}, [], []
    for name, tensor in tensors.items():
        if "bn" not in name:
            folded[name] = tensor
        elif name.endswith(".weight"):
            layer = name[:-len("weight")]
            parts = [floats(tensors[layer + part])
                     for part in ("weight", "bias", "running_mean", "running_var")]
            for gamma, beta, mean, variance in zip(*parts):
                factor = gamma / math.sqrt(variance + 1e-5)
                factors.append(factor)
                terms.append(beta - mean * factor)
    folded[NORMS] = ("F16", [2, len(factors)], struct.pack(f"<{2 * len(factors)}e", *factors, *terms))
    return folded


def is_weight(name):
    return name.endswith(".weight")


def survivors(tensors, importance=None):
    """The weights that are not zero, of each tensor, and their importance."""
    kept, kept_importance = {}, {}
    for name, tensor in tensors.items():
        if not is_weight(name):
            continue
        values = floats(tensor)
        places = [i for i, v in enumerate(values) if v != 0]
        kept[name] = ("F32", [len(places)], pack([values[i] for i in places]))
        if importance:
            h = floats(importance[name])
            kept_importance[name] = ("F32", [len(places)], pack([h[i] for i in places]))
    return kept, kept_importance


def scatter(tensors, kept):
    """The model with other values for its survivors, and how many different weights it then has."""
    result, different = {}, set()
    for name, tensor in tensors.items():
        if is_weight(name):
            values, new = floats(tensor), iter(floats(kept[name]))
            values = [next(new) if v != 0 else 0.0 for v in values]
            different.update(values)
            tensor = ("F32", tensor[1], pack(values))
        result[name] = tensor
    return result, len(different)
