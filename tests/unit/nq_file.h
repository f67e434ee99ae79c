/*
 * .nq files built by hand, good and hostile ones: bytes, records and checksums from docs/format,
 * with no code of the library, so that what the reader takes and the writer gives can be held
 * against it.
 */
#ifndef NQI_TESTS_NQ_FILE_H
#define NQI_TESTS_NQ_FILE_H

#include "unit.h"

/* ---- Bytes --------------------------------------------------------------------------------- */

typedef struct bytes {
    uint8_t *at;
    size_t n;
    size_t capacity;
} bytes;

static inline void bytes_put(bytes *b, const void *more, size_t n)
{
    if (n == 0)
        return;
    if (b->capacity - b->n < n) {
        b->capacity = 2 * (b->n + n);
        b->at = realloc(b->at, b->capacity);
        assert_non_null(b->at);
    }
    memcpy(b->at + b->n, more, n);
    b->n += n;
}

static inline void bytes_free(bytes *b)
{
    free(b->at);
    *b = (bytes){0};
}

static inline void poke(uint8_t *at, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t peek(const uint8_t *at, unsigned width)
{
    uint64_t value = 0;
    for (unsigned i = width; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}

static inline void put_u(bytes *b, uint64_t value, unsigned width)
{
    uint8_t raw[8];
    poke(raw, value, width);
    bytes_put(b, raw, width);
}

static inline void put_varint(bytes *b, uint64_t value)
{
    for (; value > 127; value /= 128)
        put_u(b, value % 128 + 128, 1);
    put_u(b, value, 1);
}

static inline void put_text(bytes *b, const char *text, size_t n)
{
    put_varint(b, n);
    bytes_put(b, text, n);
}

static inline void put_f64(bytes *b, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_u(b, bits, 8);
}

static inline void put_f32(bytes *b, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_u(b, bits, 4);
}

/* CRC-32C a bit at a time. */
static inline uint32_t slow_crc(const uint8_t *at, size_t n)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= at[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

/* ---- Files --------------------------------------------------------------------------------- */

enum { HEADER_BYTES = 64 };

typedef struct nq_file {
    bytes metadata; /* records */
    bytes tables;
    bytes tensors;
    bytes data; /* of the tables */
    bytes payloads;
    uint32_t n_metadata;
    uint32_t n_tables;
    uint32_t n_tensors;
    unsigned size_width;
    uint64_t original_bytes;
} nq_file;

static inline void file_free(nq_file *f)
{
    bytes_free(&f->metadata);
    bytes_free(&f->tables);
    bytes_free(&f->tensors);
    bytes_free(&f->data);
    bytes_free(&f->payloads);
}

/* A record with its length in front; frees the body. */
static inline void put_record(bytes *records, bytes *body)
{
    put_text(records, (const char *)body->at, body->n);
    bytes_free(body);
}

static inline void file_metadata(nq_file *f, const char *key, const char *value)
{
    put_text(&f->metadata, key, strlen(key));
    put_text(&f->metadata, value, strlen(value));
    f->n_metadata++;
}

/* What all table records begin with, and the table's data. */
static inline bytes begin_table(nq_file *f, const void *data, size_t n_bytes, unsigned kind)
{
    bytes body = {0};
    put_varint(&body, n_bytes);
    put_u(&body, slow_crc(data, n_bytes), 4);
    put_u(&body, kind, 1);
    bytes_put(&f->data, data, n_bytes);
    return body;
}

static inline uint32_t end_table(nq_file *f, bytes *body)
{
    put_record(&f->tables, body);
    return f->n_tables++;
}

/* A codebook, its data as they lie in the file; step 0: none. */
static inline uint32_t file_codebook(nq_file *f, unsigned kind, const void *data, size_t n_bytes,
                                     uint64_t n_levels, double step)
{
    bytes body = begin_table(f, data, n_bytes, kind);
    put_u(&body, 1, 1);
    put_u(&body, 0, 1);
    put_u(&body, step != 0, 1);
    put_varint(&body, n_levels);
    if (step != 0)
        put_f64(&body, step);
    return end_table(f, &body);
}

static inline uint32_t file_codebook_f32(nq_file *f, const float *levels, size_t n_levels)
{
    bytes data = {0};
    for (size_t i = 0; i < n_levels; i++)
        put_f32(&data, levels[i]);
    const uint32_t id = file_codebook(f, 1, data.at, data.n, n_levels, 0);
    bytes_free(&data);
    return id;
}

static inline uint32_t file_code_table(nq_file *f, unsigned codec, const void *data, size_t n_bytes)
{
    bytes body = begin_table(f, data, n_bytes, 16);
    put_u(&body, codec, 1);
    return end_table(f, &body);
}

/* The fields that all tensor records have. */
typedef struct shape {
    const char *name;
    unsigned dtype;
    unsigned rank;
    uint64_t dims[9];
    unsigned block_log2;
} shape;

static inline bytes begin_tensor(const nq_file *f, const shape *s, uint64_t payload_bytes,
                                 unsigned codec)
{
    bytes body = {0};
    put_u(&body, payload_bytes, f->size_width);
    put_u(&body, s->dtype, 1);
    put_u(&body, s->rank, 1);
    for (unsigned i = 0; i < s->rank; i++)
        put_varint(&body, s->dims[i]);
    put_text(&body, s->name, strlen(s->name));
    put_u(&body, codec, 1);
    put_u(&body, s->block_log2, 1);
    return body;
}

static inline uint32_t end_tensor(nq_file *f, bytes *body)
{
    put_record(&f->tensors, body);
    return f->n_tensors++;
}

/* A stored tensor from its bytes as they lie in the file. */
static inline uint32_t file_stored(nq_file *f, const shape *s, const void *data, size_t n_bytes)
{
    const size_t block = (size_t)1 << s->block_log2;
    const size_t n_blocks = (n_bytes + block - 1) / block;
    bytes body = begin_tensor(f, s, n_blocks * 4 + n_bytes, 0);
    for (size_t at = 0; at < n_bytes; at += block)
        put_u(&f->payloads,
              slow_crc((const uint8_t *)data + at, n_bytes - at < block ? n_bytes - at : block), 4);
    bytes_put(&f->payloads, data, n_bytes);
    return end_tensor(f, &body);
}

/* A coded tensor from its blocks; codebook UINT32_MAX: of patterns; code_table UINT32_MAX: none. */
static inline uint32_t file_quantized(nq_file *f, const shape *s, unsigned codec, uint32_t codebook,
                                      uint32_t code_table, const bytes *blocks, size_t n_blocks)
{
    bytes payload = {0};
    uint64_t end = 0;
    for (size_t i = 0; i < n_blocks; i++)
        put_u(&payload, slow_crc(blocks[i].at, blocks[i].n), 4);
    for (size_t i = 0; i + 1 < n_blocks; i++)
        put_u(&payload, end += blocks[i].n, 4);
    for (size_t i = 0; i < n_blocks; i++)
        bytes_put(&payload, blocks[i].at, blocks[i].n);
    bytes body = begin_tensor(f, s, payload.n, codec);
    put_u(&body, codebook == UINT32_MAX ? 2 : 0, 1);
    if (codebook != UINT32_MAX)
        put_varint(&body, codebook);
    put_varint(&body, code_table == UINT32_MAX ? 0 : (uint64_t)code_table + 1);
    bytes_put(&f->payloads, payload.at, payload.n);
    bytes_free(&payload);
    return end_tensor(f, &body);
}

/* Makes the header's checksum right for what it says now. */
static inline void seal_header(uint8_t *file)
{
    poke(file + 8, slow_crc(file + 12, HEADER_BYTES - 12), 4);
}

/* The index's too, if there is an index of the size that the header says. */
static inline void seal(bytes *file)
{
    const uint64_t index_bytes = peek(file->at + 40, 4);
    if (HEADER_BYTES + index_bytes <= file->n)
        poke(file->at + 44, slow_crc(file->at + HEADER_BYTES, (size_t)index_bytes), 4);
    seal_header(file->at);
}

/* The whole file. payload_bytes: as if so many bytes of payload followed, which are not built. */
static inline bytes file_build_head(const nq_file *f, uint64_t payload_bytes)
{
    static const uint8_t magic[] = {0x89, 'N', 'Q', '\r', '\n', 0x1a, '\n', 0};
    const size_t index_bytes = f->metadata.n + f->tables.n + f->tensors.n;
    bytes file = {0};
    bytes_put(&file, magic, sizeof magic);
    put_u(&file, 0, 4);
    put_u(&file, 1, 2);
    put_u(&file, HEADER_BYTES, 2);
    put_u(&file, 0, 8);
    put_u(&file, HEADER_BYTES + index_bytes + f->data.n + payload_bytes, 8);
    put_u(&file, f->original_bytes, 8);
    put_u(&file, index_bytes, 4);
    put_u(&file, 0, 4);
    put_u(&file, f->n_tensors, 4);
    put_u(&file, f->n_tables, 4);
    put_u(&file, f->n_metadata, 4);
    put_u(&file, f->size_width, 4);
    bytes_put(&file, f->metadata.at, f->metadata.n);
    bytes_put(&file, f->tables.at, f->tables.n);
    bytes_put(&file, f->tensors.at, f->tensors.n);
    bytes_put(&file, f->data.at, f->data.n);
    seal(&file);
    return file;
}

static inline bytes file_build(const nq_file *f)
{
    bytes file = file_build_head(f, f->payloads.n);
    bytes_put(&file, f->payloads.at, f->payloads.n);
    return file;
}

#endif
