/*
 * From weights to slots: see uniform_map.h. The dense loops are written so that compilers make
 * vector code of them: 32-bit cells, no branch.
 */
#include "ecsq/uniform_map.h"

#include <string.h>

#include "base/bytes.h"

#define NO_SLOT UINT32_MAX

/* ---- Cells -------------------------------------------------------------------------------- */

/* nqi_uniform_cell for cells that fit 32 bits; the sign is handled as a bit. */
NQI_INLINE int32_t small_cell(float w, double step)
{
    const uint32_t bits = nqi_f32_bits(w);
    const int32_t sign = -(int32_t)(bits >> 31);
    const double magnitude = (double)nqi_f32_from_bits(bits & 0x7fffffffu);
    const int32_t cell = (int32_t)(magnitude / step + 0.5);
    return (cell ^ sign) - sign;
}

static void find_offsets(uint32_t *slots, double *offsets, double step, int32_t lowest,
                         const float *weights, size_t n)
{
    for (size_t i = 0; i < n; i++)
        slots[i] = (uint32_t)(small_cell(weights[i], step) - lowest);
    for (size_t i = 0; offsets && i < n; i++)
        offsets[i] = (double)weights[i] - step * (double)((int32_t)slots[i] + lowest);
}

/* ---- Making -------------------------------------------------------------------------------- */

bool nqi_cell_map_fits(int64_t lowest, int64_t highest)
{
    return lowest > INT32_MIN && highest < INT32_MAX && highest - lowest < NQI_CELL_MAP_DENSE;
}

nqi_cell_map nqi_cell_map_dense(double step, int64_t lowest, int64_t highest, uint64_t cpu)
{
    const nqi_cell_offsets_fn fast = nqi_cell_offsets_avx512(cpu);
    return (nqi_cell_map){.step = step,
                          .lowest = lowest,
                          .n_slots = (uint32_t)(highest - lowest + 1),
                          .is_dense = true,
                          .find = fast ? fast : find_offsets};
}

static uint32_t first_place(const nqi_cell_map *map, int64_t cell)
{
    return (uint32_t)(((uint64_t)cell * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - map->table_log2));
}

static void fill_table(nqi_cell_map *map)
{
    const uint32_t mask = ((uint32_t)1 << map->table_log2) - 1;
    memset(map->table, 0xff, sizeof *map->table << map->table_log2);
    for (uint32_t slot = 0; slot < map->n_slots; slot++) {
        uint32_t at = first_place(map, map->cells[slot]);
        while (map->table[at] != NO_SLOT)
            at = (at + 1) & mask;
        map->table[at] = slot;
    }
}

nq_status nqi_cell_map_sparse(nqi_cell_map *map, const nqi_allocator *a, double step,
                              const int64_t *cells, uint32_t n)
{
    void *copy, *table;
    *map = (nqi_cell_map){.a = *a, .step = step, .n_slots = n, .table_log2 = 4};
    while (((uint64_t)1 << map->table_log2) < 2 * (uint64_t)n)
        map->table_log2++;
    NQI_TRY(nqi_alloc(&copy, a, n, sizeof *cells));
    map->cells = copy;
    const nq_status status =
        nqi_alloc(&table, a, UINT64_C(1) << map->table_log2, sizeof *map->table);
    map->table = table;
    if (status != NQ_OK) {
        nqi_cell_map_free(map);
        return status;
    }
    memcpy(map->cells, cells, n * sizeof *cells);
    fill_table(map);
    return NQ_OK;
}

void nqi_cell_map_free(nqi_cell_map *map)
{
    if (map->cells)
        nqi_free(&map->a, map->cells, map->n_slots, sizeof *map->cells);
    if (map->table)
        nqi_free(&map->a, map->table, UINT64_C(1) << map->table_log2, sizeof *map->table);
    *map = (nqi_cell_map){.n_slots = 0};
}

/* ---- Using --------------------------------------------------------------------------------- */

static uint32_t lower(const nqi_cell_map *map, int64_t cell)
{
    uint32_t low = 0, high = map->n_slots;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (nqi_cell_map_cell(map, middle) < cell)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t nqi_cell_map_lower(const nqi_cell_map *map, float weight)
{
    return lower(map, nqi_uniform_cell((double)weight, map->step));
}

/* Half of the table is free, so that a search ends. */
static uint32_t find_slot(const nqi_cell_map *map, int64_t cell)
{
    const uint32_t mask = ((uint32_t)1 << map->table_log2) - 1;
    uint32_t at = first_place(map, cell);
    while (map->table[at] != NO_SLOT && map->cells[map->table[at]] != cell)
        at = (at + 1) & mask;
    return map->table[at] != NO_SLOT ? map->table[at] : NQI_MIN(lower(map, cell), map->n_slots - 1);
}

bool nqi_cell_map_find(uint32_t *slot, const nqi_cell_map *map, float weight)
{
    *slot = nqi_cell_map_lower(map, weight);
    return *slot < map->n_slots &&
           nqi_cell_map_cell(map, *slot) == nqi_uniform_cell((double)weight, map->step);
}

void nqi_cell_map_slots(uint32_t *slots, const nqi_cell_map *map, const float *weights, size_t n)
{
    const double step = map->step;
    if (!map->is_dense) {
        for (size_t i = 0; i < n; i++)
            slots[i] = find_slot(map, nqi_uniform_cell((double)weights[i], step));
        return;
    }
    map->find(slots, NULL, step, (int32_t)map->lowest, weights, n);
}

void nqi_cell_map_offsets(uint32_t *slots, double *offsets, const nqi_cell_map *map,
                          const float *weights, size_t n)
{
    const double step = map->step;
    if (!map->is_dense) {
        for (size_t i = 0; i < n; i++) {
            const int64_t cell = nqi_uniform_cell((double)weights[i], step);
            slots[i] = find_slot(map, cell);
            offsets[i] = (double)weights[i] - step * (double)cell;
        }
        return;
    }
    map->find(slots, offsets, step, (int32_t)map->lowest, weights, n);
}
