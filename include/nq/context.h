/*
 * The context: where memory comes from, who runs the work, what is refused, who may stop it.
 *
 * A context is immutable after nq_ctx_create, may be shared by any number of threads, and must
 * outlive the handles that were made with it. Every function takes NULL for "the defaults": malloc,
 * one thread, the limits below, no progress.
 */
#ifndef NQ_CONTEXT_H
#define NQ_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "status.h"

NQ_BEGIN_DECLS

typedef struct nq_ctx nq_ctx;

/*
 * Memory hook. `alloc` returns n_bytes (never 0) aligned to `alignment` (a power of two, at most
 * 64) or NULL; `free` gets back the same size and alignment. Both may be called from any worker.
 * They must not throw.
 */
typedef void *(*nq_alloc_fn)(void *user, size_t n_bytes, size_t alignment);
typedef void (*nq_free_fn)(void *user, void *memory, size_t n_bytes, size_t alignment);

/*
 * Parallel hook. Must call task(arg, index, worker) exactly once for each index below n_tasks, with
 * worker < max_workers and no two calls with the same worker at a time, and return when all are
 * done. Running them one after another with worker 0 is always right. Tasks neither block nor nest,
 * and the result never depends on who runs what.
 */
typedef void (*nq_task_fn)(void *arg, uint64_t index, uint32_t worker);
typedef void (*nq_parallel_for_fn)(void *user, uint64_t n_tasks, nq_task_fn task, void *arg);

/* Stages that the progress hook is told about. */
enum { NQ_STAGE_SCAN = 0, NQ_STAGE_DESIGN = 1, NQ_STAGE_ENCODE = 2, NQ_STAGE_DECODE = 3 };

/*
 * Progress hook, called from the thread that called the library, a few hundred times at most per
 * stage; done and total are elements. A non-zero return stops the work with NQ_E_CANCELLED.
 */
typedef int32_t (*nq_progress_fn)(void *user, uint32_t stage, uint64_t done, uint64_t total);

/* CPU features, for nq_ctx_options.cpu_disabled and nq_cpu_features(). */
#define NQ_CPU_SSE42 (UINT64_C(1) << 0)
#define NQ_CPU_AVX2 (UINT64_C(1) << 1)       /* with BMI1, BMI2, FMA, F16C, LZCNT */
#define NQ_CPU_AVX512 (UINT64_C(1) << 2)     /* F, BW, DQ, VL */
#define NQ_CPU_AVX512VBMI2 (UINT64_C(1) << 3) /* VBMI, VBMI2 and VPOPCNTDQ on top */
#define NQ_CPU_VPCLMUL (UINT64_C(1) << 4)    /* VPCLMULQDQ, on top of AVX512 */
#define NQ_CPU_NEON (UINT64_C(1) << 16)
#define NQ_CPU_ARM_CRC (UINT64_C(1) << 17)
#define NQ_CPU_ALL UINT64_MAX

#define NQ_MAX_THREADS 1024

/* A limit of 0 is taken as its default. */
typedef struct nq_ctx_options {
    uint32_t struct_size;
    uint32_t max_workers; /* of the parallel hook; 0 without one */
    uint32_t n_threads;   /* >1: the library's own pool of so many threads, if no hook is set;
                             at most NQ_MAX_THREADS */
    uint32_t max_tensors;      /* in a plan or file; default 2^20 */
    uint32_t max_levels;       /* of a codebook; default and at most NQ_MAX_LEVELS */
    uint32_t max_name_bytes;   /* default 4096 */
    uint64_t max_elements;     /* of one tensor; default 2^48 */
    uint64_t max_index_bytes;  /* of a file's index; default 2^30 */
    uint64_t max_memory_bytes; /* in one allocation; default 2^40 */
    uint64_t cpu_disabled;     /* NQ_CPU_* not to use; NQ_CPU_ALL leaves plain C */
    nq_alloc_fn alloc;         /* both or neither */
    nq_free_fn free;
    void *alloc_user;
    nq_parallel_for_fn parallel_for;
    void *parallel_user;
    nq_progress_fn progress;
    void *progress_user;
    void *unused; /* keep NULL; makes the size a multiple of eight where pointers have four bytes */
} nq_ctx_options;

NQ_API void nq_ctx_options_init_sized(nq_ctx_options *options, uint32_t struct_size) NQ_NOEXCEPT;
#define nq_ctx_options_init(o) nq_ctx_options_init_sized((o), (uint32_t)sizeof(nq_ctx_options))

/*
 * Makes a context; options may be NULL. The options are copied, the hooks' user pointers borrowed
 * until nq_ctx_destroy.
 * Returns NQ_OK; NQ_E_ARG (one of a pair of hooks missing, a limit over its maximum), NQ_E_ABI,
 * NQ_E_NOMEM, NQ_E_UNSUPPORTED (n_threads > 1 in a library built without threads). *out is NULL on
 * failure. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_ctx_create(nq_ctx **out,
                                            const nq_ctx_options *options) NQ_NOEXCEPT;

/* Ends the context and its threads. NULL is fine. Since 0.1. */
NQ_API void nq_ctx_destroy(nq_ctx *ctx) NQ_NOEXCEPT;

/* What this CPU has of NQ_CPU_*, before any mask. Since 0.1. */
NQ_API uint64_t nq_cpu_features(void) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
