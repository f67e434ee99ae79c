/*
 * Statuses, element types and the description of tensors: names and sizes. Part of the decoder.
 */
#include "nq/status.h"

#include "base/checked.h"
#include "base/common.h"
#include "base/versioned.h"
#include "nq/types.h"

static const struct {
    const char *name;
    const char *text;
} statuses[] = {
    {"NQ_OK", "done"},
    {"NQ_E_ARG", "an argument breaks the function's contract"},
    {"NQ_E_ABI", "the program was built for a newer version of the library"},
    {"NQ_E_NOMEM", "out of memory"},
    {"NQ_E_SPACE", "the memory provided is too small"},
    {"NQ_E_TRUNCATED", "the input ends too early"},
    {"NQ_E_CORRUPT", "the input is damaged, or not in this format"},
    {"NQ_E_CHECKSUM", "the input is damaged: its checksum differs"},
    {"NQ_E_UNSUPPORTED", "the input needs a feature that this library lacks"},
    {"NQ_E_LIMIT", "over a limit"},
    {"NQ_E_NUMERIC", "a number is not finite, negative, or impossible here"},
    {"NQ_E_CANCELLED", "cancelled"},
    {"NQ_E_STATE", "not allowed in this state"},
    {"NQ_E_INTERNAL", "a defect in libnq"},
    {"NQ_E_IO", "reading or writing failed"},
    {"NQ_E_TARGET", "the target cannot be met"},
};

const char *nq_status_name(nq_status status)
{
    if (status > 0 || status < 1 - (nq_status)NQI_COUNT(statuses))
        return "unknown status";
    return statuses[-status].name;
}

const char *nq_status_text(nq_status status)
{
    if (status > 0 || status < 1 - (nq_status)NQI_COUNT(statuses))
        return "unknown status";
    return statuses[-status].text;
}

static const struct {
    const char *name;
    uint32_t bits;
} dtypes[NQ_DTYPE_COUNT] = {
    [NQ_F32] = {"F32", 32},        [NQ_F16] = {"F16", 16},        [NQ_BF16] = {"BF16", 16},
    [NQ_F64] = {"F64", 64},        [NQ_BOOL] = {"BOOL", 8},       [NQ_U8] = {"U8", 8},
    [NQ_I8] = {"I8", 8},           [NQ_U16] = {"U16", 16},        [NQ_I16] = {"I16", 16},
    [NQ_U32] = {"U32", 32},        [NQ_I32] = {"I32", 32},        [NQ_U64] = {"U64", 64},
    [NQ_I64] = {"I64", 64},        [NQ_F8_E5M2] = {"F8_E5M2", 8}, [NQ_F8_E4M3] = {"F8_E4M3", 8},
    [NQ_F8_E8M0] = {"F8_E8M0", 8}, [NQ_F6_E2M3] = {"F6_E2M3", 6}, [NQ_F6_E3M2] = {"F6_E3M2", 6},
    [NQ_F4] = {"F4", 4},           [NQ_C64] = {"C64", 64},
};

uint32_t nq_dtype_bits(uint32_t dtype)
{
    return dtype < NQ_DTYPE_COUNT ? dtypes[dtype].bits : 0;
}

const char *nq_dtype_name(uint32_t dtype)
{
    return dtype < NQ_DTYPE_COUNT ? dtypes[dtype].name : NULL;
}

void nq_tensor_init_sized(nq_tensor *tensor, uint32_t struct_size)
{
    if (tensor && struct_size >= sizeof(uint32_t) && struct_size <= NQI_STRUCT_MAX)
        nqi_versioned_init(tensor, struct_size);
}

nq_status nq_tensor_elements(uint64_t *n_elements, const nq_tensor *tensor)
{
    if (!n_elements || !tensor || tensor->rank > NQ_MAX_RANK)
        return NQ_E_ARG;
    /* A zero anywhere makes the product zero, whatever the others are. */
    uint64_t product = 1;
    for (uint32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] == 0)
            product = 0;
    for (uint32_t i = 0; i < tensor->rank && product != 0; i++)
        if (!nqi_mul_u64(&product, product, tensor->dims[i]) || product > (UINT64_C(1) << 59))
            return NQ_E_LIMIT;
    *n_elements = product;
    return NQ_OK;
}
