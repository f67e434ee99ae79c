/*
 * nq curve: size and distortion of a model for several methods, codecs and rates, as CSV or JSON,
 * to be plotted or read by a program. Nothing is written but the table.
 */
#include <inttypes.h>
#include <stdio.h>

#include "errors.h"
#include "planning.h"
#include "progress.h"
#include "report.h"
#include "values.h"
#include "verbs.h"

/* Bits a weight. */
static const double rates[] = {0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 8};
#define N_RATES (sizeof rates / sizeof rates[0])

typedef struct point {
    const char *method;
    const char *codec;
    double rate;
    uint32_t n_levels; /* of the largest codebook */
    nq_plan_report total;
} point;

typedef struct curve {
    const cli_options *o;
    planning p;
    buffer text;
    size_t n_points;
} curve;

/* ---- A point ------------------------------------------------------------------------------- */

static int count_levels(point *at, const curve *c)
{
    for (size_t i = 0; i < c->p.weights.n_tensors; i++) {
        nq_plan_tensor_report t = {.struct_size = sizeof t};
        const nq_status status = nq_plan_get_tensor_report(c->p.plan, i, &t);
        if (status != NQ_OK)
            return planning_error(&c->p, status);
        if (t.is_quantized && t.n_levels > at->n_levels)
            at->n_levels = t.n_levels;
    }
    return CLI_DONE;
}

/* *is_reached is false for rates that cannot be had: they are left out. */
static int try_point(point *at, bool *is_reached, curve *c, const nq_plan_options *options)
{
    const int code = planning_make(&c->p, options);
    if (code != CLI_DONE)
        return code;
    nq_status status = nq_plan_write(c->p.plan, NULL);
    *is_reached = status != NQ_E_TARGET;
    if (status == NQ_E_TARGET)
        return CLI_DONE;
    at->total = (nq_plan_report){.struct_size = sizeof at->total};
    if (status == NQ_OK)
        status = nq_plan_get_report(c->p.plan, &at->total);
    return status == NQ_OK ? count_levels(at, c) : planning_error(&c->p, status);
}

/* ---- The table ----------------------------------------------------------------------------- */

static void add_number(buffer *b, bool is_json, const char *name, double value)
{
    char text[32];
    if (is_json) {
        buffer_printf(b, ", \"%s\": ", name);
        buffer_json_double(b, value);
    } else {
        buffer_printf(b, ",%s", value - value == 0 ? shortest_double(text, value) : "");
    }
}

static void add_point(curve *c, const point *at)
{
    const bool is_json = c->o->json;
    buffer *b = &c->text;
    if (is_json)
        buffer_printf(b, "%s\n  {\"method\": \"%s\", \"codec\": \"%s\"", c->n_points ? "," : "",
                      at->method, at->codec);
    else
        buffer_printf(b, "%s,%s", at->method, at->codec);
    add_number(b, is_json, "target_bits_per_weight", at->rate);
    add_number(b, is_json, "compressed_bytes", (double)at->total.compressed_bytes);
    add_number(b, is_json, "ratio", at->total.ratio);
    add_number(b, is_json, "bits_per_weight", at->total.bits_per_weight);
    add_number(b, is_json, "levels", at->n_levels);
    add_number(b, is_json, "mse", at->total.mse);
    add_number(b, is_json, "sqnr_db", at->total.sqnr_db);
    add_number(b, is_json, "max_abs_error", at->total.max_abs_error);
    add_number(b, is_json, "weighted_distortion", at->total.weighted_distortion);
    buffer_text(b, is_json ? "}" : "\n");
    c->n_points++;
}

static int add_curve(curve *c, uint32_t method, uint32_t codec)
{
    nq_plan_options options = c->o->plan;
    options.method = method;
    options.codec = codec;
    options.target = NQ_TARGET_BITS_PER_WEIGHT;
    for (size_t i = 0; i < N_RATES; i++) {
        point at = {.method = choice_word(choices_method, method),
                    .codec = choice_word(choices_codec, codec),
                    .rate = rates[i]};
        bool is_reached;
        options.target_value = rates[i];
        const int code = try_point(&at, &is_reached, c, &options);
        if (code != CLI_DONE)
            return code;
        if (is_reached)
            add_point(c, &at);
    }
    return CLI_DONE;
}

/* Without options: all methods, and the smallest code for each tensor. */
static int add_curves(curve *c)
{
    static const uint32_t all[] = {NQ_METHOD_UNIFORM, NQ_METHOD_KMEANS, NQ_METHOD_ECSQ};
    static const uint32_t smallest[] = {NQ_CODEC_AUTO};
    const words *m = &c->o->methods, *k = &c->o->codecs;
    const size_t n_methods = m->n ? m->n : sizeof all / sizeof all[0];
    const size_t n_codecs = k->n ? k->n : 1;
    int code = CLI_DONE;
    for (size_t i = 0; i < n_methods * n_codecs && code == CLI_DONE; i++)
        code = add_curve(c, (m->n ? m->values : all)[i / n_codecs],
                         (k->n ? k->values : smallest)[i % n_codecs]);
    return code;
}

static int run(curve *c)
{
    int code = planning_open(&c->p, c->o);
    if (code != CLI_DONE)
        return code;
    buffer_text(&c->text,
                c->o->json ? "{\"points\": ["
                           : "method,codec,target_bits_per_weight,compressed_bytes,ratio,bits_per_"
                             "weight,levels,mse,sqnr_db,max_abs_error,weighted_distortion\n");
    code = add_curves(c);
    progress_clear();
    if (code != CLI_DONE)
        return code;
    if (c->o->json)
        buffer_text(&c->text, "\n]}\n");
    return report_print(&c->text);
}

int verb_curve(const cli_options *o)
{
    curve c = {.o = o};
    const int code = run(&c);
    if (code != CLI_DONE)
        buffer_free(&c.text);
    planning_close(&c.p);
    return code;
}
