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
    uint16_t *numbers; /* which of the given ones they are */
    uint16_t shortest; /* number of the first of the shortest */

    /* Weights to cells, and cells to levels. */
    nqi_search search;
    size_t n_cells;
    uint16_t *winners; /* of a single importance: number of each cell's level */
    nqi_span *spans;   /* of several: n_tables times n_cells */
    size_t n_tables;
    uint16_t table_of_row[NQI_N_ROWS];
};

#endif
