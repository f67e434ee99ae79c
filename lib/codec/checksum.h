/*
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), as RFC 3720 and the SSE4.2 and ARM
 * instructions compute it. Part of the decoder.
 */
#ifndef NQI_CHECKSUM_H
#define NQI_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of n_bytes that follow bytes with checksum `crc` (0 to start). */
uint32_t nqi_crc32c(uint32_t crc, const void *bytes, size_t n_bytes);

#endif
