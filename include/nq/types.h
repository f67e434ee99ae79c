/*
 * Element types and the description of a tensor in memory.
 */
#ifndef NQ_TYPES_H
#define NQ_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "status.h"

NQ_BEGIN_DECLS

/* Element types. The values are part of the file format and never change. Only NQ_F32, NQ_F16 and
 * NQ_BF16 can be quantized; all others come back bit for bit. */
enum {
    NQ_F32 = 0,
    NQ_F16 = 1,
    NQ_BF16 = 2,
    NQ_F64 = 3,
    NQ_BOOL = 4,
    NQ_U8 = 5,
    NQ_I8 = 6,
    NQ_U16 = 7,
    NQ_I16 = 8,
    NQ_U32 = 9,
    NQ_I32 = 10,
    NQ_U64 = 11,
    NQ_I64 = 12,
    NQ_F8_E5M2 = 13,
    NQ_F8_E4M3 = 14,
    NQ_F8_E8M0 = 15,
    NQ_F6_E2M3 = 16,
    NQ_F6_E3M2 = 17,
    NQ_F4 = 18,
    NQ_C64 = 19,
    NQ_DTYPE_COUNT = 20
};

#define NQ_MAX_RANK 8
#define NQ_MAX_LEVELS 65536

/*
 * A tensor that the caller holds: row-major, no gaps, host byte order, any alignment. The library
 * borrows what it points to for as long as the function that takes it says. A scalar has rank 0
 * and one element; a dimension may be 0, then data may be NULL.
 *
 * Elements narrower than a byte (NQ_F4 and the 6-bit types) are packed; their total number of bits
 * must be a multiple of eight.
 */
typedef struct nq_tensor {
    uint32_t struct_size;
    uint32_t dtype;
    uint32_t rank;               /* 0..NQ_MAX_RANK */
    uint32_t name_bytes;         /* length of name, without a terminator */
    uint64_t dims[NQ_MAX_RANK];  /* the first `rank` count, outermost first */
    const char *name;            /* any bytes, UTF-8 by convention; not necessarily terminated */
    const void *data;
} nq_tensor;

/* Zeroes everything and sets struct_size. Since 0.1. */
NQ_API void nq_tensor_init_sized(nq_tensor *tensor, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_tensor_init(tensor) nq_tensor_init_sized((tensor), (uint32_t)sizeof(nq_tensor))

/*
 * Elements in `tensor`, the product of its dimensions, into *n_elements.
 * Returns NQ_OK; NQ_E_ARG for a rank over NQ_MAX_RANK; NQ_E_LIMIT when the product or the number of
 * bytes passes 2^62. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_tensor_elements(uint64_t *n_elements,
                                                 const nq_tensor *tensor) NQ_NOEXCEPT;

/* Bits of one element of a type; 0 for a value that is no type. Since 0.1. */
NQ_API uint32_t nq_dtype_bits(uint32_t dtype) NQ_NOEXCEPT;

/* The type's name as safetensors spells it, "F32"; NULL for a value that is no type. Since 0.1. */
NQ_API const char *nq_dtype_name(uint32_t dtype) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
