/*
 * Decodes a file on a Cortex-M without an operating system or a C library: see bare_metal.py. Tells
 * the emulator how it went by semihosting.
 */
#include <nq/container.h>
#include <nq/decode.h>

#include "file.h" /* file_bytes, EXPECTED_CRC */

enum { AT_ONCE = 1000, GOOD = 0, WRONG_VALUES = 1, CRASHED = 2, REFUSED = 100 };

/* What the decoder may ask of its surroundings. */
void *memcpy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    if ((uintptr_t)to <= (uintptr_t)from)
        return memcpy(to, from, n);
    while (n-- > 0)
        ((volatile char *)to)[n] = ((const char *)from)[n];
    return to;
}

void *memset(void *to, int value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile char *)to)[i] = (char)value;
    return to;
}

int memcmp(const void *left, const void *right, size_t n)
{
    const unsigned char *a = left, *b = right;
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

static unsigned char reader_memory[1 << 11], decoder_memory[1 << 17];

static uint32_t crc32(uint32_t crc, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = (crc >> 1) ^ (UINT32_C(0xedb88320) & (0u - (crc & 1)));
    }
    return ~crc;
}

static nq_status add_tensor(uint32_t *crc, const nq_reader *model, uint64_t tensor)
{
    static float values[AT_ONCE];
    nq_tensor_info info;
    nq_decoder *decoder;
    nq_tensor_info_init(&info);
    nq_status status = nq_reader_tensor(model, tensor, &info);
    if (status == NQ_OK)
        status = nq_decoder_init(&decoder, decoder_memory, sizeof decoder_memory, model, tensor,
                                 NULL, NULL);
    for (uint64_t first = 0; status == NQ_OK && first < info.n_elements; first += AT_ONCE) {
        const uint64_t left = info.n_elements - first;
        const uint64_t count = left < AT_ONCE ? left : AT_ONCE;
        status = nq_decoder_read(decoder, NQ_F32, first, count, values);
        *crc = crc32(*crc, values, (size_t)count * sizeof *values);
    }
    return status;
}

static int decode(void)
{
    nq_source source;
    nq_reader *model;
    nq_reader_info info = {.struct_size = sizeof info};
    uint32_t crc = 0;
    nq_source_init(&source);
    source.bytes = file_bytes;
    source.n_bytes = sizeof file_bytes;
    nq_status status =
        nq_reader_init(&model, reader_memory, sizeof reader_memory, &source, NULL, NULL);
    if (status == NQ_OK)
        status = nq_reader_get_info(model, &info);
    for (uint64_t i = 0; status == NQ_OK && i < info.n_tensors; i++)
        status = add_tensor(&crc, model, i);
    if (status != NQ_OK)
        return REFUSED - status;
    return crc == EXPECTED_CRC ? GOOD : WRONG_VALUES;
}

/* SYS_EXIT_EXTENDED: the emulator ends with this exit status. */
static void leave(int code)
{
    const uint32_t block[2] = {0x20026, (uint32_t)code}; /* ADP_Stopped_ApplicationExit */
    register uint32_t operation __asm__("r0") = 0x20;
    register const uint32_t *argument __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
    for (;;)
        continue;
}

void begin(void);
void begin(void)
{
    leave(decode());
}

static void crash(void)
{
    leave(CRASHED);
}

extern char stack_end[];
__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))(uintptr_t)stack_end, begin, crash, crash, crash, crash, crash,
};
