/*
 * The rANS encoder's kernels: random tables, states and classes, whose steps all mean something.
 */
#include "codec/rans_push.h"
#include "kernels.h"

enum { TABLES = 5, MOST = 1600, LEVELS = 300 };

/* ---- Tables -------------------------------------------------------------------------------- */

/* A model of n classes, the escape's included; places go to one of them after the other, or in
 * heaps. */
static nqi_rans_model draw_model(unsigned n, bool has_escape, unsigned low_bits)
{
    nqi_rans_model m = {.n_symbols = LEVELS,
                        .first = (uint32_t)draw_below(40),
                        .span = n - has_escape,
                        .low_bits = low_bits,
                        .escapes = {.last = (LEVELS - 1) >> low_bits}};
    const bool is_steep = draw() % 2 == 0;
    unsigned left = NQI_RANS_SLOTS - n;
    m.escapes.width = nqi_rans_width(m.escapes.last);
    m.rest = has_escape ? 1 : 0;
    for (unsigned c = 0; c < m.span; c++)
        m.frequency[c] = 1;
    while (left > 0) {
        const unsigned now = 1 + (unsigned)draw_below(is_steep ? left : 1);
        const size_t c = draw_below(n);
        if (c < m.span)
            m.frequency[c] = (uint16_t)(m.frequency[c] + now);
        else
            m.rest += now;
        left -= now;
    }
    return m;
}

/* The first table knows one class, the second sixteen at most. */
static void draw_coders(nqi_rans_coder coders[TABLES])
{
    const unsigned low_bits = (unsigned)draw_below(3); /* above 256 upper parts, or below */
    for (unsigned t = 0; t < TABLES; t++) {
        const unsigned most = t == 0 ? 1 : t == 1 ? 16 : NQI_RANS_MAX_CLASSES;
        const unsigned n = 1 + (unsigned)draw_below(most);
        const nqi_rans_model m = draw_model(n, n > 1 && draw() % 2 == 0, low_bits);
        nqi_rans_make_coders(&coders[t], &m, 1);
    }
}

/* ---- Pushing ------------------------------------------------------------------------------- */

typedef struct trial {
    uint16_t states[NQI_RANS_MAX_LANES];
    uint8_t choices[MOST / 64 + 8];
    uint8_t classes[MOST];
    size_t first;
    size_t n;
    nqi_rans_push push;
} trial;

static void draw_trial(trial *t, const nqi_rans_coder *coders, unsigned lanes_log2)
{
    for (unsigned i = 0; i < NQI_RANS_MAX_LANES; i++)
        t->states[i] = (uint16_t)(256 + draw_below(draw() % 4 == 0 ? 1 : 65536 - 256));
    for (size_t i = 0; i < sizeof t->choices; i++)
        t->choices[i] = (uint8_t)draw_below(TABLES);
    t->first = draw_below(2) << lanes_log2;
    t->n = draw_below(MOST >> lanes_log2) << lanes_log2;
    t->push = (nqi_rans_push){.coders = coders,
                              .choices = t->choices,
                              .lanes_log2 = lanes_log2,
                              .sub_log2 = NQI_RANS_MIN_SUB_LOG2 + (unsigned)draw_below(3)};
    for (size_t i = 0; i < t->n; i++)
        t->classes[i] =
            (uint8_t)draw_below(coders[t->choices[(t->first + i) >> t->push.sub_log2]].n_classes);
}

/* Pushes into memory that begins behind a guard, and ends at one. */
static trial push(const nqi_rans_push_kernels *kernels, const trial *from, const guarded *classes,
                  const guarded *out)
{
    trial t = *from;
    uint8_t *at = guarded_end(classes, t.n);
    memcpy(at, t.classes, t.n);
    t.push.states = t.states;
    t.push.at = out->pages + out->n_bytes;
    kernels->push(&t.push, at, t.first, t.n);
    return t;
}

static void test_pushing(const nqi_rans_push_kernels *kernels)
{
    static nqi_rans_coder coders[TABLES];
    static trial t;
    guarded classes = guarded_make(MOST), out[2] = {guarded_make(4096), guarded_make(4096)};
    for (unsigned round = 0; round < 300; round++) {
        draw_coders(coders);
        for (unsigned log2 = kernels->min_lanes_log2; log2 <= NQI_RANS_MAX_LANES_LOG2; log2++) {
            draw_trial(&t, coders, log2);
            const trial a = push(&nqi_rans_push_kernels_ref, &t, &classes, &out[0]);
            const trial b = push(kernels, &t, &classes, &out[1]);
            const size_t n = (size_t)(out[0].pages + out[0].n_bytes - a.push.at);
            CHECK(n == (size_t)(out[1].pages + out[1].n_bytes - b.push.at));
            CHECK(memcmp(a.push.at, b.push.at, n) == 0);
            CHECK(memcmp(a.states, b.states, sizeof a.states) == 0);
        }
    }
    guarded_free(&classes);
    guarded_free(&out[0]);
    guarded_free(&out[1]);
}

/* ---- Classes and costs --------------------------------------------------------------------- */

static void test_classes(const nqi_rans_push_kernels *kernels)
{
    static nqi_rans_coder coders[TABLES];
    static uint16_t escaped[2][MOST + NQI_RANS_ESCAPED_SLACK];
    static uint8_t expected[MOST];
    guarded in = guarded_make(2 * MOST), out = guarded_make(MOST);
    for (size_t n = 0; n < MOST; n += n < 200 ? 1 : 1 + draw_below(100)) {
        draw_coders(coders);
        const nqi_rans_coder *coder = &coders[draw_below(TABLES)];
        uint16_t *indices = (uint16_t *)(void *)guarded_end(&in, 2 * n);
        const uint16_t before = (uint16_t)draw_below(100);
        uint16_t largest[2] = {before, before};
        for (size_t i = 0; i < n; i++) /* now and then none that is there */
            indices[i] = (uint16_t)draw_below(draw() % 500 == 0 ? 65536 : LEVELS);
        uint8_t *classes = guarded_end(&out, n);
        const size_t a = nqi_rans_push_kernels_ref.classify(expected, escaped[0], &largest[0],
                                                            indices, n, coder);
        const size_t b = kernels->classify(classes, escaped[1], &largest[1], indices, n, coder);
        CHECK(a == b);
        CHECK(largest[0] == largest[1]);
        CHECK(memcmp(classes, expected, n) == 0);
        /* What is stored of an index that is not there means nothing. */
        CHECK(coder->escape == NQI_RANS_UNCODED || largest[0] >= LEVELS ||
              memcmp(escaped[0], escaped[1], a * sizeof *escaped[0]) == 0);
    }
    guarded_free(&in);
    guarded_free(&out);
}

static void test_costs(const nqi_rans_push_kernels *kernels)
{
    enum { N = NQI_RANS_MAX_TABLES, ROWS = 50 };
    static uint16_t rows[ROWS][N];
    guarded in = guarded_make(2 * MOST);
    draw_bytes(rows, sizeof rows);
    for (size_t n = 0; n < 300; n++) {
        uint32_t costs[2][N];
        uint16_t *symbols = (uint16_t *)(void *)guarded_end(&in, 2 * n);
        for (unsigned i = 0; i < N; i++)
            costs[0][i] = costs[1][i] = (uint32_t)draw_below(1 << 20);
        for (size_t i = 0; i < n; i++)
            symbols[i] = (uint16_t)draw_below(ROWS + 1 + n % 2);
        CHECK(kernels->add_rows(costs[0], rows[0], ROWS, symbols, n) ==
              nqi_rans_push_kernels_ref.add_rows(costs[1], rows[0], ROWS, symbols, n));
        CHECK(memcmp(costs[0], costs[1], sizeof costs[0]) == 0);
    }
    guarded_free(&in);
}

static void test_ways(const nqi_rans_push_kernels *kernels)
{
    enum { N = NQI_RANS_MAX_TABLES };
    for (unsigned round = 0; round < 500; round++) {
        uint8_t from[2][N];
        uint32_t costs[N];
        nqi_rans_ways a = {.n_tables = 1 + (uint32_t)draw_below(N)};
        for (unsigned i = 0; i < N; i++) {
            a.costs[i] = (uint32_t)draw_below(1 + draw_below(1 << 16));
            costs[i] = (uint32_t)draw_below(1 << 16);
        }
        for (unsigned i = 0; i < a.n_tables; i++)
            a.step_costs[i] = a.step_costs[i + a.n_tables] = (uint32_t)draw_below(2049);
        nqi_rans_ways b = a;
        CHECK(kernels->step_ways(&a, from[0], costs) ==
              nqi_rans_push_kernels_ref.step_ways(&b, from[1], costs));
        CHECK(memcmp(from[0], from[1], a.n_tables) == 0);
        CHECK(memcmp(a.costs, b.costs, a.n_tables * sizeof *a.costs) == 0);
    }
}

static void test_pairs(const nqi_rans_push_kernels *kernels)
{
    static uint16_t gaps[2][MOST], values[2][MOST];
    guarded in = guarded_make(2 * MOST);
    for (size_t n = 0; n < MOST; n += n < 200 ? 1 : 1 + draw_below(100)) {
        uint16_t *indices = (uint16_t *)(void *)guarded_end(&in, 2 * n);
        const size_t share = 1 + draw_below(100), most = 1 + draw_below(n + 1);
        for (size_t i = 0; i < n; i++)
            indices[i] = (uint16_t)(draw_below(share) == 0 ? draw_below(LEVELS) : 7);
        nqi_rans_pairs a = {.gaps = gaps[0], .values = values[0], .most = most, .zero = 7};
        a.gap = draw() % 4 == 0 ? NQI_RANS_GAPS - 1 - (uint32_t)draw_below(40) : 0;
        nqi_rans_pairs b = a;
        b.gaps = gaps[1];
        b.values = values[1];
        CHECK(kernels->find_pairs(&a, indices, n) ==
              nqi_rans_push_kernels_ref.find_pairs(&b, indices, n));
        CHECK(a.n == b.n && a.gap == b.gap);
        CHECK(memcmp(gaps[0], gaps[1], a.n * sizeof *gaps[0]) == 0);
        CHECK(memcmp(values[0], values[1], a.n * sizeof *values[0]) == 0);
    }
    guarded_free(&in);
}

/* ---- Times --------------------------------------------------------------------------------- */

static void time_kernels(const nqi_rans_push_kernels *kernels, unsigned n_classes, uint64_t cpu)
{
    static nqi_rans_coder coder;
    static uint16_t indices[TIMED], escaped[TIMED + NQI_RANS_ESCAPED_SLACK];
    static uint8_t classes[TIMED], out[NQI_RANS_PUSH_SLACK + TIMED];
    uint16_t states[NQI_RANS_MAX_LANES], largest = 0;
    const uint8_t choice = 0;
    char what[40];
    const nqi_rans_model m = draw_model(n_classes, false, 0);
    nqi_rans_make_coders(&coder, &m, 1);
    for (size_t i = 0; i < TIMED; i++)
        indices[i] = (uint16_t)(m.first + draw_below(n_classes));
    for (size_t i = 0; i < NQI_RANS_MAX_LANES; i++)
        states[i] = NQI_RANS_STATE_MIN;
    (void)snprintf(what, sizeof what, "rANS classes, %u", n_classes);
    TIME(what, cpu, TIMED,
         (void)kernels->classify(classes, escaped, &largest, indices, TIMED, &coder));
    (void)snprintf(what, sizeof what, "rANS encoding, %u classes", n_classes);
    TIME(what, cpu, TIMED, {
        nqi_rans_push to = {.states = states,
                            .coders = &coder,
                            .choices = &choice,
                            .at = out + sizeof out,
                            .lanes_log2 = NQI_RANS_MAX_LANES_LOG2,
                            .sub_log2 = 31};
        kernels->push(&to, classes, 0, TIMED);
    });
}

void test_push_kernels(void)
{
    uint64_t cpu;
    for (unsigned at = 0; next_cpu(&cpu, &at);) {
        const nqi_rans_push_kernels *kernels = nqi_rans_push_kernels_for(cpu);
        if (kernels != &nqi_rans_push_kernels_ref) {
            test_pushing(kernels);
            test_classes(kernels);
            test_costs(kernels);
            test_ways(kernels);
            test_pairs(kernels);
        }
        time_kernels(kernels, 16, cpu);
        time_kernels(kernels, 32, cpu);
    }
}
