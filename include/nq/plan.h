/*
 * The plan: several tensors go in, a goal is stated, one .nq file comes out.
 *
 *     nq_plan *plan;
 *     nq_plan_options options;
 *     nq_plan_options_init(&options);
 *     options.target = NQ_TARGET_BITS_PER_WEIGHT;
 *     options.target_value = 3.5;
 *     nq_plan_create(&plan, ctx, &options);
 *     for (...)
 *         nq_plan_add(plan, &tensor[i], &importance[i], NULL);
 *     nq_plan_solve(plan);          reads the weights and decides everything
 *     nq_plan_write(plan, &sink);   quantizes, codes, and streams the file out
 *     nq_plan_destroy(plan);
 *
 * The same tensors, importance and options give the same bytes on any machine, with any number of
 * workers. Thread rule: one call at a time per plan.
 */
#ifndef NQ_PLAN_H
#define NQ_PLAN_H

#include "cluster.h"
#include "codec.h"
#include "container.h"
#include "context.h"
#include "distortion.h"
#include "export.h"
#include "status.h"
#include "types.h"

NQ_BEGIN_DECLS

typedef struct nq_plan nq_plan;

/* How levels are found. The values are part of the file format. */
enum {
    NQ_METHOD_UNIFORM = 0, /* cells of one width around zero (section 4.1 of the paper) */
    NQ_METHOD_KMEANS = 1,  /* (importance-weighted) k-means (section 3) */
    NQ_METHOD_ECSQ = 2     /* entropy-constrained scalar quantization (section 4.2) */
};

/* Who shares a codebook. */
enum {
    NQ_SCOPE_MODEL = 0, /* all quantized tensors: "all layers together", as in the paper */
    NQ_SCOPE_TENSOR = 1,
    NQ_SCOPE_CHANNEL = 2 /* each index of channel_axis, one code for all of a tensor; tensors of less
                            than two dimensions, and those without that axis, as NQ_SCOPE_TENSOR */
};

/* Which value stands for the weights of a cell. The values are part of the file format. */
enum {
    NQ_LEVEL_WEIGHTED = 0, /* their importance-weighted mean; the mean without importance */
    NQ_LEVEL_MEAN = 1,
    NQ_LEVEL_GRID = 2 /* the cell's middle: an integer times the step */
};

/* What target_value means. */
enum {
    NQ_TARGET_NONE = 0,   /* not set: nq_plan_solve returns NQ_E_ARG */
    NQ_TARGET_STEP = 1,   /* width of a cell, > 0 (uniform) */
    /* At most so many levels in each codebook, 1..NQ_MAX_LEVELS. Uniform: the smallest step that
     * leaves no more; or one slightly larger where finding it would take too long, which needs tens
     * of thousands of levels, and weights far apart of which hardly more are different. With at
     * least as many levels as there are different weights, that is the finest with which all cells
     * can be numbered: 2^(e - 60), or 2^(e - 52) for NQ_LEVEL_GRID, where 2^e is the largest power
     * of two that is not above the largest magnitude. */
    NQ_TARGET_LEVELS = 2,
    NQ_TARGET_LAMBDA = 3, /* price of a bit in units of weighted distortion, >= 0; not for k-means */
    /* These four are met from the safe side: no larger file, no lower SQNR than asked for. */
    NQ_TARGET_BITS_PER_WEIGHT = 4, /* of the whole file over all floating elements */
    NQ_TARGET_RATIO = 5,           /* original bytes over bytes of the file */
    NQ_TARGET_FILE_BYTES = 6,
    NQ_TARGET_SQNR_DB = 7
};

/* How fine each codebook is where there are several. */
enum {
    NQ_ALLOCATE_SAME = 0, /* the same step, or lambda relative to the mean importance, for all */
    NQ_ALLOCATE_SLOPE = 1 /* all trade bits for weighted distortion at the same rate */
};

/* Averaging of importance before it is floored and raised to its power. */
enum { NQ_IMPORTANCE_EACH = 0, NQ_IMPORTANCE_TENSOR_MEAN = 1, NQ_IMPORTANCE_CHANNEL_MEAN = 2 };

/*
 * Coding without loss. With YES, tensors with elements of 8 or 16 bits, F16 and BF16 among them, are
 * coded so that they come back bit for bit, and are not quantized, unless their own options have a
 * target or NQ_KEEP_NEVER; so are F32 tensors that would be stored. Each gets a code of its own, of
 * the codec that is asked for, where that makes it smaller; otherwise it is stored, as are tensors of
 * all other types.
 */
enum { NQ_LOSSLESS_NO = 0, NQ_LOSSLESS_YES = 1 };

/* "As the plan's options say", in nq_plan_tensor_options. */
#define NQ_INHERIT UINT32_MAX

typedef struct nq_plan_options {
    uint32_t struct_size;
    uint32_t method;           /* NQ_METHOD_*; default uniform */
    uint32_t target;           /* NQ_TARGET_*; no default */
    uint32_t scope;            /* NQ_SCOPE_*; default model */
    uint32_t channel_axis;     /* of NQ_SCOPE_CHANNEL and NQ_IMPORTANCE_CHANNEL_MEAN; default 0 */
    uint32_t level_rule;       /* NQ_LEVEL_*; default weighted */
    uint32_t codec;            /* NQ_CODEC_*; default NQ_CODEC_AUTO: the smallest of the codes for
                                  indices. A quantized tensor stays so even where it would be
                                  smaller stored as it is: the report's bytes tell */
    uint32_t max_code_length;  /* Huffman: longest codeword in bits; 0: the codec's default */
    uint32_t block_log2;       /* elements of a block, 2^10..2^24; 0: NQ_BLOCK_LOG2_DEFAULT */
    uint32_t importance_mean;  /* NQ_IMPORTANCE_*; default each element its own */
    uint64_t min_elements;     /* smaller tensors are not quantized; default 1024 */
    uint64_t original_bytes;   /* size of the source, kept in the file; 0: the tensors' bytes */
    double target_value;
    double importance_power;   /* P in max(h, F mean h)^P; default 1 */
    double importance_floor;   /* F; default 0.001; the mean is over the codebook's scope */
    double rdo_lambda;         /* with rdo: price of a bit, >= 0; 0 (default): what suits the step
                                  or the distortion that the levels alone would have */
    uint32_t rdo;              /* 1: a weight goes to the level that minimises h (w - c)^2 plus
                                  lambda times the length of the level's code; default 0: to its
                                  cell's, or the nearest. ECSQ always does */
    uint32_t allocate;         /* NQ_ALLOCATE_*; default the same step or number of levels for all */
    double density;            /* part of the weights that is kept, 0 < D <= 1; all others become 0
                                  before anything else. The largest stay, of all tensors that share a
                                  codebook together: by h w^2 / 2 where there is importance, as given
                                  or averaged, by |w| otherwise. Equal ones stay or go together with
                                  the last that stays. Default 1 */
    uint32_t lossless;         /* NQ_LOSSLESS_*; default no */
    uint32_t kmeans;           /* NQ_KMEANS_*; default optimal over statistics, and polished */
    uint32_t kmeans_start;     /* of NQ_KMEANS_LLOYD: NQ_START_LINEAR (default) or _PLUS_PLUS */
    uint32_t unused;           /* 0 */
    uint64_t kmeans_seed;      /* of NQ_START_PLUS_PLUS; default 0 */
} nq_plan_options;

NQ_API void nq_plan_options_init_sized(nq_plan_options *options,
                                       uint32_t struct_size) NQ_NOEXCEPT;
#define nq_plan_options_init(o) nq_plan_options_init_sized((o), (uint32_t)sizeof(nq_plan_options))

/* What one tensor does differently. A tensor with a target of its own has a codebook of its own. */
enum { NQ_KEEP_AUTO = 0, NQ_KEEP_ALWAYS = 1, NQ_KEEP_NEVER = 2 };

typedef struct nq_plan_tensor_options {
    uint32_t struct_size;
    uint32_t keep;       /* NQ_KEEP_*: by type and size; store as it is; quantize however small */
    uint32_t method;     /* NQ_METHOD_* or NQ_INHERIT */
    uint32_t target;     /* NQ_TARGET_STEP, _LEVELS, _LAMBDA or NQ_INHERIT */
    uint32_t scope;      /* NQ_SCOPE_* or NQ_INHERIT */
    uint32_t level_rule; /* NQ_LEVEL_* or NQ_INHERIT */
    uint32_t codec;      /* NQ_CODEC_* or NQ_INHERIT */
    uint32_t channel_axis; /* or NQ_INHERIT */
    double target_value;
    double density;        /* of this tensor by itself; 0: together with others, as the plan says */
    uint32_t lossless;     /* NQ_LOSSLESS_* or NQ_INHERIT; YES of its own also keeps an F32 tensor from
                              being quantized */
    uint32_t unused;       /* 0 */
} nq_plan_tensor_options;

NQ_API void nq_plan_tensor_options_init_sized(nq_plan_tensor_options *options,
                                              uint32_t struct_size) NQ_NOEXCEPT;
#define nq_plan_tensor_options_init(o)                                                             \
    nq_plan_tensor_options_init_sized((o), (uint32_t)sizeof(nq_plan_tensor_options))

/*
 * Makes an empty plan. The context is borrowed until nq_plan_destroy, the options are copied.
 * Returns NQ_OK; NQ_E_ARG for values out of their range; NQ_E_ABI; NQ_E_NOMEM; NQ_E_UNSUPPORTED
 * for a method, scope, codec or target that this version does not have. *out is NULL on failure.
 * Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_plan_create(nq_plan **out, const nq_ctx *ctx,
                                             const nq_plan_options *options) NQ_NOEXCEPT;
NQ_API void nq_plan_destroy(nq_plan *plan) NQ_NOEXCEPT;

/*
 * Adds a tensor; the file keeps the order. Descriptions and names are copied; the data of both
 * tensors are borrowed until the plan is written for the last time, and must not change. Tensors of a
 * type other than F32, F16 and BF16, those without elements or with fewer than min_elements, and
 * those kept by their options are stored as they are and not looked into, or coded without loss.
 *
 * importance (may be NULL): the diagonal of the loss's Hessian or a stand-in, F32, F16, BF16 or F64,
 * of a shape that broadcasts to the tensor's as in numpy. Either all tensors that share a codebook
 * have importance or none has. tensor_options may be NULL.
 *
 * Returns NQ_OK; NQ_E_ARG (rank, type or shape; a name given twice); NQ_E_STATE after solving;
 * NQ_E_LIMIT; NQ_E_ABI; NQ_E_NOMEM; NQ_E_UNSUPPORTED. The plan is unchanged after a failure.
 * Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_plan_add(nq_plan *plan, const nq_tensor *tensor,
                                          const nq_tensor *importance,
                                          const nq_plan_tensor_options *tensor_options) NQ_NOEXCEPT;

/*
 * Adds a pair of the source's metadata, carried over as it is and in this order; the file's size
 * includes it. Key and value are copied: any bytes, UTF-8 by custom, NULL where there are none.
 * Returns NQ_OK; NQ_E_ARG (NULL with a length that is not 0); NQ_E_STATE after solving; NQ_E_LIMIT
 * (key and value over 4 GiB); NQ_E_NOMEM. The plan is unchanged after a failure. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_plan_add_metadata(nq_plan *plan, const char *key, size_t key_bytes,
                                                   const char *value,
                                                   size_t value_bytes) NQ_NOEXCEPT;

/*
 * Reads weights and importance, and finds levels, codes and tables for the target.
 * Returns NQ_OK; NQ_E_ARG (no target or one that the method does not take; importance for some
 * tensors of a codebook only); NQ_E_TARGET (the target cannot be met: the record's `value` is the
 * nearest that can);
 * NQ_E_NUMERIC (NaN or infinite weights; NaN, infinite or negative importance: nq_plan_diag names
 * tensor, element, input and value); NQ_E_LIMIT (more than NQ_MAX_LEVELS levels: the record's
 * `value` is the smallest step that works, or, with is_loose, one that does); NQ_E_NOMEM;
 * NQ_E_CANCELLED; NQ_E_STATE when already solved. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_plan_solve(nq_plan *plan) NQ_NOEXCEPT;

/*
 * Quantizes and codes the tensors and writes the file through the sink; solves first if that has
 * not been done. A NULL sink writes nowhere but does everything else: for the exact size and
 * distortion without a file. May be called again.
 * Returns what nq_plan_solve does, and what the sink's hook returned. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_plan_write(nq_plan *plan, const nq_sink *sink) NQ_NOEXCEPT;

/* Over all tensors. Sizes and distortion are known after nq_plan_write. */
typedef struct nq_plan_report {
    uint32_t struct_size;
    uint32_t n_tensors;
    uint32_t n_codebooks;
    uint32_t n_tables;
    uint64_t n_elements;           /* of F32, F16 and BF16 tensors, kept ones included */
    uint64_t n_quantized_elements;
    uint64_t original_bytes;
    uint64_t compressed_bytes;     /* of the whole file */
    double ratio;                  /* original over compressed bytes */
    double bits_per_weight;        /* 8 compressed_bytes / n_elements */
    double mse;                    /* these four over all floating elements, after rounding to */
    double sqnr_db;                /* each tensor's own type */
    double max_abs_error;
    double weighted_distortion;    /* sum of h (w - v)^2 with h as given, before shaping */
} nq_plan_report;

typedef struct nq_plan_tensor_report {
    uint32_t struct_size;
    uint32_t is_quantized;
    uint32_t method;               /* NQ_METHOD_* */
    uint32_t codec;                /* NQ_CODEC_* that was chosen */
    uint32_t n_levels;             /* of the tensor's codebook; with channels, those that codes tell
                                      apart: at least as many as any channel has */
    uint32_t codebook;             /* its number in the file */
    uint32_t ignores_importance;   /* 1: all of it was zero in the scope, taken as none */
    uint32_t level_rule;
    uint64_t n_elements;
    uint64_t bytes;                /* of the tensor's payload */
    double step;                   /* 0 where there is none */
    double bits_per_weight;        /* 8 bytes / n_elements */
    double entropy_bits;           /* order-0 entropy of the tensor's indices, bits an element */
    double mse;
    double sqnr_db;
    double max_abs_error;
    double weighted_distortion;
    uint32_t n_channels;           /* that have levels of their own; 0: all elements have the same */
    uint32_t unused;               /* 0 */
} nq_plan_tensor_report;

/*
 * Fill the caller's record (struct_size set by the caller). NQ_E_STATE before nq_plan_solve;
 * NQ_E_ARG; NQ_E_ABI. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_plan_get_report(const nq_plan *plan,
                                                 nq_plan_report *report) NQ_NOEXCEPT;
NQ_API NQ_NODISCARD nq_status nq_plan_get_tensor_report(const nq_plan *plan, uint64_t tensor,
                                                        nq_plan_tensor_report *report) NQ_NOEXCEPT;

/*
 * Where and why the last call on this plan failed; NQ_OK in the record if it did not. Fills the
 * caller's record (struct_size set by the caller). NQ_E_ARG; NQ_E_ABI. Since 0.1.
 */
NQ_API NQ_NODISCARD nq_status nq_plan_diag(const nq_plan *plan, nq_diag *diag) NQ_NOEXCEPT;

NQ_END_DECLS

#endif
