/*
 * yaml.c - a YAML file as a tree that knows where everything stands
 */
#include "gen/yaml.h"

#include <libfyaml.h>
#include <stdio.h>
#include <string.h>

struct anchor {
    const char *name;
    struct yaml *node; /* NULL while it is still being read */
    struct anchor *next;
};

struct reader {
    struct yaml_file *f;
    struct fy_parser *parser;
    struct fy_diag *diag;
    struct anchor *anchors;
    size_t nodes; /* made so far, what aliases expand to included */
    struct err *e;
};

/* Reports at an event's place. */
static void
fail(struct reader *r, struct fy_event *event, const char *text)
{
    const struct fy_mark *m = event != NULL ? fy_event_start_mark(event) :
        NULL;

    err_set(r->e, ERR_WORK, "%s:%d:%d: %s", r->f->path,
        m != NULL ? m->line + 1 : 1, m != NULL ? m->column + 1 : 1, text);
}

/* What libfyaml had to say, in quern's form. */
static void
fail_syntax(struct reader *r)
{
    void *i = NULL;
    struct fy_diag_error *d = fy_diag_errors_iterate(r->diag, &i);

    if (d != NULL && d->line >= 0)
        err_set(r->e, ERR_WORK, "%s:%d:%d: not YAML: %s; look at this line "
            "and the one before", r->f->path, d->line + 1, d->column + 1,
            d->msg);
    err_set(r->e, ERR_WORK, "%s:1:1: not YAML: %s; save it as UTF-8 text",
        r->f->path, d != NULL ? d->msg : "unreadable");
}

static struct fy_event *
next_event(struct reader *r)
{
    struct fy_event *event = fy_parser_parse(r->parser);

    if (event == NULL && r->e->code == 0) {
        if (fy_parser_get_stream_error(r->parser))
            fail_syntax(r);
        else
            err_set(r->e, ERR_WORK, "%s:1:1: the text ends too early; "
                "complete it", r->f->path);
    }
    return event;
}

static const char *
token_text(struct reader *r, struct fy_token *token, struct fy_event *event)
{
    size_t n = 0;
    const char *text = token != NULL ? fy_token_get_text(token, &n) : NULL;

    if (text == NULL)
        return "";
    if (n > YAML_MAX_SCALAR || memchr(text, '\0', n) != NULL) {
        fail(r, event, n > YAML_MAX_SCALAR ?
            "a value of more than 4096 bytes; shorten it" :
            "a value with a NUL byte; remove it");
        return "";
    }
    return arena_strndup(&r->f->arena, text, n);
}

static struct yaml *
new_node(struct reader *r, struct fy_event *event, enum yaml_kind kind)
{
    struct yaml *v = arena_alloc(&r->f->arena, sizeof *v);
    const struct fy_mark *m = fy_event_start_mark(event);

    v->kind = kind;
    v->line = m != NULL ? (unsigned)m->line + 1 : 1;
    v->column = m != NULL ? (unsigned)m->column + 1 : 1;
    v->weight = 1;
    if (++r->nodes > YAML_MAX_NODES)
        fail(r, event, "more than 20000 values; a policy is a page or two");
    return v;
}

static struct anchor *
find_anchor(struct reader *r, const char *name)
{
    for (struct anchor *a = r->anchors; a != NULL; a = a->next)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

static struct anchor *
add_anchor(struct reader *r, struct fy_token *token, struct fy_event *event)
{
    struct anchor *a;
    const char *name;

    if (token == NULL)
        return NULL;
    name = token_text(r, token, event);
    if (find_anchor(r, name) != NULL)
        fail(r, event, "this anchor's name is taken; choose another");
    a = arena_alloc(&r->f->arena, sizeof *a);
    a->name = name;
    a->next = r->anchors;
    r->anchors = a;
    return a;
}

/* A node of its own place that shows what the alias stands for. */
static struct yaml *
read_alias(struct reader *r, struct fy_event *event)
{
    const char *name = token_text(r, event->alias.anchor, event);
    struct anchor *a = find_anchor(r, name);
    struct yaml *v;

    if (a == NULL || a->node == NULL) {
        fail(r, event, a == NULL ? "an alias to an anchor that is not above; "
            "write the value out" : "an alias inside its own anchor; write "
            "the value out");
        return NULL;
    }
    v = new_node(r, event, a->node->kind);
    v->quoted = a->node->quoted;
    v->text = a->node->text;
    v->child = a->node->child;
    v->weight = a->node->weight;
    r->nodes += a->node->weight;
    if (r->nodes > YAML_MAX_NODES)
        fail(r, event, "aliases expand to more than 20000 values; write out "
            "what is meant");
    return v;
}

static struct yaml *read_value(struct reader *r, struct fy_event *event,
    unsigned depth);

/* The key that `event` is; NULL and an error if it cannot be one. */
static const char *
read_key(struct reader *r, const struct yaml *map, struct fy_event *event)
{
    const char *key;

    if (event->type != FYET_SCALAR) {
        fail(r, event, "a key must be a plain word; quote it or take it out");
        return NULL;
    }
    key = token_text(r, event->scalar.value, event);
    if (strcmp(key, "<<") == 0)
        fail(r, event, "merge keys are not used; write the entries out");
    for (const struct yaml *v = map->child; v != NULL; v = v->next)
        if (strcmp(v->key, key) == 0) {
            const struct fy_mark *m = fy_event_start_mark(event);

            err_set(r->e, ERR_WORK, "%s:%d:%d: '%s' stands here twice, first "
                "in line %u; keep one", r->f->path,
                m != NULL ? m->line + 1 : 1, m != NULL ? m->column + 1 : 1,
                key, v->key_line);
        }
    return r->e->code == 0 ? key : NULL;
}

/* Entries of a list or mapping up to its end event. */
static void
read_entries(struct reader *r, struct yaml *v, enum fy_event_type end,
    unsigned depth)
{
    struct yaml **tail = &v->child;

    for (;;) {
        struct fy_event *event = next_event(r);
        struct yaml *entry = NULL;
        const char *key = NULL;
        unsigned line = 0, column = 0;

        if (event == NULL)
            return;
        if (event->type == end) {
            fy_parser_event_free(r->parser, event);
            return;
        }
        if (v->kind == YAML_MAP) {
            const struct fy_mark *m = fy_event_start_mark(event);

            key = read_key(r, v, event);
            line = m != NULL ? (unsigned)m->line + 1 : 1;
            column = m != NULL ? (unsigned)m->column + 1 : 1;
            fy_parser_event_free(r->parser, event);
            event = key != NULL ? next_event(r) : NULL;
        }
        if (event != NULL) {
            entry = read_value(r, event, depth + 1);
            fy_parser_event_free(r->parser, event);
        }
        if (entry == NULL || r->e->code != 0)
            return;
        entry->key = key;
        entry->key_line = line;
        entry->key_column = column;
        v->weight += entry->weight;
        *tail = entry;
        tail = &entry->next;
    }
}

static struct yaml *
read_scalar(struct reader *r, struct fy_event *event)
{
    struct yaml *v = new_node(r, event, YAML_SCALAR);
    enum fy_scalar_style style = fy_token_scalar_style(event->scalar.value);

    v->text = token_text(r, event->scalar.value, event);
    v->quoted = style != FYSS_PLAIN && style != FYSS_ANY;
    return v;
}

static struct yaml *
read_value(struct reader *r, struct fy_event *event, unsigned depth)
{
    bool map = event->type == FYET_MAPPING_START;
    bool list = event->type == FYET_SEQUENCE_START;
    struct fy_token *tag = map ? event->mapping_start.tag :
        list ? event->sequence_start.tag :
        event->type == FYET_SCALAR ? event->scalar.tag : NULL;
    struct anchor *a;
    struct yaml *v;

    if (depth > YAML_MAX_DEPTH)
        fail(r, event, "nested more than 24 deep; flatten it");
    if (tag != NULL)
        fail(r, event, "tags are not used; write the plain value");
    if (r->e->code != 0)
        return NULL;
    if (event->type == FYET_ALIAS)
        return read_alias(r, event);
    if (!map && !list && event->type != FYET_SCALAR) {
        fail(r, event, "a value was expected here; write one");
        return NULL;
    }
    a = add_anchor(r, map ? event->mapping_start.anchor :
        list ? event->sequence_start.anchor : event->scalar.anchor, event);
    if (map || list) {
        v = new_node(r, event, map ? YAML_MAP : YAML_LIST);
        if (r->e->code == 0)
            read_entries(r, v, map ? FYET_MAPPING_END : FYET_SEQUENCE_END,
                depth);
    } else {
        v = read_scalar(r, event);
    }
    if (a != NULL)
        a->node = v;
    return r->e->code == 0 ? v : NULL;
}

/* Exactly one document. */
static void
read_stream(struct reader *r)
{
    struct fy_event *event;
    bool more = true;

    while (more && (event = next_event(r)) != NULL) {
        switch (event->type) {
        case FYET_STREAM_START:
        case FYET_DOCUMENT_END:
            break;
        case FYET_DOCUMENT_START:
            if (r->f->root != NULL)
                fail(r, event, "a second document; keep one policy per file");
            break;
        case FYET_STREAM_END:
            more = false;
            break;
        default:
            r->f->root = read_value(r, event, 0);
            break;
        }
        fy_parser_event_free(r->parser, event);
        more = more && r->e->code == 0;
    }
    if (r->e->code == 0 && r->f->root == NULL)
        err_set(r->e, ERR_WORK, "%s:1:1: holds no policy; copy one from "
            "policies/ with 'quern init'", r->f->path);
}

/*
 * libfyaml 0.7 loops on some directives (lines that begin with a percent sign
 * before a document), and a policy has no use for them. It also reads UTF-16,
 * in which such a line would not be found.
 */
static int
check_text(const char *path, const char *text, size_t n, struct err *e)
{
    size_t line = 1;

    if (n > YAML_MAX_BYTES)
        return err_set(e, ERR_WORK, "%s:1:1: larger than 1 MiB; a policy is "
            "a page or two", path);
    for (size_t i = 0; i < n; i++) {
        bool begins = i == 0 || text[i - 1] == '\n' || text[i - 1] == '\r' ||
            (i == 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0);

        if (begins && text[i] == '%')
            return err_set(e, ERR_WORK, "%s:%zu:1: directives are not used; "
                "take the line out", path, line);
        if (text[i] == '\0' || ((unsigned char)text[i] >= 0xfe && i < 2))
            return err_set(e, ERR_WORK, "%s:%zu:1: not UTF-8 text; save it "
                "as UTF-8", path, line);
        line += text[i] == '\n';
    }
    return 0;
}

int
yaml_parse(struct yaml_file *f, const char *path, const char *text, size_t n,
    struct err *e)
{
    struct reader r = { .f = f, .e = e };
    struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_JSON_NONE |
        FYPCF_DEFAULT_VERSION_1_2 };

    *f = (struct yaml_file){ .path = path };
    if (check_text(path, text, n, e))
        return e->code;
    r.diag = fy_diag_create(NULL);
    fy_diag_set_collect_errors(r.diag, true);
    cfg.diag = r.diag;
    r.parser = fy_parser_create(&cfg);
    if (r.parser == NULL || fy_parser_set_string(r.parser, text, n) != 0)
        err_set(e, ERR_WORK, "%s: libfyaml cannot start; check its "
            "installation", path);
    else
        read_stream(&r);
    if (r.parser != NULL)
        fy_parser_destroy(r.parser);
    fy_diag_destroy(r.diag);
    if (e->code != 0)
        yaml_release(f);
    return e->code;
}

void
yaml_release(struct yaml_file *f)
{
    arena_release(&f->arena);
    f->root = NULL;
}

const struct yaml *
yaml_get(const struct yaml *map, const char *key)
{
    if (map == NULL || map->kind != YAML_MAP)
        return NULL;
    for (const struct yaml *v = map->child; v != NULL; v = v->next)
        if (strcmp(v->key, key) == 0)
            return v;
    return NULL;
}

const struct yaml *
yaml_first(const struct yaml *v)
{
    return v != NULL && v->kind != YAML_SCALAR ? v->child : NULL;
}

const char *
yaml_kind_name(const struct yaml *v)
{
    static const char *const names[] = { "text", "a list", "a mapping" };

    return names[v->kind];
}
