/*
 * quern-benchmark - how large and how fast is a candidate beside the baseline
 *
 * Two children measure, one for each model, so that peak memory is each one's
 * own; they wait while the other one runs. Runs come in blocks ABBA (baseline,
 * candidate, candidate, baseline), so that a drift of the machine hits both
 * alike. A run reads a prompt and, from an empty context, writes token by token;
 * ids are drawn from a fixed seed, so nothing is tokenized or sampled inside the
 * timed window. The stage has the machine alone.
 *
 * The children are this program, called as `quern-benchmark --measure MODEL
 * PREFILL DECODE`: one line of JSON for each line read from standard input.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/format/fingerprint.h"
#include "lib/judge/sample.h"
#include "lib/model/meter.h"
#include "lib/record/stage.h"

extern char **environ;

enum { BASELINE, CANDIDATE, SIDES };
enum { MAX_BLOCKS = 1000, MAX_TOKENS = 1 << 20 };

/* Other work above this share of a core is worth a word. */
static const double QUIET_SHARE = 0.05;

static const char *const side_names[SIDES] = { "baseline", "candidate" };

/*
 * The child
 */
static void
say(json_t *o)
{
    char *text = json_text(o, true);

    fputs(text, stdout);
    fflush(stdout);
    free(text);
    json_decref(o);
}

static void
say_ready(const struct meter *b)
{
    json_t *o = json_object();

    json_object_set_new(o, "load_ms", json_real(b->load_ms));
    json_object_set_new(o, "numeric", json_string(model_numeric(b->m)));
    json_object_set_new(o, "prefill", json_integer((json_int_t)b->prefill));
    json_object_set_new(o, "decode", json_integer((json_int_t)b->decode));
    json_object_set_new(o, "threads",
        json_integer((json_int_t)pool_threads(b->pool)));
    json_object_set_new(o, "weight_bytes",
        json_integer((json_int_t)model_weight_bytes(b->m)));
    say(o);
}

static void
say_run(struct meter *b, struct err *e)
{
    const double prefill = meter_prefill(b, e);
    const double decode = e->code ? 0.0 : meter_decode(b, e);
    json_t *o;

    if (e->code)
        return;
    o = json_object();
    json_object_set_new(o, "prefill", json_real(prefill));
    json_object_set_new(o, "decode", json_real(decode));
    json_object_set_new(o, "peak_bytes",
        json_integer((json_int_t)meter_peak_bytes()));
    say(o);
}

static int
measure(char **argv)
{
    struct meter b = { 0 };
    struct err e = { 0 };
    unsigned long long prefill, decode;
    char line[16];

    if (!str_to_u64(argv[3], MAX_TOKENS, &prefill) ||
        !str_to_u64(argv[4], MAX_TOKENS, &decode))
        err_set(&e, ERR_USAGE, "--measure wants MODEL PREFILL DECODE");
    else if (meter_open(&b, argv[2], (size_t)prefill, (size_t)decode, &e) == 0)
        say_ready(&b);
    while (e.code == 0 && fgets(line, sizeof line, stdin) != NULL)
        say_run(&b, &e);
    if (e.code) {
        json_t *o = json_object();

        json_object_set_new(o, "error", json_string(e.text));
        say(o);
    }
    meter_release(&b);
    return e.code;
}

/*
 * The parent
 */
struct child {
    const char *path; /* of its model; borrowed */
    pid_t pid;        /* 0: none */
    FILE *to, *from;
    json_t *ready;    /* what it said first; owned */
    double *prefill, *decode; /* [n] tokens per second; owned */
    size_t n;
    uint64_t peak;
};

struct work {
    struct stage *s;
    struct child side[SIDES];
    int64_t prefill, decode, blocks;
    struct str order; /* "ABBA..." */
    double other_share;
    json_t *hardware;
    uint64_t bytes[SIDES];
};

/* One line of JSON from a child; its error becomes ours. */
static json_t *
hear(struct child *c, struct err *e)
{
    char *line = NULL;
    size_t cap = 0;
    const ssize_t n = getline(&line, &cap, c->from);
    json_t *o = NULL;

    if (n <= 0)
        err_set(e, ERR_WORK,
            "%s: the process that measures it ended; see whether the machine "
            "has enough memory",
            c->path);
    else
        o = json_parse(line, (size_t)n, c->path, e);
    if (o != NULL && json_object_get(o, "error") != NULL) {
        err_set(e, ERR_WORK, "%s",
            json_string_value(json_object_get(o, "error")));
        json_decref(o);
        o = NULL;
    }
    free(line);
    return o;
}

static int
child_start(struct work *w, struct child *c, struct err *e)
{
    char prefill[32], decode[32], name[] = "quern-benchmark",
                                  option[] = "--measure";
    char *path = mem_strdup(c->path);
    char *argv[] = { name, option, path, prefill, decode, NULL };
    posix_spawn_file_actions_t fa;
    int to[2] = { -1, -1 }, from[2] = { -1, -1 };
    int why;

    snprintf(prefill, sizeof prefill, "%lld", (long long)w->prefill);
    snprintf(decode, sizeof decode, "%lld", (long long)w->decode);
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) {
        err_sys(e, c->path, "cannot make a pipe", NULL);
        free(path);
        return e->code;
    }
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, to[0], 0);
    posix_spawn_file_actions_adddup2(&fa, from[1], 1);
    why = posix_spawn(&c->pid, "/proc/self/exe", &fa, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    close(to[0]);
    close(from[1]);
    free(path);
    c->to = fdopen(to[1], "we");
    c->from = fdopen(from[0], "re");
    if (why != 0) {
        c->pid = 0;
        errno = why;
        return err_sys(e, c->path, "cannot start the measuring process", NULL);
    }
    c->ready = hear(c, e);
    return e->code;
}

static void
child_stop(struct child *c)
{
    int status;

    if (c->to != NULL)
        fclose(c->to);
    if (c->from != NULL)
        fclose(c->from);
    if (c->pid > 0)
        waitpid(c->pid, &status, 0);
    json_decref(c->ready);
    free(c->prefill);
    free(c->decode);
    memset(c, 0, sizeof *c);
}

static int
child_run(struct child *c, bool keep, struct err *e)
{
    json_t *o;

    fputs("run\n", c->to);
    fflush(c->to);
    o = hear(c, e);
    if (o == NULL)
        return e->code;
    if (keep) {
        c->prefill[c->n] =
            json_get_real(o, "prefill", 0.0, HUGE_VAL, c->path, e);
        c->decode[c->n] =
            json_get_real(o, "decode", 0.0, HUGE_VAL, c->path, e);
        c->n++;
    }
    c->peak = (uint64_t)json_integer_value(json_object_get(o, "peak_bytes"));
    json_decref(o);
    return e->code;
}

/* Seconds that all CPUs spent working, 0 where the system does not tell. */
static double
busy_seconds(void)
{
    FILE *f = fopen("/proc/stat", "re");
    unsigned long long user = 0, nice = 0, sys = 0;

    if (f == NULL)
        return 0.0;
    if (fscanf(f, "cpu %llu %llu %llu", &user, &nice, &sys) != 3)
        user = nice = sys = 0;
    fclose(f);
    return (double)(user + nice + sys) / (double)sysconf(_SC_CLK_TCK);
}

static double
cpu_seconds(int who)
{
    struct rusage u;

    getrusage(who, &u);
    return (double)u.ru_utime.tv_sec + 1e-6 * (double)u.ru_utime.tv_usec +
        (double)u.ru_stime.tv_sec + 1e-6 * (double)u.ru_stime.tv_usec;
}

static int
run_blocks(struct work *w, struct err *e)
{
    static const int abba[] = { BASELINE, CANDIDATE, CANDIDATE, BASELINE };
    const size_t runs = 2 * (size_t)w->blocks;

    for (int i = 0; i < SIDES; i++) {
        w->side[i].prefill = mem_calloc(runs, sizeof(double));
        w->side[i].decode = mem_calloc(runs, sizeof(double));
        if (child_start(w, &w->side[i], e) ||
            child_run(&w->side[i], false, e)) /* warm-up */
            return e->code;
    }
    stage_progress(w->s, "runs", "run", 2 * runs);
    for (int64_t b = 0; b < w->blocks; b++)
        for (size_t k = 0; k < countof(abba); k++) {
            if (child_run(&w->side[abba[k]], true, e))
                return e->code;
            str_addc(&w->order, "AB"[abba[k]]);
            progress_add(&w->s->progress, 1);
        }
    return 0;
}

/* Compares the baseline with its fingerprints, and adds up its weight files. */
static int
check_baseline(struct work *w, const char *dir, struct err *e)
{
    struct checkpoint ck = { 0 };
    const struct stage_file *in;

    if (checkpoint_open(&ck, dir, e))
        return e->code;
    for (size_t i = 0; (in = stage_in_next(w->s, "base/", &i)) != NULL;) {
        struct fingerprint f = { 0 };

        if (fingerprint_parse(&f, in->role, in->map.p, in->map.len, e))
            break;
        for (size_t k = 0; k < f.n_files; k++)
            if (strcmp(f.kind, "model") == 0 &&
                (str_ends(f.files[k].name, ".safetensors") || ck.is_gguf))
                w->bytes[BASELINE] += f.files[k].bytes;
        if (strcmp(f.kind, "model") != 0)
            fingerprint_check(&f, &ck, w->s->pool, e);
        fingerprint_release(&f);
        if (e->code)
            break;
    }
    checkpoint_close(&ck);
    if (e->code == 0 && w->bytes[BASELINE] == 0)
        err_set(e, ERR_USAGE, "base/model.fp.json names no weights; name it "
                              "with --in");
    return e->code;
}

static json_t *
side_json(const double *x, size_t n)
{
    json_t *o = json_object(), *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_real(x[i]));
    json_object_set_new(o, "samples", list);
    json_object_set_new(o, "median", json_real(sample_median(x, n)));
    json_object_set_new(o, "mean", json_real(sample_mean(x, n)));
    json_object_set_new(o, "stddev", json_real(sample_stddev(x, n)));
    return o;
}

static json_t *
rates_json(const struct work *w, bool prefill)
{
    const struct child *a = &w->side[BASELINE], *b = &w->side[CANDIDATE];
    const double *x = prefill ? b->prefill : b->decode;
    const double *y = prefill ? a->prefill : a->decode;
    const struct ratio r = sample_ratio(x, b->n, y, a->n);
    json_t *o = json_object(), *ratio = json_object();

    json_object_set_new(ratio, "value", json_real(r.value));
    json_object_set_new(ratio, "lower", json_real(r.lower));
    json_object_set_new(ratio, "upper", json_real(r.upper));
    json_object_set(o, "tokens",
        json_object_get(b->ready, prefill ? "prefill" : "decode"));
    json_object_set_new(o, side_names[BASELINE], side_json(y, a->n));
    json_object_set_new(o, side_names[CANDIDATE], side_json(x, b->n));
    json_object_set_new(o, "ratio", ratio);
    return o;
}

/* {"baseline": .., "candidate": ..} of whole numbers, and their ratio. */
static json_t *
pair_json(uint64_t a, uint64_t b)
{
    json_t *o = json_object();

    json_object_set_new(o, "baseline", json_integer((json_int_t)a));
    json_object_set_new(o, "candidate", json_integer((json_int_t)b));
    if (a > 0)
        json_object_set_new(o, "ratio", json_real((double)b / (double)a));
    return o;
}

static json_t *
ready_json(const struct work *w, const char *key)
{
    json_t *o = json_object();

    for (int i = 0; i < SIDES; i++)
        json_object_set(o, side_names[i],
            json_object_get(w->side[i].ready, key));
    return o;
}

/* One line of llama-bench's own output, under its key names. */
static json_t *
llama_bench(const struct work *w, int side, bool prefill)
{
    const struct child *c = &w->side[side];
    const double *x = prefill ? c->prefill : c->decode;
    const json_t *count =
        json_object_get(c->ready, prefill ? "prefill" : "decode");
    const double tokens = json_number_value(count);
    double *ns = mem_calloc(c->n, sizeof *ns);
    json_t *o = json_object(), *ts = json_array(), *samples = json_array();

    for (size_t i = 0; i < c->n; i++) {
        ns[i] = 1e9 * tokens / x[i];
        json_array_append_new(ts, json_real(x[i]));
        json_array_append_new(samples, json_integer((json_int_t)ns[i]));
    }
    json_object_set_new(o, "model_type", json_string(side_names[side]));
    json_object_set(o, "model_size",
        json_object_get(c->ready, "weight_bytes"));
    json_object_set_new(o, "backends", json_string("CPU"));
    json_object_set(o, "n_threads", json_object_get(c->ready, "threads"));
    json_object_set_new(o, "n_prompt",
        json_integer(prefill ? (json_int_t)tokens : 0));
    json_object_set_new(o, "n_gen",
        json_integer(prefill ? 0 : (json_int_t)tokens));
    json_object_set_new(o, "n_depth", json_integer(0));
    json_object_set_new(o, "avg_ns",
        json_integer((json_int_t)sample_mean(ns, c->n)));
    json_object_set_new(o, "stddev_ns",
        json_integer((json_int_t)sample_stddev(ns, c->n)));
    json_object_set_new(o, "avg_ts", json_real(sample_mean(x, c->n)));
    json_object_set_new(o, "stddev_ts", json_real(sample_stddev(x, c->n)));
    json_object_set_new(o, "samples_ns", samples);
    json_object_set_new(o, "samples_ts", ts);
    free(ns);
    return o;
}

static int
put(struct work *w, struct err *e)
{
    const char *name = stage_param(w->s, "candidate");
    char *role = mem_printf("bench/%s.json", name);
    json_t *o = json_object(), *lines = json_array();

    for (int i = 0; i < 2 * SIDES; i++)
        json_array_append_new(lines, llama_bench(w, i / 2, i % 2 == 0));
    json_object_set_new(o, "schema", json_string("quern.benchmark/1"));
    json_object_set_new(o, "candidate", json_string(name));
    json_object_set(o, "hardware", json_object_get(w->hardware, "digest"));
    json_object_set_new(o, "bytes",
        pair_json(w->bytes[BASELINE], w->bytes[CANDIDATE]));
    json_object_set_new(o, "peak_bytes",
        pair_json(w->side[BASELINE].peak, w->side[CANDIDATE].peak));
    json_object_set_new(o, "load_ms", ready_json(w, "load_ms"));
    json_object_set_new(o, "numeric", ready_json(w, "numeric"));
    json_object_set_new(o, "prefill", rates_json(w, true));
    json_object_set_new(o, "decode", rates_json(w, false));
    json_object_set_new(o, "order", json_string(w->order.p));
    json_object_set(o, "threads",
        json_object_get(w->side[CANDIDATE].ready, "threads"));
    json_object_set_new(o, "other_load", json_real(w->other_share));
    json_object_set_new(o, "quiet",
        json_boolean(w->other_share <= QUIET_SHARE));
    json_object_set_new(o, "llama_bench", lines);
    stage_put_json(w->s, role, o, e);
    json_decref(o);
    free(role);
    return e->code;
}

static int
run(struct stage *s, struct err *e)
{
    struct work w = { .s = s, .prefill = 512, .decode = 128, .blocks = 3 };
    const struct stage_file *cand;
    double wall, cpu;
    size_t i = 0;

    if ((stage_param(s, "prefill") &&
            stage_param_int(s, "prefill", 1, MAX_TOKENS, &w.prefill, e)) ||
        (stage_param(s, "decode") &&
            stage_param_int(s, "decode", 1, MAX_TOKENS, &w.decode, e)) ||
        (stage_param(s, "blocks") &&
            stage_param_int(s, "blocks", 1, MAX_BLOCKS, &w.blocks, e)))
        return e->code;
    signal(SIGPIPE, SIG_IGN); /* a child that died is seen when it is heard */
    cand = stage_in_next(s, "cand/", &i);
    w.hardware = stage_in_json(s, "hardware.json", e);
    if (e->code || check_baseline(&w, stage_src(s, "base"), e))
        goto done;
    w.bytes[CANDIDATE] = cand->bytes;
    w.side[BASELINE].path = stage_src(s, "base");
    w.side[CANDIDATE].path = cand->path;

    const double start = meter_seconds(), busy = busy_seconds();
    const double own = cpu_seconds(RUSAGE_SELF) + cpu_seconds(RUSAGE_CHILDREN);

    if (run_blocks(&w, e))
        goto done;
    for (int k = 0; k < SIDES; k++) { /* they end, so that their time counts */
        fclose(w.side[k].to);
        w.side[k].to = NULL;
        waitpid(w.side[k].pid, NULL, 0);
        w.side[k].pid = 0;
    }
    wall = meter_seconds() - start;
    cpu = cpu_seconds(RUSAGE_SELF) + cpu_seconds(RUSAGE_CHILDREN) - own;
    w.other_share = fmax(0.0, (busy_seconds() - busy - cpu) / wall);
    put(&w, e);

done:
    for (int k = 0; k < SIDES; k++)
        child_stop(&w.side[k]);
    str_release(&w.order);
    json_decref(w.hardware);
    return e->code;
}

static const char *const params[] = { "!candidate", "prefill", "decode",
    "blocks", NULL };
static const char *const ins[] = { "!cand/*", "!hardware.json", "!base/*",
    NULL };
static const char *const srcs[] = { "!base", NULL };
static const char *const outs[] = { "!bench/*", NULL };

static const struct stage_spec spec = {
    .step = "benchmark",
    .purpose = "measure size, memory and speed beside the baseline",
    .params = params,
    .ins = ins,
    .srcs = srcs,
    .outs = outs,
    .alone = true,
};

int
main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "--measure") == 0) {
        return measure(argv);
    }
    return stage_main(&spec, argc, argv, run);
}
