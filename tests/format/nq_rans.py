"""rANS tables and blocks, decoded as docs/format/rans.md says, in plain Python."""

from nq_codecs import Bits, Refused, corrupt, packed_bytes, take_varint, unpack, width_of

GAPS = 65536
GROUP = 512
PAIRS = 2048


# ---- Tables -------------------------------------------------------------------------------------


def zigzag(zeros):
    """Number `zeros` of the list 0, +1, -1, +2, -2, ..."""
    return (zeros + 1) // 2 if zeros % 2 else -(zeros // 2)


class Frequencies:
    """Reads frequencies whose widths are told by differences."""

    def __init__(self, bits):
        self.bits, self.width = bits, 1

    def take(self):
        zeros = 0
        while self.bits.take(1) == 0:
            zeros += 1
            if zeros > 18:
                raise corrupt("a difference of widths that cannot be")
        self.width += zigzag(zeros)
        if not 0 <= self.width <= 9:
            raise corrupt("a frequency's width out of range")
        if self.width == 0:
            return 0
        return 1 << self.width - 1 | self.bits.take(self.width - 1)


class Table:
    """Classes as (upper part or None for the escape, frequency); slots with class and rank."""

    def __init__(self, classes, low_bits, last):
        if sum(frequency for _, frequency in classes) != 256 or len(classes) > 32:
            raise corrupt("frequencies that do not add up, or too many classes")
        self.classes, self.low_bits, self.last = classes, low_bits, last
        self.has_escape = classes[-1][0] is None
        self.constant = len(classes) == 1
        if last == 0 and not self.constant:
            raise corrupt("a table that tells apart what is the same")
        owner = [c for c, (_, frequency) in enumerate(classes) for _ in range(frequency)]
        self.class_of = [owner[slot % 16 * 16 + slot // 16] for slot in range(256)]
        self.rank_of = [self.class_of[:slot].count(self.class_of[slot]) for slot in range(256)]


def read_table(bits, n):
    low_bits = bits.take(4)
    if low_bits > width_of(n):
        raise corrupt("more low bits than there are")
    last = (n - 1) >> low_bits
    width = width_of(last + 1)
    first, span = bits.take(width), bits.take(min(width, 8)) + 1
    if span > 255 or first + span - 1 > last:
        raise corrupt("a window out of range")
    frequencies = Frequencies(bits)
    taken = [frequencies.take() for _ in range(span)]
    if not taken[0] or not taken[-1]:
        raise corrupt("a window that is too large")
    classes = [(first + i, frequency) for i, frequency in enumerate(taken) if frequency]
    rest = 256 - sum(taken)
    if rest < 0:
        raise corrupt("frequencies of more than 256")
    return Table(classes + ([(None, rest)] if rest else []), low_bits, last)


class Channel:
    def __init__(self, bits, n_tables, n):
        self.n = n
        self.tables = [read_table(bits, n) for _ in range(n_tables)]
        self.has_escape = any(table.has_escape for table in self.tables)
        self.has_low_bits = any(table.low_bits for table in self.tables)
        if self.has_escape:
            last = max(table.last for table in self.tables)
            self.width = width_of(last + 1)
            center, self.offset, self.rice = bits.take(self.width), bits.take(self.width), bits.take(4)
            if max(center, self.offset) > last:
                raise corrupt("a code of escapes out of range")
            # Nearest first, the one above before the one below.
            self.uppers = sorted(range(last + 1), key=lambda u: (abs(u - center), u < center))

    def take_escape(self, bits):
        ones = 0
        while ones < 8 and bits.take(1):
            ones += 1
        if ones == 8:
            upper = bits.take(self.width)
            if upper >= len(self.uppers):
                raise corrupt("an escape out of range")
            return upper
        rank = self.offset + (ones << self.rice) + bits.take(self.rice)
        if rank >= len(self.uppers):
            raise corrupt("a rank out of range")
        return self.uppers[rank]


class Code:
    def __init__(self, data, n_levels):
        bits = Bits(data)
        self.n_tables = bits.take(4) + 1
        self.sparse = bits.take(1)
        sub = bits.take(3)
        if self.n_tables == 1 and sub:
            raise corrupt("sub-blocks of one table")
        self.sub = 64 << sub
        if self.sparse:
            self.zero = bits.take(width_of(n_levels))
            if self.zero >= n_levels:
                raise corrupt("a zero that is no index")
        if self.n_tables > 1:
            frequencies = Frequencies(bits)
            steps = [frequencies.take() for _ in range(self.n_tables - 1)]
            if min(steps) < 1 or sum(steps) > 255:
                raise corrupt("steps that do not add up")
            steps.append(256 - sum(steps))
            self.steps = Table(list(enumerate(steps)), 0, self.n_tables - 1)
        self.gaps = Channel(bits, self.n_tables, GAPS) if self.sparse else None
        self.values = Channel(bits, self.n_tables, n_levels)
        bits.end()


# ---- Blocks -------------------------------------------------------------------------------------


class Block:
    """The parts of a block, and what was taken from them."""

    def __init__(self, code, data, n):
        self.code, self.data, self.at = code, data, 0
        channels = [code.values] + ([code.gaps] if code.sparse else [])
        lanes, = self.take(1)
        if lanes & 15 > 8:
            raise corrupt("too many lanes")
        self.lanes, self.idle = 1 << (lanes & 15), lanes >> 4
        busy = list(self.take(self.take(1)[0])) if self.idle else []
        if busy != sorted(set(busy)) or any(lane >= self.lanes for lane in busy):
            raise corrupt("busy lanes out of order or range")
        self.busy = set(busy)
        self.n_pairs = self.varint() if code.sparse else 0
        if self.n_pairs > n:
            raise corrupt("more pairs than indices")
        low = self.varint() if any(c.has_low_bits for c in channels) else 0
        escapes = [self.varint() if c.has_escape else 0 for c in channels]
        self.low = self.take(low)
        self.escapes = {id(c): Bits(self.take(size)) for c, size in zip(channels, escapes)}
        states = self.take(2 * self.lanes)
        self.states = [states[2 * i] | states[2 * i + 1] << 8 for i in range(self.lanes)]
        if min(self.states) < 256:
            raise corrupt("a state that is too small")

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Refused("truncated", "a block that is cut off")
        self.at += n
        return self.data[self.at - n:self.at]

    def varint(self):
        value, self.at = take_varint(self.data, self.at)
        return value

    def take_class(self, table, lane, idle):
        if table.constant:
            return 0
        x = self.states[lane]
        c = table.class_of[x & 255]
        x = table.classes[c][1] * (x >> 8) + table.rank_of[x & 255]
        if x < 256 and (not idle or lane in self.busy):
            if self.at == len(self.data):
                raise corrupt("a stream that ends too soon")
            x = x << 8 | self.data[self.at]
            self.at += 1
        self.states[lane] = x
        return c

    def classes(self, tables, is_last=False):
        """A phase: the class of each symbol, given its table."""
        rounds = -(-len(tables) // self.lanes)
        if is_last and self.idle > rounds:
            raise corrupt("more idle rounds than rounds")
        busy = (rounds - self.idle) * self.lanes if is_last else len(tables)
        return [self.take_class(table, i % self.lanes, i >= busy) for i, table in enumerate(tables)]

    def numbers(self, channel, choices, sub, n, is_last):
        """A phase of a channel: n numbers."""
        tables = [channel.tables[choices[i // sub]] for i in range(n)]
        uppers = []
        for table, c in zip(tables, self.classes(tables, is_last)):
            upper = table.classes[c][0]
            if upper is None:
                upper = self.take_escape(channel)
                if upper > table.last:
                    raise corrupt("an escape that is too large for its table")
            uppers.append(upper)
        numbers = []
        for first in range(0, n, sub):
            k = tables[first].low_bits
            part = uppers[first:first + sub]
            numbers += [upper << k | low for upper, low in zip(part, self.take_low(len(part), k))]
        if any(number >= channel.n for number in numbers):
            raise corrupt("an index without a level")
        return numbers

    def take_escape(self, channel):
        try:
            return channel.take_escape(self.escapes[id(channel)])
        except Refused:
            raise corrupt("an escape that is not there, or out of range") from None

    def take_low(self, n, k):
        size = packed_bytes(n, k)
        if size > len(self.low):
            raise corrupt("low bits that are not there")
        taken, self.low = self.low[:size], self.low[size:]
        return unpack(taken, n, k)

    def choices(self, n, before):
        chosen = []
        for step in self.classes([self.code.steps] * n):
            before = (before + step) % self.code.n_tables
            chosen.append(before)
        return chosen

    def end(self):
        if max(self.states) > 256 or self.at < len(self.data) or self.low:
            raise corrupt("states, stream or low bits that are not used up")
        for bits in self.escapes.values():
            bits.end()


def groups(n, unit):
    """First and number of the symbols of each group."""
    count = max(n // unit, 1)
    return [(i * unit, unit if i + 1 < count else n - i * unit) for i in range(count)]


def dense_indices(block, n):
    code = block.code
    if code.n_tables == 1:
        return block.numbers(code.values, [0], n, n, True)
    indices, choices = [], [0]
    for first, size in groups(n, GROUP * code.sub):
        choices = block.choices(-(-size // code.sub), choices[-1])
        indices += block.numbers(code.values, choices, code.sub, size, first + size == n)
    return indices


def sparse_indices(block, n):
    code = block.code
    indices, choices = [], [0]
    if block.n_pairs == 0 and block.idle:
        raise corrupt("idle rounds of nothing")
    for first, size in groups(block.n_pairs, PAIRS) if block.n_pairs else []:
        sub = code.sub if code.n_tables > 1 else size
        if code.n_tables > 1:
            choices = block.choices(-(-size // sub), choices[-1])
        gaps = block.numbers(code.gaps, choices, sub, size, False)
        values = block.numbers(code.values, choices, sub, size, first + size == block.n_pairs)
        for gap, value in zip(gaps, values):
            indices += [code.zero] * gap + [value]
            if len(indices) > n:
                raise corrupt("pairs beyond the block's end")
    return indices + [code.zero] * (n - len(indices))


def decode(code, data, n):
    """The n indices of a block, with a Code."""
    if n == 0:
        if data:
            raise corrupt("bytes of no indices")
        return []
    block = Block(code, bytes(data), n)
    indices = sparse_indices(block, n) if code.sparse else dense_indices(block, n)
    block.end()
    return indices


def decode_block(table_bytes, n_levels, block_bytes, n_indices):
    return decode(Code(table_bytes, n_levels), block_bytes, n_indices)
