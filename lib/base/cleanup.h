/*
 * cleanup.h - names that must not outlive the process, and sudden ends
 *
 * A name is registered while it is a temporary. A caught signal
 * (cleanup_catch_signals) and exit() unlink what is still registered; a child
 * made by fork leaves its parent's names alone. Up to 64 names are held; more
 * are simply not covered and are swept by a later outfile_create.
 */
#ifndef QUERN_BASE_CLEANUP_H
#define QUERN_BASE_CLEANUP_H

/* Returns a slot for cleanup_drop, -1 when the name is not covered. */
int cleanup_add(const char *path);
/* The name is gone or has become permanent. -1 is fine. */
void cleanup_drop(int slot);
/* On SIGINT, SIGTERM and SIGHUP unlink and die by the signal. */
void cleanup_catch_signals(void);
/*
 * Says `PROGRAM: PLACE: what` (NULL: no place), unlinks and ends the process
 * with status 1. For what no caller could be told: memory that is not there, a
 * mapped file that is gone. Safe in a signal handler.
 */
_Noreturn void cleanup_fail(const char *place, const char *what);

#endif
