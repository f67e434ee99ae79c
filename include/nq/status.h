/*
 * How functions of libnq report: a status, and on request a record that says where.
 *
 * The library never prints, aborts, or touches errno. Every function that can fail returns
 * nq_status: NQ_OK or one of the negative codes below, whose values never change. A hook supplied
 * by the caller may return any non-zero status; the library stops and hands it on unchanged.
 */
#ifndef NQ_STATUS_H
#define NQ_STATUS_H

#include <stdint.h>

#include "export.h"

NQ_BEGIN_DECLS

typedef int32_t nq_status;

enum {
    NQ_OK = 0,
    /* An argument breaks the function's contract: a mistake in the calling program. */
    NQ_E_ARG = -1,
    /* An option or report struct has a size or a non-zero tail that this library does not know: the
     * program was compiled against a newer header than the library that runs. */
    NQ_E_ABI = -2,
    /* The allocator returned NULL. */
    NQ_E_NOMEM = -3,
    /* The caller's memory is too small; the function says how much it needs. */
    NQ_E_SPACE = -4,
    /* Input ends before it should. */
    NQ_E_TRUNCATED = -5,
    /* Input contradicts its format. */
    NQ_E_CORRUPT = -6,
    /* Input differs from the checksum stored with it. */
    NQ_E_CHECKSUM = -7,
    /* Valid input that needs a newer library, or a part that this build leaves out. */
    NQ_E_UNSUPPORTED = -8,
    /* Over a limit of the context or of the format; the record says which. */
    NQ_E_LIMIT = -9,
    /* NaN or infinity where none may be, negative importance, or an impossible numeric demand. */
    NQ_E_NUMERIC = -10,
    /* The progress hook asked to stop. */
    NQ_E_CANCELLED = -11,
    /* The call is not allowed at this point of the handle's life. */
    NQ_E_STATE = -12,
    /* A defect in libnq: please report it. */
    NQ_E_INTERNAL = -13,
    /* For read and write hooks to return; the library itself does no input or output. */
    NQ_E_IO = -14,
    /* A target that cannot be met; the record's `value` is the nearest that can. */
    NQ_E_TARGET = -15
};

/* "no tensor", "no element", "no offset" in nq_diag. */
#define NQ_NONE UINT64_MAX

/* Which input a record is about: a tensor, or what was given as its importance. */
enum { NQ_INPUT_TENSOR = 0, NQ_INPUT_IMPORTANCE = 1 };

/*
 * Where and what, beside a status. The caller sets struct_size (nq_diag_init does) and passes the
 * record where a function takes one, or asks a handle for the one of its last failure.
 */
typedef struct nq_diag {
    uint32_t struct_size;
    nq_status status;
    uint64_t tensor;      /* index of the tensor in its plan or file, or NQ_NONE */
    uint64_t element;     /* flat row-major index of the element in that tensor, or NQ_NONE */
    uint64_t byte_offset; /* offset from the start of the file, or NQ_NONE */
    uint64_t wanted;      /* bytes, levels or elements that would have been needed, or 0 */
    double value;         /* the offending or the nearest possible number, or 0 */
    char what[104];       /* one English phrase, NUL-terminated, without tensor or offset */
    uint32_t input;       /* NQ_INPUT_*; the element is the tensor's in either case */
    uint32_t is_loose;    /* 1: a number beyond `value` may be possible, too */
} nq_diag;

/* Sets every field to "nothing", and struct_size to sizeof(nq_diag). Since 0.1. */
NQ_API void nq_diag_init_sized(nq_diag *diag, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_diag_init(diag) nq_diag_init_sized((diag), (uint32_t)sizeof(nq_diag))

/* The code's name, "NQ_E_CORRUPT"; "unknown status" for others. Static. Since 0.1. */
NQ_API const char *nq_status_name(nq_status status) NQ_NOEXCEPT;

/* The code in words, "the input is damaged, or not in this format". Static. Since 0.1. */
NQ_API const char *nq_status_text(nq_status status) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
