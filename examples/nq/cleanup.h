/*
 * Interrupts. A signal that ends the program first takes away the unfinished output; the program
 * then ends by that same signal, as its parent expects.
 */
#ifndef CLI_CLEANUP_H
#define CLI_CLEANUP_H

/* Once, before there is any other thread. Signals that the parent had ignored stay ignored. */
void cleanup_install(void);

/*
 * From here to cleanup_disarm the file at `path` (which must live until then) is removed when a
 * signal ends the program. Signals wait while it is made: cleanup_hold ... cleanup_arm ...
 * cleanup_release.
 */
void cleanup_arm(const char *path);
void cleanup_disarm(void);

/* Makes signals wait, and lets them come again. */
void cleanup_hold(void);
void cleanup_release(void);

#endif
