/*
 * A rANS block from front to back: tables are chosen, classes of all symbols found, low bits and
 * escapes written down; of sparse blocks, the pairs first.
 */
#include "codec/rans_block_enc.h"

#include "codec/bits_fmt.h"

/* Classes, low bits and escapes of n symbols of a part, which begins with the channel's symbol
 * `first`. */
static nq_status write_symbols(nqi_rans_writing *w, nqi_rans_writing_channel *to, size_t first,
                               const nqi_rans_selection *tables, const uint16_t *symbols, size_t n)
{
    enum { AT_ONCE = 4096 }; /* a multiple of eight */
    uint16_t escaped[AT_ONCE + NQI_RANS_ESCAPED_SLACK], largest = 0;
    uint8_t *const classes = to->classes + first;
    const size_t sub = (size_t)1 << tables->sub_log2;
    for (size_t done = 0, now; done < n; done += now) {
        const nqi_rans_coder *coder = &tables->coders[tables->choices[done >> tables->sub_log2]];
        now = NQI_MIN(NQI_MIN(n - done, AT_ONCE), sub - (done & (sub - 1)));
        const size_t n_escaped =
            w->e->kernels->classify(classes + done, escaped, &largest, symbols + done, now, coder);
        if (largest >= to->n_levels || (n_escaped > 0 && coder->escape == NQI_RANS_UNCODED))
            return NQ_E_ARG;
        nqi_rans_sink_escapes(&to->escapes, to->words, &coder->escapes, escaped, n_escaped);
        if (coder->low_bits > 0) {
            (void)w->e->pack(w->low_at, symbols + done, now, coder->low_bits);
            w->low_at += nqi_packed_bytes(now, coder->low_bits);
        }
    }
    return NQ_OK;
}

/* What a part is made of: indices, or gaps and values. */
typedef struct part {
    const uint16_t *values;
    const uint16_t *gaps; /* NULL: there are none */
    size_t n;
} part;

/* Chooses tables for a part; those before it ended with *before. */
static void choose_tables(nqi_rans_writing *w, uint8_t *choices, uint8_t *steps, const part *p,
                          uint8_t *before)
{
    const nqi_rans_encoder *e = w->e;
    const size_t sub = (size_t)1 << e->sub_log2;
    const size_t n_subs = nqi_rans_subs_of(e, p->n);
    nqi_rans_ways ways;
    nqi_rans_ways_begin(&ways, e->steps, e->n_tables, *before);
    for (size_t i = 0; i < n_subs; i++) {
        uint32_t costs[NQI_RANS_MAX_TABLES] = {0};
        const size_t first = i << e->sub_log2, n = NQI_MIN(p->n - first, sub);
        nqi_rans_add_costs(costs, e, &e->value_rows, e->values, p->values + first, n);
        if (p->gaps)
            nqi_rans_add_costs(costs, e, &e->gap_rows, e->gaps, p->gaps + first, n);
        (void)e->kernels->step_ways(&ways, w->ways + i * NQI_RANS_MAX_TABLES, costs);
    }
    nqi_rans_ways_end(&ways, choices, steps, w->ways, n_subs);
    *before = choices[n_subs - 1];
}

nq_status nqi_rans_write_dense(nqi_rans_writing *w)
{
    const nqi_rans_encoder *e = w->e;
    const size_t unit = nqi_rans_dense_unit(e);
    const size_t n_parts = (size_t)nqi_rans_parts(w->n, unit);
    uint8_t before = 0;
    for (size_t i = 0; i < n_parts; i++) {
        const size_t first = i * unit;
        const part p = {.values = w->indices + first, .n = i + 1 < n_parts ? unit : w->n - first};
        uint8_t *choices = w->choices + i * NQI_RANS_GROUP;
        choose_tables(w, choices, w->steps + i * NQI_RANS_GROUP, &p, &before);
        const nqi_rans_selection tables = {e->values, choices, e->sub_log2};
        NQI_TRY(write_symbols(w, &w->values, first, &tables, p.values, p.n));
    }
    return NQ_OK;
}

nq_status nqi_rans_write_single(nqi_rans_writing *w)
{
    const nqi_rans_selection tables = {w->e->values, &nqi_rans_only_choice, NQI_RANS_ONE_SUB_LOG2};
    return write_symbols(w, &w->values, 0, &tables, w->indices, w->n);
}

/* ---- Pairs --------------------------------------------------------------------------------- */

static size_t count_pairs(const nqi_rans_writing *w)
{
    nqi_rans_pairs p = {.most = SIZE_MAX, .zero = (uint16_t)w->e->zero};
    (void)w->e->kernels->find_pairs(&p, w->indices, w->n);
    return p.n;
}

nq_status nqi_rans_write_sparse(nqi_rans_writing *w)
{
    uint16_t gaps[2 * NQI_RANS_PAIRS], values[2 * NQI_RANS_PAIRS];
    const nqi_rans_encoder *e = w->e;
    const size_t subs_per_part = nqi_rans_subs_of(e, NQI_RANS_PAIRS);
    uint8_t before = 0;
    size_t at = 0;
    w->n_pairs = count_pairs(w);
    const size_t n_parts = nqi_rans_pair_parts(w);
    for (size_t i = 0; i < n_parts; i++) {
        const size_t first = i * NQI_RANS_PAIRS;
        part p = {.values = values,
                  .gaps = gaps,
                  .n = i + 1 < n_parts ? NQI_RANS_PAIRS : w->n_pairs - first};
        nqi_rans_pairs pairs = {
            .gaps = gaps, .values = values, .most = p.n, .zero = (uint16_t)e->zero};
        at += e->kernels->find_pairs(&pairs, w->indices + at, w->n - at);
        nqi_rans_selection tables = {e->gaps, &nqi_rans_only_choice, NQI_RANS_ONE_SUB_LOG2};
        if (e->n_tables > 1) {
            uint8_t *choices = w->choices + i * subs_per_part;
            choose_tables(w, choices, w->steps + i * subs_per_part, &p, &before);
            tables.choices = choices;
            tables.sub_log2 = e->sub_log2;
        }
        NQI_TRY(write_symbols(w, &w->gaps, first, &tables, gaps, p.n));
        tables.coders = e->values;
        NQI_TRY(write_symbols(w, &w->values, first, &tables, values, p.n));
    }
    return NQ_OK;
}
