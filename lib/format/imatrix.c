#include "lib/format/imatrix.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/file.h"
#include "lib/base/str.h"
#include "lib/format/gguf.h"

static const char sum_suffix[] = ".in_sum2";
static const char count_suffix[] = ".counts";

static int
by_name(const void *pa, const void *pb)
{
    const struct imatrix_entry *a = pa, *b = pb;

    return strcmp(a->name, b->name);
}

/* Floats copied out of the file; each must be finite and not negative. */
static const float *
copy_values(struct imatrix *im, const uint8_t *p, uint64_t n, const char *name,
    struct err *e)
{
    float *v = arena_alloc(&im->arena, (size_t)n * sizeof *v);

    for (uint64_t i = 0; i < n; i++) {
        v[i] = load_f32le(p + 4 * i);
        if (!isfinite(v[i]) || v[i] < 0.0f) {
            err_set(e, ERR_WORK, "%s: entry '%.200s': value %" PRIu64
                " is negative or not finite; collect the matrix again",
                im->path, name, i);
            return NULL;
        }
    }
    return v;
}

/* Sorted entries of different names. */
static int
settle(struct imatrix *im, struct err *e)
{
    if (im->n == 0)
        return err_set(e, ERR_WORK,
            "%s: holds no entry; collect the matrix again", im->path);
    qsort(im->entry, im->n, sizeof *im->entry, by_name);
    for (size_t i = 1; i < im->n; i++)
        if (by_name(&im->entry[i - 1], &im->entry[i]) == 0)
            return err_set(e, ERR_WORK,
                "%s: entry '%.200s' is there twice; collect the matrix again",
                im->path, im->entry[i].name);
    return 0;
}

/* The GGUF form */

static int
read_pair(struct imatrix *im, const struct gguf *g,
    const struct gguf_tensor *sum, struct err *e)
{
    struct imatrix_entry *entry = &im->entry[im->n];
    const size_t stem = strlen(sum->name) - (sizeof sum_suffix - 1);
    char *name = arena_strndup(&im->arena, sum->name, stem);
    char *wanted = mem_printf("%s%s", name, count_suffix);
    const struct gguf_tensor *counts = gguf_find(g, wanted);

    free(wanted);
    entry->name = name;
    if (counts == NULL)
        return err_set(e, ERR_WORK, "%s: entry '%s' has sums and no counts; "
            "collect the matrix again", im->path, name);
    if (sum->ggml_type != 0 || counts->ggml_type != 0 || sum->n_dims > 2)
        return err_set(e, ERR_WORK, "%s: entry '%s' is no F32 matrix; "
            "collect the matrix again", im->path, name);
    if (gguf_elements(counts) != sum->dim[1] || gguf_elements(sum) == 0)
        return err_set(e, ERR_WORK, "%s: entry '%s' has %" PRIu64
            " rows of sums and %" PRIu64 " counts; collect the matrix again",
            im->path, name, sum->dim[1], gguf_elements(counts));
    entry->cols = sum->dim[0];
    entry->mats = sum->dim[1];
    entry->sum2 = copy_values(im, gguf_data(sum), gguf_elements(sum), name,
        e);
    entry->counts = copy_values(im, gguf_data(counts), entry->mats, name, e);
    im->n++;
    for (uint64_t i = 0; e->code == 0 && i < entry->mats; i++)
        if (entry->counts[i] > 0.0f && entry->counts[i] < 1.0f)
            err_set(e, ERR_WORK, "%s: entry '%s' counts less than one token; "
                "collect the matrix again", im->path, name);
    return e->code;
}

static int
read_datasets(struct imatrix *im, const struct gguf *g, struct err *e)
{
    const char **names;
    size_t n = 0;

    if (gguf_kv(g, "imatrix.datasets") == NULL)
        return 0;

    const struct gguf_kv *kv = gguf_array(g, "imatrix.datasets", GGUF_STR, e);

    if (kv == NULL)
        return e->code;
    names = arena_alloc(&im->arena, (size_t)kv->count * sizeof *names);
    for (struct gguf_strings it = gguf_strings(kv); gguf_next(&it);)
        names[n++] = arena_strndup(&im->arena, it.p, it.len);
    im->datasets = names;
    im->n_datasets = n;
    return 0;
}

static int
read_gguf(struct imatrix *im, struct err *e)
{
    struct gguf g = { 0 };
    const char *type;

    if (gguf_open(&g, im->path, e))
        return e->code;
    type = gguf_str_or(&g, "general.type", "imatrix", e);
    if (type != NULL && strcmp(type, "imatrix") != 0)
        err_set(e, ERR_WORK, "%s: holds a %.40s; give an importance matrix",
            im->path, type);
    im->chunk_count = gguf_u32_or(&g, "imatrix.chunk_count", 0, e);
    im->chunk_size = gguf_u32_or(&g, "imatrix.chunk_size", 0, e);
    read_datasets(im, &g, e);
    im->entry = arena_alloc(&im->arena, g.n * sizeof *im->entry);
    for (size_t i = 0; e->code == 0 && i < g.n; i++)
        if (str_ends(g.t[i].name, sum_suffix))
            read_pair(im, &g, &g.t[i], e);
    gguf_close(&g);
    return e->code;
}

/* The older form */

struct reader {
    const struct map *m;
    size_t at;
    const char *path;
    struct err *e;
};

static const uint8_t *
take(struct reader *r, size_t n)
{
    if (n > r->m->len - r->at) {
        err_set(r->e, ERR_WORK, "%s: byte %zu: needs %zu bytes, the file has "
            "%zu left; give an importance matrix of llama.cpp", r->path, r->at,
            n, r->m->len - r->at);
        return NULL;
    }

    const uint8_t *p = r->m->p + r->at;

    r->at += n;
    return p;
}

/* A number from min to max, or 0 and an error. */
static uint32_t
take_count(struct reader *r, uint32_t min, uint32_t max, const char *what)
{
    const uint8_t *p = take(r, 4);
    const uint32_t v = p != NULL ? load_u32le(p) : 0;

    if (p != NULL && (v < min || v > max)) {
        err_set(r->e, ERR_WORK, "%s: byte %zu: %s is %" PRId32
            ", from %" PRIu32 " to %" PRIu32 " is possible; "
            "give an importance matrix of llama.cpp", r->path, r->at - 4, what,
            (int32_t)v, min, max);
        return 0;
    }
    return v;
}

static int
read_entry(struct imatrix *im, struct reader *r)
{
    struct imatrix_entry *entry = &im->entry[im->n];
    const uint32_t len = take_count(r, 1, IMATRIX_MAX_NAME,
        "the length of a name");
    const uint8_t *name = r->e->code ? NULL : take(r, len);
    uint32_t calls, values;
    const uint8_t *p;
    float *count;

    if (name == NULL)
        return r->e->code;
    if (memchr(name, 0, len) != NULL)
        return err_set(r->e, ERR_WORK, "%s: byte %zu: a name holds a NUL byte; "
            "give an importance matrix of llama.cpp", r->path, r->at);
    entry->name = arena_strndup(&im->arena, (const char *)name, len);
    calls = take_count(r, 0, INT32_MAX, "the number of calls");
    values = take_count(r, 1, INT32_MAX, "the number of values");
    p = r->e->code ? NULL : take(r, (size_t)values * 4);
    if (p == NULL)
        return r->e->code;
    count = arena_alloc(&im->arena, sizeof *count);
    *count = (float)calls;
    entry->counts = count;
    entry->cols = values;
    entry->mats = 1;
    entry->sum2 = copy_values(im, p, values, entry->name, r->e);
    im->n++;
    return r->e->code;
}

/* Chunks and data set at the end were added later and may be missing. */
static void
read_trailer(struct imatrix *im, struct reader *r)
{
    const char **names;
    uint32_t len;
    const uint8_t *p;

    if (r->at == r->m->len)
        return;
    im->chunk_count = take_count(r, 0, INT32_MAX, "the number of chunks");
    if (r->e->code || r->at == r->m->len)
        return;
    len = take_count(r, 0, 1 << 16, "the length of the data set's name");
    p = r->e->code ? NULL : take(r, len);
    if (p == NULL || len == 0)
        return;
    names = arena_alloc(&im->arena, sizeof *names);
    names[0] = arena_strndup(&im->arena, (const char *)p, len);
    im->datasets = names;
    im->n_datasets = 1;
}

static int
read_legacy(struct imatrix *im, const struct map *m, struct err *e)
{
    enum { MIN_ENTRY_BYTES = 4 + 1 + 4 + 4 + 4 };
    struct reader r = { .m = m, .path = im->path, .e = e };
    const uint32_t n = take_count(&r, 1, IMATRIX_MAX_ENTRIES,
        "the number of entries");

    if (e->code)
        return e->code;
    if (n > (m->len - 4) / MIN_ENTRY_BYTES)
        return err_set(e, ERR_WORK, "%s: claims %" PRIu32 " entries, more than "
            "the file can hold; give an importance matrix of llama.cpp",
            im->path, n);
    im->legacy = true;
    im->entry = arena_alloc(&im->arena, n * sizeof *im->entry);
    while (e->code == 0 && im->n < n)
        read_entry(im, &r);
    if (e->code == 0)
        read_trailer(im, &r);
    return e->code;
}

int
imatrix_open(struct imatrix *im, const char *path, struct err *e)
{
    struct map m = { 0 };

    im->path = arena_strdup(&im->arena, path);
    if (map_open(&m, path, e) == 0) {
        if (m.len >= 4 && memcmp(m.p, "GGUF", 4) == 0)
            read_gguf(im, e);
        else
            read_legacy(im, &m, e);
    }
    map_close(&m);
    if (e->code || settle(im, e))
        imatrix_close(im);
    return e->code;
}

void
imatrix_close(struct imatrix *im)
{
    arena_release(&im->arena);
    *im = (struct imatrix){ 0 };
}

const struct imatrix_entry *
imatrix_find(const struct imatrix *im, const char *name)
{
    const struct imatrix_entry key = { .name = name };

    if (im->n == 0)
        return NULL;
    return bsearch(&key, im->entry, im->n, sizeof *im->entry, by_name);
}

int
imatrix_importance(const struct imatrix *im, const struct imatrix_entry *entry,
    uint64_t mat, uint64_t mats, uint64_t cols, float *dst, struct err *e)
{
    const bool flat = im->legacy && entry->mats == 1 && cols > 0 &&
        entry->cols / cols == mats && entry->cols % cols == 0;
    const float *sum;
    float count;

    if (!flat && (entry->mats != mats || entry->cols != cols))
        return err_set(e, ERR_WORK, "%s: entry '%.200s' has %" PRIu64 " x %"
            PRIu64 " values, the weight %" PRIu64 " x %" PRIu64
            "; give the matrix of this model", im->path, entry->name,
            entry->mats, entry->cols, mats, cols);
    sum = entry->sum2 + mat * cols;
    count = entry->counts[flat ? 0 : mat];
    for (uint64_t c = 0; c < cols; c++) {
        if (count > 0.0f)
            dst[c] = sum[c] / count;
        else /* as llama-quantize does in either form */
            dst[c] = flat ? sum[c] : 1.0f;
    }
    return 0;
}

/* [cols, mats] with the last dimension dropped when it is 1, as ggml counts. */
static void
add_matrix(struct gguf_writer *w, const char *name, const char *suffix,
    uint64_t cols, uint64_t mats)
{
    const uint64_t dim[] = { cols, mats };
    char *full = mem_printf("%s%s", name, suffix);

    gguf_add_tensor(w, full, QT_F32, mats == 1 ? 1 : 2, dim);
    free(full);
}

static void
write_floats(struct gguf_writer *w, const float *v, uint64_t n)
{
    uint8_t part[4096];
    size_t used = 0;

    for (uint64_t i = 0; i < n; i++) {
        store_f32le(part + used, v[i]);
        used += 4;
        if (used == sizeof part || i + 1 == n) {
            gguf_write_data(w, part, used);
            used = 0;
        }
    }
}

static int
write_gguf(const struct imatrix *im, const char *path, struct err *e)
{
    struct gguf_writer w = { 0 };

    if (gguf_writer_open(&w, path, e))
        return e->code;
    gguf_put_str(&w, "general.type", "imatrix");
    gguf_put_str_array(&w, "imatrix.datasets", im->datasets, NULL,
        im->n_datasets);
    gguf_put_u32(&w, "imatrix.chunk_count", im->chunk_count);
    gguf_put_u32(&w, "imatrix.chunk_size", im->chunk_size);
    for (size_t i = 0; i < im->n; i++) {
        const struct imatrix_entry *entry = &im->entry[i];

        add_matrix(&w, entry->name, sum_suffix, entry->cols, entry->mats);
        add_matrix(&w, entry->name, count_suffix, 1, entry->mats);
    }
    gguf_write_header(&w, e);
    for (size_t i = 0; e->code == 0 && i < im->n; i++) {
        const struct imatrix_entry *entry = &im->entry[i];

        write_floats(&w, entry->sum2, entry->cols * entry->mats);
        write_floats(&w, entry->counts, entry->mats);
    }
    if (e->code == 0)
        gguf_writer_close(&w, e);
    gguf_writer_release(&w);
    return e->code;
}

static void
put_u32(struct outfile *o, uint64_t v)
{
    uint8_t b[4];

    store_u32le(b, (uint32_t)v);
    outfile_write(o, b, sizeof b);
}

static void
put_text(struct outfile *o, const char *text)
{
    put_u32(o, strlen(text));
    outfile_write(o, text, strlen(text));
}

/* Values are mean squares times calls, as if every chunk were a call. */
static void
put_entry(struct outfile *o, const struct imatrix_entry *entry, uint32_t calls)
{
    put_text(o, entry->name);
    put_u32(o, calls);
    put_u32(o, entry->cols * entry->mats);
    for (uint64_t m = 0; m < entry->mats; m++)
        for (uint64_t c = 0; c < entry->cols; c++) {
            const float count = entry->counts[m];
            const float mean = count > 0.0f ?
                entry->sum2[m * entry->cols + c] / count : 1.0f;
            uint8_t b[4];

            store_f32le(b, mean * (float)calls);
            outfile_write(o, b, sizeof b);
        }
}

static int
write_legacy(const struct imatrix *im, const char *path, struct err *e)
{
    const uint32_t calls = im->chunk_count > 0 ? im->chunk_count : 1;
    struct outfile o = { 0 };

    if (outfile_create(&o, path, e))
        return e->code;
    put_u32(&o, im->n);
    for (size_t i = 0; i < im->n; i++)
        put_entry(&o, &im->entry[i], calls);
    put_u32(&o, im->chunk_count);
    put_text(&o, im->n_datasets > 0 ? im->datasets[0] : "");
    outfile_commit(&o, e);
    outfile_release(&o);
    return e->code;
}

int
imatrix_write(const struct imatrix *im, const char *path, struct err *e)
{
    return im->legacy ? write_legacy(im, path, e) : write_gguf(im, path, e);
}
