/*
 * quern-generate - what a model writes after a text
 *
 * usage: quern generate MODEL -p TEXT [-n N] [-c | -r] [-i]
 * Greedy: the most likely token each time. The text comes out as it is written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/option.h"
#include "lib/base/str.h"
#include "lib/model/model.h"
#include "lib/text/chat.h"
#include "lib/text/utf8.h"

static const char usage[] =
    "usage: quern generate MODEL -p TEXT [-n N] [-c | -r] [-i]\n"
    "\n"
    "  MODEL        a model's folder or a .gguf file\n"
    "  -p, --prompt text to write on after; the tokenizer puts around it what\n"
    "               it always does\n"
    "  -n N         at most so many new tokens (default 128)\n"
    "  -c, --chat   the text is a user's message: the model's chat template "
    "is\n"
    "               put around it, and the answer is written\n"
    "  -r           raw: nothing is put around the text\n"
    "  -i, --ids    print a JSON array of the new ids instead of text\n";

enum { WORTH_A_COPY = 32 }; /* tokens */

struct opts {
    const char *model, *prompt;
    unsigned long long n;
    bool chat, raw, ids;
};

/* Prints what has become certain: a half character waits for its other half. */
static void
print_new(const struct tokenizer *t, const struct ids *ids, size_t *printed,
    bool is_last)
{
    struct str text = { 0 };
    size_t len;

    tokenizer_decode(t, ids->v, ids->n, true, &text);
    len = text.len;
    if (!is_last && str_ends(str_get(&text), "\xef\xbf\xbd"))
        len -= 3;
    if (len > *printed) {
        fwrite(text.p + *printed, 1, len - *printed, stdout);
        *printed = len;
        fflush(stdout);
    }
    str_release(&text);
}

static int
write_on(const struct opts *o, const struct model *m,
    const struct tokenizer *t, struct session *s, const struct ids *prompt,
    struct err *e)
{
    const struct model_config *c = model_config(m);
    float *logits = mem_calloc(c->vocab, sizeof *logits);
    struct ids new = { 0 };
    size_t printed = 0;

    session_eval(s, prompt->v, prompt->n, logits, LOGITS_LAST, e);
    while (e->code == 0 && new.n < o->n &&
        logits_check(m, logits, session_len(s) - 1, e) == 0) {
        const int32_t id = (int32_t)logits_argmax(logits, c->vocab);

        if (model_is_eos(m, id))
            break;
        ids_add(&new, id);
        if (!o->ids)
            print_new(t, &new, &printed, false);
        if (new.n == o->n || session_len(s) == c->positions)
            break;
        session_eval(s, &id, 1, logits, LOGITS_LAST, e);
    }
    if (o->ids && e->code == 0) {
        putchar('[');
        for (size_t i = 0; i < new.n; i++)
            printf("%s%d", i ? "," : "", (int)new.v[i]);
        puts("]");
    } else if (!o->ids) {
        print_new(t, &new, &printed, true);
        putchar('\n');
    }
    ids_release(&new);
    free(logits);
    return e->code;
}

/* A chat template writes the special tokens itself. */
static int
encode_prompt(const struct opts *o, struct tokenizer *t,
    struct ids *ids, struct err *e)
{
    const struct chat_message m = { "user", o->prompt };
    struct str text = { 0 };

    if (!o->chat)
        str_add(&text, o->prompt);
    else if (chat_render(t, o->model, &m, 1, true, &text, e) != 0)
        goto done;
    tokenizer_encode(t, str_get(&text), text.len, !o->raw && !o->chat, ids, e);
    if (e->code == 0 && ids->n == 0)
        err_set(e, ERR_WORK,
            "the prompt has no tokens; write at least one character");
done:
    str_release(&text);
    return e->code;
}

static int
run(const struct opts *o, struct err *e)
{
    struct pool *pool = pool_new(0);
    /* the copy costs what it saves in some thirty tokens */
    const struct model_open_opts opts = { .pool = pool,
        .decodes = o->n >= WORTH_A_COPY };
    const size_t len = strlen(o->prompt);
    struct session *s = NULL;
    struct model *m = NULL;
    struct ids ids = { 0 };

    if (utf8_check(o->prompt, len) != len)
        err_set(e, ERR_WORK,
            "the prompt is not valid UTF-8; convert it to UTF-8");
    else if (model_open(&m, o->model, &opts, e) == 0 &&
        encode_prompt(o, model_tokenizer(m), &ids, e) == 0) {
        s = session_new(m, 0, pool);
        write_on(o, m, model_tokenizer(m), s, &ids, e);
    }
    session_free(s);
    ids_release(&ids);
    model_free(m);
    pool_free(pool);
    return e->code;
}

/* False when the option or its value is wrong. */
static bool
take(struct opts *o, int c)
{
    switch (c) {
    case 'p':
        o->prompt = optarg;
        return true;
    case 'n':
        return str_to_u64(optarg, INT32_MAX, &o->n);
    case 'c':
        return o->chat = true;
    case 'r':
        return o->raw = true;
    case 'i':
        return o->ids = true;
    default:
        return false;
    }
}

int
main(int argc, char **argv)
{
    static const struct option longer[] = {
        { "prompt", required_argument, NULL, 'p' },
        { "chat", no_argument, NULL, 'c' },
        { "ids", no_argument, NULL, 'i' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct option_scan scan = { .prog = "quern-generate", .usage = usage,
        .known = ":hp:n:cri", .longer = longer };
    struct opts o = { .n = 128 };
    struct err e = { 0 };
    int c;

    while ((c = option_next(&scan, argc, argv)) != -1)
        if (!take(&o, c))
            return option_wrong(&scan, "'-%c': '%s' is no number of ids; "
                "write a whole number", c, optarg);
    if (scan.stop)
        return scan.status;
    if (argc - optind != 1 || o.prompt == NULL)
        return option_wrong(&scan, "name one model and a prompt (-p)");
    if (o.chat && o.raw)
        return option_wrong(&scan, "take -c or -r, not both");
    o.model = argv[optind];
    run(&o, &e);
    return err_exit("quern-generate", &e);
}
