/*
 * make_tiny - a small random model in a Hugging Face folder
 *
 * usage: make_tiny [-l LAYERS] [-s SEED] [-n SHARDS] [-o] [-x] [-c KEYS]
 *                  FOLDER
 *   -l  layers (2)          -s  seed of the weights (1)
 *   -n  shards (1)          -o  an output matrix of its own (not tied)
 *   -x  header only: the files have their full length but no data (zeros,
 *       sparse), for graphs with very many layers
 *   -c  a JSON file whose keys replace those of pebble's config: another
 *       architecture than Llama, other sizes
 *
 * Hidden 256, 8 heads of 32, 4 key-value heads, feed-forward 512, so that every
 * block format fits. Vocabulary, tokenizer and small files are pebble's: run it
 * from the root of the source tree. Same arguments, same bytes.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/half.h"
#include "lib/base/bytes.h"
#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/format/safetensors.h"
#include "lib/model/arch.h"

static const char FROM[] = "examples/pebble/model";

struct opts {
    unsigned long long layers, seed, shards;
    bool untied, header_only;
    const char *dir, *keys;
};

/* splitmix64: every tensor starts from its own number. */
static uint64_t
next(uint64_t *s)
{
    uint64_t z = *s += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* About normal, deviation 1: the sum of four uniforms. */
static float
noise(uint64_t *s)
{
    uint64_t z = next(s);
    int sum = 0;

    for (int i = 0; i < 4; i++)
        sum += (int)(z >> 16 * i & 0xffff);
    return (float)(sum - 131070) / 37837.0f;
}

static int
copy_small_files(const struct opts *o, struct err *e)
{
    static const char *const names[] = { "generation_config.json",
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json" };

    for (size_t i = 0; i < countof(names); i++) {
        char *from = path_join(FROM, names[i]);
        char *to = path_join(o->dir, names[i]);
        struct blob b = { 0 };

        if (blob_read(&b, from, 1 << 24, e) == 0)
            file_write(to, b.p, b.len, e);
        blob_release(&b);
        free(from);
        free(to);
    }
    return e->code;
}

/* pebble's config with our sizes. */
static int
write_config(const struct opts *o, struct model_config *c, struct err *e)
{
    char *from = path_join(FROM, "config.json");
    char *to = path_join(o->dir, "config.json");
    json_t *v = json_read(from, 1 << 20, NULL, e), *keys = NULL;

    if (o->keys != NULL)
        keys = json_read(o->keys, 1 << 20, NULL, e);
    if (v != NULL && e->code == 0) {
        json_object_set_new(v, "num_hidden_layers",
            json_integer((json_int_t)o->layers));
        json_object_set_new(v, "intermediate_size", json_integer(512));
        json_object_set_new(v, "tie_word_embeddings",
            json_boolean(!o->untied));
        json_object_update(v, keys);
        if (config_from_hf(c, v, to, e) == 0)
            json_write(v, to, e);
    }
    json_decref(v);
    json_decref(keys);
    free(from);
    free(to);
    return e->code;
}

static void
tensor_data(struct st_writer *w, const struct tensor_plan *t, uint64_t seed,
    size_t index)
{
    uint64_t n = t->rows * t->cols, s = seed * 1000003 + index;
    float scale = t->role == ROLE_EMBED ? 0.5f : 0.06f;
    uint8_t row[4096 * 2];

    for (uint64_t i = 0; i < n; i++) {
        float x = t->norm ? (t->plus_one ? 0.0f : 1.0f) + 0.1f * noise(&s)
                          : scale * noise(&s);
        size_t at = (size_t)(i % 4096) * 2;

        store_u16le(row + at, bf16_from_f32(x));
        if (at + 2 == sizeof row || i + 1 == n)
            st_writer_data(w, row, at + 2);
    }
}

/* The header as the writer would make it, then a hole. */
static int
write_hollow(const char *path, const struct st_spec *specs, size_t n,
    struct err *e)
{
    json_t *v = json_object();
    struct str head = { 0 };
    uint64_t at = 0;
    uint8_t length[8];
    struct outfile f = { 0 };
    char *text;

    for (size_t i = 0; i < n; i++) {
        const uint64_t *d = specs[i].shape;
        uint64_t bytes = 2 * d[0] * (specs[i].rank == 2 ? d[1] : 1);
        json_t *shape = specs[i].rank == 2 ? json_pack("[II]",
            (json_int_t)d[0], (json_int_t)d[1]) :
            json_pack("[I]", (json_int_t)d[0]);

        json_object_set_new(v, specs[i].name, json_pack("{ss so s[II]}",
            "dtype", "BF16", "shape", shape, "data_offsets", (json_int_t)at,
            (json_int_t)(at + bytes)));
        at += bytes;
    }
    text = json_dumps(v, JSON_COMPACT);
    str_add(&head, text);
    while (head.len % 8 != 0)
        str_addc(&head, ' ');
    store_u64le(length, head.len);
    if (outfile_create(&f, path, e) == 0) {
        outfile_write(&f, length, 8);
        outfile_write(&f, head.p, head.len);
        outfile_commit(&f, e);
    }
    if (e->code == 0 && truncate(path, (off_t)(8 + head.len + at)) != 0)
        err_sys(e, path, "cannot lengthen", NULL);
    free(text);
    str_release(&head);
    json_decref(v);
    return e->code;
}

/* Tensors [first, last) of the plan into one file. */
static int
write_shard(const struct opts *o, const char *name,
    const struct model_plan *p, size_t first, size_t last, struct err *e)
{
    char *path = path_join(o->dir, name);
    struct st_spec *specs = mem_calloc(last - first, sizeof *specs);
    struct st_writer w = { 0 };

    for (size_t i = first; i < last; i++)
        specs[i - first] = (struct st_spec){ .name = p->t[i].hf,
            .dtype = "BF16", .rank = p->t[i].rank,
            .shape = { p->t[i].rows, p->t[i].cols } };
    if (o->header_only) {
        write_hollow(path, specs, last - first, e);
    } else if (st_writer_open(&w, path, specs, last - first, NULL, e) == 0) {
        for (size_t i = first; i < last; i++)
            tensor_data(&w, &p->t[i], o->seed, i);
        st_writer_close(&w, e);
    }
    free(specs);
    free(path);
    return e->code;
}

static int
write_weights(const struct opts *o, const struct model_plan *p,
    struct err *e)
{
    json_t *map = json_object(), *index;
    char *path = path_join(o->dir, "model.safetensors.index.json");
    uint64_t total = 0;

    if (o->shards == 1) {
        write_shard(o, "model.safetensors", p, 0, p->n, e);
        json_decref(map);
        free(path);
        return e->code;
    }
    for (size_t k = 0; k < o->shards && e->code == 0; k++) {
        size_t first = p->n * k / o->shards, last = p->n * (k + 1) / o->shards;
        char name[64];

        snprintf(name, sizeof name, "model-%05zu-of-%05llu.safetensors",
            k + 1, o->shards);
        for (size_t i = first; i < last; i++) {
            json_object_set_new(map, p->t[i].hf, json_string(name));
            total += 2 * p->t[i].rows * p->t[i].cols;
        }
        write_shard(o, name, p, first, last, e);
    }
    index = json_pack("{s{sI} so}", "metadata", "total_size",
        (json_int_t)total, "weight_map", map);
    if (e->code == 0)
        json_write(index, path, e);
    json_decref(index);
    free(path);
    return e->code;
}

static int
run(const struct opts *o, struct err *e)
{
    struct model_config c;
    struct model_plan p = { 0 };

    if (write_config(o, &c, e) != 0 || copy_small_files(o, e) != 0)
        return e->code;
    model_plan(&p, &c);
    write_weights(o, &p, e);
    model_plan_release(&p);
    return e->code;
}

static int
parse(struct opts *o, int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "l:s:n:c:ox")) != -1) {
        if (c == 'l' && str_to_u64(optarg, MODEL_MAX_LAYERS, &o->layers))
            continue;
        if (c == 's' && str_to_u64(optarg, 1u << 31, &o->seed))
            continue;
        if (c == 'n' && str_to_u64(optarg, 1000, &o->shards))
            continue;
        if (c == 'c')
            o->keys = optarg;
        else if (c == 'o')
            o->untied = true;
        else if (c == 'x')
            o->header_only = true;
        else
            return -1;
    }
    if (optind + 1 != argc || o->shards == 0 || o->layers == 0)
        return -1;
    o->dir = argv[optind];
    return 0;
}

int
main(int argc, char **argv)
{
    struct opts o = { .layers = 2, .seed = 1, .shards = 1 };
    struct err e = { 0 };

    if (parse(&o, argc, argv) != 0) {
        fputs("usage: make_tiny [-l LAYERS] [-s SEED] [-n SHARDS] [-o] [-x] "
            "[-c KEYS] FOLDER\n", stderr);
        return ERR_USAGE;
    }
    run(&o, &e);
    return err_exit("make_tiny", &e);
}
