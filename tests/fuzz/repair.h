/*
 * Makes the checksums of a .nq file right for what it says now, so that damage gets past them: of
 * the header, the index, tables and blocks. Reads with docs/format/nq-v1.md in hand and stops where
 * a file makes no sense.
 */
#ifndef NQI_TESTS_REPAIR_H
#define NQI_TESTS_REPAIR_H

#include "codec/checksum.h"
#include "nq_file.h"

#include "nq/nq.h"

static inline void repair_crc(uint8_t *at, const uint8_t *of, size_t n)
{
    poke(at, nqi_crc32c(0, of, n), 4);
}

static inline void repair_header(uint8_t *file, size_t n)
{
    if (n < HEADER_BYTES)
        return;
    const uint64_t index_bytes = peek(file + 40, 4);
    if (index_bytes <= n - HEADER_BYTES)
        repair_crc(file + 44, file + HEADER_BYTES, (size_t)index_bytes);
    repair_crc(file + 8, file + 12, HEADER_BYTES - 12);
}

/* A varint at *at; 0 at the end. */
static inline uint64_t repair_varint(const uint8_t *file, size_t end, size_t *at)
{
    uint64_t value = 0;
    for (unsigned shift = 0; *at < end && shift < 63; shift += 7) {
        const uint8_t byte = file[(*at)++];
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            break;
    }
    return value;
}

/* The tables' checksums, in their records. */
static inline void repair_tables(uint8_t *file, size_t n)
{
    const size_t end = HEADER_BYTES + (size_t)peek(file + 40, 4);
    uint64_t data = end;
    size_t at = HEADER_BYTES;
    if (end > n)
        return;
    for (uint64_t i = 0; i < 2 * peek(file + 56, 4) && at < end; i++) {
        const uint64_t text = repair_varint(file, end, &at);
        if (text > end - at)
            return;
        at += (size_t)text;
    }
    for (uint64_t i = 0; i < peek(file + 52, 4) && at < end; i++) {
        const uint64_t length = repair_varint(file, end, &at);
        size_t field = at;
        const uint64_t n_bytes = repair_varint(file, end, &field);
        if (length > end - at || end - field < 4 || n_bytes > n - data)
            return;
        repair_crc(file + field, file + data, (size_t)n_bytes);
        data += n_bytes;
        at += (size_t)length;
    }
}

static inline void repair_blocks(uint8_t *file, const nq_tensor_info *t)
{
    const uint64_t block = (uint64_t)1 << t->block_log2;
    const bool is_stored = t->codec == NQ_CODEC_STORED;
    uint8_t *const payload = file + t->payload_offset;
    uint64_t units = t->n_elements;
    if (is_stored)
        units = units / 8 * nq_dtype_bits(t->dtype) + units % 8 * nq_dtype_bits(t->dtype) / 8;
    const uint64_t n_blocks = units / block + (units % block != 0);
    const unsigned width = t->n_elements < (1u << 29) ? 4 : 8;
    const uint64_t head =
        n_blocks == 0 ? 0 : 4 * n_blocks + (is_stored ? 0 : width * (n_blocks - 1));
    const uint64_t size = t->payload_bytes - head;
    for (uint64_t i = 0, begin = 0; i < n_blocks; i++) {
        uint64_t end = is_stored ? begin + block : size;
        if (!is_stored && i + 1 < n_blocks)
            end = peek(payload + 4 * n_blocks + width * i, width);
        end = end < size ? end : size;
        if (begin <= end)
            repair_crc(payload + 4 * i, payload + head + begin, (size_t)(end - begin));
        begin = end;
    }
}

/* Everything, as far as the file can be opened. */
static inline void repair(uint8_t *file, size_t n)
{
    nq_reader *r;
    nq_reader_info info;
    if (n < HEADER_BYTES)
        return;
    repair_tables(file, n);
    repair_header(file, n);
    if (nq_reader_open(&r, NULL, file, n, NULL) != NQ_OK)
        return;
    nq_reader_info_init(&info);
    assert_int_equal(nq_reader_get_info(r, &info), NQ_OK);
    for (uint64_t i = 0; i < info.n_tensors; i++) {
        nq_tensor_info t;
        nq_tensor_info_init(&t);
        assert_int_equal(nq_reader_tensor(r, i, &t), NQ_OK);
        repair_blocks(file, &t);
    }
    nq_reader_destroy(r);
}

#endif
