/*
 * expand_convert.c - the stages from weights to serving files
 *
 * Parts that two candidates treat alike are made once, layer by layer.
 */
#include <string.h>

#include "gen/expand_private.h"

/* A matrix's type in a layer: the candidate's own word, else its type's. */
static const char *
type_in(const struct expansion *x, const struct candidate *c,
    const char *role, unsigned layer)
{
    for (size_t i = 0; i < c->n_tensors; i++)
        if (strcmp(c->tensors[i].role, role) == 0)
            return c->tensors[i].type->name;
    return quant_type_in(c->type, role, layer, x->shape,
        candidate_is_weighted(c));
}

/* Whether two weigh columns alike. */
static bool
same_source(const struct candidate *a, const struct candidate *b)
{
    return strcmp(a->method, b->method) == 0 &&
        (a->imatrix == NULL) == (b->imatrix == NULL) &&
        (a->imatrix == NULL || strcmp(a->imatrix, b->imatrix) == 0);
}

/* Whether two candidates do the same with a layer. */
static bool
same_layer(const struct expansion *x, const struct candidate *a,
    const struct candidate *b, unsigned layer)
{
    if (!same_source(a, b) || strcmp(quant_type_plain(a->type),
        quant_type_plain(b->type)) != 0)
        return false;
    for (size_t i = 0; tensor_roles[i] != NULL; i++)
        if (tensor_role_is_in(tensor_roles[i], x->shape) &&
            strcmp(type_in(x, a, tensor_roles[i], layer),
            type_in(x, b, tensor_roles[i], layer)) != 0)
            return false;
    return true;
}

/* The type a candidate names for what lies outside the layers, or "". */
static const char *
head_type(const struct candidate *c, const char *role)
{
    for (size_t i = 0; i < c->n_tensors; i++)
        if (strcmp(c->tensors[i].role, role) == 0)
            return c->tensors[i].type->name;
    return "";
}

static bool
same_head(const struct candidate *a, const struct candidate *b)
{
    return same_source(a, b) &&
        strcmp(quant_type_plain(a->type), quant_type_plain(b->type)) == 0 &&
        strcmp(head_type(a, "output"), head_type(b, "output")) == 0 &&
        strcmp(head_type(a, "token_embd"), head_type(b, "token_embd")) == 0;
}

/* A type for a matrix that the model does not have is a slip of the pen. */
int
expand_check_roles(struct expansion *x)
{
    for (size_t i = 0; i < x->p->n_candidates; i++) {
        const struct candidate *c = &x->p->candidates[i];

        for (size_t k = 0; k < c->n_tensors; k++) {
            const char *role = c->tensors[k].role;
            const struct yaml *at = yaml_get(yaml_get(c->at, "tensors"),
                role);

            if (!tensor_role_is_head(role) &&
                !tensor_role_is_in(role, x->shape))
                return err_set(x->e, ERR_WORK, "%s:%u:%u: this model has no "
                    "'%s'; take it out", x->p->path, at->key_line,
                    at->key_column, role);
        }
    }
    return 0;
}

/* Identical parts are made once, by the first candidate that asks for them. */
static void
share_parts(struct expansion *x)
{
    const struct candidate *c = x->p->candidates;
    size_t n = x->p->n_candidates;

    x->head_of = arena_alloc(x->a, n * sizeof *x->head_of);
    x->layer_of = arena_alloc(x->a, n * x->layers * sizeof *x->layer_of);
    for (size_t i = 0; i < n; i++) {
        size_t *k = &x->head_of[i];

        while (!same_head(&c[*k], &c[i]))
            ++*k;
        for (unsigned l = 0; l < x->layers; l++) {
            k = &x->layer_of[i * x->layers + l];
            while (!same_layer(x, &c[*k], &c[i], l))
                ++*k;
        }
    }
}

/* Types of a stage's matrices, where they are not the stage's own. */
static void
set_types(struct expansion *x, const struct candidate *c, int layer)
{
    const char *plain = quant_type_plain(c->type);

    stager_set(x->s, "type", plain);
    for (size_t i = 0; tensor_roles[i] != NULL; i++) {
        const char *role = tensor_roles[i], *type = "";

        if (layer < 0 && tensor_role_is_head(role))
            type = head_type(c, role);
        else if (layer >= 0 && tensor_role_is_in(role, x->shape))
            type = type_in(x, c, role, (unsigned)layer);
        if (type[0] != '\0' && (layer < 0 || strcmp(type, plain) != 0))
            stager_set(x->s, NAME(x, "type.%s", role), type);
    }
}

/* `layer` -1: what lies outside the layers. */
static void
quantize(struct expansion *x, const struct candidate *c, int layer)
{
    static const char *const items[] = { "convert.group-size",
        "convert.method", "convert.settings", NULL };
    const bool head = layer < 0;
    const char *part = head ? "head" : x->layer[layer];
    struct stager *s = x->s;

    expansion_begin(x, head ? NAME(x, "quantize.%s.head", c->name) :
        NAME(x, "quantize.%s.l%03d", c->name, layer), "quantize",
        PHASE_CONVERT, items);
    stager_in(s, "base/config.fp.json");
    stager_in(s, NAME(x, "base/%s.fp.json", part));
    if (candidate_needs_statistics(c))
        stager_in(s, NAME(x, "stats/%s.safetensors", part));
    if (c->imatrix != NULL)
        stager_in_at(s, NAME(x, "imatrix/%s", c->name), c->imatrix);
    stager_src(s, "base", x->source);
    stager_out(s, NAME(x, "quant/%s/%s.gguf", c->name, part));
    expansion_result(x, NAME(x, "quant/%s/%s.json", c->name, part));
    stager_set(s, "layer", head ? "head" : NAME(x, "%03d", layer));
    set_types(x, c, layer);
    stager_set(s, "method", c->method);
    stager_set(s, "rounding", "compat");
    expansion_end(x);
}

static void
card(struct expansion *x, const char *key, const char *field)
{
    const char *text = schema_text(model_fields, x->p->model, field);

    if (text != NULL)
        stager_set(x->s, NAME(x, "card.%s", key), text);
}

static void
assemble(struct expansion *x, size_t at)
{
    static const char *const items[] = { "before.format",
        "convert.serving-format", NULL };
    const struct candidate *c = &x->p->candidates[at];
    const size_t *layer_of = x->layer_of + at * x->layers;
    const char *head = x->p->candidates[x->head_of[at]].name;
    struct stager *s = x->s;

    expansion_begin(x, NAME(x, "assemble.%s", c->name), "assemble",
        PHASE_CONVERT, items);
    for (unsigned i = 0; i < x->layers; i++)
        stager_in(s, NAME(x, "quant/%s/%s.gguf",
            x->p->candidates[layer_of[i]].name, x->layer[i]));
    stager_in(s, NAME(x, "quant/%s/head.gguf", head));
    stager_in(s, "base/config.fp.json");
    stager_in(s, "base/tokenizer.fp.json");
    if (x->shape->gguf) /* says what the weights were when they came */
        stager_in(s, "base/model.fp.json");
    stager_src(s, "base", x->source);
    stager_out(s, NAME(x, "cand/%s/model.gguf", c->name));
    stager_set(s, "name", schema_text(model_fields, x->p->model, "name"));
    stager_set(s, "candidate", c->name);
    stager_set(s, "type", c->type->name);
    card(x, "license", "license");
    card(x, "base_model", "base-model");
    card(x, "quantized_by", "quantized-by");
    expansion_end(x);
}

void
expand_conversions(struct expansion *x)
{
    share_parts(x);
    for (size_t i = 0; i < x->p->n_candidates; i++) {
        const struct candidate *c = &x->p->candidates[i];

        for (unsigned k = 0; k < x->layers && x->e->code == 0; k++)
            if (x->layer_of[i * x->layers + k] == i)
                quantize(x, c, (int)k);
        if (x->head_of[i] == i)
            quantize(x, c, -1);
        assemble(x, i);
    }
}
