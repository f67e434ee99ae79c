/*
 * How fast quantizers are designed and weights assigned, beside plain reads of the same memory and
 * k-means from packages of the system (faiss, scikit-learn): a table with what the library has set
 * itself to reach. Nothing depends on the outcome.
 *
 * usage: bench_quantizers [-n WEIGHTS] [-r RUNS] [-s]
 *
 * -n: of the large case, 61,000,000 unless it is given; -r: runs of each thing, 5; -s: also what
 * takes minutes and gigabytes (faiss and scikit-learn with 256 levels).
 *
 * Weights are Gaussian, importance is lognormal (sigma 2); one worker, and the thread's CPU time.
 * The median is printed, and behind it the fastest and the slowest run.
 */
#define _GNU_SOURCE /* getopt */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "cluster/kmeans.h"
#include "cpu/cpu.h"
#include "ecsq/descent.h"
#include "ecsq/iterative.h"
#include "ecsq/rdo.h"

#if HAVE_FAISS
double bench_faiss_kmeans1d(const float *w, size_t n, size_t k, float *levels);
#endif

typedef struct weights {
    float *w;
    float *h;
    size_t n;
} weights;

static size_t n_runs = 5;
static bool is_slow;
static nqi_env env;

/* ---- Timing -------------------------------------------------------------------------------- */

typedef struct timing {
    double fastest;
    double median;
    double slowest;
} timing;

/* Seconds of each of several runs. */
static timing time_of(void (*run)(void *), void *arg, size_t runs)
{
    double seconds[MAX_RUNS];
    for (size_t i = 0; i < runs; i++) {
        const double begin = now();
        run(arg);
        seconds[i] = now() - begin;
    }
    const rates r = make_rates(seconds, runs, 1);
    return (timing){.fastest = 1 / r.high, .median = 1 / r.median, .slowest = 1 / r.low};
}

/* In the unit, so many of which are a second; at most, or with `is_least` at least, `must`; 0:
 * there is nothing to reach. */
static void print_line(const char *what, double found, double fastest, double slowest, double must,
                       bool is_least, const char *unit)
{
    printf("%-58s %9.4g (%.4g .. %.4g) %s", what, found, fastest, slowest, unit);
    if (must > 0)
        printf("; %s %g: %s", is_least ? "at least" : "at most", must,
               (is_least ? found >= must : found <= must) ? "met" : "MISSED");
    printf("\n");
    fflush(stdout);
}

static void print_time(const char *what, timing t, double must)
{
    print_line(what, t.median, t.fastest, t.slowest, must, false, "s");
}

static void print_rate(const char *what, timing t, double amount, double must, const char *unit)
{
    print_line(what, amount / t.median, amount / t.slowest, amount / t.fastest, must, true, unit);
}

/* ---- Weights ------------------------------------------------------------------------------- */

static weights draw(size_t n)
{
    weights d = {.w = must_alloc(n * sizeof *d.w), .h = must_alloc(n * sizeof *d.h), .n = n};
    for (size_t i = 0; i < n; i++) {
        d.w[i] = (float)(0.02 * draw_gauss());
        d.h[i] = (float)exp(2 * draw_gauss());
    }
    return d;
}

static void drop(weights *d)
{
    free(d->w);
    free(d->h);
}

static nqi_weights view_of(const weights *d, bool is_weighted)
{
    const nqi_view view = nqi_view_make(d->w, NQ_F32, d->n);
    const nqi_shaping none = nqi_shaping_none();
    nqi_importance h = nqi_importance_ones(d->n);
    if (is_weighted) {
        h.data = (const uint8_t *)d->h;
        h.dtype = NQ_F32;
        h.rank = 1;
        h.n_stored = d->n;
        h.dims[0] = d->n;
        h.strides[0] = 1;
    }
    return nqi_weights_all(&view, &h, &none);
}

static void must(nq_status status)
{
    if (status != NQ_OK)
        die("the library failed");
}

static nqi_summary summarise(const nqi_weights *view)
{
    nqi_summary s = nqi_summary_empty(&env.allocator);
    must(nqi_summary_add(&s, &env, view, NULL));
    return s;
}

/* ---- Reading and summarising --------------------------------------------------------------- */

static volatile uint64_t sink;

typedef struct block {
    const void *memory;
    size_t n_bytes;
} block;

static void run_read(void *arg)
{
    const block *b = arg;
    const uint64_t *words = b->memory;
    uint64_t sum[8] = {0};
    for (size_t i = 0; i + 8 <= b->n_bytes / 8; i += 8)
        for (size_t j = 0; j < 8; j++)
            sum[j] += words[i + j];
    for (size_t j = 0; j < 8; j++)
        sink += sum[j];
}

static void run_summary(void *arg)
{
    nqi_summary s = summarise(arg);
    sink += s.n_bins;
    nqi_summary_free(&s);
}

static void bench_summary(const weights *d)
{
    for (int weighted = 0; weighted < 2; weighted++) {
        block w = {d->w, d->n * sizeof *d->w}, h = {d->h, d->n * sizeof *d->h};
        nqi_weights view = view_of(d, weighted);
        timing read = time_of(run_read, &w, n_runs);
        if (weighted) {
            const timing more = time_of(run_read, &h, n_runs);
            read.fastest += more.fastest;
            read.median += more.median;
            read.slowest += more.slowest;
        }
        const double n_bytes = (double)w.n_bytes * (weighted ? 2 : 1);
        const timing pass = time_of(run_summary, &view, n_runs);
        const double part = 100 * read.median / pass.median;
        print_rate(weighted ? "read weights and importance" : "read weights", read, n_bytes / 1e9,
                   0, "GB/s");
        print_time(weighted ? "summary, weighted" : "summary", pass, 0);
        print_line("  of the speed of reading", part, 100 * read.fastest / pass.slowest,
                   100 * read.slowest / pass.fastest, 15, true, "%");
    }
}

/* ---- k-means ------------------------------------------------------------------------------- */

typedef struct kmeans_job {
    nqi_weights view;
    nqi_kmeans_options options;
    nqi_kmeans_result result;
} kmeans_job;

/* Everything: from weights to stored levels. */
static void run_kmeans(void *arg)
{
    kmeans_job *j = arg;
    nqi_summary s = summarise(&j->view);
    nqi_kmeans_free(&j->result);
    must(nqi_kmeans(&j->result, &env, &s, &j->view, 1, &j->options));
    nqi_summary_free(&s);
}

static kmeans_job kmeans_job_of(const weights *d, bool is_weighted, size_t k,
                                nqi_kmeans_method method)
{
    return (kmeans_job){.view = view_of(d, is_weighted),
                        .options = {.k = k, .method = method},
                        .result.codebook.allocator = env.allocator};
}

static double distortion_of(const float *levels, size_t k, const weights *d, bool is_weighted)
{
    nqi_codebook c;
    nqi_fit fit;
    const nqi_weights view = view_of(d, is_weighted);
    double *rising = must_alloc(k * sizeof *rising);
    for (size_t j = 0; j < k; j++)
        rising[j] = (double)levels[j];
    for (size_t j = 1; j < k; j++)
        for (size_t i = j; i > 0 && rising[i - 1] > rising[i]; i--) {
            const double high = rising[i - 1];
            rising[i - 1] = rising[i];
            rising[i] = high;
        }
    must(nqi_codebook_create(&c, &env, rising, k));
    must(nqi_codebook_measure(&fit, &env, &c, &view, 1));
    nqi_codebook_free(&c);
    free(rising);
    return is_weighted ? fit.weighted : fit.squared;
}

/* The interpreter that has it, Debian's first. */
static const char *find_python(void)
{
    static const char *const pythons[] = {"/usr/bin/python3", "python3"};
    char command[128];
    for (size_t i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "%s -c 'import sklearn' 2>/dev/null", pythons[i]);
        if (system(command) == 0)
            return pythons[i];
    }
    return NULL;
}

/* scikit-learn in a process of its own, which prints its CPU time and its levels. */
static bool sklearn(double *seconds, float *levels, size_t k, const weights *d, bool is_weighted)
{
    char command[1024], file[] = P_tmpdir "/bench_quantizers_XXXXXX";
    const char *python = find_python();
    const int fd = python ? mkstemp(file) : -1;
    if (fd < 0)
        return false;
    FILE *f = fdopen(fd, "wb");
    bool is_good = f && fwrite(d->w, sizeof *d->w, d->n, f) == d->n &&
                   fwrite(d->h, sizeof *d->h, d->n, f) == d->n;
    if (f)
        is_good &= fclose(f) == 0;
    snprintf(command, sizeof command, "%s '%s' %s %zu %d 2>/dev/null", python, SKLEARN_SCRIPT, file,
             k, is_weighted);
    FILE *out = is_good ? popen(command, "r") : NULL;
    is_good = out && fscanf(out, "%lf", seconds) == 1;
    for (size_t j = 0; j < k && is_good; j++)
        is_good = fscanf(out, "%f", &levels[j]) == 1;
    if (out)
        pclose(out);
    unlink(file);
    return is_good;
}

static void compare_peers(const weights *d, size_t k, bool is_weighted, timing ours,
                          double distortion)
{
    float *levels = must_alloc(k * sizeof *levels);
    double seconds;
#if HAVE_FAISS
    if (!is_weighted && (k < 100 || is_slow)) {
        const double begin = now();
        bench_faiss_kmeans1d(d->w, d->n, k, levels);
        seconds = now() - begin;
        printf("  faiss::kmeans1d: %.3g s, %.1f times as long (at least 10: %s), distortion %+.2e "
               "of ours\n",
               seconds, seconds / ours.median, seconds >= 10 * ours.median ? "met" : "MISSED",
               distortion_of(levels, k, d, false) / distortion - 1);
    }
#else
    if (!is_weighted)
        printf("  faiss::kmeans1d: not available\n");
#endif
    if (k < 100 || is_slow) {
        if (sklearn(&seconds, levels, k, d, is_weighted))
            printf("  scikit-learn: %.3g s, %.1f times as long (at least 20: %s), distortion "
                   "%+.2e of ours\n",
                   seconds, seconds / ours.median, seconds >= 20 * ours.median ? "met" : "MISSED",
                   distortion_of(levels, k, d, is_weighted) / distortion - 1);
        else
            printf("  scikit-learn: not available\n");
    }
    free(levels);
}

/* One method; returns its distortion. */
static double bench_million(const weights *d, size_t k, bool is_weighted, nqi_kmeans_method method,
                            const char *name)
{
    char what[80];
    kmeans_job j = kmeans_job_of(d, is_weighted, k, method);
    const timing t = time_of(run_kmeans, &j, n_runs);
    const double distortion =
        distortion_of(j.result.codebook.levels, j.result.codebook.n, d, is_weighted);
    snprintf(what, sizeof what, "%s k-means, 10^6, k = %zu%s", name, k,
             is_weighted ? ", weighted" : "");
    print_time(what, t, 0);
    compare_peers(d, k, is_weighted, t, distortion);
    nqi_kmeans_free(&j.result);
    return distortion;
}

static void bench_kmeans_million(void)
{
    static const size_t ks[] = {16, 256};
    weights d = draw(1000000);
    for (size_t i = 0; i < 2; i++)
        for (int weighted = 0; weighted < 2; weighted++) {
            const double least = bench_million(&d, ks[i], weighted, NQI_KMEANS_EXACT, "exact");
            const double found = bench_million(&d, ks[i], weighted, NQI_KMEANS_OPTIMAL, "default");
            printf("  distortion of the default: %+.2e of the least\n", found / least - 1);
        }
    drop(&d);
}

static void bench_kmeans_exact(void)
{
    weights d = draw(10000000);
    kmeans_job j = kmeans_job_of(&d, true, 256, NQI_KMEANS_EXACT);
    print_time("exact k-means, 10^7, k = 256, weighted", time_of(run_kmeans, &j, (n_runs + 1) / 2),
               1.5);
    nqi_kmeans_free(&j.result);
    drop(&d);
}

static void bench_kmeans_default(const weights *d)
{
    for (int weighted = 0; weighted < 2; weighted++) {
        kmeans_job j = kmeans_job_of(d, weighted, 256, NQI_KMEANS_OPTIMAL);
        print_time(weighted ? "default k-means, large, k = 256, weighted"
                            : "default k-means, large, k = 256",
                   time_of(run_kmeans, &j, n_runs), 0.6 * (double)d->n / 6.1e7);
        nqi_kmeans_free(&j.result);
    }
}

/* ---- Entropy-constrained quantization ------------------------------------------------------ */

typedef struct ecsq_job {
    nqi_weights view;
    nqi_summary summary;
    nqi_rows rows;
    nqi_assigner *assigner;
    nqi_descent now;
    nqi_descent before;
    nqi_descent_options options;
} ecsq_job;

static void run_rows(void *arg)
{
    ecsq_job *j = arg;
    nqi_rows_free(&j->rows);
    must(nqi_rows_from_weights(&j->rows, &env, &j->summary, &j->view, 1, NQI_ROWS_ALL));
}

static void run_iteration(void *arg)
{
    ecsq_job *j = arg;
    j->now.iterations = 0;
    must(nqi_descent_run(&j->now, &j->before, &env, j->assigner, &j->rows, &j->options, false));
}

/* 240 levels, a dozen iterations on their way. */
static void start_descent(ecsq_job *j, double lambda)
{
    enum { K = 256 };
    double levels[K];
    for (size_t i = 0; i < K; i++)
        levels[i] = 0.08 * (((double)i + 0.5) / (K / 2) - 1);
    must(nqi_assigner_create(&j->assigner, &env, &j->rows, K));
    must(nqi_descent_create(&j->now, &env.allocator, K));
    must(nqi_descent_create(&j->before, &env.allocator, K));
    j->options = (nqi_descent_options){.lambda = nqi_scaled_lambda(lambda, j->rows.scale),
                                       .tolerance = -1,
                                       .max_iterations = 12,
                                       .lengths = nqi_ideal_lengths};
    nqi_descent_begin(&j->now, levels, NULL, K);
    must(nqi_descent_run(&j->now, &j->before, &env, j->assigner, &j->rows, &j->options, true));
    j->options.max_iterations = 1;
}

typedef struct rdo_job {
    const nqi_rdo *rdo;
    const nqi_codebook *codebook;
    const weights *d;
    uint16_t *indices;
} rdo_job;

static void run_rdo(void *arg)
{
    const rdo_job *j = arg;
    double h[NQI_SLICE_ELEMS];
    for (size_t at = 0; at < j->d->n; at += NQI_SLICE_ELEMS) {
        const size_t n = NQI_MIN(j->d->n - at, NQI_SLICE_ELEMS);
        for (size_t i = 0; i < n; i++)
            h[i] = (double)j->d->h[at + i];
        nqi_rdo_assign(j->rdo, j->indices, j->d->w + at, h, n);
    }
    sink += j->indices[0];
}

static void bench_rdo(const weights *d, const ecsq_job *j, double lambda)
{
    rdo_job r = {.d = d, .indices = must_alloc(NQI_SLICE_ELEMS * sizeof(uint16_t))};
    nqi_rdo *rdo;
    float levels[256];
    for (size_t i = 0; i < j->now.k; i++)
        levels[i] = (float)j->now.levels[i];
    must(nqi_rdo_create(&rdo, &env, &j->rows, levels, j->now.lengths, j->now.k, lambda));
    r.rdo = rdo;
    print_rate("rate-distortion optimal assignment, weighted, large", time_of(run_rdo, &r, n_runs),
               (double)d->n / 1e9, 0, "G weights/s");
    nqi_rdo_destroy(rdo);
    free(r.indices);
}

static void bench_ecsq(const weights *d)
{
    /* a bit for a thousandth of the variance, at the mean importance exp(2) */
    const double lambda = 1e-3 * 4e-4 * exp(2) * 0.1;
    ecsq_job j = {.view = view_of(d, true)};
    char what[80];
    j.summary = summarise(&j.view);
    print_time("rows for entropy-constrained design, large", time_of(run_rows, &j, 2), 0);
    start_descent(&j, lambda);
    snprintf(what, sizeof what, "  an iteration, weighted, %zu levels", j.now.k);
    print_time(what, time_of(run_iteration, &j, 2 * n_runs), 0.05 * (double)d->n / 6.1e7);
    bench_rdo(d, &j, lambda);
    nqi_descent_free(&j.before, &env.allocator);
    nqi_descent_free(&j.now, &env.allocator);
    nqi_assigner_destroy(j.assigner);
    nqi_rows_free(&j.rows);
    nqi_summary_free(&j.summary);
}

/* ---- Assignment ---------------------------------------------------------------------------- */

static void run_assign(void *arg)
{
    const rdo_job *j = arg;
    for (size_t at = 0; at < j->d->n; at += NQI_SLICE_ELEMS)
        nqi_codebook_assign(j->codebook, j->indices, j->d->w + at,
                            NQI_MIN(j->d->n - at, NQI_SLICE_ELEMS));
    sink += j->indices[0];
}

static void bench_assign(const weights *d)
{
    static const size_t ks[] = {16, 32, 256};
    static const double goals[] = {0.9, 0.6, 0.3};
    rdo_job j = {.d = d, .indices = must_alloc(NQI_SLICE_ELEMS * sizeof(uint16_t))};
    char what[80];
    for (size_t i = 0; i < 3; i++) {
        double levels[256];
        nqi_codebook c;
        for (size_t l = 0; l < ks[i]; l++)
            levels[l] = 0.08 * (((double)l + 0.5) * 2 / (double)ks[i] - 1);
        must(nqi_codebook_create(&c, &env, levels, ks[i]));
        j.codebook = &c;
        snprintf(what, sizeof what, "assignment to the nearest of %zu levels", ks[i]);
        print_rate(what, time_of(run_assign, &j, n_runs), (double)d->n / 1e9, goals[i],
                   "G weights/s");
        nqi_codebook_free(&c);
    }
    free(j.indices);
}

/* ---- All ----------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    size_t n = 61000000;
    for (int option; (option = getopt(argc, argv, "n:r:s")) != -1;) {
        if (option == 'n')
            n = (size_t)strtod(optarg, NULL);
        else if (option == 'r')
            n_runs = (size_t)strtoul(optarg, NULL, 10);
        else if (option == 's')
            is_slow = true;
        else
            die("usage: bench_quantizers [-n WEIGHTS] [-r RUNS] [-s]");
    }
    if (n < 1000 || n_runs < 1 || 2 * n_runs > MAX_RUNS)
        die("numbers out of range");
    env = nqi_env_default();
    env.cpu = nqi_cpu_features();
    print_machine();
    printf("large: %zu weights; %zu runs\n", n, n_runs);
    weights d = draw(n);
    bench_summary(&d);
    bench_assign(&d);
    bench_kmeans_default(&d);
    bench_ecsq(&d);
    drop(&d);
    bench_kmeans_exact();
    bench_kmeans_million();
    return 0;
}
