/*
 * The names of a plan's tensors, as a hash set: a name is looked up each time a tensor is added.
 * The names are the caller's own, not those of a file from elsewhere, so a plain hash will do.
 */
#include "model/model.h"

#include <string.h>

/* FNV-1a, 64 bits. */
static uint64_t hash_name(const char *name, size_t name_bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < name_bytes; i++)
        hash = (hash ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 32);
}

static bool has_name(const nqi_model_tensor *t, const char *name, size_t name_bytes)
{
    return t->desc.name_bytes == name_bytes &&
           (name_bytes == 0 || memcmp(t->desc.name, name, name_bytes) == 0);
}

uint64_t nqi_model_find(const nqi_model *m, const char *name, size_t name_bytes)
{
    const nqi_name_set *set = &m->names;
    if (set->capacity == 0)
        return NQ_NONE;
    uint64_t at = hash_name(name, name_bytes) & (set->capacity - 1);
    while (set->places[at] != 0) {
        const uint32_t tensor = set->places[at] - 1;
        if (has_name(&m->tensors[tensor], name, name_bytes))
            return tensor;
        at = (at + 1) & (set->capacity - 1);
    }
    return NQ_NONE;
}

void nqi_name_set_add(nqi_model *m, uint32_t tensor)
{
    nqi_name_set *set = &m->names;
    const nq_tensor *desc = &m->tensors[tensor].desc;
    uint64_t at = hash_name(desc->name, desc->name_bytes) & (set->capacity - 1);
    while (set->places[at] != 0)
        at = (at + 1) & (set->capacity - 1);
    set->places[at] = tensor + 1;
}

/* At least half of the places stay free, so that searches end soon. */
nq_status nqi_name_set_reserve(nqi_model *m)
{
    nqi_name_set *set = &m->names;
    void *memory;
    if (2 * (m->n_tensors + 1) <= set->capacity)
        return NQ_OK;
    const uint64_t capacity = set->capacity ? 2 * set->capacity : 16;
    NQI_TRY(nqi_alloc_zero(&memory, &m->env.allocator, capacity, sizeof *set->places));
    nqi_free(&m->env.allocator, set->places, set->capacity, sizeof *set->places);
    *set = (nqi_name_set){.places = memory, .capacity = capacity};
    for (uint64_t i = 0; i < m->n_tensors; i++)
        nqi_name_set_add(m, (uint32_t)i);
    return NQ_OK;
}
