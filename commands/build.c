/*
 * quern-build - ninja with one lock per build folder, and a summary
 *
 * usage: quern build [-C DIR] [-f FILE] [-l LAUNCHER] [NINJA ARGUMENT ...]
 *
 * Plain `ninja -f FILE` does the same work and stays safe; this adds the lock
 * (two ninjas in one folder would run the same step twice), hands the launcher
 * to the steps through the environment, which no command's hash sees, and says
 * at the end which stages ran and why.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/option.h"
#include "lib/base/str.h"

enum { WHY_LIMIT = 1 << 20, LIST_MOST = 20 };

static const char usage[] =
    "usage: quern build [-C DIR] [-f FILE] [-l LAUNCHER] [NINJA ARGUMENT ...]\n"
    "\n"
    "  -C DIR       build folder that holds the stages (default: build)\n"
    "  -f FILE      the graph (default: DIR/quern.ninja)\n"
    "  -l LAUNCHER  command put in front of heavy steps, e.g. 'srun -n1 -Q'\n"
    "\n"
    "Everything after these, or after --, goes to ninja.\n";

/*
 * The lock file names its holder. Returns the descriptor, which stays open
 * (and locked) until ninja is done, or -1.
 */
static int
take_lock(const char *dir, struct err *e)
{
    char *path = path_join(dir, "quern.lock");
    char holder[32] = "";
    char own[32];
    int fd = -1;
    ssize_t n;

    if (file_mkdirs(dir, e))
        goto done;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        err_sys(e, path, "cannot open", NULL);
        goto done;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        n = read(fd, holder, sizeof holder - 1);
        holder[n > 0 ? strcspn(holder, "\n") : 0] = 0;
        err_set(e, ERR_WORK,
            "%s: another build runs in this folder (process %s); wait for it",
            path, holder[0] ? holder : "unknown");
        close(fd);
        fd = -1;
        goto done;
    }
    n = snprintf(own, sizeof own, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, own, (size_t)n, 0) != n)
        err_sys(e, path, "cannot write", NULL);
done:
    free(path);
    return fd;
}

static volatile sig_atomic_t ninja_pid;

/* ninja stops its steps and cleans up; we wait for it and print the summary. */
static void
pass_on(int sig)
{
    if (ninja_pid > 0)
        kill((pid_t)ninja_pid, sig);
}

/* Runs ninja and waits. */
static int
run_ninja(char **argv, struct err *e)
{
    int status = 0;
    pid_t pid = fork();

    if (pid < 0)
        return err_sys(e, "ninja", "cannot start", NULL);
    if (pid == 0) {
        execvp("ninja", argv);
        dprintf(2, "quern-build: ninja: %s; install ninja-build\n",
            strerror(errno));
        _exit(127);
    }
    ninja_pid = pid;
    signal(SIGINT, SIG_IGN); /* the terminal sends it to ninja, too */
    signal(SIGTERM, pass_on);
    signal(SIGHUP, pass_on);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(e, ERR_WORK,
            "ninja stopped with status %d; the messages above say why, and the "
            "next run carries on from what is finished",
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}

/* Prints one stage that ran since `start`; returns 1 if it did. */
static unsigned
say_stage(const char *folder, const char *name, const struct timespec *start,
    bool print)
{
    char *path = path_join(folder, name);
    struct err e = { 0 };
    json_t *why = NULL;
    struct stat st;
    unsigned ran = 0;

    if (stat(path, &st) == 0 &&
        (st.st_mtim.tv_sec > start->tv_sec ||
            (st.st_mtim.tv_sec == start->tv_sec &&
                st.st_mtim.tv_nsec >= start->tv_nsec)))
        why = json_read(path, WHY_LIMIT, NULL, &e);
    if (why && json_is_true(json_object_get(why, "ran"))) {
        const char *reason = json_string_value(
            json_array_get(json_object_get(why, "reasons"), 0));

        ran = 1;
        if (print)
            printf("  %.*s: %s\n", (int)strlen(name) - 5, name,
                reason ? reason : "first run");
    }
    json_decref(why);
    free(path);
    return ran;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void
summary(const char *dir, const struct timespec *start)
{
    char *folder = path_join(dir, "why");
    struct dirent **v = NULL;
    int n = scandir(folder, &v, NULL, by_name);
    unsigned ran = 0;
    struct timespec now;

    for (int i = 0; i < n; i++) {
        if (str_ends(v[i]->d_name, ".json"))
            ran += say_stage(folder, v[i]->d_name, start, ran < LIST_MOST);
        free(v[i]);
    }
    free(v);
    free(folder);
    clock_gettime(CLOCK_REALTIME, &now);
    if (ran > LIST_MOST)
        printf("  ... and %u more\n", ran - LIST_MOST);
    printf("quern: %u stage%s ran in %.1f s%s\n", ran, ran == 1 ? "" : "s",
        (double)(now.tv_sec - start->tv_sec) +
            1e-9 * (double)(now.tv_nsec - start->tv_nsec),
        ran ? "; `quern why STAGE` tells more" : ": everything is up to date");
}

int
main(int argc, char **argv)
{
    struct option_scan o = { .prog = "quern-build", .usage = usage,
        .known = "+:hC:f:l:" };
    const char *dir = "build", *file = NULL, *launcher = NULL;
    char *graph = NULL;
    char **args;
    struct err e = { 0 };
    struct timespec start;
    int c, lock, n = 0;

    while ((c = option_next(&o, argc, argv)) != -1) {
        if (c == 'C') {
            dir = optarg;
        } else if (c == 'f') {
            file = optarg;
        } else {
            launcher = optarg;
        }
    }
    if (o.stop)
        return o.status;
    graph = file ? mem_strdup(file) : path_join(dir, "quern.ninja");
    if (!file_exists(graph)) {
        err_set(&e, ERR_WORK,
            "%s: no graph; make it with `quern gen POLICY -o %s`", graph,
            graph);
        free(graph);
        return err_exit("quern-build", &e);
    }
    args = mem_calloc((size_t)(argc - optind) + 4, sizeof *args);
    args[n++] = mem_strdup("ninja");
    args[n++] = mem_strdup("-f");
    args[n++] = graph;
    for (int i = optind; i < argc; i++)
        args[n++] = argv[i];
    if (launcher)
        setenv("QUERN_LAUNCHER", launcher, 1);

    lock = take_lock(dir, &e);
    clock_gettime(CLOCK_REALTIME, &start);
    if (!e.code)
        run_ninja(args, &e);
    if (lock >= 0) {
        summary(dir, &start);
        close(lock);
    }
    free(args[0]);
    free(args[1]);
    free(graph);
    free(args);
    return err_exit("quern-build", &e);
}
