/*
 * Searching cells: the tree, and the kernel in plain C. See search.h.
 */
#include "stats/search.h"

#include <float.h>

#include "stats/key.h"

#define SLACK 16u

/* Weights that are searched side by side, so that none waits for another's loads. */
#define ABREAST 8u

static uint64_t tree_floats(unsigned depth)
{
    return ((UINT64_C(1) << depth) - 1) + SLACK;
}

/* The least float that is not below t. */
static float float_at_least(double t)
{
    if (t > (double)FLT_MAX)
        return nqi_f32_from_bits(0x7f800000u);
    if (t < -(double)FLT_MAX)
        return -FLT_MAX;
    const float nearest = (float)t;
    return (double)nearest < t ? nqi_key_weight(nqi_key(nearest) + 1) : nearest;
}

/* In the order of the values, the nodes of level l are every 2^(depth - l)-th, from half of that
 * on. */
static void fill_tree(nqi_search *s, const double *thresholds, size_t n_thresholds)
{
    const float infinite = nqi_f32_from_bits(0x7f800000u);
    float *node = s->tree;
    for (unsigned level = 0; level < s->depth; level++)
        for (size_t i = 0; i < (size_t)1 << level; i++) {
            const size_t rank = ((2 * i + 1) << (s->depth - level - 1)) - 1;
            *node++ = rank < n_thresholds ? float_at_least(thresholds[rank]) : infinite;
        }
    for (size_t i = 0; i < SLACK; i++)
        *node++ = infinite;
}

static nqi_search_fn choose(uint64_t cpu)
{
#if NQI_X86
    if (cpu & NQ_CPU_AVX512)
        return nqi_search_avx512;
    if (cpu & NQ_CPU_AVX2)
        return nqi_search_avx2;
#else
    (void)cpu;
#endif
    return nqi_search_ref;
}

nq_status nqi_search_create(nqi_search *s, const nqi_allocator *a, const double *thresholds,
                            size_t n_cells, uint64_t cpu)
{
    void *tree;
    unsigned depth = NQI_SEARCH_MIN_DEPTH;
    while ((size_t)1 << depth < n_cells)
        depth++;
    *s = (nqi_search){.tree = NULL, .depth = depth, .run = choose(cpu)};
    NQI_TRY(nqi_alloc(&tree, a, tree_floats(depth), sizeof *s->tree));
    s->tree = tree;
    fill_tree(s, thresholds, n_cells - 1);
    return NQ_OK;
}

void nqi_search_free(nqi_search *s, const nqi_allocator *a)
{
    nqi_free(a, s->tree, tree_floats(s->depth), sizeof *s->tree);
    s->tree = NULL;
}

static uint32_t search_one(const nqi_search *s, float w)
{
    uint32_t node = 0;
    for (unsigned level = 0; level < s->depth; level++)
        node = 2 * node + (w >= nqi_search_level(s, level)[node]);
    return node;
}

void nqi_search_ref(const nqi_search *s, uint16_t *cells, const float *w, size_t n)
{
    size_t i = 0;
    for (; i + ABREAST <= n; i += ABREAST) {
        uint32_t nodes[ABREAST] = {0};
        for (unsigned level = 0; level < s->depth; level++) {
            const float *thresholds = nqi_search_level(s, level);
            for (size_t j = 0; j < ABREAST; j++)
                nodes[j] = 2 * nodes[j] + (w[i + j] >= thresholds[nodes[j]]);
        }
        for (size_t j = 0; j < ABREAST; j++)
            cells[i + j] = (uint16_t)nodes[j];
    }
    for (; i < n; i++)
        cells[i] = (uint16_t)search_one(s, w[i]);
}
