#include "lib/judge/page.h"

#include <math.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"

static const char style[] =
    ":root{--ink:#1d2430;--soft:#5b6472;--line:#e1e5ea;--paper:#fff;"
    "--wash:#f6f7f9;--ok:#1f7a4d;--okw:#e5f4ec;--no:#b0302c;--now:#fbe9e8;"
    "--un:#8a5a00;--unw:#fdf3dc}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--wash);color:var(--ink);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',"
    "sans-serif}"
    "main{max-width:1180px;margin:0 auto;padding:32px 24px 64px}"
    "h1{font-size:28px;line-height:1.2;margin:0 0 4px}"
    "h2{font-size:18px;margin:0 0 12px}"
    "p{margin:0 0 10px}.soft{color:var(--soft)}"
    "section{background:var(--paper);border:1px solid var(--line);"
    "border-radius:10px;padding:20px 22px;margin-top:20px;overflow-x:auto}"
    ".won{border-left:6px solid var(--ok)}.none{border-left:6px solid "
    "var(--no)}"
    ".won h2,.none h2{font-size:21px;margin-bottom:4px}"
    "table{border-collapse:collapse;width:100%;font-size:14px}"
    "th{font-weight:600;text-align:left;color:var(--soft);font-size:12.5px;"
    "white-space:nowrap}"
    "th,td{padding:7px 10px;border-bottom:1px solid var(--line);"
    "vertical-align:top}"
    "tr:last-child td{border-bottom:0}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;"
    "white-space:nowrap}"
    "tr.w td{background:var(--okw)}"
    "tr.g td{border-top:2px solid var(--line)}"
    "code{font:12.5px/1.4 ui-monospace,'DejaVu Sans Mono',monospace;"
    "overflow-wrap:anywhere}code.k{white-space:nowrap}"
    ".v{display:inline-block;border-radius:99px;padding:1px 9px;"
    "font-size:12px;font-weight:600;white-space:nowrap}"
    ".PASS{color:var(--ok);background:var(--okw)}"
    ".FAIL{color:var(--no);background:var(--now)}"
    ".INCONCLUSIVE{color:var(--un);background:var(--unw)}"
    ".WAIVED{color:#4b4fa3;background:#ececfb}"
    ".LATER{color:var(--soft);background:var(--wash)}"
    ".two{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,"
    "1fr));gap:20px}"
    ".two section{margin-top:20px}figure{margin:0}svg{width:100%;height:auto}"
    "ul{margin:0;padding-left:20px}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;"
    "margin:0}dt{color:var(--soft)}dd{margin:0}"
    "@media print{body{background:#fff}section{break-inside:avoid}}";

/* Appends text with & < > " ' written as entities. */
static void
html_add(struct str *s, const char *text)
{
    for (const char *p = text; *p; p++)
        switch (*p) {
        case '&':
            str_add(s, "&amp;");
            break;
        case '<':
            str_add(s, "&lt;");
            break;
        case '>':
            str_add(s, "&gt;");
            break;
        case '"':
            str_add(s, "&quot;");
            break;
        case '\'':
            str_add(s, "&#39;");
            break;
        default:
            str_addc(s, *p);
        }
}

/* begin, the escaped text, end */
static void
wrap(struct str *s, const char *begin, const char *text, const char *end)
{
    str_add(s, begin);
    html_add(s, text);
    str_add(s, end);
}

static const char *
text_of(const json_t *o, const char *key)
{
    const char *t = json_string_value(json_object_get(o, key));

    return t ? t : "";
}

static double
number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static void
chip(struct str *s, const char *verdict)
{
    static const char *const known[] = { "PASS", "FAIL", "INCONCLUSIVE",
        "WAIVED" };
    const char *class = "LATER";

    for (size_t i = 0; i < countof(known); i++)
        if (strcmp(verdict, known[i]) == 0)
            class = known[i];
    str_addf(s, "<span class=\"v %s\">", class);
    html_add(s, verdict);
    str_add(s, "</span>");
}

/* A right-set cell with a number, or a dash. */
static void
figure(struct str *s, double v, int digits, bool sign)
{
    if (fabs(v) < 0.5 * pow(10.0, -digits))
        v = 0.0; /* no minus before a zero */
    if (!isfinite(v))
        str_add(s, "<td class=n>&ndash;</td>");
    else if (sign)
        str_addf(s, "<td class=n>%+.*f</td>", digits, v);
    else
        str_addf(s, "<td class=n>%.*f</td>", digits, v);
}

static void
outcome(const struct page *p, struct str *s)
{
    str_add(s, "<section><h2>Outcome</h2><table><thead><tr>");
    for (int c = 0; c < TABLE_COLUMNS; c++) {
        str_add(s, table_is_number((enum table_column)c) ? "<th class=n>" :
                                                           "<th>");
        wrap(s, "", table_head((enum table_column)c), "</th>");
    }
    str_add(s, "</tr></thead><tbody>");
    for (size_t i = 0; i < p->table->n; i++) {
        const struct table_row *r = &p->table->rows[i];

        str_add(s, r->is_winner ? "<tr class=w>" : "<tr>");
        for (int c = 0; c < TABLE_COLUMNS; c++) {
            if (c == TABLE_VERDICT && i > 0) {
                str_add(s, "<td>");
                chip(s, r->cell[c]);
                str_add(s, "</td>");
                continue;
            }
            str_add(s, table_is_number((enum table_column)c) ?
                           "<td class=n>" :
                           "<td>");
            wrap(s, r->is_winner && c == TABLE_NAME ? "<b>" : "<span>",
                r->cell[c],
                r->is_winner && c == TABLE_NAME ? "</b></td>" :
                                                  "</span></td>");
        }
        str_add(s, "</tr>");
    }
    str_add(s,
        "</tbody></table><p class=soft style=\"margin:12px 0 0\">Points are "
        "items right in a hundred over all suites. <i>Change</i> is against "
        "the baseline on the same items, <i>at worst</i> its one-sided bound; "
        "speed is the median of runs in blocks baseline, candidate, candidate, "
        "baseline.</p></section>");
}

static void
verdict_banner(const struct page *p, struct str *s)
{
    const char *winner = text_of(p->decision, "winner");
    const json_t *o, *reason;
    size_t i, k;
    bool any = false;

    str_add(s, winner[0] ? "<section class=won><h2>" :
                           "<section class=none><h2>");
    if (winner[0])
        wrap(s, "", winner, " ships</h2>");
    else
        str_add(s, "None of the candidates may ship</h2>");
    wrap(s, "<p>", text_of(p->decision, "why"), ".</p>");
    json_array_foreach(json_object_get(p->decision, "candidates"), i, o)
        json_array_foreach(json_object_get(o, "reasons"), k, reason) {
            str_add(s, any ? "" : "<ul>");
            any = true;
            wrap(s, "<li><b>", text_of(o, "name"), "</b> ");
            wrap(s, "", json_string_value(reason), "</li>");
        }
    str_add(s, any ? "</ul></section>" : "</section>");
}

static void
pictures(const struct page *p, struct str *s)
{
    if (p->quality_svg[0] == '\0' && p->layers_svg[0] == '\0')
        return;
    str_add(s, "<div class=two>");
    if (p->quality_svg[0]) {
        str_add(s, "<section><h2>Size against quality</h2><figure>");
        str_add(s, p->quality_svg);
        str_add(s, "<figcaption class=soft>Items right of all suites; bars "
                   "reach to the bounds of the change. Below the dashed line "
                   "the budget is spent.</figcaption></figure></section>");
    }
    if (p->layers_svg[0]) {
        str_add(s, "<section><h2>Error per layer</h2><figure>");
        str_add(s, p->layers_svg);
        str_add(s, "<figcaption class=soft>Length of the difference of all "
                   "weights of a layer, relative to the weights. A "
                   "layer that candidates share stands at the first of them."
                   "</figcaption></figure></section>");
    }
    str_add(s, "</div>");
}

/* One row of the table by suite: a paired one, or a value with its limit. */
static void
suite_row(struct str *s, const char *name, const json_t *row, bool is_first)
{
    str_add(s, is_first ? "<tr class=g>" : "<tr>");
    wrap(s, "<td>", is_first ? name : "", "</td>");
    wrap(s, "<td>", text_of(row, "suite"), "");
    if (text_of(row, "role")[0])
        wrap(s, " <span class=soft>", text_of(row, "role"), "</span>");
    else if (json_object_get(row, "drop") == NULL)
        wrap(s, " <span class=soft>", text_of(row, "metric"), "</span>");
    str_add(s, "</td>");
    if (json_object_get(row, "drop") != NULL) {
        figure(s, number(row, "n"), 0, false);
        figure(s, 100.0 * number(row, "base"), 1, false);
        figure(s, 100.0 * number(row, "cand"), 1, false);
        figure(s, -100.0 * number(row, "drop"), 2, true);
        str_addf(s, "<td class=n>%+.2f to %+.2f</td>",
            -100.0 * number(row, "upper"), -100.0 * number(row, "lower"));
        str_addf(s, "<td class=n>&minus;%.2f</td>",
            100.0 * number(row, "margin"));
        figure(s, 100.0 * number(row, "flips"), 1, false);
        str_addf(s, "<td class=n>%.3g</td>", number(row, "mcnemar_p"));
    } else {
        figure(s, number(row, "n"), 0, false);
        figure(s, number(row, "base"), 3, false);
        figure(s, number(row, "cand"), 3, false);
        figure(s, number(row, "value"), 4, false);
        if (isfinite(number(row, "upper")))
            str_addf(s, "<td class=n>up to %.4f</td>", number(row, "upper"));
        else
            str_add(s, "<td></td>");
        str_addf(s, "<td class=n>%.4g</td><td></td><td></td>",
            number(row, "limit"));
    }
    str_add(s, "<td>");
    chip(s, text_of(row, "verdict"));
    if (json_is_integer(json_object_get(row, "need_items")))
        str_addf(s, "<br><span class=soft>%.0f items would decide</span>",
            number(row, "need_items"));
    str_add(s, "</td></tr>");
}

static void
suites(const struct page *p, struct str *s)
{
    const json_t *gate, *row;
    const char *name;
    size_t i;

    str_add(s,
        "<section><h2>Suite by suite</h2><table><thead><tr><th>candidate</th>"
        "<th>suite</th><th class=n>items</th><th class=n>baseline</th>"
        "<th class=n>candidate</th><th class=n>change</th><th class=n>interval"
        "</th><th class=n>limit</th><th class=n>flips %</th><th class=n>"
        "McNemar p</th><th>verdict</th></tr></thead><tbody>");
    json_object_foreach(p->gates, name, gate)
        json_array_foreach(json_object_get(gate, "rows"), i, row)
            suite_row(s, name, row, i == 0);
    str_add(s, "</tbody></table></section>");
}

static void
warnings(const struct page *p, struct str *s)
{
    const json_t *gate, *line;
    const char *name;
    bool any = p->base_warning[0] != '\0';
    size_t i;

    if (any)
        wrap(s, "<section><h2>Worth a look</h2><ul><li><b>baseline</b> ",
            p->base_warning, "</li>");
    json_object_foreach(p->gates, name, gate)
        json_array_foreach(json_object_get(gate, "warnings"), i, line) {
            str_add(s, any ? "" : "<section><h2>Worth a look</h2><ul>");
            any = true;
            wrap(s, "<li><b>", name, "</b> ");
            wrap(s, "", json_string_value(line), "</li>");
        }
    str_add(s, any ? "</ul></section>" : "");
}

/* A value of the worst items' table: a text, or the number of a choice. */
static void
answer_cell(struct str *s, const json_t *v)
{
    if (json_is_string(v))
        wrap(s, "<td><code>", json_string_value(v), "</code></td>");
    else if (json_is_integer(v))
        str_addf(s, "<td>choice %lld</td>",
            (long long)json_integer_value(v) + 1);
    else
        str_add(s, "<td></td>");
}

static void
worst_items(const struct page *p, struct str *s)
{
    const char *winner = text_of(p->decision, "winner");
    const json_t *gate = json_object_get(p->gates, winner);
    const json_t *list = json_object_get(gate, "worst"), *o;
    size_t i;

    if (json_array_size(list) == 0)
        return;
    wrap(s, "<section><h2>What ", winner, " does worst</h2>");
    str_add(s, "<table><thead><tr><th>suite</th><th>item</th><th>baseline</th>"
               "<th>candidate</th><th>right</th><th class=n>margin lost, nats"
               "</th></tr></thead><tbody>");
    json_array_foreach(list, i, o) {
        wrap(s, "<tr><td>", text_of(o, "suite"), "</td>");
        wrap(s, "<td><code>", text_of(o, "id"), "</code></td>");
        answer_cell(s, json_object_get(o, "base"));
        answer_cell(s, json_object_get(o, "cand"));
        answer_cell(s, json_object_get(o, "gold"));
        figure(s, number(o, "loss"), 2, false);
        str_add(s, "</tr>");
    }
    str_add(s, "</tbody></table></section>");
}

static void
checklist(const struct page *p, struct str *s)
{
    str_add(s, "<section><h2>The checklist</h2><table><thead><tr><th>item</th>"
               "<th>state</th><th>what was measured</th><th>the answer</th>"
               "<th>owner</th></tr></thead><tbody>");
    for (size_t i = 0; i < p->n_items; i++) {
        const struct page_item *it = &p->items[i];

        wrap(s, "<tr><td><code class=k>", it->id, "</code></td><td>");
        chip(s, it->verdict);
        wrap(s, "</td><td>", it->figure, "</td>");
        wrap(s, "<td class=soft>",
            strcmp(it->answer, it->figure) == 0 ? "" : it->answer, "</td>");
        wrap(s, "<td class=soft>", it->owner, "</td></tr>");
    }
    str_add(s, "</tbody></table><p class=soft style=\"margin:12px 0 0\">"
               "<span class=\"v LATER\">at release</span> is answered by the "
               "release itself. Signatures of waivers and records are checked "
               "there and by <code>quern verify</code>.</p></section>");
}

static void
term(struct str *s, const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    wrap(s, "<dt>", name, "</dt>");
    wrap(s, "<dd><code>", value, "</code></dd>");
}

static void
origins(const struct page *p, struct str *s)
{
    const json_t *gate, *row, *cpu;
    const char *name;
    struct str line = { 0 };
    bool is_first = true;

    str_add(s, "<section><h2>Where it comes from</h2><dl>");
    term(s, "policy", text_of(p->policy, "policy_sha256"));
    term(s, "hardware", text_of(p->hardware, "digest"));
    cpu = json_object_get(json_object_get(p->hardware, "identity"), "cpu");
    term(s, "processor", text_of(cpu, "name"));
    if (json_is_integer(json_object_get(p->corpus, "kept"))) {
        str_addf(&line, "%.0f documents, %.0f tokens",
            number(p->corpus, "kept"), number(p->corpus, "tokens"));
        term(s, "calibrated on", str_get(&line));
    }
    str_clear(&line);
    json_object_foreach((json_t *)(uintptr_t)p->types, name, row)
        str_addf(&line, "%s%s %lld", line.len > 0 ? ", " : "", name,
            (long long)json_integer_value(row));
    term(s, "tensors of the source", str_get(&line));
    json_object_foreach(p->gates, name, gate) {
        row = json_array_get(json_object_get(gate, "rows"), 0);
        if (is_first)
            term(s, "baseline", text_of(row, "base_sha256"));
        is_first = false;
        term(s, name, text_of(row, "cand_sha256"));
    }
    str_clear(&line);
    if (json_is_true(json_object_get(p->archive, "verified"))) {
        str_addf(&line, "%zu files of the %s model, read back",
            json_array_size(json_object_get(p->archive, "files")),
            p->base_warning[0] != '\0' ? "base" : "full-precision");
        term(s, "archived", str_get(&line));
    }
    str_release(&line);
    str_add(s, "</dl></section>");
}

void
page_write(const struct page *p, struct str *html)
{
    str_add(html, "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>"
                  "<meta name=viewport content=\"width=device-width,"
                  "initial-scale=1\"><title>");
    html_add(html, p->title);
    str_add(html, "</title><style>");
    str_add(html, style);
    str_add(html, "</style></head><body><main><header><h1>");
    html_add(html, p->title);
    wrap(html, "</h1><p class=soft>quern report, profile ",
        text_of(p->policy, "profile"), "");
    wrap(html, ", bottleneck ", text_of(p->policy, "bottleneck"),
        "</p></header>");
    verdict_banner(p, html);
    outcome(p, html);
    pictures(p, html);
    suites(p, html);
    warnings(p, html);
    checklist(p, html);
    worst_items(p, html);
    origins(p, html);
    str_add(html, "</main></body></html>\n");
}
