/*
 * Lloyd's method: see lloyd.h. With sums over blocks of points an iteration looks at the points
 * near the ends of cells only, so that it can be run until nothing changes, which takes thousands
 * of iterations where there are many levels.
 */
#include "cluster/lloyd.h"

#include <string.h>

#include "base/log2.h"

/* ---- Starts -------------------------------------------------------------------------------- */

void nqi_lloyd_start_linear(double *levels, size_t k, const nqi_line *line)
{
    const double min = nqi_line_value(line, 0), max = nqi_line_value(line, line->n - 1);
    for (size_t j = 0; j < k; j++)
        levels[j] = min + ((double)j + 0.5) * (max - min) / (double)k;
}

/* splitmix64 (Steele, Lea, Flood 2014): uniform in [0, 1). */
static double draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

#define MAX_TRIALS 16u

typedef struct seeding {
    const nqi_line *line;
    double *squares; /* squared distance of each point from the nearest level so far */
    uint64_t random;
    unsigned n_trials;
} seeding;

static double chance(const seeding *s, size_t i)
{
    return nqi_line_importance(s->line, i) * s->squares[i];
}

static double total_chance(const seeding *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->line->n; i++)
        sum += chance(s, i);
    return sum;
}

/* Draws points in one walk along the line, with chances that add up to `total`. */
static void draw_points(size_t points[MAX_TRIALS], seeding *s, double total)
{
    double marks[MAX_TRIALS];
    for (unsigned i = 0; i < s->n_trials; i++) { /* insertion sort */
        const double mark = draw(&s->random) * total;
        unsigned j = i;
        for (; j > 0 && marks[j - 1] > mark; j--)
            marks[j] = marks[j - 1];
        marks[j] = mark;
    }
    double sum = 0;
    size_t last = 0;
    unsigned n = 0;
    for (size_t i = 0; i < s->line->n && n < s->n_trials; i++) {
        sum += chance(s, i);
        if (chance(s, i) > 0)
            last = i;
        while (n < s->n_trials && marks[n] < sum)
            points[n++] = i;
    }
    while (n < s->n_trials) /* rounding */
        points[n++] = last;
}

/* Points that come nearer with a level at point `at` lie around it; what that saves, and with
 * `apply` the new distances. */
static double place_level(seeding *s, size_t at, bool apply)
{
    const nqi_line *line = s->line;
    const double level = nqi_line_value(line, at);
    double saved = 0;
    for (int direction = 0; direction < 2; direction++)
        for (size_t i = direction ? at + 1 : at; i < line->n; i = direction ? i + 1 : i - 1) {
            const double away = nqi_line_value(line, i) - level, square = away * away;
            if (square >= s->squares[i])
                break; /* i - 1 wraps around below 0 and ends the loop, too */
            saved += nqi_line_importance(line, i) * (s->squares[i] - square);
            if (apply)
                s->squares[i] = square;
        }
    return saved;
}

static void insert_level(double *levels, size_t n, double level)
{
    size_t i = n;
    for (; i > 0 && levels[i - 1] > level; i--)
        levels[i] = levels[i - 1];
    levels[i] = level;
}

static size_t draw_levels(double *levels, size_t k, seeding *s)
{
    size_t points[MAX_TRIALS];
    const nqi_line *line = s->line;
    for (size_t i = 0; i < line->n; i++)
        s->squares[i] = 1; /* the first level is drawn by importance alone */
    for (size_t j = 0; j < k; j++) {
        const double total = total_chance(s);
        if (!(total > 0))
            return j;
        draw_points(points, s, total);
        size_t best = points[0];
        if (j == 0)
            for (size_t i = 0; i < line->n; i++)
                s->squares[i] = 0x1p300;
        double most = -1;
        for (unsigned t = 0; t < s->n_trials && j > 0; t++) {
            const double saved = place_level(s, points[t], false);
            best = saved > most ? points[t] : best;
            most = saved > most ? saved : most;
        }
        place_level(s, best, true);
        insert_level(levels, j, nqi_line_value(line, best));
    }
    return k;
}

nq_status nqi_lloyd_start_plus_plus(double *levels, size_t *n, size_t k, const nqi_env *env,
                                    const nqi_line *line, uint64_t seed)
{
    void *memory;
    NQI_TRY(nqi_alloc(&memory, &env->allocator, line->n, sizeof(double)));
    /* 2 + ln k trials, after Arthur's and Vassilvitskii's own program. */
    const double trials = 2 + nqi_log2((double)k) * 0x1.62e42fefa39efp-1;
    seeding s = {.line = line,
                 .squares = memory,
                 .random = seed,
                 .n_trials = (unsigned)NQI_MIN(trials, MAX_TRIALS)};
    *n = draw_levels(levels, k, &s);
    nqi_free(&env->allocator, memory, line->n, sizeof(double));
    return NQ_OK;
}

/* ---- Iterations ---------------------------------------------------------------------------- */

/* nqi_line_find, looking outwards from a place that is near. */
static size_t find_near(const nqi_line *line, double t, size_t near)
{
    size_t low = 0, high = line->n; /* the place is among these, both included */
    if (near < line->n && nqi_line_value(line, near) < t) {
        low = near + 1;
        for (size_t step = 1; step < line->n - low; step *= 2) {
            const size_t probe = low + step;
            if (nqi_line_value(line, probe) >= t) {
                high = probe;
                break;
            }
            low = probe + 1;
        }
    } else {
        high = near;
        for (size_t step = 1; step <= high; step *= 2) {
            const size_t probe = high - step;
            if (nqi_line_value(line, probe) < t) {
                low = probe + 1;
                break;
            }
            high = probe;
        }
    }
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (nqi_line_value(line, middle) < t)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

typedef struct cells {
    size_t *borders;     /* k + 1, the first 0 and the last n */
    nqi_line_sums *sums; /* at the borders */
} cells;

/* Whether any border moved. */
static bool cut(cells *c, const double *levels, size_t k, const nqi_line *line)
{
    bool moved = false;
    for (size_t j = 1; j < k; j++) {
        const size_t at = find_near(line, 0.5 * (levels[j - 1] + levels[j]), c->borders[j]);
        moved |= at != c->borders[j];
        c->borders[j] = at;
    }
    return moved;
}

/* The mean of a cell that has weights, within them whatever rounding does; as it was where their
 * importance vanishes beside that of others. */
static double mean_of(double level, const cells *c, size_t j, const nqi_line *line)
{
    const nqi_line_cell cell = nqi_line_cell_between(line, &c->sums[j], &c->sums[j + 1]);
    const double least = nqi_line_value(line, c->borders[j]);
    const double most = nqi_line_value(line, c->borders[j + 1] - 1);
    const double mean = cell.h > 0 ? cell.mean : level;
    return NQI_MIN(NQI_MAX(mean, least), most);
}

static void take_means(double *levels, cells *c, size_t k, const nqi_line *line)
{
    for (size_t j = 0; j <= k; j++)
        c->sums[j] = nqi_line_sums_at(line, c->borders[j]);
    for (size_t j = 0; j < k; j++)
        if (c->borders[j + 1] > c->borders[j])
            levels[j] = mean_of(levels[j], c, j, line);
}

static nq_status iterate(double *levels, size_t k, uint32_t *iterations, const nqi_env *env,
                         cells *c, const nqi_line *line, uint32_t max_iterations)
{
    for (size_t j = 0; j <= k; j++)
        c->borders[j] = j == 0 ? 0 : line->n;
    bool moved = cut(c, levels, k, line) || *iterations == 0;
    while (moved && (max_iterations == 0 || *iterations < max_iterations)) {
        ++*iterations;
        take_means(levels, c, k, line);
        moved = cut(c, levels, k, line);
        if (*iterations % 256 == 0)
            NQI_TRY(nqi_progress(env, NQ_STAGE_DESIGN, 0, line->n));
    }
    return NQ_OK;
}

nq_status nqi_lloyd(double *levels, size_t *k, uint32_t *iterations, const nqi_env *env,
                    const nqi_line *line, uint32_t max_iterations)
{
    void *borders, *sums = NULL;
    const nqi_allocator *a = &env->allocator;
    const size_t n = *k;
    *iterations = 0;
    NQI_TRY(nqi_alloc(&borders, a, (uint64_t)n + 1, sizeof(size_t)));
    nq_status status = nqi_alloc(&sums, a, (uint64_t)n + 1, sizeof(nqi_line_sums));
    cells c = {.borders = borders, .sums = sums};
    if (status == NQ_OK)
        status = iterate(levels, n, iterations, env, &c, line, max_iterations);
    if (status == NQ_OK) {
        *k = 0;
        for (size_t j = 0; j < n; j++)
            if (c.borders[j + 1] > c.borders[j])
                levels[(*k)++] = levels[j];
    }
    nqi_free(a, sums, (uint64_t)n + 1, sizeof(nqi_line_sums));
    nqi_free(a, borders, (uint64_t)n + 1, sizeof(size_t));
    return status;
}
