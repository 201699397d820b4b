/*
 * quern-status - every checklist item: answer, owner, evidence, state
 *
 * usage: quern status [-C DIR] [-j]
 * Reads what the graph left in DIR: policy.json, decision.json, the records and
 * the heartbeats of stages that run now. An item that is not carried out is
 * shown as not enforced, never as done.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/option.h"
#include "lib/base/str.h"
#include "lib/record/chain.h"
#include "lib/record/items.h"
#include "lib/record/signers.h"
#include "lib/record/stage_lines.h"
#include "lib/record/waiver.h"

enum { FILE_LIMIT = 64 << 20 };

static const char usage[] =
    "usage: quern status [-C DIR] [-j]\n"
    "\n"
    "  -C DIR  build folder (default: build)\n"
    "  -j      as JSON\n";

/* What the folder holds, read once. */
struct state {
    const char *dir;
    json_t *policy, *decision; /* owned; decision may be NULL */
    struct signers allowed;
    struct chain chain;
    struct stage_lines release; /* the release stage's file */
    struct blob signature;      /* the last one that was asked for */
    size_t broken;              /* records that do not hold */
};

/* The file if it is there; a damaged one is an error. */
static json_t *
read_if_there(const char *dir, const char *name, struct err *e)
{
    char *path = path_join(dir, name);
    json_t *v = file_exists(path) ? json_read(path, FILE_LIMIT, NULL, e) : NULL;

    free(path);
    return v;
}

/* verify says what is wrong; status leaves out what does not hold. */
static void
ignore_finding(void *ctx, const struct finding *f)
{
    (void)ctx;
    (void)f;
}

/* One record, if it is of a stage that the graph still has, and holds. */
static void
read_record(struct state *s, const char *stage, struct findings *found)
{
    char *path = record_path(s->dir, stage);
    char *link_path = NULL;
    struct blob b = { 0 }, link = { 0 };
    struct record r = { 0 };
    struct err e = { 0 };
    size_t before;

    if (blob_read(&b, path, RECORD_LIMIT, &e) != 0)
        goto done;
    if (record_parse(&r, b.p, b.len, path, &e) == 0) {
        link_path = record_link_path(s->dir, r.stage, r.keyid);
        blob_read(&link, link_path, RECORD_LIMIT, &e);
    }
    before = s->chain.n;
    if (!chain_add(&s->chain, path, b.p, b.len, path, link.p, link.len,
            &s->allowed, found)) {
        s->broken++;
        while (s->chain.n > before)
            record_release(&s->chain.v[--s->chain.n]);
    }
done:
    record_release(&r);
    blob_release(&b);
    blob_release(&link);
    free(link_path);
    free(path);
}

static int
is_stage_file(const struct dirent *d)
{
    return d->d_name[0] != '.' && str_ends(d->d_name, ".stage");
}

static void
read_records(struct state *s)
{
    struct findings found = { .report = ignore_finding };
    char *folder = path_join(s->dir, "stages");
    struct dirent **names = NULL;
    int n = scandir(folder, &names, is_stage_file, alphasort);

    for (int i = 0; i < n; i++) {
        size_t len = strlen(names[i]->d_name) - strlen(".stage");
        char *stage = mem_strndup(names[i]->d_name, len);

        read_record(s, stage, &found);
        free(stage);
        free(names[i]);
    }
    free(names);
    free(folder);
}

static int
state_read(struct state *s, struct err *e)
{
    char *stage = mem_printf("%s/stages/release.stage", s->dir);
    char *signers;
    struct err ignored = { 0 };

    s->policy = read_if_there(s->dir, "policy.json", e);
    if (!s->policy && !e->code)
        err_set(e, ERR_WORK,
            "%s/policy.json: is not there; make the graph with `quern gen`",
            s->dir);
    if (!e->code)
        s->decision = read_if_there(s->dir, "decision.json", e);
    if (!e->code && file_exists(stage) &&
        stage_lines_read(&s->release, stage, e) == 0) {
        signers = stage_lines_in(&s->release, s->dir, "keys/allowed_signers");
        signers_read(&s->allowed, signers, &ignored);
        free(signers);
    }
    if (!e->code)
        read_records(s);
    free(stage);
    return e->code;
}

static void
state_release(struct state *s)
{
    blob_release(&s->signature);
    stage_lines_release(&s->release);
    chain_release(&s->chain);
    signers_release(&s->allowed);
    json_decref(s->decision);
    json_decref(s->policy);
}

static const char *
waiver_signature(void *ctx, const char *item, size_t *n)
{
    struct state *s = ctx;
    char *role = mem_printf("waiver/%s.sig", item);
    const char *path = stage_lines_path(&s->release, "in", role);
    struct err e = { 0 };

    free(role);
    blob_release(&s->signature);
    *n = 0;
    if (!path || blob_read(&s->signature, path, 1 << 20, &e) != 0)
        return NULL;
    *n = s->signature.len;
    return s->signature.p;
}

static const char *
state_name(const struct item *item)
{
    if (!item->enforced && item->verdict != ITEM_WAIVED)
        return "NOT ENFORCED";
    if (item->verdict == ITEM_INCONCLUSIVE && !item->evidence)
        return "OPEN";
    return item_verdict_name(item->verdict);
}

static void
print_items(const struct items *items)
{
    const char *phase = "";
    size_t count[ITEM_VERDICT_COUNT] = { 0 };

    for (size_t i = 0; i < items->n; i++) {
        const struct item *item = &items->v[i];
        const char *dot = strchr(item->id, '.');

        count[item->verdict]++;
        if (strncmp(phase, item->id, (size_t)(dot ? dot - item->id : 0)) != 0 ||
            !*phase)
            printf("%s%.*s\n", *phase ? "\n" : "",
                (int)(dot ? dot - item->id : 0), item->id);
        phase = item->id;
        printf("  %-16s %-13s %s\n", dot ? dot + 1 : item->id, state_name(item),
            item->answer);
        printf("  %-16s %-13s %s%s%s%s\n", "", "", item->figure,
            item->evidence ? " [" : "", item->evidence ? item->evidence : "",
            item->evidence ? "]" : "");
        printf("  %-16s %-13s owner %s%s\n", "", "", item->owner,
            item->never_waivable ? "; may never be waived" : "");
    }
    printf("\n%zu items: %zu pass, %zu waived, %zu fail, %zu open\n", items->n,
        count[ITEM_PASS], count[ITEM_WAIVED], count[ITEM_FAIL],
        count[ITEM_INCONCLUSIVE]);
}

static void
print_json(const struct items *items)
{
    json_t *rows = json_array();
    char *text;

    for (size_t i = 0; i < items->n; i++) {
        const struct item *item = &items->v[i];

        json_array_append_new(rows,
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:b, s:b}", "item",
                item->id, "owner", item->owner, "answer", item->answer, "state",
                item_verdict_name(item->verdict), "figure", item->figure,
                "evidence", item->evidence, "enforced", item->enforced,
                "never_waivable", item->never_waivable));
    }
    text = json_text(rows, false);
    fputs(text, stdout);
    free(text);
    json_decref(rows);
}

static const char *
text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "?";
}

/* Stages that run now, from their heartbeats. */
static void
print_running(const char *dir)
{
    char *folder = path_join(dir, "state");
    DIR *d = opendir(folder);
    struct dirent *entry;

    while (d && (entry = readdir(d))) {
        char *path;
        struct err e = { 0 };
        json_t *v;
        pid_t pid;

        if (!str_ends(entry->d_name, ".heartbeat"))
            continue;
        path = path_join(folder, entry->d_name);
        v = json_read(path, 1 << 16, NULL, &e);
        pid = (pid_t)json_integer_value(json_object_get(v, "pid"));
        if (v && pid > 0 && kill(pid, 0) == 0)
            printf("running: %s: %s %lld of %lld %s\n",
                text_of(v, "stage"), text_of(v, "what"),
                (long long)json_integer_value(json_object_get(v, "done")),
                (long long)json_integer_value(json_object_get(v, "total")),
                text_of(v, "unit"));
        json_decref(v);
        free(path);
    }
    if (d)
        closedir(d);
    free(folder);
}

static int
show(struct state *s, bool as_json, struct err *e)
{
    const char *winner =
        json_string_value(json_object_get(s->decision, "winner"));
    json_t *answers = chain_answers(&s->chain, winner);
    json_t *waivers = waivers_check(s->policy, &s->allowed, time(NULL),
        waiver_signature, s);
    struct items items = { 0 };

    if (items_judge(&items, s->policy, s->decision, answers, waivers, e) == 0) {
        if (as_json)
            print_json(&items);
        else
            print_items(&items);
        if (!as_json && s->broken)
            printf("left out: %zu of the records, which do not hold; `quern "
                   "verify` says why\n",
                s->broken);
        if (!as_json)
            print_running(s->dir);
    }
    items_release(&items);
    json_decref(waivers);
    json_decref(answers);
    return e->code;
}

int
main(int argc, char **argv)
{
    struct option_scan o = { .prog = "quern-status", .usage = usage,
        .known = ":hjC:" };
    struct state s = { .dir = "build" };
    struct err e = { 0 };
    bool as_json = false;
    int c;

    while ((c = option_next(&o, argc, argv)) != -1) {
        if (c == 'j') {
            as_json = true;
        } else {
            s.dir = optarg;
        }
    }
    if (o.stop)
        return o.status;
    if (optind != argc)
        return option_wrong(&o, "'%s': unexpected", argv[optind]);
    if (state_read(&s, &e) == 0)
        show(&s, as_json, &e);
    state_release(&s);
    return err_exit("quern-status", &e);
}
