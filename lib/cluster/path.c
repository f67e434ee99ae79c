/*
 * Shortest paths over cells of points: see path.h for what they are and path_search.c for the
 * search of lambda.
 *
 * The last edge of the shortest path to position i begins no earlier than that to i - 1, and a
 * beginning that has become better than another stays so. A queue therefore holds the beginnings
 * that will be best, each with the position from which it is; a new one finds its position by
 * stepping, faster and faster, from where the last one's is. Everything in reach is a window of one
 * or two cells' points, which is all that is kept of sums and lengths: it fits the cache, and its
 * sums can be taken from a point nearby, so that neither outliers nor a common offset cost
 * precision. Of every position only the beginning of its last edge is kept.
 */
#include "cluster/path_impl.h"

#include <assert.h>
#include <string.h>

#define FIRST_CAPACITY 1024u

/* Steps that are looked at twice before they are taken. */
#define LONG_STEP 16u

/* ---- Points -------------------------------------------------------------------------------- */

size_t nqi_path_points(const nqi_path *p)
{
    return p->n;
}

static size_t count_points(const nqi_line *line)
{
    size_t n = line->n > 0;
    for (size_t i = 1; i < line->n; i++)
        n += line->keys ? line->keys[i] != line->keys[i - 1] : line->x[i] != line->x[i - 1];
    return n;
}

void nqi_path_rewind(nqi_path *p)
{
    p->next_item = 0;
}

/* The next value of the line and the importance of all its points. */
void nqi_path_next_point(nqi_path *p, double *x, double *h)
{
    const nqi_line *line = p->line;
    size_t i = p->next_item;
    *x = nqi_line_value(line, i);
    *h = nqi_line_importance(line, i);
    for (i++; i < line->n && nqi_line_value(line, i) == *x; i++)
        *h += nqi_line_importance(line, i);
    p->next_item = i;
}

/* ---- Window -------------------------------------------------------------------------------- */

static node *node_at(const nqi_path *p, size_t position)
{
    return &p->nodes[position & p->mask];
}

/* Sums up to the position after `position`: those up to there, and the point between. */
static void extend_sums(nqi_path *p, size_t position)
{
    const point *pt = &p->points[position & p->mask];
    const double x = pt->x - p->centre;
    const node *from = node_at(p, position);
    node *to = node_at(p, position + 1);
    const double h_x = pt->h * x;
    to->s0 = from->s0 + pt->h;
    to->s1 = from->s1 + h_x;
    to->s2 = from->s2 + h_x * x;
}

/* Begins sums at a position, taking distances from the point after it. */
static void begin_sums(nqi_path *p, size_t position, double centre)
{
    node *begin = node_at(p, position);
    p->centre = centre;
    begin->s0 = begin->s1 = begin->s2 = 0;
}

static void free_window(nqi_path *p)
{
    const nqi_allocator *a = &p->env->allocator;
    nqi_free(a, p->nodes, p->capacity, sizeof *p->nodes);
    nqi_free(a, p->points, p->capacity, sizeof *p->points);
    nqi_free(a, p->queue, p->capacity, sizeof *p->queue);
    p->nodes = NULL;
    p->points = NULL;
    p->queue = NULL;
    p->capacity = 0;
}

static nq_status make_window(nqi_path *p, size_t capacity)
{
    void *nodes, *points = NULL, *queue = NULL;
    const nqi_allocator *a = &p->env->allocator;
    nq_status status = nqi_alloc(&nodes, a, capacity, sizeof *p->nodes);
    if (status == NQ_OK)
        status = nqi_alloc(&points, a, capacity, sizeof *p->points);
    if (status == NQ_OK)
        status = nqi_alloc(&queue, a, capacity, sizeof *p->queue);
    p->nodes = nodes;
    p->points = points;
    p->queue = queue;
    p->capacity = capacity;
    p->mask = capacity - 1;
    if (status != NQ_OK)
        free_window(p);
    return status;
}

/* Twice the room for the positions from `first` to p->ahead. */
static nq_status grow_window(nqi_path *p, size_t first)
{
    nqi_path old = *p;
    const nq_status status = make_window(p, 2 * old.capacity);
    if (status != NQ_OK) {
        *p = old;
        return status;
    }
    for (size_t i = first; i <= old.ahead; i++) {
        *node_at(p, i) = *node_at(&old, i);
        p->points[i & p->mask] = old.points[i & old.mask];
    }
    for (size_t i = old.head; i < old.tail; i++)
        p->queue[i & p->mask] = old.queue[i & old.mask];
    free_window(&old);
    return NQ_OK;
}

/* The position before which nothing is needed any more. */
static size_t window_begin(const nqi_path *p)
{
    return p->queue[p->head & p->mask].begin;
}

/* Makes the sums up to `position` known. */
static nq_status look_ahead(nqi_path *p, size_t position)
{
    while (p->ahead < position) {
        const size_t first = window_begin(p);
        /* The queue has no more entries than the window has positions. */
        if (NQI_UNLIKELY(p->ahead + 2 - first >= p->capacity))
            NQI_TRY(grow_window(p, first));
        point *next = &p->points[p->ahead & p->mask];
        nqi_path_next_point(p, &next->x, &next->h);
        extend_sums(p, p->ahead++);
    }
    return NQ_OK;
}

/*
 * Begins sums anew at the window's beginning once what they have in common outweighs what they
 * differ by: in importance, or in the distance from the centre.
 */
static void keep_sums_near(nqi_path *p)
{
    const size_t first = window_begin(p);
    const node *begin = node_at(p, first);
    const double x = p->points[first & p->mask].x;
    const double reach = p->points[(p->ahead - 1) & p->mask].x - x;
    const double ahead_h = node_at(p, p->ahead)->s0 - begin->s0;
    if (begin->s0 <= ahead_h && x - p->centre <= 4 * reach && reach > 0)
        return;
    begin_sums(p, first, x);
    for (size_t i = first; i < p->ahead; i++)
        extend_sums(p, i);
}

/* ---- Lengths ------------------------------------------------------------------------------- */

/* Distortion of the cell from position j to i. */
static inline double distortion(const nqi_path *p, size_t j, size_t i)
{
    const node *from = node_at(p, j), *to = node_at(p, i);
    const double s0 = to->s0 - from->s0, s1 = to->s1 - from->s1, s2 = to->s2 - from->s2;
    const double d = s2 - s1 * (s1 / s0);
    /* A single value has none, however much cancels here; nor has what has no importance beside its
     * neighbours', where d is no number. */
    return d > 0 && i - j > 1 ? d : 0;
}

/* Length of the shortest path to i whose last edge begins at j, but for that edge's lambda. */
static inline double length(const nqi_path *p, size_t j, size_t i)
{
    return node_at(p, j)->best + distortion(p, j, i);
}

/*
 * Whether beginning at i is no worse than at j < i for an edge that ends at `end`. With q = s1^2 /
 * s0 of each edge that is q_i - q_j >= (best_i - s2_i) - (best_j - s2_j), where the sums up to
 * `end` are in q alone; multiplied by both s0, so that nothing waits for a division.
 */
static inline bool is_better(const nqi_path *p, size_t i, size_t j, size_t end)
{
    if (NQI_UNLIKELY(end - i == 1))
        return length(p, i, end) <= length(p, j, end);
    const node *from_i = node_at(p, i), *from_j = node_at(p, j), *to = node_at(p, end);
    const double least = (from_i->best - from_i->s2) - (from_j->best - from_j->s2);
    const double i0 = to->s0 - from_i->s0, i1 = to->s1 - from_i->s1;
    const double j0 = to->s0 - from_j->s0, j1 = to->s1 - from_j->s1;
    return (i1 * i1) * j0 - (j1 * j1) * i0 >= least * (i0 * j0);
}

/* ---- Queue --------------------------------------------------------------------------------- */

static void push(nqi_path *p, size_t begin, size_t from)
{
    p->queue[p->tail & p->mask] = (entry){(uint32_t)begin, (uint32_t)from};
    p->tail++;
}

/* Whether no path gets longer when its edge from i to `end` is cut in two at one of three places.
 */
static bool is_worth_cutting(const nqi_path *p, size_t i, size_t end)
{
    const double whole = distortion(p, i, end);
    for (size_t quarter = 1; quarter <= 3 && whole > p->lambda; quarter++) {
        const size_t middle = i + (end - i) / 4 * quarter;
        if (middle > i && whole > distortion(p, i, middle) + distortion(p, middle, end) + p->lambda)
            return true;
    }
    return false;
}

/*
 * Where beginning at i becomes better than at j, looking from `at`, where it is not yet; or 0. Once
 * an edge from i is longer than two in its place, and by Monge all longer ones are, there is no
 * need to look any further: without that, weights of little importance would be compared up to the
 * end.
 */
static nq_status find_crossing(nqi_path *p, size_t *crossing, size_t i, size_t j, size_t at)
{
    *crossing = 0;
    for (size_t step = 1; at < p->n; step *= 2) {
        if (step >= LONG_STEP && is_worth_cutting(p, i, at))
            return NQ_OK;
        const size_t next = NQI_MIN(at + step, p->n);
        NQI_TRY(look_ahead(p, next));
        if (!is_better(p, i, j, next)) {
            at = next;
            continue;
        }
        size_t low = at, high = next;
        while (high - low > 1) {
            const size_t middle = low + (high - low) / 2;
            if (is_better(p, i, j, middle))
                high = middle;
            else
                low = middle;
        }
        *crossing = high;
        return NQ_OK;
    }
    return NQ_OK;
}

/* Puts i among the beginnings for edges that end after i. */
static nq_status insert(nqi_path *p, size_t i)
{
    size_t at = i + 1, crossing;
    NQI_TRY(look_ahead(p, at));
    while (p->tail > p->head) {
        const entry last = p->queue[(p->tail - 1) & p->mask];
        at = NQI_MAX(last.from, i + 1);
        if (!is_better(p, i, last.begin, at))
            break;
        p->tail--;
    }
    if (p->tail == p->head) {
        push(p, i, i + 1);
        return NQ_OK;
    }
    NQI_TRY(find_crossing(p, &crossing, i, p->queue[(p->tail - 1) & p->mask].begin, at));
    if (crossing > 0)
        push(p, i, crossing);
    return NQ_OK;
}

/* ---- Path ---------------------------------------------------------------------------------- */

static void begin_path(nqi_path *p)
{
    nqi_path_rewind(p);
    p->head = p->tail = 0;
    push(p, 0, 1);
    p->ahead = 0;
    node_at(p, 0)->best = 0;
    if (p->lengths)
        p->lengths[0] = 0;
    begin_sums(p, 0, nqi_line_value(p->line, 0));
}

nq_status nqi_path_solve(nqi_path *p, double lambda)
{
    size_t before = 0;
    p->lambda = lambda;
    begin_path(p);
    for (size_t i = 1; i <= p->n; i++) {
        NQI_TRY(look_ahead(p, i));
        while (p->tail - p->head > 1 && p->queue[(p->head + 1) & p->mask].from <= i)
            p->head++;
        const size_t begin = window_begin(p);
        if (begin != before)
            keep_sums_near(p);
        before = begin;
        const double best =
            length(p, begin, i) + (p->lambda - (p->discounts ? p->discounts[i] : 0));
        node_at(p, i)->best = best;
        p->from[i] = (uint32_t)begin;
        if (p->lengths)
            p->lengths[i] = best;
        if (i < p->n)
            NQI_TRY(insert(p, i));
    }
    p->length = node_at(p, p->n)->best;
    p->k = 0;
    for (size_t i = p->n; i > 0; i = p->from[i])
        p->k++;
    return nqi_progress(p->env, NQ_STAGE_DESIGN, 0, p->n);
}

void nqi_path_borders(const nqi_path *p, uint32_t *borders)
{
    size_t at = p->n;
    for (size_t j = p->k; j > 0; j--) {
        borders[j] = (uint32_t)at;
        at = p->from[at];
    }
    borders[0] = 0;
}

/* ---- Life ---------------------------------------------------------------------------------- */

nq_status nqi_path_create(nqi_path **out, const nqi_env *env, const nqi_line *line)
{
    void *memory, *from;
    *out = NULL;
    const size_t n = count_points(line);
    if (n >= UINT32_MAX)
        return NQ_E_LIMIT;
    NQI_TRY(nqi_alloc(&memory, &env->allocator, 1, sizeof(nqi_path)));
    nqi_path *p = memory;
    *p = (nqi_path){.env = env, .line = line, .n = n};
    nq_status status = nqi_alloc(&from, &env->allocator, (uint64_t)n + 1, sizeof *p->from);
    p->from = from;
    if (status == NQ_OK)
        status = make_window(p, FIRST_CAPACITY);
    if (status != NQ_OK) {
        nqi_path_destroy(p);
        return status;
    }
    *out = p;
    return NQ_OK;
}

void nqi_path_destroy(nqi_path *p)
{
    if (!p)
        return;
    const nqi_allocator *a = &p->env->allocator;
    free_window(p);
    nqi_free(a, p->from, (uint64_t)p->n + 1, sizeof *p->from);
    nqi_free(a, p, 1, sizeof *p);
}
