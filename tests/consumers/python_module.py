#!/usr/bin/env python3
"""Uses examples/python/nq.py on the file of consumer.c.

usage: python_module.py FOLDER_OF_NQ_PY FILE SUM

SUM is that of the decoded weights, as C's %a writes it. The weights are those that consumer.c made.
"""

import array
import math
import struct
import subprocess
import sys

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True

import nq  # noqa: E402

STEP = 0.25


def raises(kind, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def check_contents(model, expected_sum):
    assert len(model) == 1
    tensor = model["layer.weight"]
    assert tensor == model[0] == list(model)[0]
    assert (tensor.dtype, tensor.shape, tensor.n_elements) == ("F32", (48, 64), 48 * 64)
    assert tensor.quantized and 2 <= tensor.n_levels <= 65536 and tensor.payload_bytes > 0
    values = model.decode("layer.weight")
    assert sum(values) == expected_sum
    for i, value in enumerate(values):
        assert abs(math.sin(0.1 * i) * (i % 7) - value) <= STEP
    return values


def check_ranges(model, values):
    assert model.decode(0, 100, 17) == values[100:117]
    assert model.decode(0, 48 * 64, 0) == array.array("f")
    halves = bytearray(2 * 10)
    model.decode_into(0, halves, nq.F16, 5, 10)
    assert struct.unpack("10e", halves) == tuple(nearest_half(v) for v in values[5:15])
    raises(ValueError, model.decode_into, 0, bytearray(7), nq.F32, 0, 2)
    raises(ValueError, model.decode_into, 0, bytearray(8), nq.F32, -1, 2)
    assert raises(nq.Error, model.decode, 0, 48 * 64 - 1, 2).status == -1
    raises(KeyError, model.decode, "absent")
    raises(IndexError, model.decode, 1)


def nearest_half(value):
    return struct.unpack("e", struct.pack("e", value))[0]


def check_damage(raw):
    for position in range(0, len(raw), 37):
        damaged = bytearray(raw)
        damaged[position] ^= 1
        raises(nq.Error, lambda: nq.Reader(damaged).decode(0))
    raises(nq.Error, nq.Reader, b"")
    raises(nq.Error, nq.Reader, raw[:-1])


def main():
    folder, path, expected = sys.argv[1:4]
    expected_sum = float.fromhex(expected)
    with nq.Reader(path) as model:
        values = check_contents(model, expected_sum)
        check_ranges(model, values)
    raises(ValueError, model.decode, 0)
    with open(path, "rb") as f:
        raw = f.read()
    check_contents(nq.Reader(raw), expected_sum)
    check_damage(raw)
    program = [sys.executable, folder + "/nq.py", path]
    listed = subprocess.run(program, stdout=subprocess.PIPE, check=True, text=True).stdout
    assert listed.startswith("layer.weight: F32 [48, 64], "), listed
    written = subprocess.run([*program, "layer.weight"], stdout=subprocess.PIPE, check=True).stdout
    assert written == values.tobytes()


if __name__ == "__main__":
    main()
