/*
 * map_guard.c - see map_guard.h
 */
#include "lib/base/map_guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "lib/base/cleanup.h"

enum { GUARDED_MOST = 2048 };

/*
 * Process-wide because a signal handler has no other way to reach it. `begin`
 * is written last and cleared first; the handler runs in the thread that reads
 * the mapping, whose slot is then not about to change.
 */
static struct {
    atomic_uintptr_t begin; /* 0: free */
    size_t len;
    const char *path;       /* the map's own */
} guarded[GUARDED_MOST];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
on_fault(int number, siginfo_t *info, void *context)
{
    const uintptr_t at = (uintptr_t)info->si_addr;
    const char *path = NULL;

    (void)number;
    (void)context;
    for (int i = 0; i < GUARDED_MOST && path == NULL; i++) {
        const uintptr_t begin = atomic_load(&guarded[i].begin);

        if (begin != 0 && at >= begin && at - begin < guarded[i].len)
            path = guarded[i].path;
    }
    cleanup_fail(path, path != NULL ? "became shorter or unreadable while it "
        "was read; check the disk and run it again" : "a file became shorter "
        "or unreadable while it was read; check the disk and run it again");
}

static void
install(void)
{
    struct sigaction act = { 0 };

    act.sa_sigaction = on_fault;
    act.sa_flags = SA_SIGINFO | (int)SA_RESETHAND;
    sigemptyset(&act.sa_mask);
    sigaction(SIGBUS, &act, NULL);
}

void
map_guard_add(const struct map *m)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    for (int i = 0; i < GUARDED_MOST; i++) {
        if (atomic_load(&guarded[i].begin) != 0)
            continue;
        guarded[i].len = m->len;
        guarded[i].path = m->path;
        atomic_store(&guarded[i].begin, (uintptr_t)m->p);
        break;
    }
    pthread_mutex_unlock(&lock);
}

void
map_guard_drop(const struct map *m)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < GUARDED_MOST; i++)
        if (atomic_load(&guarded[i].begin) == (uintptr_t)m->p)
            atomic_store(&guarded[i].begin, 0);
    pthread_mutex_unlock(&lock);
}
