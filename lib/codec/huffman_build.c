/*
 * Building a Huffman code's tables in memory that the caller provides, from a description that was
 * proved legal before the first entry is written. Part of the decoder.
 */
#include <string.h>

#include "codec/huffman_dec.h"
#include "codec/huffman_loop.h"
#include "codec/huffman_table_dec.h"

#define ALIGNMENT 64u

/* ---- Sizes --------------------------------------------------------------------------------- */

static size_t aligned(size_t n_bytes)
{
    return (n_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static bool wants_small(uint32_t flags)
{
    return NQI_IS_SMALLEST || (flags & NQI_CODE_SMALL) != 0;
}

static size_t table_size(unsigned table_bits, uint32_t flags)
{
    return wants_small(flags) ? sizeof(uint32_t) << table_bits : sizeof(nqi_huffman_large);
}

/* A large table holds several short codewords, however short the longest one is. */
static unsigned table_bits_for(unsigned longest, uint32_t flags)
{
    return wants_small(flags) ? NQI_MIN(longest, NQI_HUFFMAN_SMALL_BITS) : NQI_HUFFMAN_TABLE_BITS;
}

/* The escape is counted as well: it costs two bytes. */
static uint32_t long_codewords(const nqi_huffman_shape *shape, unsigned table_bits)
{
    uint32_t n = 0;
    for (unsigned length = table_bits + 1; length <= NQI_HUFFMAN_MAX_LENGTH; length++)
        n += shape->n_of_length[length];
    return n;
}

/* Symbols of one byte, or of two. */
static unsigned symbol_log2_for(const nqi_huffman_shape *shape)
{
    return (shape->has_escape ? shape->n_symbols - 1 : shape->largest) > UINT8_MAX;
}

nq_status nqi_huffman_code_size(size_t *code_bytes, size_t *block_bytes, uint32_t n_levels,
                                const uint8_t *table, size_t table_bytes, uint32_t flags)
{
    /* The most there can be: a codeword takes a bit of the table at least. */
    unsigned table_bits = table_bits_for(NQI_HUFFMAN_MAX_LENGTH, flags);
    unsigned symbol_log2 = n_levels > UINT8_MAX + 1;
    uint64_t n_long = NQI_MIN((uint64_t)table_bytes * 8, n_levels);
    if (table || table_bytes == 0) {
        nqi_huffman_shape shape;
        NQI_TRY(nqi_huffman_measure(&shape, n_levels, table, table_bytes));
        table_bits = table_bits_for(shape.longest, flags);
        symbol_log2 = symbol_log2_for(&shape);
        n_long = long_codewords(&shape, table_bits);
    }
    const size_t scratch = wants_small(flags) ? 0 : NQI_HUFFMAN_SCRATCH << symbol_log2;
    *code_bytes = aligned(sizeof(nqi_huffman_code)) + table_size(table_bits, flags) +
                  (size_t)n_long * sizeof(uint16_t);
    *block_bytes = aligned(sizeof(nqi_huffman_block)) + scratch;
    return NQ_OK;
}

/* ---- Symbols, one an entry ----------------------------------------------------------------- */

static uint64_t single_entry(uint32_t symbol, unsigned length, unsigned symbol_log2)
{
    return symbol | (uint64_t)length << 56 | UINT64_C(1) << (61 + symbol_log2);
}

/* Puts a short codeword's symbol wherever its bits are the low ones. */
static void fill(nqi_huffman_code *code, uint32_t symbol, uint32_t codeword, unsigned length)
{
    const uint32_t step = UINT32_C(1) << length;
    const uint32_t end = UINT32_C(1) << code->table_bits;
    for (uint32_t i = nqi_huffman_reverse(codeword, length); i < end; i += step)
        if (nqi_huffman_is_small(code))
            code->singles[i] = symbol | (uint32_t)length << 16;
        else
            code->large->entries[i] = single_entry(symbol, length, code->symbol_log2);
}

static void place_symbols(nqi_huffman_code *code, const uint8_t *table, size_t table_bytes)
{
    nqi_huffman_shape head;
    uint32_t next_code[NQI_HUFFMAN_MAX_LENGTH + 1];
    uint32_t symbol;
    unsigned length;
    memcpy(next_code, code->first_code, sizeof next_code);
    nqi_huffman_walk w = nqi_huffman_walk_make(&head, code->head.n_levels, table, table_bytes);
    while (nqi_huffman_walk_next(&w, &symbol, &length)) {
        const uint32_t codeword = next_code[length]++;
        if (length <= code->table_bits)
            fill(code, symbol, codeword, length);
        else
            code->long_symbols[code->long_begin[length] + codeword - code->first_code[length]] =
                (uint16_t)symbol;
    }
}

/* ---- Several symbols an entry -------------------------------------------------------------- */

/* Adds to an entry of one symbol as many more as its index has bits for, the next ones' entries
 * being those of one symbol still. */
static void extend(nqi_huffman_large *large, uint32_t own, unsigned symbol_log2)
{
    const unsigned symbol_bits = 8u << symbol_log2;
    const unsigned most = NQI_HUFFMAN_ENTRY_BYTES >> symbol_log2;
    const uint64_t single = large->entries[own];
    uint64_t entry = single;
    unsigned used = single >> 56 & 31;
    unsigned n = 1;
    for (uint32_t rest = own >> used; n < most; n++) {
        const uint64_t next = large->entries[rest];
        const unsigned length = next >> 56 & 31;
        if (next == 0 || used + length > NQI_HUFFMAN_TABLE_BITS)
            break;
        entry |= (next & ((UINT64_C(1) << symbol_bits) - 1)) << n * symbol_bits;
        entry += UINT64_C(1) << (61 + symbol_log2);
        used += length;
        rest >>= length;
    }
    large->entries[own] = entry;
    large->used[own] = (uint8_t)used;
}

/* From the last entry to the first: the ones that an entry looks at have lower indices, so they are
 * those of one symbol still; entry 0, which looks at itself, reads itself before it is written. */
static void extend_entries(nqi_huffman_code *code)
{
    uint64_t most = 0;
    for (uint32_t i = UINT32_C(1) << NQI_HUFFMAN_TABLE_BITS; i-- > 0;) {
        if (code->large->entries[i] != 0)
            extend(code->large, i, code->symbol_log2);
        most = NQI_MAX(most, code->large->entries[i] >> 61);
    }
    /* Five lookups, and one symbol that the table does not have. */
    code->round_out = NQI_HUFFMAN_LOOKUPS * (size_t)most + ((size_t)1 << code->symbol_log2);
}

/* ---- Codes --------------------------------------------------------------------------------- */

static bool run4(nqi_huffman_lane *lanes, const nqi_huffman_code *code, size_t n, uintptr_t place)
{
    return nqi_huffman_run4_loop(lanes, code, n, place);
}

static bool run1(nqi_huffman_lane *lanes, const nqi_huffman_code *code, size_t n, uintptr_t place)
{
    return nqi_huffman_run1_loop(lanes, code, n, place);
}

static const nqi_huffman_kernels *choose(uint64_t cpu)
{
    static const nqi_huffman_kernels plain = {.run4 = run4, .run1 = run1};
    const nqi_huffman_kernels *x86 = nqi_huffman_kernels_x86(cpu);
    return x86 ? x86 : &plain;
}

/* Everything but the tables. */
static void describe(nqi_huffman_code *code, const nqi_huffman_shape *shape, uint32_t flags)
{
    code->n_symbols = shape->n_symbols;
    code->table_bits = table_bits_for(shape->longest, flags);
    code->longest = shape->longest;
    code->low_bits = shape->low_bits;
    code->raw_bits = shape->raw_bits;
    code->symbol_log2 = symbol_log2_for(shape);
    code->is_small = wants_small(flags);
    code->has_escape = shape->has_escape;
    code->is_constant = shape->longest == 0 && !shape->has_escape;
    code->constant = (uint16_t)shape->largest;
    nqi_huffman_first_codes(code->first_code, shape->n_of_length);
    memset(code->n_long, 0, sizeof code->n_long);
    memset(code->long_begin, 0, sizeof code->long_begin);
    memset(code->end_code, 0, sizeof code->end_code);
    uint32_t begin = 0;
    for (unsigned i = code->table_bits + 1; i <= shape->longest; i++) {
        const bool is_escape = shape->has_escape && shape->escape_length == i;
        code->n_long[i] = shape->n_of_length[i] - is_escape;
        code->long_begin[i] = begin;
        begin += code->n_long[i];
        code->end_code[i] = (code->first_code[i] + shape->n_of_length[i])
                            << (NQI_HUFFMAN_MAX_LENGTH - i);
    }
    code->escape_length = shape->escape_length;
    code->escape_code = 0;
    if (shape->has_escape) { /* the last codeword of its length */
        const unsigned length = shape->escape_length;
        const uint32_t last = code->first_code[length] + shape->n_of_length[length] - 1;
        code->escape_code = nqi_huffman_reverse(last, length);
    }
}

nq_status nqi_huffman_code_init(nqi_code *head, const uint8_t *table, size_t table_bytes,
                                uint32_t flags, uint64_t cpu)
{
    nqi_huffman_code *code = (nqi_huffman_code *)(void *)head;
    nqi_huffman_shape shape;
    NQI_TRY(nqi_huffman_measure(&shape, head->n_levels, table, table_bytes));
    describe(code, &shape, flags);
    uint8_t *memory = (uint8_t *)code + aligned(sizeof *code);
    const size_t n_bytes = table_size(code->table_bits, flags);
    code->large = nqi_huffman_is_small(code) ? NULL : (nqi_huffman_large *)(void *)memory;
    code->singles = nqi_huffman_is_small(code) ? (uint32_t *)(void *)memory : NULL;
    code->long_symbols = (uint16_t *)(void *)(memory + n_bytes);
    code->kernels = nqi_huffman_is_small(code) ? NULL : choose(cpu);
    memset(memory, nqi_huffman_is_small(code) ? 0xff : 0,
           n_bytes); /* NQI_HUFFMAN_SMALL_NONE, or 0 */
    place_symbols(code, table, table_bytes);
    if (!nqi_huffman_is_small(code))
        extend_entries(code);
    return NQ_OK;
}
