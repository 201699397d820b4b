/*
 * answers.c - a policy's answers in words, for policy.json and people
 */
#include "gen/answers.h"

#include <string.h>

#include "lib/base/str.h"

static void
say(struct str *s, const struct yaml *v, unsigned depth)
{
    bool first = true;

    if (v->kind == YAML_SCALAR) {
        str_add(s, v->text);
        return;
    }
    if (depth > 0)
        str_addc(s, '(');
    for (const struct yaml *i = yaml_first(v); i != NULL; i = i->next) {
        const struct yaml *name = yaml_get(i, "name");

        str_add(s, first ? "" : ", ");
        first = false;
        if (v->kind == YAML_LIST && name != NULL) {
            str_add(s, name->text);
            continue;
        }
        if (i->key != NULL)
            str_addf(s, "%s ", i->key);
        say(s, i, depth + 1);
    }
    if (depth > 0)
        str_addc(s, ')');
}

void
answers_in_words(struct policy *o)
{
    for (size_t i = 0; i < o->n_items; i++) {
        struct policy_item *item = &o->items[i];
        struct str s = { 0 };

        if (item->def->automatic)
            str_add(&s, item->def->words != NULL ? item->def->words :
                item->checked != NULL ? item->checked : "looked up");
        else if (item->at != NULL)
            say(&s, item->at, 0);
        else
            str_add(&s, "not answered");
        item->words = arena_strdup(&o->arena, str_get(&s));
        if (item->checked == NULL && item->def->measured_by == NULL &&
            item->why_not == NULL)
            item->checked = "checked when the graph was made";
        str_release(&s);
    }
}
