/*
 * From weights to small numbers: which cells may be in use, numbered in rising order ("slots"). A
 * dense map takes every cell of a range; a sparse one takes a list, for weights so far apart that
 * the cells between them could not be counted.
 */
#ifndef NQI_ECSQ_UNIFORM_MAP_H
#define NQI_ECSQ_UNIFORM_MAP_H

#include "base/alloc.h"
#include "base/common.h"
#include "ecsq/uniform_cell.h"

/* Widest range of cells that is taken as it is: twice what a codebook may have. */
#define NQI_CELL_MAP_DENSE (UINT32_C(1) << 17)

/* Slots of n weights in a dense map from `lowest` on, and their distances to the middles of their
 * cells unless `offsets` is NULL. */
typedef void (*nqi_cell_offsets_fn)(uint32_t *slots, double *offsets, double step, int32_t lowest,
                                    const float *weights, size_t n);

/* What the CPU, as described by its NQ_CPU_* features, has; NULL: nothing that plain C has not. */
nqi_cell_offsets_fn nqi_cell_offsets_avx512(uint64_t cpu);

typedef struct nqi_cell_map {
    nqi_allocator a;
    double step;
    int64_t lowest; /* dense: cell of slot 0 */
    uint32_t n_slots;
    bool is_dense;
    nqi_cell_offsets_fn find; /* of a dense map */
    uint32_t table_log2;
    int64_t *cells;  /* sparse: n_slots of them, rising */
    uint32_t *table; /* sparse: slots by their cells' hash */
} nqi_cell_map;

/* Whether the cells from lowest to highest can be mapped densely. */
bool nqi_cell_map_fits(int64_t lowest, int64_t highest);

/* A dense map of them; there is nothing to free. */
nqi_cell_map nqi_cell_map_dense(double step, int64_t lowest, int64_t highest, uint64_t cpu);

/* A sparse map of n cells (copied, rising, at least one). NQ_E_NOMEM, NQ_E_LIMIT. */
nq_status nqi_cell_map_sparse(nqi_cell_map *map, const nqi_allocator *a, double step,
                              const int64_t *cells, uint32_t n);

/* Fine for dense and for zeroed maps. */
void nqi_cell_map_free(nqi_cell_map *map);

static inline int64_t nqi_cell_map_cell(const nqi_cell_map *map, uint32_t slot)
{
    return map->is_dense ? map->lowest + slot : map->cells[slot];
}

/* The first slot whose cell is not below that of a weight, and n_slots if there is none. */
uint32_t nqi_cell_map_lower(const nqi_cell_map *map, float weight);

/* Slot of a weight; false if its cell is not in the map. */
bool nqi_cell_map_find(uint32_t *slot, const nqi_cell_map *map, float weight);

/* Slots of n weights whose cells are in the map; a sparse one has a slot nearby for others. */
void nqi_cell_map_slots(uint32_t *slots, const nqi_cell_map *map, const float *weights, size_t n);

/* The same, with each weight's distance to the middle of its cell: w - step * cell in double, which
 * rounds the product alone but for cell 0, where it rounds nothing. */
void nqi_cell_map_offsets(uint32_t *slots, double *offsets, const nqi_cell_map *map,
                          const float *weights, size_t n);

#endif
