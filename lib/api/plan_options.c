/*
 * What a plan's options may say. A value that no version knows is the caller's mistake (NQ_E_ARG);
 * one that this version does not have yet is NQ_E_UNSUPPORTED.
 */
#include "api/plan_options.h"

#include "base/versioned.h"
#include "codec/huffman_fmt.h"

#define PLAN_OPTIONS_FIRST_SIZE   ((uint32_t)sizeof(nq_plan_options))
#define TENSOR_OPTIONS_FIRST_SIZE ((uint32_t)sizeof(nq_plan_tensor_options))

#define MIN_BLOCK_LOG2 10u

/* ---- Defaults ------------------------------------------------------------------------------ */

static nq_plan_options default_options(void)
{
    return (nq_plan_options){.struct_size = sizeof(nq_plan_options),
                             .method = NQ_METHOD_UNIFORM,
                             .target = NQ_TARGET_NONE,
                             .scope = NQ_SCOPE_MODEL,
                             .level_rule = NQ_LEVEL_WEIGHTED,
                             .codec = NQ_CODEC_AUTO,
                             .min_elements = 1024,
                             .importance_power = 1,
                             .importance_floor = 0.001,
                             .density = 1};
}

static nq_plan_tensor_options default_tensor_options(void)
{
    return (nq_plan_tensor_options){.struct_size = sizeof(nq_plan_tensor_options),
                                    .keep = NQ_KEEP_AUTO,
                                    .method = NQ_INHERIT,
                                    .target = NQ_INHERIT,
                                    .scope = NQ_INHERIT,
                                    .level_rule = NQ_INHERIT,
                                    .codec = NQ_INHERIT,
                                    .channel_axis = NQ_INHERIT,
                                    .lossless = NQ_INHERIT};
}

void nq_plan_options_init_sized(nq_plan_options *options, uint32_t struct_size)
{
    nq_plan_options full = default_options();
    if (!options || struct_size < sizeof(uint32_t) || struct_size > NQI_STRUCT_MAX)
        return;
    nqi_versioned_init(options, struct_size);
    full.struct_size = struct_size;
    memcpy(options, &full, NQI_MIN(struct_size, sizeof full));
}

void nq_plan_tensor_options_init_sized(nq_plan_tensor_options *options, uint32_t struct_size)
{
    nq_plan_tensor_options full = default_tensor_options();
    if (!options || struct_size < sizeof(uint32_t) || struct_size > NQI_STRUCT_MAX)
        return;
    nqi_versioned_init(options, struct_size);
    full.struct_size = struct_size;
    memcpy(options, &full, NQI_MIN(struct_size, sizeof full));
}

/* ---- Checks -------------------------------------------------------------------------------- */

static bool is_finite(double value)
{
    return value - value == 0;
}

/* A value of an enumeration whose first ones, up to last_here, are there. */
static nq_status check_enum(uint32_t value, uint32_t last_here, uint32_t last_known)
{
    return value > last_known ? NQ_E_ARG : value > last_here ? NQ_E_UNSUPPORTED : NQ_OK;
}

static nq_status check_codec(uint32_t codec)
{
    const bool is_known = codec == NQ_CODEC_AUTO || codec == NQ_CODEC_FIXED ||
                          codec == NQ_CODEC_HUFFMAN || codec == NQ_CODEC_RANS ||
                          codec == NQ_CODEC_HUFFMAN_GAPS;
    return is_known ? NQ_OK : NQ_E_ARG;
}

static nq_status check_target(uint32_t target, double value)
{
    NQI_TRY(check_enum(target, NQ_TARGET_SQNR_DB, NQ_TARGET_SQNR_DB));
    if (target == NQ_TARGET_STEP)
        return is_finite(value) && value > 0 ? NQ_OK : NQ_E_ARG;
    if (target == NQ_TARGET_LEVELS) {
        const bool is_in_range = value >= 1 && value <= NQ_MAX_LEVELS;
        return is_in_range && value == (double)(uint32_t)value ? NQ_OK : NQ_E_ARG;
    }
    if (target == NQ_TARGET_NONE)
        return NQ_OK;
    if (!is_finite(value))
        return NQ_E_ARG;
    return target == NQ_TARGET_SQNR_DB || value > 0 || (target == NQ_TARGET_LAMBDA && value == 0)
               ? NQ_OK
               : NQ_E_ARG;
}

static nq_status check_shaping(const nq_plan_options *o)
{
    if (o->importance_mean > NQ_IMPORTANCE_CHANNEL_MEAN || !is_finite(o->importance_power) ||
        o->importance_power < 0 || !is_finite(o->importance_floor) || o->importance_floor < 0)
        return NQ_E_ARG;
    return NQ_OK;
}

nq_status nqi_plan_options_read(nq_plan_options *full, const nq_plan_options *given)
{
    *full = default_options();
    if (given)
        NQI_TRY(nqi_versioned_read(full, (uint32_t)sizeof *full, given, PLAN_OPTIONS_FIRST_SIZE));
    NQI_TRY(check_enum(full->method, NQ_METHOD_ECSQ, NQ_METHOD_ECSQ));
    NQI_TRY(check_target(full->target, full->target_value));
    NQI_TRY(check_enum(full->scope, NQ_SCOPE_CHANNEL, NQ_SCOPE_CHANNEL));
    NQI_TRY(check_enum(full->level_rule, NQ_LEVEL_GRID, NQ_LEVEL_GRID));
    NQI_TRY(check_codec(full->codec));
    NQI_TRY(check_shaping(full));
    NQI_TRY(check_enum(full->allocate, NQ_ALLOCATE_SLOPE, NQ_ALLOCATE_SLOPE));
    if (full->kmeans > NQ_KMEANS_LLOYD || full->kmeans_start > NQ_START_PLUS_PLUS)
        return NQ_E_ARG;
    if (!(full->density > 0 && full->density <= 1))
        return NQ_E_ARG;
    if (full->rdo > 1 || !is_finite(full->rdo_lambda) || full->rdo_lambda < 0)
        return NQ_E_ARG;
    if (full->lossless > NQ_LOSSLESS_YES || full->unused != 0)
        return NQ_E_ARG;
    if (full->channel_axis >= NQ_MAX_RANK || full->max_code_length > NQI_HUFFMAN_MAX_LENGTH)
        return NQ_E_ARG;
    if (full->block_log2 != 0 &&
        (full->block_log2 < MIN_BLOCK_LOG2 || full->block_log2 > NQI_BLOCK_LOG2_MAX))
        return NQ_E_ARG;
    return NQ_OK;
}

static nq_status check_own_target(const nq_plan_tensor_options *o)
{
    if (o->target == NQ_INHERIT)
        return NQ_OK;
    if (o->target != NQ_TARGET_STEP && o->target != NQ_TARGET_LEVELS &&
        o->target != NQ_TARGET_LAMBDA)
        return NQ_E_ARG;
    return check_target(o->target, o->target_value);
}

nq_status nqi_plan_tensor_options_read(nq_plan_tensor_options *full,
                                       const nq_plan_tensor_options *given)
{
    *full = default_tensor_options();
    if (given)
        NQI_TRY(nqi_versioned_read(full, (uint32_t)sizeof *full, given, TENSOR_OPTIONS_FIRST_SIZE));
    NQI_TRY(check_enum(full->keep, NQ_KEEP_NEVER, NQ_KEEP_NEVER));
    NQI_TRY(check_own_target(full));
    if (!(full->density >= 0 && full->density <= 1))
        return NQ_E_ARG;
    if (full->method != NQ_INHERIT)
        NQI_TRY(check_enum(full->method, NQ_METHOD_ECSQ, NQ_METHOD_ECSQ));
    if (full->scope != NQ_INHERIT)
        NQI_TRY(check_enum(full->scope, NQ_SCOPE_CHANNEL, NQ_SCOPE_CHANNEL));
    if (full->level_rule != NQ_INHERIT)
        NQI_TRY(check_enum(full->level_rule, NQ_LEVEL_GRID, NQ_LEVEL_GRID));
    if (full->codec != NQ_INHERIT)
        NQI_TRY(check_codec(full->codec));
    if ((full->lossless != NQ_INHERIT && full->lossless > NQ_LOSSLESS_YES) || full->unused != 0)
        return NQ_E_ARG;
    return full->channel_axis != NQ_INHERIT && full->channel_axis >= NQ_MAX_RANK ? NQ_E_ARG : NQ_OK;
}
