#!/usr/bin/env python3
"""Decodes .nq files in plain Python: a second, independent decoder, written from docs/format alone.

usage: nq_decode.py FILE.nq [--dtype F32|F16|BF16] [--out FILE.safetensors] [--indices] [--levels]

Opens the file, verifies every checksum, decodes all tensors, and prints what it found as JSON; with
--out the values also go into a safetensors file. Exits 4 and says why when the file is refused.
"""

import argparse
import hashlib
import json
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import nq_codecs  # noqa: E402

MAGIC = b"\x89NQ\r\n\x1a\n\0"
HEADER_BYTES = 64
MAX_LEVELS = 65536
MAX_STORED_LEVELS = 1 << 26
MAX_ELEMENTS = 1 << 57
MAX_CELL = 1 << 53
MAX_CODE_TABLE_BYTES = 1 << 20
DTYPES = [("F32", 32), ("F16", 16), ("BF16", 16), ("F64", 64), ("BOOL", 8), ("U8", 8), ("I8", 8),
          ("U16", 16), ("I16", 16), ("U32", 32), ("I32", 32), ("U64", 64), ("I64", 64),
          ("F8_E5M2", 8), ("F8_E4M3", 8), ("F8_E8M0", 8), ("F6_E2M3", 6), ("F6_E3M2", 6), ("F4", 4),
          ("C64", 64)]
F32, F16, BF16 = 0, 1, 2
KIND_F32, KIND_F16, KIND_GRID, KIND_CODE = 1, 2, 3, 16
STORED, FIXED, HUFFMAN, RANS, HUFFMAN_GAPS = 0, 1, 2, 3, 4
PLAIN, CHANNELS, PATTERNS = 0, 1, 2  # layouts
SIGNED = ("I8", "I16")
SIGN_AND_EXPONENT = ("F32", "F16", "BF16", "F8_E5M2", "F8_E4M3")

CODECS = ["stored", "fixed", "huffman", "rans", "huffman-gaps"]

Refused = nq_codecs.Refused


# ---- Bytes --------------------------------------------------------------------------------------


class Cursor:
    """Reads numbers from bytes that may end."""

    def __init__(self, data, kind="corrupt", what="a record ends inside a field"):
        self.data, self.at, self.kind, self.what = data, 0, kind, what

    def left(self):
        return len(self.data) - self.at

    def take(self, n):
        if n > self.left():
            raise Refused(self.kind, self.what)
        self.at += n
        return self.data[self.at - n:self.at]

    def u(self, width):
        return int.from_bytes(self.take(width), "little")

    def varint(self):
        value = 0
        for i in range(10):
            byte = self.u(1)
            value |= (byte & 127) << 7 * i
            if byte < 128:
                if (byte == 0 and i > 0) or value >= 1 << 64:
                    break
                return value
        raise Refused("corrupt", "a number that is not in its shortest form")

    def text(self):
        return bytes(self.take(self.varint()))


def make_crc_tables():
    """For four bytes at once."""
    first = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        first.append(crc)
    tables = [first]
    for _ in range(3):
        tables.append([first[crc & 255] ^ crc >> 8 for crc in tables[-1]])
    return tables


CRC0, CRC1, CRC2, CRC3 = make_crc_tables()


def crc32c(data):
    crc = 0xFFFFFFFF
    n = len(data) // 4
    t0, t1, t2, t3 = CRC0, CRC1, CRC2, CRC3
    for word in struct.unpack_from(f"<{n}I", data):
        crc ^= word
        crc = t3[crc & 255] ^ t2[crc >> 8 & 255] ^ t1[crc >> 16 & 255] ^ t0[crc >> 24]
    for byte in data[4 * n:]:
        crc = CRC0[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


# ---- Numbers ------------------------------------------------------------------------------------


def f16_to_f32(half):
    """Bits to bits; exact."""
    sign, exponent, mantissa = half >> 15 << 31, half >> 10 & 31, half & 1023
    if exponent == 31:
        return sign | 0x7F800000 | mantissa << 13
    if exponent:
        return sign | exponent + 112 << 23 | mantissa << 13
    return sign | struct.unpack("<I", struct.pack("<f", mantissa * 2.0 ** -24))[0]


def round_shift(value, shift):
    """value / 2^shift, to nearest, ties to even."""
    if shift <= 0:
        return value << -shift
    kept, rest, half = value >> shift, value & (1 << shift) - 1, 1 << shift - 1
    return kept + (rest > half or (rest == half and kept & 1))


def f32_to_f16(bits):
    sign, exponent, mantissa = bits >> 31 << 15, bits >> 23 & 255, bits & 0x7FFFFF
    if exponent == 255:
        return sign | (0x7E00 | mantissa >> 13 if mantissa else 0x7C00)
    if exponent == 0:
        return sign
    # In units of 2^-24, the smallest half: mantissa 2^(exponent - 150) = mantissa 2^(exponent - 126).
    if exponent < 113:
        return sign | round_shift(mantissa | 0x800000, 126 - exponent)
    rounded = round_shift(exponent - 112 << 23 | mantissa, 13)
    return sign | min(rounded, 0x7C00)


def f32_to_bf16(bits):
    if bits & 0x7FFFFFFF > 0x7F800000:
        return bits >> 16 | 0x40
    return round_shift(bits, 16)


def to_short(bits, dtype):
    """The bytes of an f32, given as bits, in one of the three short floating types."""
    if dtype == F32:
        return bits.to_bytes(4, "little")
    return (f32_to_f16(bits) if dtype == F16 else f32_to_bf16(bits)).to_bytes(2, "little")


def f32_of_f64(value):
    """Rounded, as bits; None if that is infinite."""
    try:
        bits = struct.unpack("<I", struct.pack("<f", value))[0]
    except OverflowError:
        return None
    return None if bits & 0x7FFFFFFF >= 0x7F800000 else bits


# ---- Records ------------------------------------------------------------------------------------


class Table:
    """A codebook or code table: its record, and where its data are."""

    def __init__(self, c):
        r = Cursor(c.text())
        self.n_bytes = r.varint()
        self.crc_at = HEADER_BYTES + c.at - r.left()
        self.crc, self.kind = r.u(4), r.u(1)
        self.offset = 0
        self.codec = self.n_levels = None
        self.step = 0.0
        self.n_channels = self.n_stored = 0
        if self.kind in (KIND_F32, KIND_F16, KIND_GRID):
            self.read_codebook(r)
        elif self.kind != KIND_CODE:
            raise Refused("unsupported", "a table of unknown kind")
        else:
            self.codec = r.u(1)
            if self.codec > HUFFMAN_GAPS:
                raise Refused("unsupported", "a code table of an unknown codec")
            if self.codec in (STORED, FIXED):
                raise Refused("corrupt", "a code table of a codec without tables")
            if self.n_bytes > MAX_CODE_TABLE_BYTES:
                raise Refused("corrupt", "a code table that is too large")

    def read_codebook(self, r):
        self.method, self.level_rule, flags = r.u(1), r.u(1), r.u(1)
        self.n_levels = r.varint()
        if flags & ~3:
            raise Refused("unsupported", "unknown flags of a codebook")
        if flags & 1:
            (self.step,) = struct.unpack("<d", r.take(8))
        if not 1 <= self.n_levels <= MAX_LEVELS:
            raise Refused("corrupt", "an impossible number of levels")
        n, n_bytes = self.n_levels, self.n_bytes
        fits = {KIND_F32: n_bytes == 4 * n, KIND_F16: n_bytes == 2 * n,
                KIND_GRID: 2 <= n_bytes <= 9 * n}[self.kind]
        if flags & 2:
            self.n_channels, self.n_stored = r.varint(), r.varint()
            if not 1 <= self.n_channels <= self.n_stored <= MAX_STORED_LEVELS:
                raise Refused("corrupt", "an impossible number of channels")
            n = self.n_stored
            least, most = {KIND_F32: (4 * n, 4 * n), KIND_F16: (2 * n, 2 * n),
                           KIND_GRID: (2, 9 * n)}[self.kind]
            fits = least <= n_bytes <= most + 18 * self.n_channels
        if not fits:
            raise Refused("corrupt", "a codebook's size contradicts its levels")
        if self.step - self.step != 0 or (self.kind == KIND_GRID and self.step == 0 and
                                          not self.n_channels):
            raise Refused("corrupt", "an impossible step")


class Tensor:
    """A tensor's record, and where its payload is."""

    def __init__(self, c, size_width):
        r = Cursor(c.text())
        self.payload_bytes = r.u(size_width)
        self.payload_offset = 0
        self.dtype, rank = r.u(1), r.u(1)
        if self.dtype >= len(DTYPES):
            raise Refused("unsupported", "an unknown element type")
        if rank > 8:
            raise Refused("unsupported", "more than eight dimensions")
        self.shape = [r.varint() for _ in range(rank)]
        self.n = 1
        for dim in self.shape:
            self.n *= dim
        self.bits = DTYPES[self.dtype][1]
        if self.n > MAX_ELEMENTS or self.n * self.bits % 8:
            raise Refused("corrupt", "an impossible number of elements")
        self.name, self.codec, self.block_log2 = r.text(), r.u(1), r.u(1)
        if self.codec > HUFFMAN_GAPS:
            raise Refused("unsupported", "an unknown codec")
        if not 6 <= self.block_log2 <= 24:
            raise Refused("corrupt", "an impossible block size")
        self.codebook = self.code_table = self.layout = self.axis = None
        if self.codec != STORED:
            self.read_coded(r)
        self.check_payload()

    def read_coded(self, r):
        self.layout = r.u(1)
        if self.layout not in (PLAIN, CHANNELS, PATTERNS):
            raise Refused("unsupported", "an unknown layout")
        if self.layout != PATTERNS:
            self.codebook = r.varint()
        table = r.varint()
        if self.layout == CHANNELS:
            self.axis = r.u(1)
            if self.axis >= len(self.shape):
                raise Refused("corrupt", "channels of an axis that there is not")
        if self.layout != PATTERNS and self.dtype not in (F32, F16, BF16):
            raise Refused("unsupported", "a quantized tensor of such a type")
        if self.layout == PATTERNS and self.bits not in (8, 16) and self.dtype != F32:
            raise Refused("unsupported", "patterns of such a type")
        self.code_table = table - 1 if table else None

    def check_payload(self):
        self.units = self.n * self.bits // 8 if self.codec == STORED else self.n
        self.n_blocks = -(-self.units >> self.block_log2)
        self.end_bytes = 4 if self.n < 1 << 29 else 8
        self.directory_bytes = 4 * self.n_blocks
        if self.codec != STORED and self.n_blocks:
            self.directory_bytes += self.end_bytes * (self.n_blocks - 1)
        exact = self.directory_bytes + self.units if self.codec == STORED else 0
        if self.codec == STORED or self.n == 0:
            fits = self.payload_bytes == exact
        else:
            fits = self.payload_bytes >= self.directory_bytes
        if not fits:
            raise Refused("corrupt", "a payload that contradicts the shape")

    def channels(self):
        """The channel of each element; 0 of all where there are none."""
        if self.axis is None:
            return [0] * self.n
        inner = 1
        for dim in self.shape[self.axis + 1:]:
            inner *= dim
        return [i // inner % self.shape[self.axis] for i in range(self.n)]

    def check_codebook(self, tables):
        if self.codebook >= len(tables) or tables[self.codebook].kind == KIND_CODE:
            raise Refused("corrupt", "a tensor without its codebook")
        if tables[self.codebook].n_channels != (0 if self.axis is None else self.shape[self.axis]):
            raise Refused("corrupt", "a codebook for other channels")
        if tables[self.codebook].n_stored > self.n:
            raise Refused("corrupt", "more levels of channels than elements")

    def check_tables(self, tables):
        if self.codec == STORED:
            return
        if self.codebook is not None:
            self.check_codebook(tables)
        if (self.code_table is None) != (self.codec == FIXED):
            raise Refused("corrupt", "a code table too few or too many")
        if self.code_table is not None and (self.code_table >= len(tables) or
                                            tables[self.code_table].codec != self.codec):
            raise Refused("corrupt", "a tensor without its code table")


# ---- Files --------------------------------------------------------------------------------------


class File:
    """An open file: header and index are checked, payloads are when they are decoded."""

    def __init__(self, data):
        self.data = data
        self.read_header()
        index = data[HEADER_BYTES:HEADER_BYTES + self.index_bytes]
        if crc32c(index) != self.index_crc:
            raise Refused("damaged", "the index")
        c = Cursor(index)
        self.at = HEADER_BYTES + self.index_bytes
        self.metadata = [(c.text(), c.text()) for _ in range(self.n_metadata)]
        self.tables = [self.place(Table(c), "n_bytes", "offset") for _ in range(self.n_tables)]
        self.tensors = []
        for _ in range(self.n_tensors):
            tensor = self.place(Tensor(c, self.size_width), "payload_bytes", "payload_offset")
            tensor.check_tables(self.tables)
            self.tensors.append(tensor)
        if c.left() or self.at != self.file_bytes:
            raise Refused("corrupt", "the index does not account for the whole file")
        if len({t.name for t in self.tensors}) != len(self.tensors):
            raise Refused("corrupt", "two tensors of one name")

    def read_header(self):
        data = self.data
        if not data or data[:8] != MAGIC[:len(data)]:
            raise Refused("corrupt", "not a .nq file")
        if len(data) < HEADER_BYTES:
            raise Refused("truncated", "the file ends in its header")
        (header_crc, self.version, header_bytes, self.required, self.optional, self.file_bytes,
         self.original_bytes, self.index_bytes, self.index_crc, self.n_tensors, self.n_tables,
         self.n_metadata, self.size_width) = struct.unpack_from("<IHHIIQQIIIIIB", data, 8)
        if crc32c(data[12:HEADER_BYTES]) != header_crc:
            raise Refused("damaged", "the header")
        if self.version != 1:
            raise Refused("unsupported", "a version of the format")
        if self.required:
            raise Refused("unsupported", "a required feature")
        if header_bytes != HEADER_BYTES or any(data[61:64]) or not 1 <= self.size_width <= 8:
            raise Refused("corrupt", "the header contradicts its version")
        if self.file_bytes < HEADER_BYTES or self.index_bytes > self.file_bytes - HEADER_BYTES:
            raise Refused("corrupt", "an index larger than its file")
        if (2 * self.n_metadata + 8 * self.n_tables + (6 + self.size_width) * self.n_tensors
                > self.index_bytes):
            raise Refused("corrupt", "an index too small for its records")
        if len(data) != self.file_bytes:
            raise Refused("truncated" if len(data) < self.file_bytes else "corrupt",
                          "not of the size that the header says")

    def place(self, record, size, offset):
        """Puts a record's data behind those of the one before."""
        n_bytes = getattr(record, size)
        if n_bytes > self.file_bytes - self.at:
            raise Refused("corrupt", "data beyond the end of the file")
        setattr(record, offset, self.at)
        self.at += n_bytes
        return record

    def table_bytes(self, table):
        return self.data[table.offset:table.offset + table.n_bytes]

    def table_data(self, number):
        """The same, once the checksum is verified."""
        data = self.table_bytes(self.tables[number])
        if crc32c(data) != self.tables[number].crc:
            raise Refused("damaged", f"table {number}")
        return data

    def codebook(self, number):
        """For each channel the number of its first level and its levels, as the bits of f32; one
        channel where there are none."""
        table, c = self.tables[number], Cursor(self.table_data(number), what="a codebook's end")
        if not table.n_channels:
            numbers = [(0, table.n_levels)]
        else:
            numbers = self.channels(table, c)
        books = [(first, self.channel_levels(table, c, n)) for first, n in numbers]
        if c.left():
            raise Refused("corrupt", "a codebook with bytes left over")
        return books

    @staticmethod
    def channels(table, c):
        """Number of the first level, and number of levels, of each channel."""
        numbers = []
        while len(numbers) < table.n_channels:
            more, first, n = c.varint(), c.varint(), c.varint() + 1
            if first + n > table.n_levels or len(numbers) + more >= table.n_channels:
                raise Refused("corrupt", "channels that contradict their codebook")
            numbers += [(first, n)] * (more + 1)
        if sum(n for _, n in numbers) != table.n_stored:
            raise Refused("corrupt", "channels with too few or too many levels")
        return numbers

    def channel_levels(self, table, c, n):
        if table.kind == KIND_F32:
            return list(struct.unpack(f"<{n}I", c.take(4 * n)))
        if table.kind == KIND_F16:
            return [f16_to_f32(half) for half in struct.unpack(f"<{n}H", c.take(2 * n))]
        step = table.step
        if table.n_channels and step == 0:
            (step,) = struct.unpack("<d", c.take(8))
            if step - step != 0 or step == 0:
                raise Refused("corrupt", "an impossible step")
        return [self.grid_level(step, cell) for cell in self.cells(c, n)]

    def levels(self, number):
        """A codebook's levels, of all channels one after another."""
        return [bits for _, levels in self.codebook(number) for bits in levels]

    @staticmethod
    def grid_level(step, cell):
        bits = f32_of_f64(step * float(cell))
        if bits is None:
            raise Refused("corrupt", "a level that is infinite")
        return bits

    @staticmethod
    def cells(c, n_levels):
        cells = []
        while len(cells) < n_levels:
            if not cells:
                raw = c.varint()
                cell = -(raw + 1) // 2 if raw & 1 else raw // 2
            else:
                cell = cells[-1] + c.varint() + 2
            n = c.varint() + 1
            if n > n_levels - len(cells) or cell < -MAX_CELL or cell + n - 1 > MAX_CELL:
                raise Refused("corrupt", "a run that is too long or too far")
            cells += range(cell, cell + n)
        return cells

    def extents(self, tensor):
        """Where each block begins and ends in the file, and its checksum."""
        begin = tensor.payload_offset
        end = begin + tensor.payload_bytes
        n, first = tensor.n_blocks, begin + tensor.directory_bytes
        crcs = struct.unpack_from(f"<{n}I", self.data, begin)
        if tensor.codec == STORED:
            ends = [(i + 1) << tensor.block_log2 for i in range(n - 1)]
        else:
            letter = "I" if tensor.end_bytes == 4 else "Q"
            ends = struct.unpack_from(f"<{max(n - 1, 0)}{letter}", self.data, begin + 4 * n)
        at = first
        for i in range(n):
            to = first + ends[i] if i + 1 < n else end
            if not at <= to <= end:
                raise Refused("corrupt", "a block directory out of order")
            yield at, to, crcs[i]
            at = to

    def blocks(self, tensor):
        """The bytes of each block, checksum verified, and its number of units."""
        for i, (begin, end, crc) in enumerate(self.extents(tensor)):
            data = self.data[begin:end]
            if crc32c(data) != crc:
                raise Refused("damaged", f"block {i}")
            yield data, min(tensor.units - (i << tensor.block_log2), 1 << tensor.block_log2)

    def n_indices(self, tensor):
        """How many different ones there may be."""
        if tensor.layout == PATTERNS:
            return 256 if tensor.bits == 8 else 65536
        return self.tables[tensor.codebook].n_levels

    def indices(self, tensor):
        """Numbers of levels, those of an element's channel where there are channels; or of patterns."""
        n_levels = self.n_indices(tensor)
        table = None if tensor.code_table is None else self.table_data(tensor.code_table)
        decode = nq_codecs.decoder(tensor.codec, n_levels, table)
        indices = []
        for data, n in self.blocks(tensor):
            indices += decode(self.split_block(tensor, data, n)[0], n)
        if tensor.axis is None:
            return indices
        books = self.codebook(tensor.codebook)
        numbers = [index - books[channel][0] for index, channel in
                   zip(indices, tensor.channels())]
        if any(not 0 <= number < len(books[channel][1]) for number, channel in
               zip(numbers, tensor.channels())):
            raise Refused("corrupt", "an index that its channel does not have")
        return numbers

    @staticmethod
    def split_block(tensor, data, n):
        """The coded part of a block, and the raw bytes behind it."""
        n_raw = 2 * n if tensor.layout == PATTERNS and tensor.dtype == F32 else 0
        if len(data) < n_raw:
            raise Refused("truncated", "a block without room for its raw bytes")
        return data[:len(data) - n_raw], data[len(data) - n_raw:]

    def elements(self, tensor):
        """The bytes of a tensor whose patterns are coded."""
        width, bits = tensor.bits // 8, tensor.bits
        patterns = self.indices(tensor)
        if tensor.dtype == F32:
            raw = b"".join(self.split_block(tensor, data, n)[1] for data, n in self.blocks(tensor))
            low = struct.unpack(f"<{tensor.n}H", raw)
            patterns = [index << 16 | x for index, x in zip(patterns, low)]
        if DTYPES[tensor.dtype][0] in SIGNED:
            patterns = [x ^ 1 << bits - 1 for x in patterns]
        elif DTYPES[tensor.dtype][0] in SIGN_AND_EXPONENT:
            patterns = [x >> 1 | (x & 1) << bits - 1 for x in patterns]
        return struct.pack(f"<{tensor.n}{'?BH?I'[width]}", *patterns)

    def stored(self, tensor):
        """The bytes of a stored tensor."""
        return b"".join(data for data, _ in self.blocks(tensor))

    def values(self, tensor, dtype=None):
        """Little-endian elements in the tensor's own type, or another short floating one."""
        dtype = tensor.dtype if dtype is None else dtype
        if tensor.codebook is not None:
            books = [[to_short(bits, dtype) for bits in levels]
                     for _, levels in self.codebook(tensor.codebook)]
            return b"".join(books[channel][index] for index, channel in
                            zip(self.indices(tensor), tensor.channels()))
        data = self.stored(tensor) if tensor.codec == STORED else self.elements(tensor)
        if dtype == tensor.dtype:
            return data
        if max(dtype, tensor.dtype) > BF16:
            raise ValueError("only short floating types convert")
        if tensor.dtype == F32:
            wide = struct.unpack(f"<{tensor.n}I", data)
        else:
            halves = struct.unpack(f"<{tensor.n}H", data)
            wide = [f16_to_f32(x) if tensor.dtype == F16 else x << 16 for x in halves]
        return b"".join(to_short(bits, dtype) for bits in wide)

    def check_tensor(self, number):
        """That all of it decodes."""
        tensor = self.tensors[number]
        if tensor.codec == STORED:
            self.stored(tensor)
        elif tensor.layout == PATTERNS:
            self.elements(tensor)
        else:
            self.levels(tensor.codebook)
            self.indices(tensor)

    def verify(self):
        """Checks everything: yields (tensor's number or None, Refused) for what is damaged."""
        for number in range(len(self.tables)):
            try:
                self.table_data(number)
            except Refused as refused:
                yield None, refused
        for number in range(len(self.tensors)):
            try:
                self.check_tensor(number)
            except Refused as refused:
                yield number, refused


# ---- Program ------------------------------------------------------------------------------------


def describe(f, tensor, arguments):
    """One tensor as JSON has it, and its values."""
    short = {"F32": F32, "F16": F16, "BF16": BF16}.get(arguments.dtype)
    dtype = short if short is not None and tensor.dtype <= BF16 else tensor.dtype
    values = f.values(tensor, dtype)
    entry = {"name": tensor.name.decode("utf-8", "backslashreplace"), "dtype": DTYPES[dtype][0],
             "shape": tensor.shape, "codec": CODECS[tensor.codec],
             "bytes": tensor.payload_bytes, "sha256": hashlib.sha256(values).hexdigest()}
    if tensor.codebook is not None:
        table = f.tables[tensor.codebook]
        entry.update(codebook=tensor.codebook, levels=table.n_levels, step=table.step)
        if arguments.levels:
            levels = f.levels(tensor.codebook)
            bits = struct.pack(f"<{len(levels)}I", *levels)
            entry["level_values"] = list(struct.unpack(f"<{len(levels)}f", bits))
        if arguments.indices:
            entry["indices"] = f.indices(tensor)
    return entry, (entry["name"], DTYPES[dtype][0], tensor.shape, values)


def write_safetensors(path, tensors, metadata):
    header, at = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, dtype, shape, data in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for _, _, _, data in tensors:
            out.write(data)


def main():
    parser = argparse.ArgumentParser(description="Decodes .nq files, slowly and independently.")
    parser.add_argument("file")
    parser.add_argument("--dtype", choices=["F32", "F16", "BF16"])
    parser.add_argument("--out", help="a safetensors file for the values")
    parser.add_argument("--indices", action="store_true", help="print all indices, too")
    parser.add_argument("--levels", action="store_true", help="print all levels, too")
    arguments = parser.parse_args()
    with open(arguments.file, "rb") as source:
        data = source.read()
    try:
        f = File(data)
        for number, refused in f.verify():
            raise refused
        entries = [describe(f, tensor, arguments) for tensor in f.tensors]
    except Refused as refused:
        print(f"{arguments.file}: {refused}", file=sys.stderr)
        return 4
    metadata = {k.decode(): v.decode() for k, v in f.metadata}
    if arguments.out:
        write_safetensors(arguments.out, [values for _, values in entries], metadata)
    print(json.dumps({"file_bytes": f.file_bytes, "original_bytes": f.original_bytes,
                      "metadata": metadata, "tensors": [entry for entry, _ in entries]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
