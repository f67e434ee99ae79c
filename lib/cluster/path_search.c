/*
 * The search for the lambda at which the shortest path has k cells: see path.h.
 */
#include <assert.h>
#include <string.h>

#include "base/log2.h"
#include "cluster/path_impl.h"

/* What the search knows: at `low` the path has more than k cells, at `high` fewer. */
typedef struct bracket {
    double low;  /* 0: not seen yet */
    double high; /* infinite: not seen yet */
    size_t k_low;
    size_t k_high;
    size_t k;
    unsigned n_same; /* steps in the same direction, one after the other */
} bracket;

#define INFINITE 0x1p1000

/* Halvings after which a bracket is as narrow as it gets. */
#define MAX_STEPS 120u

/* ---- Means --------------------------------------------------------------------------------- */

/* Means of the cells from the points themselves, in twice the precision, from a value of each cell:
 * a difference of long sums would tell less. */
static void find_means(nqi_path *p, nqi_cells *cells)
{
    nqi_path_rewind(p);
    for (size_t j = 0; j < cells->k; j++) {
        nqi_dd sum_h = {0, 0}, sum_h_x = {0, 0};
        double first = 0, x, h;
        for (uint32_t i = cells->borders[j]; i < cells->borders[j + 1]; i++) {
            nqi_path_next_point(p, &x, &h);
            if (i == cells->borders[j])
                first = x;
            sum_h = nqi_dd_add_double(sum_h, h);
            sum_h_x = nqi_dd_add(sum_h_x, nqi_dd_product(h, x - first));
        }
        cells->h[j] = nqi_dd_value(sum_h);
        cells->means[j] =
            cells->h[j] > 0 ? first + nqi_dd_value(sum_h_x) / cells->h[j] : first;
    }
}

/* ---- Steps --------------------------------------------------------------------------------- */

/* Twice the distortion of k equal cells over k, if one cell's distortion were that of even spread:
 * a cell more or less makes about that much difference. */
static double first_guess(nqi_path *p, size_t k)
{
    double x, h, h_sum = 0, h_x = 0, h_x2 = 0;
    nqi_path_rewind(p);
    const double centre = p->line->centre;
    for (size_t i = 0; i < p->n; i++) {
        nqi_path_next_point(p, &x, &h);
        h_sum += h;
        h_x += h * (x - centre);
        h_x2 += h * (x - centre) * (x - centre);
    }
    const double distortion = h_x2 - h_x * (h_x / h_sum);
    const double guess = 2 * distortion / ((double)k * (double)k * (double)k);
    return guess > 0 ? guess : 1;
}

/* The number of cells goes with about the third root of 1 / lambda: with that from one side, and
 * further each time; between two sides along a straight line in logarithms, with a bisection now
 * and then. */
static double next_lambda(const bracket *b, double lambda, size_t k_found, unsigned step)
{
    if (b->low == 0 || b->high == INFINITE) {
        const double ratio = (double)k_found / (double)b->k;
        const double factor = ratio * ratio * ratio;
        const double further = nqi_exp2((double)(UINT64_C(1) << NQI_MIN(b->n_same, 8)) * 0.05);
        return k_found > b->k ? lambda * factor * further : lambda * factor / further;
    }
    const double low = nqi_log2(b->low), high = nqi_log2(b->high);
    const double k_low = nqi_log2((double)b->k_low), k_high = nqi_log2((double)b->k_high);
    const double part = (k_low - nqi_log2((double)b->k)) / (k_low - k_high);
    const double margin = 0.02;
    const double inside = part < margin ? margin : part > 1 - margin ? 1 - margin : part;
    return nqi_exp2(low + (high - low) * (step % 3 == 2 ? 0.5 : inside));
}

static void note(bracket *b, double lambda, size_t k_found)
{
    const bool was_one_sided = b->low == 0 || b->high == INFINITE;
    if (k_found > b->k) {
        b->n_same = was_one_sided && b->high == INFINITE ? b->n_same + 1 : 0;
        b->low = lambda;
        b->k_low = k_found;
    } else {
        b->n_same = was_one_sided && b->low == 0 ? b->n_same + 1 : 0;
        b->high = lambda;
        b->k_high = k_found;
    }
}

/* ---- Crossing paths ------------------------------------------------------------------------ */

/*
 * Where no lambda has a path of k cells, one has paths of k1 < k and of k2 > k cells that are
 * equally short. With d = k - k1, some edge of the second one, from its position t + d to the next,
 * lies within the edge of the first one from its position t to the next: at t = 0 the second path
 * is ahead, at the end it is not. Changing over from the second to the first there makes a path of
 * k cells, which by Monge is as short as both.
 */
static void cross(uint32_t *borders, const uint32_t *few, size_t k1, const uint32_t *many, size_t k)
{
    const size_t d = k - k1;
    size_t t = 0;
    while (many[t + d + 1] > few[t + 1])
        t++;
    memcpy(borders, many, (t + d + 1) * sizeof *borders);
    memcpy(borders + t + d + 1, few + t + 1, (k1 - t) * sizeof *borders);
}

static nq_status solve_into(uint32_t **borders, nqi_path *p, double lambda)
{
    void *memory;
    NQI_TRY(nqi_path_solve(p, lambda));
    NQI_TRY(nqi_alloc(&memory, &p->env->allocator, (uint64_t)p->k + 1, sizeof **borders));
    *borders = memory;
    nqi_path_borders(p, *borders);
    return NQ_OK;
}

/* A path of k1 cells, or where there is not so much room its first ones, the last of them up to the
 * end. */
static void take(nqi_cells *cells, const uint32_t *borders, size_t k1)
{
    const uint32_t end = borders[k1];
    cells->k = NQI_MIN(cells->k, k1);
    memcpy(cells->borders, borders, cells->k * sizeof *borders);
    cells->borders[cells->k] = end;
}

/*
 * The two paths at the ends of the bracket, crossed. Where there is no lower end, every value is a
 * cell of its own there. But where values and importance are of so many orders of magnitude that
 * distortions are lost in rounding, there are none of k cells and more: then the cells are fewer.
 */
static nq_status cross_ends(nqi_path *p, nqi_cells *cells, const bracket *b)
{
    uint32_t *few = NULL, *many = NULL;
    const nqi_allocator *a = &p->env->allocator;
    nq_status status = solve_into(&few, p, b->high);
    const size_t k1 = p->k;
    if (status == NQ_OK)
        status = solve_into(&many, p, b->low > 0 ? b->low : 0x1p-1000);
    if (status == NQ_OK && k1 < cells->k && p->k > cells->k)
        cross(cells->borders, few, k1, many, cells->k);
    else if (status == NQ_OK && p->k <= cells->k)
        take(cells, many, p->k);
    else if (status == NQ_OK)
        take(cells, few, k1);
    if (many)
        nqi_free(a, many, (uint64_t)p->k + 1, sizeof *many);
    if (few)
        nqi_free(a, few, (uint64_t)k1 + 1, sizeof *few);
    return status;
}

/* ---- Search -------------------------------------------------------------------------------- */

/* Solves until the path has k cells or the bracket is as narrow as doubles are. */
static nq_status search(nqi_path *p, bracket *b, double *lambda, uint32_t *n_solved, bool *found)
{
    double at = *lambda > 0 ? *lambda : first_guess(p, b->k);
    for (unsigned step = 0; step < MAX_STEPS; step++) {
        NQI_TRY(nqi_path_solve(p, at));
        ++*n_solved;
        *found = p->k == b->k;
        *lambda = at;
        if (*found)
            return NQ_OK;
        note(b, at, p->k);
        const double next = next_lambda(b, at, p->k, step);
        if (!(next > b->low && next < b->high) || b->high <= b->low * (1 + 0x1p-48))
            break;
        at = next;
    }
    return NQ_OK;
}

nq_status nqi_path_find(nqi_path *p, nqi_cells *cells, size_t k, double *lambda, uint32_t *n_solved)
{
    assert(k >= 1 && k <= p->n);
    cells->k = k;
    if (k == 1 || k == p->n) {
        for (size_t j = 0; j <= k; j++)
            cells->borders[j] = (uint32_t)(k == 1 ? j * p->n : j);
        find_means(p, cells);
        return NQ_OK;
    }
    bracket b = {.low = 0, .high = INFINITE, .k_low = p->n, .k_high = 1, .k = k};
    bool found = false;
    NQI_TRY(search(p, &b, lambda, n_solved, &found));
    if (found)
        nqi_path_borders(p, cells->borders);
    else
        NQI_TRY(cross_ends(p, cells, &b));
    find_means(p, cells);
    return NQ_OK;
}

nq_status nqi_path_find_at(nqi_path *p, bool *found, nqi_cells *cells, size_t k, double lambda)
{
    NQI_TRY(nqi_path_solve(p, lambda));
    *found = p->k == k;
    if (!*found)
        return NQ_OK;
    cells->k = k;
    nqi_path_borders(p, cells->borders);
    find_means(p, cells);
    return NQ_OK;
}

/* ---- Cells --------------------------------------------------------------------------------- */

nq_status nqi_cells_create(nqi_cells *cells, const nqi_allocator *a, size_t k)
{
    void *borders, *means = NULL, *h = NULL;
    *cells = (nqi_cells){.k = 0};
    nq_status status = nqi_alloc(&borders, a, (uint64_t)k + 1, sizeof *cells->borders);
    if (status == NQ_OK)
        status = nqi_alloc(&means, a, k, sizeof *cells->means);
    if (status == NQ_OK)
        status = nqi_alloc(&h, a, k, sizeof *cells->h);
    cells->borders = borders;
    cells->means = means;
    cells->h = h;
    if (status != NQ_OK)
        nqi_cells_free(cells, a, k);
    return status;
}

void nqi_cells_free(nqi_cells *cells, const nqi_allocator *a, size_t k)
{
    nqi_free(a, cells->h, k, sizeof *cells->h);
    nqi_free(a, cells->means, k, sizeof *cells->means);
    nqi_free(a, cells->borders, (uint64_t)k + 1, sizeof *cells->borders);
    *cells = (nqi_cells){.k = 0};
}
