/*
 * Importance: see importance.h.
 */
#include "importance.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "errors.h"
#include "verbs.h"

static bool is_number_type(uint32_t dtype)
{
    return run_is_weight(dtype) || dtype == NQ_F64;
}

/* As numpy does it: from the last dimension, each is the same or 1, or not there. */
static bool broadcasts(const nq_tensor *small, const nq_tensor *large)
{
    if (small->rank > large->rank)
        return false;
    for (uint32_t i = 1; i <= small->rank; i++) {
        const uint64_t dimension = small->dims[small->rank - i];
        if (dimension != 1 && dimension != large->dims[large->rank - i])
            return false;
    }
    return true;
}

static const char *show_shape(char out[128], const nq_tensor *tensor)
{
    size_t n = (size_t)snprintf(out, 128, "[");
    for (uint32_t i = 0; i < tensor->rank && n < 100; i++)
        n += (size_t)snprintf(out + n, 128 - n, i ? ", %" PRIu64 : "%" PRIu64, tensor->dims[i]);
    (void)snprintf(out + n, 128 - n, "]");
    return out;
}

int importance_find(const nq_tensor **out, const model *importance, const nq_tensor *tensor)
{
    char name[QUOTED_BYTES], has[128], wants[128], keep[KEEP_BYTES];
    const st_tensor *found = model_find(importance, tensor->name, tensor->name_bytes);
    *out = NULL;
    fault_quote(name, tensor->name, tensor->name_bytes);
    if (!found)
        return cli_error(CLI_VALUES,
                         "%s: no importance for tensor %s; add it, or store the tensor as it is "
                         "with %s",
                         importance->label, name, cli_keep(keep, tensor));
    if (!is_number_type(found->tensor.dtype))
        return cli_error(CLI_VALUES,
                         "%s: tensor %s: importance of type %s; F32, F16, BF16 or F64 is expected",
                         importance->label, name, nq_dtype_name(found->tensor.dtype));
    if (!broadcasts(&found->tensor, tensor))
        return cli_error(
            CLI_VALUES, "%s: tensor %s: importance of shape %s does not broadcast to %s",
            importance->label, name, show_shape(has, &found->tensor), show_shape(wants, tensor));
    *out = &found->tensor;
    return CLI_DONE;
}

uint64_t importance_element(const nq_tensor *importance, const nq_tensor *tensor, uint64_t element)
{
    uint64_t found = 0, stride = 1;
    for (uint32_t i = 1; i <= importance->rank && i <= tensor->rank; i++) {
        const uint64_t own = importance->dims[importance->rank - i];
        const uint64_t whole = tensor->dims[tensor->rank - i];
        const uint64_t index = whole ? element % whole : 0;
        found += own == 1 ? 0 : index * stride;
        stride *= own;
        element /= whole ? whole : 1;
    }
    return found;
}

/* ---- Values -------------------------------------------------------------------------------- */

/* Sign and exponent of a type, as masks of its bits. */
typedef struct layout {
    uint64_t sign;
    uint64_t exponent;
} layout;

static layout layout_of(uint32_t dtype)
{
    switch (dtype) {
    case NQ_F16:
        return (layout){0x8000, 0x7c00};
    case NQ_BF16:
        return (layout){0x8000, 0x7f80};
    case NQ_F64:
        return (layout){UINT64_C(1) << 63, UINT64_C(0x7ff) << 52};
    default:
        return (layout){UINT64_C(1) << 31, UINT64_C(0xff) << 23};
    }
}

/* The number that these bits are. */
static double value_of(uint64_t bits, uint32_t dtype)
{
    double value;
    float single;
    if (dtype == NQ_F64)
        return memcpy(&value, &bits, sizeof value), value;
    if (dtype == NQ_F16) {
        const int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
        value = exponent == 31  ? (fraction ? (double)NAN : (double)INFINITY)
                : exponent == 0 ? ldexp(fraction, -24)
                                : ldexp(fraction + 1024, exponent - 25);
        return bits >> 15 ? -value : value;
    }
    const uint32_t word = (uint32_t)(dtype == NQ_BF16 ? bits << 16 : bits);
    return memcpy(&single, &word, sizeof single), (double)single;
}

static uint64_t load(const uint8_t *at, size_t width)
{
    uint16_t half;
    uint32_t single;
    uint64_t value;
    if (width == 2)
        return memcpy(&half, at, sizeof half), half;
    if (width == 4)
        return memcpy(&single, at, sizeof single), single;
    return memcpy(&value, at, sizeof value), value;
}

int importance_check(const model *importance, const nq_tensor *tensor)
{
    const uint64_t n = run_elements(tensor);
    const size_t width = nq_dtype_bits(tensor->dtype) / 8;
    const layout l = layout_of(tensor->dtype);
    const uint8_t *at = tensor->data;
    nq_diag diag;
    nq_diag_init(&diag);
    for (uint64_t i = 0; i < n; i++, at += width) {
        const uint64_t bits = load(at, width);
        const bool is_finite = (bits & l.exponent) != l.exponent;
        if (is_finite && (!(bits & l.sign) || bits == l.sign)) /* -0 is 0 */
            continue;
        diag.status = NQ_E_NUMERIC;
        diag.element = i;
        diag.value = value_of(bits, tensor->dtype);
        (void)snprintf(diag.what, sizeof diag.what, "importance that is %s",
                       is_finite ? "negative" : "not finite");
        return cli_library_error(importance->label, &diag, tensor);
    }
    return CLI_DONE;
}
