/*
 * quern-tokenize - token ids of each line of a text
 *
 * usage: quern tokenize [-d] [-s] MODEL [FILE]
 *
 * A line of FILE (or stdin) becomes a JSON array of ids on a line of its own;
 * the line's end belongs to neither. With -d it is the other way round.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/option.h"
#include "lib/base/str.h"
#include "lib/model/read_tokenizer.h"
#include "lib/text/utf8.h"

static const char usage[] =
    "usage: quern tokenize [-d] [-s] MODEL [FILE]\n"
    "\n"
    "  -d      decode: each line is a JSON array of ids, written as a JSON "
    "string\n"
    "  -s      with the special ids that the tokenizer puts around a text;\n"
    "          when decoding: leave special tokens out\n"
    "  MODEL   a model's folder, a .gguf file or a tokenizer.json\n"
    "  FILE    text to read (default: standard input)\n";

enum { READ_BYTES = 1 << 16, LINE_MOST = 256 << 20 };

struct opts {
    bool decode, special;
    const char *model, *file;
};

static int
print_ids(struct tokenizer *t, const char *line, size_t n, bool special,
    const char *place, struct err *e)
{
    struct ids ids = { 0 };
    size_t valid = utf8_check(line, n);

    if (valid < n)
        return err_set(e, ERR_WORK,
            "%s:%zu: not valid UTF-8; convert the text to UTF-8", place,
            valid + 1);
    if (tokenizer_encode(t, line, n, special, &ids, e) == 0) {
        putchar('[');
        for (size_t i = 0; i < ids.n; i++)
            printf("%s%d", i > 0 ? "," : "", (int)ids.v[i]);
        puts("]");
    }
    ids_release(&ids);
    return e->code;
}

static int
print_text(struct tokenizer *t, const char *line, size_t n, bool skip,
    const char *place, struct err *e)
{
    json_t *list = json_parse(line, n, place, e), *id;
    struct ids ids = { 0 };
    struct str s = { 0 };
    json_t *text = NULL;
    size_t i;

    if (list == NULL)
        return e->code;
    if (!json_is_array(list))
        err_set(e, ERR_WORK, "%s: is no array of ids; write one a line, such "
            "as [1,2,3]", place);
    json_array_foreach(list, i, id) {
        json_int_t v = json_integer_value(id);

        if (!json_is_integer(id) || v < 0 || v > INT32_MAX ||
            tokenizer_token(t, (int32_t)v) == NULL) {
            err_set(e, ERR_WORK,
                "%s: entry %zu is no id of this tokenizer; ids are whole "
                "numbers below %zu",
                place, i + 1, tokenizer_size(t));
            break;
        }
        ids_add(&ids, (int32_t)v);
    }
    if (e->code == 0) {
        tokenizer_decode(t, ids.v, ids.n, skip, &s);
        text = json_stringn(str_get(&s), s.len);
        json_dumpf(text, stdout, JSON_ENCODE_ANY);
        putchar('\n');
    }
    json_decref(text);
    json_decref(list);
    str_release(&s);
    ids_release(&ids);
    return e->code;
}

/* Lines as they come, so that a pipe is answered line by line. */
struct lines {
    int fd;
    const char *name;
    struct str line; /* the current one, without its end */
    size_t number;   /* of it, from 1 */
    char part[READ_BYTES];
    size_t at, n;    /* what of `part` is still to be handed out */
};

/* Moves to the next line; false at the end or with an error. */
static bool
lines_next(struct lines *l, struct err *e)
{
    str_clear(&l->line);
    l->number++;
    for (;;) {
        const char *p = l->part + l->at, *end;
        size_t n;

        if (l->at == l->n) {
            const ssize_t got = read(l->fd, l->part, sizeof l->part);

            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                err_sys(e, l->name, "cannot read", NULL);
            l->at = 0;
            l->n = got > 0 ? (size_t)got : 0;
            if (got <= 0)
                return got == 0 && l->line.len > 0;
            p = l->part;
        }
        end = memchr(p, '\n', l->n - l->at);
        n = end != NULL ? (size_t)(end - p) : l->n - l->at;
        str_addn(&l->line, p, n);
        l->at += n + (end != NULL);
        if (l->line.len > LINE_MOST) {
            err_set(e, ERR_WORK, "%s:%zu: the line has more than %d bytes; "
                "break it in two", l->name, l->number, (int)LINE_MOST);
            return false;
        }
        if (end != NULL)
            return true;
    }
}

static int
run(const struct opts *o, struct err *e)
{
    struct lines *l = mem_calloc(1, sizeof *l);
    struct tokenizer *t = NULL;

    l->name = o->file != NULL ? o->file : "standard input";
    l->fd = STDIN_FILENO;
    if (read_tokenizer(&t, o->model, e) == 0 && o->file != NULL)
        l->fd = file_open(o->file, e);
    while (e->code == 0 && lines_next(l, e)) {
        char *place = mem_printf("%s:%zu", l->name, l->number);

        if (o->decode)
            print_text(t, str_get(&l->line), l->line.len, o->special, place,
                e);
        else
            print_ids(t, str_get(&l->line), l->line.len, o->special, place, e);
        free(place);
    }
    if (l->fd > STDIN_FILENO)
        close(l->fd);
    str_release(&l->line);
    free(l);
    tokenizer_free(t);
    return e->code;
}

int
main(int argc, char **argv)
{
    struct option_scan scan = { .prog = "quern-tokenize", .usage = usage,
        .known = ":hds" };
    struct opts o = { 0 };
    struct err e = { 0 };
    int c;

    while ((c = option_next(&scan, argc, argv)) != -1) {
        o.decode = o.decode || c == 'd';
        o.special = o.special || c == 's';
    }
    if (scan.stop)
        return scan.status;
    if (argc - optind < 1 || argc - optind > 2)
        return option_wrong(&scan, "name one model and at most one file");
    o.model = argv[optind];
    o.file = argc - optind > 1 ? argv[optind + 1] : NULL;
    run(&o, &e);
    return err_exit("quern-tokenize", &e);
}
