/*
 * split_read.c - the pre_tokenizer of tokenizer.json, and llama.cpp's names
 */
#include "lib/text/split.h"

#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/text/utf8.h"

enum { SEQUENCE_DEPTH_MOST = 8 };

struct reading {
    struct splitter *sp;
    const char *path;
    struct err *e;
};

/* A new stage, or NULL with an error when there are too many. */
static struct split_stage *
add_stage(struct reading *r, enum split_kind kind)
{
    struct splitter *sp = r->sp;

    if (sp->byte_level) {
        err_set(r->e, ERR_WORK,
            "%s: pre_tokenizer: a stage after ByteLevel is not implemented; "
            "quern cannot read this tokenizer",
            r->path);
        return NULL;
    }
    if (sp->n == SPLIT_STAGES_MOST) {
        err_set(r->e, ERR_WORK,
            "%s: pre_tokenizer: more than %d stages; quern cannot read this "
            "tokenizer",
            r->path, SPLIT_STAGES_MOST);
        return NULL;
    }
    sp->stage[sp->n] = (struct split_stage){ .kind = kind };
    return &sp->stage[sp->n++];
}

static int
add_regex(struct reading *r, const char *regex, enum split_behavior behavior,
    bool invert)
{
    struct split_stage *st = add_stage(r, SPLIT_REGEX);

    if (st == NULL)
        return r->e->code;
    st->behavior = behavior;
    st->invert = invert;
    st->scan = scan_find(regex);
    if (st->scan == SCAN_NONE)
        st->regex = regex_new(regex, r->path, r->e);
    return r->e->code;
}

static int
read_split(struct reading *r, const json_t *j)
{
    static const char *const names[] = {
        [SPLIT_ISOLATED] = "Isolated",
        [SPLIT_REMOVED] = "Removed",
        [SPLIT_WITH_PREVIOUS] = "MergedWithPrevious",
        [SPLIT_WITH_NEXT] = "MergedWithNext",
        [SPLIT_CONTIGUOUS] = "Contiguous",
    };
    const char *behavior = json_get_str(j, "behavior", r->path, r->e);
    const json_t *invert = json_object_get(j, "invert");
    const json_t *pattern = json_get_object(j, "pattern", r->path, r->e);
    const json_t *regex = json_object_get(pattern, "Regex");
    const json_t *text = json_object_get(pattern, "String");
    struct split_stage *st;
    size_t b = 0;

    if (r->e->code != 0)
        return r->e->code;
    while (b < countof(names) && strcmp(behavior, names[b]) != 0)
        b++;
    if (b == countof(names))
        return err_set(r->e, ERR_WORK,
            "%s: pre_tokenizer: unknown Split behavior '%.60s'; quern cannot "
            "read this tokenizer",
            r->path, behavior);
    if (json_is_string(regex))
        return add_regex(r, json_string_value(regex), (enum split_behavior)b,
            json_is_true(invert));
    if (!json_is_string(text) || json_string_length(text) == 0)
        return err_set(r->e, ERR_WORK,
            "%s: pre_tokenizer: Split needs a pattern with Regex or a "
            "non-empty String; repair the file",
            r->path);
    if ((st = add_stage(r, SPLIT_LITERAL)) == NULL)
        return r->e->code;
    st->behavior = (enum split_behavior)b;
    st->invert = json_is_true(invert);
    st->text = mem_strdup(json_string_value(text));
    st->text_len = json_string_length(text);
    return 0;
}

static int
read_metaspace(struct reading *r, const json_t *j)
{
    static const char *const schemes[] = {
        [PREPEND_NEVER] = "never",
        [PREPEND_FIRST] = "first",
        [PREPEND_ALWAYS] = "always",
    };
    const char *rep = json_get_str(j, "replacement", r->path, r->e);
    const json_t *scheme = json_object_get(j, "prepend_scheme");
    const json_t *prefix = json_object_get(j, "add_prefix_space");
    const json_t *cut = json_object_get(j, "split");
    struct split_stage *st;
    size_t p = PREPEND_ALWAYS;

    if (rep == NULL)
        return r->e->code;
    if (rep[0] == '\0' || strlen(rep) != utf8_size(rep[0]))
        return err_set(r->e, ERR_WORK,
            "%s: pre_tokenizer: Metaspace's replacement '%.60s' is not one "
            "character; repair the file",
            r->path, rep);
    if (json_is_string(scheme)) {
        for (p = 0; p < countof(schemes); p++) {
            if (strcmp(json_string_value(scheme), schemes[p]) == 0)
                break;
        }
        if (p == countof(schemes))
            return err_set(r->e, ERR_WORK,
                "%s: pre_tokenizer: unknown prepend_scheme '%.60s'; write "
                "always, first or never",
                r->path, json_string_value(scheme));
    } else if (json_is_false(prefix)) {
        p = PREPEND_NEVER;
    }
    if ((st = add_stage(r, SPLIT_METASPACE)) == NULL)
        return r->e->code;
    st->text = mem_strdup(rep);
    st->text_len = strlen(rep);
    st->prepend = (enum prepend)p;
    st->cut = !json_is_false(cut);
    return 0;
}

static int
read_byte_level(struct reading *r, const json_t *j)
{
    const json_t *prefix = json_object_get(j, "add_prefix_space");
    const json_t *regex = json_object_get(j, "use_regex");

    if (!json_is_false(prefix) && add_stage(r, SPLIT_PREFIX_SPACE) == NULL)
        return r->e->code;
    if (!json_is_false(regex) &&
        add_regex(r, scan_regex(SCAN_GPT2), SPLIT_ISOLATED, false) != 0)
        return r->e->code;
    if (r->sp->byte_level)
        return err_set(r->e, ERR_WORK,
            "%s: pre_tokenizer: ByteLevel twice is not implemented; quern "
            "cannot read this tokenizer",
            r->path);
    r->sp->byte_level = true;
    return 0;
}

static int
read_any(struct reading *r, const json_t *j, int depth)
{
    const char *type = json_get_str(j, "type", r->path, r->e);
    struct split_stage *st;

    if (type == NULL)
        return r->e->code;
    if (strcmp(type, "ByteLevel") == 0)
        return read_byte_level(r, j);
    if (strcmp(type, "Split") == 0)
        return read_split(r, j);
    if (strcmp(type, "Metaspace") == 0)
        return read_metaspace(r, j);
    if (strcmp(type, "Digits") == 0) {
        if ((st = add_stage(r, SPLIT_DIGITS)) != NULL)
            st->behavior = json_is_true(json_object_get(j, "individual_digits"))
                ? SPLIT_ISOLATED
                : SPLIT_CONTIGUOUS;
        return r->e->code;
    }
    if (strcmp(type, "Sequence") == 0 && depth < SEQUENCE_DEPTH_MOST) {
        const json_t *list =
            json_get_array(j, "pretokenizers", r->path, r->e);
        const json_t *each;
        size_t i;

        json_array_foreach(list, i, each) {
            if (read_any(r, each, depth + 1) != 0)
                break;
        }
        return r->e->code;
    }
    return err_set(r->e, ERR_WORK,
        "%s: pre_tokenizer '%.60s' is not implemented; quern knows ByteLevel, "
        "Split, Metaspace, Digits and Sequence",
        r->path, type);
}

int
splitter_init(struct splitter *sp, const json_t *j, struct chars *chars,
    const char *path, struct err *e)
{
    struct reading r = { sp, path, e };

    *sp = (struct splitter){ .chars = chars };
    if (j != NULL && !json_is_null(j) && read_any(&r, j, 0) != 0)
        splitter_release(sp);
    return e->code;
}

/* llama.cpp's names for what the scanners do; `digits`: \p{N} first. */
static const struct {
    const char *name;
    enum scan_kind scan;
    bool digits;
} gguf_names[] = {
    { "gpt-2", SCAN_GPT2, false },
    { "phi-2", SCAN_GPT2, false },
    { "mpt", SCAN_GPT2, false },
    { "olmo", SCAN_GPT2, false },
    { "smollm", SCAN_GPT2, true },
    { "starcoder", SCAN_GPT2, true },
    { "refact", SCAN_GPT2, true },
    { "command-r", SCAN_GPT2, true },
    { "codeshell", SCAN_GPT2, true },
    { "llama-bpe", SCAN_LLAMA3, false },
    { "llama3", SCAN_LLAMA3, false },
    { "llama-v3", SCAN_LLAMA3, false },
    { "qwen2", SCAN_QWEN2, false },
    { "deepseek-r1-qwen", SCAN_QWEN2, false },
    { "stablelm2", SCAN_QWEN2, false },
    { "megrez", SCAN_QWEN2, false },
    { "qwen35", SCAN_QWEN35, false },
    { "tekken", SCAN_TEKKEN, false },
    { "gpt-4o", SCAN_GPT4O, false },
};

int
splitter_init_gguf(struct splitter *sp, const char *pre, struct chars *chars,
    const char *path, struct err *e)
{
    struct reading r = { sp, path, e };

    *sp = (struct splitter){ .chars = chars };
    for (size_t i = 0; i < countof(gguf_names); i++) {
        if (strcmp(pre, gguf_names[i].name) != 0)
            continue;
        if (gguf_names[i].digits)
            add_stage(&r, SPLIT_DIGITS)->behavior = SPLIT_ISOLATED;
        add_regex(&r, scan_regex(gguf_names[i].scan), SPLIT_ISOLATED, false);
        sp->byte_level = true;
        return e->code;
    }
    return err_set(e, ERR_WORK,
        "%s: tokenizer.ggml.pre '%.60s' is not known; quern knows gpt-2, "
        "llama-bpe, qwen2, qwen35, tekken, gpt-4o and smollm",
        path, pre);
}

static bool
is_digits(const struct split_stage *st)
{
    return st->kind == SPLIT_DIGITS && st->behavior == SPLIT_ISOLATED;
}

const char *
splitter_gguf_name(const struct splitter *sp)
{
    const struct split_stage *last;

    if (!sp->byte_level || sp->n < 1 || sp->n > 2)
        return NULL;
    last = &sp->stage[sp->n - 1];
    if (last->kind != SPLIT_REGEX || last->scan == SCAN_NONE ||
        last->invert || last->behavior != SPLIT_ISOLATED)
        return NULL;
    if (sp->n == 1)
        return scan_name(last->scan);
    return last->scan == SCAN_GPT2 && is_digits(&sp->stage[0]) ? "smollm"
                                                               : NULL;
}
