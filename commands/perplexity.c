/*
 * quern-perplexity - how well a model predicts a text
 *
 * usage: quern perplexity MODEL FILE [--ctx N] [--rule llama.cpp|windows]
 *        [--limit N] [--json]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/option.h"
#include "lib/base/str.h"
#include "lib/model/perplexity.h"

enum { TEXT_MAX = 1 << 30, WINDOW_MAX = 2048, LLAMA_WINDOW = 512 };

static const char usage[] =
    "usage: quern perplexity MODEL FILE [--ctx N] [--rule llama.cpp|windows]\n"
    "           [--limit N] [--json]\n"
    "\n"
    "  MODEL        a model's folder or a .gguf file\n"
    "  FILE         text\n"
    "  -c, --ctx    tokens of a window (windows: the smaller of 2048 and the\n"
    "               model's context; llama.cpp: 512)\n"
    "  -r, --rule   windows: no overlap, nothing put in front, the first token\n"
    "               of a window is context only (default)\n"
    "               llama.cpp: as its perplexity tool, which scores the second\n"
    "               half of each window\n"
    "  -l, --limit  tokens of the text to read (0: all)\n"
    "  -j, --json   one line of JSON\n";

struct opts {
    const char *model, *file;
    unsigned long long window, limit;
    enum perplexity_rule rule;
    bool json;
};

static void
print_result(const struct opts *o, const struct perplexity *p,
    const struct model *m, size_t tokens)
{
    const double ppl = exp(p->nll);
    const size_t scored = p->windows * p->per_window;

    if (!o->json) {
        printf("perplexity %.6f +- %.6f\n", ppl, ppl * p->stderr_nll);
        printf("nll        %.9f nats a token\n", p->nll);
        printf("scored     %zu of %zu tokens, %zu windows of %zu, %s\n", scored,
            tokens, p->windows, p->window, model_numeric(m));
        return;
    }
    json_t *v = json_object();
    char *text;

    json_object_set_new(v, "ppl", json_real(ppl));
    json_object_set_new(v, "ppl_stderr", json_real(ppl * p->stderr_nll));
    json_object_set_new(v, "nll", json_real(p->nll));
    json_object_set_new(v, "nll_sum", json_real(p->nll * (double)scored));
    json_object_set_new(v, "tokens", json_integer((json_int_t)tokens));
    json_object_set_new(v, "scored", json_integer((json_int_t)scored));
    json_object_set_new(v, "windows", json_integer((json_int_t)p->windows));
    json_object_set_new(v, "window", json_integer((json_int_t)p->window));
    json_object_set_new(v, "numeric", json_string(model_numeric(m)));
    text = json_text(v, true);
    fputs(text, stdout);
    free(text);
    json_decref(v);
}

/* The window that was asked for, or the rule's own. */
static size_t
window_of(const struct opts *o, const struct model *m)
{
    const size_t context = model_config(m)->positions;

    if (o->window > 0)
        return (size_t)o->window;
    if (o->rule == PERPLEXITY_LLAMA_CPP)
        return LLAMA_WINDOW;
    return context < WINDOW_MAX ? context : WINDOW_MAX;
}

static int
run(const struct opts *o, struct err *e)
{
    struct pool *pool = pool_new(0);
    const struct model_open_opts opts = { .pool = pool };
    struct perplexity_opts how = { .rule = o->rule, .pool = pool };
    struct progress shown = { 0 };
    struct perplexity p = { 0 };
    struct blob text = { 0 };
    struct model *m = NULL;
    struct ids ids = { 0 };

    if (blob_read(&text, o->file, TEXT_MAX, e) ||
        model_open(&m, o->model, &opts, e) ||
        tokenizer_encode(model_tokenizer(m), text.p, text.len, false, &ids, e))
        goto done;
    if (o->limit > 0 && ids.n > o->limit)
        ids.n = (size_t)o->limit;
    how.window = window_of(o, m);
    how.bos = tokenizer_add_bos(model_tokenizer(m)) &&
        model_config(m)->bos >= 0;
    progress_start(&shown, "perplexity", NULL, "perplexity", "tokens", ids.n);
    how.progress = &shown;
    perplexity_run(&p, m, ids.v, ids.n, &how, e);
    progress_end(&shown);
    if (e->code == 0)
        print_result(o, &p, m, ids.n);

done:
    perplexity_release(&p);
    ids_release(&ids);
    blob_release(&text);
    model_free(m);
    pool_free(pool);
    return e->code;
}

/* False when the option or its value is wrong. */
static bool
take(struct opts *o, int c)
{
    switch (c) {
    case 'c':
        return o->window == 0 && str_to_u64(optarg, INT32_MAX, &o->window) &&
            o->window >= 2;
    case 'l':
        return o->limit == 0 && str_to_u64(optarg, INT64_MAX, &o->limit);
    case 'r':
        o->rule = strcmp(optarg, "llama.cpp") == 0 ? PERPLEXITY_LLAMA_CPP :
                                                     PERPLEXITY_WINDOWS;
        return o->rule == PERPLEXITY_LLAMA_CPP ||
            strcmp(optarg, "windows") == 0;
    case 'j':
        o->json = true;
        return true;
    default:
        return false;
    }
}

int
main(int argc, char **argv)
{
    static const struct option longer[] = {
        { "ctx", required_argument, NULL, 'c' },
        { "rule", required_argument, NULL, 'r' },
        { "limit", required_argument, NULL, 'l' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct option_scan scan = { .prog = "quern-perplexity", .usage = usage,
        .known = ":hc:r:l:j", .longer = longer };
    struct opts o = { .rule = PERPLEXITY_WINDOWS };
    struct err e = { 0 };
    int c;

    while ((c = option_next(&scan, argc, argv)) != -1)
        if (!take(&o, c))
            return option_wrong(&scan, "'-%c': '%s' is not a value for it", c,
                optarg);
    if (scan.stop)
        return scan.status;
    if (argc - optind != 2)
        return option_wrong(&scan, "name one model and one text");
    o.model = argv[optind];
    o.file = argv[optind + 1];
    run(&o, &e);
    return err_exit("quern-perplexity", &e);
}
