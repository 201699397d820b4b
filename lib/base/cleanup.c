/*
 * cleanup.c - see cleanup.h
 */
#include "lib/base/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 64 };

/*
 * Process-wide because a signal handler has no other way to reach it. `owner`
 * is written last and cleared first: the handler only reads what it guards.
 */
static struct {
    volatile sig_atomic_t owner; /* pid; 0: free */
    char path[PATH_MAX];
} slots[SLOTS];
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t slots_once = PTHREAD_ONCE_INIT;

static void
unlink_all(void)
{
    pid_t self = getpid();

    for (int i = 0; i < SLOTS; i++)
        if (slots[i].owner == (sig_atomic_t)self)
            unlink(slots[i].path);
}

static void
register_exit(void)
{
    atexit(unlink_all);
}

static void
on_signal(int number)
{
    unlink_all();
    raise(number); /* SA_RESETHAND: the default action, which kills */
}

int
cleanup_add(const char *path)
{
    size_t n = strlen(path) + 1;
    int slot = -1;

    if (n > PATH_MAX)
        return -1;
    pthread_once(&slots_once, register_exit);
    pthread_mutex_lock(&slots_lock);
    for (int i = 0; i < SLOTS && slot < 0; i++)
        if (slots[i].owner == 0)
            slot = i;
    if (slot >= 0) {
        memcpy(slots[slot].path, path, n);
        slots[slot].owner = (sig_atomic_t)getpid();
    }
    pthread_mutex_unlock(&slots_lock);
    return slot;
}

void
cleanup_drop(int slot)
{
    if (slot < 0)
        return;
    pthread_mutex_lock(&slots_lock);
    slots[slot].owner = 0;
    pthread_mutex_unlock(&slots_lock);
}

void
cleanup_catch_signals(void)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction act = { 0 };

    act.sa_handler = on_signal;
    act.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&act.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction old;

        /* nohup and shells' background jobs ask to be left alone */
        if (sigaction(numbers[i], NULL, &old) == 0 &&
            old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &act, NULL);
    }
}

enum { SAID_MOST = 1024 };

/* Appends what fits, control bytes as question marks. */
static size_t
say(char said[SAID_MOST], size_t n, const char *text)
{
    for (; *text != '\0' && n < SAID_MOST - 1; text++) {
        const unsigned char c = (unsigned char)*text;

        said[n++] = c < 0x20 || c == 0x7f ? '?' : *text;
    }
    return n;
}

_Noreturn void
cleanup_fail(const char *place, const char *what)
{
    char said[SAID_MOST];
    size_t n = say(said, 0, program_invocation_short_name);

    n = say(said, n, ": ");
    if (place != NULL) {
        n = say(said, n, place);
        n = say(said, n, ": ");
    }
    n = say(said, n, what);
    said[n++] = '\n';
    unlink_all();
    if (write(STDERR_FILENO, said, n) < 0)
        _exit(1); /* nobody left to tell it to */
    _exit(1);
}
