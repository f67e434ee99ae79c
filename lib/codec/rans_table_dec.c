/*
 * Reading the description of a rANS code: see rans_table_dec.h, and docs/format/rans.md for its
 * fields. Each number is raw until it was checked. Part of the decoder.
 */
#include "codec/rans_table_dec.h"

/* What a failed reader, or a number out of its range, is called. */
static nq_status refuse(const nqi_bitreader *r)
{
    return r->failed ? NQ_E_TRUNCATED : NQ_E_CORRUPT;
}

nq_status nqi_rans_read_shape(nqi_rans_shape *shape, nqi_bitreader *r, uint32_t n_levels)
{
    const uint32_t n_tables = nqi_bitreader_take(r, NQI_RANS_TABLES_WIDTH) + 1;
    const bool is_sparse = nqi_bitreader_take(r, 1) != 0;
    const unsigned raw_sub = nqi_bitreader_take(r, NQI_RANS_SUB_WIDTH);
    uint32_t raw_zero = 0;
    if (is_sparse)
        raw_zero = nqi_bitreader_take(r, nqi_bits_for(n_levels));
    if (r->failed || raw_zero >= n_levels || (n_tables == 1 && raw_sub != 0))
        return refuse(r);
    /* A table takes seven bits at least and a step one. Memory is planned by this where the
     * description cannot be looked at yet. */
    if (n_tables > r->n_bytes)
        return NQ_E_TRUNCATED;
    *shape = (nqi_rans_shape){.n_tables = n_tables,
                              .zero = raw_zero,
                              .sub_log2 = raw_sub + NQI_RANS_MIN_SUB_LOG2,
                              .is_sparse = is_sparse};
    return NQ_OK;
}

/* A frequency, 0..511, whose width is told by its difference to the one before. */
static bool read_frequency(unsigned *frequency, nqi_bitreader *r, unsigned *width)
{
    unsigned raw_zeros = 0;
    while (raw_zeros <= 2 * NQI_RANS_MAX_WIDTH && !r->failed && nqi_bitreader_take(r, 1) == 0)
        raw_zeros++;
    const int raw_width = (int)*width + nqi_rans_unzigzag(raw_zeros);
    if (r->failed || raw_width < 0 || raw_width > (int)NQI_RANS_MAX_WIDTH)
        return false;
    *width = (unsigned)raw_width;
    *frequency = 0;
    if (*width > 0)
        *frequency = 1u << (*width - 1) | nqi_bitreader_take(r, *width - 1);
    return !r->failed;
}

nq_status nqi_rans_read_steps(nqi_rans_table *steps, nqi_bitreader *r, uint32_t n_tables)
{
    unsigned width = 1, place = 0, raw_frequency;
    *steps = (nqi_rans_table){.last_upper = n_tables - 1, .n_classes = (uint8_t)n_tables};
    for (uint32_t i = 0; i < n_tables; i++) {
        steps->begin[i] = (uint16_t)place;
        steps->symbol[i] = (uint8_t)i;
        if (i == n_tables - 1)
            break; /* it has what is left */
        if (!read_frequency(&raw_frequency, r, &width))
            return refuse(r);
        if (raw_frequency == 0 || raw_frequency >= NQI_RANS_SLOTS - place)
            return NQ_E_CORRUPT;
        place += raw_frequency;
    }
    steps->begin[n_tables] = NQI_RANS_SLOTS;
    return NQ_OK;
}

/* The window of upper parts that a table tells apart. */
static nq_status read_window(nqi_rans_table *table, uint32_t *span, nqi_bitreader *r,
                             uint32_t n_symbols)
{
    const unsigned raw_low_bits = nqi_bitreader_take(r, NQI_RANS_LOW_BITS_WIDTH);
    if (r->failed || raw_low_bits > nqi_rans_width(n_symbols - 1))
        return refuse(r);
    const uint32_t last = nqi_rans_last_upper(n_symbols, raw_low_bits);
    const uint32_t raw_first = nqi_bitreader_take(r, nqi_rans_width(last));
    const uint32_t raw_span = nqi_bitreader_take(r, nqi_rans_span_width(last)) + 1;
    if (r->failed || raw_first > last || raw_span > NQI_RANS_MAX_SPAN ||
        raw_span > last - raw_first + 1)
        return refuse(r);
    *table =
        (nqi_rans_table){.low_bits = (uint8_t)raw_low_bits, .first = raw_first, .last_upper = last};
    *span = raw_span;
    return NQ_OK;
}

/* Gives the class that comes next `frequency` places; false if there are not so many, or if there
 * are too many classes. */
static bool add_class(nqi_rans_table *table, uint32_t symbol, unsigned frequency)
{
    const unsigned place = table->begin[table->n_classes];
    if (table->n_classes == NQI_RANS_MAX_CLASSES || frequency > NQI_RANS_SLOTS - place)
        return false;
    table->symbol[table->n_classes++] = (uint8_t)symbol;
    table->begin[table->n_classes] = (uint16_t)(place + frequency);
    return true;
}

static nq_status read_table(nqi_rans_table *table, nqi_bitreader *r, uint32_t n_symbols)
{
    unsigned width = 1, raw_frequency;
    uint32_t span;
    NQI_TRY(read_window(table, &span, r, n_symbols));
    for (uint32_t i = 0; i < span; i++) {
        if (!read_frequency(&raw_frequency, r, &width))
            return refuse(r);
        if (raw_frequency == 0 && (i == 0 || i == span - 1))
            return NQ_E_CORRUPT; /* the window is larger than it need be */
        if (raw_frequency > 0 && !add_class(table, i, raw_frequency))
            return NQ_E_CORRUPT;
    }
    const unsigned rest = NQI_RANS_SLOTS - table->begin[table->n_classes];
    if (rest == 0)
        return NQ_OK;
    table->has_escape = true;
    return table->last_upper > 0 && add_class(table, 0, rest) ? NQ_OK : NQ_E_CORRUPT;
}

static nq_status read_escape_code(nqi_rans_escape_code *code, nqi_bitreader *r)
{
    const uint32_t raw_center = nqi_bitreader_take(r, code->width);
    const uint32_t raw_offset = nqi_bitreader_take(r, code->width);
    code->rice_bits = nqi_bitreader_take(r, NQI_RANS_RICE_WIDTH);
    if (r->failed || raw_center > code->last || raw_offset > code->last)
        return refuse(r);
    code->center = raw_center;
    code->offset = raw_offset;
    return NQ_OK;
}

nq_status nqi_rans_read_tables(nqi_rans_alphabet *alphabet, nqi_rans_table *tables,
                               nqi_bitreader *r, uint32_t n_tables, uint32_t n_symbols)
{
    nqi_rans_alphabet a = {.n_symbols = n_symbols};
    for (uint32_t t = 0; t < n_tables; t++) {
        NQI_TRY(read_table(&tables[t], r, n_symbols));
        a.has_escape |= tables[t].has_escape;
        a.has_low_bits |= tables[t].low_bits > 0;
        a.escapes.last = NQI_MAX(a.escapes.last, tables[t].last_upper);
    }
    a.escapes.width = nqi_rans_width(a.escapes.last);
    a.is_wide = a.escapes.width > 8;
    if (a.has_escape)
        NQI_TRY(read_escape_code(&a.escapes, r));
    *alphabet = a;
    return NQ_OK;
}

static void settle_symbols(nqi_rans_table *table, bool is_wide)
{
    const unsigned n_plain = table->n_classes - (table->has_escape ? 1u : 0u);
    if (is_wide) {
        if (table->has_escape)
            table->symbol[n_plain] = NQI_RANS_WIDE_ESCAPE;
        return;
    }
    for (unsigned c = 0; c < n_plain; c++)
        table->symbol[c] = (uint8_t)(table->symbol[c] + table->first);
    table->first = 0;
    table->is_replaced = table->has_escape;
}

void nqi_rans_settle(const nqi_rans_alphabet *alphabet, nqi_rans_table *tables, uint32_t n_tables)
{
    for (uint32_t t = 0; t < n_tables; t++)
        settle_symbols(&tables[t], alphabet->is_wide);
}
