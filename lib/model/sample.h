/*
 * A sample of all groups' weights: to try in milliseconds what would take long on all of them.
 * Small tensors are in it whole, and of larger ones runs of neighbouring elements at equal
 * distances; of many channels some, each for its neighbours. Sizes are estimates: entropies, of each tensor or of all together, or the width of a
 * fixed-length code, and a few bytes for each level.
 */
#ifndef NQI_MODEL_SAMPLE_H
#define NQI_MODEL_SAMPLE_H

#include "model/search.h"

/* What a design of one fineness comes to; see slope.c. */
typedef struct nqi_slope_point {
    double bits;
    double weighted; /* in the caller's units of importance */
    bool is_known;
    bool works;
} nqi_slope_point;

typedef struct nqi_group_sample {
    nqi_design_source source;
    nqi_weights *parts;
    double log2_sigma;       /* of k-means: of the weights */
    double lambda;           /* of ECSQ and equal slopes: what suits a step of 1 */
    nqi_slope_point *points; /* of equal slopes, or NULL */
    double share;            /* of channels: how many it stands for; 0: another one does for it */
    uint64_t stand_in;       /* which one */
} nqi_group_sample;

struct nqi_sample {
    nqi_model *m;
    nqi_aim aim;
    nqi_group_sample *groups;
    double n_elements;  /* of all groups */
    double kept_bytes;  /* stored tensors */
    double kept_energy; /* sum of squares of stored floating elements */
    double finest;      /* log2 of a step with which nearly every weight has its own cell */
    double coarsest;    /* and of one with which all have one */
};

/* What quantizing comes to, in terms of all weights. */
typedef struct nqi_tally {
    double bytes;
    double squared;
    double weighted; /* if it was asked for; in the design's units of importance */
    double energy;
} nqi_tally;

/* Adds what one group comes to with a goal. What nqi_quantizer_design and nqi_measure return. What
 * designs keep of the group is for the next goal of the same group, until it is released. */
nq_status nqi_sample_measure(nqi_tally *tally, nqi_sample *s, uint64_t group, const nqi_goal *goal,
                             bool weighs);
void nqi_sample_release(nqi_sample *s, uint64_t group);

/* The goal of a group that has none of its own at this coarseness. The group is to be released. */
nq_status nqi_sample_goal(nqi_goal *goal, nqi_sample *s, uint64_t group, double coarseness);

/* The coarseness at which groups of equal slopes have this lambda. */
double nqi_sample_coarseness(const nqi_sample *s, double lambda);

/* The goal that suits a size of cells, for methods other than ECSQ. */
nqi_goal nqi_sample_goal_of_step(const nqi_sample *s, uint64_t group, double log2_step);

/* Equal slopes: the goal with which D + lambda R is least. What nqi_sample_measure returns. */
nq_status nqi_slope_goal(nqi_goal *goal, nqi_sample *s, uint64_t group, double lambda);
void nqi_slope_free(nqi_sample *s, uint64_t group);

#endif
