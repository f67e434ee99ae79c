/*
 * Optimal intervals: see interval.h.
 */
#include "ecsq/interval.h"

#include "base/bytes.h"
#include "base/log2.h"

/* Groups of bins, whose ends are where cells may end. */
#define MAX_GROUPS 2048u

/* Parts of a cell's usual width that a group is wide. */
#define PARTS_OF_A_CELL 16.0

/* ---- Logarithms ---------------------------------------------------------------------------- */

/* log2 to some 1e-13 from a table: the inner loop takes millions. */
#define LOG_BITS    10u
#define LOG_ENTRIES (1u << LOG_BITS)

typedef struct log_table {
    double log2[LOG_ENTRIES];
    double inverse[LOG_ENTRIES];
    double middle[LOG_ENTRIES];
} log_table;

static void fill_log_table(log_table *t)
{
    for (uint32_t i = 0; i < LOG_ENTRIES; i++) {
        t->middle[i] = 1 + ((double)i + 0.5) / LOG_ENTRIES;
        t->inverse[i] = 1 / t->middle[i];
        t->log2[i] = nqi_log2(t->middle[i]);
    }
}

/* Of a normal number: log2 of the nearest entry, and ln(1 + r) / ln 2 to the third power of r. */
static inline double table_log2(const log_table *t, double x)
{
    const uint64_t bits = nqi_f64_bits(x);
    const uint32_t i = (uint32_t)(bits >> (52 - LOG_BITS)) % LOG_ENTRIES;
    const double m = nqi_f64_from_bits((bits & ((UINT64_C(1) << 52) - 1)) | (UINT64_C(1023) << 52));
    const double r = (m - t->middle[i]) * t->inverse[i];
    const double log = r * (1 - r * (0.5 - r * (1.0 / 3)));
    return (double)((int64_t)(bits >> 52) - 1023) + t->log2[i] + log * 0x1.71547652b82fep+0;
}

/* ---- Groups -------------------------------------------------------------------------------- */

/* Sums over the groups before an end, from the middle of all. */
typedef struct group_end {
    double count;
    double h;
    double h_x;
    double h_x2;
} group_end;

typedef struct job {
    const nqi_summary *s;
    bool is_plain;
    double lambda;
    double centre;
    size_t n; /* groups */
    group_end ends[MAX_GROUPS + 1];
    size_t first_bins[MAX_GROUPS + 1];
    double best[MAX_GROUPS + 1];   /* J of the best cells up to an end */
    uint32_t from[MAX_GROUPS + 1]; /* where the last of them begins */
    log_table log;
} job;

static double bin_h(const job *j, const nqi_bin *b)
{
    return j->is_plain ? (double)b->count : b->h;
}

static double bin_x(const job *j, const nqi_bin *b)
{
    return j->is_plain ? nqi_bin_plain_mean(b) : nqi_bin_mean(b);
}

/* Takes bins together that begin within `width` of a group's first; the number of groups, whose
 * first bins are listed as far as there is room. */
static size_t cut_groups(job *j, double width)
{
    size_t n = 0;
    double begin = 0;
    for (size_t i = 0; i < j->s->n_bins; i++) {
        const double x = bin_x(j, &j->s->bins[i]);
        if (i > 0 && x - begin < width)
            continue;
        if (n < MAX_GROUPS)
            j->first_bins[n] = i;
        n++;
        begin = x;
    }
    return n;
}

/* An even spread over a cell of width d costs d^2 / 12 of distortion a weight, and halving d costs
 * a bit and saves three quarters of that: in balance, d^2 = 6 lambda / (h ln 2). */
static void make_groups(job *j)
{
    double h = 0;
    for (size_t i = 0; i < j->s->n_bins; i++)
        h += bin_h(j, &j->s->bins[i]);
    double width = 0;
    j->n = cut_groups(j, width);
    if (j->n > MAX_GROUPS) {
        const double per_weight = j->lambda * (double)j->s->n / h;
        const double square = NQI_MIN(6 * per_weight * 0x1.71547652b82fep+0, 0x1p1000);
        width = NQI_MAX(nqi_sqrt(square) / PARTS_OF_A_CELL, 0x1p-160);
        while ((j->n = cut_groups(j, width)) > MAX_GROUPS)
            width *= 1.25;
    }
    j->first_bins[j->n] = j->s->n_bins;
}

static group_end add_group(const job *j, size_t group, group_end end, double sign)
{
    for (size_t i = j->first_bins[group]; i < j->first_bins[group + 1]; i++) {
        const nqi_bin *b = &j->s->bins[i];
        const double h = sign * bin_h(j, b), x = bin_x(j, b) - j->centre;
        end.count += sign * (double)b->count;
        end.h += h;
        end.h_x += h * x;
        end.h_x2 += h * x * x;
    }
    return end;
}

static void sum_groups(job *j)
{
    const size_t middle = j->n / 2;
    j->centre = bin_x(j, &j->s->bins[j->first_bins[middle]]);
    j->ends[middle] = (group_end){0, 0, 0, 0};
    for (size_t i = middle; i < j->n; i++)
        j->ends[i + 1] = add_group(j, i, j->ends[i], 1);
    for (size_t i = middle; i > 0; i--)
        j->ends[i - 1] = add_group(j, i - 1, j->ends[i], -1);
}

/* ---- Dynamic programming ------------------------------------------------------------------- */

static double distortion(const group_end *from, const group_end *to)
{
    const double h = to->h - from->h, h_x = to->h_x - from->h_x, h_x2 = to->h_x2 - from->h_x2;
    const double d = h_x2 - h_x * (h_x / h);
    return d > 0 ? d : 0; /* also where there is no importance, and d no number */
}

/* The best cells up to end i. A cell that alone costs more than the best so far ends the search:
 * longer ones cost more. */
static void find_best(job *j, size_t i, double log_n)
{
    const group_end *to = &j->ends[i];
    double best = 0x1p1000;
    uint32_t from = 0;
    for (size_t begin = i; begin-- > 0;) {
        const double d = distortion(&j->ends[begin], to);
        if (d >= best)
            break;
        const double count = to->count - j->ends[begin].count;
        const double cost =
            j->best[begin] + d + j->lambda * count * (log_n - table_log2(&j->log, count));
        if (cost < best) {
            best = cost;
            from = (uint32_t)begin;
        }
    }
    j->best[i] = best;
    j->from[i] = from;
}

static size_t take_levels(double *levels, double *lengths, size_t max_k, const job *j)
{
    size_t k = 0;
    for (size_t i = j->n; i > 0; i = j->from[i])
        k++;
    if (k > max_k)
        return 0;
    size_t at = k;
    const double log_n = nqi_log2((double)j->s->n);
    for (size_t i = j->n; i > 0; i = j->from[i]) {
        const group_end *from = &j->ends[j->from[i]], *to = &j->ends[i];
        const double h = to->h - from->h;
        const double x = bin_x(j, &j->s->bins[j->first_bins[j->from[i]]]);
        levels[--at] = h > 0 ? j->centre + (to->h_x - from->h_x) / h : x;
        lengths[at] = log_n - nqi_log2(to->count - from->count);
    }
    return k;
}

/* Rounding may have put levels of light cells in each other's place. */
static size_t keep_rising(double *levels, double *lengths, size_t k)
{
    size_t n = 0;
    for (size_t i = 0; i < k; i++)
        if (n == 0 || levels[i] > levels[n - 1]) {
            levels[n] = levels[i];
            lengths[n++] = NQI_MAX(lengths[i], 0);
        }
    return n;
}

nq_status nqi_interval_levels(double *levels, double *lengths, size_t *k, size_t max_k,
                              const nqi_env *env, const nqi_summary *s, bool is_plain,
                              double lambda)
{
    void *memory;
    *k = 0;
    if (s->n_bins == 0)
        return NQ_OK;
    NQI_TRY(nqi_alloc(&memory, &env->allocator, 1, sizeof(job)));
    job *j = memory;
    j->s = s;
    j->is_plain = is_plain;
    j->lambda = lambda;
    fill_log_table(&j->log);
    make_groups(j);
    sum_groups(j);
    const double log_n = nqi_log2((double)s->n);
    j->best[0] = 0;
    for (size_t i = 1; i <= j->n; i++)
        find_best(j, i, log_n);
    *k = keep_rising(levels, lengths, take_levels(levels, lengths, max_k, j));
    nqi_free(&env->allocator, memory, 1, sizeof(job));
    return NQ_OK;
}
