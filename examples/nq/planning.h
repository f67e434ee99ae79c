/*
 * A model, the importance of its weights, and a plan of what is to be done with each tensor: what
 * compress and curve share. The weights stay where they are mapped; the library goes through them.
 */
#ifndef CLI_PLANNING_H
#define CLI_PLANNING_H

#include "model.h"
#include "options.h"

typedef struct planning {
    const cli_options *o;
    model weights;
    model importance; /* empty without */
    nq_ctx *ctx;
    nq_plan *plan;   /* NULL before planning_make */
    bool *keep_used; /* globs that matched something */
    bool *rule_used;
    bool has_told; /* of those that did not */
} planning;

/* Opens the inputs that the options name. To be closed in any case. An exit code. */
int planning_open(planning *p, const cli_options *o);
void planning_close(planning *p);

/* A new plan with these options, and all tensors in it. An exit code. */
int planning_make(planning *p, const nq_plan_options *options);

/* Says why the plan failed, but for NQ_E_IO, which the sink knows of. An exit code. */
int planning_error(const planning *p, nq_status status);

#endif
