#!/usr/bin/env python3
"""The format's documents, the decoder in Python that was written from them, and the library, held
against each other. Prints TAP.

usage: test_format.py SOURCE_ROOT MAKE_FILE [NQ]

- The worked example of docs/format/nq-v1.md: its bytes are what the library writes for the tensors
  described there, and both decoders find these tensors in it.
- Files of every codec, shape and type that make_file writes: both decoders give the same indices,
  levels and values in all types.
- Damaged files, many of them with checksums that were made right again: both decoders refuse the same
  ones, for the same kind of reason.
- Files that `nq compress` writes, by every scope, level rule, codec and type: both decoders agree.
"""

import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import nq_codecs  # noqa: E402
import nq_decode  # noqa: E402
from nq_decode import BF16, DTYPES, F16, F32, STORED, File, Refused, crc32c  # noqa: E402


class Failed(Exception):
    """Something is not as it must be; its text says what."""


def demand(condition, message):
    if not condition:
        raise Failed(message)


def run(program, *arguments, given=None):
    result = subprocess.run([program, *arguments], input=given, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    demand(result.returncode == 0, f"{os.path.basename(program)} {' '.join(arguments)}: "
           f"exit {result.returncode}: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout


def load(path):
    with open(path, "rb") as file:
        return file.read()


# ---- The worked example -------------------------------------------------------------------------

W_INDICES = [1, 1, 0, 1, 2, 1, 1, 1, 0, 1, 1, 3, 1, 1, 1, 0,
             1, 1, 1, 1, 2, 1, 0, 1, 1, 1, 1, 0, 1, 2, 1, 0]
W_LEVELS = [-0.5, 0.0, 0.5, 1.5]
B_INDICES = [0, 4, 2, 1, 3]
B_LEVELS = [-1.0, -0.25, 0.0, 0.25, 1.0]


def bytes_of_document(root):
    """The example's hex lines, whose offsets must follow one another."""
    with open(os.path.join(root, "docs", "format", "nq-v1.md"), encoding="utf-8") as file:
        text = file.read()
    data = b""
    for at, digits in re.findall(r"^    ([0-9a-f]{4})  ((?:[0-9a-f]{2} )+)", text, re.M):
        demand(int(at, 16) == len(data), f"the line at {at} does not follow the one before")
        data += bytes.fromhex(digits)
    demand(data, "no example in docs/format/nq-v1.md")
    return data


def floats(levels):
    return list(struct.unpack(f"<{len(levels)}f", struct.pack(f"<{len(levels)}I", *levels)))


def check_example(root, make_file, folder):
    data = bytes_of_document(root)
    path = os.path.join(folder, "example.nq")
    run(make_file, "example", path)
    demand(load(path) == data, "the library writes other bytes than the document has")
    f = File(data)
    w, b, steps = f.tensors
    demand(not list(f.verify()), "the example is damaged")
    demand(f.metadata == [(b"format", b"pt")] and f.original_bytes == 250, "metadata")
    demand([(t.name, DTYPES[t.dtype][0], t.shape) for t in f.tensors] ==
           [(b"w", "F32", [4, 8]), (b"b", "F16", [5]), (b"steps", "I64", [])], "names, types, shapes")
    demand(f.indices(w) == W_INDICES and floats(f.levels(w.codebook)) == W_LEVELS, "w")
    demand(f.indices(b) == B_INDICES and floats(f.levels(b.codebook)) == B_LEVELS, "b")
    demand(f.values(w) == struct.pack("<32f", *(W_LEVELS[i] for i in W_INDICES)), "values of w")
    demand(f.values(b) == struct.pack("<5e", *(B_LEVELS[i] for i in B_INDICES)), "values of b")
    demand(f.values(steps) == struct.pack("<q", 1000), "steps")
    check_same(make_file, path, folder)
    return f"{len(data)} bytes"


# ---- Whole files --------------------------------------------------------------------------------


def swapped(data, width):
    """Host order to little-endian."""
    if sys.byteorder == "little" or width == 1:
        return data
    return b"".join(data[i:i + width][::-1] for i in range(0, len(data), width))


def check_same_tensor(f, number, folder):
    tensor = f.tensors[number]
    name = tensor.name.decode(errors="replace")

    def dumped(ending, width):
        return swapped(load(os.path.join(folder, f"{number}.{ending}")), width)

    unit = 4 if DTYPES[tensor.dtype][0] == "C64" else max(tensor.bits // 8, 1)
    demand(f.values(tensor) == dumped("own", unit), f"{name}: values in its own type")
    if tensor.dtype <= BF16:
        for dtype, ending, width in ((F32, "f32", 4), (F16, "f16", 2), (BF16, "bf16", 2)):
            demand(f.values(tensor, dtype) == dumped(ending, width), f"{name}: values as {ending}")
    if tensor.codebook is not None:
        indices, levels = f.indices(tensor), f.levels(tensor.codebook)
        demand(struct.pack(f"<{tensor.n}H", *indices) == dumped("indices", 2), f"{name}: indices")
        demand(struct.pack(f"<{len(levels)}I", *levels) == dumped("levels", 4), f"{name}: levels")


def check_same(make_file, path, folder):
    """Both decoders on one file; returns the number of tensors."""
    dumps = os.path.join(folder, "dumps")
    os.makedirs(dumps, exist_ok=True)
    run(make_file, "dump", path, dumps)
    f = File(load(path))
    for number, refused in f.verify():
        raise Failed(f"tensor {number}: {refused}")
    for number in range(len(f.tensors)):
        check_same_tensor(f, number, dumps)
    return len(f.tensors)


def check_case(make_file, name, folder):
    path = os.path.join(folder, name + ".nq")
    run(make_file, "case", name, path)
    n = check_same(make_file, path, folder)
    return f"{n} tensors, {os.path.getsize(path)} bytes"


# ---- Damage -------------------------------------------------------------------------------------

CHANGES = 250  # of each kind

STATUSES = {"corrupt": "NQ_E_CORRUPT", "truncated": "NQ_E_TRUNCATED", "damaged": "NQ_E_CHECKSUM",
            "unsupported": "NQ_E_UNSUPPORTED"}


def seal(data):
    """Makes the checksums of index and header right."""
    (index_bytes,) = struct.unpack_from("<I", data, 40)
    if 64 + index_bytes <= len(data):
        struct.pack_into("<I", data, 44, crc32c(data[64:64 + index_bytes]))
    struct.pack_into("<I", data, 8, crc32c(data[12:64]))


def damaged_plainly(data, chance):
    """Every bit of the file, and every length; of a larger one every 19th."""
    step = 1 if len(data) < 300 else 19
    for bit in range(0, 8 * len(data), step):
        copy = bytearray(data)
        copy[bit // 8] ^= 1 << bit % 8
        yield copy
    for n in range(0, len(data), step):
        yield data[:n]
    yield data + b"\0"


def damaged_index(data, chance):
    """Header and index changed at random, with right checksums."""
    (index_bytes,) = struct.unpack_from("<I", data, 40)
    for _ in range(CHANGES):
        copy = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 3))):
            at = chance.randrange(12, 64 + index_bytes)
            copy[at] = chance.choice((copy[at] ^ 1 << chance.randrange(8), chance.randrange(256),
                                      copy[at] + 1 & 255, 0, 255))
        seal(copy)
        yield copy


def change(piece, chance):
    """A few bytes of a piece, of the same size."""
    piece = bytearray(piece)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(piece))
        piece[at] = chance.choice((piece[at] ^ 1 << chance.randrange(8), chance.randrange(256), 0, 255))
    return piece


def damaged_tables(data, chance):
    """Codebooks and code tables changed at random, with right checksums."""
    f = File(data)
    for _ in range(CHANGES):
        table = chance.choice([t for t in f.tables if t.n_bytes])
        copy = bytearray(data)
        copy[table.offset:table.offset + table.n_bytes] = change(f.table_bytes(table), chance)
        struct.pack_into("<I", copy, table.crc_at, crc32c(
            copy[table.offset:table.offset + table.n_bytes]))
        seal(copy)
        yield copy


def damaged_blocks(data, chance):
    """Blocks changed at random, with right checksums; and directories with other ends."""
    f = File(data)
    for _ in range(CHANGES):
        tensor = chance.choice([t for t in f.tensors if t.n_blocks])
        copy = bytearray(data)
        extents = list(f.extents(tensor))
        number = chance.randrange(len(extents))
        begin, end, _ = extents[number]
        if tensor.codec != STORED and number + 1 < len(extents) and chance.random() < 0.3:
            # A byte given to the neighbour, or taken from it.
            at = tensor.payload_offset + 4 * tensor.n_blocks + number * tensor.end_bytes
            (old,) = struct.unpack_from("<I", copy, at)
            struct.pack_into("<I", copy, at, max(0, old + chance.choice((-1, 1))))
        elif end > begin:
            copy[begin:end] = change(copy[begin:end], chance)
        for i, (begin, end) in enumerate(loose_extents(copy, tensor)):
            struct.pack_into("<I", copy, tensor.payload_offset + 4 * i, crc32c(copy[begin:end]))
        yield copy


def loose_extents(data, tensor):
    """Where blocks lie now, whatever the directory says."""
    first = tensor.payload_offset + tensor.directory_bytes
    end = tensor.payload_offset + tensor.payload_bytes
    if tensor.codec == STORED:
        ends = [(i + 1) << tensor.block_log2 for i in range(tensor.n_blocks - 1)]
    else:
        ends = struct.unpack_from(f"<{tensor.n_blocks - 1}I", data,
                                  tensor.payload_offset + 4 * tensor.n_blocks)
    begins = [first] + [first + e for e in ends]
    return list(zip(begins, begins[1:] + [end]))


def damage_of(f, number):
    """The statuses for all that is wrong with a tensor; of several any may be reported."""
    tensor, found = f.tensors[number], set()

    def attempt(check, *arguments):
        try:
            check(*arguments)
        except Refused as refused:
            found.add(STATUSES[refused.kind])

    attempt(f.check_tensor, number)
    if tensor.codec != STORED and found:
        if tensor.codebook is not None:
            attempt(f.levels, tensor.codebook)
        if tensor.code_table is not None:
            attempt(f.table_data, tensor.code_table)
            attempt(lambda: nq_codecs.decoder(tensor.codec, f.n_indices(tensor),
                                              f.table_data(tensor.code_table)))
    # Contents that end too early are truncated or corrupt, whichever is seen first.
    if found & {"NQ_E_TRUNCATED", "NQ_E_CORRUPT"}:
        found |= {"NQ_E_TRUNCATED", "NQ_E_CORRUPT"}
    return found or {"NQ_OK"}


def agree(data, theirs):
    """Whether the library says of a file what is found here, and what that is."""
    try:
        f = File(bytes(data))
    except Refused as refused:
        # Limits of its own are the library's affair, but no name for damage.
        ours = STATUSES[refused.kind]
        return theirs == [ours] or (theirs == ["NQ_E_LIMIT"] and ours == "NQ_E_CORRUPT"), ours
    if theirs == ["NQ_E_LIMIT"]:
        return True, "NQ_OK"
    ours = [damage_of(f, number) for number in range(len(f.tensors))]
    return (theirs[0] == "NQ_OK" and len(theirs) == 1 + len(ours) and
            all(their in our for our, their in zip(ours, theirs[1:]))), ours


def check_damage(make_file, path, kind, seed):
    files = list(kind(load(path), random.Random(seed)))
    given = b"".join(struct.pack("<I", len(data)) + data for data in files)
    lines = run(make_file, "status", given=given).decode().splitlines()
    demand(len(lines) == len(files), "make_file did not tell of every file")
    refused = 0
    for number, (data, line) in enumerate(zip(files, lines)):
        theirs = line.split()
        refused += any(status != "NQ_OK" for status in theirs)
        is_good, ours = agree(data, theirs)
        demand(is_good, f"file {number}: here {ours}; the library: {line}; {bytes(data).hex()}")
    return f"{len(files)} files, {refused} refused"


# ---- Files of the program -----------------------------------------------------------------------


def make_tensor(chance, dtype, shape, spread):
    """Weights like those of networks: around zero, few large."""
    n = 1
    for dim in shape:
        n *= dim
    wide = [chance.gauss(0, spread) * (3 if chance.random() < 0.05 else 1) for _ in range(n)]
    data = struct.pack(f"<{n}f", *wide)
    if dtype == F32:
        return data
    return b"".join(nq_decode.to_short(bits, dtype) for bits in struct.unpack(f"<{n}I", data))


def make_source(path):
    """A small network in all types."""
    chance = random.Random(12)
    tensors = [("conv.weight", F32, [20, 5, 5, 5], 0.1), ("conv.bias", F32, [20], 0.1),
               ("fc.weight", F16, [60, 50], 0.05), ("out.weight", BF16, [10, 120], 0.2),
               ("scalar", F32, [], 1.0), ("empty", F32, [0, 7], 1.0)]
    made = [(name, DTYPES[dtype][0], shape, make_tensor(chance, dtype, shape, spread))
            for name, dtype, shape, spread in tensors]
    made.append(("steps", "I64", [], struct.pack("<q", -5)))
    made.append(("mask", "BOOL", [3], b"\1\0\1"))
    for name, letter, sigma in (("I8", "b", 20), ("I16", "h", 900), ("U16", "H", 300)):
        numbers = [round(abs(chance.gauss(0, sigma)) if letter == "H" else chance.gauss(0, sigma))
                   for _ in range(3000)]
        made.append((name.lower(), name, [30, 100],
                     struct.pack("<3000" + letter, *(max(-128, min(127, x)) if letter == "b" else x for x in numbers))))
    nq_decode.write_safetensors(path, made, {"format": "pt"})


RECIPES = [[*target, "--codec", codec, *rest]
           for codec in ("fixed", "huffman", "rans", "huffman-gaps", "auto")
           for target, rest in ((["--step", "0.02"], []),
                                (["--step", "0.013"], ["--level", "grid", "--scope", "tensor"]),
                                (["--levels", "37"], ["--level", "mean", "--min-elems", "0"]),
                                (["--step", "0.02"], ["--lossless", "--keep", "conv.*"]))]
RECIPES += [[*target, "--codec", codec, "--scope", "channel", "--min-elems", "0", *rest]
            for codec in ("fixed", "huffman", "rans", "huffman-gaps")
            for target, rest in ((["--levels", "11"], ["--method", "kmeans"]),
                                 (["--step", "0.013"], ["--axis", "1", "--level", "grid"]),
                                 (["--levels", "9"], ["--axis", "3", "--level", "grid"]))]


def read_safetensors(path):
    data = load(path)
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = []
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors.append((name, entry["dtype"], entry["shape"], data[8 + length + begin:8 + length + end]))
    return tensors, metadata


def check_recipe(nq, make_file, recipe, folder):
    source = os.path.join(folder, "source.safetensors")
    packed, back = os.path.join(folder, "packed.nq"), os.path.join(folder, "back.safetensors")
    make_source(source)
    run(nq, "compress", source, "-o", packed, "--force", *recipe)
    run(nq, "decompress", packed, "-o", back, "--force")
    check_same(make_file, packed, folder)
    f = File(load(packed))
    demand(f.original_bytes == os.path.getsize(source), "original_bytes")
    tensors, metadata = read_safetensors(back)
    ours = [(t.name.decode(), DTYPES[t.dtype][0], t.shape, f.values(t)) for t in f.tensors]
    demand(ours == tensors, "not what `nq decompress` writes")
    demand({k.decode(): v.decode() for k, v in f.metadata} == metadata, "metadata")
    demand([t[:3] for t in ours] == [t[:3] for t in read_safetensors(source)[0]], "names or shapes")
    return f"{os.path.getsize(packed)} bytes"


# ---- All of it ----------------------------------------------------------------------------------


def jobs(root, make_file, nq, folder):
    """(name, function without arguments) of each test."""
    yield "the worked example", lambda: check_example(root, make_file, folder)
    for name in run(make_file, "cases").decode().split():
        yield f"case {name}", lambda name=name: check_case(make_file, name, folder)
    for path in (os.path.join(folder, name) for name in ("example.nq", "small.nq", "small_rans.nq", "small_gaps.nq",
                                                             "small_channels.nq", "small_patterns.nq")):
        for kind in (damaged_plainly, damaged_index, damaged_tables, damaged_blocks):
            if kind is damaged_plainly and path.endswith("small_patterns.nq"):
                continue  # what tells patterns from levels lies in the index and in blocks
            yield (f"{kind.__name__} of {os.path.basename(path)}",
                   lambda path=path, kind=kind: check_damage(make_file, path, kind, 1))
    for recipe in RECIPES if nq else ():
        yield (f"nq compress {' '.join(recipe)}",
               lambda recipe=recipe: check_recipe(nq, make_file, recipe, folder))


def main():
    root, make_file = sys.argv[1:3]
    nq = sys.argv[3] if len(sys.argv) > 3 else None
    good = True
    with tempfile.TemporaryDirectory(prefix="nq-format-") as folder:
        todo = list(jobs(root, make_file, nq, folder))
        print(f"1..{len(todo)}")
        for number, (name, job) in enumerate(todo, 1):
            try:
                print(f"ok {number} - {name}: {job()}", flush=True)
            except (Failed, Refused) as problem:
                good = False
                print(f"not ok {number} - {name}\n# {problem}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
