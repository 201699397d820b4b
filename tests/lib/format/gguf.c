#include "lib/format/gguf.h"

#include "lib/base/bytes.h"
#include "tests/lib/format/scratch.h"

/* Builds files by hand, so that the reader is not tested by the writer. */
static void
put32(struct str *s, uint32_t v)
{
    uint8_t b[4];

    store_u32le(b, v);
    str_addn(s, b, 4);
}

static void
put64(struct str *s, uint64_t v)
{
    uint8_t b[8];

    store_u64le(b, v);
    str_addn(s, b, 8);
}

static void
put_text(struct str *s, const char *text)
{
    put64(s, strlen(text));
    str_add(s, text);
}

static void
put_head(struct str *s, uint32_t version, uint64_t n, uint64_t n_kv)
{
    str_clear(s);
    str_add(s, "GGUF");
    put32(s, version);
    put64(s, n);
    put64(s, n_kv);
}

static void
put_tensor(struct str *s, const char *name, unsigned n_dims, uint64_t d0,
    uint64_t d1, uint32_t type, uint64_t offset)
{
    put_text(s, name);
    put32(s, n_dims);
    if (n_dims > 0)
        put64(s, d0);
    if (n_dims > 1)
        put64(s, d1);
    for (unsigned i = 2; i < n_dims; i++)
        put64(s, 1);
    put32(s, type);
    put64(s, offset);
}

static void
put_zeros(struct str *s, size_t n)
{
    while (n-- > 0)
        str_addc(s, 0);
}

static void
pad_to(struct str *s, size_t a)
{
    while (s->len % a != 0)
        str_addc(s, 0);
}

/* Writes the bytes; opening them must give exactly this message. */
static void
assert_refused(const struct str *s, const char *text)
{
    const char *path = in_scratch("bad.gguf");
    struct gguf g = { 0 };
    struct err e = { 0 };

    put_file(path, str_get(s), s->len);
    assert_int_equal(gguf_open(&g, path, &e), ERR_WORK);
    assert_message(&e, path, text);
    assert_null(g.map.p);
    assert_null(g.t);
}

static void
test_refuses_wrong_header(void **state)
{
    /* Other files, other versions and impossible counts are refused. */
    struct str s = { 0 };

    (void)state;
    assert_refused(&s, ": does not begin with a GGUF header; give a GGUF file");
    str_add(&s, "GGUF\3\0\0\0\1");
    assert_refused(&s, ": does not begin with a GGUF header; give a GGUF file");
    put_head(&s, 1, 0, 0);
    assert_refused(&s, ": is GGUF version 1, versions 2 and 3 are read; "
        "convert the model again");
    put_head(&s, 4, 0, 0);
    assert_refused(&s, ": is GGUF version 4, versions 2 and 3 are read; "
        "convert the model again");
    put_head(&s, 3u << 24, 0, 0);
    assert_refused(&s, ": is big-endian or no GGUF file; "
        "convert it to little-endian");
    put_head(&s, 3, UINT64_C(1) << 63, 0);
    assert_refused(&s, ": claims 9223372036854775808 tensors, more than the "
        "file can hold; fetch the file again");
    put_head(&s, 3, 0, UINT64_MAX);
    assert_refused(&s, ": claims 18446744073709551615 keys, more than the "
        "file can hold; fetch the file again");
    put_head(&s, 3, 0, 2);
    put_zeros(&s, 14);
    assert_refused(&s, ": claims 2 keys, more than the file can hold; "
        "fetch the file again");
    str_release(&s);
}

static void
start_key(struct str *s, uint64_t n_kv, const char *key, uint32_t kind)
{
    put_head(s, 3, 0, n_kv);
    put_text(s, key);
    put32(s, kind);
}

static void
test_refuses_wrong_keys(void **state)
{
    /* Empty, double and cut keys, and types that are none, are refused. */
    struct str s = { 0 };

    (void)state;
    start_key(&s, 1, "", GGUF_U32);
    put32(&s, 1);
    assert_refused(&s, ": byte 32: a key is empty; fetch the file again");
    start_key(&s, 2, "a", GGUF_U32);
    put32(&s, 1);
    put_text(&s, "a");
    put32(&s, GGUF_U32);
    put32(&s, 1);
    assert_refused(&s, ": key 'a' is there twice; fetch the file again");
    start_key(&s, 1, "abc", 13);
    put32(&s, 1);
    assert_refused(&s, ": byte 39 (key 'abc'): a value of an unknown type; "
        "use a GGUF version 3 file");
    start_key(&s, 1, "abc", GGUF_U64);
    put32(&s, 1);
    assert_refused(&s, ": byte 39 (key 'abc'): needs 8 bytes, the file has 4 "
        "left; fetch the file again");
    start_key(&s, 1, "abc", GGUF_STR);
    put64(&s, UINT64_MAX);
    assert_refused(&s, ": byte 47 (key 'abc'): a string is longer than 2^30 "
        "bytes; fetch the file again");
    start_key(&s, 1, "abc", GGUF_STR);
    put64(&s, 5);
    str_add(&s, "four");
    assert_refused(&s, ": byte 47 (key 'abc'): needs 5 bytes, the file has 4 "
        "left; fetch the file again");
    put_head(&s, 3, 0, 1);
    put64(&s, 3);
    str_addn(&s, "a\0b", 3);
    put32(&s, GGUF_U32);
    put32(&s, 1);
    assert_refused(&s, ": byte 35: a name holds a NUL byte; "
        "fetch the file again");
    str_release(&s);
}

static void
test_refuses_wrong_arrays(void **state)
{
    /* Nested, endless and cut arrays are refused. */
    struct str s = { 0 };

    (void)state;
    start_key(&s, 1, "abc", GGUF_ARRAY);
    put32(&s, GGUF_ARRAY);
    put64(&s, 1);
    assert_refused(&s, ": byte 51 (key 'abc'): an array of arrays; "
        "write plain arrays only");
    start_key(&s, 1, "abc", GGUF_ARRAY);
    put32(&s, 99);
    put64(&s, 1);
    assert_refused(&s, ": byte 51 (key 'abc'): an array of an unknown type; "
        "use a GGUF version 3 file");
    start_key(&s, 1, "abc", GGUF_ARRAY);
    put32(&s, GGUF_U8);
    put64(&s, UINT64_C(1) << 61);
    assert_refused(&s, ": byte 51 (key 'abc'): an array is longer than 2^30 "
        "elements; fetch the file again");
    start_key(&s, 1, "abc", GGUF_ARRAY);
    put32(&s, GGUF_F64);
    put64(&s, 1 << 30);
    assert_refused(&s, ": byte 51 (key 'abc'): needs 8589934592 bytes, the "
        "file has 0 left; fetch the file again");
    start_key(&s, 1, "abc", GGUF_ARRAY);
    put32(&s, GGUF_STR);
    put64(&s, 2);
    put_text(&s, "x");
    put64(&s, 9);
    assert_refused(&s, ": byte 68 (key 'abc'): needs 9 bytes, the file has 0 "
        "left; fetch the file again");
    str_release(&s);
}

static void
test_refuses_wrong_alignment_and_splits(void **state)
{
    /* An alignment that is no u32 power of two, and split files. */
    struct str s = { 0 };

    (void)state;
    start_key(&s, 1, "general.alignment", GGUF_U32);
    put32(&s, 48);
    assert_refused(&s, ": general.alignment is 48, it must be a power of two; "
        "fetch the file again");
    start_key(&s, 1, "general.alignment", GGUF_U32);
    put32(&s, 0);
    assert_refused(&s, ": general.alignment is 0, it must be a power of two; "
        "fetch the file again");
    start_key(&s, 1, "general.alignment", GGUF_U64);
    put64(&s, 32);
    assert_refused(&s, ": key 'general.alignment' has type u64, u32 was "
        "expected; convert the model again");
    start_key(&s, 1, "split.count", GGUF_U16);
    str_addn(&s, "\3\0", 2);
    assert_refused(&s, ": is the first of 3 parts of a split model, but its "
        "name does not end in '-00001-of-00003.gguf'; give the parts their "
        "names back");
    start_key(&s, 1, "split.count", GGUF_U32);
    put32(&s, 3);
    assert_refused(&s, ": key 'split.count' has type u32, u16 was expected; "
        "split the model again");
    str_release(&s);
}

static void
test_refuses_wrong_tensors(void **state)
{
    /* Names, dimensions and types out of bounds are refused. */
    struct str s = { 0 };

    (void)state;
    put_head(&s, 3, 1, 0);
    put_tensor(&s, "1234567890123456789012345678901234567890"
        "123456789012345678901234", 1, 4, 0, 0, 0);
    assert_refused(&s, ": byte 96: a tensor's name is longer than 63 bytes; "
        "fetch the file again");
    put_head(&s, 3, 1, 0);
    put_tensor(&s, "t", 5, 4, 1, 0, 0);
    assert_refused(&s, ": byte 37 (tensor 't'): has more than 4 dimensions; "
        "fetch the file again");
    put_head(&s, 3, 1, 0);
    put_tensor(&s, "t", 1, UINT64_C(1) << 63, 0, 0, 0);
    assert_refused(&s, ": byte 49 (tensor 't'): its dimensions are negative "
        "or have no possible product; fetch the file again");
    put_head(&s, 3, 1, 0);
    put_tensor(&s, "t", 2, UINT64_C(1) << 32, UINT64_C(1) << 31, 0, 0);
    assert_refused(&s, ": byte 57 (tensor 't'): its dimensions are negative "
        "or have no possible product; fetch the file again");
    put_head(&s, 3, 1, 0);
    put_tensor(&s, "t", 1, UINT64_C(1) << 62, 0, 28, 0);
    assert_refused(&s, ": byte 49 (tensor 't'): its dimensions are negative "
        "or have no possible product; fetch the file again");
    put_head(&s, 3, 1, 0);
    put_tensor(&s, "t", 1, 128, 0, 12, 0);
    assert_refused(&s, ": byte 49 (tensor 't'): rows of 128 values do not "
        "divide into blocks of 256 (Q4_K); fetch the file again");
    put_head(&s, 3, 1, 0);
    put_tensor(&s, "t", 1, 32, 0, 4, 0);
    assert_refused(&s, ": byte 49 (tensor 't'): its type 4 is unknown; "
        "use a GGUF file of a known type");
    put_head(&s, 3, 1, 0);
    put_tensor(&s, "t", 1, 32, 0, UINT32_MAX, 0);
    assert_refused(&s, ": byte 49 (tensor 't'): its type 4294967295 is "
        "unknown; use a GGUF file of a known type");
    put_head(&s, 3, 2, 0);
    put_tensor(&s, "t", 1, 8, 0, 0, 0);
    put_tensor(&s, "t", 1, 8, 0, 0, 32);
    assert_refused(&s, ": tensor 't' is there twice; fetch the file again");
    str_release(&s);
}

static void
test_refuses_wrong_offsets(void **state)
{
    /* Offsets must follow from the sizes, and the data must be there. */
    struct str s = { 0 };

    (void)state;
    put_head(&s, 3, 2, 0);
    put_tensor(&s, "a", 1, 8, 0, 0, 0);
    put_tensor(&s, "b", 1, 8, 0, 0, 0); /* on top of a */
    pad_to(&s, 32);
    put_zeros(&s, 64);
    assert_refused(&s, ": tensor 'b': has offset 0, the tensors before it "
        "need 32; fetch the file again");
    put_head(&s, 3, 1, 0);
    put_tensor(&s, "a", 1, 8, 0, 0, UINT64_MAX - 31);
    pad_to(&s, 32);
    put_zeros(&s, 64);
    assert_refused(&s, ": tensor 'a': has offset 18446744073709551584, the "
        "tensors before it need 0; fetch the file again");
    put_head(&s, 3, 1, 0);
    put_tensor(&s, "a", 1, 8, 0, 0, 0);
    pad_to(&s, 32);
    put_zeros(&s, 31);
    assert_refused(&s, ": byte 64 (tensor 'a'): needs 32 bytes, has 31; "
        "fetch the file again");
    put_head(&s, 3, 1, 0);
    put_tensor(&s, "a", 1, 8, 0, 0, 0); /* the file ends before its data */
    assert_refused(&s, ": byte 64 (tensor 'a'): needs 32 bytes, has 0; "
        "fetch the file again");
    str_release(&s);
}

static void
test_reads_a_file_made_by_hand(void **state)
{
    /* Every kind of value is found; the last padding may be missing. */
    const char *path = in_scratch("hand.gguf");
    struct gguf g = { 0 };
    struct err e = { 0 };
    struct str s = { 0 }, text = { 0 };
    const struct gguf_tensor *t;
    struct gguf_strings it;

    (void)state;
    put_head(&s, 2, 3, 6);
    put_text(&s, "general.alignment");
    put32(&s, GGUF_U32);
    put32(&s, 64);
    put_text(&s, "z.str");
    put32(&s, GGUF_STR);
    put_text(&s, "text");
    put_text(&s, "a.f32");
    put32(&s, GGUF_F32);
    put32(&s, 0x3fc00000);
    put_text(&s, "a.flag");
    put32(&s, GGUF_BOOL);
    str_addc(&s, 1);
    put_text(&s, "list");
    put32(&s, GGUF_ARRAY);
    put32(&s, GGUF_STR);
    put64(&s, 2);
    put_text(&s, "");
    put_text(&s, "two");
    put_text(&s, "ints");
    put32(&s, GGUF_ARRAY);
    put32(&s, GGUF_I32);
    put64(&s, 3);
    put32(&s, 7);
    put32(&s, UINT32_MAX);
    put32(&s, 9);
    put_tensor(&s, "w", 2, 32, 3, 8, 0);    /* Q8_0: 3 rows of 34 bytes */
    put_tensor(&s, "foreign", 1, 256, 0, 16, 128); /* IQ2_XXS: 66 bytes */
    put_tensor(&s, "scalar", 0, 0, 0, 0, 256);
    pad_to(&s, 64);
    put_zeros(&s, 256 + 4);
    put_file(path, s.p, s.len);

    assert_int_equal(gguf_open(&g, path, &e), 0);
    assert_int_equal(g.alignment, 64);
    assert_string_equal(gguf_str(&g, "z.str", &e), "text");
    assert_true(gguf_f32(&g, "a.f32", &e) == 1.5f);
    assert_true(gguf_bool(&g, "a.flag", &e));
    assert_int_equal(gguf_u32_or(&g, "none", 5, &e), 5);
    it = gguf_strings(gguf_array(&g, "list", GGUF_STR, &e));
    assert_true(gguf_next(&it));
    assert_int_equal(it.len, 0);
    assert_true(gguf_next(&it));
    assert_memory_equal(it.p, "two", 3);
    assert_false(gguf_next(&it));
    assert_int_equal(gguf_array_i32(gguf_array(&g, "ints", GGUF_I32, &e), 1),
        -1);
    gguf_kv_text(gguf_kv(&g, "ints"), 2, &text);
    gguf_kv_text(gguf_kv(&g, "list"), 9, &text);
    assert_string_equal(text.p, "[7, -1, ... 3 in all]['', 'two']");
    t = gguf_find(&g, "w");
    assert_int_equal(t->type, QT_Q8_0);
    assert_int_equal(t->bytes, 102);
    assert_int_equal(gguf_elements(t), 96);
    assert_ptr_equal(gguf_data(t), g.map.p + g.data_start);
    t = gguf_find(&g, "foreign");
    assert_int_equal(t->type, QT_COUNT);
    assert_string_equal(gguf_type_name(t->ggml_type), "IQ2_XXS");
    assert_int_equal(gguf_find(&g, "scalar")->bytes, 4);
    assert_null(gguf_find(&g, "x"));
    assert_int_equal(e.code, 0);
    gguf_close(&g);
    gguf_close(&g);
    str_release(&s);
    str_release(&text);
}

static void
test_getters_name_key_and_types(void **state)
{
    /* A missing key and a key of another type are named. */
    const char *path = in_scratch("types.gguf");
    struct str s = { 0 };
    struct gguf g = { 0 };
    struct err e = { 0 };

    (void)state;
    start_key(&s, 1, "n", GGUF_U64);
    put64(&s, 1);
    put_file(path, s.p, s.len);
    assert_int_equal(gguf_open(&g, path, &e), 0);
    assert_int_equal(gguf_u32(&g, "n", &e), 0);
    assert_message(&e, path, ": key 'n' has type u64, u32 was expected; "
        "convert the model again");
    err_clear(&e);
    assert_null(gguf_str(&g, "m", &e));
    assert_message(&e, path, ": key 'm' is missing; convert the model again");
    err_clear(&e);
    assert_null(gguf_array(&g, "n", GGUF_STR, &e));
    assert_message(&e, path, ": key 'n' has type u64, array was expected; "
        "convert the model again");
    gguf_close(&g);
    str_release(&s);
}

/* Two tensors and a key of each kind; the pieces do not match the tensors. */
static void
write_sample(const char *path, struct gguf_writer *w, struct err *e)
{
    static const uint64_t dims[] = { 32, 3 }, one[] = { 5 };
    static const char *const words[] = { "a", "", "c d" };
    static const int32_t ints[] = { 1, -1 };
    static const float reals[] = { 0.5f, -2.0f };
    static const bool flags[] = { true, false };
    uint8_t data[122];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i + 1);
    assert_int_equal(gguf_writer_open(w, path, e), 0);
    gguf_put_str(w, "general.architecture", "llama");
    gguf_put_u32(w, "u32", 7);
    gguf_put_i32(w, "i32", -7);
    gguf_put_u64(w, "u64", UINT64_MAX);
    gguf_put_u16(w, "u16", 65535);
    gguf_put_u8(w, "u8", 255);
    gguf_put_f32(w, "f32", 0.1f);
    gguf_put_bool(w, "bool", true);
    gguf_put_str_array(w, "words", words, NULL, countof(words));
    gguf_put_i32_array(w, "ints", ints, countof(ints));
    gguf_put_f32_array(w, "reals", reals, countof(reals));
    gguf_put_bool_array(w, "flags", flags, countof(flags));
    assert_int_equal(gguf_add_tensor(w, "w", QT_Q8_0, 2, dims), 102);
    assert_int_equal(gguf_add_tensor(w, "norm", QT_F32, 1, one), 20);
    assert_int_equal(gguf_write_header(w, e), 0);
    gguf_write_data(w, data, 100);
    gguf_write_data(w, data + 100, 22);
    assert_int_equal(gguf_writer_close(w, e), 0);
}

static void
test_reads_back_what_it_wrote(void **state)
{
    /* What the writer wrote, the reader returns; twice the same bytes. */
    const char *path = in_scratch("w.gguf"), *again = in_scratch("w2.gguf");
    struct gguf_writer w = { 0 }, w2 = { 0 };
    struct gguf g = { 0 };
    struct err e = { 0 };
    const uint8_t *p;

    (void)state;
    write_sample(path, &w, &e);
    write_sample(again, &w2, &e);
    assert_true(digest_equal(&w.out.digest, &w2.out.digest));

    assert_int_equal(gguf_open(&g, path, &e), 0);
    assert_int_equal(g.map.len % 32, 0);
    assert_int_equal(g.version, 3);
    assert_string_equal(gguf_str(&g, "general.architecture", &e), "llama");
    assert_int_equal(gguf_u32(&g, "u32", &e), 7);
    assert_true(gguf_f32(&g, "f32", &e) == 0.1f);
    assert_true(gguf_bool(&g, "bool", &e));
    assert_int_equal(load_u64le(gguf_kv(&g, "u64")->raw), UINT64_MAX);
    assert_int_equal(gguf_array(&g, "words", GGUF_STR, &e)->count, 3);
    assert_true(gguf_array_f32(gguf_array(&g, "reals", GGUF_F32, &e), 1) ==
        -2.0f);
    assert_false(gguf_array_bool(gguf_array(&g, "flags", GGUF_BOOL, &e), 1));
    p = gguf_data(gguf_find(&g, "w"));
    assert_int_equal(p[0], 1);
    assert_int_equal(p[101], 102);
    assert_int_equal(p[102], 0); /* padding */
    p = gguf_data(gguf_find(&g, "norm"));
    assert_int_equal((p - g.map.p) % 32, 0);
    assert_int_equal(p[0], 103);
    assert_int_equal(p[19], 122);
    assert_int_equal(e.code, 0);
    gguf_close(&g);
}

static void
test_no_beginning_of_a_file_opens(void **state)
{
    /* A file cut short at any byte before its last padding is refused. */
    const char *path = in_scratch("whole.gguf"), *cut = in_scratch("cut.gguf");
    struct gguf_writer w = { 0 };
    struct blob b = { 0 };
    struct err e = { 0 };

    (void)state;
    write_sample(path, &w, &e);
    assert_int_equal(blob_read(&b, path, 4096, &e), 0);
    for (size_t n = 0; n <= b.len; n++) {
        struct gguf g = { 0 };
        struct err why = { 0 };

        put_file(cut, b.p, n);
        /* the last tensor has 20 bytes and 12 of padding */
        assert_int_equal(gguf_open(&g, cut, &why),
            n < b.len - 12 ? ERR_WORK : 0);
        assert_null(strchr(why.text, '\n'));
        gguf_close(&g);
    }
    blob_release(&b);
}

static void
test_golden_bytes(void **state)
{
    /* The bytes of a small file are these, whatever the machine. */
    static const char golden[] =
        "GGUF\3\0\0\0" "\1\0\0\0\0\0\0\0" "\1\0\0\0\0\0\0\0"
        "\1\0\0\0\0\0\0\0k" "\4\0\0\0" "\x78\x56\x34\x12"
        "\1\0\0\0\0\0\0\0t" "\1\0\0\0" "\1\0\0\0\0\0\0\0" "\0\0\0\0"
        "\0\0\0\0\0\0\0\0"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        "\0\0\x80\x3f" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    static const uint64_t dim = 1;
    const char *path = in_scratch("golden.gguf");
    struct gguf_writer w = { 0 };
    struct blob b = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(gguf_writer_open(&w, path, &e), 0);
    gguf_put_u32(&w, "k", 0x12345678);
    gguf_add_tensor(&w, "t", QT_F32, 1, &dim);
    assert_int_equal(gguf_write_header(&w, &e), 0);
    gguf_write_data(&w, "\0\0\x80\x3f", 4);
    assert_int_equal(gguf_writer_close(&w, &e), 0);
    assert_int_equal(blob_read(&b, path, 4096, &e), 0);
    assert_int_equal(b.len, sizeof golden);
    assert_memory_equal(b.p, golden, b.len);
    blob_release(&b);
}

/* Opens a writer; the caller makes it wrong. */
static void
begin(struct gguf_writer *w, const char *path)
{
    struct err e = { 0 };

    *w = (struct gguf_writer){ 0 };
    assert_int_equal(gguf_writer_open(w, path, &e), 0);
}

static void
test_writer_refuses_wrong_calls(void **state)
{
    /* A wrong key, tensor or amount is an error and leaves no file. */
    static const uint64_t dim[] = { 30 }, four[] = { 4 };
    const char *path = in_scratch("wrong.gguf");
    struct gguf_writer w;
    struct err e = { 0 };

    (void)state;
    begin(&w, path);
    gguf_put_u32(&w, "k", 1);
    gguf_put_str(&w, "k", "1");
    gguf_write_header(&w, &e);
    assert_message(&e, path, ": key 'k' is put twice or empty; "
        "put each key once");
    gguf_writer_release(&w);
    err_clear(&e);

    begin(&w, path);
    gguf_add_tensor(&w, "t", QT_Q8_0, 1, dim);
    gguf_write_header(&w, &e);
    assert_message(&e, path, ": tensor 't': its name is longer than 63 bytes "
        "or rows of 30 values do not fit type Q8_0; choose another type");
    gguf_writer_release(&w);
    err_clear(&e);

    begin(&w, path);
    gguf_add_tensor(&w, "t", QT_F32, 1, four);
    gguf_add_tensor(&w, "t", QT_F32, 1, four);
    gguf_write_header(&w, &e);
    assert_message(&e, path, ": tensor 't' is added twice; "
        "add each tensor once");
    gguf_writer_release(&w);
    err_clear(&e);

    begin(&w, path);
    gguf_add_tensor(&w, "t", QT_F32, 1, four);
    assert_int_equal(gguf_write_header(&w, &e), 0);
    gguf_write_data(&w, "123456789012345", 15);
    gguf_writer_close(&w, &e);
    assert_message(&e, path, ": data of tensor 't' is missing; "
        "write each tensor once");
    err_clear(&e);

    begin(&w, path);
    gguf_add_tensor(&w, "t", QT_F32, 1, four);
    assert_int_equal(gguf_write_header(&w, &e), 0);
    gguf_write_data(&w, "12345678901234567", 17);
    gguf_writer_close(&w, &e);
    assert_message(&e, path, ": more data than its tensors hold; "
        "write each tensor once");
    assert_false(file_exists(path));
}

static void
test_types_agree_with_the_kernels(void **state)
{
    /* Every type that the kernels know has ggml's block size here. */
    (void)state;
    for (int t = 0; t < QT_COUNT; t++) {
        const struct qtype_info *info = qtype_info((enum qtype)t);
        unsigned block, bytes;

        assert_true(gguf_type_block(info->ggml_id, &block, &bytes));
        assert_string_equal(gguf_type_name(info->ggml_id), info->name);
        assert_int_equal(block, info->block);
        assert_int_equal(bytes, info->bytes);
    }
    assert_string_equal(gguf_type_name(4), "?");
    assert_string_equal(gguf_type_name(UINT32_MAX), "?");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses_wrong_header),
        cmocka_unit_test(test_refuses_wrong_keys),
        cmocka_unit_test(test_refuses_wrong_arrays),
        cmocka_unit_test(test_refuses_wrong_alignment_and_splits),
        cmocka_unit_test(test_refuses_wrong_tensors),
        cmocka_unit_test(test_refuses_wrong_offsets),
        cmocka_unit_test(test_reads_a_file_made_by_hand),
        cmocka_unit_test(test_getters_name_key_and_types),
        cmocka_unit_test(test_reads_back_what_it_wrote),
        cmocka_unit_test(test_no_beginning_of_a_file_opens),
        cmocka_unit_test(test_golden_bytes),
        cmocka_unit_test(test_types_agree_with_the_kernels),
        cmocka_unit_test(test_writer_refuses_wrong_calls),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("format/gguf", tests, scratch_setup,
        scratch_teardown);
}
