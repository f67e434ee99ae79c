/*
 * Writing a codebook's data: see codebook.h and, for the description, writer.h.
 */
#include "container/codebook_enc.h"

#include "base/half.h"
#include "base/number.h"
#include "container/codebook.h"

/* Levels of one channel, or of the whole codebook. */
typedef struct book {
    double step;
    const int64_t *cells;
    uint32_t n_levels;
} book;

static uint32_t book_count(const nqi_codebook_desc *desc)
{
    return desc->n_channels ? desc->n_channels : 1;
}

/* Number i, whose cells begin at `at`. */
static book book_at(const nqi_codebook_desc *desc, uint32_t i, size_t at)
{
    book b = {.step = desc->step, .n_levels = desc->n_levels};
    if (desc->n_channels) {
        b.step = desc->step != 0 ? desc->step : desc->channels[i].step;
        b.n_levels = desc->channels[i].n_levels;
    }
    b.cells = desc->cells ? desc->cells + at : NULL;
    return b;
}

/* ---- Checks -------------------------------------------------------------------------------- */

static bool grid_is_valid(const book *b)
{
    if (!b->cells || b->step == 0 || !nqi_is_finite(b->step))
        return false;
    for (uint32_t i = 0; i < b->n_levels; i++) {
        const int64_t cell = b->cells[i];
        if (cell < -NQI_MAX_CELL || cell > NQI_MAX_CELL || !nqi_grid_holds(b->step, cell))
            return false;
        if (i > 0 && cell <= b->cells[i - 1])
            return false;
    }
    return true;
}

static nq_status check_channels(const nqi_codebook_desc *desc)
{
    uint64_t n_stored = 0;
    if (desc->n_channels > 0 && !desc->channels)
        return NQ_E_ARG;
    for (uint32_t i = 0; i < desc->n_channels; i++) {
        const nqi_channel_desc *c = &desc->channels[i];
        if (c->n_levels == 0 || c->first >= desc->n_levels ||
            c->n_levels > desc->n_levels - c->first)
            return NQ_E_ARG;
        n_stored += c->n_levels;
    }
    return n_stored <= NQI_MAX_STORED_LEVELS ? NQ_OK : NQ_E_LIMIT;
}

nq_status nqi_codebook_check(const nqi_codebook_desc *desc)
{
    if (desc->n_levels == 0 || desc->n_levels > NQ_MAX_LEVELS || !nqi_is_finite(desc->step) ||
        desc->method > UINT8_MAX || desc->level_rule > UINT8_MAX)
        return NQ_E_ARG;
    NQI_TRY(check_channels(desc));
    if (desc->storage != NQ_LEVELS_GRID) {
        const bool is_known = desc->storage == NQ_LEVELS_F32 || desc->storage == NQ_LEVELS_F16;
        return is_known && desc->levels ? NQ_OK : NQ_E_ARG;
    }
    size_t at = 0;
    for (uint32_t i = 0; i < book_count(desc); i++) {
        const book b = book_at(desc, i, at);
        if (!grid_is_valid(&b))
            return NQ_E_ARG;
        at += b.n_levels;
    }
    return NQ_OK;
}

uint32_t nqi_codebook_stored(const nqi_codebook_desc *desc)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < desc->n_channels; i++)
        n += desc->channels[i].n_levels;
    return desc->n_channels ? n : desc->n_levels;
}

/* ---- Data ---------------------------------------------------------------------------------- */

/* Appends a number to `o`, or only counts its bytes if that is NULL. */
static uint64_t put_varint(nqi_out *o, uint64_t value)
{
    if (o)
        nqi_out_varint(o, value);
    return nqi_varint_bytes(value);
}

static uint64_t zigzag(int64_t value)
{
    return value < 0 ? 2 * (uint64_t)(-(value + 1)) + 1 : 2 * (uint64_t)value;
}

/* The end of the run of neighbouring cells that begins at `first`. */
static uint32_t run_end(const book *b, uint32_t first)
{
    uint32_t i = first + 1;
    while (i < b->n_levels && b->cells[i] == b->cells[i - 1] + 1)
        i++;
    return i;
}

static uint64_t put_grid(nqi_out *o, const book *b)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < b->n_levels;) {
        const uint32_t end = run_end(b, i);
        n_bytes += put_varint(o, i == 0 ? zigzag(b->cells[0])
                                        : (uint64_t)(b->cells[i] - b->cells[i - 1] - 2));
        n_bytes += put_varint(o, end - i - 1);
        i = end;
    }
    return n_bytes;
}

static uint64_t put_grids(nqi_out *o, const nqi_codebook_desc *desc)
{
    const bool has_steps = desc->step == 0;
    uint64_t n_bytes = 0;
    size_t at = 0;
    for (uint32_t i = 0; i < book_count(desc); i++) {
        const book b = book_at(desc, i, at);
        if (o && has_steps)
            nqi_out_le(o, nqi_f64_bits(b.step), 8);
        n_bytes += (has_steps ? 8 : 0) + put_grid(o, &b);
        at += b.n_levels;
    }
    return n_bytes;
}

/* How levels of channels are numbered: neighbours that are alike are told of once. */
static uint64_t put_channels(nqi_out *o, const nqi_codebook_desc *desc)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0, end; i < desc->n_channels; i = end) {
        const nqi_channel_desc *c = &desc->channels[i];
        for (end = i + 1; end < desc->n_channels; end++)
            if (desc->channels[end].first != c->first || desc->channels[end].n_levels != c->n_levels)
                break;
        n_bytes += put_varint(o, end - i - 1);
        n_bytes += put_varint(o, c->first);
        n_bytes += put_varint(o, c->n_levels - 1);
    }
    return n_bytes;
}

nq_status nqi_codebook_bytes(uint64_t *n_bytes, const nqi_codebook_desc *desc)
{
    NQI_TRY(nqi_codebook_check(desc));
    *n_bytes = put_channels(NULL, desc);
    if (desc->storage == NQ_LEVELS_GRID)
        *n_bytes += put_grids(NULL, desc);
    else
        *n_bytes += (uint64_t)nqi_codebook_stored(desc) * (desc->storage == NQ_LEVELS_F16 ? 2 : 4);
    return NQ_OK;
}

void nqi_codebook_put(nqi_out *o, const nqi_codebook_desc *desc)
{
    const uint32_t n = nqi_codebook_stored(desc);
    (void)put_channels(o, desc);
    if (desc->storage == NQ_LEVELS_GRID)
        (void)put_grids(o, desc);
    else if (desc->storage == NQ_LEVELS_F16)
        for (uint32_t i = 0; i < n; i++)
            nqi_out_le(o, nqi_f32_to_f16(desc->levels[i]), 2);
    else
        for (uint32_t i = 0; i < n; i++)
            nqi_out_le(o, nqi_f32_bits(desc->levels[i]), 4);
}
