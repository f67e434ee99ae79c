/*
 * The one expensive thing: a matrix product in plain C.
 */
#ifndef LENET_MATMUL_H
#define LENET_MATMUL_H

#include <stddef.h>

/*
 * A matrix in memory: element (i, j) lies at data[i * row_step + j * column_step]. A transposed
 * matrix is the same one with its steps exchanged.
 */
typedef struct matrix {
    const float *data;
    size_t row_step;
    size_t column_step;
} matrix;

/* Room that matmul works in, never shared between threads. */
typedef struct matmul_room matmul_room;

/* NULL when memory is short. */
matmul_room *matmul_room_create(void);
void matmul_room_destroy(matmul_room *room);

/*
 * c += a b, for a of `rows` x `depth`, b of `depth` x `columns` and c of `rows` x `columns`, whose
 * rows lie one behind another. Each element of c gets its products in the order of the depth, in
 * sums of MATMUL_DEPTH: the result does not depend on how the compiler forms vectors, nor on the
 * tile's size.
 */
void matmul_add(float *c, matrix a, matrix b, size_t rows, size_t depth, size_t columns,
                matmul_room *room);

#endif
