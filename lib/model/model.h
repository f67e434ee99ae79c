/*
 * Several tensors together: what was added, who shares a codebook, what was found for them, and
 * what became of it. The plan of the public interface is this struct behind argument checks.
 *
 *     tensors.c   adding: copies and views; names.c  no name twice
 *     groups.c    who shares a codebook
 *     scan.c      one pass over a group's weights and importance before the design
 *     average.c   importance averaged over tensors or channels
 *     channels.c  groups of a tensor's channels together: numbers for codes, indices of elements
 *     design.c    levels, and how often each tensor uses each
 *     codes.c     which code each tensor gets, and who shares a code table
 *     lossless.c  tensors that are coded without loss
 *     describe.c  what the file has
 *     write.c     quantizing, coding and writing, block by block; kept.c  tensors as they are
 */
#ifndef NQI_MODEL_H
#define NQI_MODEL_H

#include "codec/code_enc.h"
#include "container/writer.h"
#include "distortion/distortion.h"
#include "distortion/pass.h"
#include "model/quantizer.h"
#include "nq/plan.h"
#include "stats/weights.h"

/* "No group", "no codebook". */
#define NQI_NO_GROUP UINT32_MAX

/* Codes that the tensors of a group may share: see codes.c. */
enum {
    NQI_CODE_FIXED,
    NQI_CODE_HUFFMAN,
    NQI_CODE_RANS,       /* of one table */
    NQI_CODE_TABLES,     /* rANS with several, a choice for each sub-block */
    NQI_CODE_GAP_TABLES, /* the same of gaps and values */
    NQI_N_CODES
};

/* Whether what a codec takes is not known from counts. */
static inline bool nqi_codec_depends_on_order(uint32_t codec)
{
    return codec == NQ_CODEC_RANS || codec == NQ_CODEC_HUFFMAN_GAPS;
}

/* The NQ_CODEC_* of a shared code. */
uint32_t nqi_code_codec(uint32_t code);

/* How often a tensor uses a level. */
typedef struct nqi_level_count {
    uint64_t count;
    uint32_t level;
} nqi_level_count;

typedef struct nqi_model_tensor {
    nq_tensor desc;                 /* its name is the model's copy, its data the caller's */
    nq_plan_tensor_options options; /* nothing left to inherit but the target's value */
    bool has_own_target;
    bool is_quantized;
    bool is_lossless; /* coded without loss, or stored where that takes no more */
    bool has_importance;
    uint64_t n;
    nqi_view view;             /* of floating types */
    nqi_importance importance; /* as given; ones without */

    /* What the design found. */
    uint32_t group; /* NQI_NO_GROUP for stored ones; the first of its channels */
    uint32_t part;  /* its number in the group */
    nqi_level_count *counts;
    uint32_t n_counts;
    uint32_t codec;
    uint32_t code;       /* of those that are shared, if it has none of its own */
    nqi_encoder *own;    /* a code of its own, or NULL */
    uint64_t code_bytes; /* of all blocks, about; exact if coded without loss */
    uint8_t *table;      /* of a tensor that is coded without loss, or NULL */
    size_t table_bytes;
    uint64_t block_bound; /* of any of its blocks */

    /* What writing measured. */
    uint64_t payload_bytes;
    nqi_distortion distortion;
} nqi_model_tensor;

/* What a group has if it is one channel of a tensor. */
typedef struct nqi_model_channel {
    uint32_t number; /* along the axis: the group of 0 leads those of the tensor's others */
    uint32_t count;  /* of the tensor's channels; 0: the group is of whole tensors */
    uint32_t first;  /* what codes call its first level */
    uint32_t n_counts;
    nqi_level_count *counts; /* of levels */
    nqi_distortion distortion;
} nqi_model_channel;

/* Tensors that share a codebook, or one channel of a tensor. */
typedef struct nqi_model_group {
    nq_plan_tensor_options
        options; /* of its first tensor: method, target and level rule are all's */
    uint32_t *tensors;
    nqi_weights *parts; /* their views, importance averaged where that is asked for, and shaped */
    double **averages;  /* what averaged views look at, one for each part, or NULL */
    uint64_t *n_averages;
    uint32_t n;
    uint32_t capacity;
    uint64_t n_elements;
    bool has_importance;
    bool ignores_importance;  /* all of it is zero */
    nqi_design_source source; /* parts, seen by the design */
    nqi_goal goal;            /* what it is to be like */
    bool has_own_goal;        /* a step, a number of levels or a lambda that a tensor came with */
    bool is_designed;
    nqi_quantizer quantizer;
    double *decoded[NQI_N_WEIGHT_TYPES]; /* levels as each type rounds them, where it occurs */
    nqi_model_channel channel;

    /* Of a group that leads, for all channels of its tensor. */
    uint32_t codebook;               /* its number in the file */
    uint32_t n_numbers;              /* of levels, that codes tell apart */
    nqi_encoder *codes[NQI_N_CODES]; /* those that are used, and perhaps others */
} nqi_model_group;

static inline bool nqi_group_is_channel(const nqi_model_group *g)
{
    return g->channel.count > 0;
}

/* Whether codes are the group's affair: it is of whole tensors, or a tensor's first channel. */
static inline bool nqi_group_leads(const nqi_model_group *g)
{
    return g->channel.number == 0;
}

/* Where names part: at one bit of one symbol, see names.c. */
typedef struct nqi_name_node {
    uint32_t below[2]; /* a node, or a tensor where `tensors` has that side's bit */
    uint32_t at;
    uint16_t bit;
    uint16_t tensors;
} nqi_name_node;

/* A set of the tensors' names. */
typedef struct nqi_name_set {
    nqi_name_node *nodes; /* as many as tensors */
    uint64_t capacity;
} nqi_name_set;

typedef struct nqi_metadata {
    char *text; /* key and value behind each other */
    uint64_t key_bytes;
    uint64_t value_bytes;
} nqi_metadata;

typedef struct nqi_limits {
    uint32_t max_tensors;
    uint32_t max_levels;
    uint32_t max_name_bytes;
    uint64_t max_elements;
} nqi_limits;

typedef struct nqi_model {
    nqi_env env;
    nqi_limits limits;
    nq_plan_options options; /* checked */
    nqi_model_tensor *tensors;
    uint64_t n_tensors;
    uint64_t tensors_capacity;
    nqi_name_set names;
    nqi_metadata *metadata;
    uint64_t n_metadata;
    uint64_t metadata_capacity;
    nqi_model_group *groups;
    uint64_t n_groups;
    uint64_t groups_capacity;
    bool is_smooth; /* iterative designs begin in one place, see search.h */
    bool is_solved;
    bool is_written;
    uint64_t file_bytes;
    nqi_distortion distortion;
} nqi_model;

/* ---- Adding -------------------------------------------------------------------------------- */

/* The description was checked but for what depends on the model; importance may be NULL. The model
 * is unchanged after a failure. NQ_OK, NQ_E_ARG, NQ_E_LIMIT, NQ_E_NOMEM, with diag filled. */
nq_status nqi_model_add(nqi_model *m, const nq_tensor *tensor, const nq_tensor *importance,
                        const nq_plan_tensor_options *options, nq_diag *diag);
nq_status nqi_model_add_metadata(nqi_model *m, const char *key, size_t key_bytes, const char *value,
                                 size_t value_bytes, nq_diag *diag);

/* Frees all that the model holds, not the struct. */
void nqi_model_free(nqi_model *m);

/* The tensor of this name, or NQ_NONE. */
uint64_t nqi_model_find(const nqi_model *m, const char *name, size_t name_bytes);

/* Makes room for one tensor more, and notes it. NQ_E_NOMEM, NQ_E_LIMIT. */
nq_status nqi_name_set_reserve(nqi_model *m);
void nqi_name_set_add(nqi_model *m, uint32_t tensor);

/* ---- Solving ------------------------------------------------------------------------------- */

/* All of what follows, in order. May be called again after a failure. */
nq_status nqi_model_solve(nqi_model *m, nq_diag *diag);

/* Forms the groups. */
nq_status nqi_groups_form(nqi_model *m, nq_diag *diag);
void nqi_groups_free(nqi_model *m);

/* Averages the importance of a group's parts as the options say; the progress' total grows by the
 * elements that this takes. */
nq_status nqi_group_average(nqi_model *m, nqi_model_group *g, nqi_progress_state *progress,
                            nq_diag *diag);

/* Range of the weights, and how importance is to be shaped. NQ_E_NUMERIC. */
nq_status nqi_group_scan(nqi_model *m, nqi_model_group *g, nqi_progress_state *progress,
                         nq_diag *diag);

/* Finds what the group's options prune: its parts leave it out. NQ_E_NOMEM, NQ_E_CANCELLED. */
nq_status nqi_group_prune(nqi_model *m, nqi_model_group *g, nq_diag *diag);

/* What a design of the group's weights, or of a sample of them, for the group's goal is to be like;
 * nobody is told counts. */
nqi_design_job nqi_group_job(const nqi_model *m, const nqi_model_group *g,
                             nqi_design_source *source);

/* A lambda of the caller's is to be multiplied by this: it is per unit of importance as the caller
 * knows it, and shaping may have scaled that. */
double nqi_group_lambda_scale(const nqi_model_group *g);

/* Frees what is kept from one design to the next, unless all tensors share a codebook: of many
 * groups it would add up to more than the weights. */
void nqi_group_free_source(const nqi_model *m, nqi_design_source *source);

/* Levels for the group's goal, and counts. */
nq_status nqi_group_design(nqi_model *m, nqi_model_group *g, nqi_progress_state *progress,
                           nq_diag *diag);

/* Frees levels, counts and codes, if there are any. */
void nqi_group_forget_design(nqi_model *m, nqi_model_group *g);

/* Distortion (importance 1) and counts of the group's tensors with the levels that there are. */
nq_status nqi_group_measure(nqi_model *m, nqi_model_group *g, nqi_progress_state *progress);

/* Codes for the tensors of all groups, which have levels. */
nq_status nqi_model_choose_codes(nqi_model *m, nq_diag *diag);

/* ---- Channels ------------------------------------------------------------------------------ */

/* How many channels have codebooks of their own; 0: the tensor is quantized as a whole. */
uint32_t nqi_tensor_channels(const nqi_model_tensor *t);

/* Elements of one channel that lie behind each other. */
uint64_t nqi_tensor_inner(const nqi_model_tensor *t);

/* The step of a codebook; of channels the one that all have, or 0. */
double nqi_group_step(const nqi_model_group *leader);

/* Numbers codebooks, and levels for codes; joins the counts of channels to their tensors'. */
nq_status nqi_model_join_channels(nqi_model *m);

/* Where to put what elements of a quantized tensor become. */
typedef struct nqi_quantized {
    uint16_t *indices; /* as codes number them */
    double *values;    /* that they decode to; may be NULL, as the next */
    float *weights;    /* before pruning */
} nqi_quantized;

/* Quantizes elements first .. first + n - 1 of a tensor; n is NQI_SLICE_ELEMS at most. */
void nqi_model_quantize(nqi_quantized *out, const nqi_model *m, const nqi_model_tensor *t,
                        uint64_t first, size_t n);

/* The code that a quantized tensor was given. */
const nqi_encoder *nqi_model_encoder(const nqi_model *m, const nqi_model_tensor *t);

/* Blocks of a quantized tensor, and of what size. */
uint32_t nqi_model_block_log2(const nqi_model *m);
uint64_t nqi_model_blocks(const nqi_model *m, const nqi_model_tensor *t);

/* Bytes that all blocks of a tensor take with a code that was made from counts: at most, and exact
 * but for padding, with fixed and Huffman codes; about so many with others. */
uint64_t nqi_model_code_bytes(const nqi_model *m, const nqi_model_tensor *t,
                              const nqi_encoder *encoder, const uint64_t *counts);

/* A tensor's counts as an array over all levels, which was zero; and zero again. */
void nqi_model_spread_counts(uint64_t *counts, const nqi_model_tensor *t);
void nqi_model_clear_counts(uint64_t *counts, const nqi_model_tensor *t);

/* ---- Writing ------------------------------------------------------------------------------- */

/* Tells a writer what the file has. */
nq_status nqi_model_describe(const nqi_model *m, nqi_writer *w);

/* Payload bytes of a tensor at most; nearly what it takes unless its code depends on order. */
uint64_t nqi_model_payload_bound(const nqi_model *m, const nqi_model_tensor *t);

/* Writes the file of a solved model; sink may be NULL. What the sink returned is handed on. */
nq_status nqi_model_write(nqi_model *m, const nq_sink *sink, nq_diag *diag);

/* Bytes that the file takes at most, for a model with codes. */
nq_status nqi_model_file_bytes(uint64_t *n_bytes, nqi_model *m);

/* The same, about, from coding a part of it. */
nq_status nqi_model_guess_bytes(uint64_t *n_bytes, nqi_model *m);

/* Bytes of the payload of a tensor that is not quantized. */
uint64_t nqi_model_kept_bytes(const nqi_model_tensor *t);

/* Sets the distortion of a tensor that is not quantized: nothing is lost, but its elements count. */
nq_status nqi_model_measure_kept(nqi_model *m, nqi_model_tensor *t);

/* Size of the source: as the caller stated it, or the tensors' bytes. */
uint64_t nqi_model_original_bytes(const nqi_model *m);

#endif
