/*
 * How many lanes a rANS block has, and what their states begin with, so that its last rounds can be
 * idle.
 */
#include "codec/rans_block_enc.h"

#include <limits.h>

/* A lane costs about five bits: as many as cost one part in LANES_SHARE, 256 at most. */
unsigned nqi_rans_choose_lanes(const nqi_rans_encoder *e, uint64_t n_symbols)
{
    enum { LANE_BITS = 5 };
    const uint64_t bits = n_symbols * (uint64_t)e->mean_growth >> NQI_RANS_COST_LOG2;
    unsigned lanes_log2 = 0;
    while (lanes_log2 < NQI_RANS_MAX_LANES_LOG2 &&
           (uint64_t)LANE_BITS * NQI_RANS_LANES_SHARE << (lanes_log2 + 1) <= bits)
        lanes_log2++;
    return lanes_log2;
}

/* In 1/16 bit. */
#define STATE_ROOM 252u
#define STATE_LOSS 128u

/* Adds what a round tells to what lanes have swallowed. */
static void add_growth(unsigned *growth, const nqi_rans_pushing *p, size_t round,
                       unsigned lanes_log2)
{
    const size_t begin = round << lanes_log2;
    const size_t end = NQI_MIN(p->n, begin + ((size_t)1 << lanes_log2));
    for (size_t i = begin; i < end; i++)
        growth[i - begin] += nqi_rans_coder_of(p, i)->growth[p->classes[i]];
}

/* What the rounds that were added save: in *at_most, with any more of them. */
static int saving(const unsigned *growth, size_t lanes, int *at_most)
{
    int saved = 0, n_busy = 0;
    for (size_t i = 0; i < lanes; i++) {
        const bool is_busy = growth[i] > STATE_ROOM;
        saved += is_busy ? -(int)STATE_LOSS : (int)NQI_MIN(growth[i], STATE_LOSS);
        n_busy += is_busy;
    }
    *at_most = ((int)lanes - 2 * n_busy) * (int)STATE_LOSS;
    return saved;
}

static nqi_rans_idling plan_idling(const nqi_rans_pushing *p, unsigned lanes_log2)
{
    unsigned growth[NQI_RANS_MAX_LANES] = {0};
    const size_t lanes = (size_t)1 << lanes_log2;
    const size_t n_rounds = nqi_rans_rounds_of(p, lanes_log2);
    nqi_rans_idling best = {.n_rounds = 0};
    int most = 0, at_most = INT_MAX;
    for (unsigned n = 1; n <= NQI_MIN(n_rounds, NQI_RANS_MAX_IDLE) && at_most > most; n++) {
        add_growth(growth, p, n_rounds - n, lanes_log2);
        const int saved = saving(growth, lanes, &at_most);
        if (saved <= most)
            continue;
        most = saved;
        best.n_rounds = n;
        for (size_t i = 0; i < lanes; i++)
            best.is_busy[i] = growth[i] > STATE_ROOM;
    }
    return best;
}

/*
 * The state of one lane in front of the symbols from `begin` on, which it swallows without giving a
 * byte away: started as low as possible for it to end up at STATE_MIN or above. Above 16 bits if
 * that cannot be.
 */
static uint32_t first_state(const nqi_rans_pushing *p, size_t begin, size_t lane, size_t lanes)
{
    uint32_t state = NQI_RANS_STATE_MIN;
    size_t i = begin + lane;
    for (; i < p->n; i += lanes)
        state = nqi_rans_least_before(nqi_rans_coder_of(p, i), p->classes[i], state);
    while (i >= begin + lane + lanes && state <= UINT16_MAX) {
        i -= lanes;
        state = nqi_rans_pushed(nqi_rans_coder_of(p, i), p->classes[i], state);
    }
    return state;
}

void nqi_rans_start_states(nqi_rans_writing *w, const nqi_rans_pushing *p)
{
    const unsigned lanes_log2 = w->push.lanes_log2;
    const size_t lanes = (size_t)1 << lanes_log2;
    nqi_rans_idling *idle = &w->idle;
    *idle = plan_idling(p, lanes_log2);
    const size_t begin = (nqi_rans_rounds_of(p, lanes_log2) - idle->n_rounds) << lanes_log2;
    for (size_t lane = 0; lane < lanes; lane++) {
        uint32_t state = idle->is_busy[lane] ? UINT32_MAX : first_state(p, begin, lane, lanes);
        if (state > UINT16_MAX) {
            idle->is_busy[lane] = true;
            state = NQI_RANS_STATE_MIN;
        }
        w->push.states[lane] = (uint16_t)state;
        idle->n_busy += idle->is_busy[lane] ? 1 : 0;
    }
}
