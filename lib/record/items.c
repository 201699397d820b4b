#include "lib/record/items.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

static const char *const verdict_names[ITEM_VERDICT_COUNT] = {
    [ITEM_PASS] = "PASS",
    [ITEM_FAIL] = "FAIL",
    [ITEM_INCONCLUSIVE] = "INCONCLUSIVE",
    [ITEM_WAIVED] = "WAIVED",
};

static const char *const never_waivable[] = {
    "calibration.in-domain",
    "ship.tasks",
    "ship.rollback",
};

const char *
item_verdict_name(enum item_verdict v)
{
    return verdict_names[v];
}

bool
item_is_never_waivable(const char *id)
{
    for (size_t i = 0; i < countof(never_waivable); i++)
        if (strcmp(never_waivable[i], id) == 0)
            return true;
    return false;
}

/* What a word in a file means; anything unknown is not a PASS. */
static enum item_verdict
verdict_of(const char *name)
{
    if (name && strcmp(name, "PASS") == 0)
        return ITEM_PASS;
    if (name && strcmp(name, "FAIL") == 0)
        return ITEM_FAIL;
    return ITEM_INCONCLUSIVE;
}

static const char *
text_of(const json_t *o, const char *key, const char *otherwise)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : otherwise;
}

/* The decision's row for an item, or NULL. */
static const json_t *
decided(const json_t *decision, const char *id)
{
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(decision, "items"), i, row)
        if (strcmp(text_of(row, "item", ""), id) == 0)
            return row;
    return NULL;
}

/* How far from a PASS: 0 PASS, 1 not known, 2 FAIL. */
static int
badness(const json_t *answer)
{
    switch (verdict_of(text_of(answer, "verdict", NULL))) {
    case ITEM_PASS:
        return 0;
    case ITEM_FAIL:
        return 2;
    default:
        return 1;
    }
}

/* The verdict before waivers. */
static void
measure(struct item *item, const json_t *row, const json_t *decision,
    const json_t *answers)
{
    const json_t *found = decided(decision, item->id);
    const json_t *answer = json_object_get(answers, item->id);

    if (!found || (answer && badness(answer) > badness(found)))
        found = answer;
    if (!item->enforced) {
        item->verdict = ITEM_INCONCLUSIVE;
        item->figure = mem_strdup(text_of(row, "why_not", "not enforced"));
    } else if (found) {
        item->verdict = verdict_of(text_of(found, "verdict", NULL));
        item->figure = mem_strdup(text_of(found, "figure", "no figure"));
        if (json_object_get(found, "evidence"))
            item->evidence = mem_strdup(text_of(found, "evidence", ""));
    } else if (json_array_size(json_object_get(row, "stages")) == 0) {
        item->verdict = ITEM_PASS;
        item->figure = mem_strdup(
            text_of(row, "checked", "checked when the graph was made"));
        item->evidence = mem_strdup("policy.json");
    } else {
        item->verdict = ITEM_INCONCLUSIVE;
        item->figure = mem_strdup("not measured yet");
    }
}

/* A valid waiver, or a word on why it does not hold. */
static void
waive(struct item *item, const json_t *row, const json_t *waivers)
{
    const json_t *checked = json_object_get(waivers, item->id);
    char *figure = item->figure;

    if (item->verdict == ITEM_PASS || !checked)
        return;
    if (item->never_waivable) {
        item->figure = mem_printf("%s; may never be waived", figure);
    } else if (json_is_true(json_object_get(checked, "ok"))) {
        const json_t *w = json_object_get(row, "waiver");

        item->verdict = ITEM_WAIVED;
        item->figure = mem_printf("until %s: %s [%s]", text_of(w, "until", "?"),
            text_of(w, "because", "?"), figure);
        free(item->evidence);
        item->evidence = mem_strdup(text_of(w, "signature", ""));
    } else {
        item->figure = mem_printf("%s; its waiver does not hold: %s", figure,
            text_of(checked, "why", "unsigned"));
    }
    free(figure);
}

int
items_judge(struct items *out, const json_t *policy, const json_t *decision,
    const json_t *answers, const json_t *waivers, struct err *e)
{
    json_t *rows = json_get_array(policy, "items", "policy.json", e);
    const json_t *row;
    size_t i;

    memset(out, 0, sizeof *out);
    if (!rows)
        return e->code;
    out->v = mem_calloc(json_array_size(rows), sizeof *out->v);
    json_array_foreach(rows, i, row) {
        struct item *item = &out->v[out->n];

        item->id = json_get_str(row, "id", "policy.json", e);
        item->phase = json_get_str(row, "phase", "policy.json", e);
        if (e->code)
            return e->code;
        out->n++;
        item->owner = text_of(row, "owner", "nobody");
        item->answer = text_of(row, "answer", "");
        item->enforced = json_is_true(json_object_get(row, "enforced"));
        item->never_waivable = item_is_never_waivable(item->id);
        measure(item, row, decision, answers);
        waive(item, row, waivers);
        if (item->verdict != ITEM_PASS && item->verdict != ITEM_WAIVED)
            out->open++;
    }
    return 0;
}

/* Quantization-aware training has no calibration to be in domain. */
static bool
must_be_there(const char *id, const json_t *policy)
{
    return strcmp(text_of(policy, "profile", ""), "qat") != 0 ||
        strcmp(id, "calibration.in-domain") != 0;
}

static struct item *
find_item(struct items *items, const char *id)
{
    for (size_t i = 0; i < items->n; i++)
        if (strcmp(items->v[i].id, id) == 0)
            return &items->v[i];
    return NULL;
}

int
items_insist(struct items *items, const json_t *policy, const json_t *answers,
    struct err *e)
{
    for (size_t i = 0; i < countof(never_waivable); i++) {
        const char *id = never_waivable[i];
        struct item *item = find_item(items, id);
        const json_t *answer = json_object_get(answers, id);

        if (!item && must_be_there(id, policy))
            return err_set(e, ERR_WORK,
                "policy.json: lacks '%s', which may never be left out; run "
                "`quern gen` again",
                id);
        if (!item || item->verdict != ITEM_PASS ||
            (answer && badness(answer) == 0))
            continue;
        item->verdict = ITEM_INCONCLUSIVE;
        free(item->figure);
        item->figure = mem_strdup("no signed record says PASS");
        items->open++;
    }
    return 0;
}

void
items_release(struct items *items)
{
    for (size_t i = 0; i < items->n; i++) {
        free(items->v[i].figure);
        free(items->v[i].evidence);
    }
    free(items->v);
    memset(items, 0, sizeof *items);
}

char *
items_open_text(const struct items *items)
{
    struct str s = { 0 };

    str_add(&s, "");
    for (size_t i = 0; i < items->n; i++) {
        const struct item *item = &items->v[i];

        if (item->verdict == ITEM_PASS || item->verdict == ITEM_WAIVED)
            continue;
        str_addf(&s, "%s%s %s (%s)", s.len ? "; " : "", item->id,
            item_verdict_name(item->verdict), item->figure);
    }
    return str_detach(&s);
}
