/*
 * quern-logits - what a model says after each of some tokens
 *
 * usage: quern logits MODEL --tokens ID,ID,... -o OUT.safetensors
 * Writes the F32 tensor `logits` [positions, vocabulary].
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/option.h"
#include "lib/base/str.h"
#include "lib/format/checkpoint.h"
#include "lib/format/safetensors.h"
#include "lib/model/model.h"
#include "lib/text/ids.h"

static const char usage[] =
    "usage: quern logits MODEL --tokens ID,ID,... -o OUT.safetensors\n"
    "\n"
    "  MODEL        a model's folder or a .gguf file\n"
    "  -t, --tokens ids to read, e.g. 0,17,4\n"
    "  -o FILE      the F32 tensor 'logits' [positions, vocabulary]\n";

static int
parse_ids(const char *text, struct ids *ids, struct err *e)
{
    char *copy = mem_strdup(text), *rest = copy, *part;

    while (e->code == 0 && (part = strsep(&rest, ",")) != NULL) {
        unsigned long long id;

        if (str_to_u64(part, INT32_MAX, &id))
            ids_add(ids, (int32_t)id);
        else
            err_set(e, ERR_USAGE, "--tokens: '%s' is no token id; write whole "
                                  "numbers with commas between", part);
    }
    free(copy);
    return e->code;
}

struct rows {
    struct st_writer *w;
    const struct model *m;
    size_t vocab;
    struct err *e;
};

static void
write_row(void *ctx, size_t i, float *logits)
{
    const struct rows *r = ctx;

    if (r->e->code == 0)
        logits_check(r->m, logits, i, r->e);
    st_writer_data(r->w, logits, r->vocab * sizeof *logits);
}

static int
run(const char *path, const struct ids *ids, const char *out, struct err *e)
{
    struct pool *pool = pool_new(0);
    const struct model_open_opts opts = { .no_tokenizer = true,
        .pool = pool };
    struct st_writer w = { 0 };
    struct session *s = NULL;
    struct model *m = NULL;

    if (model_open(&m, path, &opts, e) == 0) {
        const size_t vocab = model_config(m)->vocab;
        const struct st_spec spec = { .name = "logits", .dtype = "F32",
            .rank = 2, .shape = { ids->n, vocab } };
        struct err bad = { 0 };
        struct rows rows = { &w, m, vocab, &bad };

        s = session_new(m, 0, pool);
        if (checkpoint_spared(model_checkpoint(m), out, e) == 0 &&
            st_writer_open(&w, out, &spec, 1, NULL, e) == 0 &&
            session_each(s, ids->v, ids->n, NULL, write_row, &rows, e) == 0 &&
            bad.code == 0)
            st_writer_close(&w, e);
        if (e->code == 0)
            *e = bad;
    }
    st_writer_release(&w);
    session_free(s);
    model_free(m);
    pool_free(pool);
    return e->code;
}

int
main(int argc, char **argv)
{
    static const struct option longer[] = {
        { "tokens", required_argument, NULL, 't' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct option_scan scan = { .prog = "quern-logits", .usage = usage,
        .known = ":ht:o:", .longer = longer };
    const char *out = NULL, *tokens = NULL;
    struct ids ids = { 0 };
    struct err e = { 0 };
    int c;

    while ((c = option_next(&scan, argc, argv)) != -1)
        *(c == 't' ? &tokens : &out) = optarg;
    if (scan.stop)
        return scan.status;
    if (argc - optind != 1 || tokens == NULL || out == NULL)
        return option_wrong(&scan, "name one model, --tokens and -o");
    file_catch_signals();
    if (parse_ids(tokens, &ids, &e) == 0)
        run(argv[optind], &ids, out, &e);
    ids_release(&ids);
    return err_exit("quern-logits", &e);
}
