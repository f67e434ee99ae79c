/*
 * What the codecs are to reach, and how what was measured compares.
 */
#ifndef BENCH_GOALS_H
#define BENCH_GOALS_H

#include <stdbool.h>

#include "streams.h"

typedef struct result {
    const char *row;
    bool is_peer;
    bool is_plain;
    double bits;
    double encode;
    double decode;
} result;

/* Takes note of one codec on one stream. */
void goals_add(const stream *s, const result *r);

/* A line of the table that was measured elsewhere: `found` is to be `must`, better `goal`. */
void goals_line(const char *what, double found, double must, double goal, const char *unit);

/* The table: each goal with its worst stream. */
void goals_print(void);

#endif
