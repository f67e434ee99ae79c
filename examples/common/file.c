/*
 * Files on POSIX systems: see file.h. Temporary files lose their name at once, so that nothing is
 * left behind however the program ends.
 */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/byteorder.h"

#define COPY_BYTES (1 << 18)

static uint8_t nothing; /* what an empty file's bytes point to */

const char *file_label(const char *path)
{
    return strcmp(path, "-") == 0 ? FILE_STDIN_LABEL : path;
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* The most that one call may be asked for on every system. */
static size_t at_most(size_t n_bytes)
{
    return n_bytes < (1u << 30) ? n_bytes : (1u << 30);
}

/* Takes what a call wrote off what is left; false if it failed for good. */
static bool advance(const char **at, size_t *left, ssize_t written)
{
    if (written < 0)
        return errno == EINTR;
    if (written == 0) {
        errno = ENOSPC;
        return false;
    }
    *at += written;
    *left -= (size_t)written;
    return true;
}

bool file_write(int descriptor, const void *bytes, size_t n_bytes)
{
    const char *at = bytes;
    while (n_bytes > 0)
        if (!advance(&at, &n_bytes, write(descriptor, at, at_most(n_bytes))))
            return false;
    return true;
}

bool file_write_at(int descriptor, uint64_t offset, const void *bytes, size_t n_bytes)
{
    const char *at = bytes;
    if (offset > (uint64_t)INT64_MAX - n_bytes) {
        errno = EFBIG;
        return false;
    }
    while (n_bytes > 0) {
        const off_t place = (off_t)(offset + (uint64_t)(at - (const char *)bytes));
        if (!advance(&at, &n_bytes, pwrite(descriptor, at, at_most(n_bytes), place)))
            return false;
    }
    return true;
}

static ssize_t read_some(int descriptor, void *out, size_t n_bytes)
{
    ssize_t got;
    do
        got = read(descriptor, out, at_most(n_bytes));
    while (got < 0 && errno == EINTR);
    return got;
}

bool file_copy(int to, int from, bool *reading)
{
    char *bytes = malloc(COPY_BYTES);
    ssize_t got = bytes ? 1 : -1;
    *reading = true;
    while (got > 0 && (got = read_some(from, bytes, COPY_BYTES)) > 0)
        if (!file_write(to, bytes, (size_t)got)) {
            *reading = false;
            got = -1;
        }
    const int error = errno;
    free(bytes);
    errno = error;
    return got == 0;
}

/* Signals wait until the name is gone again. */
int file_temporary(void)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    sigset_t all, before;
    if (!folder || !*folder)
        folder = "/tmp";
    const int length = snprintf(path, sizeof path, "%s/nq-XXXXXX", folder);
    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    const int descriptor = mkstemp(path);
    if (descriptor >= 0)
        unlink(path);
    const int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return descriptor;
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* Where mapping is not possible. */
static bool read_whole(file_view *view, int descriptor, const char *label, fault *f)
{
    uint64_t n_bytes = 0;
    view->bytes = malloc((size_t)view->n_bytes);
    if (!view->bytes)
        return fault_memory(f, label);
    while (n_bytes < view->n_bytes) {
        const ssize_t got =
            read_some(descriptor, view->bytes + n_bytes, (size_t)(view->n_bytes - n_bytes));
        if (got < 0)
            return fault_errno(f, label, "reading failed");
        if (got == 0)
            return fault_set(f, FAULT_IO, "%s: the file shrank while it was read", label);
        n_bytes += (uint64_t)got;
    }
    return true;
}

static bool map(file_view *view, int descriptor, const char *label, fault *f)
{
    if (view->n_bytes == 0) {
        view->bytes = &nothing;
        return true;
    }
    if (view->n_bytes > SIZE_MAX)
        return fault_set(f, FAULT_LIMIT, "%s: larger than this machine can address", label);
    const int access = PROT_READ | (byteorder_is_big() ? PROT_WRITE : 0);
    void *bytes = mmap(NULL, (size_t)view->n_bytes, access, MAP_PRIVATE, descriptor, 0);
    if (bytes == MAP_FAILED)
        return read_whole(view, descriptor, label, f);
    view->bytes = bytes;
    view->is_mapped = true;
    return true;
}

/* A descriptor that can be mapped, of a stream that cannot. */
static int spool(int stream, const char *label, fault *f)
{
    bool reading;
    const int descriptor = file_temporary();
    if (descriptor < 0) {
        fault_errno(f, label, "no temporary file (TMPDIR names another folder for it)");
        return -1;
    }
    if (!file_copy(descriptor, stream, &reading)) {
        fault_errno(f, label,
                    reading ? "reading failed"
                            : "copying to a temporary file failed (TMPDIR names another folder)");
        close(descriptor);
        return -1;
    }
    return descriptor;
}

static bool open_descriptor(file_view *view, int descriptor, const char *label, fault *f)
{
    struct stat status = {0};
    if (fstat(descriptor, &status) != 0)
        return fault_errno(f, label, "cannot be examined");
    if (S_ISDIR(status.st_mode))
        return fault_set(f, FAULT_IO, "%s: a folder, not a file", label);
    const bool is_regular = S_ISREG(status.st_mode) && lseek(descriptor, 0, SEEK_CUR) == 0;
    if (is_regular) {
        view->n_bytes = (uint64_t)status.st_size;
        view->device = (uint64_t)status.st_dev;
        view->inode = (uint64_t)status.st_ino;
        return map(view, descriptor, label, f);
    }
    const int copy = spool(descriptor, label, f);
    if (copy < 0)
        return false;
    const bool good = fstat(copy, &status) == 0 || fault_errno(f, label, "cannot be examined");
    view->n_bytes = (uint64_t)status.st_size;
    const bool is_open =
        good && (lseek(copy, 0, SEEK_SET) == 0 || fault_errno(f, label, "cannot be read again")) &&
        map(view, copy, label, f);
    close(copy);
    return is_open;
}

bool file_open(file_view *view, const char *path, fault *f)
{
    *view = (file_view){0};
    const bool is_stdin = strcmp(path, "-") == 0;
    const int descriptor = is_stdin ? STDIN_FILENO : open(path, O_RDONLY);
    if (descriptor < 0)
        return fault_errno(f, path, "cannot be opened");
    const bool is_open = open_descriptor(view, descriptor, file_label(path), f);
    if (!is_stdin)
        close(descriptor);
    if (!is_open)
        file_close(view);
    return is_open;
}

void file_close(file_view *view)
{
    if (view->is_mapped)
        munmap(view->bytes, (size_t)view->n_bytes);
    else if (view->bytes != &nothing)
        free(view->bytes);
    *view = (file_view){0};
}
