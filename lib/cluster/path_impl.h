/*
 * What path.c and path_search.c share.
 */
#ifndef NQI_CLUSTER_PATH_IMPL_H
#define NQI_CLUSTER_PATH_IMPL_H

#include "cluster/path.h"

/* A position between points: sums over the points before it, from somewhere near, and the length of
 * the shortest path to it. Differences of these are all that edges need. */
typedef struct node {
    double s0; /* importance h */
    double s1; /* h (x - centre) */
    double s2; /* h (x - centre)^2 */
    double best;
} node;

typedef struct point {
    double x;
    double h;
} point;

/* A beginning of edges, and the first position at which it is the best of all in the queue. */
typedef struct entry {
    uint32_t begin;
    uint32_t from;
} entry;

struct nqi_path {
    const nqi_env *env;
    const nqi_line *line;
    size_t n;         /* different values: positions are 0..n */
    size_t next_item; /* of the line */
    uint32_t *from;   /* for each position, where the last edge to it begins */
    size_t k;         /* cells of the path that was found last */

    /* The window: rings of `capacity` items, a power of two. */
    node *nodes;   /* by position */
    point *points; /* by the position before them */
    entry *queue;  /* by number, head to tail - 1 */
    size_t capacity;
    size_t mask;
    size_t head;
    size_t tail;
    size_t ahead; /* the last position whose sums are known */
    double centre;
    double lambda;

    /* By position, or NULL: what an edge that ends there is shorter by, and where to note the
     * lengths of the shortest paths. */
    const double *discounts;
    double *lengths;
    double length; /* of the path that was found last */
};

/* Reads points from the first one on. */
void nqi_path_rewind(nqi_path *p);
void nqi_path_next_point(nqi_path *p, double *x, double *h);

/* The shortest path at a lambda > 0: p->from and p->k. */
NQI_MUST_CHECK nq_status nqi_path_solve(nqi_path *p, double lambda);

/* Its p->k + 1 positions. */
void nqi_path_borders(const nqi_path *p, uint32_t *borders);

#endif
