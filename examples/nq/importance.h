/*
 * Importance of weights, as a file gives it: found by name, checked for type and shape.
 */
#ifndef CLI_IMPORTANCE_H
#define CLI_IMPORTANCE_H

#include <nq/types.h>

#include "model.h"

/*
 * The importance of a tensor, into *out; CLI_VALUES, printed, if there is none of a type and shape
 * that fit. What its values are is not looked at.
 */
int importance_find(const nq_tensor **out, const model *importance, const nq_tensor *tensor);

/* The element of a tensor's importance that belongs to this element of the tensor. */
uint64_t importance_element(const nq_tensor *importance, const nq_tensor *tensor, uint64_t element);

/* Whether all values are finite and not negative; CLI_VALUES, printed, if not. */
int importance_check(const model *importance, const nq_tensor *tensor);

#endif
