/*
 * What the files of the Huffman decoder share: a code's tables, a block's state, and the careful
 * reading of bits that needs no slack. Part of the decoder.
 */
#ifndef NQI_HUFFMAN_DEC_H
#define NQI_HUFFMAN_DEC_H

#include <assert.h>

#include "codec/code_ops.h"
#include "codec/huffman_fmt.h"
#include "codec/word.h"

/*
 * Lookup of several symbols at a time: how many bits they take, and an entry. That has, from its
 * low end on: in 56 bits, seven symbols of a byte or three of two; in 5 bits, how many bits the
 * first symbol takes; in 3 bits, how many bytes the symbols take. Both are 0 where a codeword is
 * too long for the table or is the escape.
 */
#define NQI_HUFFMAN_TABLE_BITS  11u
#define NQI_HUFFMAN_INDEX       ((1u << NQI_HUFFMAN_TABLE_BITS) - 1)
#define NQI_HUFFMAN_ENTRY_BYTES 7u /* of symbols */
#define NQI_HUFFMAN_LOOKUPS     5u /* in a round of the fast loop, between two refills */

typedef struct nqi_huffman_large {
    uint8_t used[1u << NQI_HUFFMAN_TABLE_BITS];
    uint64_t entries[1u << NQI_HUFFMAN_TABLE_BITS];
} nqi_huffman_large;

/* Lookup of one symbol at a time, where memory is short: the symbol, and in bits 16..20 its
 * codeword's length. */
#define NQI_HUFFMAN_SMALL_BITS 8u
#define NQI_HUFFMAN_SMALL_NONE UINT32_MAX /* codeword too long for the table, or the escape */

/* The highest bit of a stream's word is a mark: zeros above it tell how many bits were used. A
 * refill leaves 56 bits below the mark at least. */
#define NQI_HUFFMAN_MARK (UINT64_C(1) << 63)
static_assert(NQI_HUFFMAN_LOOKUPS * NQI_HUFFMAN_TABLE_BITS <= 56, "a round needs one refill");
static_assert(NQI_HUFFMAN_MAX_LENGTH + 16 <= 56, "an escaped symbol needs one refill");

/* Bytes of input that a round takes at most: two refills, each of which moves on by 7 at most; and
 * bytes that a store writes, of which up to seven stay. */
#define NQI_HUFFMAN_ROUND_IN 14u
#define NQI_HUFFMAN_STORE    8u

typedef struct nqi_huffman_code nqi_huffman_code;

/* A stream in the fast loop. */
typedef struct nqi_huffman_lane {
    const uint8_t *at; /* of the eight bytes in `bits` */
    uint64_t bits;
    uint8_t *out;
} nqi_huffman_lane;

/* Bytes of the place that symbols go to in the end that four streams fetch into the cache a round:
 * some more than a round brings. */
#define NQI_HUFFMAN_FETCH 128u

/* Runs n rounds over `lanes`, four of them or one; false if an escape was followed by no symbol.
 * For each lane, n rounds' input and eight bytes behind it can be read, n rounds' output and a
 * store behind it written. Cache lines from the address `place` on are fetched by the way; all at
 * once they would keep the streams waiting. */
typedef bool (*nqi_huffman_run_fn)(nqi_huffman_lane *lanes, const nqi_huffman_code *code, size_t n,
                                   uintptr_t place);

typedef struct nqi_huffman_kernels {
    nqi_huffman_run_fn run4;
    nqi_huffman_run_fn run1;
} nqi_huffman_kernels;

/* NULL where the CPU has nothing that plain C does not have. */
const nqi_huffman_kernels *nqi_huffman_kernels_x86(uint64_t cpu);

struct nqi_huffman_code {
    nqi_code head;
    nqi_huffman_large *large; /* NULL if is_small */
    uint32_t *singles;        /* NULL unless is_small */
    uint16_t *long_symbols; /* those the table is too short for, in the order of their codewords */
    const nqi_huffman_kernels *kernels;
    uint32_t n_symbols;
    unsigned table_bits;
    unsigned longest;
    unsigned low_bits;
    unsigned raw_bits;
    unsigned symbol_log2; /* bytes of a symbol in an entry: 0 for one, 1 for two */
    size_t round_out;     /* bytes that a round brings at most */
    bool is_small;
    bool has_escape;
    bool is_constant; /* one symbol, which takes no bits */
    uint16_t constant;
    unsigned escape_length;
    uint32_t escape_code; /* as it lies in the stream */
    uint32_t first_code[NQI_HUFFMAN_MAX_LENGTH + 1];
    uint32_t end_code[NQI_HUFFMAN_MAX_LENGTH + 1]; /* after the last one, as 24 bits */
    uint32_t n_long[NQI_HUFFMAN_MAX_LENGTH + 1];     /* the escape not among them */
    uint32_t long_begin[NQI_HUFFMAN_MAX_LENGTH + 1]; /* in long_symbols */
};

/* Known when compiled where only small codes are. */
static inline bool nqi_huffman_is_small(const nqi_huffman_code *code)
{
    return NQI_IS_SMALLEST || code->is_small;
}

nq_status nqi_huffman_code_size(size_t *code_bytes, size_t *block_bytes, uint32_t n_levels,
                                const uint8_t *table, size_t table_bytes, uint32_t flags);
nq_status nqi_huffman_code_init(nqi_code *head, const uint8_t *table, size_t table_bytes,
                                uint32_t flags, uint64_t cpu);

/* A codeword that the table does not have, at the low end of 56 bits: its symbol, or one that is
 * too large behind an escape. Returns the bits it takes, raw ones included. */
unsigned nqi_huffman_slow(uint32_t *symbol, const nqi_huffman_code *code, uint64_t bits);

/* Decodes such a codeword at which the fast loop came to a stand, with a refill of its own; false
 * if there is no such symbol. */
NQI_NOINLINE bool nqi_huffman_pass_slow(nqi_huffman_lane *lane, const nqi_huffman_code *code);

/* ---- Blocks -------------------------------------------------------------------------------- */

typedef struct nqi_huffman_stream {
    size_t at;     /* in the block, of the eight bytes in `bits` */
    size_t end;    /* in the block */
    uint64_t bits; /* with the mark */
    size_t left;   /* symbols, times their bytes unless the code is small, not decoded yet */
    size_t given;  /* bytes at the front of the stream's part of the scratch: handed out */
    size_t fill;   /* bytes decoded, those among them */
} nqi_huffman_stream;

/* Behind it, unless the code is small, the scratch: n_streams parts of `stride` bytes. */
typedef struct nqi_huffman_block {
    nqi_block head;
    const uint8_t *bytes;
    size_t n_bytes;
    size_t n_indices;
    const uint8_t *low; /* the next piece's low bits */
    unsigned n_streams;
    uintptr_t place; /* that is fetched next: see nqi_huffman_run_fn */
    uint8_t *scratch;
    size_t stride;
    nqi_huffman_stream streams[NQI_HUFFMAN_STREAMS];
} nqi_huffman_block;

/* Symbols: streams run up to three pieces ahead, so that the fast loop rarely has to stop. The rest
 * keeps the streams' parts from lying at the same places of the cache's ways. */
#define NQI_HUFFMAN_SCRATCH (4 * NQI_PIECE + NQI_HUFFMAN_STREAMS * 192u)

static inline const nqi_huffman_code *nqi_huffman_code_of(const nqi_huffman_block *block)
{
    return (const nqi_huffman_code *)(const void *)block->head.code;
}

/* Sees to it that a piece of n symbols is in the scratch, each stream's share in its part. They
 * will go to `place`, which is fetched into the cache meanwhile. */
nq_status nqi_huffman_decode_piece(nqi_huffman_block *block, size_t n, const void *place);

/* The same for a small code, without a scratch: one of the two places is NULL. */
nq_status nqi_huffman_decode_small(nqi_huffman_block *block, uint16_t *u16, uint8_t *u8, size_t n);

/* Has 56 bits at hand; behind the block they are zeros. */
static inline void nqi_huffman_refill_carefully(const nqi_huffman_block *block,
                                                nqi_huffman_stream *stream)
{
    const unsigned used = NQI_CLZ64(stream->bits);
    uint64_t word = 0;
    stream->at += used / 8;
    if (NQI_LIKELY(stream->at + 8 <= block->n_bytes))
        word = nqi_load_le64(block->bytes + stream->at);
    else if (stream->at < block->n_bytes)
        word = nqi_load_le(block->bytes + stream->at, (unsigned)(block->n_bytes - stream->at));
    stream->bits = (word | NQI_HUFFMAN_MARK) >> (used % 8);
}

/* Bits from the block's begin to the first that was not used. */
static inline uint64_t nqi_huffman_position(const nqi_huffman_stream *stream)
{
    return (uint64_t)stream->at * 8 + NQI_CLZ64(stream->bits);
}

#endif
