/*
 * Which code each tensor gets: fixed length, one of those that tensors of its group share, or one
 * of its own, whichever takes the fewest bytes with its table. Shared codes are a Huffman code, a
 * rANS code of one table, and two of several tables that are trained on the indices, one of them of
 * gaps and values; a Huffman code of gaps is always a tensor's own. Sharing starts from all and
 * goes on until nobody gains by going elsewhere: a tensor whose statistics differ pays for its own
 * table and leaves a better shared one behind.
 */
#include "model/model.h"

#include <string.h>

#include "base/diag.h"
#include "base/log2.h"
#include "model/codes_train.h"

/* A table's record in the index: its own length, its data's, checksum, kind, codec. */
#define TABLE_RECORD_BYTES 12u

/* Rounds of going elsewhere. */
#define MAX_ROUNDS 8u

/* No training for fewer elements: several tables would not pay. */
#define MIN_TRAINED 8192u

/* Costs more than anything: not allowed. */
#define NEVER UINT64_MAX

/* ---- Sizes --------------------------------------------------------------------------------- */

uint32_t nqi_model_block_log2(const nqi_model *m)
{
    return m->options.block_log2 ? m->options.block_log2 : NQ_BLOCK_LOG2_DEFAULT;
}

uint64_t nqi_model_blocks(const nqi_model *m, const nqi_model_tensor *t)
{
    return nqi_block_count(t->n, nqi_model_block_log2(m));
}

uint64_t nqi_model_code_bytes(const nqi_model *m, const nqi_model_tensor *t,
                              const nqi_encoder *encoder, const uint64_t *counts)
{
    /* At most 40 bits for each of 2^57 elements. */
    return (nqi_encoder_payload_bits(encoder, counts) + 7) / 8 +
           nqi_model_blocks(m, t) * nqi_encoder_block_overhead(encoder);
}

const nqi_encoder *nqi_model_encoder(const nqi_model *m, const nqi_model_tensor *t)
{
    return t->own ? t->own : m->groups[t->group].codes[t->code];
}

uint32_t nqi_code_codec(uint32_t code)
{
    return code == NQI_CODE_FIXED     ? NQ_CODEC_FIXED
           : code == NQI_CODE_HUFFMAN ? NQ_CODEC_HUFFMAN
                                      : NQ_CODEC_RANS;
}

static uint64_t table_bytes(const nqi_encoder *encoder)
{
    size_t n_bytes;
    (void)nqi_encoder_table(encoder, &n_bytes);
    return n_bytes + TABLE_RECORD_BYTES;
}

/* ---- Offers -------------------------------------------------------------------------------- */

/* A code of the tensor's own, besides those that are shared. */
#define OWN NQI_N_CODES

/* What one tensor may choose from, and what it has chosen. Most tensors are better off with a
 * shared code than with what any of their own takes at least, so that this is priced where it
 * matters. */
typedef struct offer {
    uint64_t bytes[NQI_N_CODES + 1]; /* OWN with its table; NEVER: not allowed */
    bool is_bound;                   /* bytes[OWN] is what any code of its own takes at least */
    uint32_t own_codec;
    nqi_encoder *own; /* that code, if it was the cheapest of all when it was made */
    uint32_t chosen;
} offer;

typedef struct choice {
    nqi_model *m;
    nqi_model_group *g;
    offer *offers;    /* one for each tensor of the group */
    bool *is_member;  /* scratch of that size */
    uint64_t *counts; /* over all levels: zero between uses */
    uint64_t *sums;
    nqi_training_set set; /* of tensors that may have a code that is trained */
    uint32_t n_members[NQI_N_CODES];
} choice;

static nqi_model_tensor *tensor_of(const choice *c, uint32_t i)
{
    return &c->m->tensors[c->g->tensors[i]];
}

static bool may_have(const nqi_model_tensor *t, uint32_t codec)
{
    return t->options.codec == codec || t->options.codec == NQ_CODEC_AUTO;
}

static bool is_trained(uint32_t code)
{
    return code == NQI_CODE_TABLES || code == NQI_CODE_GAP_TABLES;
}

static nq_status make_code(nqi_encoder **out, const choice *c, uint32_t codec,
                           const uint64_t *counts)
{
    const bool is_huffman = codec == NQ_CODEC_HUFFMAN || codec == NQ_CODEC_HUFFMAN_GAPS;
    const uint32_t max_length = is_huffman ? c->m->options.max_code_length : 0;
    return nqi_encoder_create(out, &c->m->env.allocator, codec, c->g->n_numbers,
                              max_length, codec == NQ_CODEC_FIXED ? NULL : counts,
                              NQI_ENCODER_EXACT, c->m->env.cpu);
}

/* The code itself would take much memory for many tensors, most of which do not choose it. */
static void forget_own(offer *o)
{
    nqi_encoder_destroy(o->own);
    o->own = NULL;
}

/* A code of tensor i's own, which is kept if it is the cheapest of these. */
static nq_status price_own(choice *c, uint32_t i, uint32_t codec)
{
    const nqi_model_tensor *t = tensor_of(c, i);
    offer *o = &c->offers[i];
    nqi_encoder *own;
    if (!may_have(t, codec))
        return NQ_OK;
    NQI_TRY(make_code(&own, c, codec, c->counts));
    const uint64_t bytes = nqi_model_code_bytes(c->m, t, own, c->counts) + table_bytes(own);
    if (bytes < o->bytes[OWN]) {
        o->bytes[OWN] = bytes;
        o->own_codec = codec;
        nqi_encoder *const before = o->own;
        o->own = own;
        own = before;
    }
    nqi_encoder_destroy(own);
    return NQ_OK;
}

/* Below this share of its most frequent level a code of gaps is not worth trying. */
static bool may_have_gaps(const nqi_model_tensor *t)
{
    uint64_t most = 0;
    for (uint32_t k = 0; k < t->n_counts; k++)
        most = NQI_MAX(most, t->counts[k].count);
    return t->options.codec == NQ_CODEC_HUFFMAN_GAPS || most >= t->n - t->n / 2;
}

/* Levels that a table tells one by one, at least where there are so many. */
#define MOST_TOLD 32u

/* The entropy, the table's record, and about a byte for each level that is told: codes that are
 * made from counts were never seen to be smaller. */
static uint64_t least_own(const nqi_model_tensor *t)
{
    double n = 0, sum = 0;
    for (uint32_t k = 0; k < t->n_counts; k++) {
        const double count = (double)t->counts[k].count;
        n += count;
        sum += count * nqi_log2(count);
    }
    const double bits = n > 0 ? n * nqi_log2(n) - sum : 0;
    return (uint64_t)(NQI_MAX(bits, 0.0) / 8 * (1 - 0x1p-20)) + TABLE_RECORD_BYTES +
           NQI_MIN(t->n_counts, MOST_TOLD);
}

static nq_status price_alone(choice *c, uint32_t i)
{
    const nqi_model_tensor *t = tensor_of(c, i);
    offer *o = &c->offers[i];
    o->bytes[OWN] = NEVER;
    o->is_bound = false;
    nqi_model_spread_counts(c->counts, t);
    nq_status status = price_own(c, i, NQ_CODEC_HUFFMAN);
    if (status == NQ_OK)
        status = price_own(c, i, NQ_CODEC_RANS);
    if (status == NQ_OK && may_have_gaps(t))
        status = price_own(c, i, NQ_CODEC_HUFFMAN_GAPS);
    nqi_model_clear_counts(c->counts, t);
    return status;
}

/* What each tensor costs without the others: in bits of one length, and at least. */
static void bound_alone(choice *c)
{
    for (uint32_t i = 0; i < c->g->n; i++) {
        const nqi_model_tensor *t = tensor_of(c, i);
        offer *o = &c->offers[i];
        for (uint32_t code = 0; code < OWN; code++)
            o->bytes[code] = NEVER;
        o->bytes[OWN] = least_own(t);
        o->is_bound = true;
        nqi_model_spread_counts(c->counts, t);
        if (may_have(t, NQ_CODEC_FIXED))
            o->bytes[NQI_CODE_FIXED] =
                nqi_model_code_bytes(c->m, t, c->g->codes[NQI_CODE_FIXED], c->counts);
        nqi_model_clear_counts(c->counts, t);
    }
}

/* ---- Sharing ------------------------------------------------------------------------------- */

/* Notes who takes part in a shared code: whoever has chosen it or, to begin with, all that may. */
static uint32_t find_members(choice *c, uint32_t code, bool is_first)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->g->n; i++) {
        c->is_member[i] = is_first ? may_have(tensor_of(c, i), nqi_code_codec(code))
                                   : c->offers[i].chosen == code;
        n += c->is_member[i] ? 1 : 0;
    }
    return n;
}

static void sum_members(choice *c)
{
    memset(c->sums, 0, c->g->n_numbers * sizeof *c->sums);
    for (uint32_t i = 0; i < c->g->n; i++) {
        const nqi_model_tensor *t = tensor_of(c, i);
        for (uint32_t k = 0; c->is_member[i] && k < t->n_counts; k++)
            c->sums[t->counts[k].level] += t->counts[k].count;
    }
}

/* A code that is made from counts can code what its members have, and nothing else. */
static bool can_code(const choice *c, const nqi_model_tensor *t)
{
    for (uint32_t k = 0; k < t->n_counts; k++)
        if (c->sums[t->counts[k].level] == 0)
            return false;
    return true;
}

static nq_status price_code(choice *c, uint32_t code)
{
    const nqi_encoder *encoder = c->g->codes[code];
    for (uint32_t i = 0; i < c->g->n; i++) {
        const nqi_model_tensor *t = tensor_of(c, i);
        uint64_t *bytes = &c->offers[i].bytes[code];
        *bytes = NEVER;
        if (!encoder || !may_have(t, nqi_code_codec(code)))
            continue;
        if (is_trained(code)) {
            NQI_TRY(nqi_training_set_price(bytes, &c->set, c->m, c->g, i, encoder));
        } else if (can_code(c, t)) {
            nqi_model_spread_counts(c->counts, t);
            *bytes = nqi_model_code_bytes(c->m, t, encoder, c->counts);
            nqi_model_clear_counts(c->counts, t);
        }
    }
    return NQ_OK;
}

/* A shared code of its members, anew, and what it would cost each tensor. */
static nq_status make_shared(choice *c, uint32_t code, bool is_first)
{
    nqi_encoder **encoder = &c->g->codes[code];
    const uint32_t n = find_members(c, code, is_first), n_before = c->n_members[code];
    c->n_members[code] = n;
    if (!is_first && is_trained(code) && n == n_before)
        return NQ_OK; /* what it was trained on */
    nqi_encoder_destroy(*encoder);
    *encoder = NULL;
    if (n > 0 && is_trained(code))
        NQI_TRY(nqi_training_set_train(encoder, &c->set, c->m, c->g, c->is_member,
                                       code == NQI_CODE_GAP_TABLES));
    if (n > 0 && !is_trained(code)) {
        sum_members(c);
        NQI_TRY(make_code(encoder, c, nqi_code_codec(code), c->sums));
    }
    return price_code(c, code);
}

/* The cheapest of all codes but one; of equals the simplest. */
static uint32_t cheapest_but(const offer *o, uint32_t other)
{
    static const uint32_t order[] = {NQI_CODE_FIXED,  NQI_CODE_HUFFMAN,   NQI_CODE_RANS, OWN,
                                     NQI_CODE_TABLES, NQI_CODE_GAP_TABLES};
    uint32_t best = order[0] == other ? order[1] : order[0];
    for (uint32_t i = 0; i < NQI_COUNT(order); i++)
        if (order[i] != other && o->bytes[order[i]] < o->bytes[best])
            best = order[i];
    return best;
}

/* The same for tensor i, with the price of a code of its own if that is the cheapest. */
static nq_status find_cheapest_but(uint32_t *best, choice *c, uint32_t i, uint32_t other)
{
    offer *o = &c->offers[i];
    *best = cheapest_but(o, other);
    if (*best != OWN || !o->is_bound)
        return NQ_OK;
    NQI_TRY(price_alone(c, i));
    *best = cheapest_but(o, other);
    if (*best != OWN)
        forget_own(o);
    return NQ_OK;
}

#define NO_CODE (NQI_N_CODES + 1)

/* Everyone takes what is cheapest; whether anyone changes. */
static nq_status choose_anew(bool *someone_changed, choice *c)
{
    *someone_changed = false;
    for (uint32_t i = 0; i < c->g->n; i++) {
        offer *o = &c->offers[i];
        uint32_t best;
        NQI_TRY(find_cheapest_but(&best, c, i, NO_CODE));
        *someone_changed |= o->bytes[best] < o->bytes[o->chosen] || o->chosen > OWN;
        if (o->bytes[best] < o->bytes[o->chosen])
            o->chosen = best;
    }
    return NQ_OK;
}

/* What a shared code's members pay with it, and at least without it. */
static void compare(uint64_t *with, uint64_t *without, const choice *c, uint32_t code)
{
    const nqi_encoder *encoder = c->g->codes[code];
    *with = encoder ? table_bytes(encoder) : 0;
    *without = 0;
    for (uint32_t i = 0; i < c->g->n; i++) {
        const offer *o = &c->offers[i];
        const uint64_t otherwise = o->bytes[cheapest_but(o, code)];
        if (o->chosen != code)
            continue;
        *with += o->bytes[code];
        *without = otherwise > NEVER - *without ? NEVER : *without + otherwise;
    }
}

/* Gives a shared code up if its members pay less without it and its table. */
static nq_status drop_unless_it_pays(choice *c, uint32_t code)
{
    uint64_t with, without;
    uint32_t best;
    compare(&with, &without, c, code);
    if (with < without || without == NEVER)
        return NQ_OK;
    for (uint32_t i = 0; i < c->g->n; i++)
        if (c->offers[i].chosen == code)
            NQI_TRY(find_cheapest_but(&best, c, i, code));
    compare(&with, &without, c, code);
    if (with < without || without == NEVER)
        return NQ_OK;
    for (uint32_t i = 0; i < c->g->n; i++) {
        offer *o = &c->offers[i];
        o->bytes[code] = NEVER;
        if (o->chosen == code)
            NQI_TRY(find_cheapest_but(&o->chosen, c, i, NO_CODE));
    }
    nqi_encoder_destroy(c->g->codes[code]);
    c->g->codes[code] = NULL;
    return NQ_OK;
}

/* From what tells most apart to what tells least. */
static const uint32_t shared_codes[] = {NQI_CODE_GAP_TABLES, NQI_CODE_TABLES, NQI_CODE_RANS,
                                        NQI_CODE_HUFFMAN};

/* Codes that are trained are made once, and once more for those who stayed. */
static nq_status settle_sharing(choice *c)
{
    bool someone_changed = true;
    for (uint32_t k = 0; k < NQI_COUNT(shared_codes); k++)
        if (!is_trained(shared_codes[k]) || c->set.n_stretches > 0)
            NQI_TRY(make_shared(c, shared_codes[k], true));
    for (uint32_t i = 0; i < c->g->n; i++)
        NQI_TRY(find_cheapest_but(&c->offers[i].chosen, c, i, NO_CODE));
    for (uint32_t k = 0; k < NQI_COUNT(shared_codes); k++)
        NQI_TRY(drop_unless_it_pays(c, shared_codes[k]));
    for (uint32_t round = 0; round < MAX_ROUNDS && someone_changed; round++) {
        for (uint32_t k = 0; k < NQI_COUNT(shared_codes); k++)
            if (c->g->codes[shared_codes[k]] && (!is_trained(shared_codes[k]) || round == 0))
                NQI_TRY(make_shared(c, shared_codes[k], false));
        NQI_TRY(choose_anew(&someone_changed, c));
    }
    for (uint32_t k = 0; k < NQI_COUNT(shared_codes); k++)
        NQI_TRY(drop_unless_it_pays(c, shared_codes[k]));
    return NQ_OK;
}

/* ---- The group ----------------------------------------------------------------------------- */

static nq_status make_own(choice *c, uint32_t i)
{
    const nqi_model_tensor *t = tensor_of(c, i);
    offer *o = &c->offers[i];
    nqi_model_spread_counts(c->counts, t);
    const nq_status status = make_code(&o->own, c, o->own_codec, c->counts);
    nqi_model_clear_counts(c->counts, t);
    return status;
}

/* Gives each tensor what it has chosen. */
static nq_status assign_codes(choice *c)
{
    for (uint32_t i = 0; i < c->g->n; i++) {
        nqi_model_tensor *t = tensor_of(c, i);
        offer *o = &c->offers[i];
        t->code = o->chosen;
        t->codec = o->chosen == OWN ? o->own_codec : nqi_code_codec(o->chosen);
        t->code_bytes = o->bytes[o->chosen];
        if (o->chosen != OWN)
            continue;
        if (!o->own)
            NQI_TRY(make_own(c, i));
        t->own = o->own;
        o->own = NULL;
        t->code_bytes -= table_bytes(t->own);
    }
    return NQ_OK;
}

/* Indices of all tensors that may have a code that is trained; none if they are few. */
static nq_status make_set(choice *c)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < c->g->n; i++) {
        c->is_member[i] = may_have(tensor_of(c, i), NQ_CODEC_RANS);
        n += c->is_member[i] ? tensor_of(c, i)->n : 0;
    }
    return n >= MIN_TRAINED ? nqi_training_set_make(&c->set, c->m, c->g, c->is_member) : NQ_OK;
}

static nq_status choose(choice *c)
{
    NQI_TRY(make_code(&c->g->codes[NQI_CODE_FIXED], c, NQ_CODEC_FIXED, NULL));
    NQI_TRY(make_set(c));
    bound_alone(c);
    NQI_TRY(settle_sharing(c));
    return assign_codes(c);
}

static nq_status choose_for_group(nqi_model *m, nqi_model_group *g, nq_diag *diag)
{
    const nqi_allocator *a = &m->env.allocator;
    const uint32_t n_levels = g->n_numbers;
    void *offers = NULL, *members = NULL, *counts = NULL, *sums = NULL;
    nq_status status = nqi_alloc_zero(&offers, a, g->n, sizeof(offer));
    if (status == NQ_OK)
        status = nqi_alloc(&members, a, g->n, sizeof(bool));
    if (status == NQ_OK)
        status = nqi_alloc_zero(&counts, a, n_levels, sizeof(uint64_t));
    if (status == NQ_OK)
        status = nqi_alloc(&sums, a, n_levels, sizeof(uint64_t));
    if (status == NQ_OK) {
        choice c = {
            .m = m, .g = g, .offers = offers, .is_member = members, .counts = counts, .sums = sums};
        status = choose(&c);
        for (uint32_t i = 0; i < g->n; i++)
            forget_own(&c.offers[i]);
        nqi_training_set_free(&c.set, m);
    }
    nqi_free(a, offers, g->n, sizeof(offer));
    nqi_free(a, members, g->n, sizeof(bool));
    nqi_free(a, counts, n_levels, sizeof(uint64_t));
    nqi_free(a, sums, n_levels, sizeof(uint64_t));
    return status == NQ_OK ? NQ_OK : nqi_diag_set(diag, status, "no code could be made");
}

nq_status nqi_model_choose_codes(nqi_model *m, nq_diag *diag)
{
    const nq_status status = nqi_model_join_channels(m);
    if (status != NQ_OK)
        return nqi_diag_set(diag, status, "out of memory for levels of channels");
    for (uint64_t i = 0; i < m->n_groups; i++)
        if (nqi_group_leads(&m->groups[i]))
            NQI_TRY(choose_for_group(m, &m->groups[i], diag));
    return NQ_OK;
}
