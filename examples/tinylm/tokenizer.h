/*
 * Text to tokens and back, by llama2.c's tokenizer files: the length of the longest token, then for
 * each token its score (float), its length, and its bytes; all numbers little-endian in four bytes.
 */
#ifndef TINYLM_TOKENIZER_H
#define TINYLM_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>

enum { TOKEN_BEGIN = 1, TOKEN_END = 2, TOKEN_BYTES = 3 /* 256 tokens, one for each byte */ };

typedef struct piece {
    const char *text;
    size_t n_bytes;
    float score;
} piece;

typedef struct tokenizer {
    piece *tokens;
    size_t n_tokens;
    char *file;
} tokenizer;

bool tokenizer_read(tokenizer *t, const char *path);
void tokenizer_free(tokenizer *t);

/* Tokens of n_bytes of text, TOKEN_BEGIN in front, into `out`, which has room for n_bytes + 2.
 * Returns how many. */
size_t tokenizer_encode(size_t *out, const tokenizer *t, const char *text, size_t n_bytes);

/* Prints a token that follows `previous`. */
void tokenizer_print(const tokenizer *t, size_t previous, size_t token);

#endif
