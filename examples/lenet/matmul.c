/*
 * Matrix product in blocks. Both matrices are copied into panels that the inner loop reads from
 * front to back: a block of b, which stays in the second-level cache, and TILE_ROWS rows of a in
 * the first. The inner loop keeps a tile of c in registers; its bounds are constants, so that any
 * optimising compiler unrolls it and forms vectors along the columns.
 *
 * Never sums in an order that depends on the machine: see matmul.h.
 */
#include "matmul.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Widths that gcc 12 and clang 14 make good code of, for the registers of AVX and of SSE or NEON.
 */
#define TILE_ROWS 4u
#ifdef __AVX__
#define TILE_COLUMNS 32u
#else
#define TILE_COLUMNS 8u
#endif

/* 256 x 512 floats, half a megabyte, is the block of b. */
#define MATMUL_DEPTH  256u
#define BLOCK_COLUMNS 512u

struct matmul_room {
    float a[MATMUL_DEPTH * TILE_ROWS];
    float b[MATMUL_DEPTH * BLOCK_COLUMNS];
};

static_assert(BLOCK_COLUMNS % TILE_COLUMNS == 0, "panels fill a block");
static_assert(TILE_ROWS == 4, "multiply_tile has four sums");

matmul_room *matmul_room_create(void)
{
    return malloc(sizeof(matmul_room));
}

void matmul_room_destroy(matmul_room *room)
{
    free(room);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Up to `width` columns of `depth` rows of m, one row behind another, filled up with zeros. */
static void pack_panel(float *panel, matrix m, size_t depth, size_t columns, size_t width)
{
    for (size_t k = 0; k < depth; k++) {
        const float *row = m.data + k * m.row_step;
        for (size_t j = 0; j < columns; j++)
            panel[k * width + j] = row[j * m.column_step];
        for (size_t j = columns; j < width; j++)
            panel[k * width + j] = 0;
    }
}

static matrix part(matrix m, size_t row, size_t column)
{
    m.data += row * m.row_step + column * m.column_step;
    return m;
}

static matrix transposed(matrix m)
{
    return (matrix){.data = m.data, .row_step = m.column_step, .column_step = m.row_step};
}

/* One row of c to a variable: compilers keep these in registers, but give up on an array of rows.
 */
static void multiply_tile(float tile[TILE_ROWS][TILE_COLUMNS], const float *a, const float *b,
                          size_t depth)
{
    float sum0[TILE_COLUMNS] = {0}, sum1[TILE_COLUMNS] = {0};
    float sum2[TILE_COLUMNS] = {0}, sum3[TILE_COLUMNS] = {0};
    for (size_t k = 0; k < depth; k++, a += TILE_ROWS, b += TILE_COLUMNS) {
        const float a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
        for (size_t j = 0; j < TILE_COLUMNS; j++) {
            const float bj = b[j];
            sum0[j] += a0 * bj;
            sum1[j] += a1 * bj;
            sum2[j] += a2 * bj;
            sum3[j] += a3 * bj;
        }
    }
    memcpy(tile[0], sum0, sizeof sum0);
    memcpy(tile[1], sum1, sizeof sum1);
    memcpy(tile[2], sum2, sizeof sum2);
    memcpy(tile[3], sum3, sizeof sum3);
}

/* c += the product of the panels in `room`: up to TILE_ROWS rows, any number of columns. */
static void add_strip(float *c, size_t row_step, size_t rows, size_t depth, size_t columns,
                      const matmul_room *room)
{
    for (size_t column = 0; column < columns; column += TILE_COLUMNS) {
        float tile[TILE_ROWS][TILE_COLUMNS];
        multiply_tile(tile, room->a, room->b + column * depth, depth);
        const size_t width = smaller(TILE_COLUMNS, columns - column);
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < width; j++)
                c[i * row_step + column + j] += tile[i][j];
    }
}

static void add_block(float *c, size_t row_step, matrix a, matrix b, size_t rows, size_t depth,
                      size_t columns, matmul_room *room)
{
    for (size_t column = 0; column < columns; column += TILE_COLUMNS)
        pack_panel(room->b + column * depth, part(b, 0, column), depth,
                   smaller(TILE_COLUMNS, columns - column), TILE_COLUMNS);
    for (size_t row = 0; row < rows; row += TILE_ROWS) {
        const size_t height = smaller(TILE_ROWS, rows - row);
        pack_panel(room->a, transposed(part(a, row, 0)), depth, height, TILE_ROWS);
        add_strip(c + row * row_step, row_step, height, depth, columns, room);
    }
}

void matmul_add(float *c, matrix a, matrix b, size_t rows, size_t depth, size_t columns,
                matmul_room *room)
{
    for (size_t column = 0; column < columns; column += BLOCK_COLUMNS)
        for (size_t k = 0; k < depth; k += MATMUL_DEPTH)
            add_block(c + column, columns, part(a, 0, k), part(b, k, column), rows,
                      smaller(MATMUL_DEPTH, depth - k), smaller(BLOCK_COLUMNS, columns - column),
                      room);
}
