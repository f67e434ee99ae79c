#!/usr/bin/env python3
"""examples/resnet on the first images of CIFAR-10's test set: a shortened run of the experiment that
examples/resnet/curves.py makes.

usage: test_resnet.py SOURCE_ROOT NQ RESNET

Bounds are those of what is known of all 10,000 images (92.63 % for the dense network, 91.94 % for the
pruned one), with room for the few that are looked at. Prints TAP, and skips where networks or images
are not there.
"""

import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "models"))
sys.path.insert(0, os.path.join(HERE, "..", "..", "examples", "resnet"))
import correct
import model
from run_nq import Failed, demand, find_data, run

N_IMAGES = 128


class Resnet:
    def __init__(self, nq, program, images, folder):
        self.nq, self.program, self.images, self.folder = nq, program, images, folder

    def measure(self, file, *options):
        """Accuracy and loss."""
        options = options or ("--images", str(N_IMAGES))
        told = run(self.program, file, self.images, *options)
        match = re.fullmatch(r"(\d+\.\d\d) %, loss (\d+\.\d{4})\n", told)
        demand(match is not None, f"printed {told!r}")
        return float(match[1]), float(match[2])

    def compress(self, source, *options):
        file = os.path.join(self.folder, "out.nq")
        run(self.nq, "compress", source, "-o", file, "--force", "--quiet", *options)
        return file


def check_original(resnet, source, known):
    accuracy, loss = resnet.measure(source)
    demand(abs(accuracy - known) < 4, f"{accuracy} %, of all images {known} %")
    demand(0.05 < loss < 0.6, f"loss {loss}")
    stored = resnet.compress(source, "--keep", "*")
    demand(resnet.measure(stored) == (accuracy, loss), "a .nq file with the same floats says something else")
    one, three = (resnet.measure(source, "--images", "37", "--threads", n) for n in ("1", "3"))
    demand(one == three, f"{one} from one thread, {three} from three")
    return accuracy, loss


def check_compressed(resnet, source, original, ratio, most_lost, *options):
    """Batch norms folded, as in curves.py."""
    folded = os.path.join(resnet.folder, "folded.safetensors")
    model.write(folded, model.fold(model.read(source)))
    stored = resnet.measure(resnet.compress(folded, "--keep", "*"))
    demand(abs(stored[0] - original[0]) <= 0.5 and abs(stored[1] - original[1]) < 0.003,
           f"folding changes {original} to {stored}")
    n_bytes = int(os.path.getsize(source) / ratio)
    file = resnet.compress(folded, "--keep", model.NORMS, "--min-elems", "400", "--target",
                           f"{n_bytes}B", *options)
    size = os.path.getsize(file)
    demand(0.99 * n_bytes <= size <= n_bytes, f"{size} bytes, not {n_bytes}")
    accuracy, loss = resnet.measure(file)
    demand(accuracy >= original[0] - most_lost, f"{accuracy} % from {original[0]} %")
    demand(loss < original[1] + 0.1, f"loss {loss} from {original[1]}")


def check_correction(resnet, source, original, ratio, least_won):
    """Terms that make up for moved means: the same bytes of weights, less loss."""
    tensors = model.read(source)
    folded = model.fold(tensors)
    path, decoded = (os.path.join(resnet.folder, n) for n in ("folded.safetensors", "decoded.safetensors"))
    options = ("--keep", model.NORMS, "--min-elems", "400", "--rdo", "--target",
               f"{int(os.path.getsize(source) / ratio)}B")
    model.write(path, folded)
    file = resnet.compress(path, *options)
    size, (_, loss) = os.path.getsize(file), resnet.measure(file)
    run(resnet.nq, "decompress", file, "-o", decoded, "--force", "--quiet")
    quantized = model.read(decoded)
    model.write(path, correct.corrected(tensors, folded, quantized))
    file = resnet.compress(path, *options)
    run(resnet.nq, "decompress", file, "-o", decoded, "--force", "--quiet")
    again = model.read(decoded)
    demand(all(again[n] == quantized[n] for n in again if n != model.NORMS), "other terms, other weights")
    demand(os.path.getsize(file) == size, f"{size} bytes have become {os.path.getsize(file)}")
    accuracy, corrected_loss = resnet.measure(file)
    demand(accuracy >= original[0] - 2, f"{accuracy} % from {original[0]} %")
    demand(corrected_loss <= loss - least_won, f"loss {loss}, corrected {corrected_loss}")


def check_survivors(source):
    """Survivors that are put back unchanged are the network; zeros stay zero whatever survivors become."""
    tensors = model.fold(model.read(source))
    kept, importance = model.survivors(tensors, tensors)
    demand(kept == importance, "importance is gathered in another way than weights")
    back, n_values = model.scatter(tensors, kept)
    same = all(model.floats(back[n]) == model.floats(tensors[n]) for n in kept)
    demand(same and n_values > 1000, "survivors do not come back")
    halves = {name: ("F32", shape, model.pack([0.5] * shape[0])) for name, (_, shape, _) in kept.items()}
    back, n_values = model.scatter(tensors, halves)
    demand(n_values == 2, f"{n_values} different values, not 0 and 0.5")
    name = "layer3.0.conv2.weight"
    was, now = model.floats(tensors[name]), model.floats(back[name])
    demand(all((a == 0) == (b == 0) for a, b in zip(was, now)), "zeros moved")


def check_refusals(resnet, source):
    cut = os.path.join(resnet.folder, "cut.bin")
    with open(resnet.images, "rb") as f, open(cut, "wb") as out:
        out.write(f.read(4000))
    other = os.path.join(resnet.folder, "other.safetensors")
    tensors = model.read(source)
    del tensors["layer2.3.bn1.bias"]
    model.write(other, tensors)
    for arguments, code, word in (([source, cut], 1, "layout"), ([other, resnet.images], 1, "layer2.3.bn1"),
                                  ([resnet.images, resnet.images], 1, "test_batch"), ([source], 2, "usage"),
                                  ([source, resnet.images, "--images", "10001"], 1, "10000"),
                                  ([source, resnet.images, "--images", "0"], 2, "usage")):
        result = subprocess.run([resnet.program, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        demand(result.returncode == code and word in result.stderr,
               f"{arguments}: exit {result.returncode}, not {code}: {result.stderr!r}")


def main():
    root, nq, program = sys.argv[1:4]
    data = find_data(root) or ""
    dense, pruned = (os.path.join(data, "models", name + ".safetensors")
                     for name in ("resnet32_dense", "resnet32_pruned92"))
    images = os.path.join(data, "cifar10", "test_batch.bin")
    if not all(map(os.path.exists, (dense, pruned, images))):
        print("1..0 # SKIP no data: set NQ_DATA to a folder that holds models/resnet32_dense.safetensors "
              "and cifar10/test_batch.bin")
        return 0
    good = True
    with tempfile.TemporaryDirectory(prefix="nq-resnet-") as folder:
        resnet = Resnet(nq, program, images, folder)
        originals = {}

        def test_dense():
            originals["dense"] = check_original(resnet, dense, 92.63)

        def test_pruned():
            originals["pruned"] = check_original(resnet, pruned, 91.94)

        tests = [("dense", test_dense), ("pruned", test_pruned),
                 ("dense, uniform and Huffman, 9 times smaller",
                  lambda: check_compressed(resnet, dense, originals["dense"], 9, 2, "--codec", "huffman")),
                 ("dense, rate-distortion optimal, 10.5 times smaller",
                  lambda: check_compressed(resnet, dense, originals["dense"], 10.5, 2, "--rdo")),
                 ("pruned, rate-distortion optimal, 20 times smaller",
                  lambda: check_compressed(resnet, pruned, originals["pruned"], 20, 3, "--rdo")),
                 ("dense, 11 times smaller, with corrected terms",
                  lambda: check_correction(resnet, dense, originals["dense"], 11, 0.02)),
                 ("survivors", lambda: check_survivors(pruned)),
                 ("refusals", lambda: check_refusals(resnet, dense))]
        print(f"1..{len(tests)}")
        for number, (name, test) in enumerate(tests, 1):
            try:
                test()
                print(f"ok {number} - {name}", flush=True)
            except (Failed, KeyError) as problem:
                good = False
                print(f"not ok {number} - {name}\n# {problem!r}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
