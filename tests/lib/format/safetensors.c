#include "lib/format/safetensors.h"

#include "lib/base/bytes.h"
#include "lib/base/str.h"
#include "tests/lib/format/scratch.h"

/* Header length, header, `data` zero bytes. `claim` 0: the true length. */
static void
put_header(const char *path, const char *header, uint64_t claim, size_t data)
{
    struct str s = { 0 };
    uint8_t len[8];

    store_u64le(len, claim ? claim : strlen(header));
    str_addn(&s, len, sizeof len);
    str_add(&s, header);
    for (size_t i = 0; i < data; i++)
        str_addc(&s, 0);
    put_file(path, s.p, s.len);
    str_release(&s);
}

/* One hostile file and the whole message it deserves. */
struct refusal {
    const char *header;
    uint64_t claim;
    size_t data;
    const char *text; /* after the path */
};

static void
assert_refused(const struct refusal *r, size_t n)
{
    const char *path = in_scratch("bad.safetensors");

    for (size_t i = 0; i < n; i++) {
        struct safetensors s = { 0 };
        struct err e = { 0 };

        put_header(path, r[i].header, r[i].claim, r[i].data);
        assert_int_equal(safetensors_open(&s, path, &e), ERR_WORK);
        assert_message(&e, path, r[i].text);
        assert_null(s.map.p);
        assert_null(s.t);
    }
}

#define F32_2 "\"dtype\":\"F32\",\"shape\":[2]"

static void
test_refuses_wrong_lengths(void **state)
{
    /* A header that is truncated, oversized or no header is refused. */
    static const struct refusal r[] = {
        { "{}", 3, 0, ": the header claims 3 bytes, the file has 2 left; "
            "fetch the file again" },
        { "{}", 100000001, 0, ": the header claims 100000001 bytes, at most "
            "100000000 are allowed; give a safetensors file" },
        { "{}", UINT64_MAX, 0, ": the header claims 18446744073709551615 "
            "bytes, at most 100000000 are allowed; give a safetensors file" },
        { "", 0, 0, ": the header does not begin with '{'; "
            "give a safetensors file" },
        { " {}", 0, 0, ": the header does not begin with '{'; "
            "give a safetensors file" },
        { "{}", 0, 1, ": 1 bytes after the last tensor belong to none; "
            "fetch the file again" },
        { "{\"a\":{" F32_2 ",\"data_offsets\":[0,8]}}", 0, 7,
            ": tensor 'a': lies at 0 to 8 of 7 bytes of data; "
            "fetch the file again" },
        { "{\"a\":{" F32_2 ",\"data_offsets\":[0,8]}}", 0, 9,
            ": 1 bytes after the last tensor belong to none; "
            "fetch the file again" },
    };
    struct safetensors s = { 0 };
    struct err e = { 0 };
    const char *path = in_scratch("short.safetensors");

    (void)state;
    assert_refused(r, countof(r));
    put_file(path, "\2\0\0\0\0\0\0", 7);
    assert_int_equal(safetensors_open(&s, path, &e), ERR_WORK);
    assert_message(&e, path, ": has 7 bytes, a safetensors file has at least "
        "8; fetch the file again");
}

static void
test_refuses_ranges_that_do_not_tile(void **state)
{
    /* Overlapping tensors, holes and backward ranges are refused. */
    static const struct refusal r[] = {
        { "{\"a\":{" F32_2 ",\"data_offsets\":[0,8]},"
          "\"b\":{" F32_2 ",\"data_offsets\":[4,12]}}", 0, 12,
            ": tensor 'b': begins at byte 120, inside 'a'; "
            "fetch the file again" },
        { "{\"a\":{" F32_2 ",\"data_offsets\":[0,8]},"
          "\"b\":{" F32_2 ",\"data_offsets\":[0,8]}}", 0, 8,
            ": tensor 'b': begins at byte 115, inside 'a'; "
            "fetch the file again" },
        { "{\"a\":{" F32_2 ",\"data_offsets\":[0,8]},"
          "\"b\":{" F32_2 ",\"data_offsets\":[9,17]}}", 0, 17,
            ": tensor 'b': begins at byte 125, leaving 1 bytes before it to "
            "no tensor; fetch the file again" },
        { "{\"a\":{" F32_2 ",\"data_offsets\":[4,12]}}", 0, 12,
            ": tensor 'a': begins at byte 67, leaving 4 bytes before it to "
            "no tensor; fetch the file again" },
        { "{\"a\":{" F32_2 ",\"data_offsets\":[8,0]}}", 0, 8,
            ": tensor 'a': lies at 8 to 0 of 8 bytes of data; "
            "fetch the file again" },
        { "{\"a\":{" F32_2 ",\"data_offsets\":[-8,0]}}", 0, 8,
            ": tensor 'a': 'data_offsets' is not a pair of whole numbers; "
            "fetch the file again" },
    };

    (void)state;
    assert_refused(r, countof(r));
}

static void
test_refuses_sizes_that_disagree(void **state)
{
    /* Shape and dtype must give the size of the range, without overflow. */
    static const struct refusal r[] = {
        { "{\"a\":{" F32_2 ",\"data_offsets\":[0,4]}}", 0, 4,
            ": tensor 'a': its shape needs 8 bytes, its range has 4; "
            "fetch the file again" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],"
          "\"data_offsets\":[0,0]}}", 0, 0,
            ": tensor 'a': its shape has no possible size; "
            "fetch the file again" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[576460752303423488],"
          "\"data_offsets\":[0,0]}}", 0, 0,
            ": tensor 'a': its shape has no possible size; "
            "fetch the file again" },
        { "{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}",
            0, 2, ": tensor 'a': its shape has no possible size; "
            "fetch the file again" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,0]}}",
            0, 0, ": tensor 'a': a dimension is no whole number; "
            "fetch the file again" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}",
            0, 4, ": tensor 'a': a dimension is no whole number; "
            "fetch the file again" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],"
          "\"data_offsets\":[0,1]}}", 0, 1,
            ": tensor 'a': has 9 dimensions; quern reads at most 8" },
    };

    (void)state;
    assert_refused(r, countof(r));
}

static void
test_refuses_wrong_json(void **state)
{
    /* A header of another form, with duplicates or unknown dtypes: refused. */
    static const struct refusal r[] = {
        { "{\"a\":{" F32_2 ",\"data_offsets\":[0,8]},"
          "\"a\":{" F32_2 ",\"data_offsets\":[8,16]}}", 0, 16,
            ": header:1:57: not JSON: duplicate object key near '\"a\"'; "
            "repair it or write it again" },
        { "{\"a\":", 0, 0, ": header:1:5: not JSON: unexpected token near end "
            "of file; repair it or write it again" },
        { "{\"a\":[]}", 0, 0, ": tensor 'a': its entry is no object; "
            "fetch the file again" },
        { "{\"a\":{\"dtype\":\"F33\",\"shape\":[],\"data_offsets\":[0,4]}}",
            0, 4, ": tensor 'a': unknown dtype 'F33'; "
            "use a file of F32, F16 or BF16" },
        { "{\"a\":{\"shape\":[],\"data_offsets\":[0,4]}}", 0, 4,
            ": tensor 'a': 'dtype' is missing or no text; "
            "fetch the file again" },
        { "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 0, 4,
            ": tensor 'a': 'shape' is missing or no array; "
            "fetch the file again" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, 4,
            ": tensor 'a': 'data_offsets' is not a pair of whole numbers; "
            "fetch the file again" },
        { "{\"__metadata__\":{\"format\":1}}", 0, 0,
            ": '__metadata__' key 'format' is no text; fetch the file again" },
        { "{\"__metadata__\":[]}", 0, 0,
            ": '__metadata__' is no object; fetch the file again" },
    };

    (void)state;
    assert_refused(r, countof(r));
}

static void
test_deep_json_is_refused(void **state)
{
    /* A header of nothing but brackets neither crashes nor is accepted. */
    const char *path = in_scratch("deep.safetensors");
    struct safetensors s = { 0 };
    struct err e = { 0 };
    struct str h = { 0 };

    (void)state;
    str_add(&h, "{\"a\":");
    for (int i = 0; i < 100000; i++)
        str_addc(&h, '[');
    put_header(path, h.p, 0, 0);
    assert_int_equal(safetensors_open(&s, path, &e), ERR_WORK);
    assert_message(&e, path, ": header:1:2053: not JSON: maximum parsing depth "
        "reached near '['; repair it or write it again");
    str_release(&h);
}

static void
test_header_of_many_values_is_refused(void **state)
{
    /* A header that would take gigabytes as a tree is refused unparsed. */
    const char *path = in_scratch("many.safetensors");
    struct safetensors s = { 0 };
    struct err e = { 0 };
    struct str h = { 0 };

    (void)state;
    str_add(&h, "{\"a\":[0");
    for (int i = 0; i < ST_MAX_MARKS; i++)
        str_addn(&h, ",0", 2);
    str_add(&h, "]}");
    put_header(path, h.p, 0, 0);
    assert_int_equal(safetensors_open(&s, path, &e), ERR_WORK);
    assert_message(&e, path, ": the header has more than 4000000 commas and "
        "colons; give a safetensors file of fewer tensors");
    str_release(&h);
}

static void
test_reads_odd_but_valid_files(void **state)
{
    /* Any order, scalars, empty tensors and unaligned data are accepted. */
    const char *path = in_scratch("odd.safetensors");
    struct safetensors s = { 0 };
    struct err e = { 0 };

    (void)state;
    put_header(path, "{\"z\":{\"data_offsets\":[5,9],\"shape\":[],"
        "\"dtype\":\"F32\",\"more\":1},"
        "\"none\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[5,5]},"
        "\"a\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[0,5]}}  ",
        0, 9);
    assert_int_equal(safetensors_open(&s, path, &e), 0);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.t[0].name, "a");
    assert_string_equal(s.t[1].name, "none");
    assert_string_equal(s.t[2].name, "z");
    assert_int_equal(s.t[1].bytes, 0);
    assert_int_equal(s.t[2].rank, 0);
    assert_int_equal(st_elements(&s.t[2]), 1);
    assert_null(s.meta);
    assert_null(safetensors_meta(&s, "format"));
    safetensors_close(&s);
    safetensors_close(&s);
}

static void
test_reads_back_what_it_wrote(void **state)
{
    /* What the writer wrote, the reader returns, bytes and metadata alike. */
    static const struct st_spec specs[] = {
        { .name = "w", .dtype = "F32", .rank = 2, .shape = { 2, 3 } },
        { .name = "a \"b\" \xc3\xa9", .dtype = "I64", .rank = 1,
            .shape = { 1 } },
        { .name = "none", .dtype = "BF16", .rank = 2, .shape = { 0, 9 } },
        { .name = "s", .dtype = "U8", .rank = 0 },
    };
    static const uint8_t data[33] = { 1, 2, 3, [24] = 4, [32] = 5 };
    const char *path = in_scratch("w.safetensors");
    json_t *meta = json_pack("{s:s, s:s}", "z", "2", "a", "1");
    struct st_writer w = { 0 };
    struct safetensors s = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(st_writer_open(&w, path, specs, 4, meta, &e), 0);
    st_writer_data(&w, data, 5); /* pieces need not end with a tensor */
    st_writer_data(&w, data + 5, 28);
    assert_int_equal(st_writer_close(&w, &e), 0);
    json_decref(meta);

    assert_int_equal(safetensors_open(&s, path, &e), 0);
    assert_int_equal(load_u64le(s.map.p) % 8, 0);
    assert_string_equal(safetensors_meta(&s, "format"), "pt");
    assert_string_equal(safetensors_meta(&s, "a"), "1");
    assert_memory_equal(safetensors_data(&s, safetensors_find(&s, "w")), data,
        24);
    assert_memory_equal(safetensors_data(&s,
        safetensors_find(&s, "a \"b\" \xc3\xa9")), data + 24, 8);
    assert_memory_equal(safetensors_data(&s, safetensors_find(&s, "s")),
        data + 32, 1);
    assert_null(safetensors_find(&s, "x"));
    assert_ptr_equal(safetensors_expect(&s, "w", "F32", 2, specs[0].shape, &e),
        safetensors_data(&s, safetensors_find(&s, "w")));
    assert_null(safetensors_expect(&s, "w", "F16", 1, specs[1].shape, &e));
    assert_message(&e, path, ": tensor 'w': expected F16 [1], found "
        "F32 [2, 3]; give the file that belongs here");
    safetensors_close(&s);
}

static void
test_golden_bytes(void **state)
{
    /* The bytes of a small file are these, whatever the machine. */
    static const struct st_spec spec = { .name = "t", .dtype = "F32",
        .rank = 1, .shape = { 1 } };
    static const char golden[] =
        "\x58\0\0\0\0\0\0\0"
        "{\"__metadata__\":{\"format\":\"pt\"},\"t\":{\"dtype\":\"F32\","
        "\"shape\":[1],\"data_offsets\":[0,4]}}   "
        "\0\0\x80\x3f";
    const char *path = in_scratch("golden.safetensors");
    struct st_writer w = { 0 };
    struct blob b = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(st_writer_open(&w, path, &spec, 1, NULL, &e), 0);
    st_writer_data(&w, "\0\0\x80\x3f", 4);
    assert_int_equal(st_writer_close(&w, &e), 0);
    assert_true(w.out.changed);
    assert_int_equal(blob_read(&b, path, 4096, &e), 0);
    assert_int_equal(b.len, sizeof golden - 1);
    assert_memory_equal(b.p, golden, b.len);
    blob_release(&b);
}

static void
test_no_beginning_of_a_file_opens(void **state)
{
    /* A file cut short at any byte is refused with one line. */
    static const struct st_spec specs[] = {
        { .name = "a", .dtype = "F32", .rank = 2, .shape = { 2, 2 } },
        { .name = "b", .dtype = "BF16", .rank = 1, .shape = { 3 } },
    };
    const char *path = in_scratch("whole.safetensors");
    const char *cut = in_scratch("cut.safetensors");
    struct st_writer w = { 0 };
    struct blob b = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(st_writer_open(&w, path, specs, 2, NULL, &e), 0);
    st_writer_data(&w, "1234567890123456789012", 22);
    assert_int_equal(st_writer_close(&w, &e), 0);
    assert_int_equal(blob_read(&b, path, 4096, &e), 0);
    for (size_t n = 0; n < b.len; n++) {
        struct safetensors s = { 0 };
        struct err why = { 0 };

        put_file(cut, b.p, n);
        assert_int_equal(safetensors_open(&s, cut, &why), ERR_WORK);
        assert_null(strchr(why.text, '\n'));
    }
    blob_release(&b);
}

static void
test_wrong_amount_leaves_the_old_file(void **state)
{
    /* Too little or too much data is an error and changes no file. */
    static const struct st_spec spec = { .name = "t", .dtype = "U8",
        .rank = 1, .shape = { 3 } };
    const char *path = in_scratch("old.safetensors");
    const size_t amounts[] = { 0, 2, 4 };

    (void)state;
    put_file(path, "old", 3);
    for (size_t i = 0; i < countof(amounts); i++) {
        struct st_writer w = { 0 };
        struct err e = { 0 };
        struct blob b = { 0 };
        char text[128];

        assert_int_equal(st_writer_open(&w, path, &spec, 1, NULL, &e), 0);
        st_writer_data(&w, "abcd", amounts[i]);
        assert_int_equal(st_writer_close(&w, &e), ERR_WORK);
        snprintf(text, sizeof text, ": %zu bytes of data came, 3 were "
            "announced; write each tensor once", amounts[i]);
        assert_message(&e, path, text);
        err_clear(&e);
        assert_int_equal(blob_read(&b, path, 100, &e), 0);
        assert_string_equal(b.p, "old");
        blob_release(&b);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses_wrong_lengths),
        cmocka_unit_test(test_refuses_ranges_that_do_not_tile),
        cmocka_unit_test(test_refuses_sizes_that_disagree),
        cmocka_unit_test(test_refuses_wrong_json),
        cmocka_unit_test(test_deep_json_is_refused),
        cmocka_unit_test(test_header_of_many_values_is_refused),
        cmocka_unit_test(test_reads_odd_but_valid_files),
        cmocka_unit_test(test_reads_back_what_it_wrote),
        cmocka_unit_test(test_golden_bytes),
        cmocka_unit_test(test_no_beginning_of_a_file_opens),
        cmocka_unit_test(test_wrong_amount_leaves_the_old_file),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("format/safetensors", tests,
        scratch_setup, scratch_teardown);
}
