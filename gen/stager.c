/*
 * stager.c - one stage at a time: its stage file and its edge; see stager.h
 */
#include "gen/stager.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"

const char *
stager_role(struct stager *s, const char *role)
{
    if (strcmp(s->build, ".") == 0)
        return arena_strdup(&s->g->arena, role);
    return arena_printf(&s->g->arena, "%s/%s", s->build, role);
}

/* A path of the policy as the graph names it, in its arena. */
static const char *
outside(struct stager *s, const char *path)
{
    char *name = paths_graph(s->paths, s->policy->dir, path);
    const char *kept = arena_strdup(&s->g->arena, name);

    free(name);
    return kept;
}

static void
line(struct stager *s, const char *option, const char *a, const char *b)
{
    str_add(&s->text, "--");
    str_add(&s->text, option);
    str_addc(&s->text, '=');
    str_add(&s->text, a);
    if (b != NULL) {
        str_addc(&s->text, '=');
        str_add(&s->text, b);
    }
    str_addc(&s->text, '\n');
}

void
stager_begin(struct stager *s, const char *id, const char *program,
    enum phase phase, bool probe)
{
    s->id = arena_strdup(&s->g->arena, id);
    s->program = program;
    s->owner = &s->policy->owners[phase];
    s->probe = probe;
    str_clear(&s->text);
    s->ins.n = s->outs.n = s->after.n = 0;
    line(s, "step", program, NULL);
    line(s, "stage", id, NULL);
    line(s, "dir", s->build, NULL);
    line(s, "phase", phase_name(phase), NULL);
    line(s, "signer", s->owner->principal, NULL);
    line(s, "key", outside(s, s->owner->key), NULL);
}

void
stager_item(struct stager *s, const char *item)
{
    line(s, "item", item, NULL);
}

void
stager_in(struct stager *s, const char *role)
{
    line(s, "in", role, NULL);
    names_add(&s->ins, stager_role(s, role));
}

void
stager_in_at(struct stager *s, const char *role, const char *path)
{
    const char *name = outside(s, path);

    line(s, "in", role, name);
    names_add(&s->ins, name);
}

void
stager_ins(struct stager *s, const struct names *roles)
{
    for (size_t i = 0; i < roles->n; i++)
        stager_in(s, roles->v[i]);
}

void
stager_src(struct stager *s, const char *role, const char *path)
{
    const char *name = outside(s, path);

    line(s, "src", role, name);
    names_add(&s->after, name);
}

void
stager_dst(struct stager *s, const char *role, const char *path)
{
    line(s, "dst", role, outside(s, path));
}

void
stager_out(struct stager *s, const char *role)
{
    line(s, "out", role, NULL);
    names_add(&s->outs, stager_role(s, role));
}

void
stager_set(struct stager *s, const char *name, const char *value)
{
    line(s, "set", name, value);
}

void
stager_set_int(struct stager *s, const char *name, int64_t value)
{
    str_addf(&s->text, "--set=%s=%lld\n", name, (long long)value);
}

void
stager_set_real(struct stager *s, const char *name, double value)
{
    str_addf(&s->text, "--set=%s=%.12g\n", name, value);
}

/* The records that every stage leaves: outputs that the step adds itself. */
static void
add_records(struct stager *s)
{
    struct arena *a = &s->g->arena;
    const char *roles[2];

    roles[0] = arena_printf(a, "att/%s.dsse.json", s->id);
    roles[1] = arena_printf(a, "att/%s.%.8s.link", s->id, s->owner->keyid);
    for (size_t i = 0; i < 2; i++) {
        names_add(&s->outs, stager_role(s, roles[i]));
        names_add(&s->records, roles[i]);
    }
}

int
stager_end(struct stager *s, struct err *e)
{
    struct arena *a = &s->g->arena;
    const char *file = arena_printf(a, "%s.stage", s->id);
    const char *role = arena_printf(a, "stages/%s", file);
    const char *more[3];
    size_t n = 0;

    str_add(&s->text, "--end\n");
    if (stagefiles_put(s->files, file, s->text.p, s->text.len, e))
        return e->code;
    add_records(s);
    more[n++] = stager_role(s, role);
    more[n++] = arena_printf(a, "%s/quern-%s", s->bin, s->program);
    if (s->probe)
        more[n++] = s->always;
    graph_edge(s->g, &(struct edge){
        .rule = arena_printf(a, "quern_%s", s->program),
        .outs = s->outs.v, .n_outs = 1,
        .more_outs = s->outs.v + 1, .n_more_outs = s->outs.n - 1,
        .ins = s->ins.v, .n_ins = s->ins.n,
        .more_ins = more, .n_more_ins = n,
        .after = s->after.v, .n_after = s->after.n });
    str_addf(&s->g->text, "  id = %s\n", s->id);
    names_add(&s->g->outputs, more[0]);
    names_add(&s->stages, role);
    names_add(&s->ids, arena_printf(a, "%s %s", s->program, s->id));
    return 0;
}

void
stager_release(struct stager *s)
{
    str_release(&s->text);
    names_release(&s->ins);
    names_release(&s->outs);
    names_release(&s->after);
    names_release(&s->records);
    names_release(&s->stages);
    names_release(&s->ids);
}
