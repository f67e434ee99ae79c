/*
 * The writer's inside, for the files that it is made of: writer_describe.c takes what is described,
 * writer.c lays it out and writes.
 */
#ifndef NQI_CONTAINER_WRITER_IMPL_H
#define NQI_CONTAINER_WRITER_IMPL_H

#include "container/index_enc.h"
#include "container/order.h"
#include "container/writer.h"

/* What is described, with offsets into the pool in place of pointers. */
typedef struct nqi_writer_metadata {
    uint64_t text; /* key and value behind each other */
    uint64_t key_bytes;
    uint64_t value_bytes;
} nqi_writer_metadata;

typedef struct nqi_writer_table {
    nqi_table_record record;
    uint64_t data;
} nqi_writer_table;

typedef struct nqi_writer_tensor {
    nqi_tensor_record record; /* payload_bytes: an upper bound until the tensor is complete */
    uint64_t name;
} nqi_writer_tensor;

typedef struct nqi_array {
    void *items;
    uint64_t count;
    uint64_t capacity;
} nqi_array;

enum { NQI_WRITER_OPEN, NQI_WRITER_WRITING, NQI_WRITER_FINISHED, NQI_WRITER_FAILED };

struct nqi_writer {
    nqi_allocator a;
    nq_sink sink; /* write is NULL: nowhere */
    uint64_t original_bytes;
    nqi_array metadata; /* nqi_writer_metadata */
    nqi_array tables;   /* nqi_writer_table */
    nqi_array tensors;  /* nqi_writer_tensor */
    nqi_array pool;     /* bytes */
    uint32_t state;
    unsigned size_width;
    uint64_t index_bytes;
    uint64_t fixed_bytes;
    uint64_t end; /* bytes of the file so far */
    /* The tensor that is being written. */
    uint64_t current;
    uint64_t n_blocks;
    uint64_t n_units;
    uint64_t next_block;
    uint64_t payload;    /* where its directory begins */
    nqi_array directory; /* bytes: capacity is what counts */
};

static inline const uint8_t *nqi_writer_pool_at(const nqi_writer *w, uint64_t offset)
{
    return (const uint8_t *)w->pool.items + offset;
}

static inline nqi_writer_tensor *nqi_writer_tensor_at(const nqi_writer *w, uint64_t i)
{
    return (nqi_writer_tensor *)w->tensors.items + i;
}

/* Bytes of a stored tensor, elements of a quantized one. */
static inline uint64_t nqi_record_units(const nqi_tensor_record *record)
{
    return nqi_block_units(record->codec, record->n_elements, nq_dtype_bits(record->dtype));
}

static inline uint64_t nqi_record_directory_bytes(const nqi_tensor_record *record)
{
    const uint64_t n_blocks = nqi_block_count(nqi_record_units(record), record->block_log2);
    return nqi_directory_bytes(record->codec, record->n_elements, n_blocks);
}

#endif
