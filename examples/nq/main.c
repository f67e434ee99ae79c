/*
 * nq: compresses the weights of neural networks with libnq. This file starts the program and hands
 * over to the verb; the verbs are in files of their own. Built on the library's public headers
 * alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "errors.h"
#include "options.h"
#include "verbs.h"

/* Standard descriptors that the parent closed must not become those of files that are opened here.
 * What stands in for them fails to be written, as it should. */
static void fill_descriptors(void)
{
    int descriptor;
    do
        descriptor = open("/dev/null", O_RDONLY);
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor > STDERR_FILENO)
        close(descriptor);
}

static int run_verb(const cli_options *o)
{
    switch (o->verb) {
    case VERB_COMPRESS:
        return verb_compress(o);
    case VERB_DECOMPRESS:
        return verb_decompress(o);
    case VERB_INFO:
        return verb_info(o);
    case VERB_VERIFY:
        return verb_verify(o);
    case VERB_CURVE:
        return verb_curve(o);
    default:
        return verb_compare(o);
    }
}

/* What was printed must have arrived. */
static int flush_output(int code)
{
    const bool had_error = ferror(stdout) != 0;
    if (fflush(stdout) == 0 && !had_error)
        return code;
    return cli_error(CLI_IO, "standard output: writing failed: %s", strerror(errno));
}

static bool asks_version(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "--version") == 0;
}

int main(int argc, char **argv)
{
    cli_options o;
    fill_descriptors();
    cleanup_install();
    if (asks_version(argc, argv)) {
        printf("nq %s\n", nq_version_string());
        return flush_output(CLI_DONE);
    }
    int code = options_read(&o, argc, argv);
    cli_set_quiet(o.quiet);
    if (code == CLI_DONE && o.help)
        options_help(o.verb);
    else if (code == CLI_DONE)
        code = run_verb(&o);
    options_free(&o);
    return flush_output(code);
}
