/*
 * tokenizer_json.c - tokenizer.json: added tokens, model, post-processor
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/text/tokenizer_impl.h"
#include "lib/text/utf8.h"

/*
 * Bytes of a tokenizer.json, and commas and colons in it; Gemma's has 34 and
 * two million.
 */
enum { FILE_MOST = 128 << 20, MARKS_MOST = 8 << 20, TEMPLATE_MOST = 64 };

/* Is `key` there with a value that would change what the model does? */
static bool
is_set(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return v != NULL && !json_is_null(v) && !json_is_false(v) &&
        !(json_is_string(v) && json_string_length(v) == 0) &&
        !(json_is_number(v) && json_number_value(v) <= 0.0);
}

static int
read_vocab(struct tokenizer *t, json_t *vocab, const char *path,
    struct err *e)
{
    const char *text;
    json_t *id;

    json_object_foreach(vocab, text, id) {
        int32_t was;

        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) >= VOCAB_IDS_MOST)
            return err_set(e, ERR_WORK,
                "%s: vocabulary: '%.60s' has no id from 0 to %d; repair the "
                "file",
                path, text, VOCAB_IDS_MOST - 1);
        was = vocab_add(&t->bpe.vocab, (int32_t)json_integer_value(id), text,
            strlen(text));
        if (was != -1)
            return err_set(e, ERR_WORK,
                "%s: vocabulary: id %d of '%.60s' occurs twice; repair the "
                "file",
                path, (int)json_integer_value(id), text);
    }
    return 0;
}

/* One merge given by its two halves. */
static int
read_merge(struct tokenizer *t, size_t rank, const char *a, size_t a_len,
    const char *b, size_t b_len, struct str *both, const char *path,
    struct err *e)
{
    const struct vocab *v = &t->bpe.vocab;
    int32_t left = vocab_find(v, a, a_len), right = vocab_find(v, b, b_len);
    int32_t id;

    str_clear(both);
    str_addn(both, a, a_len);
    str_addn(both, b, b_len);
    id = vocab_find(v, both->p, both->len);
    if (left < 0 || right < 0 || id < 0)
        return err_set(e, ERR_WORK,
            "%s: merge %zu: '%.*s' is not in the vocabulary; fetch the file "
            "again",
            path, rank,
            left < 0 ? (int)a_len : right < 0 ? (int)b_len : (int)both->len,
            left < 0 ? a : right < 0 ? b : both->p);
    bpe_add_merge(&t->bpe, (uint32_t)left, (uint32_t)right, (uint32_t)id);
    return 0;
}

static int
read_merges(struct tokenizer *t, json_t *merges, const char *path,
    struct err *e)
{
    struct str both = { 0 };
    json_t *m;
    size_t i;

    merges_reserve(&t->bpe.merges, json_array_size(merges));
    json_array_foreach(merges, i, m) {
        const json_t *a = json_array_get(m, 0), *b = json_array_get(m, 1);

        if (json_is_string(a) && json_is_string(b) &&
            json_array_size(m) == 2) {
            read_merge(t, i, json_string_value(a), json_string_length(a),
                json_string_value(b), json_string_length(b), &both, path, e);
        } else if (json_is_string(m)) {
            const char *s = json_string_value(m), *sp = strchr(s, ' ');

            if (str_starts(s, "#version"))
                continue;
            if (sp == NULL || strchr(sp + 1, ' ') != NULL)
                err_set(e, ERR_WORK,
                    "%s: merge %zu: '%.60s' is not two tokens with a space "
                    "between; repair the file",
                    path, i, s);
            else
                read_merge(t, i, s, (size_t)(sp - s), sp + 1, strlen(sp + 1),
                    &both, path, e);
        } else {
            err_set(e, ERR_WORK,
                "%s: merge %zu is neither a string nor a pair of strings; "
                "repair the file",
                path, i);
        }
        if (e->code != 0)
            break;
    }
    str_release(&both);
    return e->code;
}

static int
read_model(struct tokenizer *t, const json_t *model, const char *path,
    struct err *e)
{
    static const char *const refused[] = { "dropout",
        "continuing_subword_prefix", "end_of_word_suffix" };
    const json_t *type = json_object_get(model, "type");
    const json_t *unk = json_object_get(model, "unk_token");
    json_t *vocab, *merges;

    if (type != NULL && (!json_is_string(type) ||
                            strcmp(json_string_value(type), "BPE") != 0))
        return err_set(e, ERR_WORK,
            "%s: tokenizer model '%.60s' is not implemented; quern knows BPE",
            path, json_is_string(type) ? json_string_value(type) : "?");
    for (size_t i = 0; i < countof(refused); i++) {
        if (is_set(model, refused[i]))
            return err_set(e, ERR_WORK,
                "%s: '%s' of the BPE model is not implemented; quern cannot "
                "read this tokenizer",
                path, refused[i]);
    }
    vocab = json_get_object(model, "vocab", path, e);
    merges = json_get_array(model, "merges", path, e);
    if (e->code != 0 || read_vocab(t, vocab, path, e) != 0 ||
        read_merges(t, merges, path, e) != 0)
        return e->code;
    t->bpe.byte_fallback = is_set(model, "byte_fallback");
    t->bpe.fuse_unk = is_set(model, "fuse_unk");
    t->bpe.ignore_merges = is_set(model, "ignore_merges");
    if (json_is_string(unk)) {
        t->bpe.unk = vocab_find(&t->bpe.vocab, json_string_value(unk),
            json_string_length(unk));
        if (t->bpe.unk < 0)
            return err_set(e, ERR_WORK,
                "%s: unk_token '%.60s' is not in the vocabulary; repair the "
                "file",
                path, json_string_value(unk));
    }
    return 0;
}

static int
read_added(struct tokenizer *t, const json_t *list, const char *path,
    struct err *e)
{
    const json_t *each;
    size_t i;

    if (list != NULL && !json_is_null(list) && !json_is_array(list))
        return err_set(e, ERR_WORK,
            "%s: 'added_tokens' is not an array; repair the file", path);
    json_array_foreach(list, i, each) {
        const json_t *content = json_object_get(each, "content");
        struct added_token tok = {
            .id = (int32_t)json_get_int(each, "id", 0, VOCAB_IDS_MOST - 1,
                path, e),
            .single_word = is_set(each, "single_word"),
            .lstrip = is_set(each, "lstrip"),
            .rstrip = is_set(each, "rstrip"),
            .normalized = is_set(each, "normalized"),
            .special = is_set(each, "special"),
        };
        char *text;

        if (json_get_str(each, "content", path, e) == NULL || e->code != 0)
            return e->code;
        if (json_string_length(content) == 0)
            continue; /* the library ignores it too */
        text = mem_strdup(json_string_value(content));
        tok.content = text;
        tok.len = json_string_length(content);
        tokenizer_add_token(t, &tok, path, e);
        free(text);
        if (e->code != 0)
            return e->code;
    }
    return 0;
}

/* The ids that a template's special token stands for. */
static int
read_template_ids(struct ids *out, const json_t *template, const char *name,
    const char *path, struct err *e)
{
    const json_t *tok = json_object_get(
        json_object_get(template, "special_tokens"), name);
    const json_t *list = json_object_get(tok, "ids"), *id;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) > TEMPLATE_MOST)
        return err_set(e, ERR_WORK,
            "%s: post_processor: no ids for '%.60s' in special_tokens; repair "
            "the file",
            path, name);
    json_array_foreach(list, i, id) {
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) >= VOCAB_IDS_MOST)
            return err_set(e, ERR_WORK,
                "%s: post_processor: '%.60s' has a wrong id; repair the file",
                path, name);
        ids_add(out, (int32_t)json_integer_value(id));
    }
    return 0;
}

static int
read_template(struct tokenizer *t, const json_t *j, const char *path,
    struct err *e)
{
    const json_t *single = json_get_array(j, "single", path, e), *each;
    struct ids prefix = { 0 }, suffix = { 0 };
    size_t i, texts = 0;

    if (single == NULL)
        return e->code;
    if (json_array_size(single) > TEMPLATE_MOST)
        return err_set(e, ERR_WORK,
            "%s: post_processor: a template of more than %d parts; quern "
            "cannot read this tokenizer",
            path, TEMPLATE_MOST);
    json_array_foreach(single, i, each) {
        const json_t *tok = json_object_get(each, "SpecialToken");
        const json_t *seq = json_object_get(each, "Sequence");
        const char *id = json_get_str(tok != NULL ? tok : seq, "id", path, e);

        if (id == NULL)
            break;
        if (tok != NULL) {
            read_template_ids(texts == 0 ? &prefix : &suffix, j, id, path, e);
        } else if (strcmp(id, "A") == 0 && texts == 0) {
            texts = 1;
        } else {
            err_set(e, ERR_WORK,
                "%s: post_processor: a template for one text that does not "
                "hold it just once; quern cannot read this tokenizer",
                path);
        }
        if (e->code != 0)
            break;
    }
    if (e->code == 0 && texts == 0)
        err_set(e, ERR_WORK,
            "%s: post_processor: the template leaves out the text; repair the "
            "file",
            path);
    /* a template after another one goes around it */
    ids_addn(&prefix, t->prefix.v, t->prefix.n);
    ids_release(&t->prefix);
    t->prefix = prefix;
    ids_addn(&t->suffix, suffix.v, suffix.n);
    ids_release(&suffix);
    return e->code;
}

static int
read_post(struct tokenizer *t, const json_t *j, int depth, const char *path,
    struct err *e)
{
    const char *type;

    if (j == NULL || json_is_null(j))
        return 0;
    type = json_get_str(j, "type", path, e);
    if (type == NULL || strcmp(type, "ByteLevel") == 0)
        return e->code; /* ByteLevel moves offsets only */
    if (strcmp(type, "TemplateProcessing") == 0)
        return read_template(t, j, path, e);
    if (strcmp(type, "Sequence") == 0 && depth == 0) {
        const json_t *list = json_get_array(j, "processors", path, e), *each;
        size_t i;

        if (json_array_size(list) > TEMPLATE_MOST)
            return err_set(e, ERR_WORK,
                "%s: post_processor: more than %d processors; quern cannot "
                "read this tokenizer",
                path, TEMPLATE_MOST);
        json_array_foreach(list, i, each) {
            if (read_post(t, each, depth + 1, path, e) != 0)
                break;
        }
        return e->code;
    }
    return err_set(e, ERR_WORK,
        "%s: post_processor '%.60s' is not implemented; quern knows "
        "TemplateProcessing, ByteLevel and a Sequence of them",
        path, type);
}

/* A space is put in front: by Prepend or by Metaspace. */
static bool
puts_space(const struct tokenizer *t)
{
    for (size_t i = 0; i < t->normalizer.n; i++) {
        if (t->normalizer.step[i].kind == NORMALIZE_PREPEND)
            return true;
    }
    for (size_t i = 0; i < t->splitter.n; i++) {
        const struct split_stage *st = &t->splitter.stage[i];

        if (st->kind == SPLIT_PREFIX_SPACE ||
            (st->kind == SPLIT_METASPACE && st->prepend != PREPEND_NEVER))
            return true;
    }
    return false;
}

static int
read_all(struct tokenizer *t, const json_t *j, const char *path,
    struct err *e)
{
    json_t *model = json_get_object(j, "model", path, e);

    if (model == NULL || read_model(t, model, path, e) != 0 ||
        read_added(t, json_object_get(j, "added_tokens"), path, e) != 0 ||
        normalizer_init(&t->normalizer, json_object_get(j, "normalizer"),
            &t->chars, path, e) != 0 ||
        splitter_init(&t->splitter, json_object_get(j, "pre_tokenizer"),
            &t->chars, path, e) != 0 ||
        decoder_init(&t->decoder, json_object_get(j, "decoder"), path, e) ||
        read_post(t, json_object_get(j, "post_processor"), 0, path, e) != 0)
        return e->code;
    t->add_space_prefix = puts_space(t);
    return tokenizer_finish(t, path, e);
}

/*
 * A parsed file takes memory by its values, and each value has a comma or a
 * colon before it: their number bounds the memory before any is taken.
 */
static json_t *
read_bounded(const char *path, struct err *e)
{
    struct blob b = { 0 };
    json_t *j = NULL;
    size_t marks = 0;

    if (blob_read(&b, path, FILE_MOST, e) != 0)
        return NULL;
    for (size_t i = 0; i < b.len; i++)
        marks += (size_t)(b.p[i] == ',') + (size_t)(b.p[i] == ':');
    if (marks > MARKS_MOST)
        err_set(e, ERR_WORK, "%s: has more than %d commas and colons; is it a "
            "tokenizer's file?", path, (int)MARKS_MOST);
    else
        j = json_parse(b.p, b.len, path, e);
    blob_release(&b);
    return j;
}

int
tokenizer_open(struct tokenizer **t, const char *json_path,
    const char *config_path, struct err *e)
{
    json_t *j = read_bounded(json_path, e);

    *t = NULL;
    if (j == NULL)
        return e->code;
    *t = tokenizer_new();
    if (!json_is_object(j))
        err_set(e, ERR_WORK, "%s: is not a JSON object; fetch it again",
            json_path);
    else if (read_all(*t, j, json_path, e) == 0)
        tokenizer_read_config(*t, json_path, config_path, e);
    json_decref(j);
    if (e->code != 0) {
        tokenizer_free(*t);
        *t = NULL;
    }
    return e->code;
}
