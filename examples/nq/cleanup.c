/*
 * Interrupts: see cleanup.h. The handlers call only what POSIX allows in one. Workers of the
 * library block all signals but those that they cause themselves, so interrupts come to the main
 * thread, and a lost page to whoever touches it.
 */
#include "cleanup.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"

static const char *volatile armed;
static sigset_t mask_before;

/* SIGPIPE: whoever reads our output went away. */
static const int endings[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM};

static void remove_armed(void)
{
    if (armed)
        unlink(armed);
}

static void end_by(int number)
{
    remove_armed();
    signal(number, SIG_DFL);
    raise(number); /* comes when this handler returns */
}

/* Reading a mapped page failed: the file was cut off, or its device is gone. */
static void end_by_lost_page(int number, siginfo_t *info, void *context)
{
    static const char text[] =
        "nq: an input file became shorter, or unreadable, while it was read\n";
    (void)context;
    if (info->si_code != BUS_ADRERR) {
        end_by(number);
        return;
    }
    remove_armed();
    const ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    _exit(CLI_IO);
}

void cleanup_install(void)
{
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    sigfillset(&action.sa_mask);
    action.sa_handler = end_by;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (sigaction(endings[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(endings[i], &action, NULL);
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = end_by_lost_page;
    sigaction(SIGBUS, &action, NULL);
    /* Over a size limit, writing shall fail like on a full disk. */
    action.sa_flags = 0;
    action.sa_handler = SIG_IGN;
    sigaction(SIGXFSZ, &action, NULL);
}

void cleanup_hold(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &mask_before);
}

void cleanup_release(void)
{
    pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
}

void cleanup_arm(const char *path)
{
    armed = path;
}

void cleanup_disarm(void)
{
    armed = NULL;
}
