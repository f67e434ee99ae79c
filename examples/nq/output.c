/*
 * Output files: see output.h.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "cleanup.h"
#include "errors.h"

#define TEMPORARY "/.nq-XXXXXX"

/* ---- Beginning ----------------------------------------------------------------------------- */

static int fail(const output *o, const char *what)
{
    const int code = errno == ENOMEM ? CLI_LIMIT : CLI_IO;
    return cli_error(code, "%s: %s: %s", o->label, what, strerror(errno));
}

static void free_names(output *o)
{
    free(o->path);
    free(o->temporary);
    o->path = o->temporary = NULL;
}

/* A stream is collected in a temporary file: a .nq file is not written from front to back, and what
 * was found damaged on the way must not have gone out. */
static int open_stream(output *o, int stream)
{
    if (isatty(stream))
        return cli_error(CLI_USAGE, "%s: a terminal cannot take this output; use -o FILE",
                         o->label);
    o->stream = stream;
    o->descriptor = file_temporary();
    return o->descriptor >= 0 ? CLI_DONE
                              : fail(o, "no temporary file (TMPDIR names another folder for it)");
}

static int open_device(output *o, const char *path)
{
    const int stream = open(path, O_WRONLY);
    if (stream < 0)
        return fail(o, "cannot be opened");
    const int code = open_stream(o, stream);
    if (code != CLI_DONE)
        close(stream);
    return code;
}

/* The folder of a path, and a name in it that mkstemp fills in. */
static char *temporary_beside(const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) : 1;
    char *name = malloc(length + sizeof TEMPORARY);
    if (!name)
        return NULL;
    memcpy(name, slash ? path : ".", length);
    memcpy(name + length, TEMPORARY, sizeof TEMPORARY);
    return name;
}

/* What a new file may be, or the file that is replaced was. */
static mode_t mode_for(const struct stat *old)
{
    if (old)
        return old->st_mode & 0777;
    const mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

/* A link is followed, so that what it points to is replaced. */
static char *resolve(const char *path)
{
    char *real = realpath(path, NULL);
    return real ? real : strdup(path);
}

static int open_file(output *o, const char *path, const struct stat *old)
{
    o->path = resolve(path);
    o->temporary = o->path ? temporary_beside(o->path) : NULL;
    if (!o->temporary) {
        free_names(o);
        return cli_out_of_memory();
    }
    cleanup_hold();
    o->descriptor = mkstemp(o->temporary);
    if (o->descriptor >= 0)
        cleanup_arm(o->temporary);
    const int error = errno;
    cleanup_release();
    errno = error;
    if (o->descriptor < 0) {
        const int code = fail(o, "cannot be made");
        free_names(o);
        return code;
    }
    (void)fchmod(o->descriptor, mode_for(old)); /* some file systems have no modes */
    return CLI_DONE;
}

int output_open(output *o, const char *path, bool replaces)
{
    struct stat old;
    *o = (output){.label = path, .descriptor = -1, .stream = -1, .replaces = replaces};
    if (strcmp(path, "-") == 0) {
        o->label = "standard output";
        return open_stream(o, STDOUT_FILENO);
    }
    if (stat(path, &old) != 0)
        return open_file(o, path, NULL);
    if (S_ISDIR(old.st_mode))
        return cli_error(CLI_IO, "%s: a folder, not a file", path);
    if (!S_ISREG(old.st_mode))
        return open_device(o, path);
    if (!replaces)
        return cli_error(CLI_IO, "%s: exists; --force replaces it", path);
    return open_file(o, path, &old);
}

bool output_is_file(const char *path, uint64_t device, uint64_t inode)
{
    struct stat status;
    return (device || inode) && stat(path, &status) == 0 && (uint64_t)status.st_dev == device &&
           (uint64_t)status.st_ino == inode;
}

/* ---- Writing ------------------------------------------------------------------------------- */

nq_status output_write_at(void *user, uint64_t offset, const void *bytes, size_t n_bytes)
{
    output *o = user;
    if (file_write_at(o->descriptor, offset, bytes, n_bytes))
        return NQ_OK;
    o->error = errno;
    return NQ_E_IO;
}

bool output_append(void *user, const void *bytes, size_t n_bytes)
{
    output *o = user;
    const bool good = file_write(o->descriptor, bytes, n_bytes);
    if (!good)
        o->error = errno;
    o->n_bytes += n_bytes;
    return good;
}

int output_error(const output *o)
{
    return cli_error(CLI_IO, "%s: writing failed: %s", o->label, strerror(o->error));
}

/* ---- Ending -------------------------------------------------------------------------------- */

static void close_streams(output *o)
{
    if (o->descriptor >= 0)
        close(o->descriptor);
    if (o->stream > STDERR_FILENO)
        close(o->stream);
    o->descriptor = o->stream = -1;
}

void output_discard(output *o)
{
    close_streams(o);
    if (o->temporary) {
        unlink(o->temporary);
        cleanup_disarm();
    }
    free_names(o);
}

static int commit_stream(output *o)
{
    bool is_reading;
    int code = CLI_DONE;
    if (lseek(o->descriptor, 0, SEEK_SET) != 0 || !file_copy(o->stream, o->descriptor, &is_reading))
        code = fail(o, "writing failed");
    else if (o->stream > STDERR_FILENO) {
        const int stream = o->stream;
        o->stream = -1;
        if (close(stream) != 0)
            code = fail(o, "writing failed");
    }
    output_discard(o);
    return code;
}

/* Gives the file its name unless that was taken meanwhile. Where there are no hard links, an empty
 * file takes the name first. A temporary name that cannot be given back does not undo the work. */
static bool publish_new(const output *o)
{
    if (link(o->temporary, o->path) == 0) {
        (void)unlink(o->temporary);
        return true;
    }
    if (errno == EEXIST)
        return false;
    const int claim = open(o->path, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (claim < 0)
        return false;
    close(claim);
    if (rename(o->temporary, o->path) == 0)
        return true;
    const int error = errno;
    unlink(o->path);
    errno = error;
    return false;
}

/* So that the new name outlives a power failure; not every file system can. */
static void sync_folder(const output *o)
{
    char *slash = strrchr(o->temporary, '/');
    slash[1] = '\0';
    const int folder = open(o->temporary, O_RDONLY);
    if (folder < 0)
        return;
    (void)fsync(folder);
    close(folder);
}

static int commit_file(output *o)
{
    if (fsync(o->descriptor) != 0 && errno != EINVAL)
        return fail(o, "writing failed");
    const int descriptor = o->descriptor;
    o->descriptor = -1;
    if (close(descriptor) != 0)
        return fail(o, "writing failed");
    cleanup_hold();
    const bool good = o->replaces ? rename(o->temporary, o->path) == 0 : publish_new(o);
    const int error = errno;
    if (good)
        cleanup_disarm();
    cleanup_release();
    errno = error;
    if (!good)
        return error == EEXIST
                   ? cli_error(CLI_IO, "%s: appeared meanwhile; --force replaces it", o->label)
                   : fail(o, "cannot be made");
    sync_folder(o);
    free_names(o);
    return CLI_DONE;
}

int output_commit(output *o)
{
    if (o->stream >= 0)
        return commit_stream(o);
    const int code = commit_file(o);
    if (code != CLI_DONE)
        output_discard(o);
    return code;
}
