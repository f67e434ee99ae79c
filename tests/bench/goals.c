/*
 * What the codecs are to reach: see goals.h. A goal is a ratio of two rows, or a size over the
 * entropy, on some of the streams; the worst of them counts.
 */
#include "goals.h"

#include <stdio.h>
#include <string.h>

enum { MAX_RESULTS = 512 };

typedef struct entry {
    const char *stream;
    int kind;
    double nominal;
    double entropy;
    result r;
} entry;

static entry entries[MAX_RESULTS];
static size_t n_entries;

void goals_add(const stream *s, const result *r)
{
    if (n_entries < MAX_RESULTS)
        entries[n_entries++] = (entry){.stream = s->name,
                                       .kind = (int)s->kind,
                                       .nominal = s->nominal,
                                       .entropy = s->entropy,
                                       .r = *r};
}

/* ---- Goals --------------------------------------------------------------------------------- */

/* What a row is compared with. */
enum against { FASTEST_PEER, HUFF0, FSE, ENTROPY };

typedef struct goal {
    const char *what;
    const char *row;
    enum against against;
    bool is_encoding;
    bool takes_drawn; /* drawn streams within the bounds, in bits */
    bool takes_models;
    double from;
    double to;
    double must;
    double goal;
} goal;

/* Sizes are what is left over the entropy, in percent. */
static const goal goals[] = {
    {"rANS decode, 2-4 bits", "rANS", FASTEST_PEER, false, true, false, 2, 4, 3, 4},
    {"rANS decode, models of 3 bits", "rANS", FASTEST_PEER, false, false, true, 3, 3, 3, 4},
    {"the same with CRC", "rANS and CRC", FASTEST_PEER, false, true, true, 2, 4, 3, 4},
    {"rANS decode, 5 bits", "rANS", FASTEST_PEER, false, true, true, 5, 5, 2.5, 3},
    {"rANS decode, AVX2, 2-3 bits", "rANS, AVX2", FASTEST_PEER, false, true, false, 2, 3, 1.2, 1.5},
    {"rANS decode, AVX2, models", "rANS, AVX2", FASTEST_PEER, false, false, true, 3, 5, 0.9, 1.5},
    {"rANS decode, plain C", "rANS, plain C", FSE, false, true, true, 2, 5, 1, 2},
    {"rANS size, above 2 bits", "rANS", ENTROPY, false, true, false, 2.1, 7, 1.2, 0.5},
    {"rANS size, 2 bits", "rANS", ENTROPY, false, true, false, 1, 2, 1.5, 0.5},
    {"rANS size, 90 % zeros", "rANS", ENTROPY, false, true, false, 0, 0, 2, 1},
    {"rANS encode", "rANS", FASTEST_PEER, true, true, true, 2, 5, 2, 4},
    {"Huffman decode, plain C, to 3 bits", "Huffman, plain C", HUFF0, false, true, false, 2, 3, 1.3,
     1.5},
    {"Huffman decode, plain C, all", "Huffman, plain C", HUFF0, false, true, true, 0, 8, 0.65, 1},
};

static bool takes(const goal *g, const entry *e)
{
    if (e->kind == STREAM_DRAWN ? !g->takes_drawn : e->kind != STREAM_MODELS || !g->takes_models)
        return false;
    return e->nominal >= g->from && e->nominal <= g->to;
}

static bool is_opponent(const goal *g, const entry *e)
{
    switch (g->against) {
    case HUFF0:
        return e->r.is_peer && strcmp(e->r.row, "huff0 4X2") == 0;
    case FSE:
        return e->r.is_peer && strncmp(e->r.row, "FSE", 3) == 0;
    default:
        return e->r.is_peer;
    }
}

/* What a row reached on its stream; 0 if there is nothing to compare it with. */
static double reached(const goal *g, const entry *e)
{
    double best = 0;
    if (g->against == ENTROPY)
        return 100 * (e->r.bits / e->entropy - 1);
    for (size_t i = 0; i < n_entries; i++) {
        const entry *other = &entries[i];
        const double rate = g->is_encoding ? other->r.encode : other->r.decode;
        if (other->stream == e->stream && is_opponent(g, other) && rate > best)
            best = rate;
    }
    return best > 0 ? (g->is_encoding ? e->r.encode : e->r.decode) / best : 0;
}

/* ---- Table --------------------------------------------------------------------------------- */

static void print_line(const char *what, double found, double must, double wanted, const char *unit,
                       const char *where)
{
    const bool is_size = wanted < must;
    const bool has_must = is_size ? found <= must : found >= must;
    const bool has_goal = is_size ? found <= wanted : found >= wanted;
    printf("  %-36s %7.2f%-4s %6.2f %6.2f   %-6s %s\n", what, found, unit, must, wanted,
           has_goal   ? "goal"
           : has_must ? "must"
                      : "SHORT",
           where);
}

static void print_goal(const goal *g)
{
    const bool is_size = g->against == ENTROPY;
    const entry *worst = NULL;
    double found = 0;
    for (size_t i = 0; i < n_entries; i++) {
        const entry *e = &entries[i];
        if (e->r.is_peer || strcmp(e->r.row, g->row) != 0 || !takes(g, e))
            continue;
        const double now = reached(g, e);
        if (now != 0 && (!worst || (is_size ? now > found : now < found))) {
            worst = e;
            found = now;
        }
    }
    if (worst)
        print_line(g->what, found, g->must, g->goal, is_size ? " %" : "x", worst->stream);
    else
        printf("  %-36s not measured\n", g->what);
}

typedef struct line {
    const char *what;
    const char *unit;
    double found;
    double must;
    double goal;
} line;

static line lines[16];
static size_t n_lines;

void goals_line(const char *what, double found, double must, double wanted, const char *unit)
{
    if (n_lines < sizeof lines / sizeof *lines)
        lines[n_lines++] = (line){what, unit, found, must, wanted};
}

void goals_print(void)
{
    printf("\n%-38s %7s %10s %6s          %s\n", "what is to be reached", "found", "must", "goal",
           "at the worst");
    for (size_t i = 0; i < sizeof goals / sizeof *goals; i++)
        print_goal(&goals[i]);
    for (size_t i = 0; i < n_lines; i++)
        print_line(lines[i].what, lines[i].found, lines[i].must, lines[i].goal, lines[i].unit, "");
}
