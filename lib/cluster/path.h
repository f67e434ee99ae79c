/*
 * Optimal clustering of points on a line, as a shortest path: a cell of neighbouring points is an
 * edge whose length is the cell's distortion plus lambda, and the shortest path from before the
 * first point to after the last one is the best partition at that lambda. Since distortion has the
 * property of Monge, its number of cells falls as lambda rises, and all numbers are reached, if
 * need be by crossing two paths of the same length (Aggarwal, Schieber, Tokuyama 1994; for k-means
 * Gronlund et al. 2017). Time and memory are linear in the points and do not depend on the number
 * of cells.
 */
#ifndef NQI_CLUSTER_PATH_H
#define NQI_CLUSTER_PATH_H

#include "stats/line.h"

/* Points with equal values count as one. */
typedef struct nqi_path nqi_path;

/* For the points of a line, which is borrowed. NQ_E_NOMEM; NQ_E_LIMIT for 2^32 - 1 points or more.
 */
NQI_MUST_CHECK nq_status nqi_path_create(nqi_path **out, const nqi_env *env, const nqi_line *line);
void nqi_path_destroy(nqi_path *path);

/* Different values. */
size_t nqi_path_points(const nqi_path *path);

/* A partition: cell j has the points borders[j] to borders[j + 1] - 1, and their mean. */
typedef struct nqi_cells {
    size_t k;
    uint32_t *borders; /* k + 1 */
    double *means;     /* k, weighted by importance */
    double *h;         /* k, importance */
} nqi_cells;

NQI_MUST_CHECK nq_status nqi_cells_create(nqi_cells *cells, const nqi_allocator *a, size_t k);
void nqi_cells_free(nqi_cells *cells, const nqi_allocator *a, size_t k);

/*
 * The best partition into k cells, for 1 <= k <= points, into *cells, which has room for k; fewer
 * cells where values and importance differ by more than doubles can sum up. *lambda
 * is where to begin looking, 0 for no idea, and becomes a lambda at which it is best. Adds the
 * number of shortest paths that it took to *n_solved. NQ_E_NOMEM, NQ_E_CANCELLED.
 */
NQI_MUST_CHECK nq_status nqi_path_find(nqi_path *path, nqi_cells *cells, size_t k, double *lambda,
                                       uint32_t *n_solved);

/* The best partition at this lambda, into *cells, if it has k cells; *found tells. */
NQI_MUST_CHECK nq_status nqi_path_find_at(nqi_path *path, bool *found, nqi_cells *cells, size_t k,
                                          double lambda);

/*
 * At which bins a partition of all weights may have a border, if it is the best one at this lambda:
 * is_border[i] for the line's point i, which is a bin of a summary, tells whether there may be one
 * within it or at its beginning. above[i] is how far the bin's last float lies above its mean, or for
 * the first bin above its first float; 0 if it has a single value. The line is turned and turned back. *known is false if nothing can be
 * told. NQ_E_NOMEM, NQ_E_CANCELLED.
 */
NQI_MUST_CHECK nq_status nqi_path_find_borders(bool *is_border, bool *known, const nqi_env *env,
                                               nqi_line *line, const double *above, double lambda);

#endif
