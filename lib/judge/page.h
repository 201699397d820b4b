/*
 * page.h - the report: one HTML file with nothing outside itself
 *
 * Style and pictures stand inside it; every text from a file is escaped. It is
 * made from the results of the stages, and holds no time and no path, so the
 * same results give the same bytes.
 */
#ifndef QUERN_JUDGE_PAGE_H
#define QUERN_JUDGE_PAGE_H

#include <jansson.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/judge/table.h"

/* One line of the checklist as the page shows it; all borrowed. */
struct page_item {
    const char *id, *answer, *owner, *verdict, *figure;
};

struct page {
    const char *title;
    const json_t *policy, *decision, *corpus, *hardware, *archive;
    const json_t *types;  /* {"Q4_1": 211} of a GGUF source; else NULL */
    const char *base_warning; /* what is to be known of the baseline, or "" */
    json_t *gates; /* {"candidate": gate/CAND.json} in the table's order */
    const struct table *table;
    const struct page_item *items; /* [n_items] */
    size_t n_items;
    const char *quality_svg, *layers_svg; /* "" where there is none */
};

void page_write(const struct page *p, struct str *html);

#endif
