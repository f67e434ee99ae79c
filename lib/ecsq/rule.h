/*
 * The rate-distortion rule for a range of importance: which level minimises h (w - c)^2 + lambda l,
 * the lowest of several. It is told by two envelopes, for the least and the largest lambda / h of
 * the range, each a list of levels that win somewhere and of the thresholds between them. Where
 * both agree, all importance in between does; elsewhere the levels that can win are compared.
 */
#ifndef NQI_ECSQ_RULE_H
#define NQI_ECSQ_RULE_H

#include "base/alloc.h"
#include "base/common.h"

/* Levels in rising order, and the length of the code of each in bits. */
typedef struct nqi_priced_levels {
    const double *levels;  /* different */
    const double *lengths; /* finite, >= 0 */
    size_t k;              /* 1..NQ_MAX_LEVELS */
} nqi_priced_levels;

typedef struct nqi_envelope {
    uint32_t *winners;  /* n of them, rising */
    double *thresholds; /* n - 1: above the i-th, winner i + 1 wins, up to it winner i */
    size_t n;
} nqi_envelope;

typedef struct nqi_rule {
    nqi_priced_levels priced;
    double lambda;
    nqi_envelope dear;  /* at the least lambda / h: distortion weighs most */
    nqi_envelope cheap; /* at the largest */
    bool is_single;     /* both are the same, at one lambda / h */
    size_t capacity;    /* levels there is room for */
} nqi_rule;

NQI_MUST_CHECK nq_status nqi_rule_create(nqi_rule *rule, const nqi_allocator *a, size_t max_k);
void nqi_rule_free(nqi_rule *rule, const nqi_allocator *a);

/* Sets the rule for importance h_min..h_max, > 0; `priced` is borrowed and has at most max_k. */
void nqi_rule_set(nqi_rule *rule, const nqi_priced_levels *priced, double lambda, double h_min,
                  double h_max);

/* The place in an envelope of the winner for w. */
size_t nqi_envelope_find(const nqi_envelope *e, double w);

/* The winner for a weight of importance within the range. */
uint32_t nqi_rule_apply(const nqi_rule *rule, double w, double h);

/* Levels that may win between two winners, for weights low..high where `dear` wins at the least
 * lambda / h and `cheap` at the largest: those with lengths between theirs that are no farther away
 * than `cheap` is. At most k, rising, both included. */
size_t nqi_rule_candidates(uint32_t *candidates, const nqi_rule *rule, double low, double high,
                           uint32_t dear, uint32_t cheap);

/* The winner among n > 0 candidates. */
uint32_t nqi_rule_compare(const nqi_rule *rule, const uint32_t *candidates, size_t n, double w,
                          double h);

/* The level that costs least where nothing is lost: the first of the shortest. */
uint32_t nqi_shortest_level(const nqi_priced_levels *priced);

#endif
