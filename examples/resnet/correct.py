"""Bias correction without data (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization
and Bias Correction"). Errors of quantized weights move the mean of each channel, as inputs behind a ReLU
are not negative. Batch norms tell the mean of what each convolution is given, so that the folded terms can
take the shift back: numbers of the file change, its size does not. Standard library alone."""

import math
import struct

import model


def rectified(mean, variance):
    """Mean and variance of a normal variable behind a ReLU."""
    deviation = math.sqrt(variance)
    if deviation == 0:
        return max(mean, 0.0), 0.0
    z = mean / deviation
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    below = (1 + math.erf(z / math.sqrt(2))) / 2
    first = mean * below + deviation * density
    second = (mean * mean + variance) * below + mean * deviation * density
    return first, max(second - first * first, 0.0)


def convolutions(tensors):
    """Names in the network's order, which is the file's."""
    return [name for name in tensors if "conv" in name]


def normed(tensors, convolution):
    """Mean and variance of each channel behind the convolution's batch norm."""
    norm = convolution.replace("conv", "bn")[:-len("weight")]
    return [(beta, gamma * gamma) for gamma, beta in
            zip(model.floats(tensors[norm + "weight"]), model.floats(tensors[norm + "bias"]))]


def input_means(tensors):
    """The mean of each input channel of each convolution. Channels are taken as normal before each ReLU,
    and a block's branch as independent of its shortcut (kind A: channels of zeros on either side)."""
    names = convolutions(tensors)
    means = {names[0]: [0.0] * 3}  # images are normed, too
    stream = [rectified(m, v) for m, v in normed(tensors, names[0])]
    for first, second in zip(names[1::2], names[2::2]):
        middle = [rectified(m, v) for m, v in normed(tensors, first)]
        means[first] = [m for m, _ in stream]
        means[second] = [m for m, _ in middle]
        branch = normed(tensors, second)
        beside = [(0.0, 0.0)] * ((len(branch) - len(stream)) // 2)
        stream = [rectified(m + n, v + w) for (m, v), (n, w) in zip(branch, beside + stream + beside)]
    return means


def shifts(original, quantized, means):
    """How far quantization moves the mean of each output channel of a convolution."""
    n_out, n_in, height, width = original[1]
    errors = [b - a for a, b in zip(model.floats(original), model.floats(quantized))]
    n = height * width
    return [sum(means[i] * sum(errors[(o * n_in + i) * n:(o * n_in + i + 1) * n]) for i in range(n_in))
            for o in range(n_out)]


def corrected(tensors, folded, quantized):
    """`folded` with the terms that `quantized`, the same after quantization, should have had; `tensors`
    still has its batch norms."""
    dtype, shape, data = folded[model.NORMS]
    n = shape[1]
    values = list(struct.unpack(f"<{2 * n}e", data))
    at = 0
    for name, means in input_means(tensors).items():
        for shift in shifts(folded[name], quantized[name], means):
            values[n + at] -= values[at] * shift
            at += 1
    return {**folded, model.NORMS: (dtype, shape, struct.pack(f"<{2 * n}e", *values))}
