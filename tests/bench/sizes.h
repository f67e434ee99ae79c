/*
 * What real models take when all their tensors have one step: files of the library beside codes of
 * one table for a model, and of a table for each tensor.
 */
#ifndef BENCH_SIZES_H
#define BENCH_SIZES_H

/* Of each model in `folder`. */
void measure_sizes(const char *folder);

#endif
