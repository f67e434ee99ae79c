/*
 * What a compressed and decoded model must look like, computed without the library: indices as
 * docs/format and the program's manual define them, the mean of each cell, the length of a Huffman
 * code, and the errors between source and decoded.
 *
 * usage: oracle deviation SOURCE                < one line a tensor
 *        oracle check SOURCE DECODED STEP       < one line a tensor
 *
 * Each line is "Q N SOURCE_OFFSET DECODED_OFFSET" for N float32 elements at those places of the two
 * files, Q being 1 if they are quantized. Prints one JSON object. Exit 0, or 2 for wrong usage.
 */
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CELLS (INT64_C(1) << 24)

typedef struct tensor {
    int is_quantized;
    uint64_t n;
    uint64_t source;
    uint64_t decoded;
} tensor;

typedef struct cell {
    uint64_t count;
    long double sum;
    float decoded; /* what its first element became */
} cell;

static void fail(const char *what)
{
    fprintf(stderr, "oracle: %s\n", what);
    exit(2);
}

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n ? n : 1, size);
    if (!memory)
        fail("out of memory");
    return memory;
}

static unsigned char *read_file(const char *path, uint64_t *n_bytes)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        fail(path);
    const long size = ftell(f);
    rewind(f);
    unsigned char *bytes = allocate((size_t)size, 1);
    if (size < 0 || fread(bytes, 1, (size_t)size, f) != (size_t)size)
        fail(path);
    fclose(f);
    *n_bytes = (uint64_t)size;
    return bytes;
}

static tensor *read_tensors(size_t *n_tensors)
{
    size_t capacity = 16;
    tensor *tensors = allocate(capacity, sizeof *tensors), t;
    *n_tensors = 0;
    while (scanf("%d %" SCNu64 " %" SCNu64 " %" SCNu64, &t.is_quantized, &t.n, &t.source,
                 &t.decoded) == 4) {
        if (*n_tensors == capacity) {
            capacity *= 2;
            tensors = realloc(tensors, capacity * sizeof *tensors);
            if (!tensors)
                fail("out of memory");
        }
        tensors[(*n_tensors)++] = t;
    }
    return tensors;
}

static float value_at(const unsigned char *bytes, uint64_t offset, uint64_t i)
{
    const unsigned char *p = bytes + offset + 4 * i;
    const uint32_t bits =
        (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Nearest multiple of the step, halves away from zero. */
static int64_t index_of(float value, double step)
{
    const double magnitude = floor(fabs((double)value) / step + 0.5);
    return value < 0 ? -(int64_t)magnitude : (int64_t)magnitude;
}

static void print_deviation(const unsigned char *source, const tensor *tensors, size_t n_tensors)
{
    long double sum = 0, squares = 0;
    uint64_t n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t t = 0; t < n_tensors; t++)
            for (uint64_t i = 0; tensors[t].is_quantized && i < tensors[t].n; i++) {
                const long double value = value_at(source, tensors[t].source, i);
                if (pass == 0) {
                    sum += value;
                    n++;
                } else {
                    squares += (value - sum / n) * (value - sum / n);
                }
            }
    printf("{\"n\": %" PRIu64 ", \"deviation\": %.17g}\n", n,
           n ? (double)sqrtl(squares / (long double)n) : 0.0);
}

static int compare_counts(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/*
 * Bits of a Huffman code: the sum of all sums that are formed when the two smallest are merged
 * again and again. Merged sums rise, so two queues do without a heap (van Leeuwen 1976). counts is
 * sorted and has room for n - 1 sums behind it.
 */
static uint64_t huffman_bits(uint64_t *counts, size_t n)
{
    qsort(counts, n, sizeof *counts, compare_counts);
    uint64_t *sums = counts + n, total = 0;
    size_t leaf = 0, first = 0, last = 0;
    for (size_t merged = 1; merged < n; merged++) {
        uint64_t pair = 0;
        for (int k = 0; k < 2; k++) {
            const int take_leaf = leaf < n && (first == last || counts[leaf] <= sums[first]);
            pair += take_leaf ? counts[leaf++] : sums[first++];
        }
        sums[last++] = pair;
        total += pair;
    }
    return total;
}

typedef struct grid {
    double step;
    int64_t lowest;
    uint64_t n_cells;
    cell *cells;
} grid;

static grid lay_out(const unsigned char *source, const tensor *tensors, size_t n_tensors,
                    double step)
{
    int64_t lowest = 0, highest = 0;
    for (size_t t = 0; t < n_tensors; t++)
        for (uint64_t i = 0; tensors[t].is_quantized && i < tensors[t].n; i++) {
            const int64_t k = index_of(value_at(source, tensors[t].source, i), step);
            lowest = k < lowest ? k : lowest;
            highest = k > highest ? k : highest;
        }
    if (highest - lowest >= MAX_CELLS)
        fail("too wide a range for this step");
    const uint64_t n_cells = (uint64_t)(highest - lowest + 1);
    return (grid){step, lowest, n_cells, allocate(n_cells, sizeof(cell))};
}

static cell *cell_of(const grid *g, float value)
{
    return &g->cells[index_of(value, g->step) - g->lowest];
}

/* Fills the cells, and counts elements that decode to something else than the rest of their cell.
 */
static uint64_t fill(const grid *g, const unsigned char *source, const unsigned char *decoded,
                     const tensor *tensors, size_t n_tensors)
{
    uint64_t n_strays = 0;
    for (size_t t = 0; t < n_tensors; t++)
        for (uint64_t i = 0; tensors[t].is_quantized && i < tensors[t].n; i++) {
            const float value = value_at(source, tensors[t].source, i);
            const float got = value_at(decoded, tensors[t].decoded, i);
            cell *c = cell_of(g, value);
            if (c->count++ == 0)
                c->decoded = got;
            n_strays += c->decoded != got;
            c->sum += (long double)value;
        }
    return n_strays;
}

/* Largest distance of a level to its cell's mean, in units of the level's last place. A mean that
 * is nearly nothing beside the step is the difference of large sums, and as uncertain as they are.
 */
static double level_ulps(const grid *g)
{
    double worst = 0;
    for (uint64_t k = 0; k < g->n_cells; k++) {
        const cell *c = &g->cells[k];
        if (c->count == 0)
            continue;
        const double mean = (double)(c->sum / (long double)c->count);
        const double unit =
            (double)nextafterf(fabsf((float)mean), INFINITY) - fabs((double)(float)mean);
        const double distance = fabs((double)c->decoded - mean) - 1e-12 * g->step;
        worst = distance / unit > worst ? distance / unit : worst;
    }
    return worst;
}

/* Order-0 entropy of one tensor's indices, bits an element. */
static double entropy(const grid *g, const unsigned char *source, const tensor *t)
{
    uint64_t *counts = allocate(g->n_cells, sizeof *counts);
    long double bits = 0;
    for (uint64_t i = 0; i < t->n; i++)
        counts[cell_of(g, value_at(source, t->source, i)) - g->cells]++;
    for (uint64_t k = 0; k < g->n_cells; k++)
        if (counts[k])
            bits -= (long double)counts[k] * log2l((long double)counts[k] / (long double)t->n);
    free(counts);
    return t->n ? (double)(bits / (long double)t->n) : 0.0;
}

static void print_rate(const grid *g)
{
    uint64_t *counts = allocate(2 * (size_t)g->n_cells, sizeof *counts), n = 0;
    size_t n_used = 0;
    unsigned width = 0;
    for (uint64_t k = 0; k < g->n_cells; k++)
        if (g->cells[k].count) {
            counts[n_used++] = g->cells[k].count;
            n += g->cells[k].count;
        }
    while (((uint64_t)1 << width) < n_used)
        width++;
    const uint64_t bits = n_used ? huffman_bits(counts, n_used) : 0;
    printf("\"used_cells\": %zu, \"huffman_bits\": %" PRIu64 ", \"fixed_bits\": %" PRIu64 ", ",
           n_used, bits, n * width);
    free(counts);
}

/* Errors of one tensor, or of all for n_tensors tensors. */
static void print_errors(const unsigned char *source, const unsigned char *decoded,
                         const tensor *tensors, size_t n_tensors)
{
    long double squares = 0, energy = 0;
    double worst = 0;
    uint64_t n = 0, n_kept_differ = 0;
    for (size_t t = 0; t < n_tensors; t++)
        for (uint64_t i = 0; i < tensors[t].n; i++, n++) {
            const double value = (double)value_at(source, tensors[t].source, i);
            const double error = value - (double)value_at(decoded, tensors[t].decoded, i);
            squares += (long double)error * error;
            energy += (long double)value * value;
            worst = fabs(error) > worst ? fabs(error) : worst;
            n_kept_differ += !tensors[t].is_quantized && error != 0;
        }
    printf("\"n\": %" PRIu64
           ", \"squared_error\": %.17g, \"energy\": %.17g, \"max_abs_error\": %.17g, "
           "\"kept_differ\": %" PRIu64,
           n, (double)squares, (double)energy, worst, n_kept_differ);
}

static void print_check(const unsigned char *source, const unsigned char *decoded,
                        const tensor *tensors, size_t n_tensors, double step)
{
    const grid g = lay_out(source, tensors, n_tensors, step);
    const uint64_t n_strays = fill(&g, source, decoded, tensors, n_tensors);
    printf("{\"strays\": %" PRIu64 ", \"level_ulps\": %.17g, ", n_strays, level_ulps(&g));
    print_rate(&g);
    print_errors(source, decoded, tensors, n_tensors);
    printf(", \"tensors\": [");
    for (size_t t = 0; t < n_tensors; t++) {
        printf("%s{\"entropy\": %.17g, ", t ? ", " : "",
               tensors[t].is_quantized ? entropy(&g, source, &tensors[t]) : 0.0);
        print_errors(source, decoded, &tensors[t], 1);
        printf("}");
    }
    printf("]}\n");
    free(g.cells);
}

static void check_places(const tensor *tensors, size_t n_tensors, uint64_t source_bytes,
                         uint64_t decoded_bytes)
{
    for (size_t t = 0; t < n_tensors; t++)
        if (tensors[t].n > source_bytes / 4 ||
            tensors[t].source > source_bytes - 4 * tensors[t].n ||
            tensors[t].n > decoded_bytes / 4 ||
            tensors[t].decoded > decoded_bytes - 4 * tensors[t].n)
            fail("a tensor lies outside its file");
}

int main(int argc, char **argv)
{
    uint64_t source_bytes, decoded_bytes;
    size_t n_tensors;
    const int is_check = argc == 5 && strcmp(argv[1], "check") == 0;
    if (!is_check && !(argc == 3 && strcmp(argv[1], "deviation") == 0))
        fail("wrong usage");
    tensor *tensors = read_tensors(&n_tensors);
    unsigned char *source = read_file(argv[2], &source_bytes);
    unsigned char *decoded = read_file(argv[is_check ? 3 : 2], &decoded_bytes);
    check_places(tensors, n_tensors, source_bytes, decoded_bytes);
    if (is_check)
        print_check(source, decoded, tensors, n_tensors, strtod(argv[4], NULL));
    else
        print_deviation(source, tensors, n_tensors);
    free(decoded);
    free(source);
    free(tensors);
    return 0;
}
