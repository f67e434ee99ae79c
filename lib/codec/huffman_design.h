/*
 * Deciding on a Huffman code: which bits of an index are coded at all, which symbols get a codeword
 * of their own, and of what length.
 */
#ifndef NQI_HUFFMAN_DESIGN_H
#define NQI_HUFFMAN_DESIGN_H

#include "codec/code_ops_enc.h"
#include "codec/huffman_table_enc.h"

typedef struct nqi_huffman_design {
    uint8_t *lengths; /* n_symbols, or NQI_HUFFMAN_NO_CODE; the caller's */
    uint32_t n_symbols;
    unsigned low_bits;
    bool has_escape;
    unsigned escape_length;
} nqi_huffman_design;

/*
 * The design for which table and indices take the fewest bits, or all but the fewest where that
 * decodes faster. design->lengths has room for spec->n_levels. NQ_E_ARG for a limit over
 * NQI_HUFFMAN_MAX_LENGTH; a limit that leaves no room for a codeword and the escape of each level
 * is raised. NQ_E_NOMEM, NQ_E_LIMIT.
 */
nq_status nqi_huffman_design_make(nqi_huffman_design *design, const nqi_allocator *a,
                                  const nqi_encoder_spec *spec);

static inline nqi_huffman_lengths_view nqi_huffman_design_view(const nqi_huffman_design *design)
{
    return (nqi_huffman_lengths_view){.lengths = design->lengths,
                                      .n_symbols = design->n_symbols,
                                      .low_bits = design->low_bits,
                                      .has_escape = design->has_escape,
                                      .escape_length = design->escape_length};
}

#endif
