/*
 * Numbers of equal width: each kernel against a reader of single bits.
 */
#include "codec/bitpack_dec.h"
#include "codec/bits_fmt.h"
#include "kernels.h"

enum { MOST = 400 };

static unsigned number_at(const uint8_t *bytes, size_t i, unsigned width)
{
    unsigned number = 0;
    for (unsigned k = 0; k < width; k++) {
        const size_t bit = i * width + k;
        number |= (unsigned)(bytes[bit / 8] >> (bit % 8) & 1) << k;
    }
    return number;
}

/* Input and output end at a guard, or begin behind one `shift` bytes. */
static void check(const nqi_unpack_kernels *kernels, const guarded *in, const guarded *out,
                  size_t n, unsigned width, size_t shift, bool at_end)
{
    const size_t n_bytes = (size_t)nqi_packed_bytes(n, width);
    const uint8_t *bytes = at_end ? guarded_end(in, n_bytes) : in->pages + shift;
    uint16_t *u16 = (uint16_t *)(void *)(at_end ? guarded_end(out, 2 * n) : out->pages + 2 * shift);
    kernels->u16(u16, bytes, n, width);
    for (size_t i = 0; i < n; i++)
        CHECK(u16[i] == number_at(bytes, i, width));
    if (width > 8)
        return;
    uint8_t *u8 = at_end ? guarded_end(out, n) : out->pages + shift;
    kernels->u8(u8, bytes, n, width);
    for (size_t i = 0; i < n; i++)
        CHECK(u8[i] == number_at(bytes, i, width));
}

static void test_width(const nqi_unpack_kernels *kernels, unsigned width)
{
    guarded in = guarded_make(2 * MOST), out = guarded_make(2 * MOST);
    draw_bytes(in.pages, in.n_bytes);
    for (size_t n = 0; n < MOST; n++) {
        check(kernels, &in, &out, n, width, 0, true);
        check(kernels, &in, &out, n, width, draw_below(64), false);
    }
    guarded_free(&in);
    guarded_free(&out);
}

static void time_width(const nqi_unpack_kernels *kernels, unsigned width, uint64_t cpu)
{
    static uint8_t bytes[2 * TIMED], u8[TIMED];
    static uint16_t u16[TIMED];
    char what[40];
    (void)snprintf(what, sizeof what, "unpacking to 16, %u bits", width);
    TIME(what, cpu, TIMED, kernels->u16(u16, bytes, TIMED, width));
    (void)snprintf(what, sizeof what, "unpacking to 8, %u bits", width);
    if (width <= 8)
        TIME(what, cpu, TIMED, kernels->u8(u8, bytes, TIMED, width));
}

void test_unpack_kernels(void)
{
    uint64_t cpu;
    for (unsigned at = 0; next_cpu(&cpu, &at);)
        for (unsigned width = 0; width <= 16; width++) {
            test_width(nqi_unpack_kernels_for(cpu), width);
            time_width(nqi_unpack_kernels_for(cpu), width, cpu);
        }
}
