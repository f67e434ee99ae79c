/*
 * Byte-pair encoding as SentencePiece does it: from single characters on, the neighbours whose
 * joint token has the best score are joined, until no neighbours have one.
 */
#include "tokenizer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The file -------------------------------------------------------------------------------- */

static char *read_whole(const char *path, size_t *n_bytes)
{
    FILE *file = fopen(path, "rb");
    const long size = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    char *bytes = size >= 0 ? malloc((size_t)size + 1) : NULL;
    *n_bytes = bytes && fseek(file, 0, SEEK_SET) == 0 ? fread(bytes, 1, (size_t)size, file) : 0;
    if (file)
        fclose(file);
    return bytes;
}

static uint32_t load(const char *bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Stores the token whose record is at `at`, and returns where the next one is; 0 for a bad record.
 */
static size_t parse(piece *out, const char *file, size_t at, size_t n_bytes)
{
    if (n_bytes - at < 8)
        return 0;
    const uint32_t score = load(file + at), length = load(file + at + 4);
    if (length > n_bytes - at - 8)
        return 0;
    memcpy(&out->score, &score, sizeof out->score);
    out->text = file + at + 8;
    out->n_bytes = length;
    return at + 8 + length;
}

bool tokenizer_read(tokenizer *t, const char *path)
{
    size_t n_bytes;
    memset(t, 0, sizeof *t);
    t->file = read_whole(path, &n_bytes);
    t->tokens = t->file ? malloc((n_bytes / 8 + 1) * sizeof *t->tokens) : NULL;
    if (!t->tokens)
        return false;
    size_t at = n_bytes < 4 ? 0 : 4;
    while (at != 0 && at < n_bytes) {
        at = parse(&t->tokens[t->n_tokens], t->file, at, n_bytes);
        t->n_tokens += at != 0;
    }
    return at != 0 && t->n_tokens >= TOKEN_BYTES + 256;
}

void tokenizer_free(tokenizer *t)
{
    free(t->tokens);
    free(t->file);
}

/* ---- Encoding -------------------------------------------------------------------------------- */

/* n_tokens where there is no such token. The tokens for bytes stand for no text. */
static size_t find(const tokenizer *t, const char *text, size_t n_bytes)
{
    for (size_t i = TOKEN_BYTES + 256; i < t->n_tokens; i++)
        if (t->tokens[i].n_bytes == n_bytes && memcmp(t->tokens[i].text, text, n_bytes) == 0)
            return i;
    return t->n_tokens;
}

static size_t find_joint(const tokenizer *t, size_t a, size_t b)
{
    char text[512];
    const piece *first = &t->tokens[a], *second = &t->tokens[b];
    if (first->n_bytes + second->n_bytes > sizeof text)
        return t->n_tokens;
    memcpy(text, first->text, first->n_bytes);
    memcpy(text + first->n_bytes, second->text, second->n_bytes);
    return find(t, text, first->n_bytes + second->n_bytes);
}

/* One character's token, or a token for each of its bytes. */
static size_t encode_character(size_t *out, const tokenizer *t, const char *text, size_t n_bytes)
{
    out[0] = find(t, text, n_bytes);
    if (out[0] < t->n_tokens)
        return 1;
    for (size_t i = 0; i < n_bytes; i++)
        out[i] = TOKEN_BYTES + (unsigned char)text[i];
    return n_bytes;
}

/* joint[i] is the token that out[i] and out[i + 1] make together. */
static size_t join(size_t *out, size_t *joint, size_t n, const tokenizer *t)
{
    for (size_t i = 0; i + 1 < n; i++)
        joint[i] = find_joint(t, out[i], out[i + 1]);
    for (;;) {
        size_t best = n;
        for (size_t i = 0; i + 1 < n; i++)
            if (joint[i] < t->n_tokens &&
                (best == n || t->tokens[joint[i]].score > t->tokens[joint[best]].score))
                best = i;
        if (best == n)
            return n;
        out[best] = joint[best];
        memmove(out + best + 1, out + best + 2, (n - best - 2) * sizeof *out);
        memmove(joint + best, joint + best + 1, (n - best - 1) * sizeof *joint);
        n--;
        if (best > 0)
            joint[best - 1] = find_joint(t, out[best - 1], out[best]);
        if (best + 1 < n)
            joint[best] = find_joint(t, out[best], out[best + 1]);
    }
}

size_t tokenizer_encode(size_t *out, const tokenizer *t, const char *text, size_t n_bytes)
{
    size_t n = 0;
    out[n++] = TOKEN_BEGIN;
    if (n_bytes == 0)
        return n;
    n += encode_character(out + n, t, " ", 1); /* SentencePiece puts a space in front */
    for (size_t at = 0, length; at < n_bytes; at += length) {
        length = 1;
        while (at + length < n_bytes && length < 4 && (text[at + length] & 0xC0) == 0x80)
            length++;
        n += encode_character(out + n, t, text + at, length);
    }
    size_t *joint = malloc(n * sizeof *joint);
    if (joint)
        n = 1 + join(out + 1, joint, n - 1, t);
    free(joint);
    return n;
}

/* ---- Decoding -------------------------------------------------------------------------------- */

void tokenizer_print(const tokenizer *t, size_t previous, size_t token)
{
    const char *text = t->tokens[token].text;
    size_t n_bytes = t->tokens[token].n_bytes;
    if (token >= TOKEN_BYTES && token < TOKEN_BYTES + 256) {
        putchar((int)(token - TOKEN_BYTES));
        return;
    }
    if (previous == TOKEN_BEGIN && n_bytes > 0 && *text == ' ') {
        text++;
        n_bytes--;
    }
    fwrite(text, 1, n_bytes, stdout);
}
