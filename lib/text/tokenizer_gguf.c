/*
 * tokenizer_gguf.c - tokenizers from and for the tokenizer.ggml.* keys of GGUF
 *
 * The model "llama" has scores instead of merges: any two neighbours whose
 * texts together are a token may merge, the highest score first, the leftmost
 * of equals first. That is a list of merges whose rank is the place of the
 * score among all scores, so the same code encodes both.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/text/tokenizer_impl.h"
#include "lib/text/utf8.h"

#define LOW_LINE "\xe2\x96\x81" /* U+2581, SentencePiece's space */

/* SentencePiece's pieces have some dozens of bytes; all cuts are looked at. */
enum { MERGES_MOST = 1 << 24, PIECE_MOST = 1024 };

static size_t
token_len(const struct tokenizer_gguf *g, size_t i)
{
    return g->token_len != NULL ? g->token_len[i] : strlen(g->tokens[i]);
}

static int
token_type(const struct tokenizer_gguf *g, size_t i)
{
    return g->types != NULL ? g->types[i] : TOKEN_NORMAL;
}

static int
read_added(struct tokenizer *t, const struct tokenizer_gguf *g, size_t i,
    struct err *e)
{
    struct added_token tok = {
        .id = (int32_t)i,
        .special = token_type(g, i) != TOKEN_USER_DEFINED,
    };
    char *text = mem_strndup(g->tokens[i], token_len(g, i));

    tok.content = text;
    tok.len = token_len(g, i);
    tokenizer_add_token(t, &tok, g->path, e);
    free(text);
    return e->code;
}

/*
 * Token texts. Merges may lead to added tokens of "gpt2"; those of "llama" are
 * kept from the vocabulary, where any text could merge into them.
 */
static int
read_tokens(struct tokenizer *t, const struct tokenizer_gguf *g, bool spm,
    struct err *e)
{
    if (g->n == 0 || g->n > VOCAB_IDS_MOST)
        return err_set(e, ERR_WORK,
            "%s: tokenizer.ggml.tokens has %zu entries, not 1 to %d; fetch "
            "the file again",
            g->path, g->n, VOCAB_IDS_MOST);
    for (size_t i = 0; i < g->n; i++) {
        int type = token_type(g, i);
        size_t len = token_len(g, i);
        bool added = type == TOKEN_CONTROL || type == TOKEN_USER_DEFINED ||
            (spm && type == TOKEN_UNKNOWN);

        if (type == TOKEN_UNUSED || len == 0)
            continue;
        if (spm && len > PIECE_MOST)
            return err_set(e, ERR_WORK,
                "%s: token %zu has %zu bytes, at most %d; fetch the file again",
                g->path, i, len, PIECE_MOST);
        if (len > INT32_MAX || utf8_check(g->tokens[i], len) != len)
            return err_set(e, ERR_WORK,
                "%s: token %zu is not valid UTF-8; fetch the file again",
                g->path, i);
        if ((!added || !spm) &&
            vocab_add(&t->bpe.vocab, (int32_t)i, g->tokens[i], len) != -1)
            return err_set(e, ERR_WORK,
                "%s: token %zu, '%.60s', occurs twice; fetch the file again",
                g->path, i, g->tokens[i]);
        if (added && read_added(t, g, i, e) != 0)
            return e->code;
    }
    return 0;
}

static int
read_merges(struct tokenizer *t, const struct tokenizer_gguf *g,
    struct err *e)
{
    const struct vocab *v = &t->bpe.vocab;
    struct str both = { 0 };

    if (g->n_merges > MERGES_MOST)
        return err_set(e, ERR_WORK,
            "%s: tokenizer.ggml.merges has %zu entries, at most %d; fetch the "
            "file again",
            g->path, g->n_merges, MERGES_MOST);
    merges_reserve(&t->bpe.merges, g->n_merges);
    for (size_t i = 0; i < g->n_merges; i++) {
        const char *m = g->merges[i];
        const char *sp = m[0] == '\0' ? NULL : strchr(m + 1, ' ');
        int32_t left, right, id;

        left = right = id = -1;
        if (sp != NULL) {
            left = vocab_find(v, m, (size_t)(sp - m));
            right = vocab_find(v, sp + 1, strlen(sp + 1));
            str_clear(&both);
            str_addn(&both, m, (size_t)(sp - m));
            str_add(&both, sp + 1);
            id = vocab_find(v, both.p, both.len);
        }
        if (left < 0 || right < 0 || id < 0) {
            err_set(e, ERR_WORK,
                "%s: merge %zu, '%.60s', is not two tokens that make a third; "
                "fetch the file again",
                g->path, i, m);
            break;
        }
        bpe_add_merge(&t->bpe, (uint32_t)left, (uint32_t)right, (uint32_t)id);
    }
    str_release(&both);
    return e->code;
}

static int
by_score_falling(const void *a, const void *b)
{
    float x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Place of `score` among sorted[0..n), the highest being 0. */
static uint32_t
rank_of(const float *sorted, size_t n, float score)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (sorted[mid] > score)
            lo = mid + 1;
        else
            hi = mid;
    }
    return (uint32_t)lo;
}

/* Every way to cut a token in two tokens is a merge of its score's rank. */
static void
add_ways(struct tokenizer *t, size_t id, uint32_t rank)
{
    const struct vocab *v = &t->bpe.vocab;
    const char *s = v->text[id];
    size_t n = v->len[id];

    for (size_t i = utf8_size(s[0]); i < n; i += utf8_size(s[i])) {
        int32_t left = vocab_find(v, s, i);
        int32_t right = left < 0 ? -1 : vocab_find(v, s + i, n - i);

        if (right >= 0)
            bpe_add_ranked(&t->bpe, (uint32_t)left, (uint32_t)right, rank,
                (uint32_t)id);
    }
}

static int
read_scores(struct tokenizer *t, const struct tokenizer_gguf *g,
    struct err *e)
{
    const struct vocab *v = &t->bpe.vocab;
    float *sorted;

    if (g->scores == NULL)
        return err_set(e, ERR_WORK,
            "%s: tokenizer.ggml.scores is missing; fetch the file again",
            g->path);
    for (size_t i = 0; i < g->n; i++) {
        if (!isfinite(g->scores[i]))
            return err_set(e, ERR_WORK,
                "%s: score %zu is not a number; fetch the file again", g->path,
                i);
    }
    t->score = mem_calloc(g->n, sizeof *t->score);
    memcpy(t->score, g->scores, g->n * sizeof *t->score);
    sorted = mem_calloc(g->n, sizeof *sorted);
    memcpy(sorted, g->scores, g->n * sizeof *sorted);
    qsort(sorted, g->n, sizeof *sorted, by_score_falling);
    for (size_t i = 0; i < v->n; i++) {
        if (v->text[i] != NULL && token_type(g, i) != TOKEN_BYTE)
            add_ways(t, i, rank_of(sorted, g->n, g->scores[i]));
    }
    free(sorted);
    return 0;
}

static int
read_gpt2(struct tokenizer *t, const struct tokenizer_gguf *g, struct err *e)
{
    if (g->pre == NULL)
        return err_set(e, ERR_WORK,
            "%s: tokenizer.ggml.pre is missing, so nobody knows how to split "
            "text; convert the model again with a newer converter",
            g->path);
    if (read_tokens(t, g, false, e) != 0 || read_merges(t, g, e) != 0 ||
        splitter_init_gguf(&t->splitter, g->pre, &t->chars, g->path, e) != 0)
        return e->code;
    t->bpe.ignore_merges = t->splitter.stage[0].scan == SCAN_LLAMA3 ||
        t->splitter.stage[0].scan == SCAN_TEKKEN;
    decoder_add(&t->decoder, DECODE_BYTE_LEVEL, NULL, NULL, g->path, e);
    return e->code;
}

static int
read_llama(struct tokenizer *t, const struct tokenizer_gguf *g, struct err *e)
{
    struct decode_step *strip;

    if (read_tokens(t, g, true, e) != 0 || read_scores(t, g, e) != 0 ||
        splitter_init(&t->splitter, NULL, &t->chars, g->path, e) != 0)
        return e->code;
    t->bpe.byte_fallback = true;
    t->bpe.fuse_unk = true;
    t->add_space_prefix = g->add_space_prefix != 0;
    if (t->add_space_prefix)
        normalizer_add(&t->normalizer, NULL, LOW_LINE, g->path, e);
    normalizer_add(&t->normalizer, " ", LOW_LINE, g->path, e);
    decoder_add(&t->decoder, DECODE_REPLACE, LOW_LINE, " ", g->path, e);
    decoder_add(&t->decoder, DECODE_BYTE_FALLBACK, NULL, NULL, g->path, e);
    decoder_add(&t->decoder, DECODE_FUSE, NULL, NULL, g->path, e);
    if (t->add_space_prefix) {
        strip = decoder_add(&t->decoder, DECODE_STRIP, " ", NULL, g->path, e);
        if (strip != NULL)
            strip->start = 1;
    }
    return e->code;
}

/* `id` if the file gives it, else llama.cpp's default if that is a token. */
static int
special_id(const struct tokenizer_gguf *g, int32_t id, int32_t otherwise,
    const char *name, int32_t *out, struct err *e)
{
    if (id >= 0 && (size_t)id >= g->n)
        return err_set(e, ERR_WORK,
            "%s: tokenizer.ggml.%s_token_id is %d, but there are %zu tokens; "
            "fetch the file again",
            g->path, name, (int)id, g->n);
    *out = id >= 0 ? id
        : otherwise >= 0 && (size_t)otherwise < g->n ? otherwise
                                                     : -1;
    return 0;
}

static int
read_specials(struct tokenizer *t, const struct tokenizer_gguf *g, bool spm,
    struct err *e)
{
    bool bos = g->add_bos < 0 ? spm || t->bpe.ignore_merges : g->add_bos > 0;

    if (special_id(g, g->bos, spm ? 1 : 11, "bos", &t->bos, e) != 0 ||
        special_id(g, g->eos, spm ? 2 : 11, "eos", &t->eos, e) != 0 ||
        special_id(g, g->unk, spm ? 0 : -1, "unknown", &t->unk, e) != 0 ||
        special_id(g, g->pad, -1, "padding", &t->pad, e) != 0)
        return e->code;
    if (spm)
        t->bpe.unk = t->unk;
    if (bos && t->bos >= 0)
        ids_add(&t->prefix, t->bos);
    if (g->add_eos > 0 && t->eos >= 0)
        ids_add(&t->suffix, t->eos);
    return 0;
}

int
tokenizer_open_gguf(struct tokenizer **out, const struct tokenizer_gguf *g,
    struct err *e)
{
    struct tokenizer *t = tokenizer_new();
    bool spm = strcmp(g->model, "llama") == 0;

    *out = NULL;
    t->normalizer.chars = &t->chars;
    if (!spm && strcmp(g->model, "gpt2") != 0)
        err_set(e, ERR_WORK,
            "%s: tokenizer.ggml.model '%.60s' is not implemented; quern knows "
            "gpt2 and llama",
            g->path, g->model);
    else if ((spm ? read_llama(t, g, e) : read_gpt2(t, g, e)) == 0 &&
        read_specials(t, g, spm, e) == 0)
        tokenizer_finish(t, g->path, e);
    if (e->code != 0) {
        tokenizer_free(t);
        return e->code;
    }
    if (g->chat_template != NULL)
        t->chat_template = mem_strdup(g->chat_template);
    *out = t;
    return 0;
}

const char *
tokenizer_gguf_model(const struct tokenizer *t)
{
    return t->bpe.byte_level ? "gpt2" : "llama";
}

/* ▁ for spaces and at most one of them in front: all that "llama" can say. */
static bool
is_like_llama(const struct tokenizer *t)
{
    const struct normalize_step *st = t->normalizer.step;
    const struct split_stage *cut = t->splitter.stage;
    size_t n = t->normalizer.n;

    if (!t->bpe.byte_fallback || !t->bpe.has_bytes)
        return false;
    if (n == 0)
        return t->splitter.n == 1 && cut[0].kind == SPLIT_METASPACE &&
            strcmp(cut[0].text, LOW_LINE) == 0;
    if (n == 2 && st[0].kind == NORMALIZE_PREPEND &&
        strcmp(st[0].content, LOW_LINE) == 0) {
        st++;
        n--;
    }
    if (n != 1 || st[0].kind != NORMALIZE_REPLACE || st[0].regex != NULL ||
        strcmp(st[0].pattern, " ") != 0 ||
        strcmp(st[0].content, LOW_LINE) != 0)
        return false;
    /* Gemma's Split at spaces finds none after the normalizer */
    return t->splitter.n == 0 ||
        (t->splitter.n == 1 && cut[0].kind == SPLIT_LITERAL &&
            strcmp(cut[0].text, " ") == 0);
}

const char *
tokenizer_gguf_pre(const struct tokenizer *t, struct err *e)
{
    const char *name = NULL;

    if (!t->bpe.byte_level)
        name = is_like_llama(t) ? "default" : NULL;
    else if (normalizer_is_nfc(&t->normalizer))
        name = splitter_gguf_name(&t->splitter);
    if (name == NULL)
        err_set(e, ERR_WORK,
            "tokenizer.json: llama.cpp has no name for this way to split "
            "text, so a GGUF could not say it; use another format");
    return name;
}

void
tokenizer_gguf_token(const struct tokenizer *t, int32_t id, struct str *out)
{
    const char *s = tokenizer_token(t, id), *hit;

    if (s == NULL) {
        str_addf(out, "[PAD%d]", (int)id);
        return;
    }
    if (t->bpe.byte_level ||
        tokenizer_gguf_type(t, id) != TOKEN_USER_DEFINED) {
        str_add(out, s);
        return;
    }
    while ((hit = strstr(s, LOW_LINE)) != NULL) {
        str_addn(out, s, (size_t)(hit - s));
        str_addc(out, ' ');
        s = hit + strlen(LOW_LINE);
    }
    str_add(out, s);
}

/* Tokens that end a turn; llama.cpp stops at them by their text. */
static bool
ends_generation(const char *s)
{
    static const char *const texts[] = { "<|eot_id|>", "<|im_end|>", "<|end|>",
        "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>",
        "<EOT>" };

    for (size_t i = 0; i < countof(texts); i++) {
        if (strcmp(s, texts[i]) == 0)
            return true;
    }
    return false;
}

enum token_type
tokenizer_gguf_type(const struct tokenizer *t, int32_t id)
{
    const char *s = tokenizer_token(t, id);

    if (s == NULL)
        return TOKEN_UNUSED;
    if (!t->bpe.byte_level) {
        if (id == t->unk)
            return TOKEN_UNKNOWN;
        for (int i = 0; i < 256; i++) {
            if (t->bpe.byte_id[i] == id)
                return TOKEN_BYTE;
        }
    }
    if (t->added_of[id] < 0)
        return TOKEN_NORMAL;
    return tokenizer_is_special(t, id) || ends_generation(s)
        ? TOKEN_CONTROL
        : TOKEN_USER_DEFINED;
}

float
tokenizer_gguf_score(const struct tokenizer *t, int32_t id)
{
    if (t->score == NULL || id < 0 || (size_t)id >= t->size ||
        tokenizer_token(t, id) == NULL)
        return -10000.0f;
    return t->score[id];
}

size_t
tokenizer_merges(const struct tokenizer *t)
{
    return t->bpe.n_pair;
}

void
tokenizer_merge(const struct tokenizer *t, size_t rank, struct str *out)
{
    const struct bpe_pair *p = &t->bpe.pair[rank];
    const uint32_t ids[] = { p->left, p->right };

    for (size_t k = 0; k < 2; k++) {
        if (k > 0)
            str_addc(out, ' ');
        for (const char *s = t->bpe.vocab.text[ids[k]]; *s != '\0'; s++) {
            if (*s == ' ')
                str_add(out, "\xc4\xa0"); /* Ġ, the space of the alphabet */
            else
                str_addc(out, *s);
        }
    }
}

bool
tokenizer_add_space_prefix(const struct tokenizer *t)
{
    return t->add_space_prefix;
}
