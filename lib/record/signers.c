/*
 * signers.c - see signers.h
 */
#include "lib/record/signers.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"

enum { SIGNERS_BYTES = 1024 * 1024, SIGNERS_MAX = 10000 };

/* What is left of one line, and where it stands. */
struct cursor {
    const char *p, *end;
    const char *place;
    size_t line;
};

static int
refuse(const struct cursor *c, const char *what, struct err *e)
{
    return err_set(e, ERR_WORK, "%s:%zu: %s", c->place, c->line, what);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void
skip_blanks(struct cursor *c)
{
    while (c->p < c->end && is_blank(*c->p))
        c->p++;
}

/* The next word, with what stands in double quotes kept together. */
static size_t
word(const struct cursor *c)
{
    bool quoted = false;
    size_t n = 0;

    for (; c->p + n < c->end && (quoted || !is_blank(c->p[n])); n++)
        if (c->p[n] == '"')
            quoted = !quoted;
    return n;
}

static bool
word_is(const char *p, size_t n, const char *text)
{
    return n == strlen(text) && memcmp(p, text, n) == 0;
}

/* The value of namespaces="..."; freshly allocated. */
static int
read_option(const struct cursor *c, size_t n, char **namespaces,
    struct err *e)
{
    static const char name[] = "namespaces=\"";
    size_t skip = sizeof name - 1;

    if (n <= skip + 1 || strncasecmp(c->p, name, skip) != 0 ||
        c->p[n - 1] != '"' || memchr(c->p + skip, '"', n - skip - 1) != NULL)
        return refuse(c,
            "only the option namespaces=\"...\" and a key of type ssh-ed25519 "
            "are taken; rewrite the line as 'NAME namespaces=\"git,file\" "
            "ssh-ed25519 BASE64'", e);
    if (*namespaces != NULL)
        return refuse(c, "namespaces is given twice; give it once", e);
    if (memchr(c->p, '*', n) != NULL || memchr(c->p, '?', n) != NULL ||
        memchr(c->p, '!', n) != NULL)
        return refuse(c, "a namespace is a pattern; write each one out", e);
    *namespaces = mem_strndup(c->p + skip, n - skip - 1);
    return 0;
}

static int
add_signers(struct signers *a, const struct cursor *c, const char *names,
    size_t n, const char *namespaces, const struct pubkey *key, struct err *e)
{
    while (n > 0) {
        const char *comma = memchr(names, ',', n);
        size_t len = comma != NULL ? (size_t)(comma - names) : n;
        size_t step = comma != NULL ? len + 1 : len;

        if (len == 0 || (step == n && comma != NULL))
            return refuse(c, "a name is empty; write NAME or NAME,NAME", e);
        if (a->n == SIGNERS_MAX)
            return refuse(c, "too many signers; take some out", e);
        if ((a->n & (a->n - 1)) == 0)
            a->v = mem_realloc(a->v, a->n > 0 ? 2 * a->n : 1, sizeof *a->v);
        a->v[a->n++] = (struct signers_entry){
            .principal = mem_strndup(names, len),
            .namespaces = namespaces != NULL ? mem_strdup(namespaces) : NULL,
            .key = *key,
            .line = c->line,
        };
        names += step;
        n -= step;
    }
    return 0;
}

static int
check_names(const struct cursor *c, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (strchr("*?!\"", c->p[i]) != NULL)
            return refuse(c,
                "a name is a pattern, which would let others sign for it; "
                "write each name out", e);
        else if ((unsigned char)c->p[i] < 0x20 || c->p[i] == 0x7f)
            return refuse(c, "control bytes in a name; take them out", e);
    return 0;
}

static int
read_line(struct signers *a, struct cursor c, struct err *e)
{
    const char *names;
    char *namespaces = NULL;
    struct pubkey key;
    size_t n, n_names;

    skip_blanks(&c);
    if (c.p == c.end || *c.p == '#')
        return 0;
    names = c.p;
    n_names = word(&c);
    if (check_names(&c, n_names, e) != 0)
        return e->code;
    c.p += n_names;
    for (;;) {
        skip_blanks(&c);
        n = word(&c);
        if (word_is(c.p, n, "ssh-ed25519"))
            break;
        if (read_option(&c, n, &namespaces, e) != 0)
            goto done;
        c.p += n;
    }
    c.p += n;
    skip_blanks(&c);
    if (pubkey_from_base64(&key, c.p, word(&c)))
        add_signers(a, &c, names, n_names, namespaces, &key, e);
    else
        refuse(&c, "its key is damaged; copy it again from the .pub file", e);

done:
    free(namespaces);
    return e->code;
}

int
signers_parse(struct signers *a, const char *text, size_t n,
    const char *place, struct err *e)
{
    struct cursor c = { .p = text, .place = place };
    const char *end = text + n;

    *a = (struct signers){ .digest = digest_of(text, n) };
    while (c.p < end && e->code == 0) {
        const char *line = memchr(c.p, '\n', (size_t)(end - c.p));

        c.end = line != NULL ? line : end;
        c.line++;
        read_line(a, c, e);
        c.p = line != NULL ? line + 1 : end;
    }
    if (e->code != 0)
        signers_release(a);
    return e->code;
}

int
signers_read(struct signers *a, const char *path, struct err *e)
{
    struct blob b = { 0 };

    *a = (struct signers){ 0 };
    if (blob_read(&b, path, SIGNERS_BYTES, e) == 0)
        signers_parse(a, b.p, b.len, path, e);
    blob_release(&b);
    return e->code;
}

void
signers_release(struct signers *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->v[i].principal);
        free(a->v[i].namespaces);
    }
    free(a->v);
    *a = (struct signers){ 0 };
}

/* Whether the comma-separated list holds the word. */
static bool
list_has(const char *list, const char *text)
{
    size_t n = strlen(text);

    for (;;) {
        size_t len = strcspn(list, ",");

        if (len == n && memcmp(list, text, n) == 0)
            return true;
        if (list[len] == '\0')
            return false;
        list += len + 1;
    }
}

const struct signers_entry *
signers_next(const struct signers *a, const char *principal, const char *ns,
    size_t *i)
{
    while (*i < a->n) {
        const struct signers_entry *one = a->v + (*i)++;

        if (strcmp(one->principal, principal) == 0 &&
            (ns == NULL || one->namespaces == NULL ||
                list_has(one->namespaces, ns)))
            return one;
    }
    return NULL;
}

const struct pubkey *
signers_find(const struct signers *a, const char *principal)
{
    size_t i = 0;
    const struct signers_entry *one = signers_next(a, principal, NULL, &i);

    return one != NULL ? &one->key : NULL;
}

bool
signers_has(const struct signers *a, const char *principal, const char *ns,
    const struct pubkey *key)
{
    const struct signers_entry *one;
    size_t i = 0;

    while ((one = signers_next(a, principal, ns, &i)) != NULL)
        if (pubkey_equal(&one->key, key))
            return true;
    return false;
}

const char *
signers_principal(const struct signers *a, const struct pubkey *key)
{
    for (size_t i = 0; i < a->n; i++)
        if (pubkey_equal(&a->v[i].key, key))
            return a->v[i].principal;
    return NULL;
}
