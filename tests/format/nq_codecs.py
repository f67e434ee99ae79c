"""Code tables and blocks of indices, decoded as docs/format/codecs.md says, in plain Python; nq_rans.py
has those of docs/format/rans.md."""

FIXED, HUFFMAN, RANS, HUFFMAN_GAPS = 1, 2, 3, 4

PIECE = 4096
STREAMED = 8192
STREAMS = 4
MAX_LENGTH = 24
LOOKUP_BITS = 12


class Refused(Exception):
    """A file is not accepted: kind is corrupt, truncated, damaged or unsupported."""

    def __init__(self, kind, what):
        super().__init__(f"{kind}: {what}")
        self.kind = kind


def corrupt(what):
    return Refused("corrupt", what)


def width_of(n):
    """The least number of bits that tells n things apart."""
    return (n - 1).bit_length()


# ---- Bits ---------------------------------------------------------------------------------------


class Bits:
    """A sequence of bits, the low ones of each byte first."""

    def __init__(self, data):
        self.value, self.left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, n):
        if n > self.left:
            raise Refused("truncated", "a table that is cut off")
        value = self.value & (1 << n) - 1
        self.value >>= n
        self.left -= n
        return value

    def end(self):
        if self.left >= 8 or self.value:
            raise corrupt("more than padding behind the last bit")


def packed_bytes(n, width):
    return (n * width + 7) // 8


def unpack(data, n, width):
    """n numbers of so many bits, and that only padding follows."""
    if width == 0:
        return [0] * n
    mask = (1 << width) - 1
    numbers = []
    for at in range(0, len(data), width):  # eight numbers take `width` bytes
        group = int.from_bytes(data[at:at + width], "little")
        numbers += [group >> shift & mask for shift in range(0, 8 * width, width)]
    if any(numbers[n:]) or (len(data) * 8 > n * width and data[-1] >> 8 - (len(data) * 8 - n * width)):
        raise corrupt("padding that is not zero")
    return numbers[:n]


def take_varint(data, at):
    """A number and where it ends."""
    value = 0
    for i in range(10):
        if at + i >= len(data):
            raise Refused("truncated", "a length that is cut off")
        byte = data[at + i]
        value |= (byte & 127) << 7 * i
        if byte < 128:
            if (byte == 0 and i > 0) or value >= 1 << 64:
                break
            return value, at + i + 1
    raise corrupt("a length that is not in its shortest form")


# ---- Fixed --------------------------------------------------------------------------------------


def fixed_decoder(n_levels):
    width = width_of(n_levels)

    def decode(data, n):
        wanted = packed_bytes(n, width)
        if len(data) != wanted:
            raise Refused("truncated" if len(data) < wanted else "corrupt", "a block of wrong length")
        indices = unpack(data, n, width)
        if indices and max(indices) >= n_levels:
            raise corrupt("an index without a level")
        return indices

    return decode


# ---- Huffman tables -----------------------------------------------------------------------------


class Table:
    """A Huffman table: low bits, lengths of codewords (None: no codeword), the escape's length."""

    def __init__(self, data, n_levels):
        bits = Bits(data)
        self.low_bits = bits.take(4)
        if self.low_bits and 1 << self.low_bits >= n_levels:
            raise corrupt("more low bits than the indices have")
        self.n_symbols = (n_levels - 1 >> self.low_bits) + 1
        self.raw_bits = width_of(self.n_symbols)
        self.escape = bits.take(5) if bits.take(1) else None
        first = bits.take(5)
        self.lengths = self.take_lengths(bits, first)
        if first and not any(length is not None for length in self.lengths):
            raise corrupt("a first length of no symbol")
        bits.end()
        self.check()

    def take_lengths(self, bits, previous):
        lengths, is_first, was_run = [], True, False
        while len(lengths) < self.n_symbols:
            change = take_token(bits)
            if change is None:
                run = take_run(bits)
                if was_run or run > self.n_symbols - len(lengths):
                    raise corrupt("a run behind a run, or one that is too long")
                lengths += [None] * run
                was_run = True
                continue
            if isinstance(change, tuple):
                (length,) = change
                if abs(length - previous) <= 2:
                    raise corrupt("a length that is not in its shortest form")
            else:
                length = previous + change
            if not 0 <= length <= MAX_LENGTH or (is_first and length != previous):
                raise corrupt("an impossible length")
            lengths.append(length)
            previous, is_first, was_run = length, False, False
        return lengths

    def check(self):
        """That the code is complete."""
        used = [length for length in self.lengths if length is not None]
        if self.escape is not None:
            used.append(self.escape)
        if max(used, default=0) > MAX_LENGTH:
            raise corrupt("an impossible length")
        if sum(1 << MAX_LENGTH - length for length in used) != 1 << MAX_LENGTH:
            raise corrupt("a code that is not complete")

    def codewords(self):
        """(length, bits with the first one lowest, symbol or None for the escape)."""
        order = sorted((length, symbol) for symbol, length in enumerate(self.lengths)
                       if length is not None)
        if self.escape is not None:
            order = sorted(order + [(self.escape, self.n_symbols)])
        code = previous = 0
        for length, symbol in order:
            code <<= length - previous
            reversed_code = int(f"{code:0{length}b}"[::-1], 2) if length else 0
            yield length, reversed_code, symbol if symbol < self.n_symbols else None
            code += 1
            previous = length


def take_token(bits):
    """A change of length, a new length as a tuple of one, or None for a run."""
    if not bits.take(1):
        return 0
    if not bits.take(1):
        return -1 if bits.take(1) else 1
    if not bits.take(1):
        return None
    if not bits.take(1):
        return -2 if bits.take(1) else 2
    return (bits.take(5),)


def take_run(bits):
    n = 0
    while bits.take(1):
        n += 1
        if n > 16:
            raise corrupt("a run that is too long")
    return 1 << n | bits.take(n)


# ---- Huffman blocks -----------------------------------------------------------------------------


def make_lookup(table):
    """For each LOOKUP_BITS bits the codeword that they begin with, as (length, symbol); and the longer
    codewords by length."""
    short = [None] * (1 << LOOKUP_BITS)
    longer = {}
    for length, bits, symbol in table.codewords():
        if length > LOOKUP_BITS:
            longer.setdefault(length, {})[bits] = symbol
            continue
        for high in range(1 << LOOKUP_BITS - length):
            short[high << length | bits] = (length, symbol)
    return short, sorted(longer.items())


def find_longer(longer, window):
    for length, codes in longer:
        symbol = codes.get(window & (1 << length) - 1, -1)
        if symbol != -1:
            return length, symbol
    raise AssertionError("a complete code has a codeword for all bits")


def decode_stream(table, lookup, data, n):
    """n symbols, and that nothing else follows."""
    short, longer = lookup
    raw_bits, n_symbols = table.raw_bits, table.n_symbols
    mask = (1 << LOOKUP_BITS) - 1
    window, have, at, size = 0, 0, 0, len(data)
    symbols = []
    append = symbols.append
    for _ in range(n):
        if have < 40:
            window |= int.from_bytes(data[at:at + 8], "little") << have
            have += 8 * min(8, size - at)
            at = min(at + 8, size)
        entry = short[window & mask]
        length, symbol = entry if entry is not None else find_longer(longer, window)
        if symbol is None:
            symbol = window >> length & (1 << raw_bits) - 1
            length += raw_bits
            if length <= have and symbol >= n_symbols:
                raise corrupt("an escaped symbol that is none")
        window >>= length
        have -= length
        if have < 0:
            raise Refused("truncated", "a stream that ends before its last symbol")
        append(symbol)
    if have + 8 * (size - at) >= 8 or window:
        raise corrupt("more than padding behind a stream's last symbol")
    return symbols


def share(n, streams, i):
    """Where stream i's part of a piece of n begins."""
    return min(n, i * -(-n // streams))


def split_block(data, n, low_bits):
    """The bytes of the streams, and those of the low bits."""
    streams = 1 if n < STREAMED else STREAMS
    sizes, at = [], 0
    for _ in range(streams - 1):
        size, at = take_varint(data, at)
        sizes.append(size)
    low_bytes = packed_bytes(n, low_bits)
    sizes.append(len(data) - at - sum(sizes) - low_bytes)
    if sizes[-1] < 0:
        raise Refused("truncated", "parts of a block that are longer than the block")
    parts = []
    for size in sizes:
        parts.append(data[at:at + size])
        at += size
    return parts, data[at:]


def huffman_decoder(n_levels, table_data):
    table = Table(table_data, n_levels)
    lookup = make_lookup(table)

    def decode(data, n):
        parts, low_data = split_block(data, n, table.low_bits)
        streams = len(parts)
        pieces = [min(PIECE, n - begin) for begin in range(0, n, PIECE)]
        decoded = []
        for i, part in enumerate(parts):
            count = sum(share(m, streams, i + 1) - share(m, streams, i) for m in pieces)
            decoded.append(decode_stream(table, lookup, part, count))
        symbols, taken = [], [0] * streams
        for m in pieces:
            for i in range(streams):
                count = share(m, streams, i + 1) - share(m, streams, i)
                symbols += decoded[i][taken[i]:taken[i] + count]
                taken[i] += count
        if table.low_bits:
            low = unpack(low_data, n, table.low_bits)
            symbols = [s << table.low_bits | bits for s, bits in zip(symbols, low)]
        if symbols and max(symbols) >= n_levels:
            raise corrupt("an index without a level")
        return symbols

    return decode


def take_part(data, at, size):
    if size > len(data) - at:
        raise Refused("truncated", "a part that is longer than what is left")
    return data[at:at + size], data[at + size:]


def gaps_decoder(n_levels, table_data):
    zero, at = take_varint(table_data, 0)
    n_gaps, at = take_varint(table_data, at)
    size, at = take_varint(table_data, at)
    if zero >= n_levels or not 2 <= n_gaps <= 65536:
        raise corrupt("a field of the table out of range")
    gaps_table, values_table = take_part(table_data, at, size)
    gaps_of = huffman_decoder(n_gaps, gaps_table)
    values_of = huffman_decoder(n_levels, values_table)

    def decode(data, n):
        pairs, at = take_varint(data, 0) if n else (0, 0)
        if pairs > n or (pairs == 0 and at < len(data)):
            raise corrupt("more pairs than indices, or bytes behind none")
        if pairs == 0:
            return [zero] * n
        size, at = take_varint(data, at)
        gaps_data, values_data = take_part(data, at, size)
        indices = []
        for gap, value in zip(gaps_of(gaps_data, pairs), values_of(values_data, pairs)):
            indices += [zero] * gap
            indices.append(value)
        if len(indices) > n:
            raise corrupt("pairs beyond the block's end")
        return indices + [zero] * (n - len(indices))

    return decode


def rans_decoder(n_levels, table_data):
    import nq_rans  # which needs this module
    code = nq_rans.Code(table_data, n_levels)
    return lambda data, n: nq_rans.decode(code, data, n)


# ---- All codecs ---------------------------------------------------------------------------------


def decoder(codec, n_levels, table_data):
    """A function from (bytes of a block, number of indices) to a list of indices."""
    if codec == FIXED:
        return fixed_decoder(n_levels)
    if codec == HUFFMAN:
        return huffman_decoder(n_levels, table_data)
    if codec == RANS:
        return rans_decoder(n_levels, table_data)
    if codec == HUFFMAN_GAPS:
        return gaps_decoder(n_levels, table_data)
    raise Refused("unsupported", "an unknown codec")
