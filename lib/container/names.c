/*
 * Finding two tensors of one name: see names.h. Heapsort, because its worst case is known and the
 * platform's qsort may have a bad one.
 */
#include "container/names.h"

#include <string.h>

#include "nq/status.h"

/* Below zero if a's name comes first; equal names are ordered by their tensors. */
static int compare_names(const nqi_name *a, const nqi_name *b)
{
    if (a->n_bytes != b->n_bytes)
        return a->n_bytes < b->n_bytes ? -1 : 1;
    const int order = a->n_bytes ? memcmp(a->bytes, b->bytes, a->n_bytes) : 0;
    if (order != 0)
        return order;
    return a->tensor < b->tensor ? -1 : a->tensor > b->tensor;
}

/* Lets names[at] sink in the heap of n names until no child is larger. */
static void sink(nqi_name *names, size_t n, size_t at)
{
    const nqi_name sinking = names[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n)
            break;
        if (child + 1 < n && compare_names(&names[child], &names[child + 1]) < 0)
            child++;
        if (compare_names(&sinking, &names[child]) >= 0)
            break;
        names[at] = names[child];
        at = child;
    }
    names[at] = sinking;
}

static void sort_names(nqi_name *names, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sink(names, n, i);
    for (size_t left = n; left > 1; left--) {
        const nqi_name largest = names[0];
        names[0] = names[left - 1];
        sink(names, left - 1, 0);
        names[left - 1] = largest;
    }
}

uint64_t nqi_names_find_twin(nqi_name *names, size_t n)
{
    uint64_t twin = NQ_NONE;
    sort_names(names, n);
    for (size_t i = 1; i < n; i++) {
        const nqi_name *a = &names[i - 1];
        const nqi_name *b = &names[i];
        if (a->n_bytes == b->n_bytes &&
            (a->n_bytes == 0 || memcmp(a->bytes, b->bytes, a->n_bytes) == 0))
            twin = NQI_MIN(twin, b->tensor);
    }
    return twin;
}
