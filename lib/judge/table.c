#include "lib/judge/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

static const struct {
    const char *head;
    bool is_number;
} columns[TABLE_COLUMNS] = {
    [TABLE_NAME] = { "model", false },
    [TABLE_SIZE] = { "size", true },
    [TABLE_SHARE] = { "of full", true },
    [TABLE_PPL] = { "perplexity", true },
    [TABLE_POINTS] = { "points", true },
    [TABLE_CHANGE] = { "change", true },
    [TABLE_BOUND] = { "at worst", true },
    [TABLE_PREFILL] = { "prefill t/s", true },
    [TABLE_DECODE] = { "decode t/s", true },
    [TABLE_VERDICT] = { "verdict", false },
};

const char *
table_head(enum table_column c)
{
    return columns[c].head;
}

bool
table_is_number(enum table_column c)
{
    return columns[c].is_number;
}

static double
number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

/* The number in `fmt`, "-" when there is none. */
static char *
cell(const char *fmt, double v)
{
    struct str s = { 0 };

    if (!isfinite(v))
        return mem_strdup("-");
    if (strcmp(fmt, "points") == 0)
        str_addf(&s, "%.2f", v);
    else if (strcmp(fmt, "change") == 0)
        str_addf(&s, "%+.2f", fabs(v) < 0.005 ? 0.0 : v);
    else if (strcmp(fmt, "share") == 0)
        str_addf(&s, "%.0f %%", v);
    else if (strcmp(fmt, "rate") == 0)
        str_addf(&s, v < 100.0 ? "%.1f" : "%.0f", v);
    else
        str_addf(&s, "%.3f", v);
    return str_detach(&s);
}

static char *
size_cell(double bytes)
{
    if (!isfinite(bytes))
        return mem_strdup("-");
    return bytes < 1e9 ? mem_printf("%.2f MB", bytes / 1e6) :
                         mem_printf("%.2f GB", bytes / 1e9);
}

static void
fill(struct table_row *r, const char *name, const json_t *o, double full)
{
    r->cell[TABLE_NAME] = mem_strdup(name);
    r->cell[TABLE_SIZE] = size_cell(number(o, "bytes"));
    r->cell[TABLE_SHARE] = cell("share", 100.0 * number(o, "bytes") / full);
    r->cell[TABLE_PPL] = cell("ppl", number(o, "ppl"));
    r->cell[TABLE_POINTS] = cell("points", number(o, "points"));
    r->cell[TABLE_CHANGE] = cell("change", -100.0 * number(o, "drop"));
    r->cell[TABLE_BOUND] = cell("change", -100.0 * number(o, "upper"));
    r->cell[TABLE_PREFILL] = cell("rate", number(o, "prefill"));
    r->cell[TABLE_DECODE] = cell("rate", number(o, "decode"));
}

int
table_from_decision(struct table *t, const json_t *decision,
    const char *place, struct err *e)
{
    const json_t *base = json_get_object(decision, "baseline", place, e);
    const json_t *list = json_get_array(decision, "candidates", place, e);
    const char *winner =
        json_string_value(json_object_get(decision, "winner"));
    const double full = number(base, "bytes");
    const json_t *o;
    size_t i;

    if (e->code)
        return e->code;
    t->rows = mem_calloc(json_array_size(list) + 1, sizeof *t->rows);
    t->n = 1;
    fill(&t->rows[0], "baseline", base, full);
    t->rows[0].cell[TABLE_VERDICT] = mem_strdup("-");
    json_array_foreach(list, i, o) {
        const char *name = json_get_str(o, "name", place, e);
        const char *verdict = json_get_str(o, "verdict", place, e);
        const char *standing =
            json_string_value(json_object_get(o, "standing"));
        struct table_row *r = &t->rows[t->n];

        if (e->code) {
            table_release(t);
            return e->code;
        }
        t->n++;
        fill(r, name, o, full);
        r->is_winner = winner != NULL && strcmp(name, winner) == 0;
        r->cell[TABLE_VERDICT] =
            standing != NULL && strcmp(standing, "waived") == 0 ?
            mem_printf("%s, waived", verdict) :
            mem_strdup(verdict);
    }
    return 0;
}

void
table_release(struct table *t)
{
    for (size_t i = 0; i < t->n; i++)
        for (int c = 0; c < TABLE_COLUMNS; c++)
            free(t->rows[i].cell[c]);
    free(t->rows);
    memset(t, 0, sizeof *t);
}

static void
add_cell(struct str *s, const char *text, int width, enum table_column c)
{
    if (columns[c].is_number)
        str_addf(s, "%*s", width, text);
    else if (c + 1 == TABLE_COLUMNS)
        str_add(s, text);
    else
        str_addf(s, "%-*s", width, text);
    str_add(s, c + 1 == TABLE_COLUMNS ? "\n" : "  ");
}

char *
table_text(const struct table *t)
{
    struct str s = { 0 };
    int width[TABLE_COLUMNS];

    for (int c = 0; c < TABLE_COLUMNS; c++) {
        width[c] = (int)strlen(columns[c].head);
        for (size_t i = 0; i < t->n; i++)
            if ((int)strlen(t->rows[i].cell[c]) > width[c])
                width[c] = (int)strlen(t->rows[i].cell[c]);
    }
    str_add(&s, "  ");
    for (int c = 0; c < TABLE_COLUMNS; c++)
        add_cell(&s, columns[c].head, width[c], (enum table_column)c);
    for (size_t i = 0; i < t->n; i++) {
        str_add(&s, t->rows[i].is_winner ? "* " : "  ");
        for (int c = 0; c < TABLE_COLUMNS; c++)
            add_cell(&s, t->rows[i].cell[c], width[c], (enum table_column)c);
    }
    return str_detach(&s);
}
