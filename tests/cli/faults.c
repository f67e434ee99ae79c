/*
 * Makes calls of the system and of malloc fail, for test_faults.py: a library to be loaded in front
 * of the program (LD_PRELOAD). Two variables of the environment say what it does:
 *
 *     NQ_FAULT=CALL:N:WHAT[:on]  the N-th CALL (counted from 1) does WHAT, with `on` all behind it,
 * too NQ_FAULT_LOG=FILE          how often each call was made, a line each, when the program ends
 *
 * CALL is one of the names below. WHAT is the number of an errno that the call fails with; "short":
 * read and write transfer one byte; or "s" and the number of a signal that is raised in front of
 * it.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64 /* the names that the program uses then */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum call {
    READ,
    WRITE,
    PWRITE,
    OPEN,
    CLOSE,
    MKSTEMP,
    RENAME,
    LINK,
    UNLINK,
    FSYNC,
    FSTAT,
    LSEEK,
    MMAP,
    FCHMOD,
    MALLOC,
    THREAD,
    N_CALLS
};

static const char *const names[N_CALLS] = {
    "read",   "write", "pwrite", "open",  "close", "mkstemp", "rename", "link",
    "unlink", "fsync", "fstat",  "lseek", "mmap",  "fchmod",  "malloc", "pthread_create",
};

static unsigned long counts[N_CALLS];
static enum call faulty = N_CALLS;
static unsigned long first;
static int error, signal_number, is_short, goes_on;
static int is_ready;

__attribute__((constructor)) static void prepare(void)
{
    const char *text = getenv("NQ_FAULT");
    const char *colon = text ? strchr(text, ':') : NULL;
    for (int i = 0; colon && i < N_CALLS; i++)
        if (strncmp(text, names[i], strlen(names[i])) == 0 && text[strlen(names[i])] == ':')
            faulty = (enum call)i;
    if (faulty < N_CALLS) {
        char *what;
        first = strtoul(colon + 1, &what, 10);
        what++;
        is_short = strncmp(what, "short", 5) == 0;
        if (*what == 's' && !is_short)
            signal_number = atoi(what + 1);
        else if (!is_short)
            error = atoi(what);
        goes_on = strstr(what, ":on") != NULL;
    }
    is_ready = 1;
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("NQ_FAULT_LOG");
    FILE *log = path ? fopen(path, "w") : NULL;
    is_ready = 0;
    for (int i = 0; log && i < N_CALLS; i++)
        fprintf(log, "%s %lu\n", names[i], counts[i]);
    if (log)
        fclose(log);
}

/* Counts a call; nonzero if it is to go wrong. */
static int is_hit(enum call c)
{
    if (!is_ready)
        return 0;
    const unsigned long n = __atomic_add_fetch(&counts[c], 1, __ATOMIC_RELAXED);
    if (c != faulty || (goes_on ? n < first : n != first))
        return 0;
    if (signal_number) {
        raise(signal_number);
        return 0;
    }
    errno = is_short ? 0 : error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

ssize_t read(int descriptor, void *out, size_t n)
{
    const int hit = is_hit(READ);
    return hit && !is_short ? -1 : REAL(read)(descriptor, out, hit && n > 1 ? 1 : n);
}

ssize_t write(int descriptor, const void *bytes, size_t n)
{
    const int hit = is_hit(WRITE);
    return hit && !is_short ? -1 : REAL(write)(descriptor, bytes, hit && n > 1 ? 1 : n);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t n, off_t at)
{
    const int hit = is_hit(PWRITE);
    return hit && !is_short ? -1 : REAL(pwrite)(descriptor, bytes, hit && n > 1 ? 1 : n, at);
}

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return is_hit(OPEN) ? -1 : REAL(open)(path, flags, mode);
}

/* A close that fails has closed. */
int close(int descriptor)
{
    const int hit = is_hit(CLOSE), kept = errno;
    const int status = REAL(close)(descriptor);
    if (hit)
        errno = kept;
    return hit ? -1 : status;
}

int mkstemp(char *path)
{
    return is_hit(MKSTEMP) ? -1 : REAL(mkstemp)(path);
}

int rename(const char *from, const char *to)
{
    return is_hit(RENAME) ? -1 : REAL(rename)(from, to);
}

int link(const char *from, const char *to)
{
    return is_hit(LINK) ? -1 : REAL(link)(from, to);
}

int unlink(const char *path)
{
    return is_hit(UNLINK) ? -1 : REAL(unlink)(path);
}

int fsync(int descriptor)
{
    return is_hit(FSYNC) ? -1 : REAL(fsync)(descriptor);
}

int fstat(int descriptor, struct stat *status)
{
    return is_hit(FSTAT) ? -1 : REAL(fstat)(descriptor, status);
}

off_t lseek(int descriptor, off_t offset, int whence)
{
    return is_hit(LSEEK) ? -1 : REAL(lseek)(descriptor, offset, whence);
}

void *mmap(void *at, size_t n, int access, int flags, int descriptor, off_t offset)
{
    return is_hit(MMAP) ? MAP_FAILED : REAL(mmap)(at, n, access, flags, descriptor, offset);
}

int fchmod(int descriptor, mode_t mode)
{
    return is_hit(FCHMOD) ? -1 : REAL(fchmod)(descriptor, mode);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *a, void *(*run)(void *), void *arg)
{
    return is_hit(THREAD) ? error : REAL(pthread_create)(thread, a, run, arg);
}

/* glibc's own names: looking them up could allocate. */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *memory, size_t n);

void *malloc(size_t n)
{
    return is_hit(MALLOC) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return is_hit(MALLOC) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *memory, size_t n)
{
    return is_hit(MALLOC) ? NULL : __libc_realloc(memory, n);
}
