/*
 * score_ids.c - the token ids of a suite's questions; see score.h
 */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/model/score_impl.h"

static bool
begins_with(const struct ids *whole, const struct ids *start)
{
    return whole->n >= start->n && (start->n == 0 ||
        memcmp(whole->v, start->v, start->n * sizeof *start->v) == 0);
}

int
choice_tokens(struct tokenizer *t, const char *prompt_text,
    const char *choice_text, struct ids *prompt, struct ids *choice,
    struct err *e)
{
    size_t keep = strlen(prompt_text);
    struct str both = { 0 };
    struct ids whole = { 0 };

    while (keep > 0 && prompt_text[keep - 1] == ' ')
        keep--;
    ids_clear(prompt);
    ids_clear(choice);
    str_add(&both, prompt_text);
    str_add(&both, choice_text);
    if (tokenizer_encode(t, prompt_text, keep, false, prompt, e) ||
        tokenizer_encode(t, both.p, both.len, false, &whole, e))
        goto done;
    if (begins_with(&whole, prompt))
        ids_addn(choice, whole.v + prompt->n, whole.n - prompt->n);
    else if (tokenizer_encode(t, both.p + keep, both.len - keep, false,
                 choice, e))
        goto done;
    if (choice->n == 0)
        err_set(e, ERR_WORK,
            "choice '%.60s' adds no token to its prompt; write another",
            choice_text);
done:
    ids_release(&whole);
    str_release(&both);
    return e->code;
}

/* bos in front; an empty prompt is bos or eos, for something must be read. */
static int
finish_prompt(struct ids *prompt, struct model *m, bool bos, struct err *e)
{
    struct tokenizer *t = model_tokenizer(m);
    int32_t first = tokenizer_bos(t);
    struct ids with = { 0 };

    if (!bos && prompt->n > 0)
        return 0;
    if (first < 0 && bos)
        return err_set(e, ERR_WORK,
            "%s: the tokenizer has no bos token; set bos=no", model_path(m));
    if (first < 0)
        first = tokenizer_eos(t);
    if (first < 0)
        return err_set(e, ERR_WORK,
            "%s: an empty prompt needs a bos or eos token; the tokenizer has "
            "neither",
            model_path(m));
    ids_add(&with, first);
    ids_addn(&with, prompt->v, prompt->n);
    ids_release(prompt);
    *prompt = with;
    return 0;
}

int
score_item_ids(struct score_work *w, size_t i, struct err *e)
{
    const struct suite_item *it = &w->s->items[i];
    struct item_ids *ids = &w->ids[i];
    struct tokenizer *t = model_tokenizer(w->m);

    if (it->kind == SUITE_CHOICE) {
        ids->choices = mem_calloc(it->n_choices, sizeof *ids->choices);
        for (size_t k = 0; k < it->n_choices; k++)
            if (choice_tokens(t, it->prompt, it->choices[k], &ids->prompt,
                    &ids->choices[k], e))
                return e->code;
    } else if (tokenizer_encode(t, it->prompt, strlen(it->prompt), false,
                   &ids->prompt, e)) {
        return e->code;
    }
    return finish_prompt(&ids->prompt, w->m, w->o->bos, e);
}
