#include "lib/model/suite.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/json.h"

static const char *const check_names[CHECK_COUNT] = {
    [CHECK_EXACT] = "exact",
    [CHECK_LAST_NUMBER] = "last_number",
    [CHECK_JSON_OBJECT] = "json_object",
    [CHECK_LINES_FROM] = "lines_from",
    [CHECK_SENTENCE] = "sentence",
    [CHECK_WORD_COUNT] = "word_count",
};

const char *
suite_metric(const struct suite *s)
{
    static const char *const exact[CHECK_COUNT] = {
        [CHECK_EXACT] = "exact_match",
        [CHECK_LAST_NUMBER] = "exact_match/last_number",
        [CHECK_JSON_OBJECT] = "check/json_object",
        [CHECK_LINES_FROM] = "check/lines_from",
        [CHECK_SENTENCE] = "check/sentence",
        [CHECK_WORD_COUNT] = "check/word_count",
    };

    if (s->kind == SUITE_CHOICE)
        return "acc";
    for (size_t i = 1; i < s->n; i++)
        if (s->items[i].check.type != s->items[0].check.type)
            return "check";
    return exact[s->items[0].check.type];
}

/* What one line is parsed with. */
struct line {
    struct suite *s;
    struct suite_item *item;
    const char *place;
    struct err *e;
};

static int
line_error(const struct line *l, const char *what)
{
    return err_set(l->e, ERR_WORK, "%s: %s", l->place, what);
}

/* A list of min to max texts; NULL with an error otherwise. */
static const char *const *
texts(const struct line *l, const json_t *v, const char *key, size_t min,
    size_t max, size_t *n)
{
    const size_t count = json_array_size(v);
    const char **list;

    if (!json_is_array(v) || count < min || count > max) {
        err_set(l->e, ERR_WORK,
            "%s: '%s' is missing or not a list of %zu to %zu texts; repair "
            "the line", l->place, key, min, max);
        return NULL;
    }
    list = arena_alloc(&l->s->arena, (count + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i] = json_string_value(json_array_get(v, i));
        if (list[i] == NULL) {
            err_set(l->e, ERR_WORK, "%s: '%s' has an entry that is no text; "
                "put it in quotes", l->place, key);
            return NULL;
        }
    }
    *n = count;
    return list;
}

static int
parse_choice(const struct line *l)
{
    struct suite_item *it = l->item;

    it->kind = SUITE_CHOICE;
    it->choices = texts(l, json_object_get(it->json, "choices"), "choices", 2,
        SUITE_MAX_CHOICES, &it->n_choices);
    if (it->choices == NULL)
        return l->e->code;
    for (size_t i = 0; i < it->n_choices; i++)
        if (it->choices[i][0] == '\0')
            return line_error(l, "'choices' has an empty text, which no "
                                 "model can be asked about; write one");

    const int64_t answer = json_get_int(it->json, "answer", 0,
        (int64_t)it->n_choices - 1, l->place, l->e);

    it->answer = answer < 0 ? 0 : (size_t)answer;
    return l->e->code;
}

/* NULL when absent; an error when it is there but no text. */
static const char *
optional_text(const struct line *l, const json_t *o, const char *key)
{
    return json_object_get(o, key) == NULL ? NULL :
        json_get_str(o, key, l->place, l->e);
}

static int
parse_check_fields(const struct line *l, const json_t *o)
{
    struct suite_check *c = &l->item->check;

    switch (c->type) {
    case CHECK_EXACT:
    case CHECK_LAST_NUMBER:
        c->value = json_get_str(o, "value", l->place, l->e);
        break;
    case CHECK_JSON_OBJECT:
        c->object = json_get_object(o, "value", l->place, l->e);
        c->list = texts(l, json_object_get(o, "keys"), "keys", 0,
            SUITE_MAX_SET, &c->n_list);
        break;
    case CHECK_LINES_FROM:
        c->n = json_get_int(o, "n", 1, SUITE_MAX_SET, l->place, l->e);
        c->list = texts(l, json_object_get(o, "set"), "set", 1, SUITE_MAX_SET,
            &c->n_list);
        c->distinct = json_object_get(o, "distinct") != NULL &&
            json_get_bool(o, "distinct", l->place, l->e);
        break;
    case CHECK_SENTENCE:
        c->ends_with = json_get_str(o, "ends_with", l->place, l->e);
        c->contains = optional_text(l, o, "contains");
        c->starts = optional_text(l, o, "starts");
        break;
    case CHECK_WORD_COUNT:
        c->n = json_get_int(o, "n", 1, SUITE_MAX_SET, l->place, l->e);
        c->contains = optional_text(l, o, "contains");
        break;
    case CHECK_COUNT:
        break;
    }
    return l->e->code;
}

/* Its `check` object, or the short form `match` and `target`. */
static int
parse_check(const struct line *l)
{
    struct suite_check *c = &l->item->check;
    const json_t *o = json_object_get(l->item->json, "check");
    const bool is_short = o == NULL;
    const char *type;

    if (!is_short && !json_is_object(o))
        return line_error(l, "'check' is not an object; write {\"type\": "
                             "...}");
    type = is_short ? json_get_str(l->item->json, "match", l->place, l->e) :
                      json_get_str(o, "type", l->place, l->e);
    if (type == NULL)
        return l->e->code;

    c->type = CHECK_COUNT;
    for (unsigned i = 0; i < CHECK_COUNT; i++)
        if (strcmp(type, check_names[i]) == 0)
            c->type = (enum check_type)i;
    if (c->type == CHECK_COUNT)
        return err_set(l->e, ERR_WORK,
            "%s: unknown check '%s'; write exact, last_number, json_object, "
            "lines_from, sentence or word_count",
            l->place, type);
    if (!is_short)
        return parse_check_fields(l, o);
    if (c->type != CHECK_EXACT && c->type != CHECK_LAST_NUMBER)
        return line_error(l, "'match' may only be exact or last_number; "
                             "write 'check' instead");
    c->value = json_get_str(l->item->json, "target", l->place, l->e);
    return l->e->code;
}

static int
parse_generate(const struct line *l)
{
    struct suite_item *it = l->item;
    const json_t *stop = json_object_get(it->json, "stop");

    it->kind = SUITE_GENERATE;
    if (json_is_string(stop)) {
        const char **one = arena_alloc(&l->s->arena, 2 * sizeof *one);

        one[0] = json_string_value(stop);
        it->stops = one;
        it->n_stops = 1;
    } else if (stop != NULL) {
        it->stops = texts(l, stop, "stop", 0, SUITE_MAX_STOPS, &it->n_stops);
    }
    for (size_t i = 0; i < it->n_stops; i++)
        if (it->stops[i][0] == '\0')
            return line_error(l, "'stop' is empty; leave it out to write on "
                                 "to the end");
    return l->e->code ? l->e->code : parse_check(l);
}

static int
parse_item(const struct line *l, const char *text, size_t len)
{
    struct suite_item *it = l->item;
    const char *place = l->place;

    it->digest = digest_of(text, len);
    it->json = json_parse(text, len, place, l->e);
    if (it->json == NULL)
        return l->e->code;
    if (!json_is_object(it->json))
        return line_error(l, "is no JSON object; write an item as {\"id\": "
                             "..., \"prompt\": ...}");
    it->id = json_get_str(it->json, "id", place, l->e);
    it->prompt = json_get_str(it->json, "prompt", place, l->e);
    if (l->e->code)
        return l->e->code;
    if (it->id[0] == '\0' || strlen(it->id) > SUITE_MAX_ID)
        return line_error(l, "'id' is empty or longer than 256 bytes; give it "
                             "a short one");

    const bool has_choices = json_object_get(it->json, "choices") != NULL;
    const bool is_checked = json_object_get(it->json, "match") != NULL ||
        json_object_get(it->json, "check") != NULL;

    if (has_choices == is_checked)
        return line_error(l, has_choices ?
            "has 'choices' and 'match' or 'check'; take one of them out" :
            "has neither 'choices' nor 'match' nor 'check'; write one");
    return has_choices ? parse_choice(l) : parse_generate(l);
}

static int
by_id(const void *a, const void *b)
{
    const struct suite_item *const *x = a, *const *y = b;
    const int order = strcmp((*x)->id, (*y)->id);

    return order ? order : (*x > *y) - (*x < *y);
}

static int
check_ids(const struct suite *s, const char *path, struct err *e)
{
    const struct suite_item **v = mem_calloc(s->n, sizeof *v);

    for (size_t i = 0; i < s->n; i++)
        v[i] = &s->items[i];
    qsort(v, s->n, sizeof *v, by_id);
    for (size_t i = 1; i < s->n; i++)
        if (strcmp(v[i - 1]->id, v[i]->id) == 0) {
            err_set(e, ERR_WORK,
                "%s:%zu: id '%s' occurs already in line %zu; give it its own",
                path, (size_t)(v[i] - s->items) + 1, v[i]->id,
                (size_t)(v[i - 1] - s->items) + 1);
            break;
        }
    free(v);
    return e->code;
}

static int
parse_line(struct suite *s, const char *path, const char *text, size_t len,
    struct err *e)
{
    char *place = mem_printf("%s:%zu", path, s->n + 1);
    struct suite_item *it = &s->items[s->n];
    const struct line l = { .s = s, .item = it, .place = place, .e = e };

    memset(it, 0, sizeof *it);
    s->n++;
    if (len == 0)
        line_error(&l, "the line is empty; delete it");
    else if (len > SUITE_MAX_LINE)
        line_error(&l, "the line is longer than 64 MiB; split the item");
    else
        parse_item(&l, text, len);
    if (e->code == 0 && it->kind != s->items[0].kind)
        line_error(&l, "choices and free answers are mixed in one suite; "
                       "write two files");
    free(place);
    return e->code;
}

int
suite_parse(struct suite *s, const char *path, const void *bytes, size_t len,
    struct err *e)
{
    const char *p = bytes, *end = p + len;
    size_t cap = 0;

    if (len > SUITE_MAX_BYTES)
        return err_set(e, ERR_WORK, "%s: is longer than 1 GiB; split it", path);
    s->digest = digest_of(bytes, len);
    while (p < end && e->code == 0) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        const char *stop = nl ? nl : end;

        if (s->n == SUITE_MAX_ITEMS) {
            err_set(e, ERR_WORK, "%s: has more than %d items; split it", path,
                SUITE_MAX_ITEMS);
            break;
        }
        if (s->n == cap) {
            cap = cap ? 2 * cap : 64;
            s->items = mem_realloc(s->items, cap, sizeof *s->items);
        }
        parse_line(s, path, p, (size_t)(stop - p), e);
        p = nl ? nl + 1 : end;
    }
    if (e->code == 0 && s->n == 0)
        err_set(e, ERR_WORK, "%s: has no items; write at least one", path);
    if (e->code == 0)
        check_ids(s, path, e);
    if (e->code == 0)
        s->kind = s->items[0].kind;
    else
        suite_release(s);
    return e->code;
}

int
suite_read(struct suite *s, const char *path, struct err *e)
{
    struct blob b = { 0 };

    if (blob_read(&b, path, SUITE_MAX_BYTES, e) == 0)
        suite_parse(s, path, b.p, b.len, e);
    blob_release(&b);
    return e->code;
}

void
suite_release(struct suite *s)
{
    for (size_t i = 0; i < s->n; i++)
        json_decref(s->items[i].json);
    free(s->items);
    arena_release(&s->arena);
    memset(s, 0, sizeof *s);
}
