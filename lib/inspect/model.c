/*
 * model.c - a config and a tokenizer in words and numbers; see kinds.h
 */
#include <inttypes.h>
#include <string.h>

#include "lib/inspect/kinds.h"
#include "lib/model/arch.h"
#include "lib/model/model.h"
#include "lib/model/read_tokenizer.h"
#include "lib/text/chat.h"

static const char *const rope_names[ROPE_TYPE_COUNT] = {
    [ROPE_DEFAULT] = "default",
    [ROPE_LINEAR] = "linear",
    [ROPE_DYNAMIC] = "dynamic",
    [ROPE_LLAMA3] = "llama3",
    [ROPE_YARN] = "yarn",
    [ROPE_LONGROPE] = "longrope",
    [ROPE_DIVISORS] = "divisors",
};

static json_t *
rope_value(const struct rope_config *r)
{
    const bool scaled = r->type == ROPE_LINEAR || r->type == ROPE_LLAMA3 ||
        r->type == ROPE_YARN;
    json_t *o = json_object();

    value_set(o, "type", json_string(rope_names[r->type]));
    value_set(o, "theta", value_real(r->theta));
    value_set(o, "dims", value_count(r->dims));
    value_set(o, "factor", scaled ? value_real(r->factor) : NULL);
    value_set(o, "original", r->original > 0 ? value_real(r->original) : NULL);
    return o;
}

static void
set_sizes(json_t *o, const struct model_config *c)
{
    const struct {
        const char *key;
        uint32_t n;
    } sizes[] = { { "layers", c->layers }, { "hidden", c->hidden },
        { "heads", c->heads }, { "kv_heads", c->kv_heads },
        { "head_dim", c->head_dim }, { "feed_forward", c->ffn },
        { "vocabulary", c->vocab }, { "context", c->positions },
        { "window", c->window }, { "experts", c->experts },
        { "experts_used", c->experts_used },
        { "expert_feed_forward", c->expert_ffn } };

    for (size_t i = 0; i < countof(sizes); i++)
        value_set(o, sizes[i].key, value_count(sizes[i].n));
}

void
model_set(json_t *v, const struct model_config *c, const struct err *e)
{
    json_t *o = json_object(), *eos = json_array();
    uint32_t local = 0;

    value_set(v, "model", o);
    value_set(o, "runs", json_boolean(e->code == 0));
    value_set(o, "why_not", e->code != 0 ? value_string(e->text) : NULL);
    if (e->code != 0) {
        json_decref(eos);
        return;
    }
    for (uint32_t i = 0; i < c->layers; i++)
        local += c->window > 0 && config_is_local(c, i);
    for (unsigned i = 0; i < c->n_eos; i++)
        json_array_append_new(eos, json_integer(c->eos[i]));
    value_set(o, "architecture", json_string(arch_hf_name(c->arch)));
    value_set(o, "gguf_architecture", json_string(arch_gguf_name(c->arch)));
    set_sizes(o, c);
    value_set(o, "local_layers", value_count(local));
    value_set(o, "tied", json_boolean(c->tied));
    value_set(o, "norm_eps", value_real(c->norm_eps));
    value_set(o, "rope", rope_value(&c->rope));
    value_set(o, "rope_local", c->two_ropes ? rope_value(&c->rope_local) :
        NULL);
    value_set(o, "dtype", c->dtype[0] != 0 ? value_string(c->dtype) : NULL);
    value_set(o, "bos", c->bos >= 0 ? json_integer(c->bos) : NULL);
    value_set(o, "eos", eos);
}

void
model_set_runs(json_t *v, const char *path)
{
    const struct model_open_opts opts = { .no_tokenizer = true, .lazy = true };
    json_t *o = json_object_get(v, "model");
    struct model *m = NULL;
    struct err e = { 0 };

    if (!json_is_true(json_object_get(o, "runs")))
        return;
    if (model_open(&m, path, &opts, &e) != 0) {
        value_set(o, "runs", json_false());
        value_set(o, "why_not", value_string(e.text));
    }
    model_free(m);
}

static json_t *
token_value(const struct tokenizer *t, int32_t id)
{
    json_t *o;

    if (id < 0)
        return json_null();
    o = json_object();
    value_set(o, "id", json_integer(id));
    value_set(o, "token", value_string(tokenizer_token(t, id)));
    return o;
}

void
tokenizer_set(json_t *v, const char *path)
{
    json_t *o = json_object();
    struct tokenizer *t = NULL;
    struct err e = { 0 }, pre = { 0 };
    const char *chat;

    value_set(v, "tokenizer", o);
    read_tokenizer(&t, path, &e);
    value_set(o, "error", e.code != 0 ? value_string(e.text) : NULL);
    if (e.code != 0)
        return;
    chat = tokenizer_chat_template(t);
    value_set(o, "kind", json_string(
        strcmp(tokenizer_gguf_model(t), "gpt2") == 0 ? "byte-level BPE" :
                                                       "byte-fallback BPE"));
    value_set(o, "gguf_model", json_string(tokenizer_gguf_model(t)));
    value_set(o, "gguf_pre", value_string(tokenizer_gguf_pre(t, &pre)));
    value_set(o, "tokens", value_count(tokenizer_size(t)));
    value_set(o, "merges", value_count(tokenizer_merges(t)));
    value_set(o, "bos", token_value(t, tokenizer_bos(t)));
    value_set(o, "eos", token_value(t, tokenizer_eos(t)));
    value_set(o, "unk", token_value(t, tokenizer_unk(t)));
    value_set(o, "pad", token_value(t, tokenizer_pad(t)));
    value_set(o, "adds_bos", json_boolean(tokenizer_add_bos(t)));
    value_set(o, "adds_eos", json_boolean(tokenizer_add_eos(t)));
    value_set(o, "chat", chat == NULL ? NULL :
        json_string(chat_name(chat_recognise(chat))));
    tokenizer_free(t);
}

/* The view */

static void
view_rope(const json_t *m, struct str *out)
{
    const json_t *r = json_object_get(m, "rope");
    const json_t *local = json_object_get(m, "rope_local");

    str_addf(out, "rope %s, theta %.6g", view_text(r, "type"),
        json_real_value(json_object_get(r, "theta")));
    if (json_is_real(json_object_get(r, "factor")))
        str_addf(out, ", factor %.6g",
            json_real_value(json_object_get(r, "factor")));
    if (json_is_real(json_object_get(r, "original")))
        str_addf(out, " from %.0f positions",
            json_real_value(json_object_get(r, "original")));
    if (json_is_object(local))
        str_addf(out, "; local layers theta %.6g",
            json_real_value(json_object_get(local, "theta")));
}

static void
view_config(const json_t *m, struct str *out)
{
    str_addf(out, "model      %s (%s in GGUF), %" PRIu64 " layer%s of %" PRIu64
        "\n", view_text(m, "architecture"), view_text(m, "gguf_architecture"),
        view_count(m, "layers"), view_count(m, "layers") > 1 ? "s" : "",
        view_count(m, "hidden"));
    str_addf(out, "           %" PRIu64 " heads of %" PRIu64 ", %" PRIu64
        " for keys and values; feed-forward %" PRIu64 "\n",
        view_count(m, "heads"), view_count(m, "head_dim"),
        view_count(m, "kv_heads"), view_count(m, "feed_forward"));
    if (view_count(m, "experts") > 0)
        str_addf(out, "           %" PRIu64 " of %" PRIu64
            " experts of %" PRIu64 " a token\n", view_count(m, "experts_used"),
            view_count(m, "experts"), view_count(m, "expert_feed_forward"));
    str_addf(out, "           vocabulary %" PRIu64 "%s, context %" PRIu64,
        view_count(m, "vocabulary"), json_is_true(json_object_get(m, "tied")) ?
        " (output tied)" : "", view_count(m, "context"));
    if (view_count(m, "local_layers") > 0)
        str_addf(out, ", %" PRIu64 " layers see %" PRIu64 " back",
            view_count(m, "local_layers"), view_count(m, "window"));
    str_add(out, "\n           ");
    view_rope(m, out);
    str_addc(out, '\n');
}

static void
view_token(const json_t *t, const char *key, struct str *out)
{
    const json_t *o = json_object_get(t, key);
    const char *text = view_text(o, "token");

    if (!json_is_object(o))
        return;
    str_addf(out, ", %s %" PRIu64 " '", key, view_count(o, "id"));
    grid_escape(out, text, strlen(text));
    str_addc(out, '\'');
}

static void
view_words(const json_t *t, struct str *out)
{
    const char *error = view_text(t, "error");

    if (*error != 0) {
        str_add(out, "not read: ");
        grid_escape(out, error, strlen(error));
        str_addc(out, '\n');
        return;
    }
    str_addf(out, "%s, %" PRIu64 " tokens", view_text(t, "kind"),
        view_count(t, "tokens"));
    view_token(t, "bos", out);
    if (json_is_true(json_object_get(t, "adds_bos")))
        str_add(out, " (put in front)");
    view_token(t, "eos", out);
    str_addc(out, '\n');
    if (*view_text(t, "chat") != 0)
        str_addf(out, "chat       %s template\n", view_text(t, "chat"));
}

void
model_view(const json_t *v, struct str *out)
{
    const json_t *m = json_object_get(v, "model");
    const json_t *t = json_object_get(v, "tokenizer");
    const json_t *ignored = json_object_get(m, "ignored");
    const char *why = view_text(m, "why_not");

    if (json_object_get(m, "layers") != NULL)
        view_config(m, out);
    if (json_array_size(ignored) > 0) {
        const char *first = json_string_value(json_array_get(ignored, 0));

        str_addf(out, "           does not read %zu tensor%s, such as ",
            json_array_size(ignored), json_array_size(ignored) > 1 ? "s" : "");
        grid_escape(out, first, strlen(first));
        str_addc(out, '\n');
    }
    if (*why != 0) {
        str_addf(out, "%-11sdoes not run: ",
            json_object_get(m, "layers") != NULL ? "" : "model");
        grid_escape(out, why, strlen(why));
        str_addc(out, '\n');
    }
    if (json_is_object(t)) {
        str_add(out, "tokenizer  ");
        view_words(t, out);
    }
}

void
view_tokenizer(const json_t *v, bool all, struct str *out)
{
    (void)all;
    view_words(json_object_get(v, "tokenizer"), out);
}
