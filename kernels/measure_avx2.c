#include "kernels/measure.h"

#include "kernels/ops.h"
#include "kernels/ops_avx2.h"

#if defined(__AVX2__)

#include "kernels/avx2.h"

size_t
first_beyond_avx2(const float *x, size_t n, float limit)
{
    const __m256 sign = _mm256_set1_ps(-0.0f), most = _mm256_set1_ps(limit);
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        __m256 bad = _mm256_setzero_ps();

        for (size_t k = 0; k < 32; k += 8) /* NaN is not "not greater" */
            bad = _mm256_or_ps(bad, _mm256_cmp_ps(_mm256_andnot_ps(sign,
                _mm256_loadu_ps(x + i + k)), most, _CMP_NLE_UQ));
        if (!_mm256_testz_ps(bad, bad))
            break;
    }
    return i + first_beyond_ref(x + i, n - i, limit);
}

/* The four lanes of a row, and of the sums of a row. */
struct lanes {
    const float *want, *got;
    __m256d err, norm;
};

static inline void
add_four(struct lanes *l, const double *m, size_t j)
{
    __m256d x = _mm256_cvtps_pd(_mm_loadu_ps(l->want + j));
    __m256d d = _mm256_sub_pd(x, _mm256_cvtps_pd(_mm_loadu_ps(l->got + j)));

    d = _mm256_mul_pd(d, d);
    x = _mm256_mul_pd(x, x);
    if (m != NULL) {
        d = _mm256_mul_pd(d, _mm256_loadu_pd(m + j));
        x = _mm256_mul_pd(x, _mm256_loadu_pd(m + j));
    }
    l->err = _mm256_add_pd(l->err, d);
    l->norm = _mm256_add_pd(l->norm, x);
}

/* The columns behind the last four, and the lanes together. */
static struct squares
finish(const struct lanes *l, const double *m, size_t j, size_t n)
{
    double e[4], w[4];

    _mm256_storeu_pd(e, l->err);
    _mm256_storeu_pd(w, l->norm);
    add_squares_ref(l->want + j, l->got + j, m == NULL ? NULL : m + j, n - j,
        e, w);
    return squares_of_lanes(e, w);
}

/* K rows at a time: a row's sums alone would wait for each other. */
static inline void
rows_of(size_t k, struct squares *s, const float *want, const float *got,
    const double *m, size_t n)
{
    struct lanes l[2];
    size_t j = 0;

    for (size_t r = 0; r < k; r++)
        l[r] = (struct lanes){ want + r * n, got + r * n,
            _mm256_setzero_pd(), _mm256_setzero_pd() };
    for (; j + 4 <= n; j += 4) {
        UNROLL
        for (size_t r = 0; r < k; r++)
            add_four(&l[r], m, j);
    }
    for (size_t r = 0; r < k; r++)
        s[r] = finish(&l[r], m, j, n);
}

void
row_squares_avx2(struct squares *s, const float *want, const float *got,
    const double *m, size_t rows, size_t n)
{
    size_t r = 0;

    for (; r + 2 <= rows; r += 2)
        rows_of(2, s + r, want + r * n, got + r * n, m, n);
    if (r < rows)
        rows_of(1, s + r, want + r * n, got + r * n, m, n);
}

#endif
