/*
 * Where cells of all weights can end, told from their summary: see path.h.
 *
 * Let a shortest path over all weights have a border within bin i, at m halfway between levels a
 * and b. If every such border moves to the beginning of its bin, the bin's weights below m go from
 * a to b, which adds 2 (b - a) sum h (m - w). A chord over the convex max(m - w, 0) bounds the sum
 * by H (top - mean) of the whole bin; b - a = 2 (m - a) is at most 2 (top - a); and a is at least
 * the mean of the longest cell before the bin that is not worth cutting. With that discount on an
 * edge that ends at i, 4 H (top - mean) (top - a), the path over bins is no longer than the one
 * over weights. Borders that share a bin fall together, which saves a lambda for each, and so no
 * path gets longer as long as no discount is above lambda.
 *
 * A bin has no border, then, if every path through its beginning is longer with discounts than some
 * path over bins is without. Discounts depend on the end of an edge alone, so that lengths keep the
 * property of Monge.
 */
#include <assert.h>

#include "cluster/path_impl.h"

/* What rounding may make of lengths. */
#define TOLERANCE 1e-9

/* Positions that share the beginning of the longest cell. */
#define STRIDE 16u

/* By position, 0 to n. */
typedef struct bounds {
    const nqi_env *env;
    const nqi_line *line;
    nqi_line_sums *sums; /* of the points before */
    double *discounts;
    double *from_left; /* lengths with discounts, that of the last edge's end included */
    double *from_right;
} bounds;

/* ---- Discounts ----------------------------------------------------------------------------- */

static void sum_up(bounds *b)
{
    const nqi_line *line = b->line;
    b->sums[0] = (nqi_line_sums){{0, 0}, {0, 0}};
    for (size_t i = 0; i < line->n; i++) {
        const nqi_line_sums *before = &b->sums[i];
        const double x = line->x[i] - line->centre;
        b->sums[i + 1].h = nqi_dd_add_double(before->h, line->h[i]);
        b->sums[i + 1].h_x = nqi_dd_add(before->h_x, nqi_dd_product(line->h[i], x));
    }
}

static nqi_line_cell cell(const bounds *b, size_t begin, size_t end)
{
    return nqi_line_cell_between(b->line, &b->sums[begin], &b->sums[end]);
}

/* Whether two cells in the place of one are certainly shorter; then they are, by Monge, in the
 * place of any cell that has all its points, too. */
static bool is_worth_cutting(const bounds *b, size_t begin, size_t end, double lambda)
{
    for (size_t quarter = 1; quarter <= 3; quarter++) {
        const size_t middle = begin + (end - begin) / 4 * quarter;
        if (middle == begin)
            return false;
        const nqi_line_cell low = cell(b, begin, middle), high = cell(b, middle, end);
        const double apart = high.mean - low.mean;
        if (low.h / (low.h + high.h) * high.h * apart * apart > lambda * (1 + TOLERANCE))
            return true;
    }
    return false;
}

/* False if a discount is above lambda. */
static bool make_discounts(bounds *b, const double *above, double lambda)
{
    const nqi_line *line = b->line;
    size_t longest = 0;                          /* no cell that ends here begins earlier */
    b->discounts[0] = b->discounts[line->n] = 0; /* no edges end, or no bin begins there */
    if (!(4 * line->h[0] * above[0] * above[0] <= lambda))
        return false;
    for (size_t i = 1; i < line->n; i++) {
        while (i % STRIDE == 0 && longest + STRIDE < i &&
               is_worth_cutting(b, longest + STRIDE - 1, i, lambda))
            longest += STRIDE;
        const double top = line->x[i] + above[i];
        const double least = cell(b, longest - (longest > 0), i).mean;
        b->discounts[i] = 4 * line->h[i] * above[i] * (top - least);
        if (!(b->discounts[i] <= lambda))
            return false;
    }
    return true;
}

/* ---- Lengths ------------------------------------------------------------------------------- */

static void reverse(double *numbers, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        const double number = numbers[i];
        numbers[i] = numbers[n - 1 - i];
        numbers[n - 1 - i] = number;
    }
}

/* Lengths of the shortest paths to all positions of a line; *known is false if some of its points
 * are one. */
static nq_status find_lengths(double *lengths, double *total, bool *known, const bounds *b,
                              const nqi_line *line, const double *discounts, double lambda)
{
    nqi_path *p;
    NQI_TRY(nqi_path_create(&p, b->env, line));
    *known = p->n == line->n;
    p->discounts = discounts;
    p->lengths = lengths;
    const nq_status status = *known ? nqi_path_solve(p, lambda) : NQ_OK;
    *total = p->length;
    nqi_path_destroy(p);
    return status;
}

/* The line and the discounts seen from the other end. */
static void turn(nqi_line *line, double *discounts)
{
    reverse(line->x, line->n);
    reverse(line->h, line->n);
    reverse(discounts, line->n + 1);
    for (size_t i = 0; i < line->n; i++)
        line->x[i] = -line->x[i];
    line->centre = -line->centre;
}

/* ---- Borders ------------------------------------------------------------------------------- */

static nq_status find(bool *is_border, bool *known, bounds *b, nqi_line *line, const double *above,
                      double lambda)
{
    double shortest, unused;
    sum_up(b);
    *known = make_discounts(b, above, lambda);
    if (!*known)
        return NQ_OK;
    NQI_TRY(find_lengths(NULL, &shortest, known, b, line, NULL, lambda));
    if (!*known)
        return NQ_OK;
    NQI_TRY(find_lengths(b->from_left, &unused, known, b, line, b->discounts, lambda));
    turn(line, b->discounts);
    const nq_status status =
        find_lengths(b->from_right, &unused, known, b, line, b->discounts, lambda);
    turn(line, b->discounts);
    reverse(b->from_right, line->n + 1);
    is_border[0] = true; /* its beginning is no border, but within it there may be one */
    for (size_t i = 1; i < line->n && status == NQ_OK; i++)
        is_border[i] =
            b->from_left[i] + b->from_right[i] + b->discounts[i] <= shortest * (1 + TOLERANCE);
    return status;
}

nq_status nqi_path_find_borders(bool *is_border, bool *known, const nqi_env *env, nqi_line *line,
                                const double *above, double lambda)
{
    void *memory;
    const size_t n = line->n + 1, size = sizeof(nqi_line_sums) + 3 * sizeof(double);
    assert(line->x && line->h);
    *known = false;
    if (line->n < 2 || !(lambda > 0))
        return NQ_OK;
    NQI_TRY(nqi_alloc(&memory, &env->allocator, n, size));
    bounds b = {.env = env, .line = line, .sums = memory};
    b.discounts = (double *)(void *)(b.sums + n);
    b.from_left = b.discounts + n;
    b.from_right = b.from_left + n;
    const nq_status status = find(is_border, known, &b, line, above, lambda);
    nqi_free(&env->allocator, memory, n, size);
    return status;
}
