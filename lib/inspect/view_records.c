/*
 * view_records.c - records and their kin as lines for a person
 */
#include <inttypes.h>
#include <string.h>

#include "lib/inspect/kinds.h"
#include "lib/inspect/tree.h"

/* "name  value" for each of these members that is a string. */
static void
words(const json_t *v, const char *const *names, size_t n, struct str *out)
{
    struct grid g = { .align = "ll" };

    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_object_get(v, names[i]));

        if (s == NULL)
            continue;
        grid_add(&g, names[i]);
        grid_add(&g, s);
    }
    grid_text(&g, out);
}

static void
parts(const json_t *v, const char *const *names, size_t n, bool all,
    struct str *out)
{
    for (size_t i = 0; i < n; i++)
        tree_part(names[i], json_object_get(v, names[i]), all, out);
}

void
view_record(const json_t *v, bool all, struct str *out)
{
    static const char *const said[] = { "stage", "step", "phase", "program" };
    static const char *const lists[] = { "signature", "arguments", "inputs",
        "outputs", "answers", "notes" };
    const char *form = view_text(v, "form"), *why = view_text(v, "why_not");

    str_addf(out, "record of a stage (%s)\n\n",
        strcmp(form, "link") == 0 ? "in-toto link" : "DSSE envelope");
    if (*why != 0) {
        grid_escape(out, why, strlen(why));
        str_add(out, "\n\n");
        tree_view(json_object_get(v, "content"), all, out);
        return;
    }
    words(v, said, countof(said), out);
    parts(v, lists, countof(lists), all, out);
}

void
view_stage(const json_t *v, bool all, struct str *out)
{
    static const char *const said[] = { "step", "stage", "phase", "signer",
        "dir" };
    static const char *const lists[] = { "items", "inputs", "sources",
        "places", "outputs", "parameters" };

    str_add(out, "stage file\n\n");
    words(v, said, countof(said), out);
    parts(v, lists, countof(lists), all, out);
}

void
view_signature(const json_t *v, bool all, struct str *out)
{
    static const char *const said[] = { "namespace", "hash", "principal",
        "key", "keyid" };

    (void)all;
    str_add(out, "signature over a file, as ssh-keygen -Y makes it; it was "
        "not checked against that file\n\n");
    words(v, said, countof(said), out);
}

void
view_key(const json_t *v, bool all, struct str *out)
{
    static const char *const said[] = { "principal", "key", "keyid" };

    (void)all;
    str_add(out, "public key\n\n");
    words(v, said, countof(said), out);
}

void
view_signers(const json_t *v, bool all, struct str *out)
{
    json_t *owners = json_object_get(v, "owners");

    str_addf(out, "allowed signers, %zu keys\n", json_array_size(owners));
    tree_part("owners", owners, all, out);
}

void
view_pointer(const json_t *v, bool all, struct str *out)
{
    (void)all;
    str_addf(out, "pointer of Git LFS to ");
    grid_size(out, (double)json_integer_value(json_object_get(v, "size")));
    str_addf(out, "\n\nsha256  %s\nsize    %" JSON_INTEGER_FORMAT "\n",
        json_string_value(json_object_get(v, "sha256")),
        json_integer_value(json_object_get(v, "size")));
}
