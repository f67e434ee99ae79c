/*
 * A rANS code in memory: how much it takes, and its lookups. Part of the decoder.
 */
#include "codec/rans_dec.h"

#include <limits.h>

#include "base/checked.h"

#define ALIGNMENT 64u

static_assert(sizeof(nqi_rans_lookup) % ALIGNMENT == 0, "lookups lie behind each other");

/* ---- Sizes --------------------------------------------------------------------------------- */

/* Where the parts of a code lie, from its begin: lookups, then tables; first the steps', then the
 * gaps', then the values'. */
typedef struct parts {
    size_t lookups;
    size_t tables;
    size_t total;
    uint32_t n_steps; /* 0 or 1 */
    uint32_t n_gaps;
    uint32_t n_all;
} parts;

static parts plan_parts(const nqi_rans_shape *shape, bool is_small)
{
    parts p = {.n_steps = shape->n_tables > 1 ? 1 : 0,
               .n_gaps = shape->is_sparse ? shape->n_tables : 0};
    p.n_all = p.n_steps + p.n_gaps + shape->n_tables;
    p.lookups = (sizeof(nqi_rans_code) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    p.tables = p.lookups + (is_small ? 0 : p.n_all * sizeof(nqi_rans_lookup));
    p.total = p.tables + p.n_all * sizeof(nqi_rans_table);
    return p;
}

nq_status nqi_rans_code_size(size_t *code_bytes, size_t *block_bytes, uint32_t n_levels,
                             const uint8_t *table, size_t table_bytes, uint32_t flags)
{
    /* Of a description that cannot be looked at yet, the most: it has no more tables than bytes. */
    nqi_rans_shape shape = {.n_tables = (uint32_t)NQI_MIN(table_bytes, NQI_RANS_MAX_TABLES),
                            .is_sparse = true};
    if (table || table_bytes == 0) {
        nqi_bitreader r = nqi_bitreader_make(table, table_bytes);
        NQI_TRY(nqi_rans_read_shape(&shape, &r, n_levels));
    }
    *code_bytes = plan_parts(&shape, (flags & NQI_CODE_SMALL) != 0).total;
    *block_bytes = sizeof(nqi_rans_block) + (shape.is_sparse ? sizeof(nqi_rans_sparse) : 0);
    return NQ_OK;
}

/* ---- Lookups ------------------------------------------------------------------------------- */

/* Escapes that are to be replaced get a mark that no other class of the table has. */
static unsigned symbol_of(const nqi_rans_table *table, unsigned c)
{
    if (!table->is_replaced || c < table->n_classes - 1u)
        return table->symbol[c];
    unsigned mark = 0;
    for (unsigned i = 0; i < c; i++) /* symbols ascend */
        mark += table->symbol[i] == mark;
    return mark;
}

static void build_class(nqi_rans_lookup *lookup, const nqi_rans_table *table, unsigned c)
{
    const unsigned begin = table->begin[c], end = table->begin[c + 1];
    const unsigned symbol = symbol_of(table, c);
    lookup->frequency[c] = (uint8_t)(end - begin);
    lookup->symbol[c] = (uint8_t)symbol;
    lookup->begin_high[c] = (uint8_t)((begin >> 4) + 1);
    lookup->begin_low[c] = begin & 15;
    lookup->end_low[c] = end & 15;
    lookup->run[c] = (uint8_t)((end >> 4) - (begin >> 4) - 1);
    for (unsigned place = begin; place < end; place++) {
        const unsigned slot = nqi_rans_slot_of_place(place);
        const unsigned rank = nqi_rans_slot_rank(slot, begin, end);
        lookup->class_of[slot] = (uint8_t)c;
        lookup->rank_of[slot] = (uint8_t)rank;
        lookup->entry[slot] = (uint16_t)(((end - begin) & 255) | rank << 8);
        lookup->symbol_of[slot] = (uint8_t)symbol;
    }
}

/* The most steps that a row may have without being crowded: such that steps and crowded rows, which
 * take as long, are the fewest. */
static unsigned choose_steps(const uint8_t n_steps[NQI_RANS_ROWS])
{
    unsigned best = 0, fewest = UINT_MAX;
    for (unsigned most = 0; most < NQI_RANS_ROWS; most++) {
        unsigned n = most;
        for (unsigned row = 0; row < NQI_RANS_ROWS; row++)
            n += n_steps[row] > most;
        if (n < fewest) {
            fewest = n;
            best = most;
        }
    }
    return best;
}

static void add_crowded(nqi_rans_lookup *lookup, unsigned row)
{
    uint8_t *classes = lookup->crowded_class[lookup->n_crowded];
    for (unsigned column = 0; column < 16; column++)
        classes[column] = lookup->class_of[column << 4 | row];
    lookup->crowded_row[lookup->n_crowded++] = row * UINT32_C(0x01010101);
}

/* Rows and their steps: see rans_run.h. */
static void build_rows(nqi_rans_lookup *lookup, const nqi_rans_table *table)
{
    uint8_t n_steps[NQI_RANS_ROWS] = {0};
    memset(lookup->row_step, 15, sizeof lookup->row_step);
    for (unsigned row = 0; row < NQI_RANS_ROWS; row++)
        lookup->row_class[row] = lookup->class_of[nqi_rans_slot_of_place(16 * row)];
    for (unsigned c = 1; c < table->n_classes; c++) {
        const unsigned row = table->begin[c] / 16, low = table->begin[c] % 16;
        if (low > 0)
            lookup->row_step[n_steps[row]++][row] = (uint8_t)(low - 1);
    }
    lookup->n_row_steps = (uint8_t)choose_steps(n_steps);
    for (unsigned row = 0; row < NQI_RANS_ROWS; row++)
        if (n_steps[row] > lookup->n_row_steps)
            add_crowded(lookup, row);
}

static bool is_consecutive(const nqi_rans_table *table)
{
    for (unsigned c = 1; c + table->is_replaced < table->n_classes; c++)
        if (table->symbol[c] != table->symbol[0] + c)
            return false;
    return true;
}

static void build_lookup(nqi_rans_lookup *lookup, const nqi_rans_table *table)
{
    memset(lookup, 0, sizeof *lookup);
    for (unsigned c = 0; c < table->n_classes; c++)
        build_class(lookup, table, c);
    build_rows(lookup, table);
    lookup->n_classes = table->n_classes;
    lookup->escape = (uint8_t)(table->is_replaced ? table->n_classes - 1u : NQI_RANS_NO_CLASS);
    lookup->low_bits = table->low_bits;
    lookup->is_constant = table->n_classes == 1;
    lookup->is_consecutive = is_consecutive(table);
    for (unsigned c = 0; c < table->n_classes; c++)
        lookup->has_large |= lookup->frequency[c] > 127;
}

/* ---- Codes --------------------------------------------------------------------------------- */

static const nqi_rans_kernels *find_kernels(uint64_t cpu)
{
    const nqi_rans_kernels *kernels = nqi_rans_kernels_avx512(cpu);
    if (!kernels)
        kernels = nqi_rans_kernels_avx2(cpu);
    if (!kernels)
        kernels = nqi_rans_kernels_neon(cpu);
    return kernels ? kernels : &nqi_rans_kernels_ref;
}

/* Everything in a description behind its shape. */
static nq_status read_description(nqi_rans_code *code, nqi_rans_table *tables, nqi_bitreader *r,
                                  const parts *p)
{
    const uint32_t n_tables = code->shape.n_tables;
    if (p->n_steps > 0)
        NQI_TRY(nqi_rans_read_steps(tables, r, n_tables));
    tables += p->n_steps;
    if (p->n_gaps > 0)
        NQI_TRY(nqi_rans_read_tables(&code->gaps.alphabet, tables, r, n_tables, NQI_RANS_GAPS));
    tables += p->n_gaps;
    NQI_TRY(nqi_rans_read_tables(&code->values.alphabet, tables, r, n_tables, code->head.n_levels));
    return nqi_bitreader_at_end(r) ? NQ_OK : NQ_E_CORRUPT;
}

/* Unfolds the next n_tables for a channel. */
static void make_channel(nqi_rans_channel *channel, nqi_rans_table **tables,
                         nqi_rans_lookup **lookups, uint32_t n_tables)
{
    nqi_rans_settle(&channel->alphabet, *tables, n_tables);
    channel->tables = *tables;
    *tables += n_tables;
    if (!*lookups)
        return;
    for (uint32_t t = 0; t < n_tables; t++)
        build_lookup(&(*lookups)[t], &channel->tables[t]);
    channel->lookups = *lookups;
    *lookups += n_tables;
}

nq_status nqi_rans_code_init(nqi_code *head, const uint8_t *table, size_t table_bytes,
                             uint32_t flags, uint64_t cpu)
{
    nqi_rans_code *code = (nqi_rans_code *)(void *)head;
    nqi_bitreader r = nqi_bitreader_make(table, table_bytes);
    *code = (nqi_rans_code){
        .head = *head, .kernels = find_kernels(cpu), .is_small = (flags & NQI_CODE_SMALL) != 0};
    NQI_TRY(nqi_rans_read_shape(&code->shape, &r, head->n_levels));

    const parts p = plan_parts(&code->shape, code->is_small);
    uint8_t *memory = (uint8_t *)(void *)head;
    nqi_rans_table *tables = (nqi_rans_table *)(void *)(memory + p.tables);
    nqi_rans_lookup *lookups =
        code->is_small ? NULL : (nqi_rans_lookup *)(void *)(memory + p.lookups);
    NQI_TRY(read_description(code, tables, &r, &p));
    if (p.n_steps > 0)
        make_channel(&code->steps, &tables, &lookups, p.n_steps);
    if (p.n_gaps > 0)
        make_channel(&code->gaps, &tables, &lookups, p.n_gaps);
    make_channel(&code->values, &tables, &lookups, code->shape.n_tables);
    return NQ_OK;
}
