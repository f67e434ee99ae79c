/*
 * The records of a .nq index, read one by one through the cursor. Each function takes a cursor at a
 * record's first byte, checks the record against the format, and leaves the cursor behind it. What
 * a record says about other records or about the file's size is the reader's to check.
 *
 * Part of the decoder.
 */
#ifndef NQI_CONTAINER_INDEX_DEC_H
#define NQI_CONTAINER_INDEX_DEC_H

#include "base/cursor.h"
#include "container/format.h"

typedef struct nqi_metadata_record {
    const char *key;
    const char *value;
    size_t key_bytes;
    size_t value_bytes;
} nqi_metadata_record;

typedef struct nqi_table_record {
    uint64_t n_bytes; /* of its data */
    uint64_t offset;  /* of its data; filled by the reader */
    uint32_t crc;     /* of its data */
    uint32_t kind;    /* NQ_LEVELS_* or NQI_TABLE_CODE */
    uint32_t codec;   /* code table */
    uint32_t method;  /* codebook, from here */
    uint32_t level_rule;
    uint32_t n_levels;   /* that codes tell apart */
    uint32_t n_channels; /* 0: one codebook for whole tensors */
    uint32_t n_stored;   /* levels of all channels; n_levels without */
    double step;         /* of a grid by channel 0: each has its own */
} nqi_table_record;

typedef struct nqi_tensor_record {
    uint64_t payload_bytes;
    uint64_t payload_offset; /* filled by the reader */
    uint64_t n_elements;
    uint64_t dims[NQ_MAX_RANK];
    const char *name;
    uint32_t name_bytes;
    uint32_t dtype;
    uint32_t rank;
    uint32_t codec;
    uint32_t block_log2;
    uint32_t codebook; /* NQ_NO_ID for stored ones and for patterns */
    uint32_t table;    /* NQ_NO_ID without */
    uint32_t axis;     /* of its channels; NQ_NO_ID without */
} nqi_tensor_record;

/* Whether the tensor is coded without loss: NQI_LAYOUT_PATTERNS. */
static inline bool nqi_record_is_lossless(const nqi_tensor_record *record)
{
    return record->codec != NQ_CODEC_STORED && record->codebook == NQ_NO_ID;
}

/* A defect of the file: what to report. */
typedef struct nqi_defect {
    nq_status status;
    const char *what;
    uint64_t wanted; /* for NQ_E_LIMIT: the limit that would do */
} nqi_defect;

/* Stores the defect and returns its status. */
static inline nq_status nqi_defect_set(nqi_defect *defect, nq_status status, const char *what,
                                       uint64_t wanted)
{
    *defect = (nqi_defect){.status = status, .what = what, .wanted = wanted};
    return status;
}

nq_status nqi_index_metadata(nqi_metadata_record *record, nqi_defect *defect, nqi_cursor *c);

nq_status nqi_index_table(nqi_table_record *record, nqi_defect *defect, nqi_cursor *c);

nq_status nqi_index_tensor(nqi_tensor_record *record, nqi_defect *defect, nqi_cursor *c,
                           unsigned size_width);

/* Only what walking over a record of a checked index needs: the size of its data. */
void nqi_index_skip_metadata(nqi_cursor *c);
uint64_t nqi_index_skip_table(nqi_cursor *c);
uint64_t nqi_index_skip_tensor(nqi_cursor *c, unsigned size_width);

#endif
