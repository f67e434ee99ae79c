/*
 * Progress: see progress.h. Written anew only when the number changes.
 */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include <nq/context.h>

static bool is_on;
static bool is_shown;
static uint32_t shown_stage;
static unsigned shown_percent;

void progress_start(bool is_wanted)
{
    is_on = is_wanted && isatty(STDERR_FILENO);
}

static const char *stage_name(uint32_t stage)
{
    switch (stage) {
    case NQ_STAGE_SCAN:
        return "reading";
    case NQ_STAGE_DESIGN:
        return "designing";
    case NQ_STAGE_ENCODE:
        return "coding";
    case NQ_STAGE_DECODE:
        return "decoding";
    default:
        return "working";
    }
}

int32_t progress_hook(void *user, uint32_t stage, uint64_t done, uint64_t total)
{
    (void)user;
    if (!is_on)
        return 0;
    const unsigned percent = total ? (unsigned)(100.0 * (double)done / (double)total) : 100;
    if (is_shown && stage == shown_stage && percent == shown_percent)
        return 0;
    fprintf(stderr, "\r%-10s%3u%%", stage_name(stage), percent);
    fflush(stderr);
    is_shown = true;
    shown_stage = stage;
    shown_percent = percent;
    return 0;
}

void progress_clear(void)
{
    if (!is_shown)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    is_shown = false;
}
