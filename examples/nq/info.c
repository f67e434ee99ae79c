/*
 * nq info: what a .nq file holds. The table needs nothing but the file's index; JSON also tells
 * each tensor's entropy, for which its indices are decoded.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "errors.h"
#include "report.h"
#include "verbs.h"

#define AT_ONCE (1 << 16) /* indices that are decoded at a time */

/* Memory for counting, of NQ_MAX_LEVELS and AT_ONCE. */
typedef struct counter {
    uint64_t *counts;
    uint16_t *indices;
} counter;

static double entropy_of(const uint64_t *counts, size_t n_levels, uint64_t n)
{
    double bits = 0;
    for (size_t i = 0; i < n_levels; i++)
        if (counts[i])
            bits += (double)counts[i] * log2((double)n / (double)counts[i]);
    return n ? bits / (double)n : 0;
}

/* Counts n indices from element `first` on, of a channel's levels by the number that codes know. */
static void count_channels(const counter *c, const nq_decoder *decoder, const nq_tensor_info *t,
                           uint64_t first, size_t n)
{
    uint64_t inner = 1;
    for (uint32_t i = t->channel_axis + 1; i < t->rank; i++)
        inner *= t->dims[i];
    for (size_t done = 0; done < n;) {
        const uint64_t element = first + done;
        const uint64_t left = inner - element % inner;
        const size_t end = left < n - done ? done + (size_t)left : n;
        const float *levels;
        size_t n_levels;
        uint32_t number = 0;
        (void)!nq_decoder_channel_codebook(decoder, element / inner % t->n_channels, &levels,
                                           &n_levels, &number);
        for (; done < end; done++)
            c->counts[number + c->indices[done]]++;
    }
}

static nq_status count(const counter *c, nq_decoder *decoder, const nq_tensor_info *t)
{
    memset(c->counts, 0, t->n_levels * sizeof *c->counts);
    for (uint64_t first = 0; first < t->n_elements; first += AT_ONCE) {
        const uint64_t left = t->n_elements - first;
        const size_t n_now = left < AT_ONCE ? (size_t)left : AT_ONCE;
        const nq_status status = nq_decoder_read_indices(decoder, first, n_now, c->indices);
        if (status != NQ_OK)
            return status;
        if (t->n_channels)
            count_channels(c, decoder, t, first, n_now);
        for (size_t i = 0; i < n_now && !t->n_channels; i++)
            c->counts[c->indices[i]]++; /* decoded indices are below n_levels */
    }
    return NQ_OK;
}

/* A damaged tensor's entropy stays unknown. */
static int measure(report_row *row, const counter *c, const archive *a, uint64_t i)
{
    nq_decoder *decoder = NULL;
    nq_diag diag;
    nq_diag_init(&diag);
    nq_status status = nq_decoder_create(&decoder, NULL, a->reader, i, NULL, &diag);
    if (status == NQ_OK) {
        const nq_tensor_info t = archive_tensor(a, i);
        status = count(c, decoder, &t);
        if (status != NQ_OK && nq_decoder_diag(decoder, &diag) != NQ_OK)
            diag.status = status;
    }
    nq_decoder_destroy(decoder);
    if (status != NQ_OK)
        return archive_error(a, &diag);
    row->entropy_bits = entropy_of(c->counts, row->n_levels, row->n_elements);
    return CLI_DONE;
}

static int measure_all(report *r, const archive *a)
{
    counter c = {calloc(NQ_MAX_LEVELS, sizeof *c.counts), malloc(AT_ONCE * sizeof *c.indices)};
    int code = c.counts && c.indices ? CLI_DONE : cli_out_of_memory();
    const bool has_memory = code == CLI_DONE;
    for (size_t i = 0; i < r->n_rows && has_memory; i++)
        if (r->rows[i].is_quantized) {
            const int found = measure(&r->rows[i], &c, a, i);
            code = code == CLI_DONE ? found : code;
        }
    free(c.counts);
    free(c.indices);
    return code;
}

static report_row make_row(const archive *a, uint64_t i)
{
    const nq_tensor_info t = archive_tensor(a, i);
    return (report_row){.tensor = archive_describe(a, i),
                        .n_elements = t.n_elements,
                        .is_quantized = t.n_levels > 0,
                        .method = t.method,
                        .codec = t.codec,
                        .n_levels = t.n_levels,
                        .step = t.step,
                        .n_bytes = t.payload_bytes,
                        .bits_per_weight =
                            t.n_elements ? 8.0 * (double)t.payload_bytes / (double)t.n_elements
                                         : 0.0,
                        .entropy_bits = (double)NAN};
}

static int report_on(report *r, const archive *a)
{
    if (!report_make(r, a->info.n_tensors))
        return cli_out_of_memory();
    r->has_sizes = true;
    r->original_bytes = a->info.original_bytes;
    r->compressed_bytes = a->info.file_bytes;
    r->n_elements = a->info.n_elements;
    for (size_t i = 0; i < r->n_rows; i++)
        r->rows[i] = make_row(a, i);
    return CLI_DONE;
}

int verb_info(const cli_options *o)
{
    archive a;
    report r = {0};
    int code = archive_open(&a, o->inputs[0], NULL);
    if (code != CLI_DONE)
        return code;
    code = report_on(&r, &a);
    if (code == CLI_DONE && o->json) {
        code = measure_all(&r, &a);
        const int printed = report_print_json(&r);
        code = code == CLI_DONE ? printed : code;
    } else if (code == CLI_DONE && !o->quiet) {
        code = report_print_table(&r, a.label);
    }
    report_free(&r);
    archive_close(&a);
    return code;
}
