#include "lib/format/checkpoint.h"

#include "lib/base/bytes.h"
#include "lib/base/str.h"
#include "tests/lib/format/scratch.h"

/* A safetensors file with one F32 [2] tensor for each name. */
static void
put_weights(const char *path, const char *const *names, size_t n)
{
    struct st_spec specs[4] = { { .name = NULL } };
    struct st_writer w = { 0 };
    struct err e = { 0 };

    for (size_t i = 0; i < n; i++)
        specs[i] = (struct st_spec){ .name = names[i], .dtype = "F32",
            .rank = 1, .shape = { 2 } };
    assert_int_equal(st_writer_open(&w, path, specs, n, NULL, &e), 0);
    for (size_t i = 0; i < n; i++)
        st_writer_data(&w, "\0\0\x80\x3f\0\0\0\x40", 8);
    assert_int_equal(st_writer_close(&w, &e), 0);
}

static void
put_text(const char *path, const char *text)
{
    put_file(path, text, strlen(text));
}

/* A fresh folder with config.json; returns its path. */
static const char *
folder(const char *name)
{
    char config[64];

    snprintf(config, sizeof config, "%s/config.json", name);
    put_text(in_scratch(config), "{\"model_type\":\"llama\"}");
    return in_scratch(name);
}

static const char *
inside(const char *dir, const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%.60s/%.60s", dir + strlen(scratch) + 1, name);
    return in_scratch(path);
}

static void
assert_refused(const char *dir, const char *file, const char *text)
{
    struct checkpoint c = { 0 };
    struct err e = { 0 };

    assert_int_equal(checkpoint_open(&c, dir, &e), ERR_WORK);
    assert_message(&e, file, text);
    assert_null(c.t);
    assert_null(c.config);
}

static const char *const one[] = { "model.norm.weight" };
static const char *const two[] = { "model.layers.0.a", "model.layers.1.a" };

/* Two shards and the index that maps them. */
static const char *
sharded(const char *name, const char *index)
{
    const char *dir = folder(name);

    put_weights(inside(dir, "model-00001-of-00002.safetensors"), one, 1);
    put_weights(inside(dir, "model-00002-of-00002.safetensors"), two, 2);
    put_text(inside(dir, "model.safetensors.index.json"), index);
    return dir;
}

#define S1 "\"model-00001-of-00002.safetensors\""
#define S2 "\"model-00002-of-00002.safetensors\""
#define GOOD \
    "{\"metadata\":{\"total_size\":1},\"weight_map\":{\"model.norm.weight\":" \
    S1 ",\"model.layers.0.a\":" S2 ",\"model.layers.1.a\":" S2 "}}"

static void
test_opens_a_single_file(void **state)
{
    /* One weight file: tensors sorted, files listed, the bytes mapped. */
    const char *dir = folder("single");
    struct checkpoint c = { 0 };
    struct err e = { 0 };

    (void)state;
    put_weights(inside(dir, "model.safetensors"), two, 2);
    put_text(inside(dir, "tokenizer.json"), "{}");
    put_text(inside(dir, "README.md"), "no part of it");
    assert_int_equal(checkpoint_open(&c, dir, &e), 0);
    assert_int_equal(c.n, 2);
    assert_string_equal(c.t[0].name, two[0]);
    assert_int_equal(c.n_files, 3);
    assert_string_equal(c.files[0].name, "config.json");
    assert_string_equal(c.files[1].name, "model.safetensors");
    assert_string_equal(c.files[2].name, "tokenizer.json");
    assert_ptr_equal(c.files[1].map, &c.st[0].map);
    assert_int_equal(c.t[0].file, 1);
    assert_int_equal(c.config_bytes.len, 22);
    assert_int_equal(c.t[0].bytes, 8);
    assert_true(load_f32le(c.t[0].data) == 1.0f);
    assert_true(load_f32le(c.t[0].data + 4) == 2.0f);
    map_done(c.t[0].data, c.t[0].bytes);
    checkpoint_close(&c);
    checkpoint_close(&c);
}

static void
test_opens_a_sharded_checkpoint(void **state)
{
    /* Several files: every tensor knows the file that it came from. */
    const char *dir = sharded("sharded", GOOD);
    struct checkpoint c = { 0 };
    struct err e = { 0 };
    const struct ck_tensor *t;

    (void)state;
    assert_int_equal(checkpoint_open(&c, dir, &e), 0);
    assert_int_equal(c.n, 3);
    assert_int_equal(c.n_files, 4);
    t = checkpoint_find(&c, "model.norm.weight");
    assert_string_equal(c.files[t->file].name,
        "model-00001-of-00002.safetensors");
    t = checkpoint_find(&c, "model.layers.1.a");
    assert_string_equal(c.files[t->file].name,
        "model-00002-of-00002.safetensors");
    assert_null(checkpoint_find(&c, "model.layers.2.a"));
    assert_string_equal(c.files[3].name, "model.safetensors.index.json");
    checkpoint_close(&c);
}

static void
test_opens_a_single_file_with_an_index(void **state)
{
    /* Some tools write an index for a single file, too. */
    const char *dir = folder("indexed");
    struct checkpoint c = { 0 };
    struct err e = { 0 };

    (void)state;
    put_weights(inside(dir, "model.safetensors"), one, 1);
    put_text(inside(dir, "model.safetensors.index.json"),
        "{\"weight_map\":{\"model.norm.weight\":\"model.safetensors\"}}");
    assert_int_equal(checkpoint_open(&c, dir, &e), 0);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.n_files, 3);
    checkpoint_close(&c);
}

static void
test_names_a_missing_shard(void **state)
{
    /* A file that the index names and the folder lacks is named. */
    const char *dir = sharded("missing", GOOD);
    const char *gone = inside(dir, "model-00002-of-00002.safetensors");

    (void)state;
    assert_int_equal(unlink(gone), 0);
    assert_refused(dir, gone, ": is missing; model.safetensors.index.json "
        "names it, fetch it too");
}

static void
test_refuses_what_is_no_checkpoint(void **state)
{
    /* No folder, no config, no weights, two kinds of weights. */
    const char *dir = folder("none");
    const char *file = inside(dir, "config.json");
    const char *index = inside(dir, "model.safetensors.index.json");

    (void)state;
    assert_refused(in_scratch("nowhere"), in_scratch("nowhere"),
        ": cannot open the model: No such file or directory; check the name");
    assert_refused(file, file, ": does not begin with a GGUF header; give a "
        "GGUF file");
    assert_refused(dir, dir, ": has neither model.safetensors nor "
        "model.safetensors.index.json; "
        "give a checkpoint folder with safetensors weights");
    put_weights(inside(dir, "model.safetensors"), NULL, 0);
    assert_refused(dir, dir,
        ": its weight files hold no tensor; fetch them again");
    put_text(index, GOOD);
    assert_refused(dir, dir, ": has model.safetensors, and "
        "model.safetensors.index.json names other files; "
        "remove what does not belong");
    put_text(file, "[]");
    assert_refused(dir, file,
        ": is no JSON object; give the model's own file");
    put_text(file, "{\"a\":1,\"a\":2}");
    assert_refused(dir, file, ":1:10: not JSON: duplicate object key near "
        "'\"a\"'; repair it or write it again");
}

static void
test_refuses_an_index_that_disagrees(void **state)
{
    /* The index must map exactly the tensors that the files hold. */
    const char *dir = sharded("disagree", GOOD);
    const char *index = inside(dir, "model.safetensors.index.json");

    (void)state;
    put_text(index, "{\"weight_map\":{\"model.norm.weight\":" S1
        ",\"model.layers.0.a\":" S2 "}}");
    assert_refused(dir, inside(dir, "model-00002-of-00002.safetensors"),
        ": tensor 'model.layers.1.a': is not in model.safetensors.index.json; "
        "fetch index and files of one version");
    put_text(index, "{\"weight_map\":{\"model.norm.weight\":" S1
        ",\"model.layers.0.a\":" S2 ",\"model.layers.1.a\":" S1 "}}");
    assert_refused(dir, index, ": tensor 'model.layers.1.a' is not in "
        "'model-00001-of-00002.safetensors'; "
        "fetch index and files of one version");
    put_text(index, "{\"weight_map\":{\"model.norm.weight\":" S1
        ",\"model.layers.0.a\":" S2 ",\"model.layers.1.a\":" S2
        ",\"lm_head.weight\":" S1 "}}");
    assert_refused(dir, index, ": tensor 'lm_head.weight' is not in "
        "'model-00001-of-00002.safetensors'; "
        "fetch index and files of one version");
    put_text(index, "{\"weight_map\":{}}");
    assert_refused(dir, index, ": 'weight_map' is empty; fetch it again");
    put_text(index, "{}");
    assert_refused(dir, index,
        ": 'weight_map' is missing or not an object; repair the file");
    put_weights(inside(dir, "model-00001-of-00002.safetensors"), two, 2);
    put_text(index, "{\"weight_map\":{\"model.layers.0.a\":" S1
        ",\"model.layers.1.a\":" S2 "}}");
    assert_refused(dir, inside(dir, "model-00002-of-00002.safetensors"),
        ": tensor 'model.layers.0.a': is in "
        "'model-00001-of-00002.safetensors' too; "
        "keep the file that the index maps it to");
}

static void
test_refuses_tricks_with_paths(void **state)
{
    /* A shard lies in the folder itself, under a plain name. */
    static const char *const names[] = { "../m.safetensors",
        "/etc/m.safetensors", "a/m.safetensors", "..", "", "m.bin",
        "m m.safetensors", "-.safetensors\\u001b" };
    const char *dir = folder("tricks");
    const char *index = inside(dir, "model.safetensors.index.json");

    (void)state;
    for (size_t i = 0; i < countof(names); i++) {
        struct str text = { 0 };
        struct checkpoint c = { 0 };
        struct err e = { 0 };

        str_addf(&text, "{\"weight_map\":{\"t\":\"%s\"}}", names[i]);
        put_text(index, text.p);
        assert_int_equal(checkpoint_open(&c, dir, &e), ERR_WORK);
        if (strchr(names[i], '\\') == NULL) {
            str_clear(&text);
            str_addf(&text, ": tensor 't' is mapped to '%s', which is no file "
                "name of letters, digits, '.', '_' and '-' ending in "
                ".safetensors; correct the index", names[i]);
            assert_message(&e, index, text.p);
        }
        str_release(&text);
    }
    put_text(index, "{\"weight_map\":{\"t\":1}}");
    assert_refused(dir, index, ": tensor 't' is mapped to '', which is no file "
        "name of letters, digits, '.', '_' and '-' ending in .safetensors; "
        "correct the index");
}

static void
test_layer_of_a_name(void **state)
{
    /* The layer is the number after the component `layers`. */
    (void)state;
    assert_int_equal(checkpoint_layer_of("model.layers.0.mlp.up.weight"), 0);
    assert_int_equal(checkpoint_layer_of("layers.17.x"), 17);
    assert_int_equal(checkpoint_layer_of("blk.17.ffn_up.weight"), 17);
    assert_int_equal(checkpoint_layer_of("blk.x"), -1);
    assert_int_equal(checkpoint_layer_of("x.blk.1.y"), -1);
    assert_int_equal(checkpoint_layer_of("language_model.model.layers.5.x"),
        5);
    assert_int_equal(checkpoint_layer_of(
        "vision_tower.vision_model.encoder.layers.5.x"), -1);
    assert_int_equal(checkpoint_layer_of(
        "model.vision_tower.vision_model.encoder.layers.5.x"), -1);
    assert_int_equal(checkpoint_layer_of(
        "language_model.model.layers.123.x"), 123);
    assert_int_equal(checkpoint_layer_of("model.embed_tokens.weight"), -1);
    assert_int_equal(checkpoint_layer_of("model.mylayers.3.x"), -1);
    assert_int_equal(checkpoint_layer_of("model.layers.x"), -1);
    assert_int_equal(checkpoint_layer_of("model.layers.3"), -1);
    assert_int_equal(checkpoint_layer_of("model.layers.99999999999.x"), -1);
    assert_int_equal(checkpoint_layer_of(""), -1);
}

static void
test_opens_a_real_model(void **state)
{
    /* The shipped example opens, and its shapes account for all bytes. */
    struct checkpoint c = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(checkpoint_open(&c, "examples/pebble/model", &e), 0);
    assert_int_equal(c.n, 38);
    for (size_t i = 0; i < c.n; i++) {
        assert_string_equal(c.t[i].dtype, "BF16");
        assert_int_equal(c.t[i].bytes, 2 * ck_elements(&c.t[i]));
    }
    checkpoint_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_a_single_file),
        cmocka_unit_test(test_opens_a_sharded_checkpoint),
        cmocka_unit_test(test_opens_a_single_file_with_an_index),
        cmocka_unit_test(test_names_a_missing_shard),
        cmocka_unit_test(test_refuses_what_is_no_checkpoint),
        cmocka_unit_test(test_refuses_an_index_that_disagrees),
        cmocka_unit_test(test_refuses_tricks_with_paths),
        cmocka_unit_test(test_layer_of_a_name),
        cmocka_unit_test(test_opens_a_real_model),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("format/checkpoint", tests,
        scratch_setup, scratch_teardown);
}
