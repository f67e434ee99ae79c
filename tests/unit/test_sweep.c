/*
 * Every allocation of every step by itself, failing in turn: contexts, statistics, importance,
 * codebooks, encoders, readers and decoders. What a function promises to leave as it was after a
 * failure is as it was: the same call then gives what it always does.
 */
#include "nq_model.h"
#include "nq_sweep.h"

enum { N = 700, N_LEVELS = 9 };

static float weights[N], more[N], gradient[N];
static double importance[N];
static uint16_t some_indices[N];

static void fill(void)
{
    uint64_t seed = 3;
    for (size_t i = 0; i < N; i++) {
        weights[i] = (float)unit_random_real(&seed);
        more[i] = (float)(2 * unit_random_real(&seed));
        gradient[i] = (float)unit_random_real(&seed);
        importance[i] = 1.01 + unit_random_real(&seed);
        some_indices[i] = (uint16_t)(unit_random(&seed) % N_LEVELS);
    }
}

static nq_tensor describe(uint32_t dtype, const void *data)
{
    nq_tensor t;
    nq_tensor_init(&t);
    t.dtype = dtype;
    t.rank = 1;
    t.dims[0] = N;
    t.data = data;
    return t;
}

/* ---- Contexts ------------------------------------------------------------------------------ */

static nq_status make_context(sweep *s, uint32_t way)
{
    nq_ctx_options o = sweep_ctx_options(s);
    nq_ctx *ctx;
    if (way > (HAVE_THREADS ? 1 : 0))
        return NQ_E_UNSUPPORTED;
    o.n_threads = way ? 3 : 0;
    sweep_arm(s);
    const nq_status status = nq_ctx_create(&ctx, &o);
    sweep_disarm(s);
    assert_true((status == NQ_OK) == (ctx != NULL));
    nq_ctx_destroy(ctx);
    return status;
}

/* ---- Statistics ---------------------------------------------------------------------------- */

static void put_stats(sweep *s, const nq_stats *stats)
{
    const size_t n = nq_stats_size(stats);
    uint8_t *stored = malloc(n);
    assert_int_equal(nq_stats_store(stored, n, stats), NQ_OK);
    sweep_put(s, stored, n);
    free(stored);
}

/* Ways 0 and 1: adding, with importance or not; 2 and 3: merging. Statistics have a tensor before.
 */
static nq_status grow_stats(sweep *s, uint32_t way)
{
    const nq_tensor first = describe(NQ_F32, weights), second = describe(NQ_F32, more);
    const nq_tensor h = describe(NQ_F64, importance), *weight_of = way % 2 ? &h : NULL;
    nq_stats *stats, *other;
    if (way > 3)
        return NQ_E_UNSUPPORTED;
    assert_int_equal(nq_stats_create(&stats, s->ctx), NQ_OK);
    assert_int_equal(nq_stats_create(&other, NULL), NQ_OK);
    assert_int_equal(nq_stats_add(stats, &first, weight_of, NULL), NQ_OK);
    assert_int_equal(nq_stats_add(other, &second, weight_of, NULL), NQ_OK);
    const uint64_t start = s->hash;
    put_stats(s, stats);
    const uint64_t before = s->hash;
    sweep_arm(s);
    const nq_status status =
        way < 2 ? nq_stats_add(stats, &second, weight_of, NULL) : nq_stats_merge(stats, other);
    sweep_disarm(s);
    if (status != NQ_OK) {
        s->hash = start;
        put_stats(s, stats);
        assert_true(s->hash == before);
        assert_int_equal(way < 2 ? nq_stats_add(stats, &second, weight_of, NULL)
                                 : nq_stats_merge(stats, other),
                         NQ_OK);
    }
    s->hash = start;
    put_stats(s, stats);
    nq_stats_destroy(stats);
    nq_stats_destroy(other);
    return status;
}

static nq_status make_stats(sweep *s, uint32_t way)
{
    const nq_tensor t = describe(NQ_F32, weights);
    nq_stats *source, *stats = NULL;
    if (way > 1)
        return NQ_E_UNSUPPORTED;
    assert_int_equal(nq_stats_create(&source, NULL), NQ_OK);
    assert_int_equal(nq_stats_add(source, &t, NULL, NULL), NQ_OK);
    const size_t n = nq_stats_size(source);
    uint8_t *stored = malloc(n);
    assert_int_equal(nq_stats_store(stored, n, source), NQ_OK);
    sweep_arm(s);
    const nq_status status =
        way ? nq_stats_load(&stats, s->ctx, stored, n) : nq_stats_create(&stats, s->ctx);
    sweep_disarm(s);
    assert_true((status == NQ_OK) == (stats != NULL));
    if (stats)
        put_stats(s, stats);
    nq_stats_destroy(stats);
    nq_stats_destroy(source);
    free(stored);
    return status;
}

/* ---- Importance, pruning, distortion ------------------------------------------------------- */

static nq_status change_importance(nq_importance *sums, uint32_t way)
{
    const nq_tensor g = describe(NQ_F32, gradient), w = describe(NQ_F32, weights);
    return way == 1 ? nq_importance_add_squares(sums, &g, NULL)
                    : nq_importance_add_probes(sums, &w, &g, NULL);
}

/* What allocates nothing cannot fail for want of memory: then there is nothing to sweep. */
static nq_status make_importance(sweep *s, uint32_t way)
{
    nq_importance *sums;
    if (way > 0)
        return NQ_E_UNSUPPORTED;
    sweep_arm(s);
    const nq_status status = nq_importance_create(&sums, s->ctx, N);
    sweep_disarm(s);
    assert_true((status == NQ_OK) == (sums != NULL));
    for (uint32_t k = 1; sums && k < 3; k++) {
        s->n_calls = 0;
        sweep_arm(s);
        assert_int_equal(change_importance(sums, k), NQ_OK);
        sweep_disarm(s);
        sweep_put(s, nq_importance_sums(sums), N * sizeof(double));
        s->n_calls = 1;
    }
    nq_importance_destroy(sums);
    return status;
}

static nq_status prune(sweep *s, uint32_t way)
{
    const nq_tensor w = describe(NQ_F32, weights), h = describe(NQ_F64, importance);
    const nq_tensor *tensors[] = {&w, &w}, *hs[] = {&h, NULL};
    static uint8_t first[N], second[N];
    uint8_t *const masks[] = {first, second};
    nq_prune_options o;
    if (way > 1)
        return NQ_E_UNSUPPORTED;
    nq_prune_options_init(&o);
    o.rule = way ? NQ_PRUNE_SALIENCY : NQ_PRUNE_MAGNITUDE;
    o.density = 0.3;
    sweep_arm(s);
    const nq_status status = nq_prune(masks, NULL, s->ctx, tensors, hs, 2, &o, NULL);
    sweep_disarm(s);
    sweep_put(s, first, N);
    sweep_put(s, second, N);
    return status;
}

/* Way 0: gradients of levels; 1: distortion. Nothing is added by what fails. */
static nq_status add_up(sweep *s, uint32_t way)
{
    const nq_tensor g = describe(NQ_F32, gradient), h = describe(NQ_F64, importance);
    double sums[N_LEVELS] = {0};
    uint64_t counts[N_LEVELS] = {0};
    nq_distortion d;
    if (way > 1)
        return NQ_E_UNSUPPORTED;
    nq_distortion_init(&d);
    const nq_distortion none = d;
    sweep_arm(s);
    const nq_status status =
        way ? nq_distortion_add(&d, s->ctx, &g, &h, &h)
            : nq_level_gradients(sums, counts, N_LEVELS, s->ctx, some_indices, &g);
    sweep_disarm(s);
    if (status != NQ_OK) {
        assert_memory_equal(&d, &none, sizeof d);
        for (size_t i = 0; i < N_LEVELS; i++)
            assert_true(sums[i] == 0 && counts[i] == 0);
    }
    sweep_put(s, sums, sizeof sums);
    sweep_put(s, counts, sizeof counts);
    sweep_put(s, &d, sizeof d);
    return status;
}

/* ---- Codebooks ----------------------------------------------------------------------------- */

static nq_status assign_all(sweep *s, const nq_codebook *book, const nq_tensor *w,
                            const nq_tensor *h)
{
    static uint16_t indices[N];
    nq_codebook_report report = {.struct_size = sizeof report};
    assert_int_equal(nq_codebook_get_report(book, &report), NQ_OK);
    const nq_status status = nq_codebook_assign(indices, book, w, h, NULL);
    if (status == NQ_OK) {
        sweep_put(s, nq_codebook_levels(book), report.n_levels * sizeof(float));
        sweep_put(s, indices, sizeof indices);
    }
    return status;
}

/* Ways 0 to 5: k-means in its three ways, without and with importance; 6 to 8: entropy-constrained,
 * and with levels that stay; 9: levels as they are given. Way + 10: with statistics that are there.
 */
static nq_status design(sweep *s, uint32_t way)
{
    const nq_tensor w = describe(NQ_F32, weights), h = describe(NQ_F64, importance);
    const nq_tensor *tensors[] = {&w}, *hs[] = {&h};
    const bool has_importance = way % 10 < 9 && way % 2;
    const nq_tensor *const *h_of = has_importance ? hs : NULL;
    nq_codebook *book = NULL;
    nq_stats *stats = NULL;
    nq_kmeans_options k;
    nq_ecsq_options e;
    nq_status status;
    if (way >= 18)
        return NQ_E_UNSUPPORTED;
    nq_kmeans_options_init(&k);
    nq_ecsq_options_init(&e);
    k.n_levels = 7;
    k.method = way % 10 / 2 < 3 ? way % 10 / 2 : 0;
    k.start = NQ_START_PLUS_PLUS;
    e.lambda = 0.01;
    e.step = 0.1;
    if (way >= 10) {
        assert_int_equal(nq_stats_create(&stats, NULL), NQ_OK);
        assert_int_equal(nq_stats_add(stats, &w, has_importance ? &h : NULL, NULL), NQ_OK);
    }
    sweep_arm(s);
    if (way % 10 < 6)
        status = nq_kmeans(&book, s->ctx, stats, tensors, h_of, 1, &k, NULL);
    else if (way % 10 < 8)
        status = nq_ecsq(&book, s->ctx, stats, tensors, h_of, 1, &e, NULL);
    else if (way == 8)
        status =
            nq_ecsq_reassign(&book, s->ctx, (float[]){-1, 0, 0.5f}, 3, tensors, h_of, 1, &e, NULL);
    else
        status = nq_codebook_create(&book, s->ctx, (float[]){-1, 0, 0.5f}, 3);
    assert_true((status == NQ_OK) == (book != NULL));
    if (status == NQ_OK)
        status = assign_all(s, book, &w, has_importance ? &h : NULL);
    sweep_disarm(s);
    nq_codebook_destroy(book);
    nq_stats_destroy(stats);
    return status;
}

/* ---- Codes --------------------------------------------------------------------------------- */

static nq_status encode(sweep *s, uint32_t way)
{
    static const uint32_t codecs[] = {NQ_CODEC_FIXED, NQ_CODEC_HUFFMAN, NQ_CODEC_RANS,
                                      NQ_CODEC_HUFFMAN_GAPS};
    uint64_t counts[N_LEVELS] = {0};
    nq_encoder_options o;
    nq_encoder *e;
    static uint8_t block[8 * N];
    size_t n = 0, table_bytes;
    if (way >= 8)
        return NQ_E_UNSUPPORTED;
    const uint32_t codec = codecs[way % 4];
    nq_encoder_options_init(&o);
    o.codec = codec;
    o.n_levels = N_LEVELS;
    assert_int_equal(nq_indices_count(counts, N_LEVELS, some_indices, N), NQ_OK);
    sweep_arm(s);
    nq_status status = nq_encoder_create(&e, s->ctx, &o, codec == NQ_CODEC_FIXED ? NULL : counts);
    assert_true((status == NQ_OK) == (e != NULL));
    if (e) {
        const uint8_t *table = nq_encoder_table(e, &table_bytes);
        sweep_put(s, table, table_bytes);
        /* With room for the bound, or for just what there is, which may take memory. */
        size_t room = (size_t)nq_encoder_bound(e, N);
        assert_true(room <= sizeof block);
        if (way >= 4) {
            sweep_disarm(s);
            assert_int_equal(nq_encoder_encode(e, block, room, &room, some_indices, N), NQ_OK);
            sweep_arm(s);
        }
        status = nq_encoder_encode(e, block, room, &n, some_indices, N);
        sweep_put(s, block, n);
    }
    sweep_disarm(s);
    nq_encoder_destroy(e);
    return status;
}

/* ---- Files --------------------------------------------------------------------------------- */

static model files;

static nq_status open_file(sweep *s, uint32_t way)
{
    behind b = {.file = &files.file};
    const nq_source source = source_behind(&b);
    nq_reader *r;
    uint64_t found;
    if (way > 1)
        return NQ_E_UNSUPPORTED;
    sweep_arm(s);
    const nq_status status = way ? nq_reader_open_source(&r, s->ctx, &source, NULL)
                                 : nq_reader_open(&r, s->ctx, files.file.at, files.file.n, NULL);
    sweep_disarm(s);
    assert_true((status == NQ_OK) == (r != NULL));
    if (r)
        assert_int_equal(nq_reader_find(r, "h", 1, &found), NQ_OK);
    nq_reader_destroy(r);
    return status;
}

static nq_status decode_by_hand(sweep *s, const nq_reader *r, uint64_t tensor, float *out, size_t n)
{
    nq_decoder *d;
    nq_status status = nq_decoder_create(&d, s->ctx, r, tensor, NULL, NULL);
    assert_true((status == NQ_OK) == (d != NULL));
    if (status == NQ_OK)
        status = nq_decoder_read(d, NQ_F32, 0, n, out);
    nq_decoder_destroy(d);
    return status;
}

/* Each tensor by a decoder, and all at once; verifying. From a span and from behind a callback. */
static nq_status read_file(sweep *s, uint32_t way)
{
    const uint32_t tensor = way / 2 % 5, kind = way / 10;
    static const uint64_t chosen[] = {0, 1, 2, 7, 9};
    behind b = {.file = &files.file};
    if (way >= 30)
        return NQ_E_UNSUPPORTED;
    const coded *t = &files.t[chosen[tensor]];
    nq_reader *r = way % 2 ? open_behind(&b, NULL) : open_span(&files.file);
    float *out = calloc(t->n, sizeof *out);
    nq_status status;
    sweep_arm(s);
    if (kind == 0)
        status = decode_by_hand(s, r, chosen[tensor], out, t->n);
    else if (kind == 1)
        status = nq_reader_decode(r, s->ctx, chosen[tensor], NQ_F32, 0, t->n, out, NULL);
    else
        status = nq_reader_verify(r, s->ctx, chosen[tensor], NULL, NULL, NULL);
    sweep_disarm(s);
    if (status == NQ_OK)
        sweep_put(s, out, t->n * sizeof *out);
    free(out);
    nq_reader_destroy(r);
    return status;
}

/* New levels: all of them or none. */
static nq_status set_levels(sweep *s, uint32_t way)
{
    uint8_t *file = malloc(files.file.n), *before = malloc(files.file.n);
    float levels[30];
    if (way > 0) {
        free(file);
        free(before);
        return NQ_E_UNSUPPORTED;
    }
    memcpy(file, files.file.at, files.file.n);
    memcpy(before, file, files.file.n);
    for (size_t i = 0; i < 30; i++)
        levels[i] = (float)i;
    sweep_arm(s);
    const nq_status status = nq_file_set_levels(file, files.file.n, s->ctx, 1, levels, 30, NULL);
    sweep_disarm(s);
    if (status != NQ_OK)
        assert_memory_equal(file, before, files.file.n);
    sweep_put(s, file, files.file.n);
    free(file);
    free(before);
    return status;
}

/* ---- All of them --------------------------------------------------------------------------- */

static void serially(void **state)
{
    static const sweep_fn all[] = {make_context, grow_stats, make_stats, make_importance,
                                   prune,        add_up,     design,     encode,
                                   open_file,    read_file,  set_levels};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sweep_all(all[i], NULL);
}

static void by_workers(void **state)
{
    static const sweep_fn all[] = {grow_stats, prune, add_up, design, read_file};
    uint32_t n_workers = 3;
    const nq_ctx_options workers = {
        .parallel_for = run_backwards, .parallel_user = &n_workers, .max_workers = n_workers};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sweep_all(all[i], &workers);
}

static int run_all(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serially),
        cmocka_unit_test(by_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    fill();
    files = make_model();
    const int n_failed = sweep_main("steps", true, run_all);
    free_model(&files);
    return n_failed;
}
