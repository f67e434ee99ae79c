/*
 * The inside of nqi_rdo, for rdo.c and rdo_measure.c.
 */
#ifndef NQI_ECSQ_RDO_IMPL_H
#define NQI_ECSQ_RDO_IMPL_H

#include "ecsq/rdo.h"

/* Levels that can win: neighbours, counted among those that can at all. */
typedef struct nqi_span {
    uint16_t first;
    uint16_t n_more;
} nqi_span;

struct nqi_rdo {
    nqi_allocator allocator;
    double scale;
    double lambda; /* in the rows' units */
    bool is_plain; /* importance is not looked at */

    /* As given. */
    size_t k;
    double *levels;
    double *lengths;

    /* Those that may be used. */
    size_t n_used;
    double *used_levels;
    double *used_lengths;
    double *prices;    /* lambda times length */
    uint32_t *numbers; /* which of the given ones they are */
    uint32_t shortest; /* of these */

    /* Weights to cells, and cells to levels. */
    nqi_search search;
    size_t n_cells;
    uint16_t *winners; /* of a single importance: number of each cell's level */
    nqi_span *spans;   /* of several: n_tables times n_cells; see rdo.c for the last two */
    size_t n_tables;
    uint32_t spans_of_row[NQI_N_ROWS + 1]; /* where its table begins */
    void (*choose)(const nqi_rdo *r, uint16_t *cells, const float *w, const double *h, size_t n);
};

/* Replaces cells by the numbers of the cheapest levels of their spans. */
void nqi_rdo_choose_ref(const nqi_rdo *r, uint16_t *cells, const float *w, const double *h,
                        size_t n);
#if NQI_X86
void nqi_rdo_choose_avx512(const nqi_rdo *r, uint16_t *cells, const float *w, const double *h,
                           size_t n);
#endif

#endif
