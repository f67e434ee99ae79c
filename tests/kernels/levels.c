/*
 * Indices to levels, and products of rows: each kernel against the reference.
 */
#include "codec/levels_dec.h"
#include "kernels.h"

enum { MOST = 300 };

/* Finite, of all sizes and signs: no sum of a few products overflows. */
static float draw_float(void)
{
    const uint32_t bits = (uint32_t)draw();
    const uint32_t exponent = 64 + (bits >> 23) % 64;
    const uint32_t all = (bits & 0x807fffffu) | exponent << 23;
    float value;
    memcpy(&value, &all, sizeof value);
    return value;
}

typedef struct places {
    guarded levels;
    guarded indices;
    guarded out;
    guarded x;
} places;

static void draw_indices(uint8_t *indices, size_t n, uint32_t n_levels)
{
    for (size_t i = 0; i < n; i++)
        indices[i] = (uint8_t)draw_below(n_levels);
}

static void test_emit(const nqi_levels_kernels *kernels, const places *p, uint32_t n_levels,
                      size_t n)
{
    uint8_t expected[MOST * 4];
    uint8_t *indices = guarded_end(&p->indices, n);
    float *f32 = (float *)(void *)guarded_end(&p->levels, n_levels * sizeof(float));
    uint16_t *u16 = (uint16_t *)(void *)guarded_end(&p->levels, n_levels * sizeof(uint16_t));
    draw_indices(indices, n, n_levels);
    kernels->f32(guarded_end(&p->out, 4 * n), f32, n_levels, indices, n);
    nqi_levels_kernels_ref.f32(expected, f32, n_levels, indices, n);
    CHECK(memcmp(guarded_end(&p->out, 4 * n), expected, 4 * n) == 0);
    uint8_t *odd = p->out.pages + 1 + 2 * draw_below(32);
    kernels->u16(odd, u16, n_levels, indices, n);
    nqi_levels_kernels_ref.u16(expected, u16, n_levels, indices, n);
    CHECK(memcmp(odd, expected, 2 * n) == 0);
    kernels->u16(guarded_end(&p->out, 2 * n), u16, n_levels, indices, n);
    CHECK(memcmp(guarded_end(&p->out, 2 * n), expected, 2 * n) == 0);
    const uint8_t *u8 = guarded_end(&p->levels, n_levels);
    kernels->u8(guarded_end(&p->out, n), u8, n_levels, indices, n);
    nqi_levels_kernels_ref.u8(expected, u8, n_levels, indices, n);
    CHECK(memcmp(guarded_end(&p->out, n), expected, n) == 0);
}

static void test_dot(const nqi_levels_kernels *kernels, const places *p, uint32_t n_levels,
                     size_t n)
{
    float sums[2][NQI_DOT_LANES];
    uint8_t *indices = guarded_end(&p->indices, n);
    float *levels = (float *)(void *)guarded_end(&p->levels, n_levels * sizeof(float));
    const size_t first = draw_below(100);
    float *x = (float *)(void *)guarded_end(&p->x, (first + n) * sizeof(float));
    draw_indices(indices, n, n_levels);
    for (unsigned i = 0; i < NQI_DOT_LANES; i++)
        sums[0][i] = sums[1][i] = draw_float();
    kernels->dot(sums[0], levels, n_levels, indices, x, first, n);
    nqi_levels_kernels_ref.dot(sums[1], levels, n_levels, indices, x, first, n);
    CHECK(memcmp(sums[0], sums[1], sizeof sums[0]) == 0);
    float values[MOST];
    nqi_levels_kernels_ref.f32((uint8_t *)values, levels, n_levels, indices, n);
    memset(sums, 0, sizeof sums);
    nqi_dot_values(sums[0], values, x, first, n);
    kernels->dot(sums[1], levels, n_levels, indices, x, first, n);
    CHECK(memcmp(sums[0], sums[1], sizeof sums[0]) == 0);
}

static void time_levels(const nqi_levels_kernels *kernels, uint32_t n_levels, uint64_t cpu)
{
    static uint8_t indices[TIMED], out[4 * TIMED];
    static float x[TIMED];
    float f32[256], sums[NQI_DOT_LANES] = {0};
    uint16_t u16[256] = {0};
    uint8_t u8[256] = {0};
    char what[40];
    draw_indices(indices, TIMED, n_levels);
    for (unsigned i = 0; i < n_levels; i++)
        f32[i] = (float)i;
    (void)snprintf(what, sizeof what, "f32 of %u levels", n_levels);
    TIME(what, cpu, TIMED, kernels->f32(out, f32, n_levels, indices, TIMED));
    (void)snprintf(what, sizeof what, "16 bits of %u levels", n_levels);
    TIME(what, cpu, TIMED, kernels->u16(out, u16, n_levels, indices, TIMED));
    (void)snprintf(what, sizeof what, "8 bits of %u levels", n_levels);
    TIME(what, cpu, TIMED, kernels->u8(out, u8, n_levels, indices, TIMED));
    (void)snprintf(what, sizeof what, "products, %u levels", n_levels);
    TIME(what, cpu, TIMED, kernels->dot(sums, f32, n_levels, indices, x, 0, TIMED));
}

void test_levels_kernels(void)
{
    const uint32_t sizes[] = {1,  2,  8,  9,  15,  16,  17,  31,  32,
                              33, 63, 64, 65, 100, 128, 129, 255, 256};
    uint64_t cpu;
    places p = {guarded_make(1024), guarded_make(MOST), guarded_make(4 * MOST),
                guarded_make(4 * MOST + 400)};
    for (size_t i = 0; i < p.levels.n_bytes / sizeof(float); i++)
        ((float *)(void *)p.levels.pages)[i] = draw_float();
    for (size_t i = 0; i < p.x.n_bytes / sizeof(float); i++)
        ((float *)(void *)p.x.pages)[i] = draw_float();
    for (unsigned at = 0; next_cpu(&cpu, &at);) {
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            for (size_t n = 0; n < MOST; n++) {
                test_emit(nqi_levels_kernels_for(cpu), &p, sizes[k], n);
                test_dot(nqi_levels_kernels_for(cpu), &p, sizes[k], n);
            }
        for (uint32_t n_levels = 16; n_levels <= 256; n_levels *= 4)
            time_levels(nqi_levels_kernels_for(cpu), n_levels, cpu);
    }
    guarded_free(&p.levels);
    guarded_free(&p.indices);
    guarded_free(&p.out);
    guarded_free(&p.x);
}
