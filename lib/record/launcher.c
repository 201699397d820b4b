/*
 * launcher.c - running a heavy step on another machine
 *
 * The launcher comes from the environment, not from the command line, so that
 * the choice of machine makes nothing stale. The step starts itself once more
 * through a shell, `sh -c 'exec LAUNCHER "$@"' quern SELF ARGUMENTS`, with
 * QUERN_LAUNCHED set, waits, and gives on the exit status. It stays there to
 * open and close the outputs at the end: on a network file system that is what
 * makes ninja see the files as the other machine left them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/record/stage_private.h"

enum { DEFAULT_MIB = 2048, DEFAULT_CORES = 1 };

/* A signal handler reaches the child only through this. */
static volatile sig_atomic_t launched_pid;

bool
launcher_wanted(const struct stage_spec *spec)
{
    const char *words = getenv("QUERN_LAUNCHER");

    return spec->heavy && words != NULL && *words != '\0' &&
        getenv("QUERN_LAUNCHED") == NULL;
}

static void
forward(int number)
{
    if (launched_pid > 0)
        kill((pid_t)launched_pid, number);
}

static void
set_handlers(void (*handler)(int))
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction act = { 0 };

    act.sa_handler = handler;
    sigemptyset(&act.sa_mask);
    for (size_t i = 0; i < countof(numbers); i++)
        sigaction(numbers[i], &act, NULL);
}

/* What the launcher's words may use; a person's own settings come first. */
static void
set_environment(const struct stage *s)
{
    const struct stage_spec *p = s->spec;
    char *mem = mem_printf("%uM", p->mem_mib > 0 ? p->mem_mib : DEFAULT_MIB);
    char *cores = mem_printf("%u", p->cores > 0 ? p->cores : DEFAULT_CORES);

    setenv("QUERN_MEM", mem, 0);
    setenv("QUERN_CORES", cores, 0);
    setenv("QUERN_STAGE", s->id, 1);
    setenv("QUERN_LAUNCHED", "1", 1);
    free(mem);
    free(cores);
}

static void
refresh_outputs(const struct stage *s)
{
    for (size_t i = 0; i < s->out.n; i++) {
        int fd = open(s->out.v[i].path, O_RDONLY | O_CLOEXEC);

        if (fd >= 0)
            close(fd);
    }
}

/* argv of the shell; the array is the caller's, the words are borrowed. */
static char **
shell_words(char *script, char *self, int argc, char **argv)
{
    static char sh[] = "/bin/sh", minus_c[] = "-c", name[] = "quern";
    char **words = mem_calloc((size_t)argc + 5, sizeof *words);
    size_t n = 0;

    words[n++] = sh;
    words[n++] = minus_c;
    words[n++] = script;
    words[n++] = name;
    words[n++] = self;
    for (int i = 1; i < argc; i++)
        words[n++] = argv[i];
    return words;
}

static int
wait_for(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 1;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return 128 + WTERMSIG(status);
}

int
launcher_run(const struct stage *s, int argc, char **argv, struct err *e)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *script, **words;
    int status;
    pid_t pid;

    if (n < 0) {
        err_sys(e, "/proc/self/exe", "cannot find this program", NULL);
        return -1;
    }
    self[n] = '\0';
    set_environment(s);
    script = mem_printf("exec %s \"$@\"", getenv("QUERN_LAUNCHER"));
    words = shell_words(script, self, argc, argv);
    set_handlers(forward);
    pid = fork();
    if (pid == 0) {
        set_handlers(SIG_DFL);
        execv(words[0], words);
        _exit(127);
    }
    launched_pid = (sig_atomic_t)pid;
    status = pid > 0 ? wait_for(pid) : -1;
    launched_pid = 0;
    if (pid < 0)
        err_sys(e, "/bin/sh", "cannot start the launcher", NULL);
    refresh_outputs(s);
    free(words);
    free(script);
    return status;
}
