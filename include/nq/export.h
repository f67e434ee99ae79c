/*
 * Linkage of the public functions. Included by the other headers; nothing here is for users.
 */
#ifndef NQ_EXPORT_H
#define NQ_EXPORT_H

#include <stddef.h> /* alone, too, a header declares something: C has no empty translation unit */

#if defined(__GNUC__) || defined(__clang__)
#define NQ_API __attribute__((visibility("default")))
#define NQ_NODISCARD __attribute__((warn_unused_result))
#else
#define NQ_API
#define NQ_NODISCARD
#endif

#ifdef __cplusplus
#define NQ_BEGIN_DECLS extern "C" {
#define NQ_END_DECLS }
#define NQ_NOEXCEPT noexcept
#else
#define NQ_BEGIN_DECLS
#define NQ_END_DECLS
#define NQ_NOEXCEPT
#endif

#endif
