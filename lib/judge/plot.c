#include "lib/judge/plot.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"

enum { SVG_MAX = 16 << 20 };

static const char prologue[] =
    "set terminal svg size 560,380 dynamic font 'sans-serif,13' linewidth 1.2\n"
    "set encoding utf8\n"
    "set border 3 linecolor rgb '#8a8f98'\n"
    "set tics nomirror textcolor rgb '#444b55'\n"
    "set grid ytics linecolor rgb '#e3e6ea' linewidth 1\n"
    "set bmargin 4\n";

static int
broken(struct err *e)
{
    return err_set(e, ERR_WORK, "gnuplot: gave no picture; install the package "
                                "gnuplot-nox and see that 'gnuplot -d' runs");
}

/* Starts gnuplot between two pipes. */
static int
start(pid_t *pid, int *to, int *from, struct err *e)
{
    char name[] = "gnuplot", option[] = "-d", locale[] = "LC_ALL=C.UTF-8";
    char *path = mem_printf("PATH=%s",
        getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    char *argv[] = { name, option, NULL };
    char *env[] = { locale, path, NULL };
    posix_spawn_file_actions_t fa;
    int in[2], out[2], why;

    if (pipe2(in, O_CLOEXEC) != 0) {
        free(path);
        return err_sys(e, "gnuplot", "cannot make a pipe", NULL);
    }
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        free(path);
        return err_sys(e, "gnuplot", "cannot make a pipe", NULL);
    }
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, in[0], 0);
    posix_spawn_file_actions_adddup2(&fa, out[1], 1);
    why = posix_spawnp(pid, name, &fa, NULL, argv, env);
    posix_spawn_file_actions_destroy(&fa);
    free(path);
    close(in[0]);
    close(out[1]);
    *to = in[1];
    *from = out[0];
    if (why == 0)
        return 0;
    close(*to);
    close(*from);
    errno = why;
    return err_sys(e, "gnuplot", "cannot start",
        "install the package gnuplot-nox");
}

/* The script is small enough for a pipe's buffer or gnuplot reads it at once. */
static bool
feed(int fd, const char *p, size_t n)
{
    while (n > 0) {
        const ssize_t k = write(fd, p, n);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static bool
receive(int fd, struct str *s)
{
    char buf[8192];

    for (;;) {
        const ssize_t k = read(fd, buf, sizeof buf);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return k == 0;
        if (s->len > SVG_MAX)
            return false;
        str_addn(s, buf, (size_t)k);
    }
}

/* Runs a script; `svg` gets the <svg> element without what stands before it. */
static int
draw(const struct str *script, struct str *svg, struct err *e)
{
    struct sigaction ignore = { 0 }, before;
    struct str all = { 0 };
    int to = -1, from = -1, status = -1;
    const char *begin;
    pid_t pid;
    bool ok;

    if (start(&pid, &to, &from, e))
        return e->code;
    ignore.sa_handler = SIG_IGN; /* a gnuplot that dies is seen by its status */
    sigaction(SIGPIPE, &ignore, &before);
    ok = feed(to, script->p, script->len);
    close(to);
    ok = receive(from, &all) && ok;
    close(from);
    sigaction(SIGPIPE, &before, NULL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    begin = strstr(str_get(&all), "<svg");
    if (!ok || !WIFEXITED(status) || WEXITSTATUS(status) != 0 ||
        begin == NULL || strstr(begin, "</svg>") == NULL)
        broken(e);
    else
        str_add(svg, begin);
    str_release(&all);
    return e->code;
}

/* A name between gnuplot's double quotes: only what cannot mean anything. */
static void
add_name(struct str *s, const char *name)
{
    for (const char *p = name; *p; p++)
        if ((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') ||
            (*p >= 'a' && *p <= 'z') || strchr(".-+ ", *p) != NULL)
            str_addc(s, *p);
        else
            str_addc(s, ' ');
}

int
plot_size_quality(const struct plot_point *p, size_t n, double limit,
    struct str *svg, struct err *e)
{
    struct str s = { 0 };
    double most = 0.0, low = limit, high = limit;

    for (size_t i = 0; i < n; i++) {
        most = fmax(most, p[i].bytes);
        low = fmin(low, p[i].low);
        high = fmax(high, p[i].high);
    }
    const double room = fmax(0.08 * (high - low), 0.2);

    str_add(&s, prologue);
    str_addf(&s, "set xrange [0:%g]\nset yrange [%g:%g]\n", 1.18 * most / 1e6,
        low - room, high + room);
    str_add(&s, "set xlabel 'size, MB'\nset ylabel 'items right, %'\n"
                "set key off\n");
    str_addf(&s,
        "set arrow from graph 0, first %g to graph 1, first %g nohead "
        "dashtype 2 linecolor rgb '#b0413e'\n"
        "set label 'limit' at graph 0.02, first %g left offset 0,0.6 "
        "textcolor rgb '#b0413e' font ',11'\n",
        limit, limit, limit);
    for (size_t i = 0; i < n; i++) {
        str_addf(&s, "set label \"");
        add_name(&s, p[i].name);
        str_addf(&s, "\" at %g,%g left offset 0.9,0 textcolor rgb '%s'\n",
            p[i].bytes / 1e6, p[i].points, p[i].color);
    }
    str_add(&s, "plot ");
    for (size_t i = 0; i < n; i++)
        str_addf(&s,
            "%s'-' using 1:2:3:4 with yerrorbars linecolor rgb '%s' "
            "pointtype 7 pointsize 0.9 linewidth 1.6",
            i ? ", " : "", p[i].color);
    str_add(&s, "\n");
    for (size_t i = 0; i < n; i++)
        str_addf(&s, "%g %g %g %g\ne\n", p[i].bytes / 1e6, p[i].points,
            p[i].low, p[i].high);
    draw(&s, svg, e);
    str_release(&s);
    return e->code;
}

int
plot_layer_errors(const struct plot_line *l, size_t n, size_t layers,
    struct str *svg, struct err *e)
{
    struct str s = { 0 };
    const size_t step = layers / 16 + 1;

    str_add(&s, prologue);
    str_addf(&s, "set xrange [-0.4:%g]\n", (double)layers + 0.4);
    str_add(&s, "set yrange [0:*]\nset xlabel 'layer'\n"
                "set ylabel 'relative error of the weights, %'\n"
                "set key top right samplen 2 textcolor rgb '#444b55'\n"
                "set xtics (");
    for (size_t i = 0; i < layers; i += step)
        str_addf(&s, "'%zu' %zu, ", i, i);
    str_addf(&s, "'head' %zu)\nplot ", layers);
    for (size_t i = 0; i < n; i++) {
        str_addf(&s,
            "%s'-' using 1:2 with linespoints linecolor rgb '%s' pointtype 7 "
            "pointsize 0.6 linewidth 1.8 title \"",
            i ? ", " : "", l[i].color);
        add_name(&s, l[i].name);
        str_add(&s, "\"");
    }
    str_add(&s, "\n");
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k <= layers; k++) {
            if (isfinite(l[i].error[k]))
                str_addf(&s, "%zu %g\n", k, 100.0 * l[i].error[k]);
            else
                str_add(&s, "\n");
        }
        str_add(&s, "e\n");
    }
    draw(&s, svg, e);
    str_release(&s);
    return e->code;
}
