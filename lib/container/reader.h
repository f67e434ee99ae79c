/*
 * An open .nq file: the header and the index are checked once, as a whole; afterwards records are
 * read in place. Every NQI_MARK_EVERY-th record has a mark (where it is, where its data is), so that
 * any record is found in a few steps, in memory of one byte a record.
 *
 * Part of the decoder: no allocation.
 */
#ifndef NQI_CONTAINER_READER_H
#define NQI_CONTAINER_READER_H

#include "container/index_dec.h"

#define NQI_MARK_EVERY 16u

/* Memory for readers and decoders is given at any alignment and used at this one. */
#define NQI_ALIGNMENT 64u

typedef struct nqi_mark {
    uint64_t data;   /* offset in the file of the data of the record */
    uint32_t record; /* offset in the index of the record */
    uint32_t unused;
} nqi_mark;

/* The checked header. */
typedef struct nqi_header {
    uint64_t file_bytes;
    uint64_t original_bytes;
    uint32_t version;
    uint32_t required_features;
    uint32_t optional_features;
    uint32_t index_bytes;
    uint32_t index_crc;
    uint32_t n_tensors;
    uint32_t n_tables;
    uint32_t n_metadata;
    uint32_t size_width;
} nqi_header;

struct nq_reader {
    nqi_header header;
    nq_reader_options limits;
    nq_source source;
    const uint8_t *index;
    const nqi_mark *metadata_marks;
    const nqi_mark *table_marks;
    const nqi_mark *tensor_marks;
    uint64_t n_all_elements; /* of all types */
    uint64_t n_elements;     /* of F32, F16 and BF16 */
    uint64_t n_quantized_elements;
    uint32_t n_codebooks;
    uint64_t cpu_disabled; /* of the context that opened it */
    void *owner;           /* of nq_reader_open: what to free */
};

/* Fills defaults in and copies what is given (may be NULL). NQ_E_ABI. */
nq_status nqi_reader_limits(nq_reader_options *limits, const nq_reader_options *given);

/* Reads and checks the header. */
nq_status nqi_reader_header(nqi_header *header, const nq_source *source,
                            const nq_reader_options *limits, nq_diag *diag);

/* Memory that nqi_reader_build needs, slack for alignment included. */
nq_status nqi_reader_bytes(size_t *n_bytes, const nqi_header *header, const nq_source *source,
                           nq_diag *diag);

/* Reads and checks the index; memory is what nqi_reader_bytes says. */
nq_status nqi_reader_build(nq_reader **out, void *memory, const nqi_header *header,
                           const nq_source *source, const nq_reader_options *limits,
                           nq_diag *diag);

/* Record number i; the caller has checked i. */
void nqi_reader_get_metadata(nqi_metadata_record *record, const nq_reader *reader, uint32_t i);
void nqi_reader_get_table(nqi_table_record *record, const nq_reader *reader, uint32_t i);
void nqi_reader_get_tensor(nqi_tensor_record *record, const nq_reader *reader, uint32_t i);

/* The first tensor with this name, or NQ_NONE. */
uint64_t nqi_reader_find(const nq_reader *reader, const char *name, size_t name_bytes);

/* n_bytes at `offset`, which lie within the file, into out. */
nq_status nqi_source_fetch(void *out, const nq_source *source, uint64_t offset, size_t n_bytes);

/* The same without copying where the source is a span; otherwise into `buffer`. No bytes of a span
 * have an address too, so that codecs may count on one. */
nq_status nqi_source_view(const uint8_t **bytes, const nq_source *source, uint64_t offset,
                          size_t n_bytes, uint8_t *buffer);

#endif
