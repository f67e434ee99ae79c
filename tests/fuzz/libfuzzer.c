/*
 * One target behind libFuzzer's interface: compiled once for each, with FUZZ_TARGET its name.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    FUZZ_TARGET.run(data, n_bytes);
    return 0;
}
