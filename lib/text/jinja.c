/*
 * jinja.c - the statements of a template, and running it
 */
#include "lib/text/jinja.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

json_t *
jinja_find(struct jinja *j, const char *name)
{
    json_t *v = NULL;

    for (size_t i = j->n_frame; i-- > 0 && v == NULL;)
        v = json_object_get(j->frame[i], name);
    return v;
}

static int body(struct jinja *j, bool live);

static char *
take_name(struct jinja *j)
{
    const struct jinja_token *t = &j->token[j->at];

    if (jinja_expect(j, JINJA_NAME, NULL) != 0)
        return NULL;
    return mem_strndup(t->s, t->n);
}

/* `{% word %}` at the current token? */
static bool
at_tag(const struct jinja *j, const char *word)
{
    const struct jinja_token *t = &j->token[j->at];

    return t->kind == JINJA_BLOCK && t[1].kind == JINJA_NAME &&
        t[1].n == strlen(word) && memcmp(t[1].s, word, t[1].n) == 0;
}

/* Moves past `{% word %}`. */
static int
close_tag(struct jinja *j, const char *word)
{
    if (!at_tag(j, word))
        return jinja_fail(j, "{%% %s %%} was expected", word);
    j->at += 2;
    return jinja_expect(j, JINJA_BLOCK_END, NULL);
}

static int
run_if(struct jinja *j, bool live)
{
    bool done = !live;

    for (;;) {
        json_t *c = jinja_expr(j, !done);
        bool yes = !done && jinja_true(c);

        json_decref(c);
        if (jinja_expect(j, JINJA_BLOCK_END, NULL) != 0 ||
            body(j, yes) != 0)
            return j->e->code;
        done = done || yes;
        if (!at_tag(j, "elif"))
            break;
        j->at += 2;
    }
    if (at_tag(j, "else")) {
        j->at += 2;
        if (jinja_expect(j, JINJA_BLOCK_END, NULL) != 0 ||
            body(j, !done) != 0)
            return j->e->code;
    }
    return close_tag(j, "endif");
}

/* A variable of the innermost frame, or a field of a namespace. */
static int
assign(struct jinja *j, const char *name, const char *field, json_t *v)
{
    json_t *space = j->frame[j->n_frame - 1];

    if (field != NULL) {
        space = jinja_find(j, name);
        if (!json_is_object(space))
            return jinja_fail(j, "'%.40s' is no namespace", name);
        if (jinja_shallow(j, v, space) != 0)
            return j->e->code;
        name = field;
    }
    if (v == NULL) /* undefined, and hiding what is outside */
        return jinja_fail(j, "'%.40s' is set to something undefined", name);
    json_object_set(space, name, v);
    return 0;
}

/* {% set x = value %}, {% set x.y = value %}, {% set x %}text{% endset %} */
static int
run_set(struct jinja *j, bool live)
{
    char *name = take_name(j), *field = NULL;
    json_t *v = NULL;

    if (name != NULL && jinja_take(j, JINJA_OPERATOR, "."))
        field = take_name(j);
    if (jinja_take(j, JINJA_OPERATOR, "=")) {
        v = jinja_expr(j, live);
        jinja_expect(j, JINJA_BLOCK_END, NULL);
    } else if (jinja_expect(j, JINJA_BLOCK_END, NULL) == 0) {
        struct str *was = j->out, s = { 0 };

        j->out = &s;
        if (body(j, live) == 0)
            close_tag(j, "endset");
        j->out = was;
        v = json_stringn(str_get(&s), s.len);
        str_release(&s);
    }
    if (live && j->e->code == 0)
        assign(j, name, field, v);
    json_decref(v);
    free(name);
    free(field);
    return j->e->code;
}

struct loop {
    char *name, *second; /* owned; `for second` only in pairs */
    json_t *list;        /* owned */
    size_t cond;         /* token of `if`'s condition; 0: none */
    size_t start;        /* first token of the body */
};

/* Variables of one round in a frame of its own. */
static json_t *
loop_frame(struct jinja *j, const struct loop *l, const json_t *list,
    size_t i)
{
    json_t *frame = json_object(), *v = json_array_get(list, i), *info;
    json_int_t n = (json_int_t)json_array_size(list), at = (json_int_t)i;

    if (l->second != NULL) {
        if (json_array_size(v) != 2)
            jinja_fail(j, "a loop over pairs meets something else");
        json_object_set(frame, l->second, json_array_get(v, 1));
        v = json_array_get(v, 0);
    }
    json_object_set(frame, l->name, v);
    info = json_pack("{sIsIsbsbsIsIsI}", "index0", at, "index", at + 1,
        "first", i == 0, "last", at + 1 == n, "length", n, "revindex", n - at,
        "revindex0", n - at - 1);
    if (i > 0)
        json_object_set(info, "previtem", json_array_get(list, i - 1));
    if (at + 1 < n)
        json_object_set(info, "nextitem", json_array_get(list, i + 1));
    json_object_set_new(frame, "loop", info);
    return frame;
}

static int
push(struct jinja *j, json_t *frame)
{
    if (j->n_frame == JINJA_FRAMES_MOST) {
        json_decref(frame);
        return jinja_fail(j, "loops nested too deep");
    }
    j->frame[j->n_frame++] = frame;
    return j->e->code;
}

static void
pop(struct jinja *j)
{
    json_decref(j->frame[--j->n_frame]);
}

/* The items for which the loop's own condition holds. */
static json_t *
chosen(struct jinja *j, const struct loop *l)
{
    json_t *list = json_array();
    size_t n = json_array_size(l->list);

    if (l->cond == 0) {
        json_decref(list);
        return json_incref(l->list);
    }
    for (size_t i = 0; i < n && j->e->code == 0; i++) {
        json_t *v;

        if (push(j, loop_frame(j, l, l->list, i)) != 0)
            break;
        j->at = l->cond;
        v = jinja_expr(j, true);
        if (jinja_true(v))
            json_array_append(list, json_array_get(l->list, i));
        json_decref(v);
        pop(j);
    }
    return list;
}

static int
loop_rounds(struct jinja *j, const struct loop *l)
{
    json_t *list = chosen(j, l);
    size_t n = json_array_size(list);

    for (size_t i = 0; i < n && j->e->code == 0; i++) {
        if (push(j, loop_frame(j, l, list, i)) == 0) {
            j->at = l->start;
            body(j, true);
            if (++j->steps > JINJA_STEPS_MOST)
                jinja_fail(j, "too many rounds");
        }
        if (j->n_frame > 1)
            pop(j);
    }
    json_decref(list);
    return n > 0;
}

/* The list a loop goes over; keys of a dictionary. */
static json_t *
loop_list(struct jinja *j, json_t *v)
{
    const char *key;
    json_t *list, *each;

    if (json_is_array(v))
        return v;
    list = json_array();
    if (json_is_object(v)) {
        json_object_foreach(v, key, each)
            json_array_append_new(list, json_string(key));
    } else {
        jinja_fail(j, "a loop over something that is no list");
    }
    json_decref(v);
    return list;
}

static int
loop_head(struct jinja *j, bool live, struct loop *l)
{
    l->name = take_name(j);
    if (jinja_take(j, JINJA_OPERATOR, ","))
        l->second = take_name(j);
    if (jinja_expect(j, JINJA_NAME, "in") != 0)
        return j->e->code;
    l->list = jinja_operand(j, live);
    if (live && j->e->code == 0)
        l->list = loop_list(j, l->list);
    if (jinja_take(j, JINJA_NAME, "if")) {
        l->cond = j->at;
        json_decref(jinja_expr(j, false));
    }
    jinja_expect(j, JINJA_BLOCK_END, NULL);
    l->start = j->at;
    return j->e->code;
}

static int
run_for(struct jinja *j, bool live)
{
    struct loop l = { 0 };
    bool any = false;
    size_t end;

    if (loop_head(j, live, &l) != 0 || body(j, false) != 0)
        goto done;
    end = j->at; /* the body is read once in any case */
    if (live)
        any = loop_rounds(j, &l);
    if (j->e->code != 0)
        goto done;
    j->at = end;
    if (at_tag(j, "else")) {
        j->at += 2;
        if (jinja_expect(j, JINJA_BLOCK_END, NULL) == 0)
            body(j, live && !any);
    }
    if (j->e->code == 0)
        close_tag(j, "endfor");
done:
    json_decref(l.list);
    free(l.name);
    free(l.second);
    return j->e->code;
}

/* A macro is read over; calling it is refused by name. */
static int
run_macro(struct jinja *j)
{
    struct jinja_args a = { 0 };
    char *name = take_name(j);

    jinja_args(j, false, &a);
    jinja_args_release(&a);
    free(name);
    if (jinja_expect(j, JINJA_BLOCK_END, NULL) != 0 || body(j, false) != 0)
        return j->e->code;
    return close_tag(j, "endmacro");
}

/* {% generation %} of transformers marks text and changes none. */
static int
run_generation(struct jinja *j, bool live)
{
    if (jinja_expect(j, JINJA_BLOCK_END, NULL) != 0 || body(j, live) != 0)
        return j->e->code;
    return close_tag(j, "endgeneration");
}

static int
run_tag(struct jinja *j, bool live)
{
    const struct jinja_token *t = &j->token[++j->at];

    if (jinja_take(j, JINJA_NAME, "if"))
        return run_if(j, live);
    if (jinja_take(j, JINJA_NAME, "for"))
        return run_for(j, live);
    if (jinja_take(j, JINJA_NAME, "set"))
        return run_set(j, live);
    if (jinja_take(j, JINJA_NAME, "macro"))
        return run_macro(j);
    if (jinja_take(j, JINJA_NAME, "generation"))
        return run_generation(j, live);
    return jinja_fail(j, "the tag '%.*s' is not implemented",
        (int)(t->n < 40 ? t->n : 40), t->s);
}

static int
print(struct jinja *j, bool live)
{
    json_t *v;

    j->at++;
    v = jinja_expr(j, live);
    if (jinja_expect(j, JINJA_PRINT_END, NULL) == 0 && live)
        jinja_print(j, v, j->out);
    json_decref(v);
    return j->e->code;
}

/* True at a tag that ends or divides a block: whoever began it reads it. */
static bool
at_end(const struct jinja *j)
{
    static const char *const words[] = { "elif", "else", "endif", "endfor",
        "endset", "endmacro", "endgeneration" };

    for (size_t i = 0; i < countof(words); i++) {
        if (at_tag(j, words[i]))
            return true;
    }
    return j->token[j->at].kind == JINJA_END;
}

static int
body(struct jinja *j, bool live)
{
    if (++j->depth > JINJA_DEPTH_MOST)
        return jinja_fail(j, "nested too deep");
    while (j->e->code == 0 && !at_end(j)) {
        const struct jinja_token *t = &j->token[j->at];

        if (++j->steps > JINJA_STEPS_MOST || j->out->len > JINJA_OUT_MOST)
            jinja_fail(j, "it does not come to an end");
        else if (t->kind == JINJA_PRINT)
            print(j, live);
        else if (t->kind == JINJA_BLOCK)
            run_tag(j, live);
        else if (live)
            str_addn(j->out, t->s, t->n);
        j->at += t->kind == JINJA_TEXT ? 1 : 0;
    }
    j->depth--;
    return j->e->code;
}

int
jinja_run(const char *place, const char *template, json_t *globals,
    struct str *out, struct err *e)
{
    struct jinja j = { .place = place, .e = e };
    struct str text = { 0 };

    j.out = &text;
    j.frame[j.n_frame++] = json_deep_copy(globals);
    if (jinja_lex(&j, template) == 0 && body(&j, true) == 0 &&
        j.token[j.at].kind != JINJA_END)
        jinja_fail(&j, "a tag that ends a block begins none");
    if (e->code == 0)
        str_addn(out, str_get(&text), text.len);
    while (j.n_frame > 0)
        pop(&j);
    str_release(&text);
    free(j.token);
    free(j.source);
    return e->code;
}
