/*
 * Other entropy coders: see peers.h.
 */
#include "peers.h"

#include <stdio.h>

#include "cpu/cpu.h"
#include "nq/context.h"

/* Symbols that the coders take as one block: huff0 and FSE no more than 128 Ki, htscodecs' rANS is
 * best with many. */
enum { ZSTD_BLOCK = 1 << 17, HTS_BLOCK = 1 << 20 };

/* ---- zstd ---------------------------------------------------------------------------------- */

#if HAVE_ZSTD

/* Of zstd 1.5.4's lib/common/huf.h and fse.h; no stable interface, so only that version will do. */
#include <zstd.h>

enum { HUF_BMI2 = 1, HUF_NO_ASM = 1 << 4, HUF_NO_FAST = 1 << 5 };
size_t HUF_compress4X_repeat(void *, size_t, const void *, size_t, unsigned, unsigned, void *,
                             size_t, size_t *, int *, int);
size_t HUF_readDTableX2_wksp(uint32_t *, const void *, size_t, void *, size_t, int);
size_t HUF_decompress4X_usingDTable(void *, size_t, const void *, size_t, const uint32_t *, int);
unsigned HUF_isError(size_t);
size_t FSE_normalizeCount(short *, unsigned, const unsigned *, size_t, unsigned, unsigned);
size_t FSE_writeNCount(void *, size_t, const short *, unsigned, unsigned);
size_t FSE_buildCTable_wksp(unsigned *, const short *, unsigned, unsigned, void *, size_t);
size_t FSE_compress_usingCTable(void *, size_t, const void *, size_t, const unsigned *);
size_t FSE_decompress_wksp_bmi2(void *, size_t, const void *, size_t, unsigned, void *, size_t,
                                int);
unsigned FSE_isError(size_t);

static uint64_t workspace[16384];

static int huf_flags(void)
{
    return nqi_cpu_features() & NQ_CPU_AVX2 ? HUF_BMI2 : 0;
}

static size_t huf_encode(uint8_t *out, size_t capacity, const uint8_t *in, size_t n)
{
    static size_t table[258];
    int repeat = 0;
    const size_t n_bytes = HUF_compress4X_repeat(out, capacity, in, n, 255, 11, workspace,
                                                 sizeof workspace, table, &repeat, huf_flags());
    return HUF_isError(n_bytes) ? 0 : n_bytes;
}

static bool huf_decode_with(uint8_t *out, size_t n, const uint8_t *in, size_t n_bytes, int flags)
{
    static uint32_t table[1 + (1 << 12)];
    table[0] = 12u * 0x01000001u;
    const size_t head =
        HUF_readDTableX2_wksp(table, in, n_bytes, workspace, sizeof workspace, flags);
    if (HUF_isError(head))
        return false;
    return HUF_decompress4X_usingDTable(out, n, in + head, n_bytes - head, table, flags) == n;
}

static bool huf_decode(uint8_t *out, size_t n, const uint8_t *in, size_t n_bytes)
{
    return huf_decode_with(out, n, in, n_bytes, huf_flags());
}

static bool huf_decode_plain(uint8_t *out, size_t n, const uint8_t *in, size_t n_bytes)
{
    return huf_decode_with(out, n, in, n_bytes, HUF_NO_ASM | HUF_NO_FAST);
}

/* In four rows, because one would wait for itself where symbols repeat. */
static void count(unsigned counts[256], const uint8_t *in, size_t n)
{
    unsigned rows[4][256] = {{0}};
    for (size_t i = 0; i < n; i++)
        rows[i % 4][in[i]]++;
    for (unsigned i = 0; i < 256; i++)
        counts[i] = rows[0][i] + rows[1][i] + rows[2][i] + rows[3][i];
}

static size_t fse_encode(uint8_t *out, size_t capacity, const uint8_t *in, size_t n)
{
    static unsigned table[1 + (1 << 11) + 512];
    unsigned counts[256], largest = 0;
    short normalized[256];
    count(counts, in, n);
    for (unsigned i = 0; i < 256; i++)
        largest = counts[i] ? i : largest;
    if (FSE_isError(FSE_normalizeCount(normalized, 12, counts, n, largest, 0)))
        return 0;
    const size_t head = FSE_writeNCount(out, capacity, normalized, largest, 12);
    if (FSE_isError(head) || FSE_isError(FSE_buildCTable_wksp(table, normalized, largest, 12,
                                                              workspace, sizeof workspace)))
        return 0;
    const size_t n_bytes = FSE_compress_usingCTable(out + head, capacity - head, in, n, table);
    return FSE_isError(n_bytes) || n_bytes == 0 ? 0 : head + n_bytes;
}

static bool fse_decode(uint8_t *out, size_t n, const uint8_t *in, size_t n_bytes)
{
    return FSE_decompress_wksp_bmi2(out, n, in, n_bytes, 12, workspace, sizeof workspace,
                                    huf_flags()) == n;
}

static bool has_zstd(void)
{
    return ZSTD_versionNumber() == 10504;
}

#else

static bool has_zstd(void)
{
    return false;
}

#endif

/* ---- htscodecs ----------------------------------------------------------------------------- */

#if HAVE_HTSCODECS

#include <htscodecs/rANS_static4x16.h>

static size_t hts_encode_with(uint8_t *out, size_t capacity, const uint8_t *in, size_t n, int cpu)
{
    unsigned n_bytes = (unsigned)capacity;
    rans_set_cpu(cpu);
    /* Takes its input for one that it might change, and does not. */
    uint8_t *const input = (uint8_t *)(uintptr_t)in;
    return rans_compress_to_4x16(input, (unsigned)n, out, &n_bytes, RANS_ORDER_X32) ? n_bytes : 0;
}

static bool hts_decode_with(uint8_t *out, size_t n, const uint8_t *in, size_t n_bytes, int cpu)
{
    unsigned n_out = (unsigned)n;
    rans_set_cpu(cpu);
    uint8_t *const input = (uint8_t *)(uintptr_t)in;
    return rans_uncompress_to_4x16(input, (unsigned)n_bytes, out, &n_out) && n_out == n;
}

static size_t hts_encode_avx2(uint8_t *out, size_t capacity, const uint8_t *in, size_t n)
{
    return hts_encode_with(out, capacity, in, n, RANS_CPU_ENC_AVX2 | RANS_CPU_DEC_AVX2);
}

static bool hts_decode_avx2(uint8_t *out, size_t n, const uint8_t *in, size_t n_bytes)
{
    return hts_decode_with(out, n, in, n_bytes, RANS_CPU_ENC_AVX2 | RANS_CPU_DEC_AVX2);
}

static size_t hts_encode_avx512(uint8_t *out, size_t capacity, const uint8_t *in, size_t n)
{
    return hts_encode_with(out, capacity, in, n, RANS_CPU_ENC_AVX512 | RANS_CPU_DEC_AVX512);
}

static bool hts_decode_avx512(uint8_t *out, size_t n, const uint8_t *in, size_t n_bytes)
{
    return hts_decode_with(out, n, in, n_bytes, RANS_CPU_ENC_AVX512 | RANS_CPU_DEC_AVX512);
}

#endif

/* ---- List ---------------------------------------------------------------------------------- */

const peer *list_peers(size_t *n_peers)
{
    static peer found[8];
    size_t n = 0;
#if HAVE_ZSTD
    if (has_zstd()) {
        found[n++] = (peer){.name = "huff0 4X2, plain C",
                            .block = ZSTD_BLOCK,
                            .is_plain = true,
                            .encode = huf_encode,
                            .decode = huf_decode_plain};
        found[n++] = (peer){
            .name = "huff0 4X2", .block = ZSTD_BLOCK, .encode = huf_encode, .decode = huf_decode};
        found[n++] = (peer){.name = "FSE, 12 bits",
                            .block = ZSTD_BLOCK,
                            .is_plain = true,
                            .encode = fse_encode,
                            .decode = fse_decode};
    }
#endif
#if HAVE_HTSCODECS
    if (nqi_cpu_features() & NQ_CPU_AVX2)
        found[n++] = (peer){.name = "htscodecs rANS32, AVX2",
                            .block = HTS_BLOCK,
                            .encode = hts_encode_avx2,
                            .decode = hts_decode_avx2};
    if (nqi_cpu_features() & NQ_CPU_AVX512)
        found[n++] = (peer){.name = "htscodecs rANS32, AVX-512",
                            .block = HTS_BLOCK,
                            .is_wide = true,
                            .encode = hts_encode_avx512,
                            .decode = hts_decode_avx512};
#else
    printf("without htscodecs: libhtscodecs-dev was not found\n");
#endif
    if (!has_zstd())
        printf("without huff0 and FSE: no libzstd.a of zstd 1.5.4 was found\n");
    *n_peers = n;
    return found;
}
