/*
 * formats - the readers and writers of model files, for tests in other tongues
 *
 * usage: formats write FOLDER    makes FOLDER/q.safetensors and FOLDER/q.gguf,
 *                                byte i of tensor t being (31 i + 7 t) mod 251
 *        formats read FILE       prints `NAME TYPE DIMENSIONS SHA256` for each
 *                                tensor, in the order of names; GGUF dimensions
 *                                begin with the fastest
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/format/gguf.h"
#include "lib/format/safetensors.h"

static uint8_t *
pattern(size_t tensor, size_t bytes)
{
    uint8_t *p = mem_calloc(bytes, 1);

    for (size_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)((31 * i + 7 * tensor) % 251);
    return p;
}

static int
write_safetensors(const char *path, struct err *e)
{
    static const struct st_spec specs[] = {
        { .name = "f32", .dtype = "F32", .rank = 2, .shape = { 3, 5 } },
        { .name = "bf16", .dtype = "BF16", .rank = 3, .shape = { 2, 1, 7 } },
        { .name = "f16", .dtype = "F16", .rank = 1, .shape = { 4 } },
        { .name = "i64", .dtype = "I64", .rank = 1, .shape = { 2 } },
        { .name = "u8 \"\xc3\xa9\"", .dtype = "U8", .rank = 0 },
        { .name = "empty", .dtype = "F32", .rank = 2, .shape = { 0, 4 } },
        { .name = "fp8", .dtype = "F8_E4M3", .rank = 2, .shape = { 1, 9 } },
    };
    static const size_t bytes[] = { 60, 28, 8, 16, 1, 0, 9 };
    json_t *meta = json_pack("{s:s}", "k", "v \xc3\xa9");
    struct st_writer w = { 0 };

    st_writer_open(&w, path, specs, countof(specs), meta, e);
    for (size_t i = 0; e->code == 0 && i < countof(specs); i++) {
        uint8_t *p = pattern(i, bytes[i]);

        st_writer_data(&w, p, bytes[i]);
        free(p);
    }
    if (e->code == 0)
        st_writer_close(&w, e);
    st_writer_release(&w);
    json_decref(meta);
    return e->code;
}

static int
write_gguf(const char *path, struct err *e)
{
    static const struct {
        const char *name;
        enum qtype type;
        unsigned n_dims;
        uint64_t dim[4];
    } specs[] = {
        { "token_embd.weight", QT_Q8_0, 2, { 64, 3 } },
        { "norm", QT_F32, 1, { 5 } },
        { "f16", QT_F16, 2, { 3, 2 } },
        { "bf16", QT_BF16, 2, { 7, 1 } },
        { "q4_k", QT_Q4_K, 2, { 256, 2 } },
        { "q6_k", QT_Q6_K, 2, { 512, 1 } },
        { "q4_0", QT_Q4_0, 3, { 32, 2, 2 } },
    };
    static const char *const words[] = { "a", "", "\xc4\xa0two", "three" };
    static const int32_t ints[] = { 1, -2, 3 };
    static const float reals[] = { 0.5f, -1.25f };
    struct gguf_writer w = { 0 };
    uint64_t bytes[countof(specs)];

    if (gguf_writer_open(&w, path, e))
        return e->code;
    gguf_put_str(&w, "general.architecture", "llama");
    gguf_put_str(&w, "text", "h\xc3\xa9 \n\"x\"");
    gguf_put_u32(&w, "u32", 4000000000u);
    gguf_put_i32(&w, "i32", -5);
    gguf_put_u64(&w, "u64", UINT64_C(1) << 40);
    gguf_put_f32(&w, "f32", 0.1f);
    gguf_put_bool(&w, "bool", true);
    gguf_put_str_array(&w, "words", words, NULL, countof(words));
    gguf_put_i32_array(&w, "ints", ints, countof(ints));
    gguf_put_f32_array(&w, "reals", reals, countof(reals));
    for (size_t i = 0; i < countof(specs); i++)
        bytes[i] = gguf_add_tensor(&w, specs[i].name, specs[i].type,
            specs[i].n_dims, specs[i].dim);
    gguf_write_header(&w, e);
    for (size_t i = 0; e->code == 0 && i < countof(specs); i++) {
        uint8_t *p = pattern(i, (size_t)bytes[i]);

        gguf_write_data(&w, p, (size_t)bytes[i]);
        free(p);
    }
    if (e->code == 0)
        gguf_writer_close(&w, e);
    gguf_writer_release(&w);
    return e->code;
}

static void
print_tensor(const char *name, const char *type, const uint64_t *dim,
    unsigned rank, const void *p, uint64_t bytes)
{
    struct digest d = digest_of(p, (size_t)bytes);
    char hex[DIGEST_HEX];

    printf("%s\t%s\t", name, type);
    for (unsigned i = 0; i < rank; i++)
        printf("%s%" PRIu64, i ? "," : "", dim[i]);
    printf("\t%s\n", digest_hex(&d, hex));
}

static int
read_file(const char *path, struct err *e)
{
    struct safetensors s = { 0 };
    struct gguf g = { 0 };

    if (str_ends(path, ".safetensors")) {
        safetensors_open(&s, path, e);
        for (size_t i = 0; i < s.n; i++)
            print_tensor(s.t[i].name, s.t[i].dtype, s.t[i].shape, s.t[i].rank,
                safetensors_data(&s, &s.t[i]), s.t[i].bytes);
        safetensors_close(&s);
    } else {
        gguf_open(&g, path, e);
        for (size_t i = 0; i < g.n; i++) {
            const struct gguf_tensor *t = g.t_sorted[i];

            print_tensor(t->name, gguf_type_name(t->ggml_type), t->dim,
                t->n_dims, gguf_data(t), t->bytes);
        }
        gguf_close(&g);
    }
    return e->code;
}

int
main(int argc, char **argv)
{
    struct err e = { 0 };

    if (argc != 3) {
        err_set(&e, ERR_USAGE, "formats write FOLDER | formats read FILE");
    } else if (strcmp(argv[1], "read") == 0) {
        read_file(argv[2], &e);
    } else {
        char *st = path_join(argv[2], "q.safetensors");
        char *gg = path_join(argv[2], "q.gguf");

        if (write_safetensors(st, &e) == 0)
            write_gguf(gg, &e);
        free(st);
        free(gg);
    }
    return err_exit("formats", &e);
}
