/*
 * Writing descriptions of rANS codes: docs/format/rans.md.
 */
#include "codec/rans_fit.h"

void nqi_rans_put(nqi_rans_bits *bits, uint32_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++, bits->n_bits++)
        if (bits->n_bits / 8 < bits->capacity)
            bits->bytes[bits->n_bits / 8] |= (uint8_t)((value >> i & 1) << (bits->n_bits % 8));
}

static void put_frequency(nqi_rans_bits *bits, unsigned frequency, unsigned *width)
{
    const unsigned wanted = nqi_rans_width(frequency);
    nqi_rans_put(bits, 0, nqi_rans_zigzag((int)wanted - (int)*width));
    nqi_rans_put(bits, 1, 1);
    if (wanted > 0)
        nqi_rans_put(bits, frequency & ((1u << (wanted - 1)) - 1), wanted - 1);
    *width = wanted;
}

void nqi_rans_put_steps(nqi_rans_bits *bits, const uint16_t *frequency, uint32_t n_tables)
{
    unsigned width = 1;
    for (uint32_t i = 0; i + 1 < n_tables; i++)
        put_frequency(bits, frequency[i], &width);
}

static void put_model(nqi_rans_bits *bits, const nqi_rans_model *model)
{
    const uint32_t last = nqi_rans_last_upper(model->n_symbols, model->low_bits);
    unsigned width = 1;
    nqi_rans_put(bits, model->low_bits, NQI_RANS_LOW_BITS_WIDTH);
    nqi_rans_put(bits, model->first, nqi_rans_width(last));
    nqi_rans_put(bits, model->span - 1, nqi_rans_span_width(last));
    for (uint32_t i = 0; i < model->span; i++)
        put_frequency(bits, model->frequency[i], &width);
}

void nqi_rans_put_models(nqi_rans_bits *bits, const nqi_rans_model *models, uint32_t n_tables)
{
    const nqi_rans_escape_code *code = &models[0].escapes;
    bool has_escape = false;
    for (uint32_t t = 0; t < n_tables; t++) {
        put_model(bits, &models[t]);
        has_escape |= models[t].rest > 0;
    }
    if (has_escape) {
        nqi_rans_put(bits, code->center, code->width);
        nqi_rans_put(bits, code->offset, code->width);
        nqi_rans_put(bits, code->rice_bits, NQI_RANS_RICE_WIDTH);
    }
}
