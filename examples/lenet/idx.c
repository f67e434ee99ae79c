/*
 * Reads MNIST's files. Strict: magic, dimensions, the exact size of each file and every label are
 * checked before anything is handed on. Another data set of the same form, Fashion-MNIST, passes.
 */
#include "idx.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_COUNT      1000000u
#define MAX_PATH_BYTES 4096

/* What a file of the set must be. */
typedef struct kind {
    const char *name;
    uint32_t magic; /* bytes, and how many dimensions */
    unsigned rank;
    size_t item_bytes;
} kind;

static const kind images_kind = {"images-idx3", 0x803, 3, IDX_PIXELS};
static const kind labels_kind = {"labels-idx1", 0x801, 1, 1};

/* Big-endian. */
static bool read_u32(uint32_t *value, FILE *file)
{
    unsigned char b[4];
    if (fread(b, 1, sizeof b, file) != sizeof b)
        return false;
    *value = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    return true;
}

static bool read_header(size_t *count, FILE *file, const kind *k, const char *path, fault *f)
{
    uint32_t raw_magic, raw_count;
    if (!read_u32(&raw_magic, file) || raw_magic != k->magic)
        return fault_set(f, FAULT_FORMAT, "%s: not the IDX file that its name says", path);
    if (!read_u32(&raw_count, file) || raw_count == 0)
        return fault_set(f, FAULT_FORMAT, "%s: empty", path);
    if (raw_count > MAX_COUNT)
        return fault_set(f, FAULT_LIMIT, "%s: over a million items", path);
    for (unsigned i = 1; i < k->rank; i++) {
        uint32_t raw_side;
        if (!read_u32(&raw_side, file) || raw_side != IDX_SIDE)
            return fault_set(f, FAULT_FORMAT, "%s: images are not of 28 x 28 pixels", path);
    }
    *count = raw_count;
    return true;
}

static bool read_items(uint8_t **items, size_t *count, FILE *file, const kind *k, const char *path,
                       fault *f)
{
    if (!read_header(count, file, k, path, f))
        return false;
    const size_t n_bytes = *count * k->item_bytes;
    *items = malloc(n_bytes);
    if (!*items)
        return fault_memory(f, path);
    if (fread(*items, 1, n_bytes, file) == n_bytes && fgetc(file) == EOF && !ferror(file))
        return true;
    free(*items);
    *items = NULL;
    return fault_set(f, FAULT_FORMAT, "%s: shorter or longer than its header says", path);
}

static bool read_file(uint8_t **items, size_t *count, const char *folder, const char *part,
                      const kind *k, fault *f)
{
    char path[MAX_PATH_BYTES];
    const int length = snprintf(path, sizeof path, "%s/%s-%s-ubyte", folder, part, k->name);
    if (length < 0 || (size_t)length >= sizeof path)
        return fault_set(f, FAULT_LIMIT, "%.200s...: too long a path", folder);
    FILE *file = fopen(path, "rb");
    if (!file)
        return fault_errno(f, path, "cannot be opened");
    const bool is_read = read_items(items, count, file, k, path, f);
    fclose(file);
    return is_read;
}

static bool check_labels(const idx_set *set, size_t n_labels, const char *folder, fault *f)
{
    if (n_labels != set->count)
        return fault_set(f, FAULT_FORMAT, "%s: %zu images, but %zu labels", folder, set->count,
                         n_labels);
    for (size_t i = 0; i < n_labels; i++)
        if (set->labels[i] >= IDX_CLASSES)
            return fault_set(f, FAULT_FORMAT, "%s: label %zu is not below ten", folder, i);
    return true;
}

bool idx_read(idx_set *set, const char *folder, const char *part, fault *f)
{
    size_t n_labels = 0;
    *set = (idx_set){0};
    if (read_file(&set->pixels, &set->count, folder, part, &images_kind, f) &&
        read_file(&set->labels, &n_labels, folder, part, &labels_kind, f) &&
        check_labels(set, n_labels, folder, f))
        return true;
    idx_free(set);
    return false;
}

void idx_free(idx_set *set)
{
    free(set->pixels);
    free(set->labels);
    *set = (idx_set){0};
}
