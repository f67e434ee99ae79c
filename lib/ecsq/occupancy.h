/*
 * Where the weights are, in few numbers: enough to tell exactly how many cells of any step are in
 * use, for all steps that could leave at most K of them.
 *
 * The map is a set of bins [j u, (j + 1) u), u a power of two, with the smallest and the largest
 * weight in each. u starts so small that cells of two bins would be numbered past 2^60, and doubles
 * whenever more than 6K bins are in use; pairs of bins merge exactly. So the map is a function of
 * the set of weights alone: u is the smallest one that leaves at most 6K bins. Maps of parts merge,
 * in any order.
 *
 * Two facts about weights x < y of type f32 (occupancy.c proves them for the cells as computed):
 *
 *   (1) y - x <= s (1 - 2^-20): their cells are the same or neighbours
 *   (2) y - x >= s (1 + 2^-20): their cells differ
 *
 * From (1), for s >= 2u: the cells of a bin's members are those of its smallest and its largest.
 * From (2), for s <= 2u, if u was ever doubled: more than K cells are in use. For the members of a
 * cell lie within s (1 + 2^-20) of each other, which is not much over 4 of the last bins that were
 * too many: they touch at most 6 of those, and there were more than 6K. So the steps from 2u on are
 * the only ones to look at.
 */
#ifndef NQI_ECSQ_OCCUPANCY_H
#define NQI_ECSQ_OCCUPANCY_H

#include "base/alloc.h"
#include "base/common.h"

/* Facts (1) and (2) hold with this distance from the step, relative. */
#define NQI_CELL_SLACK 0x1p-20

/* Weights from first to last of which no two neighbours are further apart than fact (1) says: all
 * cells from first's to last's are in use. */
typedef struct nqi_stretch {
    float first;
    float last;
} nqi_stretch;

typedef struct nqi_occupancy nqi_occupancy;

/* Bytes that a map for this K takes. */
uint64_t nqi_occupancy_bytes(uint32_t max_cells);

/* max_abs: the largest magnitude of all weights that will be added, to this map and to those that
 * it is merged with. NQ_OK, NQ_E_NOMEM, NQ_E_LIMIT. */
nq_status nqi_occupancy_create(nqi_occupancy **out, const nqi_allocator *a, uint32_t max_cells,
                               float max_abs);
void nqi_occupancy_destroy(nqi_occupancy *o);

/* n finite weights. */
void nqi_occupancy_add(nqi_occupancy *o, const float *weights, size_t n);

/* All that `other` has; both were made with the same arguments. */
void nqi_occupancy_merge(nqi_occupancy *o, const nqi_occupancy *other);

/* 2u: every smaller step uses more than K cells or numbers them past NQI_UNIFORM_CELL_MAX. */
double nqi_occupancy_least_step(const nqi_occupancy *o);

/* The bins as runs for that step and larger ones, in rising order, into `runs` (NULL: only their
 * number). Ends the adding. */
size_t nqi_occupancy_runs(nqi_stretch *runs, nqi_occupancy *o);

#endif
