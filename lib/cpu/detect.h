/*
 * Asking the machine, one function a family; each finds nothing on the others.
 */
#ifndef NQI_CPU_DETECT_H
#define NQI_CPU_DETECT_H

#include <stdint.h>

uint64_t nqi_cpu_detect_x86(void);
uint64_t nqi_cpu_detect_arm(void);

#endif
