/*
 * Packing numbers of equal width: each kernel against a writer of single bits.
 */
#include "codec/bitpack_enc.h"
#include "codec/bits_fmt.h"
#include "kernels.h"

enum { MOST = 300 };

static uint32_t pack_bits(uint8_t *out, const uint16_t *numbers, size_t n, unsigned width)
{
    uint32_t largest = 0;
    memset(out, 0, (size_t)nqi_packed_bytes(n, width));
    for (size_t i = 0; i < n; i++) {
        largest = numbers[i] > largest ? numbers[i] : largest;
        for (unsigned k = 0; k < width; k++)
            out[(i * width + k) / 8] |= (uint8_t)((numbers[i] >> k & 1u) << (i * width + k) % 8);
    }
    return largest;
}

/* Input and output end at a guard, or begin behind one `shift` bytes. The numbers have more bits
 * than are to be packed, or just as many. */
static void check(nqi_pack_fn pack, const guarded *in, const guarded *out, size_t n, unsigned width,
                  size_t shift, bool at_end)
{
    uint8_t expected[2 * MOST];
    const size_t n_bytes = (size_t)nqi_packed_bytes(n, width);
    uint16_t *numbers =
        (uint16_t *)(void *)(at_end ? guarded_end(in, 2 * n) : in->pages + 2 * shift);
    uint8_t *packed = at_end ? guarded_end(out, n_bytes) : out->pages + shift;
    const unsigned kept = draw_below(2) ? width : 1 + (unsigned)draw_below(16);
    for (size_t i = 0; i < n; i++)
        numbers[i] = (uint16_t)(draw() & ((1u << kept) - 1));
    memset(out->pages, 0xaa, 2 * MOST + 128);
    memset(guarded_end(out, 2 * MOST + 64), 0xaa, 2 * MOST + 64);
    const uint32_t largest = pack_bits(expected, numbers, n, width);
    CHECK(pack(packed, numbers, n, width) == largest);
    CHECK(n == 0 || memcmp(packed, expected, n_bytes) == 0);
    for (size_t i = 1; i <= 64; i++) {
        CHECK(packed - out->pages < (ptrdiff_t)i || packed[-(ptrdiff_t)i] == 0xaa);
        CHECK(at_end || packed[n_bytes + i - 1] == 0xaa);
    }
}

static void test_width(nqi_pack_fn pack, unsigned width)
{
    guarded in = guarded_make(2 * MOST + 128), out = guarded_make(2 * MOST + 128);
    for (size_t n = 0; n < MOST; n += n < 70 ? 1 : 7) {
        check(pack, &in, &out, n, width, 0, true);
        check(pack, &in, &out, n, width, draw_below(64), false);
    }
    guarded_free(&in);
    guarded_free(&out);
}

static void time_width(nqi_pack_fn pack, unsigned width, uint64_t cpu)
{
    static uint16_t numbers[TIMED];
    static uint8_t out[2 * TIMED];
    char what[40];
    draw_bytes(numbers, sizeof numbers);
    (void)snprintf(what, sizeof what, "packing, %u bits", width);
    TIME(what, cpu, TIMED, (void)pack(out, numbers, TIMED, width));
}

void test_pack_kernels(void)
{
    uint64_t cpu;
    for (unsigned at = 0; next_cpu(&cpu, &at);)
        for (unsigned width = 0; width <= 16; width++) {
            test_width(nqi_pack_for(cpu), width);
            time_width(nqi_pack_for(cpu), width, cpu);
        }
}
