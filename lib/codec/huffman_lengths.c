/*
 * Package-merge. Level 1 is the list of the sorted weights, "leaves". Level l is the leaves merged
 * with the packages of level l - 1: its neighbours, two and two. The first 2 n - 2 items of level
 * `limit` are the cheapest way to buy n - 1 units of Kraft's sum, and a leaf's length is how often
 * it is among what they are made of. The levels do not depend on the limit: one run gives the cost
 * of every limit.
 */
#include "codec/huffman_lengths.h"

#include <assert.h>
#include <string.h>

#include "codec/bits_fmt.h"

typedef struct work {
    uint64_t *leaves;   /* n, ascending */
    uint64_t *level;    /* 2 n: weights of the level that is being made */
    uint64_t *previous; /* 2 n */
    uint64_t *is_leaf;  /* a bit for each item of each level */
    uint32_t *order;    /* n: which weight each leaf is */
    uint32_t *merged;   /* n */
    uint32_t n;
    size_t words; /* of is_leaf in a level */
} work;

static size_t words_for(uint32_t n)
{
    return ((size_t)2 * n + 63) / 64;
}

uint64_t nqi_huffman_lengths_bytes(uint32_t n)
{
    return (uint64_t)n * (5 * sizeof(uint64_t) + 2 * sizeof(uint32_t)) +
           (uint64_t)NQI_HUFFMAN_MAX_LENGTH * words_for(n) * sizeof(uint64_t);
}

static work make_work(void *workspace, uint32_t n)
{
    work w = {.n = n, .words = words_for(n)};
    w.leaves = workspace;
    w.level = w.leaves + n;
    w.previous = w.level + 2 * (size_t)n;
    w.is_leaf = w.previous + 2 * (size_t)n;
    w.order = (uint32_t *)(void *)(w.is_leaf + NQI_HUFFMAN_MAX_LENGTH * w.words);
    w.merged = w.order + n;
    return w;
}

/* ---- Sorting ------------------------------------------------------------------------------- */

/* Merges two neighbouring sorted runs of w->order into w->merged. */
static void merge_runs(work *w, const uint64_t *weights, uint32_t begin, uint32_t middle,
                       uint32_t end)
{
    uint32_t a = begin, b = middle;
    for (uint32_t i = begin; i < end; i++) {
        const bool takes_a =
            a < middle && (b == end || weights[w->order[a]] <= weights[w->order[b]]);
        w->merged[i] = takes_a ? w->order[a++] : w->order[b++];
    }
}

/* Equal weights keep their order, so that every machine makes the same code. */
static void sort_leaves(work *w, const uint64_t *weights)
{
    const uint32_t n = w->n;
    for (uint32_t i = 0; i < n; i++)
        w->order[i] = i;
    for (uint32_t run = 1; run < n; run *= 2) {
        for (uint32_t begin = 0; begin < n; begin += 2 * run)
            merge_runs(w, weights, begin, NQI_MIN(begin + run, n), NQI_MIN(begin + 2 * run, n));
        uint32_t *swapped = w->order;
        w->order = w->merged;
        w->merged = swapped;
    }
    for (uint32_t i = 0; i < n; i++)
        w->leaves[i] = weights[w->order[i]];
}

/* ---- Levels -------------------------------------------------------------------------------- */

/* Makes the next level of the previous one's n_previous items; returns how many it has. */
static size_t make_level(work *w, unsigned level, size_t n_previous)
{
    uint64_t *is_leaf = w->is_leaf + (level - 1) * w->words;
    const size_t n_packages = n_previous / 2;
    size_t leaf = 0, package = 0, n = 0;
    memset(is_leaf, 0, w->words * sizeof *is_leaf);
    while (leaf < w->n || package < n_packages) {
        const uint64_t pair = package < n_packages
                                  ? w->previous[2 * package] + w->previous[2 * package + 1]
                                  : UINT64_MAX;
        if (leaf < w->n && w->leaves[leaf] <= pair) {
            is_leaf[n / 64] |= UINT64_C(1) << (n % 64);
            w->level[n++] = w->leaves[leaf++];
        } else {
            w->level[n++] = pair;
            package++;
        }
    }
    return n;
}

static void swap_levels(work *w)
{
    uint64_t *swapped = w->level;
    w->level = w->previous;
    w->previous = swapped;
}

/* Makes the levels up to `limit`, those up to `level` being there, with n_items in the last one;
 * returns how many the last one has. costs[l]: the code's bits under limit l, UINT64_MAX where
 * there is none. */
static size_t make_levels(work *w, uint64_t costs[NQI_HUFFMAN_MAX_LENGTH + 1], unsigned level,
                          unsigned limit, size_t n_items)
{
    const size_t n_taken = 2 * (size_t)w->n - 2;
    while (level++ < limit) {
        n_items = make_level(w, level, n_items);
        costs[level] = n_items < n_taken ? UINT64_MAX : 0;
        for (size_t i = 0; i < n_taken && n_items >= n_taken; i++)
            costs[level] += w->level[i];
        swap_levels(w);
    }
    return n_items;
}

static bool is_acceptable(uint64_t cost, uint64_t least)
{
    return cost <= least + least / 1024;
}

/* ---- Without a limit ------------------------------------------------------------------------ */

/* Which node each leaf and each node is below. Nodes come in ascending order (van Leeuwen 1976),
 * the root last. */
typedef struct tree {
    uint64_t *nodes;
    uint32_t *above_leaf;
    uint32_t *above_node;
} tree;

/* In memory of the levels that are made next. */
static tree make_tree(const work *w)
{
    return (tree){.nodes = w->level,
                  .above_leaf = w->merged,
                  .above_node = (uint32_t *)(void *)(w->level + w->n)};
}

/* Huffman's algorithm; returns the bits of the code. */
static uint64_t grow_tree(tree *t, const work *w)
{
    uint64_t cost = 0;
    uint32_t leaf = 0, node = 0;
    for (uint32_t n = 0; n + 1 < w->n; n++) {
        t->nodes[n] = 0;
        for (unsigned i = 0; i < 2; i++) {
            if (leaf < w->n && (node == n || w->leaves[leaf] <= t->nodes[node])) {
                t->above_leaf[leaf] = n;
                t->nodes[n] += w->leaves[leaf++];
            } else {
                t->above_node[node] = n;
                t->nodes[n] += t->nodes[node++];
            }
        }
        cost += t->nodes[n];
    }
    return cost;
}

void nqi_huffman_free_lengths(uint8_t *lengths, const uint64_t *weights, uint32_t n,
                              void *workspace)
{
    memset(lengths, 0, n);
    if (n == 1)
        return;
    work w = make_work(workspace, n);
    sort_leaves(&w, weights);
    tree t = make_tree(&w);
    (void)grow_tree(&t, &w);
    /* From the root down, a node's weight, which is not needed any more, becomes its depth. */
    t.nodes[n - 2] = 0;
    for (uint32_t i = n - 2; i-- > 0;)
        t.nodes[i] = t.nodes[t.above_node[i]] + 1;
    for (uint32_t i = 0; i < n; i++)
        lengths[w.order[i]] =
            (uint8_t)NQI_MIN(t.nodes[t.above_leaf[i]] + 1, NQI_HUFFMAN_MAX_LENGTH);
}

/* ---- With a limit --------------------------------------------------------------------------- */

/* Most often it shows that the default limit costs next to nothing before the levels above it are
 * made. */
static unsigned choose_limit(work *w)
{
    uint64_t costs[NQI_HUFFMAN_MAX_LENGTH + 1];
    unsigned limit = NQI_HUFFMAN_DEFAULT_LENGTH;
    const size_t n_items = make_levels(w, costs, 0, limit, 0);
    tree t = make_tree(w);
    if (is_acceptable(costs[limit], grow_tree(&t, w)))
        return limit;
    (void)make_levels(w, costs, limit, NQI_HUFFMAN_MAX_LENGTH, n_items);
    while (limit < NQI_HUFFMAN_MAX_LENGTH &&
           !is_acceptable(costs[limit], costs[NQI_HUFFMAN_MAX_LENGTH]))
        limit++;
    return limit;
}

static size_t count_leaves(const work *w, unsigned level, size_t n_items)
{
    const uint64_t *is_leaf = w->is_leaf + (level - 1) * w->words;
    size_t n = 0;
    for (size_t i = 0; i < n_items; i++)
        n += is_leaf[i / 64] >> (i % 64) & 1;
    return n;
}

void nqi_huffman_lengths(uint8_t *lengths, const uint64_t *weights, uint32_t n, unsigned limit,
                         void *workspace)
{
    uint64_t costs[NQI_HUFFMAN_MAX_LENGTH + 1];
    memset(lengths, 0, n);
    if (n == 1)
        return;
    assert(limit == 0 || (limit >= nqi_bits_for(n) && limit <= NQI_HUFFMAN_MAX_LENGTH));
    work w = make_work(workspace, n);
    sort_leaves(&w, weights);
    if (limit == 0)
        limit = choose_limit(&w);
    else
        (void)make_levels(&w, costs, 0, limit, 0);
    size_t n_items = 2 * (size_t)n - 2;
    for (unsigned level = limit; level > 0; level--) {
        const size_t n_leaves = count_leaves(&w, level, n_items);
        for (size_t i = 0; i < n_leaves; i++)
            lengths[w.order[i]]++;
        n_items = 2 * (n_items - n_leaves);
    }
}
