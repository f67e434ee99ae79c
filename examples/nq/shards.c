/*
 * Models in several files: `NAME.safetensors.index.json` tells in "weight_map" which tensor is in
 * which file beside it. The model's order is the map's. Its metadata are those of its files, then
 * the texts that the index has under "metadata"; "total_size" there counts bytes of the files and
 * is left behind, and so is what is no text.
 */
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "model.h"

/* One line of the map. */
typedef struct place {
    json_name tensor;
    size_t file;
} place;

typedef struct parser {
    model *m;
    const char *path;
    fault *f;
    json j;
    char *texts;
    place *places;
    size_t n_places, place_capacity;
    json_name *names; /* of the files */
    size_t n_names, name_capacity;
    st_pair *pairs; /* of the index itself */
    size_t n_pairs, pair_capacity;
    bool has_map, has_metadata;
} parser;

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

/* A safetensors file starts with eight bytes of a length, of which at least the last two are 0. */
bool shards_is_index(const file_view *view, const char *path)
{
    if (view->n_bytes >= 8 && view->bytes[6] == 0 && view->bytes[7] == 0)
        return false;
    return ends_with(path, ".json") || (view->n_bytes > 0 && view->bytes[0] == '{');
}

/* ---- Reading the index --------------------------------------------------------------------- */

/* Room for one more in an array of n elements; NULL if there is no memory. */
static void *grow(void *array, size_t *capacity, size_t n, size_t size)
{
    if (n < *capacity)
        return array;
    const size_t wanted = *capacity ? 2 * *capacity : 64;
    void *grown = wanted > SIZE_MAX / size ? NULL : realloc(array, wanted * size);
    if (grown)
        *capacity = wanted;
    return grown;
}

/* The number of the file of this name; files are few. */
static bool find_file(parser *p, const char *name, size_t n_bytes, size_t *file)
{
    for (*file = 0; *file < p->n_names; ++*file)
        if (p->names[*file].n_bytes == n_bytes && memcmp(p->names[*file].bytes, name, n_bytes) == 0)
            return true;
    void *grown = grow(p->names, &p->name_capacity, p->n_names, sizeof *p->names);
    if (!grown)
        return fault_memory(p->f, p->m->label);
    p->names = grown;
    p->names[p->n_names++] = (json_name){name, n_bytes};
    return true;
}

static bool read_place(parser *p)
{
    place found = {0};
    size_t n_bytes;
    found.tensor.bytes = json_key(&p->j, &p->texts, &found.tensor.n_bytes);
    const char *file = found.tensor.bytes ? json_string(&p->j, &p->texts, &n_bytes) : NULL;
    if (!file || !find_file(p, file, n_bytes, &found.file))
        return false;
    void *grown = grow(p->places, &p->place_capacity, p->n_places, sizeof *p->places);
    if (!grown)
        return fault_memory(p->f, p->m->label);
    p->places = grown;
    p->places[p->n_places++] = found;
    return true;
}

static bool read_map(parser *p)
{
    if (p->has_map)
        return json_refuse(&p->j, "weight_map is there twice");
    p->has_map = true;
    if (!json_enter(&p->j, '{'))
        return false;
    while (json_more(&p->j))
        if (!read_place(p))
            return false;
    return !p->j.error;
}

static bool read_pair(parser *p)
{
    st_pair pair = {0};
    pair.key = json_key(&p->j, &p->texts, &pair.key_bytes);
    if (!pair.key)
        return false;
    if (json_peek(&p->j) != '"' || json_is(pair.key, pair.key_bytes, "total_size"))
        return json_skip(&p->j);
    pair.value = json_string(&p->j, &p->texts, &pair.value_bytes);
    if (!pair.value)
        return false;
    void *grown = grow(p->pairs, &p->pair_capacity, p->n_pairs, sizeof *p->pairs);
    if (!grown)
        return fault_memory(p->f, p->m->label);
    p->pairs = grown;
    p->pairs[p->n_pairs++] = pair;
    return true;
}

static bool read_metadata(parser *p)
{
    if (p->has_metadata)
        return json_refuse(&p->j, "metadata is there twice");
    p->has_metadata = true;
    if (!json_enter(&p->j, '{'))
        return false;
    while (json_more(&p->j))
        if (!read_pair(p))
            return false;
    return !p->j.error;
}

static bool read_members(parser *p)
{
    if (!json_enter(&p->j, '{'))
        return false;
    while (json_more(&p->j)) {
        char *scratch = p->texts;
        size_t n_bytes;
        const char *key = json_key(&p->j, &scratch, &n_bytes);
        const bool good = key && (json_is(key, n_bytes, "weight_map") ? read_map(p)
                                  : json_is(key, n_bytes, "metadata") ? read_metadata(p)
                                                                      : json_skip(&p->j));
        if (!good)
            return false;
    }
    return json_end(&p->j);
}

static bool check_twins(parser *p)
{
    char shown[QUOTED_BYTES];
    json_name *names = malloc((p->n_places ? p->n_places : 1) * sizeof *names);
    if (!names)
        return fault_memory(p->f, p->m->label);
    for (size_t i = 0; i < p->n_places; i++)
        names[i] = p->places[i].tensor;
    const json_name *twin = json_find_twin(names, p->n_places);
    if (twin)
        fault_set(p->f, FAULT_FORMAT, "%s: tensor %s is there twice", p->m->label,
                  fault_quote(shown, twin->bytes, twin->n_bytes));
    free(names);
    return !twin;
}

static bool read_index(parser *p)
{
    const file_view *index = &p->m->index;
    p->texts = p->m->index_texts = malloc((size_t)index->n_bytes + 1);
    if (!p->texts)
        return fault_memory(p->f, p->m->label);
    json_init(&p->j, index->bytes, (size_t)index->n_bytes);
    if (!read_members(p))
        return p->j.error ? fault_set(p->f, FAULT_FORMAT, "%s: byte %zu: %s", p->m->label, p->j.at,
                                      p->j.error)
                          : false;
    if (!p->has_map)
        return fault_set(p->f, FAULT_FORMAT, "%s: no \"weight_map\": not the index of a model",
                         p->m->label);
    return check_twins(p);
}

/* ---- Opening the files --------------------------------------------------------------------- */

/* Files lie beside the index or below: an index is no reason to read anything else. */
static bool is_inside(const json_name *name)
{
    const char *at = name->bytes, *const end = name->bytes + name->n_bytes;
    if (name->n_bytes == 0 || *at == '/' || memchr(at, '\0', name->n_bytes))
        return false;
    while (at < end) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const size_t n = (size_t)((slash ? slash : end) - at);
        if (n == 2 && memcmp(at, "..", 2) == 0)
            return false;
        at += n + 1;
    }
    return true;
}

/* The path of a file that the index names; the caller frees it. */
static char *path_beside(const char *index, const json_name *name)
{
    const char *slash = strrchr(index, '/');
    const size_t length = slash ? (size_t)(slash - index) + 1 : 0;
    char *path = malloc(length + name->n_bytes + 1);
    if (!path)
        return NULL;
    memcpy(path, index, length);
    memcpy(path + length, name->bytes, name->n_bytes);
    path[length + name->n_bytes] = '\0';
    return path;
}

static bool open_file(parser *p, const json_name *name)
{
    char shown[QUOTED_BYTES];
    if (!is_inside(name))
        return fault_set(p->f, FAULT_FORMAT, "%s: %s is no file beside the index", p->m->label,
                         fault_quote(shown, name->bytes, name->n_bytes));
    char *path = path_beside(p->path, name);
    if (!path)
        return fault_memory(p->f, p->m->label);
    st_file *file = &p->m->files[p->m->n_files];
    const bool good = st_open(file, path, p->f);
    free(path);
    if (!good)
        return false;
    p->m->n_files++;
    p->m->n_bytes += file->n_bytes;
    return true;
}

static bool open_files(parser *p)
{
    p->m->files = calloc(p->n_names ? p->n_names : 1, sizeof *p->m->files);
    if (!p->m->files)
        return fault_memory(p->f, p->m->label);
    for (size_t i = 0; i < p->n_names; i++)
        if (!open_file(p, &p->names[i]))
            return false;
    return true;
}

/* ---- Putting it together ------------------------------------------------------------------- */

static int compare_found(const void *a, const void *b)
{
    const nq_tensor *x = &((const st_tensor *)a)->tensor, *y = &((const st_tensor *)b)->tensor;
    if (x->name_bytes != y->name_bytes)
        return x->name_bytes < y->name_bytes ? -1 : 1;
    return x->name_bytes ? memcmp(x->name, y->name, x->name_bytes) : 0;
}

/* The tensors of all places from one file, looked up in that file sorted by name. */
static bool take_tensors(parser *p, size_t file)
{
    char shown[QUOTED_BYTES];
    st_file *source = &p->m->files[file];
    size_t n_taken = 0;
    if (source->n_tensors > 1)
        qsort(source->tensors, source->n_tensors, sizeof *source->tensors, compare_found);
    for (size_t i = 0; i < p->n_places; i++) {
        const json_name *name = &p->places[i].tensor;
        st_tensor key = {.tensor.name = name->bytes, .tensor.name_bytes = (uint32_t)name->n_bytes};
        if (p->places[i].file != file)
            continue;
        const st_tensor *found = source->n_tensors
                                     ? bsearch(&key, source->tensors, source->n_tensors,
                                               sizeof *source->tensors, compare_found)
                                     : NULL;
        if (!found)
            return fault_set(p->f, FAULT_FORMAT, "%s: tensor %s is not in %.*s", p->m->label,
                             fault_quote(shown, name->bytes, name->n_bytes),
                             (int)p->names[file].n_bytes, p->names[file].bytes);
        p->m->tensors[i] = *found;
        n_taken++;
    }
    return n_taken == source->n_tensors ||
           fault_set(p->f, FAULT_FORMAT, "%s: %.*s holds %zu tensors that the index does not list",
                     p->m->label, (int)p->names[file].n_bytes, p->names[file].bytes,
                     source->n_tensors - n_taken);
}

/* A key that another file had already keeps its first value. */
static bool add_new(parser *p, const st_pair *pair)
{
    for (size_t i = 0; i < p->m->n_metadata; i++) {
        const st_pair *other = &p->m->metadata[i];
        if (other->key_bytes == pair->key_bytes &&
            memcmp(other->key, pair->key, pair->key_bytes) == 0)
            return true;
    }
    return model_add_metadata(p->m, pair) || fault_memory(p->f, p->m->label);
}

static bool take_metadata(parser *p)
{
    for (size_t file = 0; file < p->m->n_files; file++)
        for (size_t i = 0; i < p->m->files[file].n_metadata; i++)
            if (!add_new(p, &p->m->files[file].metadata[i]))
                return false;
    for (size_t i = 0; i < p->n_pairs; i++)
        if (!add_new(p, &p->pairs[i]))
            return false;
    return true;
}

static bool put_together(parser *p)
{
    p->m->n_tensors = p->n_places;
    p->m->tensors = calloc(p->n_places ? p->n_places : 1, sizeof *p->m->tensors);
    if (!p->m->tensors)
        return fault_memory(p->f, p->m->label);
    for (size_t file = 0; file < p->m->n_files; file++)
        if (!take_tensors(p, file))
            return false;
    return take_metadata(p);
}

bool shards_open(model *m, const char *path, fault *f)
{
    parser p = {.m = m, .path = path, .f = f};
    const bool good = read_index(&p) && open_files(&p) && put_together(&p);
    free(p.places);
    free(p.names);
    free(p.pairs);
    return good;
}
