/*
 * Other entropy coders, from packages of the system, where the build found them: zstd's huff0 and
 * FSE out of libzstd.a, htscodecs' rANS.
 */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct peer {
    const char *name;
    size_t block;  /* symbols: what the coder is at its best with */
    bool is_plain; /* uses nothing of the processor that plain C does not have */
    bool is_wide;  /* needs AVX-512 */
    /* Bytes written, with the table; 0 is failure. */
    size_t (*encode)(uint8_t *out, size_t capacity, const uint8_t *in, size_t n);
    bool (*decode)(uint8_t *out, size_t n, const uint8_t *in, size_t n_bytes);
} peer;

/* Those that this machine can run; says on stdout which packages are missing. */
const peer *list_peers(size_t *n_peers);

#endif
