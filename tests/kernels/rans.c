/*
 * The rANS kernels: random tables, states and streams, which all mean something, so that a kernel
 * has to do with every byte what the reference does with it.
 */
#include "codec/bits_fmt.h"
#include "codec/rans_dec.h"
#include "kernels.h"

enum { TABLES = 5, MOST = 1600, ESCAPES = NQI_RANS_ESCAPES_HELD };

/* ---- Tables -------------------------------------------------------------------------------- */

/* Bits for the description of a code, low bit of each byte first. */
typedef struct bits {
    uint8_t bytes[8192];
    size_t n;
} bits;

static void put(bits *b, uint32_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++, b->n++)
        b->bytes[b->n / 8] |= (uint8_t)((value >> i & 1) << (b->n % 8));
}

static void put_frequency(bits *b, unsigned frequency, unsigned *width)
{
    const unsigned now = nqi_rans_width(frequency);
    put(b, 0, nqi_rans_zigzag((int)now - (int)*width));
    put(b, 1, 1);
    if (now > 0)
        put(b, frequency, now - 1);
    *width = now;
}

/* Frequencies of n classes that add up to 256; one class takes most if `is_steep`. */
static void draw_frequencies(unsigned *frequency, unsigned n, bool is_steep)
{
    unsigned left = NQI_RANS_SLOTS - n;
    for (unsigned c = 0; c < n; c++)
        frequency[c] = 1;
    while (left > 0) {
        const unsigned some = 1 + (unsigned)draw_below(is_steep ? left : 3);
        const unsigned now = some < left ? some : left;
        frequency[is_steep ? draw_below(n) : draw_below(n)] += now;
        left -= now;
    }
}

/* A code of TABLES tables for 256 levels, with sub-blocks of 64 << sub. */
static void draw_code(bits *b, unsigned sub, bool has_escapes)
{
    unsigned frequency[NQI_RANS_MAX_CLASSES], width = 1;
    memset(b, 0, sizeof *b);
    put(b, TABLES - 1, NQI_RANS_TABLES_WIDTH);
    put(b, 0, 1);
    put(b, sub, NQI_RANS_SUB_WIDTH);
    for (unsigned i = 0; i + 1 < TABLES; i++)
        put_frequency(b, 40, &width);
    for (unsigned t = 0; t < TABLES; t++) {
        const unsigned most = t == 0 ? 1 : t == 1 ? 16 : NQI_RANS_MAX_CLASSES;
        const unsigned n = 1 + (unsigned)draw_below(most);
        const bool has_escape = has_escapes && n > 1 && draw() % 4 != 0;
        draw_frequencies(frequency, n, draw() % 2 == 0);
        put(b, 0, NQI_RANS_LOW_BITS_WIDTH);
        put(b, (uint32_t)draw_below(200), 8);
        const unsigned n_gaps = n > 1u + has_escape ? (unsigned)draw_below(4) : 0;
        put(b, n + n_gaps - has_escape - 1, NQI_RANS_SPAN_WIDTH);
        width = 1;
        for (unsigned c = 0; c + has_escape < n; c++) {
            if (n_gaps > 0 && c == 1) /* upper parts that do not occur */
                for (unsigned i = 0; i < n_gaps; i++)
                    put_frequency(b, 0, &width);
            put_frequency(b, frequency[c], &width);
        }
    }
    if (has_escapes) { /* not read unless there is an escape; then the padding is of no matter */
        put(b, 128, 8);
        put(b, 0, 8);
        put(b, 3, NQI_RANS_RICE_WIDTH);
    }
}

static void *aligned(size_t n_bytes)
{
    void *memory = aligned_alloc(64, (n_bytes + 63) / 64 * 64);
    CHECK(memory != NULL);
    return memory;
}

static const nqi_rans_code *make_code(const bits *b, uint64_t cpu)
{
    size_t code_bytes, block_bytes;
    nqi_code *code;
    CHECK(nqi_code_size(&code_bytes, &block_bytes, NQ_CODEC_RANS, 256, b->bytes, (b->n + 7) / 8,
                        0) == NQ_OK);
    void *memory = aligned(code_bytes);
    if (nqi_code_init(&code, memory, NQ_CODEC_RANS, 256, b->bytes, (b->n + 7) / 8, 0, cpu) == NQ_OK)
        return (const nqi_rans_code *)memory;
    free(memory);
    return NULL;
}

/* ---- Runs ---------------------------------------------------------------------------------- */

/* What a run starts from, and what it leaves. */
typedef struct trial {
    nqi_rans_run run;
    uint16_t states[NQI_RANS_MAX_LANES];
    uint8_t takes[NQI_RANS_MAX_LANES];
    uint8_t choices[MOST / 64 + 8];
    uint8_t *symbols;
    size_t first;
    size_t n;
    size_t done;
} trial;

static void draw_trial(trial *t, const nqi_rans_code *code, unsigned sub, unsigned lanes_log2)
{
    for (unsigned i = 0; i < NQI_RANS_MAX_LANES; i++) {
        t->states[i] = (uint16_t)(256 + draw_below(draw() % 4 == 0 ? 1 : 65536 - 256));
        t->takes[i] = draw() % 2 ? 255 : 0;
    }
    for (size_t i = 0; i < sizeof t->choices; i++)
        t->choices[i] = (uint8_t)draw_below(TABLES);
    t->run = (nqi_rans_run){.states = t->states,
                            .lookups = code->values.lookups,
                            .tables = code->values.tables,
                            .choices = t->choices,
                            .lanes_log2 = lanes_log2,
                            .sub_log2 = NQI_RANS_MIN_SUB_LOG2 + sub,
                            .takes = draw() % 4 == 0 ? t->takes : NULL};
    t->first = draw_below(4) << lanes_log2;
    t->n = draw_below(MOST - 4 * NQI_RANS_MAX_LANES);
}

/* In a kernel's place: as many whole rounds as it is asked for. */
static void decode_rounds_ref(trial *t, size_t n)
{
    const size_t lanes = (size_t)1 << t->run.lanes_log2;
    t->done = 0;
    while (t->done + lanes <= n && t->run.at <= t->run.limit &&
           t->run.escape <= t->run.escape_limit) {
        /* The reference looks at the limits more often. */
        nqi_rans_run round = t->run;
        round.limit = round.at + NQI_RANS_SLACK;
        round.escape_limit = round.escape + NQI_RANS_ESCAPES_AHEAD;
        CHECK(nqi_rans_kernels_ref.decode(&round, t->symbols + t->done, t->first + t->done,
                                          lanes) == lanes);
        t->run.at = round.at;
        t->run.escape = round.escape;
        t->done += lanes;
    }
}

static void compare(const trial *a, const trial *b)
{
    CHECK(a->done == b->done);
    CHECK(a->run.at == b->run.at);
    CHECK(a->run.escape == b->run.escape);
    CHECK(memcmp(a->symbols, b->symbols, a->done) == 0);
    CHECK(memcmp(a->states, b->states, sizeof a->states) == 0);
}

/* Stream and escapes end with their slack, symbols with the last whole round. */
static void run_trial(trial *t, const nqi_rans_code *code, const guarded *stream,
                      const guarded *escapes, guarded out[2])
{
    const size_t lanes = (size_t)1 << t->run.lanes_log2;
    const size_t n_bytes = NQI_RANS_SLACK + draw_below(MOST);
    t->run.at = guarded_end(stream, n_bytes);
    t->run.limit = guarded_end(stream, NQI_RANS_SLACK);
    const size_t n_escapes = NQI_RANS_ESCAPES_AHEAD + NQI_RANS_ESCAPES_SLACK + draw_below(ESCAPES);
    t->run.escape = guarded_end(escapes, n_escapes);
    t->run.escape_limit = guarded_end(escapes, NQI_RANS_ESCAPES_AHEAD + NQI_RANS_ESCAPES_SLACK);
    trial ref = *t;
    ref.run.states = ref.states;
    ref.symbols = guarded_end(&out[0], t->n / lanes * lanes);
    decode_rounds_ref(&ref, t->n);
    if (t->run.lanes_log2 < code->kernels->min_lanes_log2)
        return;
    t->symbols = guarded_end(&out[1], t->n / lanes * lanes);
    t->done = code->kernels->decode(&t->run, t->symbols, t->first, t->n);
    compare(t, &ref);
}

static void test_decoding(uint64_t cpu)
{
    static bits b;
    static trial t;
    guarded stream = guarded_make(2 * MOST), escapes = guarded_make(2 * MOST);
    guarded out[2] = {guarded_make(MOST), guarded_make(MOST)};
    draw_bytes(stream.pages, stream.n_bytes);
    draw_bytes(escapes.pages, escapes.n_bytes);
    for (unsigned round = 0; round < 400; round++) {
        const unsigned sub = (unsigned)draw_below(3);
        draw_code(&b, sub, round % 2 == 0);
        const nqi_rans_code *code = make_code(&b, cpu);
        if (!code)
            continue; /* escapes promised, and none drawn */
        for (unsigned lanes_log2 = 0; lanes_log2 <= NQI_RANS_MAX_LANES_LOG2; lanes_log2++)
            for (unsigned i = 0; i < 8; i++) {
                draw_trial(&t, code, sub, lanes_log2);
                run_trial(&t, code, &stream, &escapes, out);
            }
        free((void *)(uintptr_t)code);
    }
    guarded_free(&stream);
    guarded_free(&escapes);
    guarded_free(&out[0]);
    guarded_free(&out[1]);
}

/* A run over and over again. The stream is drawn, so that all classes come in their shares. */
static void time_decoding(unsigned table, const char *what, uint64_t cpu)
{
    static bits b;
    static trial t;
    static uint8_t stream[4 * TIMED], escapes[2 * TIMED], symbols[TIMED];
    const nqi_rans_code *code;
    do
        draw_code(&b, 0, true);
    while (!(code = make_code(&b, cpu)));
    draw_bytes(stream, sizeof stream);
    draw_trial(&t, code, 0, NQI_RANS_MAX_LANES_LOG2);
    memset(t.choices, (int)table, sizeof t.choices);
    t.run.sub_log2 = 31;
    t.run.takes = NULL;
    t.run.limit = stream + sizeof stream - NQI_RANS_SLACK;
    t.run.escape_limit = escapes + sizeof escapes - 2 * NQI_RANS_ESCAPES_AHEAD;
    size_t done = 0;
    TIME(what, cpu, TIMED, {
        t.run.at = stream;
        t.run.escape = escapes;
        done += code->kernels->decode(&t.run, symbols, 0, TIMED);
    });
    CHECK(done > 0);
    free((void *)(uintptr_t)code);
}

/* ---- Joins --------------------------------------------------------------------------------- */

static void test_join(const nqi_rans_kernels *kernels, size_t n, unsigned low_bits,
                      const guarded *in, const guarded *low, const guarded *out)
{
    static uint16_t wide[MOST];
    static uint8_t narrow[MOST];
    const size_t low_bytes = (size_t)nqi_packed_bytes(n, low_bits);
    const uint8_t *symbols = guarded_end(in, n), *bits_at = guarded_end(low, low_bytes);
    const uint32_t base = (uint32_t)draw_below(1000);
    uint16_t *u16 = (uint16_t *)(void *)guarded_end(out, 2 * n);
    const uint32_t expected =
        nqi_rans_kernels_ref.join_u16(wide, symbols, bits_at, n, low_bits, base);
    const uint32_t found = kernels->join_u16(u16, symbols, bits_at, n, low_bits, base);
    CHECK(memcmp(u16, wide, 2 * n) == 0);
    CHECK(found == expected);
    if (low_bits > 7)
        return;
    uint8_t *u8 = guarded_end(out, n);
    const uint32_t expected_u8 =
        nqi_rans_kernels_ref.join_u8(narrow, symbols, bits_at, n, low_bits);
    const uint32_t found_u8 = kernels->join_u8(u8, symbols, bits_at, n, low_bits);
    CHECK(memcmp(u8, narrow, n) == 0);
    CHECK(found_u8 == expected_u8);
}

static void test_joins(const nqi_rans_kernels *kernels)
{
    guarded in = guarded_make(MOST), low = guarded_make(2 * MOST), out = guarded_make(2 * MOST);
    for (unsigned low_bits = 0; low_bits <= NQI_RANS_MAX_LOW_BITS; low_bits++)
        for (size_t n = 0; n < 300; n++) {
            draw_bytes(low.pages, low.n_bytes);
            for (size_t i = 0; i < in.n_bytes; i++) /* mostly such that all fits */
                in.pages[i] = (uint8_t)(draw() >> (56 + (low_bits < 8 ? low_bits : 7)));
            test_join(kernels, n, low_bits, &in, &low, &out);
        }
    guarded_free(&in);
    guarded_free(&low);
    guarded_free(&out);
}

void test_rans_kernels(void)
{
    static bits b;
    uint64_t cpu;
    for (unsigned at = 0; next_cpu(&cpu, &at);) {
        const nqi_rans_code *code;
        do
            draw_code(&b, 0, false);
        while (!(code = make_code(&b, cpu)));
        if (code->kernels != &nqi_rans_kernels_ref) { /* which takes more than whole rounds */
            test_decoding(cpu);
            test_joins(code->kernels);
        }
        time_decoding(1, "rANS symbols, to 16 classes", cpu);
        time_decoding(2, "rANS symbols, to 32 classes", cpu);
        free((void *)(uintptr_t)code);
    }
}
