/*
 * A rANS block from back to front: states swallow the classes.
 */
#include "codec/rans_block_enc.h"

const uint8_t nqi_rans_only_choice = 0;

/* Symbols `begin` to `end` of a phase. */
static void push_symbols(nqi_rans_writing *w, const nqi_rans_pushing *p, size_t begin, size_t end)
{
    nqi_rans_push *push = &w->push;
    const size_t lanes = (size_t)1 << push->lanes_log2;
    const bool fits = push->lanes_log2 >= w->e->kernels->min_lanes_log2;
    const size_t whole = fits && begin % lanes == 0 ? (end - begin) & ~(lanes - 1) : 0;
    push->coders = p->tables.coders;
    push->choices = p->tables.choices;
    push->sub_log2 = p->tables.sub_log2;
    if (begin + whole < end)
        nqi_rans_push_kernels_ref.push(push, p->classes + begin + whole, begin + whole,
                                       end - begin - whole);
    if (whole > 0)
        w->e->kernels->push(push, p->classes + begin, begin, whole);
}

static void push_steps(nqi_rans_writing *w, const uint8_t *steps, size_t n_subs)
{
    const nqi_rans_pushing p = {
        .tables = {w->e->steps, &nqi_rans_only_choice, NQI_RANS_ONE_SUB_LOG2},
        .classes = steps,
        .n = n_subs};
    push_symbols(w, &p, 0, p.n);
}

/* A block's last phase. In the idle rounds only busy lanes are left to be pushed. */
static void push_last(nqi_rans_writing *w, const nqi_rans_pushing *p)
{
    const unsigned lanes_log2 = w->push.lanes_log2;
    nqi_rans_start_states(w, p);
    size_t round = nqi_rans_rounds_of(p, lanes_log2);
    for (unsigned i = 0; i < w->idle.n_rounds; i++) {
        const size_t begin = --round << lanes_log2;
        for (size_t lane = (size_t)1 << lanes_log2; lane-- > 0;)
            if (w->idle.is_busy[lane] && begin + lane < p->n)
                push_symbols(w, p, begin + lane, begin + lane + 1);
    }
    push_symbols(w, p, 0, NQI_MIN(p->n, round << lanes_log2));
}

static void push_phase(nqi_rans_writing *w, const nqi_rans_pushing *p, bool is_last)
{
    if (is_last)
        push_last(w, p);
    else
        push_symbols(w, p, 0, p->n);
}

void nqi_rans_push_single(nqi_rans_writing *w)
{
    const nqi_rans_pushing p = {
        .tables = {w->e->values, &nqi_rans_only_choice, NQI_RANS_ONE_SUB_LOG2},
        .classes = w->values.classes,
        .n = w->n};
    push_phase(w, &p, true);
}

void nqi_rans_push_dense(nqi_rans_writing *w)
{
    const size_t unit = nqi_rans_dense_unit(w->e);
    const size_t n_parts = (size_t)nqi_rans_parts(w->n, unit);
    for (size_t i = n_parts; i-- > 0;) {
        const size_t first = i * unit;
        const bool is_last = i + 1 == n_parts;
        const nqi_rans_pushing p = {
            .tables = {w->e->values, w->choices + i * NQI_RANS_GROUP, w->e->sub_log2},
            .classes = w->values.classes + first,
            .n = is_last ? w->n - first : unit};
        push_phase(w, &p, is_last);
        push_steps(w, w->steps + i * NQI_RANS_GROUP, nqi_rans_subs_of(w->e, p.n));
    }
}

void nqi_rans_push_sparse(nqi_rans_writing *w)
{
    const nqi_rans_encoder *e = w->e;
    const bool chooses = e->n_tables > 1;
    const size_t n_parts = nqi_rans_pair_parts(w);
    const size_t subs_per_part = nqi_rans_subs_of(e, NQI_RANS_PAIRS);
    if (n_parts == 0)
        nqi_rans_start_states(w, &(nqi_rans_pushing){.n = 0});
    for (size_t i = n_parts; i-- > 0;) {
        const size_t first = i * NQI_RANS_PAIRS, sub = i * subs_per_part;
        const bool is_last = i + 1 == n_parts;
        nqi_rans_pushing p = {.tables = {e->values,
                                         chooses ? w->choices + sub : &nqi_rans_only_choice,
                                         chooses ? e->sub_log2 : NQI_RANS_ONE_SUB_LOG2},
                              .classes = w->values.classes + first,
                              .n = is_last ? w->n_pairs - first : NQI_RANS_PAIRS};
        push_phase(w, &p, is_last);
        p.tables.coders = e->gaps;
        p.classes = w->gaps.classes + first;
        push_phase(w, &p, false);
        if (chooses)
            push_steps(w, w->steps + sub, nqi_rans_subs_of(e, p.n));
    }
}
