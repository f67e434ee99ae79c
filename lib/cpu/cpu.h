/*
 * What the CPU can do, found out once. Part of the decoder.
 */
#ifndef NQI_CPU_H
#define NQI_CPU_H

#include <stdint.h>

/* NQ_CPU_* of this machine that the operating system lets programs use. */
uint64_t nqi_cpu_features(void);

#endif
