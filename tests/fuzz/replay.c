/*
 * Runs fuzz targets without a fuzzer, so that every compiler and every machine can.
 *
 *     replay TARGET FILE...          each file once, as it is
 *     replay --statuses FILE...      what reading each .nq file says
 *     replay TARGET --seeds FOLDER N writes N valid inputs, NUMBER.seed
 *     replay TARGET --random N SEED  N valid inputs, each as it is and then with a few changes
 *     replay all --random N SEED     the same for all targets
 *
 * Prints the number of inputs. What goes wrong aborts, and which input did it is told: a file, or
 * the command that makes it again.
 */
#include <signal.h>

#include "fuzz_decode.h"

static const fuzz_target *const targets[] = {
    &fuzz_open,        &fuzz_decode, &fuzz_valid,  &fuzz_block,   &fuzz_table,
    &fuzz_encoder,     &fuzz_plan,   &fuzz_design, &fuzz_structs, &fuzz_stats,
    &fuzz_safetensors, &fuzz_npy,    &fuzz_json,
};

enum { N_TARGETS = sizeof targets / sizeof *targets };

static int fail(const char *what, const char *which)
{
    fprintf(stderr, "replay: %s: %s\n", what, which);
    return 2;
}

/* ---- What is running ----------------------------------------------------------------------- */

static char running[4200];

static void tell_running(void)
{
    fputs(running, stderr);
    fflush(stderr);
}

static void on_signal(int number)
{
    tell_running();
    signal(number, SIG_DFL);
    raise(number);
}

/* Sanitizers end the program by themselves, but for this. */
#if defined __GNUC__ && defined __ELF__
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));
#endif

static void watch(void)
{
    static const int numbers[] = {SIGABRT, SIGSEGV, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        signal(numbers[i], on_signal);
#if defined __GNUC__ && defined __ELF__
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(tell_running);
#endif
}

/* ---- Files --------------------------------------------------------------------------------- */

static bool read_file(bytes *b, const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t piece[4096];
    if (!file)
        return false;
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        bytes_put(b, piece, n);
    const bool good = !ferror(file);
    fclose(file);
    return good;
}

static int run_files(const fuzz_target *t, int n, char **paths)
{
    for (int i = 0; i < n; i++) {
        bytes b = {0};
        if (!read_file(&b, paths[i]))
            return fail("cannot read", paths[i]);
        (void)snprintf(running, sizeof running, "replay %s %s\n", t->name, paths[i]);
        uint8_t *copy = exact_copy(b.at, b.n);
        t->run(copy, b.n);
        free(copy);
        bytes_free(&b);
    }
    printf("%s: %d inputs\n", t->name, n);
    return 0;
}

/* ---- The corpus ---------------------------------------------------------------------------- */

static const char *word_of(nq_status status)
{
    switch (status) {
    case NQ_OK:
        return "good";
    case NQ_E_CORRUPT:
        return "corrupt";
    case NQ_E_TRUNCATED:
        return "truncated";
    case NQ_E_CHECKSUM:
        return "checksum";
    case NQ_E_LIMIT:
        return "limit";
    case NQ_E_UNSUPPORTED:
        return "unsupported";
    default:
        return nq_status_name(status);
    }
}

/* What reading each file says, a line each. */
static int tell_statuses(int n, char **paths)
{
    for (int i = 0; i < n; i++) {
        bytes b = {0};
        if (!read_file(&b, paths[i]))
            return fail("cannot read", paths[i]);
        uint8_t *copy = exact_copy(b.at, b.n);
        printf("%s %s\n", word_of(fuzz_decode_file(copy, b.n, (uint64_t)i)), paths[i]);
        free(copy);
        bytes_free(&b);
    }
    return 0;
}

static int write_seeds(const fuzz_target *t, const char *folder, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        char path[4096];
        bytes b = t->seed(i);
        if ((size_t)snprintf(path, sizeof path, "%s/%03u.seed", folder, (unsigned)i) >= sizeof path)
            return fail("name too long", folder);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(b.at, 1, b.n, file) != b.n || fclose(file) != 0)
            return fail("cannot write", path);
        bytes_free(&b);
    }
    return 0;
}

/* ---- Changes ------------------------------------------------------------------------------- */

static void change(bytes *b, uint64_t *seed)
{
    const size_t at = b->n ? unit_random(seed) % b->n : 0;
    const size_t run = 1 + unit_random(seed) % 8;
    switch (unit_random(seed) % 6) {
    case 0: /* a bit */
        if (b->n)
            b->at[at] ^= (uint8_t)(1 << unit_random(seed) % 8);
        break;
    case 1: /* a byte */
        if (b->n)
            b->at[at] = (uint8_t)unit_random(seed);
        break;
    case 2: /* a number nearby */
        if (b->n)
            b->at[at] = (uint8_t)(b->at[at] + (unit_random(seed) % 2 ? 1 : 255));
        break;
    case 3: /* bytes taken out */
        if (b->n - at >= run) {
            memmove(b->at + at, b->at + at + run, b->n - at - run);
            b->n -= run;
        }
        break;
    case 4: /* bytes put in */
        for (size_t i = 0; i < run; i++)
            bytes_put(b, &(uint8_t){(uint8_t)unit_random(seed)}, 1);
        memmove(b->at + at + run, b->at + at, b->n - at - run);
        break;
    default: /* the end cut off */
        b->n = at;
    }
}

static void run_copy(const fuzz_target *t, const bytes *b)
{
    uint8_t *copy = exact_copy(b->at, b->n);
    t->run(copy, b->n);
    free(copy);
}

static void run_random(const fuzz_target *t, uint64_t n, uint64_t first)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t seed = first + i;
        (void)snprintf(running, sizeof running, "replay %s --random 1 %llu\n", t->name,
                       (unsigned long long)seed);
        bytes b = t->seed(seed);
        run_copy(t, &b);
        for (unsigned k = 0; k < 8; k++) {
            change(&b, &seed);
            run_copy(t, &b);
        }
        bytes_free(&b);
    }
    printf("%s: %llu inputs\n", t->name, (unsigned long long)(9 * n));
    fflush(stdout);
}

/* ---- Command line -------------------------------------------------------------------------- */

static const fuzz_target *find(const char *name)
{
    for (size_t i = 0; i < N_TARGETS; i++)
        if (strcmp(targets[i]->name, name) == 0)
            return targets[i];
    return NULL;
}

int main(int argc, char **argv)
{
    watch();
    if (argc > 1 && strcmp(argv[1], "--statuses") == 0)
        return tell_statuses(argc - 2, argv + 2);
    const bool is_all = argc > 1 && strcmp(argv[1], "all") == 0;
    const fuzz_target *t = argc > 1 && !is_all ? find(argv[1]) : NULL;
    if (!t && !is_all)
        return fail("no such target", argc > 1 ? argv[1] : "(none given)");
    if (argc == 5 && t && strcmp(argv[2], "--seeds") == 0)
        return write_seeds(t, argv[3], strtoull(argv[4], NULL, 10));
    if (argc == 5 && strcmp(argv[2], "--random") == 0) {
        for (size_t i = 0; i < N_TARGETS; i++)
            if (is_all || t == targets[i])
                run_random(targets[i], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
        return 0;
    }
    return t ? run_files(t, argc - 2, argv + 2) : fail("one target for files", argv[1]);
}
