/*
 * Writing a codebook's data: see codebook.h and, for the description, writer.h.
 */
#include "container/codebook_enc.h"

#include "base/half.h"
#include "base/number.h"
#include "container/codebook.h"

static bool grid_is_valid(const nqi_codebook_desc *desc)
{
    if (!desc->cells || desc->step == 0)
        return false;
    for (uint32_t i = 0; i < desc->n_levels; i++) {
        const int64_t cell = desc->cells[i];
        if (cell < -NQI_MAX_CELL || cell > NQI_MAX_CELL || !nqi_grid_holds(desc->step, cell))
            return false;
        if (i > 0 && cell <= desc->cells[i - 1])
            return false;
    }
    return true;
}

nq_status nqi_codebook_check(const nqi_codebook_desc *desc)
{
    if (desc->n_levels == 0 || desc->n_levels > NQ_MAX_LEVELS || !nqi_is_finite(desc->step) ||
        desc->method > UINT8_MAX || desc->level_rule > UINT8_MAX)
        return NQ_E_ARG;
    if (desc->storage == NQ_LEVELS_GRID)
        return grid_is_valid(desc) ? NQ_OK : NQ_E_ARG;
    const bool is_known = desc->storage == NQ_LEVELS_F32 || desc->storage == NQ_LEVELS_F16;
    return is_known && desc->levels ? NQ_OK : NQ_E_ARG;
}

static uint64_t zigzag(int64_t value)
{
    return value < 0 ? 2 * (uint64_t)(-(value + 1)) + 1 : 2 * (uint64_t)value;
}

/* The end of the run of neighbouring cells that begins at `first`. */
static uint32_t run_end(const nqi_codebook_desc *desc, uint32_t first)
{
    uint32_t i = first + 1;
    while (i < desc->n_levels && desc->cells[i] == desc->cells[i - 1] + 1)
        i++;
    return i;
}

/* Appends the runs to `o`, or only counts their bytes if that is NULL. */
static uint64_t put_grid(nqi_out *o, const nqi_codebook_desc *desc)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < desc->n_levels;) {
        const uint32_t end = run_end(desc, i);
        const uint64_t where = i == 0 ? zigzag(desc->cells[0])
                                      : (uint64_t)(desc->cells[i] - desc->cells[i - 1] - 2);
        const uint64_t length = end - i - 1;
        n_bytes += nqi_varint_bytes(where) + nqi_varint_bytes(length);
        if (o) {
            nqi_out_varint(o, where);
            nqi_out_varint(o, length);
        }
        i = end;
    }
    return n_bytes;
}

nq_status nqi_codebook_bytes(uint64_t *n_bytes, const nqi_codebook_desc *desc)
{
    NQI_TRY(nqi_codebook_check(desc));
    if (desc->storage == NQ_LEVELS_GRID)
        *n_bytes = put_grid(NULL, desc);
    else
        *n_bytes = (uint64_t)desc->n_levels * (desc->storage == NQ_LEVELS_F16 ? 2 : 4);
    return NQ_OK;
}

void nqi_codebook_put(nqi_out *o, const nqi_codebook_desc *desc)
{
    if (desc->storage == NQ_LEVELS_GRID)
        put_grid(o, desc);
    else if (desc->storage == NQ_LEVELS_F16)
        for (uint32_t i = 0; i < desc->n_levels; i++)
            nqi_out_le(o, nqi_f32_to_f16(desc->levels[i]), 2);
    else
        for (uint32_t i = 0; i < desc->n_levels; i++)
            nqi_out_le(o, nqi_f32_bits(desc->levels[i]), 4);
}
