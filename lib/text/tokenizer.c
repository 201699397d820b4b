#include "lib/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/text/tokenizer_impl.h"
#include "lib/text/utf8.h"

enum { TEXT_MOST = 1 << 30 };

struct tokenizer *
tokenizer_new(void)
{
    struct tokenizer *t = mem_calloc(1, sizeof *t);

    t->bos = t->eos = t->unk = t->pad = -1;
    t->bpe.unk = -1;
    return t;
}

void
tokenizer_free(struct tokenizer *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->n_added; i++) {
        free(t->added[i].content);
        free(t->added[i].shown);
    }
    free(t->added);
    free(t->added_of);
    free(t->score);
    free(t->chat_template);
    vocab_release(&t->added_vocab);
    added_set_release(&t->raw);
    added_set_release(&t->normalized);
    ids_release(&t->prefix);
    ids_release(&t->suffix);
    decoder_release(&t->decoder);
    splitter_release(&t->splitter);
    normalizer_release(&t->normalizer);
    bpe_release(&t->bpe);
    chars_release(&t->chars);
    free(t);
}

int
tokenizer_add_token(struct tokenizer *t, const struct added_token *tok,
    const char *path, struct err *e)
{
    int32_t in_model = vocab_find(&t->bpe.vocab, tok->content, tok->len), was;

    if (in_model >= 0 && in_model != tok->id)
        return err_set(e, ERR_WORK,
            "%s: added token '%.60s' has id %d, but %d in the vocabulary; "
            "repair the file",
            path, tok->content, (int)tok->id, (int)in_model);
    if (in_model < 0 && (size_t)tok->id < t->bpe.vocab.n &&
        t->bpe.vocab.text[tok->id] != NULL)
        return err_set(e, ERR_WORK,
            "%s: added token '%.60s' has id %d, which is '%.60s' in the "
            "vocabulary; repair the file",
            path, tok->content, (int)tok->id, t->bpe.vocab.text[tok->id]);
    was = vocab_add(&t->added_vocab, tok->id, tok->content, tok->len);
    if (was != -1)
        return err_set(e, ERR_WORK,
            "%s: added token '%.60s' or its id %d occurs twice; repair the "
            "file",
            path, tok->content, (int)tok->id);
    if (t->n_added == t->added_vocab.count)
        return 0; /* the very same token again */
    if (t->n_added == t->cap_added) {
        t->cap_added = t->cap_added == 0 ? 64 : t->cap_added * 2;
        t->added = mem_realloc(t->added, t->cap_added, sizeof *t->added);
    }
    t->added[t->n_added] = *tok;
    t->added[t->n_added].shown = NULL;
    t->added[t->n_added++].content = mem_strndup(tok->content, tok->len);
    return 0;
}

/*
 * What is searched for, and what the tokens decode to. Special tokens first:
 * where two read the same, the library takes those.
 */
static int
build_tries(struct tokenizer *t, const char *path, struct err *e)
{
    t->raw.tokens = t->normalized.tokens = t->added;
    for (int special = 1; special >= 0; special--) {
        for (size_t i = 0; i < t->n_added; i++) {
            struct added_token *a = &t->added[i];
            const char *s = a->content;
            size_t n = a->len;

            if (a->special != (special == 1))
                continue;
            if (a->normalized &&
                normalizer_run(&t->normalizer, a->content, a->len, &s, &n,
                    e) != 0) {
                err_clear(e);
                return err_set(e, ERR_WORK,
                    "%s: added token '%.60s' cannot be normalized; repair the "
                    "normalizer",
                    path, a->content);
            }
            if (n > ADDED_LEN_MOST || a->len > ADDED_LEN_MOST)
                return err_set(e, ERR_WORK,
                    "%s: added token '%.60s' has %zu bytes, at most %d; "
                    "repair the file",
                    path, a->content, n, ADDED_LEN_MOST);
            a->shown = mem_strndup(s, n);
            a->shown_len = n;
            added_set_add(a->normalized ? &t->normalized : &t->raw, s, n,
                (int32_t)i);
        }
    }
    return 0;
}

/* The post-processor's ids are written blindly: they must have tokens. */
static int
check_around(const struct tokenizer *t, const struct ids *around,
    const char *path, struct err *e)
{
    for (size_t i = 0; i < around->n; i++) {
        if (tokenizer_token(t, around->v[i]) == NULL)
            return err_set(e, ERR_WORK,
                "%s: post_processor adds id %d, which is no token; repair "
                "the file",
                path, (int)around->v[i]);
    }
    return 0;
}

/* Scores for "llama": minus the lowest rank of a merge that makes the token. */
static void
make_scores(struct tokenizer *t)
{
    float none = -(float)t->bpe.n_pair - 1.0f;

    t->score = mem_calloc(t->size, sizeof *t->score);
    for (size_t i = 0; i < t->size; i++)
        t->score[i] = none;
    for (size_t i = 0; i < t->bpe.merges.n_slot; i++) {
        const struct merge *m = &t->bpe.merges.slot[i];

        if (m->rank != UINT32_MAX && t->score[m->id] < -(float)m->rank)
            t->score[m->id] = -(float)m->rank;
    }
    for (size_t i = 0; i < t->n_added; i++)
        t->score[t->added[i].id] = -1000.0f;
}

int
tokenizer_finish(struct tokenizer *t, const char *path, struct err *e)
{
    t->size = t->bpe.vocab.n > t->added_vocab.n ? t->bpe.vocab.n
                                                : t->added_vocab.n;
    if (t->size == 0)
        return err_set(e, ERR_WORK,
            "%s: the vocabulary is empty; fetch the file again", path);
    t->bpe.byte_level = t->splitter.byte_level;
    bpe_finish(&t->bpe);
    t->added_of = mem_realloc(NULL, t->size, sizeof *t->added_of);
    for (size_t i = 0; i < t->size; i++)
        t->added_of[i] = -1;
    for (size_t i = 0; i < t->n_added; i++)
        t->added_of[t->added[i].id] = (int32_t)i;
    if (!t->bpe.byte_level && t->score == NULL)
        make_scores(t);
    if (check_around(t, &t->prefix, path, e) != 0 ||
        check_around(t, &t->suffix, path, e) != 0)
        return e->code;
    return build_tries(t, path, e);
}

/* One tokenizer_encode under way. */
struct encoding {
    struct tokenizer *t;
    struct ids *out;
    bool first; /* the piece begins where the text does */
};

static int
take_word(void *ctx, const char *s, size_t n, struct err *e)
{
    struct encoding *c = ctx;

    (void)e;
    bpe_word(&c->t->bpe, s, n, c->out);
    return 0;
}

/* A piece of normalized text between added tokens. */
static int
take_normalized(void *ctx, int32_t id, const char *s, size_t n, size_t offset,
    struct err *e)
{
    struct encoding *c = ctx;

    if (id >= 0) {
        ids_add(c->out, id);
        return 0;
    }
    return splitter_run(&c->t->splitter, s, n, c->first && offset == 0,
        take_word, c, e);
}

/* A piece of raw text between added tokens. */
static int
take_raw(void *ctx, int32_t id, const char *s, size_t n, size_t offset,
    struct err *e)
{
    struct encoding *c = ctx;

    if (id >= 0) {
        ids_add(c->out, id);
        return 0;
    }
    c->first = offset == 0;
    if (normalizer_run(&c->t->normalizer, s, n, &s, &n, e) != 0)
        return e->code;
    return added_cut(&c->t->normalized, &c->t->chars, s, n, take_normalized,
        c, e);
}

int
tokenizer_encode(struct tokenizer *t, const char *text, size_t len,
    bool special, struct ids *out, struct err *e)
{
    struct encoding c = { .t = t, .out = out };
    size_t before = out->n, valid;

    if (len > TEXT_MOST)
        return err_set(e, ERR_WORK, "text: %zu bytes, at most %d; cut it",
            len, TEXT_MOST);
    valid = utf8_check(text, len);
    if (valid < len)
        return err_set(e, ERR_WORK,
            "text: byte %zu is not valid UTF-8; convert the text to UTF-8",
            valid);
    if (special)
        ids_addn(out, t->prefix.v, t->prefix.n);
    if (added_cut(&t->raw, &t->chars, text, len, take_raw, &c, e) != 0) {
        out->n = before;
        return e->code;
    }
    if (special)
        ids_addn(out, t->suffix.v, t->suffix.n);
    return 0;
}

/* Text and length of an id; NULL for a hole or an id out of range. */
static const char *
text_of(const struct tokenizer *t, int32_t id, size_t *len)
{
    size_t i = (size_t)id;

    if (id < 0 || i >= t->size)
        return NULL;
    if (t->added_of[i] >= 0) {
        *len = t->added[t->added_of[i]].len;
        return t->added[t->added_of[i]].content;
    }
    if (i >= t->bpe.vocab.n || t->bpe.vocab.text[i] == NULL)
        return NULL;
    *len = t->bpe.vocab.len[i];
    return t->bpe.vocab.text[i];
}

void
tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n,
    bool skip_special, struct str *out)
{
    struct string_list texts = { 0 };

    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        const char *s = text_of(t, ids[i], &len);

        if (s != NULL && t->added_of[ids[i]] >= 0) {
            s = t->added[t->added_of[ids[i]]].shown;
            len = t->added[t->added_of[ids[i]]].shown_len;
        }
        if (s != NULL && !(skip_special && tokenizer_is_special(t, ids[i])))
            string_list_add(&texts, s, len);
    }
    decoder_run(&t->decoder, &texts, out);
    string_list_release(&texts);
}

int32_t
tokenizer_id(const struct tokenizer *t, const char *token)
{
    size_t n = strlen(token);
    int32_t id = vocab_find(&t->added_vocab, token, n);

    return id >= 0 ? id : vocab_find(&t->bpe.vocab, token, n);
}

const char *
tokenizer_token(const struct tokenizer *t, int32_t id)
{
    size_t len;

    return text_of(t, id, &len);
}

size_t
tokenizer_size(const struct tokenizer *t)
{
    return t->size;
}

bool
tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->size && t->added_of[id] >= 0 &&
        t->added[t->added_of[id]].special;
}

int32_t
tokenizer_bos(const struct tokenizer *t)
{
    return t->bos;
}

int32_t
tokenizer_eos(const struct tokenizer *t)
{
    return t->eos;
}

int32_t
tokenizer_unk(const struct tokenizer *t)
{
    return t->unk;
}

int32_t
tokenizer_pad(const struct tokenizer *t)
{
    return t->pad;
}

bool
tokenizer_add_bos(const struct tokenizer *t)
{
    return t->prefix.n > 0;
}

bool
tokenizer_add_eos(const struct tokenizer *t)
{
    return t->suffix.n > 0;
}

const char *
tokenizer_chat_template(const struct tokenizer *t)
{
    return t->chat_template;
}
