/*
 * The names of a plan's tensors: each is looked up when a tensor is added. They may come from a
 * stranger's file, who could choose such as collide in a plain hash; so this is a trie whose nodes
 * stand at the bits where names part (Morrison's PATRICIA, 1968). A search passes at most nine
 * nodes for each byte of the name that it is for, and for its end, whatever the other names are.
 */
#include "model/model.h"

#include <string.h>

/* Nine bits at a place of the name: a byte and that it is there, or 0 behind the end. So no name is
 * the beginning of another. */
static uint32_t symbol_at(const char *name, size_t name_bytes, size_t at)
{
    return at < name_bytes ? 0x100u | (uint8_t)name[at] : 0;
}

/* The side of a node on which such a name is. */
static uint32_t side_of(const nqi_name_node *node, const char *name, size_t name_bytes)
{
    return (symbol_at(name, name_bytes, node->at) & node->bit) != 0;
}

static bool is_tensor(const nqi_name_node *node, uint32_t side)
{
    return (node->tensors >> side & 1) != 0;
}

/* The tensor where a search for the name ends: the one that has it, or some other. */
static uint32_t search(const nqi_name_set *set, const char *name, size_t name_bytes)
{
    const nqi_name_node *node = &set->nodes[0];
    uint32_t side = 0;
    while (!is_tensor(node, side)) {
        node = &set->nodes[node->below[side]];
        side = side_of(node, name, name_bytes);
    }
    return node->below[side];
}

uint64_t nqi_model_find(const nqi_model *m, const char *name, size_t name_bytes)
{
    if (m->n_tensors == 0)
        return NQ_NONE;
    const uint32_t tensor = search(&m->names, name, name_bytes);
    const nq_tensor *desc = &m->tensors[tensor].desc;
    return desc->name_bytes == name_bytes &&
                   (name_bytes == 0 || memcmp(desc->name, name, name_bytes) == 0)
               ? tensor
               : NQ_NONE;
}

/* A node where two different names part. */
static nqi_name_node parting(const nq_tensor *a, const nq_tensor *b)
{
    nqi_name_node node = {.at = 0};
    uint32_t difference;
    while ((difference = symbol_at(a->name, a->name_bytes, node.at) ^
                         symbol_at(b->name, b->name_bytes, node.at)) == 0)
        node.at++;
    node.bit = 0x100;
    while (!(difference & node.bit))
        node.bit >>= 1;
    return node;
}

static bool is_above(const nqi_name_node *a, const nqi_name_node *b)
{
    return a->at < b->at || (a->at == b->at && a->bit > b->bit);
}

/* Node i is made with tensor i. Node 0 is the head: what there is hangs from its side 0. */
void nqi_name_set_add(nqi_model *m, uint32_t tensor)
{
    nqi_name_node *nodes = m->names.nodes;
    const nq_tensor *desc = &m->tensors[tensor].desc;
    if (tensor == 0) {
        nodes[0] = (nqi_name_node){.below = {tensor}, .tensors = 1};
        return;
    }
    const uint32_t closest = search(&m->names, desc->name, desc->name_bytes);
    nqi_name_node made = parting(desc, &m->tensors[closest].desc);
    nqi_name_node *over = &nodes[0];
    uint32_t side = 0;
    while (!is_tensor(over, side) && is_above(&nodes[over->below[side]], &made)) {
        over = &nodes[over->below[side]];
        side = side_of(over, desc->name, desc->name_bytes);
    }
    const uint32_t own = side_of(&made, desc->name, desc->name_bytes);
    made.below[own] = tensor;
    made.below[!own] = over->below[side];
    made.tensors = (uint16_t)(1u << own | (uint32_t)is_tensor(over, side) << !own);
    nodes[tensor] = made;
    over->below[side] = tensor;
    over->tensors &= (uint16_t) ~(1u << side);
}

nq_status nqi_name_set_reserve(nqi_model *m)
{
    void *nodes = m->names.nodes;
    const nq_status status = nqi_grow(&nodes, &m->names.capacity, &m->env.allocator,
                                      m->n_tensors + 1, sizeof *m->names.nodes);
    m->names.nodes = nodes;
    return status;
}
