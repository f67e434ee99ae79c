/*
 * The version of the header that was compiled against and of the library that runs.
 */
#ifndef NQ_VERSION_H
#define NQ_VERSION_H

#include <stdint.h>

#include "export.h"

#define NQ_VERSION_MAJOR 0
#define NQ_VERSION_MINOR 1
#define NQ_VERSION_PATCH 0
#define NQ_VERSION_STRING "0.1.0"
/* Comparable with <, as in #if NQ_VERSION >= NQ_VERSION_NUMBER(0, 2, 0). */
#define NQ_VERSION_NUMBER(major, minor, patch) (((major) << 20) | ((minor) << 10) | (patch))
#define NQ_VERSION NQ_VERSION_NUMBER(NQ_VERSION_MAJOR, NQ_VERSION_MINOR, NQ_VERSION_PATCH)

NQ_BEGIN_DECLS

/* The running library's version as NQ_VERSION_NUMBER gives it. Since 0.1. */
NQ_API uint32_t nq_version(void) NQ_NOEXCEPT;

/* The same as text, "0.1.0"; static, never freed. Since 0.1. */
NQ_API const char *nq_version_string(void) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
