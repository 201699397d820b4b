#include "lib/format/imatrix.h"

#include "lib/base/bytes.h"
#include "lib/base/str.h"
#include "lib/format/gguf.h"
#include "tests/lib/format/scratch.h"

static void
put32(struct str *s, uint32_t v)
{
    uint8_t b[4];

    store_u32le(b, v);
    str_addn(s, b, 4);
}

static void
put_floats(struct str *s, const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u;

        memcpy(&u, &v[i], 4);
        put32(s, u);
    }
}

/* One entry of the older form. */
static void
put_entry(struct str *s, const char *name, uint32_t calls, const float *v,
    uint32_t n)
{
    put32(s, (uint32_t)strlen(name));
    str_add(s, name);
    put32(s, calls);
    put32(s, n);
    put_floats(s, v, n);
}

static void
assert_refused(const struct str *s, const char *text)
{
    const char *path = in_scratch("bad.dat");
    struct imatrix im = { 0 };
    struct err e = { 0 };

    put_file(path, str_get(s), s->len);
    assert_int_equal(imatrix_open(&im, path, &e), ERR_WORK);
    assert_message(&e, path, text);
    assert_null(im.entry);
}

static void
test_reads_the_older_form(void **state)
{
    /* Values are the importance times the calls; the trailer may be missing. */
    static const float v[] = { 3, 6, 0, 12 }, w[] = { 5, 5 };
    const char *path = in_scratch("old.dat");
    struct imatrix im = { 0 };
    struct err e = { 0 };
    struct str s = { 0 };
    float got[4];

    (void)state;
    put32(&s, 2);
    put_entry(&s, "z", 3, v, 4);
    put_entry(&s, "a", 0, w, 2);
    put_file(path, s.p, s.len);
    assert_int_equal(imatrix_open(&im, path, &e), 0);
    assert_true(im.legacy);
    assert_int_equal(im.n_datasets, 0);
    imatrix_close(&im);

    put32(&s, 9);
    put32(&s, 5);
    str_add(&s, "d.txt");
    put_file(path, s.p, s.len);
    assert_int_equal(imatrix_open(&im, path, &e), 0);
    assert_int_equal(im.chunk_count, 9);
    assert_int_equal(im.n_datasets, 1);
    assert_string_equal(im.datasets[0], "d.txt");
    assert_string_equal(im.entry[0].name, "a");
    assert_int_equal(imatrix_importance(&im, imatrix_find(&im, "z"), 0, 1, 4,
        got, &e), 0);
    assert_true(got[0] == 1 && got[1] == 2 && got[2] == 0 && got[3] == 4);
    /* the columns of two experts, one after another */
    assert_int_equal(imatrix_importance(&im, imatrix_find(&im, "z"), 1, 2, 2,
        got, &e), 0);
    assert_true(got[0] == 0 && got[1] == 4);
    assert_int_equal(imatrix_importance(&im, imatrix_find(&im, "a"), 0, 1, 2,
        got, &e), 0);
    assert_true(got[0] == 5); /* no call: the values as they are */
    assert_null(imatrix_find(&im, "b"));
    imatrix_importance(&im, imatrix_find(&im, "z"), 0, 1, 3, got, &e);
    assert_message(&e, path, ": entry 'z' has 1 x 4 values, the weight 1 x 3; "
        "give the matrix of this model");
    imatrix_close(&im);
    imatrix_close(&im);
    str_release(&s);
}

static void
test_refuses_hostile_older_files(void **state)
{
    /* Counts, lengths and values out of bounds are refused. */
    static const float v[] = { 1, 2 }, bad[] = { 1, -1 };
    struct str s = { 0 };

    (void)state;
    assert_refused(&s, ": byte 0: needs 4 bytes, the file has 0 left; "
        "give an importance matrix of llama.cpp");
    put32(&s, UINT32_MAX);
    assert_refused(&s, ": byte 0: the number of entries is -1, from 1 to "
        "1048576 is possible; give an importance matrix of llama.cpp");
    str_clear(&s);
    put32(&s, 1000);
    assert_refused(&s, ": claims 1000 entries, more than the file can hold; "
        "give an importance matrix of llama.cpp");
    str_clear(&s);
    put32(&s, 1);
    put_entry(&s, "ab", 1, v, 2);
    s.len--;
    assert_refused(&s, ": byte 18: needs 8 bytes, the file has 7 left; "
        "give an importance matrix of llama.cpp");
    str_clear(&s);
    put32(&s, 1);
    put_entry(&s, "ab", 1, bad, 2);
    assert_refused(&s, ": entry 'ab': value 1 is negative or not finite; "
        "collect the matrix again");
    str_clear(&s);
    put32(&s, 2);
    put_entry(&s, "ab", 1, v, 2);
    put_entry(&s, "ab", 1, v, 2);
    assert_refused(&s, ": entry 'ab' is there twice; "
        "collect the matrix again");
    str_release(&s);
}

/* Two weights, the second with two experts of which one saw no token. */
static void
fill(struct imatrix *im, struct imatrix_entry entry[2])
{
    static const float dense[] = { 8, 4, 2 }, one[] = { 4 };
    static const float experts[] = { 1, 2, 3, 4 }, two[] = { 2, 0 };
    static const char *const names[] = { "a.txt", "b.txt" };

    entry[0] = (struct imatrix_entry){ .name = "blk.0.attn_q.weight",
        .cols = 3, .mats = 1, .sum2 = dense, .counts = one };
    entry[1] = (struct imatrix_entry){ .name = "blk.0.ffn_up_exps.weight",
        .cols = 2, .mats = 2, .sum2 = experts, .counts = two };
    *im = (struct imatrix){ .entry = entry, .n = 2, .datasets = names,
        .n_datasets = 2, .chunk_count = 7, .chunk_size = 512 };
}

static void
test_reads_back_what_it_wrote(void **state)
{
    /* The GGUF form keeps everything, and has the shapes llama.cpp gives. */
    const char *path = in_scratch("w.gguf");
    struct imatrix_entry entry[2];
    struct imatrix im, back = { 0 };
    struct gguf g = { 0 };
    struct err e = { 0 };
    float got[3];

    (void)state;
    fill(&im, entry);
    assert_int_equal(imatrix_write(&im, path, &e), 0);
    assert_int_equal(imatrix_open(&back, path, &e), 0);
    assert_false(back.legacy);
    assert_int_equal(back.n, 2);
    assert_int_equal(back.chunk_count, 7);
    assert_int_equal(back.chunk_size, 512);
    assert_string_equal(back.datasets[1], "b.txt");
    assert_int_equal(imatrix_importance(&back, &back.entry[0], 0, 1, 3, got,
        &e), 0);
    assert_true(got[0] == 2 && got[1] == 1 && got[2] == 0.5f);
    assert_int_equal(imatrix_importance(&back, &back.entry[1], 0, 2, 2, got,
        &e), 0);
    assert_true(got[0] == 0.5f && got[1] == 1);
    assert_int_equal(imatrix_importance(&back, &back.entry[1], 1, 2, 2, got,
        &e), 0);
    assert_true(got[0] == 1 && got[1] == 1); /* an expert that saw nothing */
    imatrix_close(&back);

    assert_int_equal(gguf_open(&g, path, &e), 0);
    assert_string_equal(gguf_str(&g, "general.type", &e), "imatrix");
    assert_int_equal(gguf_find(&g, "blk.0.attn_q.weight.in_sum2")->n_dims, 1);
    assert_int_equal(gguf_find(&g, "blk.0.ffn_up_exps.weight.counts")->n_dims,
        2);
    assert_int_equal(gguf_find(&g, "blk.0.ffn_up_exps.weight.counts")->dim[1],
        2);
    gguf_close(&g);
}

/* Writes a GGUF with these tensors of `cols` x `mats` ones and opens it. */
static void
refuse_gguf(const char *type, const char *const *names, const uint64_t *cols,
    const uint64_t *mats, size_t n, float value, const char *text)
{
    const char *path = in_scratch("bad.gguf");
    struct gguf_writer w = { 0 };
    struct imatrix im = { 0 };
    struct err e = { 0 };
    uint8_t b[4];

    store_f32le(b, value);
    assert_int_equal(gguf_writer_open(&w, path, &e), 0);
    gguf_put_str(&w, "general.type", type);
    for (size_t i = 0; i < n; i++) {
        const uint64_t dim[] = { cols[i], mats[i] };

        gguf_add_tensor(&w, names[i], QT_F32, 2, dim);
    }
    assert_int_equal(gguf_write_header(&w, &e), 0);
    for (size_t i = 0; i < n; i++)
        for (uint64_t k = 0; k < cols[i] * mats[i]; k++)
            gguf_write_data(&w, b, 4);
    assert_int_equal(gguf_writer_close(&w, &e), 0);
    assert_int_equal(imatrix_open(&im, path, &e), ERR_WORK);
    assert_message(&e, path, text);
}

static void
test_refuses_wrong_gguf(void **state)
{
    /* A model, no entry, sums without counts, unlike sizes, NaN: refused. */
    static const char *const names[] = { "a.in_sum2", "a.counts" };
    static const uint64_t cols[] = { 4, 1 }, mats[] = { 2, 2 };
    static const uint64_t one[] = { 2, 1 };
    uint32_t quiet = 0x7fc00000;
    float nan;

    (void)state;
    memcpy(&nan, &quiet, 4);
    refuse_gguf("model", NULL, NULL, NULL, 0, 1,
        ": holds a model; give an importance matrix");
    refuse_gguf("imatrix", NULL, NULL, NULL, 0, 1,
        ": holds no entry; collect the matrix again");
    refuse_gguf("imatrix", names, cols, mats, 1, 1,
        ": entry 'a' has sums and no counts; collect the matrix again");
    refuse_gguf("imatrix", names, cols, one, 2, 1,
        ": entry 'a' has 2 rows of sums and 1 counts; "
        "collect the matrix again");
    refuse_gguf("imatrix", names, cols, mats, 2, nan,
        ": entry 'a': value 0 is negative or not finite; "
        "collect the matrix again");
    refuse_gguf("imatrix", names, cols, mats, 2, 0.5f,
        ": entry 'a' counts less than one token; collect the matrix again");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_the_older_form),
        cmocka_unit_test(test_refuses_hostile_older_files),
        cmocka_unit_test(test_reads_back_what_it_wrote),
        cmocka_unit_test(test_refuses_wrong_gguf),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("format/imatrix", tests, scratch_setup,
        scratch_teardown);
}
